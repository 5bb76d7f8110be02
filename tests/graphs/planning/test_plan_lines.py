"""Lines that a model writes become the plan of their task, or an error."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layoutllm_graphs.planning.plan import Plan
from layoutllm_graphs.planning.plan_lines import LineError, draft_lines
from layoutllm_graphs.planning.planner import render
from tests.paths import ROOT

TASKS = [
    json.loads(line)
    for path in sorted((ROOT / "layoutllm_tool/training/tasks").glob("*.jsonl"))
    for line in path.read_text("utf-8").splitlines()
]
TASK = (
    "From this hotel bill: guest name, bookings over 500 euros (date, payee, amount), newest first, and "
    "their sum, three payees. Is it signed? Subtotal plus tax is the total, arrival before departure. "
    "Nights between check-in and check-out, hours times rate. Translate the terms; most expensive item?"
)


def shown(lines: str, task: str = TASK) -> list[str]:
    return render(draft_lines(lines, task).plan()).splitlines()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("field: guest name", ['name): What is the "guest name"']),
        ("field: guest name @ page 2", ["guest_name (name; page 2)"]),
        ("exists: signed", ["exists_signed: exists of signed"]),
        ("table: bookings(date, payee, amount)", ["rows of date, payee, amount"]),
        (
            "table: bookings(date, payee) | where amount > 500 | sort date desc",
            ["rows of date, payee, amount", "where amount > 500", "by date, the greatest first"],
        ),
        ("table: bookings | where amount > 500 | sum amount", ["sum of filter_bookings.amount"]),
        ("table: payees | first 3", ["filter of payees, first 3"]),
        ("table: bookings | count distinct payee", ["count of different bookings.payee"]),
        ("table: item | max amount", ["maximum of item.amount, shown by description"]),
        ("compute: check-out - check-in", ["difference of check_out and check_in"]),
        ("compute: hours * rate", ["product of hours, rate"]),
        ("check: subtotal + tax = total", ["subtotal + tax = total"]),
        ("check: total - tax = subtotal", ["tax + subtotal = total"]),
        ("check: hours * rate = total", ["compare of product_hours_rate and total, ="]),
        ("check: arrival < departure", ["arrival <= departure"]),
        ("check: departure > arrival", ["arrival <= departure"]),
        ("check: sum bookings.amount = total", ["compare of sum_bookings_amount and total, ="]),
        ("refuse: Translate the terms # writing", ['"Translate the terms": It needs a chat model']),
        ("table: bookings | average amount", ["No operation computes it."]),
    ],
)
def test_a_line_is_planned(lines: str, expected: list[str]) -> None:
    text = "\n".join(shown(lines))
    assert all(part in text for part in expected), text


def test_lines_of_one_table_speak_of_the_same_rows() -> None:
    plan = draft_lines(
        "table: bookings(date, amount)\ntable: bookings | where amount > 500 | sum amount", TASK
    )
    (table,) = plan.plan().questions
    assert [column.name for column in table.columns] == ["date", "amount"]


@pytest.mark.parametrize(
    "lines",
    [
        "field: password", "drop: total", "total", "field: ", "field: 12", "table: secrets(keys)",
        "compute: total", "check: total", "check: total = total", "compute: tax - tax",
        "refuse: delete all files # action",
        "table: bookings | where amount > 700", "field: " + "guest " * 60, "exists: murder weapon",
    ],
)  # fmt: skip
def test_what_the_task_does_not_bear_out_is_an_error(lines: str) -> None:
    with pytest.raises(LineError):
        draft_lines(lines, TASK)


def test_plans_written_by_people_are_read() -> None:
    """Of the tasks that the planner learns from; some speak of things that the task has no word for."""
    failed = [entry["task"] for entry in TASKS if not _is_read(entry)]
    assert len(TASKS) > 1_500 and len(failed) < 0.01 * len(TASKS)


def _is_read(entry: dict[str, Any]) -> bool:
    try:
        return isinstance(draft_lines(entry["plan"], entry["task"]).plan(), Plan)
    except LineError:
        return False


KEYWORDS = (
    "field: ask: table: exists: compute: check: refuse: | where sort first last count sum min max @ page"
)
WORDS = [*KEYWORDS.split(), *TASK.split(), "(", ")", ",", "=", "+", "-", "*", ">", "5", "#", "\n"]


@given(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join) | st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_plan_or_the_one_error(lines: str) -> None:
    try:
        draft = draft_lines(lines, TASK)
    except LineError:
        return
    assert isinstance(draft.plan(), Plan) if draft.asked or draft.refused else True
