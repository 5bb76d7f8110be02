"""Which rows of a table are meant, and what is taken from within their cells."""

import pytest

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.extraction.choices import meant
from layoutllm_tool.extraction.row_cells import Array
from layoutllm_tool.extraction.row_parts import part_cells
from layoutllm_tool.extraction.rows import Wanted
from layoutllm_tool.extraction.tables import rows_of
from layoutllm_tool.testing import document_from_text
from tests.extraction.test_rows import columns, texts, unlike

STATEMENT = document_from_text(
    """Date        Details                 Paid out    Paid in    Balance
02.01.2025  RENT FLAT 6               785.00              1,061.52
03.01.2025  CASH MARKET STREET         40.00              1,021.52
04.01.2025  HALDEN PRINT SALARY                2,214.36   3,235.88
05.01.2025  BOOTS 0387                  3.88              3,232.00
06.01.2025  CASH STATION ROAD          20.00              3,212.00"""
)
DELIVERY = document_from_text(
    """Pos   Artikel-Nr.   Bezeichnung             bestellt   geliefert   Rückstand
10    4408-112      Tischplatte, Buche            12          12           0
20    4408-115      Tischplatte, Eiche             8           6           2
30    9011-38       Schraube M8                    4           4           0
40    9011-77       Filzgleiter                    6           0           6"""
)


def rows(document: Document, array: Array, told: str) -> list[list[str | None]]:
    found = rows_of(document, f"What are the rows? {told}", array, unlike)[1]
    return [[cell and cell["text"] for cell in row.values()] for row in found]


def test_rows_that_say_the_name_with_the_amount_of_either_side() -> None:
    wanted = columns(day="date", place="text", pounds="number")
    assert rows(STATEMENT, Array("cashWithdrawals", wanted, {}), "Cash machine withdrawals only") == [
        ["03.01.2025", "CASH MARKET STREET", "40.00"],
        ["06.01.2025", "CASH STATION ROAD", "20.00"],
    ]
    paid = columns(date="date", employer="text", amount="money")
    assert rows(STATEMENT, Array("salary", paid, {}), "Salary payments received") == [
        ["04.01.2025", "HALDEN PRINT SALARY", "2,214.36"]
    ]


def test_all_rows_where_none_says_the_name() -> None:
    wanted = columns(date="date", details="text", balance="money")
    assert len(rows(STATEMENT, Array("transactions", wanted, {}), "Every entry")) == 5
    assert len(rows(STATEMENT, Array("donations", wanted, {}), "Donations only")) == 5


ONE_DATE_A_DAY = document_from_text(
    """Date        Details                 Paid out    Paid in    Balance
02.01.2025  RENT FLAT 6               785.00
            CASH MARKET STREET         40.00              1,021.52
04.01.2025  HALDEN PRINT SALARY                2,214.36   3,235.88
            BOOTS 0387                  3.88              3,232.00"""
)


def test_a_booking_without_a_date_has_the_one_above_and_no_balance_of_another() -> None:
    wanted = columns(date="date", details="text", balance="money")
    found = rows(ONE_DATE_A_DAY, Array("transactions", wanted, {}), "Every entry")
    assert [row[0] for row in found] == ["02.01.2025", "02.01.2025", "04.01.2025", "04.01.2025"]
    assert [row[2] for row in found] == [None, "1,021.52", "3,235.88", "3,232.00"]


def test_what_is_outstanding() -> None:
    wanted = columns(artikelnr="text", fehlmenge="number")
    told = "Only the articles that were not delivered in full"
    found = rows(DELIVERY, Array("rueckstaende", wanted, {}), told)
    assert found == [["4408-115", "2"], ["9011-77", "6"]]


def test_codes_of_two_numbers_and_quantities_of_three_kinds() -> None:
    wanted = columns(
        position="number", article_number="text", ordered="number", delivered="number", outstanding="number"
    )
    assert texts(DELIVERY, Array("lines", wanted, {}))[1] == ["20", "4408-115", "8", "6", "2"]


CHARGES = document_from_text(
    """Charge                 Amount
Cleaning                45.00
Adjustment, cleaning    20.00
Repair of the door     180.00
Heating                 95.50"""
)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("Charges above 50 EUR", ["Repair of the door", "Heating"]),
        ("Charges of at most 45", ["Cleaning", "Adjustment, cleaning"]),
        ("Everything charged, not adjustments", ["Cleaning", "Repair of the door", "Heating"]),
        ("Everything charged", ["Cleaning", "Adjustment, cleaning", "Repair of the door", "Heating"]),
    ],
)
def test_limits_and_what_is_left_out(told: str, expected: list[str]) -> None:
    array = Array("charges", columns(charge="text", amount="money"), {})
    assert [row[0] for row in rows(CHARGES, array, told)] == expected


