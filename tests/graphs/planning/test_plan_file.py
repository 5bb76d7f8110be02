"""Plans as YAML: what is written is read again, equal; an edited plan that won't do is told with its line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layoutllm_graphs.planning.plan import Plan, PlannedQuestion, Refusal
from layoutllm_graphs.planning.plan_file import plan_text, read_plan
from layoutllm_graphs.planning.planner import plan_task
from layoutllm_tool.errors import PlanError
from tests.batch_pages import ORDER

TASK = (
    "Extract the invoice number, subtotal, tax and total; check that subtotal plus tax equals the total. "
    "Which item is the most expensive? Translate it."
)
FILE = """\
questions:
- name: a
  text: What is the A?
- name: b
  text: What is the B?
"""
WORDS = st.text(min_size=1, max_size=300)


def body(text: str) -> str:
    """Without the comments."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


@pytest.mark.parametrize("task", [TASK, ["vendor", "All amounts"], "Who signed on page 2?"])
def test_a_plan_is_read_as_it_was_written(task: Any) -> None:
    plan = plan_task(task).plan
    assert read_plan(plan_text(plan)) == (plan, None)
    assert read_plan(json.dumps(plan.model_dump(mode="json"))) == (plan, None)  # JSON is YAML, too


@settings(max_examples=80, deadline=None)
@given(text=WORDS, choices=st.lists(WORDS, max_size=3), words=WORDS, description=st.text())
def test_whatever_a_text_holds_comes_back(
    text: str, choices: list[str], words: str, description: str
) -> None:
    asked = PlannedQuestion(name="a", text=text.replace("{", "("), choices=choices, path=["a/b", "c"])
    plan = Plan(questions=[asked], refused=[Refusal(text=words, reason=words)])
    schema = {"type": "object", "properties": {"a/b": {
        "type": "object", "properties": {"c": {"type": "string", "description": description}}
    }}}  # fmt: skip
    assert read_plan(plan_text(plan, schema)) == (plan, schema)


def test_what_is_as_by_default_is_left_out_and_the_comments_name_every_key() -> None:
    text = plan_text(plan_task(TASK).plan)
    assert "page:" not in body(text) and "is_list: false" not in text and "[subtotal, tax]" in text
    comments = text[: text.index("\nquestions:")]
    for name in (*Plan.model_fields, *PlannedQuestion.model_fields):
        assert name in comments, name
    assert max(map(len, comments.splitlines())) <= 110


def test_a_hand_may_write_plain_words() -> None:
    edited = FILE + "  choices: [yes, no, 3, 2024-01-01]\n  required: no\n  page: 2\n  type:\n"
    question = read_plan(edited.replace("  type:\n", "")).plan.questions[1]
    assert question.choices == ["yes", "no", "3", "2024-01-01"]
    assert (question.required, question.page) == (False, 2)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: b", "name: a", "line 2, 4: these names are used twice: a"),
        ("the B?", "B of {c}?", "line 5: no question is called c; known: a, b"),
        ("the A?\n- name: b\n  text: What is", "{b}?\n- name: b\n  text: What is {a} and", "line 2, 4"),
        ("the A?", "A?\n  type: dat", "line 4: question 'a', type: Input should be 'text', 'date'"),
        ("the A?", "A?\n  typ: date", "line 4: question 'a': there is no key 'typ'; those there are: name,"),
        ("the A?", "A?\n  page: 0", "line 4: question 'a', page: Input should be greater than or equal to 1"),
        ("the A?", "A?\n  text: B?", "line 4: the key 'text' stands here twice"),
        ("  text: What is the B?", "", "line 4: question 'b', text: Field required"),
        ("the A?\n", "A?\n  path: [x]\n", ""),
        ("the A?", "A?\n  columns: [{name: x, words: x}, {name: x, words: y}]", "line 2: a has these"),
        ("name: a\n", "name: &n a\n", ""),
        ("What is the A?", "&t A?\n- {name: c, text: *t}", "line 3: anchors and aliases"),
        ("What is the A?", "A: B", "line 3: this is no YAML"),
        ("questions:", "question:", "questions: Field required"),
    ],
)  # fmt: skip
def test_an_edit_that_will_not_do_is_told_with_its_line(old: str, new: str, told: str) -> None:
    assert old in FILE
    edited = FILE.replace(old, new)
    if not told:
        assert read_plan(edited).plan.questions
        return
    with pytest.raises(PlanError) as error:
        read_plan(edited, "plan.yaml")
    assert error.value.message.startswith("plan.yaml, line") and told in error.value.message
    assert error.value.hint and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("constraints:\n- {kind: sum, terms: [a, c], total: b}\n", "line 7: no question is called c"),
        ("constraints:\n- {kind: sum, terms: [a]}\n", "line 7: constraint 1: a constraint has a total if"),
        ("operations:\n- {name: d, op: sum, of: [a, c]}\n", "line 7: operation d: nothing before it"),
        ("operations:\n- {name: d, op: difference, of: [a]}\n", "line 7: operation 'd': 'difference'"),
        ("operations:\n- {name: d, op: count, of: [e]}\n- {name: e, op: sum, of: [a]}\n", "operation d"),
        ("schema: what\n", "line 6: schema is no JSON Schema"),
        ("schema: '[]'\n", "line 6: schema is no JSON Schema: it describes no object"),
        ("notes: x\n", "line 6: there is no key 'notes'; those there are: questions,"),
    ],
)  # fmt: skip
def test_what_names_others_is_held_against_them(more: str, told: str) -> None:
    with pytest.raises(PlanError) as error:
        read_plan(FILE + more, "plan.yaml")
    assert told in error.value.message


def test_paths_are_each_questions_own_and_the_schemas() -> None:
    plan = plan_task(ORDER).plan
    text = plan_text(plan, ORDER)
    assert read_plan(text) == (plan, ORDER)
    with pytest.raises(PlanError, match=r"line \d+, \d+: vendor and total have one path: vendor"):
        read_plan(text.replace("path: [total]", "path: [vendor]"))
    with pytest.raises(PlanError, match="question 'total': the schema has no 'sum'; it has vendor"):
        read_plan(text.replace("path: [total]", "path: [sum]"))


@pytest.mark.parametrize("text", ["", "- a", "x", "[" * 5_000, "\x00", "a: " * 9, "x" * 1_000_001, "{a: {b"])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(PlanError):
        read_plan(text)
