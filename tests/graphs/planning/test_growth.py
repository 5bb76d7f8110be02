"""Whatever a task is: a plan or one error, in work that grows with the length."""

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layoutllm_graphs.planning.plan import Plan
from layoutllm_graphs.planning.planner import LONGEST_TASK, plan_task, question_of, render
from layoutllm_tool.errors import PlanError

MARKS = """
extract the total and , ; : . ? ! page 1 2 0 99999 first "PO No." " ' “x” {total} {x} items add up to equals
plus minus is not before after check that verify vendor date - * 1. 2) ( ) (optional) all what who is sum of
<= = + same on for from in due json with \ue000 \ue0000\ue001 \ue002 金額 must be are return
"""
WORDS = [*MARKS.split(), "list\n"]
noise = st.text(max_size=500) | st.lists(st.sampled_from(WORDS), max_size=80).map(
    lambda words: " ".join(words)[:500]
)


@given(noise)
@settings(max_examples=150, deadline=None)
def test_any_text_plans_or_raises_the_one_error(text: str) -> None:
    try:
        planned = plan_task(text)
    except PlanError:
        planned = None
    if planned:
        assert Plan.model_validate_json(planned.plan.model_dump_json()) == planned.plan
        assert all(line.isprintable() for line in render(planned.plan).splitlines())
    if any(c.isprintable() and not c.isspace() for c in text):
        assert len(Plan(questions=[question_of(text)]).questions) == 1


def work(task: Any) -> float:
    """Seconds of this process, whatever else the machine does; the least of three."""

    def once() -> float:
        start = time.process_time()
        with contextlib.suppress(PlanError):
            plan_task(task)
        return time.process_time() - start

    return min(once() for _ in range(3))


def grows_little(unit: str, begin: str = "") -> bool:
    """Whether sixteen times as much of the unit takes less than 64 times as long: twice as much, less than
    three times.
    """
    small, large = (
        (begin + unit * LONGEST_TASK)[: size - 1] + "x" for size in (LONGEST_TASK // 16, LONGEST_TASK)
    )
    return work(large) < 64 * max(work(small), 0.002)


UNITS = ["a and ", "the ", "a, ", "(", "page 1 and ", '"', "is ", "1. 2. ", "check that a equals b and ",
    "sum of ", "a ", "x", "(optional", "plus ",
         "9", "- ", "what ", "for page 1 ", "a = b\n", "a + ", "\n", "y-", "all ", " ", "\t", "\u00a0",
         "\x1f", "\u3000", "' ", "' '", ".", "?!",
         " ,", ", and", "{a} ", "“", "1) ", "\ud800",
         "alle ", "mit ", "und der ", "für jede ", "A-, ", "sort by ", "each ", "over 100 ", "of the ",
         "difference between ", "の", "を", "、", "一番", "合計と", "に、が", "明細を"]  # fmt: skip
"""Blanks, commas, quotes, brackets, digits and words that the patterns look for."""


@pytest.mark.parametrize("begin", ["", "Check that "])
@pytest.mark.parametrize("unit", UNITS)
def test_the_work_grows_with_the_length(unit: str, begin: str) -> None:
    assert grows_little(unit, begin)


@given(st.lists(st.sampled_from(UNITS), min_size=2, max_size=5).map("".join))
@settings(max_examples=60, deadline=None)
def test_no_mixture_makes_the_work_grow_faster(unit: str) -> None:
    assert grows_little(unit)


class Unread(str):
    """Whoever looks at more than its length has begun to work."""

    def __iter__(self) -> Any:
        raise AssertionError("the task is read before its length is known")

    splitlines = split = replace = __iter__  # type: ignore[assignment]


def test_the_length_is_known_before_anything_is_read() -> None:
    with pytest.raises(PlanError, match=r"has 10,000 characters\. At most 4,000"):
        plan_task(Unread(" " * 10_000))
    with pytest.raises(PlanError, match="5,000,000 entries"):
        plan_task(["a"] * 5_000_000)
    with pytest.raises(PlanError, match="characters"):
        plan_task(["x" * 499] * 199)


LONG = "x" * 3_000_000
NESTED: list[Any] = []
for _ in range(100_000):
    NESTED = [NESTED]
BOTTOMLESS: dict[str, Any] = {"type": "string"}
for _ in range(50_000):
    BOTTOMLESS = {"type": "object", "properties": {"a": BOTTOMLESS}}
CYCLE: dict[str, Any] = {"type": "object"}
CYCLE["properties"] = {"a": CYCLE}


def one(**schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


@pytest.mark.parametrize(
    "task",
    [
        BOTTOMLESS, CYCLE, one(type=NESTED), one(format=NESTED), one(enum=[10**5000]), one(enum=[LONG] * 100),
        one(description=LONG), one(pattern="(" * 3_000_000),
        one(anyOf=[{"type": "string"}] * 100_000), {"type": "object", "required": ["b"] * 1_000_000,
        **one(type="string")},
        {"type": "object", "properties": {f"a{n}": {"type": "string"} for n in range(10_000)}},
        {"$ref": f"#/{'a/' * 90_000}"}, {"$ref": "#"}, {"$ref": "\ud800"},
        {"$ref": 7}, {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}, {"type": "object",
        "properties": {7: {"type": "string"}}},
        {"questions": NESTED}, {"questions": [{"name": f"a{n}", "text": "x"} for n in range(10_000)]},
        {"questions": [{"name": "a", "text": "\ud800"}]},
        {"questions": [{"name": "a", "text": "x", "choices": ["\ud800"]}]}, {"questions": [{"name": "a",
        "text": "x", "choices": [LONG]}]},
        {"questions": [{"name": "a", "text": "x", "page": 10**23}]}, {"questions": [{"name": "a", "text": "x",
        "page": 10**5000}]},
        {"questions": [{"name": "a", "text": "x"}], **dict.fromkeys(map(str, range(1_000_000)))},
        {"questions": [{"name": "a", "text": "x"}], "constraints": [{"kind": "equal", "terms": [LONG, "a"]}]},
        {"questions": [{"name": "a", "text": "x"}], "constraints": [{"kind": "equal", "terms": ["\ud800",
        "a"]}]},
    ],
)  # fmt: skip
def test_what_is_too_large_or_no_text_is_one_line(task: Any) -> None:
    start = time.process_time()
    with pytest.raises(PlanError) as told:
        plan_task(task)
    assert "\n" not in str(told.value) and str(told.value).isprintable() and len(str(told.value)) < 600
    assert told.value.hint
    assert time.process_time() - start < 2  # of this process: what comes first has no more to do than count


def test_a_reference_multiplies_no_long_text() -> None:
    """A description of 100,000 characters, referred to from two hundred fields, is read once each and not
    to its end.
    """

    def schema(length: int) -> dict[str, Any]:
        fields = {f"a{n}": {"$ref": "#/$defs/A"} for n in range(200)}
        return {
            "type": "object",
            "properties": fields,
            "$defs": {"A": {"type": "string", "enum": ["x" * length]}},
        }

    assert work(schema(100_000)) < 4 * max(work(schema(1_000)), 0.02)
