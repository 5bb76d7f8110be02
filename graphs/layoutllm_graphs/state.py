"""What the graphs keep and pass on: plain JSON, since it is checkpointed. Live objects are in ``context``."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, NotRequired

from langgraph.channels import EphemeralValue
from pydantic import TypeAdapter
from typing_extensions import TypeAliasType, TypedDict  # pydantic refuses typing's on 3.11

from layoutllm_graphs.planning.plan import Plan
from layoutllm_graphs.reflection.types import QuestionResult
from layoutllm_graphs.usage import Usage, summed
from layoutllm_tool.cot import LayoutCoT


class CellData(TypedDict):
    """A cell of a table's row. Without page and box where a person wrote it."""

    text: str
    page: int | None
    box: list[int] | None
    confidence: float


RowData = TypeAliasType("RowData", "dict[str, CellData | list[RowData] | None]")
"""A table's row by column; None for an empty cell, a list for rows within the row."""


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
    rows: NotRequired[list[Any]]
    """Of a table: its ``RowData``."""
    original: NotRequired[dict[str, Any] | None]
    """The place on the page as its file has it (``LayoutCoT.on_original``), once the run is through."""


class Escalation(TypedDict):
    """What became of doubtful answers where the context has a chat model for them: names of questions."""

    asked: list[str]
    replaced: list[str]
    """Those of them whose answer is the chat model's."""
    share: float
    """Of the plan's questions that were asked of it, 0-1."""
    left: list[str]
    """Doubtful, and beyond the budget."""


class CriterionResult(TypedDict):
    """How the answers stand to one of ``Context.criteria``.

    ``verdict``: satisfied, needs_revision (``answers`` names those to be read again), failed, grader_error.
    """

    name: str
    verdict: str
    reason: str
    answers: list[str]


class Request(TypedDict):
    """The graph's input. ``task``: text, a list of fields or questions, a JSON Schema, or a plan as JSON.

    ``page`` (1-based) restricts every question that names no page itself. ``schema``: the JSON Schema of the
    record, where ``task`` is the plan that was made of it. Both are gone after the first step: a later
    request on the same thread does not inherit them.
    """

    document: str
    task: str | list[str] | dict[str, Any]
    page: Annotated[NotRequired[int | None], EphemeralValue]
    schema: Annotated[NotRequired[dict[str, Any] | None], EphemeralValue]


class Outcome(TypedDict):
    """The graph's output: the plan that ran, its answers in order, and the planner's notes.

    Of a JSON Schema also the typed ``record``, and for each of its leaves, by JSON pointer, where the value
    stands and what speaks against it (``records.Field``). ``escalation`` where the context escalates.
    ``usage``: the tokens of all chat models by name, as LangChain's ``UsageMetadata``.
    """

    plan: dict[str, Any]
    answers: list[Answer]
    notes: list[str]
    criteria: NotRequired[list[CriterionResult]]
    record: NotRequired[dict[str, Any]]
    fields: NotRequired[dict[str, dict[str, Any]]]
    escalation: NotRequired[Escalation | None]
    usage: NotRequired[Annotated[Usage, summed]]
    notices: NotRequired[list[dict[str, Any]]]
    """How pages were read: ``page`` (1-based), ``code``, ``text``."""


class State(Request, Outcome):
    """The workflow's state."""

    only_page: NotRequired[int | None]
    """The request's ``page``."""
    record_schema: NotRequired[dict[str, Any] | None]
    """The request's ``schema``, or its task where that is one."""
    found: Annotated[dict[str, dict[str, Any]], operator.or_]
    """Each question's ``QuestionResult``; filled as questions are answered, in any order."""


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
    """Who decides: "reader", "person", whose correction is final, or the chat model of an escalation."""
    previous_result: dict[str, Any]
    """The ``QuestionResult`` of an earlier run of this question; without attempts where it is the first."""
    doubts: NotRequired[list[str]]
    """For a review: what speaks against the values that the record has of the answer."""


class QuestionState(QuestionInput):
    """The state of the question's graph."""

    attempts: list[dict[str, Any]]
    """Each an ``Attempt``."""
    calls: int
    readings: Annotated[list[dict[str, Any]], operator.add]
    """LayoutCoTs of the second opinion."""
    found: dict[str, dict[str, Any]]
    usage: Annotated[Usage, summed]
    """Tokens of chat models, by model."""


class QuestionOutput(TypedDict):
    """What the workflow gets back: this question's entry of its ``found``, and the tokens that it took."""

    found: dict[str, dict[str, Any]]
    usage: Annotated[Usage, summed]


_STATE, _RESULT = TypeAdapter(State), TypeAdapter(QuestionResult)
_ROWS = TypeAdapter(list[RowData])


@dataclass(frozen=True, slots=True)
class Run:
    """The workflow's state as its nodes work on it, decoded where they begin."""

    document: str
    only_page: int | None
    plan: Plan
    found: dict[str, QuestionResult]
    cots: dict[str, LayoutCoT]
    """The best attempt's of every question that has one."""

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Run:
        plan = Plan.model_validate(state["plan"])
        found = {name: QuestionResult.from_json(result) for name, result in state["found"].items()}
        cots = {name: result.cot for name, result in found.items() if result.cot}
        return cls(state["document"], state.get("only_page"), plan, found, cots)

    def question_input(self, name: str, *, final: bool = False) -> QuestionInput:
        """Build the question's input.

        Constraints and the answers they name are included when ``final`` is set, and for list questions,
        which need them to locate the column.
        """
        question, cots = self.plan.question(name), self.cots
        answers = {other: cot.answer for other, cot in cots.items() if cot.answer is not None}
        named = [c for c in self.plan.constraints if name in c.names] if final or question.is_list else []
        others = {n: cots[n].to_json() for c in named for n in c.names if n in cots and n != name}
        return QuestionInput(
            document=self.document, page=self.only_page, name=name,
            question=question.model_dump(mode="json"), text=question.filled(answers), others=others,
            constraints=[constraint.model_dump(mode="json") for constraint in named], correction=None,
            by="reader", previous_result=self.found.get(name, QuestionResult()).to_json(),
        )  # fmt: skip


def check_state(values: Mapping[str, Any]) -> None:
    """Check that stored values are a run's, down to each attempt. Raises what decoding raises."""
    _STATE.validate_python(values, strict=True)
    for name, result in Run.of(values).found.items():
        if _RESULT.validate_python(asdict(result)) != result:
            raise ValueError(f"values of other types in the result of {name!r}")
        _ROWS.validate_python(list(result.rows), strict=True)