def test_the_title_above_a_row_without_its_number() -> None:
    page = document_from_text(
        """Pos    Menge   Bezeichnung              Preis    Gesamt
Titel 1: Treppenhaus
1.01       2   Deckenleuchte rund       10,00     20,00
1.02       3   Taster, beleuchtet        5,00     15,00
Titel 2: Tiefgarage
2.01       1   Wannenleuchte            54,30     54,30
2.02       2   Abzweigdose               7,65     15,30"""
    )
    told = 'Heading of the section the line belongs to, without "Titel" and its number'
    wanted = {"titel": Wanted(("titel",), description=told)} | columns(bezeichnung="text", gesamt="money")
    found = texts(page, Array("positionen", wanted, {}))
    assert [row[0] for row in found] == ["Treppenhaus", "Treppenhaus", "Tiefgarage", "Tiefgarage"]


def test_ends_of_a_range_and_sizes() -> None:
    ends = {"low": "ref low", "high": "ref high"}
    sizes = {"width": "width mm", "height": "height mm"}

    def parts(text: str, wanted: dict[str, str]) -> list[str | None]:
        found = part_cells({"text": text}, wanted).values()
        return [part["text"] if part else None for part in found]

    assert parts("130 - 170", ends) == ["130", "170"]
    assert parts("< 5.0 mmol/L", ends) == [None, "5.0"]
    assert parts("> 60", ends) == ["60", None]
    assert parts("1200 \u00d7 1350", sizes) == ["1200", "1350"]
    assert parts("none", ends) == [None, None]


def test_choices_by_another_word() -> None:
    assert meant("H", ["high", "low"]) == "high"
    assert meant("VISA DEBIT", ["cash", "debit card", "credit card"]) == "debit card"
    assert meant("Monday", ["high", "low"]) is None


RECEIPT = document_from_text(
    """SOURDOUGH LOAF                 3.25
MILK 2L
  2 x 1.65                     3.30
BANANAS LOOSE
  0.742 kg @ 1.15/kg           0.85
CHEDDAR MATURE                 4.50
  CARD PRICE SAVING           -1.00
BIN LINERS                     2.25 V
TOTAL                         13.15
VISA DEBIT                    13.15
CHANGE                         0.00"""
)


def test_weights_marks_and_reductions_of_a_receipt() -> None:
    wanted = columns(name="text", pieces="number", weight_kg="number", price="money", discount="money") | {
        "taxed": Wanted(("taxed",), choices=("yes", "no"), description="True if the line carries a V")
    }
    array = Array("items", wanted, {})
    assert texts(RECEIPT, array) == [
        ["SOURDOUGH LOAF", None, None, "3.25", None, "[ ]"],
        ["MILK 2L", "2", None, "3.30", None, "[ ]"],
        ["BANANAS LOOSE", None, "0.742", "0.85", None, "[ ]"],
        ["CHEDDAR MATURE", None, None, "4.50", "-1.00", "[ ]"],
        ["BIN LINERS", None, None, "2.25", None, "[x]"],
    ]
    weighed = columns(item="text", kilograms="number")
    assert rows(RECEIPT, Array("byWeight", weighed, {}), "Weighed goods") == [["BANANAS LOOSE", "0.742"]]


def test_payments_by_their_means_and_the_item_of_a_discount() -> None:
    means = {"means": Wanted(("means",), choices=("cash", "debit card"))} | columns(amount="money")
    assert texts(RECEIPT, Array("payments", means, {})) == [["VISA DEBIT", "13.15"]]
    saved = columns(item="text", reason="text", amount_off="money")
    found = texts(RECEIPT, Array("discounts", saved, {}))
    assert found == [["CHEDDAR MATURE", "CARD PRICE SAVING", "-1.00"]]


def test_a_grid_of_ticks_is_a_row_each() -> None:
    page = document_from_text(
        """How do you rate
                          Good      Fair      Poor
the group                 [x]       [ ]       [ ]
the water                 [ ]       [ ]       [x]
the rooms                 [ ]       [ ]       [ ]"""
    )
    wanted = columns(aspect="text") | {"rating": Wanted(("rating",), choices=("Good", "Fair", "Poor"))}
    assert texts(page, Array("ratings", wanted, {})) == [
        ["the group", "Good"],
        ["the water", "Poor"],
        ["the rooms", None],
    ]
