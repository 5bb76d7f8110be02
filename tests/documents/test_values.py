"""Amounts as texts state them."""

from __future__ import annotations

import time
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layoutllm_tool.documents.values import Mark, amount, decimal_mark, marks, money, read, readings

TABLE = tomllib.loads(Path(__file__).with_name("notations.toml").read_text(encoding="utf-8"))
ROWS = TABLE["amounts"]


@pytest.mark.parametrize("row", [*ROWS, *TABLE["percentages"]], ids=lambda row: repr(row[0]))
def test_the_notations_of_the_world(row: list[str]) -> None:
    text, *meanings = row
    found = read(text)
    assert (found.readings if found else ()) == tuple(map(Decimal, meanings))
    if found:
        assert found.value == (Decimal(meanings[0]) if len(meanings) == 1 else None)
        assert found.percent == (row in TABLE["percentages"]) and found.text == text.strip()


def test_the_table_is_large() -> None:
    assert len(ROWS) >= 120 and len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("€ 5", "EUR"), ("5 EUR", "EUR"), ("RM5", "MYR"), ("Rs. 5", "Rs"), ("$5", "$"), ("US$5", "USD"),
        ("$5 USD", "USD"), ("5 zł", "PLN"), ("5 kr.", "kr"), ("R$ 5", "BRL"), ("5円", "JPY"), ("5", None),
    ],
)  # fmt: skip
def test_currencies(text: str, currency: str | None) -> None:
    found = read(text)
    assert found and found.currency == currency


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("RM 1,234.50", "1234.5"),
        ("1.234,50 €", "1234.5"),
        ("1'234.50", "1234.5"),
        ("1 234,50", "1234.5"),
        ("1\u00a0234,5", "1234.5"),
        ("1,234,567.89", "1234567.89"),
        ("1234.567", "1234.567"),
        ("Total: 10 .00", "10"),
        ("10. 00", "10"),
        ("TOTAL RM5", "5"),
        ("S$5", "5"),
        ("¥1,234", "1234"),
        ("Rp 12.000", "12000"),
        ("12", "12"),
        ("0.125", "0.125"),
        ("1.125", None),
        ("10%", None),
        ("Total 12,000", None),
        ("Total $12,000", "12000"),
        ("38.60 Dr", "-38.60"),
        ("3,240 kg at NOK 2 880", "2880"),
        ("paid 1 433:-", None),
        ("(incl. 12,50 €)", "12.50"),
        ("the seller (428 euros)", None),
        ("4 000 € paid", None),
        ("5.00-6.00", None),
        ("$1.2 million", None),
        ("Sdn Bhd 1234", None),
        ("(5.00)", "-5"),
        ("(5.00", "5"),
        ("5.00-", "-5"),
        ("-$5.00", "-5"),
        ("$-5.00", "-5"),
        ("5.30 SR", "5.3"),
        ("5.30T", "5.3"),
        ("GST 6% 5.00", "5"),
        ("2 100.00", None),
        ("5.00 (5,00)", None),
        ("5.00 = 5,00 EUR", "5"),
        ("\u0663.\u0660\u0660", "3"),
    ],
)
def test_what_is_written(text: str, value: str | None) -> None:
    assert amount(text) == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "25.12.2018",
        "25-12-2018",
        "12:30",
        "10.00AM",
        "10.00kg",
        "6.00%",
        "6.00 %",
        "1O.00",
        "ab12.50",
        "5.00 6.00",
        "TABLE 5",
        "9" * 400,
        "1/2.50",
        "10, 50",
    ],
)
def test_what_is_no_amount_or_more_than_one(text: str) -> None:
    assert amount(text) is None


_cents = st.integers(0, 10**11)


@given(_cents, st.sampled_from([(",", "."), (".", ","), ("'", "."), ("", "."), ("", ","), ("\u202f", ",")]))
def test_grouping_and_decimal_marks_of_any_country(cents: int, marks: tuple[str, str]) -> None:
    group, point = marks
    written = f"{cents // 100:,}".replace(",", group) + f"{point}{cents % 100:02}"
    assert amount(written) == Decimal(cents) / 100
    assert amount(f"Total {written} RM") == Decimal(cents) / 100
    assert amount(f"-{written}") == -Decimal(cents) / 100


