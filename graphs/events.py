"""What a run tells whoever watches it (``stream_mode="custom"``): typed events beside the tool's own.

The tool reports each step of each question (``question_analysis``, ``relevant_area_concentration`` with the area's boxes,
``answer_formation``) with its ``tool_call_id``, which begins with the question's name. The graphs add these, told apart by ``event``.
"""

from __future__ import annotations

from typing import Any, Literal

from langgraph.config import get_stream_writer
from typing_extensions import TypedDict


class PlanEvent(TypedDict):
    """The plan, before it is carried out."""

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
    """What a check holds against an answer."""

    event: Literal["check"]
    name: str
    check: str
    step: str
    reason: str


class VerdictEvent(TypedDict):
    """What reflection makes of an attempt."""

    event: Literal["verdict"]
    name: str
    verdict: str
    answer: str | None
    confidence: float | None


Event = PlanEvent | QuestionEvent | CorrectionEvent | CheckEvent | VerdictEvent


def tell(event: Event) -> None:
    """To the run's custom stream; nobody need be listening."""
    get_stream_writer()(event)
