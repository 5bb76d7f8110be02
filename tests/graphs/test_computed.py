"""Operations of a plan through the workflow: computed from what was read, never guessed."""

from dataclasses import replace
from typing import Any

from layoutllm_graphs.context import Context
from layoutllm_graphs.doubts import doubts
from layoutllm_graphs.workflow import make_graph
from layoutllm_tool import LayoutCoT, LayoutLLMTool
from layoutllm_tool.errors import ModelError
from layoutllm_tool.testing import FakeReader, document_from_text

INVOICE = document_from_text(
    """Invoice no:   4711

Description        Quantity     Amount
Blue widgets              2      12.00
Red widgets              10      30.00
Green widgets             1      30.00
Subtotal                         72.00

Subtotal:     72.00
Total due:    86.40"""
)


def run(task: Any, reader: FakeReader | None = None, **options: Any) -> Any:
    tool = LayoutLLMTool(reader=reader or FakeReader(), documents={"invoice.pdf": INVOICE})
    context = Context(tool=tool, second_opinion=False, **options)
    return make_graph().invoke({"document": "invoice.pdf", "task": task}, context=context)


def answer_to(task: str) -> tuple[str | None, str]:
    last = run(task)["answers"][-1]
    return last["answer"], last["verdict"]


def test_a_difference_with_its_formula_and_its_cells() -> None:
    last = run("What is the difference between total due and subtotal?")["answers"][-1]
    assert last["answer"] == "14.40" and last["verdict"] == "satisfied"
    cot = LayoutCoT.from_json(last["cot"])
    assert "86.40 - 72.00" in cot.formation.key
    assert {e.text for e in cot.evidence} == {"86.40", "72.00"} and last["page"] == 1


def test_rows_are_counted_and_the_greatest_named() -> None:
    assert answer_to("How many items are listed?") == ("3", "satisfied")
    answer, verdict = answer_to("Which item is the most expensive?")
    assert verdict == "satisfied" and answer == "Red widgets; Green widgets"


def test_what_is_missing_is_a_problem_and_no_number() -> None:
    last = run("What is the difference between total due and deposit?")["answers"][-1]
    assert last["answer"] is None and last["verdict"] == "failed" and last["reasons"]


def test_what_no_reader_can_do_is_refused_and_doubtful() -> None:
    outcome = run("Extract the invoice no and translate the notes to French")
    assert [answer["name"] for answer in outcome["answers"]] == ["invoice_no"]
    assert "translate the notes to French" in doubts(outcome)
    assert any("translate" in note for note in outcome["notes"])


TOTAL = {"name": "total", "text": "What is the total due?", "type": "money"}


def last_of(op: str, *of: str, questions: Any = (TOTAL,), options: Any = None, **more: Any) -> Any:
    plan = {"questions": [*questions], "operations": [{"name": "o", "op": op, "of": of, **more}]}
    return run(plan, **(options or {}))["answers"][-1]


def test_what_is_computed_from_a_doubtful_answer_is_doubtful() -> None:
    last = last_of("difference", "total", "total", questions=[{**TOTAL, "choices": ["5"]}])
    assert last["verdict"] == "failed" and last["reasons"] == ["total is doubtful."]


def test_a_question_that_failed_is_no_sure_no() -> None:
    class Down(FakeReader):
        def ask(self, document: Any, question: str, **options: Any) -> LayoutCoT:
            raise ModelError("the model is down.")

    last = last_of("exists", "total", options={"reader": Down()})
    assert last["verdict"] == "failed"


def test_less_sure_than_asked_is_doubtful() -> None:
    items = {
        "name": "items", "text": "What are the items?", "is_list": True,
        "columns": [{"name": "description", "words": "description"},
                    {"name": "amount", "words": "amount", "type": "money"}],
    }  # fmt: skip
    last = last_of("sum", "items.amount", questions=[items], options={"min_confidence": 0.995})
    assert last["answer"] == "72.00" and last["verdict"] == "failed"


def test_a_text_for_a_date_is_no_number() -> None:
    when = {"name": "when", "text": "What is the invoice no?", "type": "date"}
    last = last_of("difference", "total", "when", questions=[TOTAL, when])
    assert last["answer"] is None and last["reasons"] == ["'4711' of when is not understood as a date."]


def test_a_no_is_as_sure_as_the_answer_that_was_not_found() -> None:
    class Unsure(FakeReader):
        def ask(self, document: Any, question: str, **options: Any) -> LayoutCoT:
            return replace(super().ask(document, question, **options), confidence=0.4)

    signed = {"name": "signed", "text": "What is the signature?", "required": False}
    last = last_of("exists", "signed", questions=[signed], options={"reader": Unsure()})
    assert last["answer"] == "no" and last["confidence"] == 0.4
