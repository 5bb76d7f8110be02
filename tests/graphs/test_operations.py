"""Operations give the one right answer with its evidence, or say what is in the way."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layoutllm_graphs.operations import Cell, Values, compute, compute_all, plain
from layoutllm_graphs.planning.plan import Condition, Operation
from layoutllm_tool.cot import Evidence
from layoutllm_tool.documents.geometry import Box


def cell(text: str | None, value: Decimal | date | None = None, *, at: int = 0, sure: float = 0.9) -> Cell:
    evidence = (Evidence(1, Box(0, at, 10, at + 10), text, ((at, 0),)),) if text else ()
    return Cell(text, value, evidence, sure)


def cells(*texts: str | None, at: int = 0) -> list[Cell]:
    return [cell(text, at=at + 10 * row) for row, text in enumerate(texts)]


VALUES: Values = {
    "total": [cell("$558.00")],
    "subtotal": [cell("279.00", sure=0.5)],
    "none": [cell(None, sure=0.7)],
    "word": [cell("soon")],
    "twice": cells("1.00", "2.00"),
    "odd": [Cell("1.234", None, problem="may be 1.234 or 1234")],
    "issued": [cell("1 March 2024", date(2024, 3, 1))],
    "due": [cell("31 March 2024", date(2024, 3, 31))],
    "paid": [cell("PAID 2 May")],
    "unpaid": [cell("not paid")],
    "amounts": cells("10.00", "2.50", "10.00"),
    "empty": [],
    "items.description": cells("Desk", "Lamp", "Chair", "Lamp"),
    "items.quantity": cells("1", "2", "4", "1", at=100),
    "items.amount": cells("279.00", "49.50", "279.00", "50.00", at=200),
    "gaps.amount": cells("1.00", None),
    "gaps.name": cells("a", "b"),
}


def op(kind: str, *of: str, **more: Any) -> Operation:
    return Operation(name="o", op=kind, of=of, **more)  # type: ignore[arg-type]


def where(column: str, comparison: str, value: str) -> Condition:
    return Condition(column=column, comparison=comparison, value=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operation", "answer", "formula"),
    [
        (op("count", "items"), "4", "4 rows"),
        (op("count", "amounts"), "3", "3 rows"),
        (op("filter", "items", condition=Condition(comparison="last", value="2"), keep="description"),
         "Chair; Lamp", "the last 2 of 4 rows"),
        (op("sum", "items.amount", condition=Condition(comparison="first", value="9")), "657.50",
         "279.00 + 49.50 + 279.00 + 50.00 = 657.50"),
        (op("count", "items", condition=where("description", "not contains", "lamp")), "2",
         "2 of 4 rows where description not contains lamp"),
        (op("count", "items.description", distinct=True), "3", "3 different values in 4 rows"),
        (op("count", "items", condition=where("amount", ">", "100")), "2", "2 of 4 rows where amount > 100"),
        (op("count", "items", condition=where("amount", ">", "1000")), "0",
         "0 of 4 rows where amount > 1000"),
        (op("sum", "items.quantity"), "8", "1 + 2 + 4 + 1 = 8"),
        (op("sum", "total", "subtotal"), "837.00", "558.00 + 279.00 = 837.00"),
        (op("sum", "items.amount", condition=where("amount", ">", "1000")), "0", "0 = 0"),
        (op("difference", "total", "subtotal"), "279.00", "558.00 - 279.00 = 279.00"),
        (op("difference", "subtotal", "total"), "-279.00", "279.00 - 558.00 = -279.00"),
        (op("difference", "due", "issued"), "30", "2024-03-31 to 2024-03-01: 30 days"),
        (op("product", "total", "subtotal"), "155682.0000", "558.00 x 279.00 = 155682.0000"),
        (op("product", "items.quantity", "items.amount"), "279.00; 99.00; 1116.00; 50.00",
         "1 x 279.00 = 279.00; 2 x 49.50 = 99.00; 4 x 279.00 = 1116.00; 1 x 50.00 = 50.00"),
        (op("maximum", "items.amount"), "279.00", "maximum of items.amount over 4 rows: 279.00"),
        (op("maximum", "items.amount", keep="description"), "Desk; Chair",
         "maximum of items.amount over 4 rows: 279.00"),
        (op("minimum", "items.amount", keep="description"), "Lamp",
         "minimum of items.amount over 4 rows: 49.50"),
        (op("minimum", "total", "subtotal"), "279.00", "minimum of total, subtotal: 279.00"),
        (op("maximum", "issued", "due"), "2024-03-31", "maximum of issued, due: 2024-03-31"),
        (op("sort", "items", by="amount", keep="description"), "Lamp; Lamp; Desk; Chair",
         "4 rows by amount, ascending"),
        (op("sort", "items", by="amount", keep="description", descending=True), "Desk; Chair; Lamp; Lamp",
         "4 rows by amount, descending"),
        (op("sort", "items", by="description", keep="amount"), "279.00; 279.00; 49.50; 50.00",
         "4 rows by description, ascending"),
        (op("sort", "amounts", descending=True), "10.00; 10.00; 2.50", "3 rows by value, descending"),
        (op("filter", "items", condition=where("amount", "<=", "50.00")), "Lamp, 2, 49.50; Lamp, 1, 50.00",
         "2 of 4 rows where amount <= 50.00"),
        (op("filter", "items", keep="amount", condition=where("description", "contains", "lam")),
         "49.50; 50.00", "2 of 4 rows where description contains lam"),
        (op("filter", "items", keep="amount", condition=where("description", "=", "DESK")), "279.00",
         "1 of 4 rows where description = DESK"),
        (op("filter", "amounts", condition=where("", "=", "10")), "10.00; 10.00",
         "2 of 3 rows where the value = 10"),
        (op("filter", "items", condition=where("amount", ">", "1000")), "",
         "0 of 4 rows where amount > 1000"),
        (op("compare", "total", "subtotal"), "total", "558.00 > 279.00"),
        (op("compare", "issued", "due"), "due", "2024-03-01 < 2024-03-31"),
        (op("compare", "total", "total"), "total; total", "558.00 = 558.00"),
        (op("compare", "total", condition=where("", ">", "1000")), "no", "total ($558.00) > 1000"),
        (op("compare", "due", condition=where("", "before", "3 May 2024")), "yes",
         "due (31 March 2024) before 3 May 2024"),
        (op("compare", "due", condition=where("", "after", "2024-03-15")), "yes",
         "due (31 March 2024) after 2024-03-15"),
        (op("compare", "total", "subtotal", condition=where("", "<", "")), "no",
         "total ($558.00) < subtotal (279.00)"),
        (op("exists", "paid"), "yes", "paid: PAID 2 May"),
        (op("exists", "unpaid"), "no", "unpaid: nothing that says so"),
        (op("exists", "none"), "no", "none: nothing that says so"),
        (op("exists", "items"), "yes", "items: Desk"),
    ],
)  # fmt: skip
def test_an_answer_and_how_it_was_formed(operation: Operation, answer: str, formula: str) -> None:
    made = compute(operation, VALUES)
    assert (made.answer, made.formula, made.problem) == (answer, formula, "")


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        (op("sum", "gaps.amount"), "A value of gaps.amount is missing."),
        (op("maximum", "gaps.amount", keep="name"), "A value of gaps.amount is missing."),
        (op("difference", "total", "none"), "A value of none is missing."),
        (op("difference", "total", "word"), "'soon' of word is not understood as a number."),
        (op("difference", "total", "odd"), "'1.234' of odd may be 1.234 or 1234."),
        (op("difference", "total", "due"), "total and due are partly numbers and partly dates."),
        (op("difference", "total", "unknown"), "unknown has no values."),
        (op("sum", "total", "twice"), "twice has 2 values, and one is needed."),
        (op("product", "total", "due"), "'31 March 2024' of due is no number."),
        (op("product", "items.amount", "twice"), "items.amount and twice have different numbers of rows."),
        (op("count", "empty"), "empty has no values."),
        (op("count", "unread"), "unread has no values."),
        (op("maximum", "items.amount", condition=where("amount", ">", "1000")),
         "No row of items keeps to the condition."),
        (op("sum", "items.price"), "items.price has no values."),
        (op("filter", "items", condition=where("amount", "after", "soon")),
         "'soon' of soon is not understood as a number."),
        (op("sort", "gaps", by="amount"), "A value of gaps.amount is missing."),
    ],
)  # fmt: skip
def test_a_problem_in_place_of_a_guess(operation: Operation, problem: str) -> None:
    made = compute(operation, VALUES)
    assert made.answer is None and made.problem == problem
    assert made.evidence == () and made.confidence == 0 and made.cells == {}


def test_evidence_and_confidence_are_of_what_was_used() -> None:
    both = compute(op("difference", "total", "subtotal"), VALUES)
    assert [one.text for one in both.evidence] == ["$558.00", "279.00"] and both.confidence == 0.5
    most = compute(op("maximum", "items.amount", keep="description"), VALUES)
    assert {one.text for one in most.evidence} == {"279.00", "49.50", "50.00", "Desk", "Chair"}
    absent = compute(op("exists", "none"), VALUES)
    assert absent.evidence == () and absent.confidence == 0.7


def test_later_operations_see_earlier_results() -> None:
    steps = [
        Operation(name="large", op="filter", of=("items",), condition=where("amount", ">", "49.75")),
        Operation(name="sorted", op="sort", of=("large",), by="amount", keep="description"),
        Operation(name="spent", op="sum", of=("large.amount",)),
        Operation(name="more", op="compare", of=("spent", "total")),
        Operation(name="bad", op="sum", of=("gaps.amount",)),
        Operation(name="worse", op="difference", of=("bad", "total")),
    ]
    done = compute_all(steps, VALUES)
    assert done["sorted"].answer == "Lamp; Desk; Chair"
    assert done["spent"].answer == "608.00" and done["more"].answer == "spent"
    assert {one.text for one in done["more"].evidence} >= {"279.00", "50.00", "$558.00"}
    assert done["worse"].problem == "bad has no values."


def test_columns_of_different_lengths_are_no_table() -> None:
    values = {"t.a": cells("1", "2"), "t.b": cells("1")}
    assert compute(op("count", "t"), values).problem == "The columns of t have different lengths."


numbers = st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1, max_size=20)


@given(numbers)
def test_sums_and_extremes_are_exact(found: list[Decimal]) -> None:
    values = {"t.a": [Cell(plain(number), number) for number in found]}
    assert compute(op("sum", "t.a"), values).answer == plain(sum(found, Decimal()))
    assert compute(op("maximum", "t.a"), values).answer == plain(max(found))
    ordered = compute(op("sort", "t", by="a"), values).answer
    assert ordered == "; ".join(map(plain, sorted(found)))


@pytest.mark.parametrize("kind", ["sum", "maximum", "sort"])
def test_amounts_in_several_currencies_are_not_mixed(kind: str) -> None:
    mixed = {"a": cells("EUR 3.00", "USD 4.00"), "b": cells("$3.00", "USD 4.00", "5.00")}
    assert compute(op(kind, "a"), mixed).problem == "The amounts are in EUR and USD."
    assert compute(op(kind, "b"), mixed).problem == ""
