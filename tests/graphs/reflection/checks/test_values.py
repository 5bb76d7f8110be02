"""Columns of amounts and misread digits, as the checks read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layoutllm_graphs.reflection.checks.values import LONGEST, amounts, misreading, to_the_cent
from layoutllm_tool.documents.values import amount

CENTS = st.integers(min_value=0, max_value=10**11).map(lambda cents: Decimal(cents) / 100)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("RM 12.30", "12.30"),
        ("10 .00", "10.00"),
        ("12.30-", "-12.30"),
        ("(12.30)", "-12.30"),
        ("12", "12"),
    ],
)
def test_amounts_as_receipts_and_ocr_write_them(text: str, value: str) -> None:
    assert amounts(text) == [Decimal(value)]


@given(CENTS, st.sampled_from([",.", ".,", "'."]), st.sampled_from(["", "RM ", "$", "EUR "]), st.booleans())
def test_every_amount_is_read_as_it_was_written(
    value: Decimal, marks: str, currency: str, negative: bool
) -> None:
    grouped = f"{value:,.2f}".replace(",", "g").replace(".", marks[1]).replace("g", marks[0])
    text = f"-{currency}{grouped}" if negative else f"{currency}{grouped}"
    assert amount(text) == (-value if negative else value)


@given(st.lists(CENTS, min_size=1, max_size=8))
def test_a_column_is_read_value_by_value(column: list[Decimal]) -> None:
    assert amounts("; ".join(f"{value:.2f}" for value in column)) == column


@given(st.text(max_size=200))
def test_no_text_breaks_the_readings(text: str) -> None:
    read = amounts(text)
    assert read is None or all(value.is_finite() for value in read)


@pytest.mark.parametrize("text", ["", "twelve", "12.50; none", ";", "1O.00"])
def test_no_column_of_amounts(text: str) -> None:
    assert amounts(text) is None


def test_long_texts_are_no_values() -> None:
    assert amounts("12.50" + " " * LONGEST + "x") is None


@pytest.mark.parametrize(
    ("read", "meant", "slip"),
    [
        ("18.00", "13.00", "3 read as 8"),
        ("10.00", "18.00", "8 read as 0"),
        ("7.00", "1.00", "1 read as 7"),
        ("1250", "12.50", "a lost decimal point"),
        ("5.00", "-5.00", "a lost minus"),
        ("18.00", "12.00", ""),
        ("18.00", "13.50", ""),
        ("118.00", "13.00", ""),
        ("0", "0", ""),
    ],
)
def test_misreadings(read: str, meant: str, slip: str) -> None:
    assert misreading(Decimal(read), Decimal(meant)) == slip


def test_large_values_are_not_rounded() -> None:
    assert to_the_cent(Decimal("1e25")) == Decimal("1e25")
    assert to_the_cent(Decimal("0.004")) == 0
