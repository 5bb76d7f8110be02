"""What stays doubtful goes to a chat model, within a budget, and its answers are held against the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from PIL import Image

from layoutllm_graphs.context import Context
from layoutllm_graphs.extract import Extraction, extract
from layoutllm_graphs.planning.plan import Constraint, Plan, PlannedQuestion
from layoutllm_graphs.testing import ScriptedChatModel
from layoutllm_graphs.workflow import build_workflow, make_graph
from layoutllm_tool import LayoutLLMTool
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import ModelError
from layoutllm_tool.readers.chat import ChatModelReader
from layoutllm_tool.testing import FakeReader, document_from_text

TEXT = document_from_text("Invoice no:   4711\nTotal:   12.50\nDue date:   13 April 2024\nVAT:   2.50")
DOCUMENT = replace(
    TEXT, pages=tuple(replace(p, image=Image.new("RGB", (p.width, p.height), "white")) for p in TEXT.pages)
)
TASK = ["What is the total?", "What is the invoice no?", "What is the due date?"]
TOTAL, NUMBER, DUE = TASK
Reply = Callable[[str, Mapping[str, int]], Any]
"""Takes the question and the segments by text, gives what the model says."""


def reply(segments: Sequence[int], answer: Any, key: str = "", **more: Any) -> str:
    said = {"kind": "key-value", "operation": "extraction", "key": key, "segments": segments}
    shown = {"relation": "right of" if answer else "none", "key_text": key, "answer": answer}
    return json.dumps(said | shown | more)


def seeing(say: Reply | str | Exception, *, tokens: int = 100) -> ScriptedChatModel:
    """A model that says the same to every question, or what a function makes of it; again when sent back."""

    def turn(messages: Sequence[BaseMessage]) -> AIMessage:
        blocks: Any = messages[1].content
        asked = blocks if isinstance(blocks, str) else blocks[-1]["text"]
        segments = {text: int(n) for n, text in re.findall(r'<seg_(\d+)> \[[^\]]*\] "([^"]*)"', asked)}
        said = say(re.findall(r'Question: "(.*)"', asked)[-1], segments) if callable(say) else say
        if isinstance(said, Exception):
            raise said
        usage = UsageMetadata(input_tokens=tokens, output_tokens=10, total_tokens=tokens + 10)
        return AIMessage(said, usage_metadata=usage, response_metadata={"model_name": "scripted-1"})

    return ScriptedChatModel(turns=[turn] * 3)


def right(question: str, segments: Mapping[str, int]) -> str:
    key, value = {
        TOTAL: ("Total", "12.50"), NUMBER: ("Invoice no", "4711"), DUE: ("Due date", "13 April 2024"),
    }[question]  # fmt: skip
    return reply([segments[f"{key}:"], segments[value]], value, key)


def unsure(question: str, answer: str | None = "same", document: Document = DOCUMENT) -> LayoutCoT:
    """The embedded reader's answer, or another of the page, at a confidence that nobody acts on."""
    cot = FakeReader().ask(document, question)
    if answer != "same":
        cot = replace(cot, answer=answer, evidence=(), areas=()) if answer is None else cot
    return replace(cot, confidence=0.2)


def context(model: ScriptedChatModel | None, answers: Mapping[str, Any], **more: Any) -> Context:
    tool = LayoutLLMTool(reader=FakeReader(answers), documents={"invoice.pdf": DOCUMENT})
    return Context(tool, escalate=model, second_opinion=False, **more)


def run(context: Context, task: Any = TASK) -> dict[str, Any]:
    outcome: dict[str, Any] = make_graph().invoke({"document": "invoice.pdf", "task": task}, context=context)
    return outcome


def by_question(outcome: Mapping[str, Any]) -> dict[str, Any]:
    return {answer["question"]: answer for answer in outcome["answers"]}


def test_only_what_is_doubtful_is_asked_and_the_page_proves_the_answer() -> None:
    model = seeing(right)
    found = run(context(model, {TOTAL: unsure(TOTAL), DUE: unsure(DUE)}))
    asked = [message[1].content[-1]["text"] for message in model.seen]  # type: ignore[index]
    assert {re.findall(r'Question: "(.*)"', text)[-1] for text in asked} == {TOTAL, DUE} and len(asked) == 2
    answers = by_question(found)
    assert [answers[q]["by"] for q in TASK] == ["chat model", "reader", "chat model"]
    assert {answer["verdict"] for answer in answers.values()} == {"satisfied"}
    assert answers[TOTAL]["answer"] == "12.50" and answers[TOTAL]["box"] is not None
    names = [answers[q]["name"] for q in (TOTAL, DUE)]
    assert found["escalation"] == {
        "asked": names,
        "replaced": names,
        "share": pytest.approx(2 / 3),
        "left": [],
    }
    assert found["usage"]["scripted-1"]["total_tokens"] == 220
    assert json.loads(json.dumps(found)) == found