_SIGNS = " 0123456789.,-()RM$'A\u00a0%"


@given(st.text(alphabet=_SIGNS, max_size=60))
def test_any_text_gives_a_finite_number_of_its_own_digits_or_none(text: str) -> None:
    found = amount(text)
    assert found is None or (
        found.is_finite()
        and f"{abs(found):f}".replace(".", "").strip("0") in "".join(filter(str.isdigit, text))
    )


_amounts = st.from_regex(
    r"[-+(]?(?:\$|RM |€)?\d{1,3}(?:[,.' ]\d{2,3}){0,3}(?:[.,]\d{1,4}|[.,]-)?(?: €| kr| CR|-|\)|%)?",
    fullmatch=True,
)


@given(st.one_of(st.text(alphabet=_SIGNS, max_size=12), _amounts))
def test_no_printed_digit_is_dropped(text: str) -> None:
    """Leading zeros aside, the digits of every reading are those of the text, in their order."""
    printed = "".join(str(int(c)) for c in text if c.isdecimal())
    found = read(text)
    for value in found.readings if found else ():
        digits = "".join(map(str, value.as_tuple().digits))
        assert digits.lstrip("0") == printed.lstrip("0")


@given(_amounts, st.sampled_from([".", ","]))
def test_the_page_chooses_among_the_readings(text: str, mark: Mark) -> None:
    alone, there = read(text), read(text, mark)
    assert (alone is None) == (there is None)
    if alone and there:
        assert there.value is not None
        assert there.value in alone.readings or alone.currency is not None


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["Total RM 12.50"], "."),
        (["Total 12,50 €"], ","),
        (["Total 62.50", "7.99"], "."),
        (["12,50 and 3,10"], ","),
        (["12,50"], None),
        (["12.30", "18.45", "24.12"], None),
        (["1.234.567"], ","),
        (["1'234.50"], "."),
        (["£1,234"], "."),
        (["1.234 zł"], ","),
        (["€ 3,50", "62.30", "18.65", "33.99"], ","),
        (["1.250,00", "0.5", "3.10"], ","),
        (["0.125", "0.5"], "."),
        (["62.50", "62,50"], None),
        (["62.50"] * 9 + ["62,50"], "."),
        (["62.50"] * 8 + ["62,50"], None),
        (["$ 12.50", "€ 12,50"], None),
        (["1.234", "12", "chapter 1.2", "25.12.", "25.12.2018"], None),
        ([], None),
    ],
)
def test_the_decimal_mark_that_a_page_shows(texts: list[str], mark: Mark | None) -> None:
    assert decimal_mark(texts) == mark
    assert marks(texts) == ((mark,) if mark else (".", ","))


def test_a_page_decides_what_is_ambiguous() -> None:
    assert (amount("1.234", ","), amount("1.234", ".")) == (Decimal(1234), Decimal("1.234"))
    assert amount("€ 1.234 due", ",") == 1234 and amount("£1.234", ",") == 1234
    assert readings("€ 1.234 due") == (Decimal(1234), Decimal("1.234"))
    assert [found.value for *_, found in money("€ 6.200  € 45")] == [None, Decimal(45)]
    assert [found.value for *_, found in money("€ 6.200  € 45", ",")] == [Decimal(6200), Decimal(45)]


def test_the_amounts_of_a_line_and_where_they_stand() -> None:
    line = "3 X RM 4.00  A5 12 .00 SR -0.50 7"
    assert [(line[start:stop], found.value) for start, stop, found in money(line)] == [
        ("RM 4.00", Decimal(4)),
        ("12 .00", Decimal(12)),
        ("-0.50", Decimal("-0.5")),
    ]
    assert not list(money("12,000 and 7 of 25.12.2018"))


@pytest.mark.parametrize("part", ["1", "1,111", "1 111", "1.", "(", "-", " ", "$ ", "1 ,"])
def test_long_texts_take_linear_time(part: str) -> None:
    begun = time.process_time()
    amount(part * 20_000)
    assert time.process_time() - begun < 2
