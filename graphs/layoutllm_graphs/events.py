"""What a run streams to whoever watches it (``stream_mode="custom"``): typed events beside the tool's own.

The tool streams each step of each question (``question_analysis``, ``relevant_area_concentration`` with the
area's boxes, ``answer_formation``) with its ``tool_call_id``, which begins with the question's name. The
graphs add these, told apart by ``event``.
"""

from __future__ import annotations

from typing import Any, Literal

from langgraph.config import get_stream_writer
from typing_extensions import TypedDict

from layoutllm_graphs.reflection.types import Reflection
from layoutllm_tool.cot import LayoutCoT


class PlanEvent(TypedDict):
    """The plan, before it runs."""

    event: Literal["plan"]
    plan: dict[str, Any]
    notes: list[str]


class QuestionEvent(TypedDict):
    """A question goes to the tool, for the first time (``attempt`` 1) or again."""

    event: Literal["question"]
    name: str
    question: str
    attempt: int


class CorrectionEvent(TypedDict):
    """The correction that the next attempt follows, and who made it: a check's name, or "person"."""

    event: Literal["correction"]
    name: str
    by: str
    correction: dict[str, Any]


class CheckEvent(TypedDict):
    """What a check finds wrong with an answer."""

    event: Literal["check"]
    name: str
    check: str
    step: str
    reason: str


class VerdictEvent(TypedDict):
    """The verdict on an attempt."""

    event: Literal["verdict"]
    name: str
    verdict: str
    answer: str | None
    confidence: float | None


Event = PlanEvent | QuestionEvent | CorrectionEvent | CheckEvent | VerdictEvent


def emit(event: Event) -> None:
    """Write to the run's custom stream; nobody need be listening."""
    get_stream_writer()(event)


def emit_reflection(name: str, cot: LayoutCoT, reflection: Reflection) -> None:
    """Write the findings on a question's answer, its verdict and the next correction."""
    answer, confidence = cot.answer, cot.confidence
    for f in reflection.findings:
        emit(CheckEvent(event="check", name=name, check=f.check, step=f.step, reason=f.reason))
    verdict = reflection.verdict
    emit(VerdictEvent(event="verdict", name=name, verdict=verdict, answer=answer, confidence=confidence))
    if reflection.correction:
        chosen = reflection.correction.to_json()
        # The reflector adds the answers that were ruled out before.
        offers = ((f.check, f.correction.to_json()) for f in reflection.findings if f.correction)
        by = next(check for check, offer in offers if {**offer, "wrong": chosen["wrong"]} == chosen)
        emit(CorrectionEvent(event="correction", name=name, by=by, correction=chosen))
