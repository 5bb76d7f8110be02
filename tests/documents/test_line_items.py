"""Tables and line items, read from the geometry of pages made from text and of a real PDF."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layoutllm_tool.documents import load_document
from layoutllm_tool.documents.geometry import Document, Page, box_of
from layoutllm_tool.documents.line_items import Row, Table, read_tables
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.testing import document_from_text, page_from_text
from tests.pdfs import make_pdf, text


def tables(*pages: str) -> list[tuple[Table, Document]]:
    document = document_from_text(*pages)
    return [(table, document) for table in read_tables(document.pages)]


def only(*pages: str) -> tuple[Table, Document]:
    (found,) = tables(*pages)
    return found


def says(found: tuple[Table, Document], row: Row) -> list[str]:
    table, document = found
    page = document.page(row.page)
    return [table.text(page, row, column) for column in range(len(table.kinds))]


def rows(found: tuple[Table, Document], *roles: str) -> list[list[str]]:
    return [says(found, row) for row in found[0].rows if not roles or row.role in roles]


def left_out(found: tuple[Table, Document]) -> list[str]:
    return [" ".join(filter(None, says(found, row))) for row in found[0].left_out]


INVOICE = """\
Harbour Coffee Supplies Ltd                     Invoice number:   HC-2024-0318
27 Quay Street                                  Invoice date:     14 March 2024
Whitby YO21 1DN                                 Due date:         13 April 2024

Description                       Qty     Unit price       Amount
Espresso beans, 1 kg                6          18.50       111.00
Filter papers, box of 100           4           3.20        12.80
Grinder service, on site                                    85.00
Subtotal                                                   208.80
VAT 20%                                                     41.76
Total due                                                  250.56

Please pay within 30 days of the date above, by bank transfer.
"""


def test_an_invoice_has_one_table_and_its_sums_are_left_out() -> None:
    found = only(INVOICE)
    table, document = found
    assert table.headers == ("Description", "Qty", "Unit price", "Amount")
    assert table.kinds == ("text", "quantity", "unit price", "amount")
    assert rows(found) == [
        ["Espresso beans, 1 kg", "6", "18.50", "111.00"],
        ["Filter papers, box of 100", "4", "3.20", "12.80"],
        ["Grinder service, on site", "", "", "85.00"],  # columns that are empty in some rows
    ]
    assert left_out(found) == ["Subtotal 208.80", "VAT 20% 41.76", "Total due 250.56"]
    assert {row.role for row in table.left_out} == {"sum"}
    assert table.head is not None and says(found, table.head) == list(table.headers)
    box = box_of(document.page(1), table.rows[0].cells[3])
    assert box.x0 > box_of(document.page(1), table.rows[0].cells[2]).x1


def test_wrapped_descriptions_belong_to_the_row_above() -> None:
    found = only("""\
Item                              Qty       Price      Amount
Galvanised chain, short link,       1       85.00       85.00
10 mm, cut to length
Winch handle                        2       19.25       38.50
Lifejacket 170N, automatic,         1       94.00       94.00
with harness loop and
sprayhood, navy
Total                                                  217.50
""")
    assert [row[0] for row in rows(found)] == [
        "Galvanised chain, short link, 10 mm, cut to length",
        "Winch handle",
        "Lifejacket 170N, automatic, with harness loop and sprayhood, navy",
    ]


def test_or_to_the_row_below_where_names_stand_before_their_numbers() -> None:
    found = only("""\
DESCRIPTION           QTY     PRICE    AMOUNT
SMOKED DUCK SPAGHETTI
                        1     12.50     12.50
HOT GREEN TEA
                        2      3.00      6.00
TOTAL QTY: 3
TOTAL                                   18.50
CASH                                    20.00
CHANGE                                   1.50
""")
    assert rows(found) == [
        ["SMOKED DUCK SPAGHETTI", "1", "12.50", "12.50"],
        ["HOT GREEN TEA", "2", "3.00", "6.00"],
    ]
    assert len(found[0].left_out) == 4


def test_a_code_with_the_numbers_and_the_name_below() -> None:
    found = only("""\
ITEM                  QTY   S/PRICE    AMOUNT
1943                    2     11.66     23.32
HOES SET
20177                   1      7.00      7.00
SPRAY PAINT
TOTAL                                   30.32
""")
    assert rows(found) == [
        ["HOES SET", "1943", "2", "11.66", "23.32"],
        ["SPRAY PAINT", "20177", "1", "7.00", "7.00"],
    ]
    assert found[0].kinds == ("text", "number", "quantity", "unit price", "amount")


def test_heads_over_several_lines() -> None:
    found = only("""\
                               Unit      Net
