"""Which table and which columns an array means; marks, labels and currencies on the page."""

from collections.abc import Sequence

import pytest

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.extraction.labels import printed_label
from layoutllm_tool.extraction.marks import all_ticked, printed_currency, printed_mark, ticked
from layoutllm_tool.extraction.row_cells import Array
from layoutllm_tool.extraction.rows import Wanted, roles_of
from layoutllm_tool.extraction.tables import rows_of
from layoutllm_tool.testing import document_from_text


def unlike(texts: Sequence[str], others: Sequence[str]) -> list[list[float]]:
    """No two texts mean the same: letters, roles and types alone decide."""
    return [[0.0] * len(others) for _ in texts]


def columns(**types: str) -> dict[str, Wanted]:
    return {name: Wanted((name.replace("_", " "),), kind, required=True) for name, kind in types.items()}  # type: ignore[arg-type]


def texts(document: Document, array: Array) -> list[list[str | None]]:
    rows = rows_of(document, "?", array, unlike)[1]
    return [[cell and cell["text"] for cell in row.values()] for row in rows]


GERMAN = document_from_text(
    """Rechnung 17

Pos   Bezeichnung         Menge   Einzelpreis    Gesamt
1     Tisch, Eiche            2        100,00    200,00
2     Stuhl                   4         50,00    200,00
Zwischensumme                                    400,00"""
)


def test_columns_by_role_in_another_language() -> None:
    wanted = columns(description="text", quantity="number", unit_price="money", amount="money")
    assert texts(GERMAN, Array("items", wanted, {})) == [
        ["Tisch, Eiche", "2", "100,00", "200,00"],
        ["Stuhl", "4", "50,00", "200,00"],
    ]


def test_price_is_the_amount_beside_a_unit_price() -> None:
    wanted = columns(name="text", quantity="number", unit_price="money", price="money")
    assert texts(GERMAN, Array("items", wanted, {}))[0] == ["Tisch, Eiche", "2", "100,00", "200,00"]


TWO = document_from_text(
    """Earnings            Units      Amount
Basic salary           1    2,000.00
Overtime               5      100.00

Deductions      This month    To date
PAYE                300.00     900.00
Pension              50.00     150.00"""
)


def test_the_table_that_is_named() -> None:
    wanted = columns(label="text", this_month="money")
    assert texts(TWO, Array("deductions", wanted, {})) == [["PAYE", "300.00"], ["Pension", "50.00"]]
    earned = columns(label="text", amount="money")
    assert texts(TWO, Array("earnings", earned, {}))[0] == ["Basic salary", "2,000.00"]


def test_debit_and_credit_behind_the_amount_are_its_sign() -> None:
    head = "Datum        Text        Betrag\n"
    text = f"{head}01.04.2025   Miete       500,00 S\n02.04.2025   Lohn      1.000,00 H"
    wanted = columns(date="date", text="text", amount="money")
    rows = texts(document_from_text(text), Array("items", wanted, {}))
    assert [row[2] for row in rows] == ["500,00 S", "1.000,00 H"]


def test_rows_go_on_over_pages_whose_columns_shift() -> None:
    head = "Item           Quantity     Amount\n"
    first = head + "".join(f"Part {n}              {n}       {n}.50\n" for n in range(1, 6))
    second = "".join("  " + line + "\n" for line in first.replace("Part ", "Part 1").splitlines())
    rows = texts(document_from_text(first, second), Array("items", columns(item="text", amount="money"), {}))
    assert [row[0] for row in rows] == [f"Part {n}" for n in (1, 2, 3, 4, 5, 11, 12, 13, 14, 15)]


def test_an_unnamed_table_is_less_sure() -> None:
    sure = rows_of(TWO, "?", Array("deductions", columns(label="text", this_month="money"), {}), unlike)[0]
    other = rows_of(TWO, "?", Array("donations", columns(label="text", this_month="money"), {}), unlike)[0]
    assert sure.confidence > 0.8 > other.confidence


def test_no_table() -> None:
    cot, rows = rows_of(document_from_text("Dear Sir"), "?", Array("items", columns(a="text"), {}), unlike)
    assert cot.answer is None and rows == []


@pytest.mark.parametrize(
    ("name", "role"),
    [("qty", "quantity"), ("E-Preis €", "unit_price"), ("単価", "unit_price"), ("SKU", "code")],
)
def test_roles(name: str, role: str) -> None:
    assert role in roles_of(name)


FORM = document_from_text(
    """Member no:   77
Smoker            [x] Yes    [ ] No
Marital status    [ ] Single   [x] Married   [ ] Widowed
Pets              [x] Cat   [x] Dog   [ ] Fish
Total: £12.00     approved by GENEHMIGT"""
)