async def test_async_says_the_same() -> None:
    given = context(seeing(right), {TOTAL: unsure(TOTAL)})
    found = await make_graph().ainvoke({"document": "invoice.pdf", "task": TASK}, context=given)
    assert found == run(context(seeing(right), {TOTAL: unsure(TOTAL)}))
    assert found["usage"]["scripted-1"]["input_tokens"] == 100


def test_the_budget_is_kept_and_what_it_leaves_is_named() -> None:
    model = seeing(right)
    given = {question: unsure(question) for question in TASK}
    found = run(context(model, given, max_escalations=2))
    answers = by_question(found)
    assert len(model.seen) == 2 and [answers[q]["by"] for q in TASK] == ["chat model", "chat model", "reader"]
    assert found["escalation"]["left"] == [answers[DUE]["name"]]
    assert answers[DUE]["verdict"] != "satisfied"
    none = seeing(right)
    assert run(context(none, given, max_escalations=0))["escalation"]["asked"] == [] and not none.seen


def test_without_a_chat_model_nothing_is_escalated() -> None:
    found = run(context(None, {TOTAL: unsure(TOTAL)}))
    assert "escalation" not in found and found["usage"] == {}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (RuntimeError("quota"), "RuntimeError: quota"),
        ("I can't help with that.", "no JSON"),
        ("", "no JSON"),
        (reply([99], "12.50"), "no segment 99"),
        (reply([1], "12.50", boxes=[[0, 0, 5000, 5000]], relation="over there"), "relation"),
        (reply([1, 2], "1,000,000"), "1,000,000"),
        (reply([1, 2], "\ud83dxyz"), "no page says"),
        (reply([], None), "does not answer"),
    ],
)
def test_a_bad_reply_leaves_the_answer_with_a_reason(said: Any, reason: str) -> None:
    graph = build_workflow().compile()
    given = context(seeing(said), {TOTAL: unsure(TOTAL)})
    found: Any = graph.invoke({"document": "invoice.pdf", "task": TASK}, context=given)
    answer = by_question(found)[TOTAL]
    assert (answer["answer"], answer["by"]) == ("12.50", "reader") and answer["verdict"] != "satisfied"
    assert any(reason in one for one in answer["reasons"]), answer["reasons"]
    assert [a["answer"] for a in found["answers"]] == ["12.50", "4711", "13 April 2024"]
    assert found["escalation"]["replaced"] == [] and len(found["escalation"]["asked"]) == 1
    json.dumps(found, ensure_ascii=False).encode()


def test_another_answer_of_the_page_takes_no_place_unless_the_checks_bear_it_out() -> None:
    wrong = seeing(lambda _, segments: reply([segments["Due date:"]], "Due date:", "Total"))
    answer = by_question(run(context(wrong, {TOTAL: unsure(TOTAL)})))[TOTAL]
    assert (answer["answer"], answer["by"]) == ("12.50", "reader")
    assert any("The chat model reads" in reason for reason in answer["reasons"])


def test_a_refusal_gives_way_to_what_stands_on_the_page_and_to_nothing_else() -> None:
    refused = unsure(TOTAL, None)
    stands = by_question(run(context(seeing(right), {TOTAL: refused})))[TOTAL]
    assert (stands["answer"], stands["by"], stands["verdict"]) == ("12.50", "chat model", "satisfied")
    made_up = seeing(lambda _, segments: reply([segments["Total:"]], "1,000,000", "Total"))
    answer = by_question(run(context(made_up, {TOTAL: refused})))[TOTAL]
    assert answer["answer"] is None and answer["by"] == "reader" and answer["verdict"] != "satisfied"


def test_an_error_of_the_reader_gives_way() -> None:
    answer = by_question(run(context(seeing(right), {TOTAL: ModelError("out of memory.")})))[TOTAL]
    assert (answer["answer"], answer["error"], answer["by"]) == ("12.50", None, "chat model")
    both = run(context(seeing(RuntimeError("quota")), {TOTAL: ModelError("out of memory.")}))
    failed = next(answer for answer in both["answers"] if answer["error"])
    assert "out of memory" in failed["error"] and "quota" in failed["error"]