Article             Ordered    price     amount
Blue paint                3     4.00      12.00
Brush                     1     2.50       2.50
""")
    assert found[0].headers == ("Article", "Ordered", "Unit price", "Net amount")
    assert len(found[0].rows) == 2


def test_columns_without_a_gap_are_parted_where_others_begin() -> None:
    found = only("""\
Description                     Qty Unit    Price    Amount
Anchor chain, calibrated         45 m        6.85    308.25
Marine sealant, white, extra big 24 ctg      7.95    190.80
Fender                            8 ea      19.40    155.20
""")
    assert rows(found) == [
        ["Anchor chain, calibrated", "45", "m", "6.85", "308.25"],
        ["Marine sealant, white, extra big", "24", "ctg", "7.95", "190.80"],
        ["Fender", "8", "ea", "19.40", "155.20"],
    ]


# -- receipts ------------------------------------------------------------------------------------------------


def test_a_receipt_without_a_head() -> None:
    found = only("""\
       CORNER SHOP
     12 Mill Lane
Date: 12/03/2024   Till: 2
Milk 2L                1.65
Sourdough loaf         3.20
Eggs                   3.45
SUBTOTAL               8.30
ROUNDING               0.00
TOTAL                  8.30
CARD                   8.30
    THANK YOU
""")
    assert rows(found) == [["Milk 2L", "1.65"], ["Sourdough loaf", "3.20"], ["Eggs", "3.45"]]
    assert found[0].headers == ("", "") and found[0].kinds == ("text", "amount")
    assert [line.split()[0] for line in left_out(found)] == ["SUBTOTAL", "ROUNDING", "TOTAL", "CARD"]


@pytest.mark.parametrize(
    "line", ["2 x 3.50", "2 @ 3.50", "2 PCS @ 3.50", "2X3.50", "3.50*2", "2 X RM 3.50", "2 St. à 3.50"]
)
@pytest.mark.parametrize("below", [True, False])
def test_quantities_and_unit_prices_on_a_line_of_their_own(line: str, below: bool) -> None:
    first = [f"{'Hafermilch':22}{'7.00':>8}", f"   {line}"]
    if not below:
        first = ["Hafermilch", f"   {line:19}{'7.00':>8}"]
    found = only("\n".join([*first, f"{'Brot':22}{'4.00':>8}", f"{'TOTAL':22}{'11.00':>8}"]))
    assert found[0].kinds == ("text", "quantity", "unit price", "amount")
    assert rows(found) == [["Hafermilch", "2", "3.50", "7.00"], ["Brot", "", "", "4.00"]]


def test_codes_and_quantities_before_names() -> None:
    found = only("""\
QTY DESCRIPTION              AMOUNT
1 Ribs platter               259.90
2 Apple juice                 27.80
12 Garden salad               74.90
TOTAL                        362.60
""")
    assert [row[:2] for row in rows(found)] == [
        ["1", "Ribs platter"],
        ["2", "Apple juice"],
        ["12", "Garden salad"],
    ]
    coded = only("2506 LOKAM S         62.50\n2508 LOKAM M         79.00\nTOTAL             141.50")
    assert [row[:2] for row in rows(coded)] == [["2506", "LOKAM S"], ["2508", "LOKAM M"]]
    assert coded[0].kinds == ("code", "text", "amount")


def test_parts_and_discounts_are_rows_of_their_own() -> None:
    found = only("""\
Flat white                4.75
    Oat milk              0.80
    No sugar
Breakfast burrito        10.50
2 for 1 offer            -3.00
Green tea                 2.95
TOTAL                    16.00
""")
    assert [(row.role, says(found, row)[-2:]) for row in found[0].rows] == [
        ("item", ["Flat white", "4.75"]),
        ("part", ["Oat milk No sugar", "0.80"]),
        ("item", ["Breakfast burrito", "10.50"]),
        ("discount", ["2 for 1 offer", "-3.00"]),
        ("item", ["Green tea", "2.95"]),
    ]


def test_a_subtotal_of_no_known_name_is_known_by_its_value() -> None:
    found = only("Oil change        80.00\nBrake pads       120.00\nWork together    200.00\n")
    assert rows(found) == [["Oil change", "80.00"], ["Brake pads", "120.00"]]
    counted = only("Coffee         2.00\nCake           3.00\nLunch          5.00\nTOTAL         10.00\n")
    assert len(counted[0].rows) == 3


def test_items_that_are_named_like_sums() -> None:
    found = only("""\
