"""What a run streams to whoever watches it (``stream_mode="custom"``): typed events beside the tool's own.

The tool streams each step of each question (``question_analysis``, ``relevant_area_concentration`` with the
area's boxes, ``answer_formation``) with its ``tool_call_id``, which begins with the question's name. The
graphs add these, told apart by ``event``.
"""

from __future__ import annotations

from typing import Any, Literal

from langgraph.config import get_stream_writer
from typing_extensions import TypedDict

from layoutllm_graphs.reflection.types import Attempt


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


def emit_reflection(name: str, attempt: Attempt) -> None:
    """Write an attempt's findings, verdict and next correction."""
    cot, reflection = attempt["cot"], attempt["reflection"]
    for found in reflection["findings"]:
        check, step, reason = found["check"], found["step"], found["reason"]
        emit(CheckEvent(event="check", name=name, check=check, step=step, reason=reason))
    verdict, answer, confidence = reflection["verdict"], cot["answer"], cot["confidence"]
    emit(VerdictEvent(event="verdict", name=name, verdict=verdict, answer=answer, confidence=confidence))
    if (chosen := reflection["correction"]) is not None:
        # The reflector adds the answers that were ruled out before.
        offers = [found for found in reflection["findings"] if found["correction"]]
        by = next(f["check"] for f in offers if {**f["correction"], "wrong": chosen["wrong"]} == chosen)
        emit(CorrectionEvent(event="correction", name=name, by=by, correction=chosen))