def test_a_question_waits_for_the_escalated_answer_that_it_needs() -> None:
    needed = PlannedQuestion(name="number", text=NUMBER)
    after = PlannedQuestion(name="paid", text="What was paid for {number}?")
    task = Plan(questions=[needed, after]).model_dump(mode="json")
    wrong = replace(unsure(NUMBER), answer="Total")
    reader = FakeReader({NUMBER: wrong})
    tool = LayoutLLMTool(reader=reader, documents={"invoice.pdf": DOCUMENT})
    run(Context(tool, escalate=seeing(right), second_opinion=False, max_escalations=1), task)
    assert reader.calls[-1].question == "What was paid for 4711?"


@pytest.mark.parametrize(
    ("again", "answer", "by"), [("12.50", "12.50", "reader"), (None, "13.00", "chat model")]
)
def test_a_sum_speaks_against_the_chat_model_too(again: str | None, answer: str, by: str) -> None:
    page = document_from_text("Subtotal:   10.00\nTax:   2.50\nTotal:   12.50 13.00")
    named = [PlannedQuestion(name=name, text=f"What is the {name}?") for name in ("subtotal", "tax", "total")]
    adds_up = Constraint(kind="sum", terms=["subtotal", "tax"], total="total")
    task = Plan(questions=named, constraints=[adds_up]).model_dump(mode="json")
    model = seeing(lambda _, segments: reply([segments["Total:"], segments["12.50 13.00"]], "13.00", "Total"))
    second = ModelError("out of memory.") if again is None else unsure(TOTAL, document=page)
    if isinstance(second, LayoutCoT):
        second = replace(second, answer=again, confidence=0.9)
    reader = FakeReader({TOTAL: [unsure(TOTAL, None, page), second]})
    given = Context(
        LayoutLLMTool(reader=reader, documents={"invoice.pdf": page}), escalate=model, second_opinion=False,
        max_attempts=3, disabled_checks=("refusal",),
    )  # fmt: skip
    found = by_question(run(given, task))[TOTAL]
    assert (found["answer"], found["by"]) == (answer, by)


def test_a_doubtful_value_of_the_record_is_asked_too() -> None:
    schema = {
        "type": "object", "required": ["total", "reference"],
        "properties": {"total": {"type": "number"}, "reference": {"type": "string"}},
    }  # fmt: skip
    page = document_from_text("Total:   12.50\nYour sign:   AB-77")
    asked: list[str] = []

    def say(question: str, segments: Mapping[str, int]) -> str:
        asked.append(question)
        return reply([segments["Your sign:"], segments["AB-77"]], "AB-77", "Your sign")

    tool = LayoutLLMTool(reader=FakeReader(), documents={page.name: page})
    given = Context(tool, escalate=seeing(say), second_opinion=False)
    found: Extraction[Any] = extract(page, schema, context=given)
    assert found.record == {"total": 12.5, "reference": "AB-77"} and len(asked) == 1
    assert found.escalation is not None and found.escalation["share"] == 0.5
    assert found.usage["scripted-1"]["total_tokens"] == 110
    assert found.fields["/reference"]["by"] == "chat model"


def test_a_person_is_asked_what_the_chat_model_leaves_doubtful() -> None:
    from langgraph.checkpoint.memory import InMemorySaver

    graph = build_workflow().compile(checkpointer=InMemorySaver())
    given = context(seeing(reply([], None)), {TOTAL: unsure(TOTAL)}, review=True)
    config: Any = {"configurable": {"thread_id": "1"}}
    graph.invoke({"document": "invoice.pdf", "task": TASK}, config, context=given)
    (waiting,) = graph.get_state(config).interrupts
    assert any("does not answer" in reason for reason in waiting.value["reasons"])


def test_pictures_go_to_models_that_see(monkeypatch: pytest.MonkeyPatch) -> None:
    model = seeing(right)
    run(context(model, {TOTAL: unsure(TOTAL)}))
    assert [block["type"] for block in model.seen[0][1].content] == ["text", "image", "text"]  # type: ignore[index]
    blind = seeing(right)
    blind.profile = {"image_inputs": False}
    run(context(blind, {TOTAL: unsure(TOTAL)}))
    assert isinstance(blind.seen[0][1].content, str)


def test_tokens_are_counted_wherever_a_chat_model_is_asked() -> None:
    model = seeing(right)
    tool = LayoutLLMTool(reader=ChatModelReader(model, images=True), documents={"invoice.pdf": DOCUMENT})
    found = run(Context(tool, second_opinion=False))
    assert found["usage"]["scripted-1"]["total_tokens"] == 330
    with get_usage_metadata_callback() as usage:
        ChatModelReader(model, images=True).ask_many(DOCUMENT, TASK)
    assert usage.usage_metadata["scripted-1"]["input_tokens"] == 300