Item                          Qty     Price    Amount
Total station, rental           3    120.00    360.00
Cash box, steel                 1     25.00     25.00
Total                                          385.00
""")
    assert [row[0] for row in rows(found)] == ["Total station, rental", "Cash box, steel"]


# -- over pages, side by side, several -----------------------------------------------------------------------

STATEMENT = (
    """\
Date      Details                        Paid out    Paid in     Balance
          Balance brought forward                               1,842.17
02 Jun    Standing order RENT              795.00               1,047.17
03 Jun    Bank credit SALARY                         2,310.44   3,357.61
          Cash machine FARGATE              60.00               3,297.61
          Carried forward                                       3,297.61
Calder Bank plc
""",
    """\
Calder Bank plc, sheet 2


          Brought forward                                       3,297.61
09 Jun    Direct debit ENERGY               88.00               3,209.61
          MANDATE 4471
30 Jun    Card GYM                          29.99               3,179.62
          Closing balance                                       3,179.62
""",
)


def test_a_table_goes_on_over_pages_with_its_head_on_the_first_alone() -> None:
    found = only(*STATEMENT)
    assert rows(found) == [
        ["02 Jun", "Standing order RENT", "795.00", "", "1,047.17"],
        ["03 Jun", "Bank credit SALARY", "", "2,310.44", "3,357.61"],
        ["", "Cash machine FARGATE", "60.00", "", "3,297.61"],
        ["09 Jun", "Direct debit ENERGY MANDATE 4471", "88.00", "", "3,209.61"],
        ["30 Jun", "Card GYM", "29.99", "", "3,179.62"],
    ]
    assert [row.page for row in found[0].rows] == [1, 1, 1, 2, 2]
    assert found[0].kinds == ("date", "text", "amount", "amount", "amount")
    assert len(found[0].left_out) == 4


def test_a_repeated_head_is_no_row() -> None:
    head = f"{'Item':20}{'Qty':>6}{'Amount':>12}"
    found = only(
        f"{head}\n{'Bench':20}{'2':>6}{'498.00':>12}\n{'Parasol':20}{'1':>6}{'159.00':>12}",
        f"{head}\n{'Lamp':20}{'3':>6}{'60.00':>12}\n{'Rug':20}{'1':>6}{'90.00':>12}",
    )
    assert [row[0] for row in rows(found)] == ["Bench", "Parasol", "Lamp", "Rug"]
    assert [(row.page, row.role) for row in found[0].left_out] == [(2, "head")]


def test_two_tables_beside_each_other() -> None:
    earnings, deductions = tables("""\
Earnings        Units    Rate     Amount    Deductions           Amount
Basic pay      152.00   14.25    2166.00    PAYE tax             263.80
Overtime        10.00   21.37     213.70    National Insurance   106.54
                                            Pension              118.99
Gross pay                        2379.70    Total                489.33
""")
    assert rows(earnings) == [
        ["Basic pay", "152.00", "14.25", "2166.00"],
        ["Overtime", "10.00", "21.37", "213.70"],
    ]
    assert rows(deductions) == [
        ["PAYE tax", "263.80"],
        ["National Insurance", "106.54"],
        ["Pension", "118.99"],
    ]


def test_two_tables_above_each_other() -> None:
    items, plan = tables("""\
Item                    Qty     Price     Total
Garden bench              2    249.00    498.00
Parasol                   1    159.00    159.00
Total                                    657.00


Instalment     Due date            Amount
First          1 July 2025         300.00
Second         1 August 2025       357.00
""")
    assert [row[0] for row in rows(items)] == ["Garden bench", "Parasol"]
    assert rows(plan) == [["First", "1 July 2025", "300.00"], ["Second", "1 August 2025", "357.00"]]
    assert plan[0].kinds[1] == "date"


# -- tables without amounts, other languages -----------------------------------------------------------------


def test_a_report_with_titles_ranges_and_empty_cells() -> None:
    found = only("""\
Test                   Result    Unit       Reference range    Flag
Haematology
   Haemoglobin            128    g/L          120 - 160
   White cells           11.9    10^9/L       4.0 - 11.0         H
Chemistry
   Sodium                 139    mmol/L       135 - 145
   Ratio                  3.9                 < 4.5
""")
    assert rows(found) == [
        ["Haemoglobin", "128", "g/L", "120 - 160", ""],
        ["White cells", "11.9", "10^9/L", "4.0 - 11.0", "H"],
        ["Sodium", "139", "mmol/L", "135 - 145", ""],
        ["Ratio", "3.9", "", "< 4.5", ""],
    ]
    assert [(row.role, *filter(None, says(found, row))) for row in found[0].left_out] == [
        ("title", "Haematology"),
        ("title", "Chemistry"),
    ]


def test_a_table_of_words_alone_needs_a_head_that_is_known() -> None:
    body = "Levothyroxine     one tablet    once a day\nSumatriptan       two drops     when needed\n"
    found = only(f"Medicine          Dose          How often\n{body}")
    assert rows(found)[1] == ["Sumatriptan", "two drops", "when needed"]
    assert tables(body) == []


def test_a_german_invoice() -> None:
    found = only("""\