def test_ticks() -> None:
    smoker = ticked(FORM, "Is it smoker?", "smoker", ["yes", "no"], unlike)
    assert smoker is not None and smoker.answer == "Yes" and smoker.evidence
    status = ticked(FORM, "?", "status", ["single", "married", "widowed"], unlike)
    assert status is not None and status.answer == "Married"
    pets = all_ticked(FORM, "?", "pets", ["cat", "dog", "fish"])
    assert pets is not None and [e.text for e in pets.evidence] == ["Cat", "Dog"]
    assert ticked(document_from_text("No boxes here"), "?", "smoker", ["yes", "no"], unlike) is None


def test_printed_marks_and_currencies() -> None:
    mark = printed_mark(FORM, "?", "Genehmigt")
    assert mark is not None and mark.answer == "GENEHMIGT"
    assert printed_mark(FORM, "?", "PAID") is None
    money = printed_currency(FORM, "?", ["EUR", "GBP"])
    assert money is not None and money.answer == "£12.00"
    assert printed_currency(FORM, "?", ["EUR", "USD"]) is None


@pytest.mark.parametrize(
    ("text", "path", "label"),
    [
        ("Rechnungs-Nr:   17", ("invoice_no",), "Rechnungs-Nr"),
        ("Member no:   77", ("member_no",), "Member no"),
        ("VAT Reg No:   17", ("company_number",), None),
        ("Invoice\nTotal:   5.00", ("invoice_total",), None),
        ("Email:   a@b.org", ("customer", "email"), None),
        ("Total:   1.00\nTotal:   2.00", ("total",), None),
        ("we call it due soon", ("due_date",), None),
    ],
)
def test_a_label_that_is_printed_once(text: str, path: tuple[str, ...], label: str | None) -> None:
    assert printed_label(document_from_text(text), path) == label


STATEMENT = """\
Buchung     Wert        Vorgang / Verwendungszweck            Soll EUR    Haben EUR
01.07.      02.07.      Dauerauftrag Wohnbau GmbH               845,00
                        Miete Juli
04.07.      04.07.      Gutschrift Finanzamt                                 317,66
                        Erstattung 2024
07.07.      08.07.      Lastschrift Telia                        29,99
                        Rechnung 8812
"""


def test_lines_of_a_cell_and_the_two_dates_of_a_booking() -> None:
    wanted = columns(booking_date="date", value_date="date", title="text", purpose="text")
    found = texts(document_from_text(STATEMENT), Array("transactions", wanted, {}))
    assert found[0] == ["01.07.", "02.07.", "Dauerauftrag Wohnbau GmbH", "Miete Juli"]


def test_one_signed_amount_from_debits_and_credits() -> None:
    rows = rows_of(
        document_from_text(STATEMENT), "?", Array("bookings", columns(amount="money"), {}), unlike
    )[1]
    assert [(row["amount"]["text"], row["amount"].get("negative", False)) for row in rows] == [
        ("845,00", True), ("317,66", False), ("29,99", True),
    ]  # fmt: skip


def test_sub_items_by_their_columns_and_a_label_in_the_name() -> None:
    order = document_from_text(
        """\
Item   Description                     Qty    Unit       Price       Value
10     Control cabinet, assembled        2    pc      3,480.00    6,960.00
       Material no. NH-880021
         10.1  Main switch 80 A          2    pc
         10.2  Power supply 24 V         4    pc
20     Cable set, 15 m                   2    set       415.00      830.00
30     Commissioning                     1    day       890.00      890.00"""
    )
    inner = columns(item_no="text", description="text", quantity="number", unit="text")
    wanted = columns(position="number", description="text", material_no="text", value="money")
    rows = rows_of(
        order, "?", Array("items", wanted, {"components": Array("components", inner, {})}), unlike
    )[1]
    first = rows[0]
    assert (first["description"]["text"], first["material_no"]["text"]) == (
        "Control cabinet, assembled", "NH-880021",
    )  # fmt: skip
    assert [[cell["text"] for cell in one.values()] for one in first["components"]] == [
        ["10.1", "Main switch 80 A", "2", "pc"], ["10.2", "Power supply 24 V", "4", "pc"],
    ]  # fmt: skip
    assert not rows[1]["components"]


def test_only_the_rows_that_are_meant() -> None:
    claim = document_from_text(
        """\
Date          Description         Receipt       Amount
02/09/2025    Farm visits                        37.80
04/09/2025    Working lunch       R1             14.60
09/09/2025    Train, return       R2             46.20"""
    )
    array = Array("expenses", columns(receipt="text", amount="money"), {})
    rows = rows_of(claim, "What are the rows? Only lines that have a receipt", array, unlike)[1]
    assert [row["receipt"]["text"] for row in rows] == ["R1", "R2"]
    assert len(texts(claim, array)) == 3


def test_boxes_in_rows_are_yes_or_no() -> None:
    options = document_from_text(
        """\
Option                        Price    Selected
Drip irrigation              640.00       [x]
Path lighting              1,120.00       [ ]
Fire bowl                    395.00       [x]"""
    )
    wanted = columns(option="text", price="money") | {
        "selected": Wanted(("selected",), "number", ("yes", "no"), required=True)
    }
    assert [row[2] for row in texts(options, Array("options", wanted, {}))] == ["[x]", "[ ]", "[x]"]
