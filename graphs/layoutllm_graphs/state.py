"""What the graphs keep and pass on: plain JSON, since it is checkpointed. Live objects are in ``context``."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict  # pydantic refuses typing's on 3.11

from layoutllm_graphs.planning.plan import Plan
from layoutllm_graphs.reflection.types import Attempt, QuestionResult, Reflection
from layoutllm_tool.cot import LayoutCoT


class Answer(TypedDict):
    """One question's answer; None means "not in the document", or ``error`` says what failed.

    ``box`` is [x0, y0, x1, y1], 0-1000 on ``page`` (1-based); ``cot`` the LayoutCoT as JSON, for
    ``from_json``. An answer whose ``verdict`` is not "satisfied" is doubtful: ``reasons`` say why.
    """

    name: str
    question: str
    answer: str | None
    page: int | None
    box: list[int] | None
    confidence: float | None
    verdict: str
    reasons: list[str]
    by: str
    calls: int
    error: str | None
    cot: dict[str, Any] | None


class Request(TypedDict):
    """The graph's input. ``task``: text, a list of fields or questions, a JSON Schema, or a plan as JSON.

    ``page`` (1-based) restricts every question that names no page itself.
    """

    document: str
    task: str | list[str] | dict[str, Any]
    page: NotRequired[int | None]


class Outcome(TypedDict):
    """The graph's output: the plan that ran, its answers in order, and the planner's notes."""

    plan: dict[str, Any]
    answers: list[Answer]
    notes: list[str]


class State(Request, Outcome):
    """The workflow's state."""

    found: Annotated[dict[str, QuestionResult], operator.or_]
    """Filled as questions are answered, in any order."""


class QuestionInput(TypedDict):
    """One question, as its own graph gets it."""

    document: str
    page: int | None
    name: str
    question: dict[str, Any]
    text: str
    """The question as asked, with other answers filled in: the document's words, which no check reads."""
    others: dict[str, dict[str, Any]]
    constraints: list[dict[str, Any]]
    correction: dict[str, Any] | None
    """What the next attempt follows: a check's or a person's correction; None to begin."""
    by: str
    """Whose correction it is: "reader", or "person", whose correction is final."""
    previous_result: QuestionResult
    """The result of an earlier run of this question; without attempts where it is the first."""


class QuestionState(QuestionInput):
    """The state of the question's graph."""

    attempts: list[Attempt]
    calls: int
    readings: Annotated[list[dict[str, Any]], operator.add]
    """LayoutCoTs of the second opinion."""
    found: dict[str, QuestionResult]


class QuestionOutput(TypedDict):
    """What the workflow gets back: this question's entry of its ``found``."""

    found: dict[str, QuestionResult]


_NOT_ASKED = QuestionResult(attempts=[], best=None, verdict="failed", error=None, by="reader", calls=0)
NOT_REFLECTED: dict[str, Any] = {"verdict": "satisfied", "findings": [], "correction": None}
_STATE, _COT = TypeAdapter(State), TypeAdapter(LayoutCoT)


def check_state(values: Mapping[str, Any]) -> None:
    """Check that stored values are a run's, down to each attempt. Raises what decoding raises."""
    _STATE.validate_python(values, strict=True)
    for result in values["found"].values():
        for attempt in result["attempts"]:
            _COT.validate_python(asdict(LayoutCoT.from_json(attempt["cot"])))
            Reflection.from_json(attempt["reflection"] or NOT_REFLECTED)
        best_attempt(result)
    plan_in(values)


def plan_in(state: Mapping[str, Any]) -> Plan:
    """The plan that runs."""
    return Plan.model_validate(state["plan"])


def best_attempt(result: QuestionResult) -> Attempt | None:
    """The attempt that is kept, if there is one."""
    return None if result["best"] is None else result["attempts"][result["best"]]


def cots_in(state: Mapping[str, Any]) -> dict[str, LayoutCoT]:
    """The best attempt's LayoutCoT of every question that has one."""
    best = {name: best_attempt(result) for name, result in state["found"].items()}
    return {name: LayoutCoT.from_json(attempt["cot"]) for name, attempt in best.items() if attempt}


def next_correction(result: QuestionResult) -> dict[str, Any] | None:
    """What the best attempt's reflection would try next."""
    attempt = best_attempt(result)
    return attempt["reflection"].get("correction") if attempt else None


def question_input(state: Mapping[str, Any], name: str, *, final: bool = False) -> QuestionInput:
    """Build the question's input.

    Constraints and the answers they name are included when ``final`` is set, and for list questions, which
    need them to locate the column.
    """
    plan, cots = plan_in(state), cots_in(state)
    question = plan.question(name)
    answers = {other: cot.answer for other, cot in cots.items() if cot.answer is not None}
    constraints = [c for c in plan.constraints if name in c.names] if final or question.is_list else []
    others = {n: cots[n].to_json() for c in constraints for n in c.names if n in cots and n != name}
    return QuestionInput(
        document=state["document"], page=state.get("page"), name=name,
        question=question.model_dump(mode="json"), text=question.filled(answers), others=others,
        constraints=[c.model_dump(mode="json") for c in constraints],
        correction=None, by="reader", previous_result=state["found"].get(name, _NOT_ASKED),
    )  # fmt: skip