Pos   Bezeichnung                Menge   Einh.   Einzelpreis   Gesamtpreis
1     Zimmertür Eiche             4,00   Stk          318,00      1.272,00
2     Montagearbeiten            14,50   Std           56,00        812,00
      Übertrag                                                    2.084,00
3     Anfahrt                     2,00   Stk           24,00         48,00
      Zwischensumme                                               2.132,00
      zzgl. 19 % MwSt.                                              405,08
      Rechnungsbetrag                                             2.537,08
""")
    assert [row[1] for row in rows(found)] == ["Zimmertür Eiche", "Montagearbeiten", "Anfahrt"]
    assert found[0].kinds == ("code", "text", "quantity", "text", "unit price", "amount")
    assert len(found[0].left_out) == 4


def test_a_japanese_invoice() -> None:
    found = only("""\
品名             数量        単価        金額
コピー用紙         20     2,480    49,600
トナー            4    12,800    51,200
小計                           100,800
消費税(10%)                      10,080
合計                           110,880
""")
    assert rows(found) == [["コピー用紙", "20", "2,480", "49,600"], ["トナー", "4", "12,800", "51,200"]]
    assert found[0].kinds == ("text", "quantity", "unit price", "amount")


def test_quantity_and_price_are_known_by_their_product() -> None:
    found = only("""\
Ware               Plan     Ist    RSP      Betrag
Kuchen                1       5   2.13       10.65
Brot                  9      12   2.78       33.36
""")
    assert found[0].kinds == ("text", "number", "quantity", "unit price", "amount")


# -- what is no table ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        "",
        "Mrs Eleanor Whitcombe\n27 Burras Avenue\nOtley\nLS21 3ET",
        "Invoice no:   4711       Date:       12.05.2024\nCustomer:     K-123      Due date:   11.06.2024",
        "Employee     Ms Oduya    Pay date     27 June 2025\nEmployee no. 20417       Tax period   Month 3",
        "Amount due:     25.94\nPrevious bill:  20.00\nPaid:           20.00",
        "Account number     Bill date        Bill number\nA-5520 7714        14 April 2025    000927316",
        "The rent is 950.00 a month.\nA deposit of 1,900.00 was paid on 3 May\nand will be paid back then.",
        "the rent for the whole of the flat is 950.00\nand what we shall charge for the heating 120.00",
        "Do you smoke?       yes     no\nHow often?          1-2     3-4\nWhich stop?         12      14",
    ],
)
def test_keys_with_values_addresses_and_prose_are_no_tables(page: str) -> None:
    assert tables(page) == []


def test_running_text_ends_a_table() -> None:
    found = only(f"{INVOICE}All workmanship is guaranteed for 12 months from the date of the visit.\n")
    assert "workmanship" not in " ".join(left_out(found)) and len(found[0].rows) == 3


def test_pages_without_words() -> None:
    assert read_tables([]) == []
    assert read_tables([Page(1, 100, 100, ()), Page(2, 100, 100)]) == []


# -- any page ------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "Item",
        "Qty",
        "Amount",
        "Total",
        "12.50",
        "3",
        "2 x 3.50",
        "@4.00",
        "A-17",
        "Blue paint",
        ":",
        "3X8.00",
        "5%",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(WORDS, min_size=0, max_size=5), max_size=12))
def test_every_cell_is_of_its_page_and_every_word_stands_in_one_row(lines: list[list[str]]) -> None:
    page = page_from_text("\n".join("   ".join(line) for line in lines))
    for table in read_tables([page]):
        assert len(table.headers) == len(table.kinds)
        seen: set[tuple[int, int]] = set()
        for row in (*table.rows, *table.left_out):
            assert len(row.cells) == len(table.kinds)
            words = {word for cell in row.cells for word in cell}
            assert not words & seen and all(page.lines and page.lines[i].words[j] for i, j in words)
            seen |= words
        assert all(any(row.cells) for row in table.rows)


def test_a_real_pdf(tmp_path: Path) -> None:
    grid = [
        ("Description", "Qty", "Price", "Amount"),
        ("Call-out within 20 miles", "1", "65.00", "65.00"),
        ("Thermostatic cartridge", "2", "84.30", "168.60"),
        ("Seal kit", "1", "9.95", "9.95"),
        ("Total", "", "", "243.55"),
    ]
    content = text("INVOICE", 60, 740, size=24)
    for i, row in enumerate(grid):
        for words, x in zip(row, (60, 330, 400, 480), strict=True):
            content += text(words, x, 600 - 22 * i, size=11) if words else ""
    path = tmp_path / "invoice.pdf"
    path.write_bytes(make_pdf(content))
    document = load_document(path, access=Access.anywhere())
    (table,) = read_tables(document.pages)
    assert [says((table, document), row) for row in table.rows] == [list(row) for row in grid[1:4]]
    assert table.headers == grid[0]


def test_sections_with_their_sums_beside_the_titles() -> None:
    found = only(
        """\
