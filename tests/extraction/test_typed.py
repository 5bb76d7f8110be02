"""Printed text to typed values: what is understood, and each problem that is named instead."""

from decimal import Decimal
from typing import Any

import pytest

from layoutllm_tool.extraction.schema import Kind, Leaf
from layoutllm_tool.extraction.typed import Convention, typed
from layoutllm_tool.testing import document_from_text

GERMAN = Convention(decimal_mark=",", date_order="dmy")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("number", "£1,234.50", Decimal("1234.50")),
        ("number", "1.234,50 EUR", Decimal("1234.50")),
        ("number", "(4,684.00)", Decimal("-4684.00")),
        ("number", "70.00-", Decimal("-70.00")),
        ("number", "1, 00", Decimal("1.00")),
        ("number", "2.180,50 S", Decimal("-2180.50")),
        ("number", "2.180,50 H", Decimal("2180.50")),
        ("number", "21 %", Decimal(21)),
        ("integer", "45 days", 45),
        ("integer", "2", 2),
        ("string", "  A\n b ", "A b"),
        ("boolean", "Yes", True),
        ("boolean", "[x]", True),
        ("boolean", "[ ] Smoker", False),
        ("boolean", "Nein", False),
    ],
)
def test_what_is_understood(kind: Kind, text: str, value: Any) -> None:
    assert typed(Leaf(("a",), kind), text).value == value


def test_dates() -> None:
    leaf = Leaf(("when",), format="date")
    assert typed(leaf, "3. April 2025").value == "2025-04-03"
    assert typed(leaf, "03.04.2025", GERMAN).value == "2025-04-03"
    assert typed(leaf, "03/04/2025").problem == "ambiguous"
    assert typed(leaf, "soon").problem == "not_understood"
    assert typed(leaf, "3 April 2025, net of discount").value == "2025-04-03"
    assert typed(leaf, "3 April 2025 - 9 April 2025").problem == "ambiguous"


def test_a_date_without_a_year_is_in_the_years_that_the_page_speaks_of() -> None:
    leaf = Leaf(("when",), format="date")
    text = "Auszug vom 05.01.2026\nZeitraum 01.12.2025 bis 31.12.2025\n30.12.  Miete"
    page = Convention.of(document_from_text(text).pages)
    assert typed(leaf, "30.12.", page).value == "2025-12-30"
    assert typed(leaf, "02.01.", page).value == "2026-01-02"
    assert typed(leaf, "3 Dec", page).value == "2025-12-03"
    assert typed(leaf, "30.12.").problem == "not_understood"
    assert typed(leaf, "15.06.", page).problem == "not_understood"


@pytest.mark.parametrize(
    ("leaf", "text", "problem"),
    [
        (Leaf(("a",), "number", required=True), None, "missing"),
        (Leaf(("a",), "number"), None, ""),
        (Leaf(("a",), "number"), "see above", "not_understood"),
        (Leaf(("a",), "number"), "12:30", "not_understood"),
        (Leaf(("a",), "number"), "3 of 5", "not_understood"),
        (Leaf(("a",), "integer"), "2.5", "not_understood"),
        (Leaf(("a",), "number"), "(1.234)", "ambiguous"),
        (Leaf(("a",), "boolean"), "perhaps", "not_understood"),
        (Leaf(("a",), choices=("cash", "card")), "cheque", "outside_enum"),
        (Leaf(("a",), "number", limits={"maximum": 10}), "11", "out_of_bounds"),
        (Leaf(("a",), limits={"pattern": r"^\d{5}$"}), "1234", "out_of_bounds"),
    ],
)
def test_what_stands_in_the_way(leaf: Leaf, text: str | None, problem: str) -> None:
    found = typed(leaf, text)
    assert found.value is None and found.problem == problem
    assert bool(found.reason) == bool(problem)


@pytest.mark.parametrize(
    ("choices", "text", "value"),
    [
        (("EUR", "GBP"), "£", "GBP"),
        (("cash", "credit_card"), "Credit card", "credit_card"),
        (("card", "cash"), "paid by card", "card"),
        ((19, 7), "19 %", 19),
        (("single", "married"), "[ ] Single [x] Married", "married"),
    ],
)
def test_an_enum_by_what_the_text_says(choices: tuple[str | int, ...], text: str, value: Any) -> None:
    assert typed(Leaf(("a",), choices=choices), text).value == value


def test_a_sign_that_two_currencies_share_is_neither() -> None:
    assert typed(Leaf(("a",), choices=("USD", "EUR")), "$12.00").value == "USD"
    assert typed(Leaf(("a",), choices=("USD", "CAD")), "$12.00").problem == "outside_enum"


def test_a_boolean_by_its_own_words() -> None:
    assert typed(Leaf(("is_paid",), "boolean"), "PAID 3 May").value is True
    told = Leaf(("ok",), "boolean", description='True where "Genehmigt" is stamped')
    assert typed(told, "GENEHMIGT").value is True


def test_a_pattern_that_takes_for_ever_is_not_kept() -> None:
    leaf = Leaf(("a",), limits={"pattern": r"^(a+)+$"})
    assert typed(leaf, "a" * 40 + "!").problem == "out_of_bounds"


@pytest.mark.parametrize(
    ("choices", "text", "value"),
    [
        (("A+", "A-"), "A-", "A-"),
        (("A+", "B+"), "A-", None),
        (("C", "C#", "C++"), "C++", "C++"),
        (("<50", ">50"), "> 50", ">50"),
        ((1, -1), "-1", -1),
        ((1, 2), "-1", None),
        (("", "EUR"), "USD 5", None),
        ((1, "1", 2.0), "zebra", None),
        (("approved", "rejected"), "not approved", None),
        (("approved", "not approved"), "Not approved.", "not approved"),
        (("self-employed", "employed"), "Self employed", "self-employed"),
        (("cash", "card"), "- cash", "cash"),
    ],
)
def test_choices_that_signs_or_a_not_tell_apart(choices: Any, text: str, value: Any) -> None:
    assert typed(Leaf(("a",), choices=choices), text).value == value


@pytest.mark.parametrize("text", ["not paid", "Noch nicht paid"])
def test_a_mark_that_a_not_precedes_says_no_yes(text: str) -> None:
    assert typed(Leaf(("paid",), "boolean"), text).value is not True


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("05/18/2025 9:26 PM", "2025-05-18T21:26:00"),
        ("24.10.2025 17:51 Uhr", "2025-10-24T17:51:00"),
        ("2025-05-18T09:26:11", "2025-05-18T09:26:11"),
        ("18 May 2025", "2025-05-18"),
    ],
)
def test_a_time_behind_a_date_is_kept(text: str, value: str) -> None:
    assert typed(Leaf(("when",), format="date-time"), text).value == value


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("Datum 08.03.2025\nSumme 1.234,50", "dmy"),
        ("Date 08/03/2025\nTotal \u00a312.50", "dmy"),
        ("Date 08/03/2025\nTotal $12.50", None),
        ("Date 03/28/2025\nTotal \u00a312.50", "mdy"),
    ],
)
def test_a_decimal_comma_or_pounds_say_that_the_day_comes_first(text: str, order: str | None) -> None:
    assert Convention.of(document_from_text(text).pages).date_order == order
