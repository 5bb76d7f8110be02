"""Amounts as texts state them."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layoutllm_tool.documents.values import amount, spans


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
        ("1.125", "1125"),
        ("(5.00)", "-5"),
        ("(5.00", "5"),
        ("5.00-", "-5"),
        ("-$5.00", "-5"),
        ("$-5.00", "-5"),
        ("5.30 SR", "5.3"),
        ("5.30T", "5.3"),
        ("GST 6% 5.00", "5"),
        ("2 100.00", "100"),
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
        "12,34,567.00",
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


@given(st.text(alphabet=" 0123456789.,-()RM$'A\u00a0%", max_size=60))
def test_any_text_gives_a_finite_number_of_its_own_digits_or_none(text: str) -> None:
    found = amount(text)
    assert found is None or (
        found.is_finite()
        and f"{abs(found):f}".replace(".", "").strip("0") in "".join(filter(str.isdigit, text))
    )


def test_the_amounts_of_a_line_and_where_they_stand() -> None:
    line = "3 X RM 4.00  A5 12 .00 SR -0.50 7"
    assert [(line[start:stop], value) for start, stop, value in spans(line)] == [
        ("RM 4.00", Decimal(4)),
        ("12 .00", Decimal(12)),
        ("-0.50", Decimal("-0.5")),
    ]
    assert spans("12,000 and 7 of 25.12.2018") == ()


@pytest.mark.parametrize("part", ["1", "1,111", "1 111", "1.", "(", "-", " ", "$ ", "1 ,"])
def test_long_texts_take_linear_time(part: str) -> None:
    begun = time.perf_counter()
    amount(part * 20_000)
    assert time.perf_counter() - begun < 2