Work                              Quantity        Rate       Price
Preparation                                                 120.00
   Clear the lawn                       10        8.00       80.00
   Remove the spoil                      4       10.00       40.00
Planting                                                     90.00
   Topsoil, spread                       9       10.00       90.00
Total                                                       210.00
"""
    )
    assert [row[0] for row in rows(found)] == ["Clear the lawn", "Remove the spoil", "Topsoil, spread"]
    assert left_out(found)[:2] == ["Preparation 120.00", "Planting 90.00"]


def test_a_summary_of_taxes_beside_the_totals() -> None:
    found = tables(
        """\
Item        Description                 Qty     Unit price      Net amount
A-1         Anchor chain, galvanised      2          50.00          100.00
A-2         Marine sealant, white         3          20.00           60.00
A-3         Tidal atlas, spiral           1          40.00           40.00


Rate              Net         VAT                   Goods total        200.00
20 %           160.00       32.00                   Carriage            10.00
0 %             40.00        0.00                   Sum of VAT          32.00
"""
    )
    assert rows(found[1]) == [["20 %", "160.00", "32.00"], ["0 %", "40.00", "0.00"]]


def test_options_after_the_sums_are_a_list_of_their_own() -> None:
    found = tables(
        """\
Item                          Qty     Unit price        Total
Panel, 415 W                   16         100.00     1,600.00
Inverter                        1         900.00       900.00
Subtotal                                              2,500.00
Total                                                 2,500.00
Optional extras
A      Home battery, installed                        7,900.00
B      Critter guard                                    480.00
C      Extended warranty                              1,150.00
D      EV charger, hardwired                        on request
"""
    )
    assert [row[0] for row in rows(found[1])] == ["A", "B", "C", "D"]
    assert rows(found[1])[3][2] == "on request"


def test_lines_under_an_item_are_kept_apart() -> None:
    found = only(
        """\
Item                      Qty        Price       Amount
Line array package          1     1,450.00     1,450.00
    8 x array element
    4 x subwoofer
Mixing console              2       320.00       640.00
Stage deck                  1       540.00       540.00
"""
    )
    first = found[0].rows[0]
    assert [says(found, line)[0] for line in first.below] == ["8 x array element", "4 x subwoofer"]
    assert not found[0].rows[1].below


def test_balances_are_no_bookings_and_a_tax_code_is_no_billion() -> None:
    statement = """\
Datum          Text                              Betrag
               Kontostand am 28.02.2025        4.310,22
03.03.2025     Lastschrift Energie               214,00
05.03.2025     Bareinzahlung                   3.195,00
               Kontostand am 31.03.2025        6.135,77
"""
    assert [row[1] for row in rows(only(statement))] == ["Lastschrift Energie", "Bareinzahlung"]
    receipt = (
        "ERDE TORFFREI 40L        22,47 A\nLAVENDEL 12CM            17,94 B\nBASILIKUM BIO             2,49 B"
    )
    assert [row[1] for row in rows(only(receipt))] == ["22,47", "17,94", "2,49"]


def test_a_sum_on_a_later_page_counts_the_rows_of_all() -> None:
    head = "Pos   Artikel              Menge     Preis      Betrag"
    first = """
1     Kabel                    2     10,00       20,00
2     Schalter                 1     30,00       30,00"""
    second = """
3     Dose                     5     10,00       50,00
      Warenwert                                 100,00
      Fracht                                      9,50"""
    assert len(rows(only(head + first, head + second))) == 3


def test_a_row_named_like_a_sum_between_whole_items_is_one() -> None:
    found = only(
        """\
Deduction         This month       To date
Tax                   300.00        900.00
National Ins.         120.00        360.00
Pension                50.00        150.00
Total                 470.00      1,410.00
"""
    )
    assert [row[0] for row in rows(found)] == ["Tax", "National Ins.", "Pension"]
