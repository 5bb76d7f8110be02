"""What stays doubtful is asked of a chat model, within a budget: ``Context(escalate=model)``.

A node of the workflow. The chat model's answer is held against the page like any. It takes the place of the
one before where the page proves it, or where that one was "not in the document" or an error.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from langchain_core.language_models import BaseChatModel

from layoutllm_graphs.context import context, look_at_pages, page_of
from layoutllm_graphs.doubts import sure_enough
from layoutllm_graphs.events import QuestionEvent, emit
from layoutllm_graphs.question import reflected
from layoutllm_graphs.reflection.checks.context import shown
from layoutllm_graphs.reflection.types import CHAT_MODEL, Attempt, Finding, QuestionResult
from layoutllm_graphs.state import Escalation, QuestionInput, Run
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.messages import plain_line
from layoutllm_tool.readers.chat import ChatModelReader


def to_escalate(run: Run, names: Collection[str], values: Collection[str] = ()) -> list[str]:
    """Those of the names to ask the chat model: doubtful, in the plan's order, within the budget.

    ``values``: questions of which the record has a doubtful value.
    """
    if context().escalate is None:
        return []
    left = context().max_escalations - sum(result.escalated for result in run.found.values())
    return [name for name in _doubtful(run, values) if name in names][: max(left, 0)]


def _doubtful(run: Run, values: Collection[str]) -> list[str]:
    """Doubtful questions that no person decided and no chat model was asked. Tables are left out."""
    least = context().min_confidence
    return [
        question.name
        for question in run.plan.questions
        if (result := run.found.get(question.name)) is not None
        and not (question.columns or result.escalated or result.by == "person")
        and (question.name in values or sure_enough(result, least).needs_review)
    ]


def escalate(question: QuestionInput) -> dict[str, Any]:
    """Ask the chat model. Whatever it does, an answer before it stands, with a reason."""
    before = QuestionResult.from_json(question["previous_result"])
    name, text = question["name"], question["text"]
    emit(QuestionEvent(event="question", name=name, question=text, attempt=len(before.attempts) + 1))
    try:
        cot = _reader().ask(look_at_pages(question), text, page=page_of(question))
    except LayoutLLMError as error:
        result = _kept(before, f"The chat model was of no use: {plain_line(str(error), 300)}")
    else:
        asked: QuestionInput = {**question, "by": CHAT_MODEL}
        result = _decided(before, reflected(asked, before.add(Attempt(cot))))
    done = replace(result, escalated=True, calls=before.calls + 1)
    return {"found": {name: done.to_json()}}


def _reader() -> ChatModelReader:
    """Over the context's chat model, with pictures unless its profile says that it can't see."""
    model: BaseChatModel | None = context().escalate
    assert model is not None
    profile: Any = getattr(model, "profile", None) or {}
    return ChatModelReader(model, images=profile.get("image_inputs", True))


def _decided(before: QuestionResult, after: QuestionResult) -> QuestionResult:
    """The result with the chat model's attempt, which is the best one where it takes the place."""
    least = context().min_confidence
    verdict = sure_enough(replace(after, verdict=after.reflection.verdict), least).verdict
    if _takes_the_place(before, after, satisfied=verdict == "satisfied"):
        return replace(after, verdict=after.reflection.verdict, error=None, by=CHAT_MODEL)
    return _kept(replace(before, attempts=after.attempts), _objection(after))


def _takes_the_place(before: QuestionResult, after: QuestionResult, *, satisfied: bool) -> bool:
    new, old = after.cot, before.cot
    assert new is not None
    if old is None:
        return True
    if new.answer is None:
        return satisfied and old.answer is None
    return new.grounded and (satisfied or old.answer is None)


def _objection(after: QuestionResult) -> str:
    """Why the chat model's answer does not take the place."""
    cot = after.cot
    if cot is None or cot.answer is None:
        return "The chat model says that the document does not answer."
    return f"The chat model reads {shown(cot.answer)}. {' '.join(after.reasons[:2])}".rstrip()


def _kept(before: QuestionResult, reason: str) -> QuestionResult:
    """The answer before, or its error, with the reason why the chat model changes nothing."""
    if before.best is None:
        return replace(before, error=f"{before.error or 'No answer.'} {reason}")
    reflection = before.reflection
    note = Finding("escalation", "answer", reason, weight=0.0)
    return before.change_best(reflection=replace(reflection, findings=(*reflection.findings, note)))


def summary(run: Run, values: Collection[str]) -> Escalation:
    """Which questions were escalated, which of their answers are the chat model's, and what was left.

    ``values``: questions of which the record has a doubtful value.
    """
    names = [question.name for question in run.plan.questions]
    asked = [name for name in names if name in run.found and run.found[name].escalated]
    return Escalation(
        asked=asked, replaced=[name for name in asked if run.found[name].by == CHAT_MODEL],
        share=len(asked) / max(len(names), 1), left=_doubtful(run, values),
    )  # fmt: skip
