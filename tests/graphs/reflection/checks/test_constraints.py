"""Constraints between a plan's answers: who is at fault, and what would mend it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from layoutllm_graphs.planning.plan import Constraint
from layoutllm_graphs.reflection.checks.constraints import check_constraints
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.testing import document_from_text
from tests.graphs.reflection.attempts import attempt, cot, only, rule, texts_in

RECEIPT = document_from_text("Net      10.00\nTax       2.50\nTotal    12.50\nCash     20.00\nChange    7.50")

Others = Mapping[str, str | LayoutCoT]


def tried(
    answer: str, others: Others, *rules: Constraint, page: Document = RECEIPT, **fields: Any
) -> CheckInput:
    known = {
        name: said if isinstance(said, LayoutCoT) else cot(page, said, key=name)
        for name, said in others.items()
    }
    return attempt(page, answer, others=known, constraints=rules, **fields)


# -- sums ----------------------------------------------------------------------------------------------------


def test_a_sum_that_holds_says_nothing() -> None:
    assert not list(
        check_constraints(
            tried("12.50", {"net": "10.00", "tax": "2.50"}, rule("sum", "net", "tax", total="total"))
        )
    )


def test_the_least_confident_reading_is_at_fault_and_the_page_says_where_the_fitting_value_is() -> None:
    wrong = tried(
        "20.00", {"net": "10.00", "tax": "2.50"}, rule("sum", "net", "tax", total="total"), confidence=0.6
    )
    finding = only(check_constraints(wrong))
    assert (finding.step, finding.weight) == ("area", 0.6)
    assert texts_in(wrong, finding) == ["12.50"]
    assert "12.50 would fit" in finding.reason


def test_another_reading_at_fault_leaves_a_mark() -> None:
    finding = only(
        check_constraints(
            tried(
                "12.50",
                {"net": "10.00", "tax": cot(RECEIPT, "7.50", confidence=0.2)},
                rule("sum", "net", "tax", total="total"),
            )
        )
    )
    assert (finding.correction, finding.weight) == (None, 0.3)
    assert "Most at fault is tax" in finding.reason


def test_the_fitting_value_in_its_own_area_outweighs_confidence() -> None:
    page = document_from_text("Net   10.00\nTax   2.50\nTotal   20.00 12.50")
    wrong = tried(
        "20.00",
        {"net": cot(page, "10.00", confidence=0.1), "tax": "2.50"},
        rule("sum", "net", "tax", total="total"),
        page=page,
        area="20.00 12.50",
    )
    finding = only(check_constraints(wrong))
    assert finding.correction is not None
    assert (finding.correction.wrong, finding.weight) == (("20.00",), 0.9)


def test_a_single_misread_digit_outweighs_confidence_and_is_named() -> None:
    page = document_from_text("Net   10.00\nTax   2.50\nTotal   18.50")
    others: Others = {"net": cot(page, "10.00", confidence=0.4), "tax": "2.50"}
    other = only(
        check_constraints(
            tried("18.50", others, rule("sum", "net", "tax", total="total"), page=page, confidence=0.9)
        )
    )
    assert "Most at fault is net: 16.00" in other.reason  # 0 for 6 is a slip; 18.50 for 12.50 is none
    page = document_from_text("Net   11.20\nTax   1.30\nTotal   17.50")
    others = {"net": cot(page, "11.20", confidence=0.4), "tax": "1.30"}
    finding = only(
        check_constraints(
            tried("17.50", others, rule("sum", "net", "tax", total="total"), page=page, confidence=0.9)
        )
    )
    assert "12.50 would fit (2 read as 7)" in finding.reason
    assert (finding.correction, finding.weight) == (None, 0.6)


def test_a_lost_decimal_point_is_named() -> None:
    page = document_from_text("Net   10.00\nTax   2.50\nTotal   1250")
    finding = only(
        check_constraints(
            tried(
                "1250", {"net": "10.00", "tax": "2.50"}, rule("sum", "net", "tax", total="total"), page=page
            )
        )
    )
    assert "a lost decimal point" in finding.reason


def test_a_column_is_added_up() -> None:
    items = cot(RECEIPT, "10.00; 2.50")
    assert not list(check_constraints(tried("12.50", {"items": items}, rule("sum", "items", total="total"))))
    short = tried(
        "12.50", {"items": cot(RECEIPT, "10.00; 2.00", confidence=0.3)}, rule("sum", "items", total="total")
    )
    assert "12.50 in all" in only(check_constraints(short)).reason


@pytest.mark.parametrize("net", ["ten", "n/a"])
def test_what_cannot_be_read_says_nothing(net: str) -> None:
    assert not list(
        check_constraints(
            tried("12.50", {"net": net, "tax": "2.50"}, rule("sum", "net", "tax", total="total"))
        )
    )
    assert not list(
        check_constraints(tried("12.50", {"tax": "2.50"}, rule("sum", "net", "tax", total="total")))
    )
    missing = cot(RECEIPT, None)
    assert not list(
        check_constraints(
            tried("12.50", {"net": missing, "tax": "2.50"}, rule("sum", "net", "tax", total="total"))
        )
    )


def test_a_term_counted_twice() -> None:
    assert not list(
        check_constraints(tried("20.00", {"net": "10.00"}, rule("sum", "net", "net", total="total")))
    )
    assert (
        "Most at fault is"
        in only(
            check_constraints(tried("12.50", {"net": "10.00"}, rule("sum", "net", "net", total="total")))
        ).reason
    )


@pytest.mark.parametrize("total", ["16.234", "16,234"])
@pytest.mark.parametrize("page", ["Rate 65.50\nFee 0.99", "Rate 65,50\nFee 0,99", "Fee 500"])
def test_thousands_are_read_as_the_page_writes(page: str, total: str) -> None:
    """A sum of thousands holds where they are thousands, and where nothing says what they are."""
    document = document_from_text(f"{page}\nNet {total}\nTax 500\nTotal 16734 {total}")
    sums = rule("sum", "net", "tax", total="total")
    found = list(check_constraints(tried("16734", {"net": total, "tax": "500"}, sums, page=document)))
    mark = page[7] if "Rate" in page else None
    assert bool(found) == (mark is not None and mark in total)


# -- equal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("12.50", "RM 12.50", True), ("2018-03-25", "25/03/18", True), ("A.C.M.E.", "acme", True),
        ("12.50", "12.05", False), ("2018-03-25", "2018-03-26", False), ("acme", "acne", False), ("", "",
        True),
    ],
)  # fmt: skip
def test_saying_the_same(a: str, b: str, same: bool) -> None:
    one, other = (replace(cot(RECEIPT, None), answer=text) for text in (a, b))
    given = attempt(RECEIPT, one, others={"b": other}, constraints=(rule("equal", "total", "b"),))
    assert (not list(check_constraints(given))) is same


def test_the_odd_one_out_is_at_fault_whatever_its_confidence() -> None:
    others = {"a": cot(RECEIPT, "12.50", confidence=0.1), "b": cot(RECEIPT, "12.50", confidence=0.1)}
    finding = only(
        check_constraints(tried("20.00", others, rule("equal", "a", "b", "total"), confidence=1.0))
    )
    assert "Most at fault is total" in finding.reason and finding.weight >= 0.5
    assert not list(check_constraints(tried("12.50", others, rule("equal", "a", "b", "total"))))


def test_no_reading_takes_the_other_fields_value_to_be_its_own() -> None:
    page = document_from_text("Total   20.00\nPaid    12.50")
    finding = only(
        check_constraints(
            tried("20.00", {"paid": "12.50"}, rule("equal", "total", "paid"), page=page, confidence=0.3)
        )
    )
    assert (finding.correction, finding.weight) == (None, 0.6)


# -- order ---------------------------------------------------------------------------------------------------


DATES = document_from_text("Date:   2024-02-05\nDue:   2024-01-05 2024-03-01\nPaid:   03/04/2024")


def test_days_and_months_may_be_exchanged() -> None:
    assert not list(
        check_constraints(
            tried("03/04/2024", {"date": "2024-03-20"}, rule("ordered", "date", "total"), page=DATES)
        )
    )
    assert not list(
        check_constraints(
            tried("03/04/2024", {"date": "2024-03-20"}, rule("ordered", "total", "date"), page=DATES)
        )
    )
    assert list(
        check_constraints(
            tried("03/04/2024", {"date": "2024-05-20"}, rule("ordered", "date", "total"), page=DATES)
        )
    )


def test_the_pages_other_dates_say_what_is_day_and_what_is_month() -> None:
    page = document_from_text("Date 25/02/2024\nFrom 03/04/2024\nTo 2024-03-20")
    order = rule("ordered", "total", "date")
    finding = only(check_constraints(tried("03/04/2024", {"date": "2024-03-20"}, order, page=page)))
    assert "should come in this order" in finding.reason
    assert not list(
        check_constraints(tried("03/04/2024", {"date": "2024-03-20"}, order, page=document_from_text("From")))
    )


def test_a_date_out_of_order_with_a_fitting_one_in_its_area() -> None:
    wrong = tried(
        "2024-01-05",
        {"date": "2024-02-05"},
        rule("ordered", "date", "total"),
        page=DATES,
        area="2024-01-05 2024-03-01",
    )
    finding = only(check_constraints(wrong))
    assert finding.correction is not None
    assert (finding.correction.wrong, finding.weight) == (("2024-01-05",), 0.9)
    assert 'not before "2024-02-05"' in finding.reason


def test_numbers_in_order_and_what_is_neither() -> None:
    assert not list(check_constraints(tried("12.50", {"net": "10.00"}, rule("ordered", "net", "total"))))
    assert (
        only(
            check_constraints(
                tried("2.50", {"net": "10.00"}, rule("ordered", "net", "total"), confidence=0.5)
            )
        ).weight
        == 0.6
    )
    assert not list(check_constraints(tried("12.50", {"net": "none"}, rule("ordered", "net", "total"))))


def test_only_the_one_that_spoils_the_order_is_at_fault() -> None:
    others: Others = {"a": cot(RECEIPT, "2.50", confidence=0.1), "b": "10.00", "c": "12.50"}
    finding = only(
        check_constraints(tried("7.50", others, rule("ordered", "a", "b", "c", "total"), confidence=0.9))
    )
    assert "Most at fault is total" in finding.reason


def test_two_that_spoil_the_order() -> None:
    others = {"a": "20.00", "b": "12.50", "c": "10.00"}
    assert (
        only(
            check_constraints(tried("7.50", others, rule("ordered", "a", "b", "c", "total"), confidence=0.3))
        ).correction
        is None
    )
