"""What the graphs keep and pass on. State is plain JSON, since it is checkpointed; live objects ride in the context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, NotRequired, TypeVar

from langchain_core.language_models import BaseChatModel
from pydantic import TypeAdapter
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict  # the schemas served are made by pydantic, which refuses typing's on 3.11

from graphs.planning.plan import Plan
from graphs.reflection.reflector import MOST_ROUNDS
from graphs.reflection.types import Reflection
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.tool import LayoutLLMTool


class Attempted(TypedDict):
    """One attempt at a question: what came of it, what led to it, and what the checks said."""

    cot: dict[str, Any]
    correction: dict[str, Any] | None
    reflection: dict[str, Any]


class Found(TypedDict):
    """Where a question stands. ``best`` is an index of ``attempts``; without any, ``error`` says why."""

    attempts: list[Attempted]
    best: int | None
    verdict: str
    error: str | None
    by: str
    """Who said the last word: "reader", or "person"."""
    calls: int
    """Of the tool, in all rounds."""


class Answer(TypedDict):
    """One question's outcome. ``answer`` is None for "not in the document" and where ``error`` says what went wrong.

    ``box`` is [x0, y0, x1, y1], 0-1000 on ``page`` (1-based); ``cot`` the whole LayoutCoT as JSON, for ``from_json``. An answer whose
    ``verdict`` is not "satisfied" is doubtful: ``reasons`` say why.
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
    """The graph's input. ``task``: free text, a list of fields or questions, a JSON Schema, or a plan as JSON.

    ``page`` (1-based) restricts every question that names no page itself.
    """

    document: str
    task: str | list[str] | dict[str, Any]
    page: NotRequired[int | None]


class Outcome(TypedDict):
    """The graph's output: the plan that was carried out, its answers in their order, and what the planner had to say."""

    plan: dict[str, Any]
    answers: list[Answer]
    notes: list[str]


def _merged(old: dict[str, Found], new: dict[str, Found]) -> dict[str, Found]:
    return {**old, **new}


class State(Request, Outcome):
    """``found`` fills as questions are dealt with, in any order."""

    found: Annotated[dict[str, Found], _merged]


class Job(TypedDict):
    """One question on its way through the question's graph: its plan entry, its text filled in, and what is known already."""

    document: str
    page: int | None
    name: str
    question: dict[str, Any]
    text: str
    """The question as it is asked, with other answers in their places: the document's words, and nothing to judge by."""
    others: dict[str, dict[str, Any]]
    constraints: list[dict[str, Any]]
    correction: dict[str, Any] | None
    """What the next attempt follows: a constraint's or a person's; None to begin."""
    by: str
    """Whose correction it is: "reader", or "person", whose last word it then is."""
    known: Found | None
    """Where the question stands already."""


_NOT_REFLECTED: dict[str, Any] = {"verdict": "satisfied", "findings": [], "correction": None}
_T = TypeVar("_T")
Live = Annotated[_T, SkipJsonSchema()]
"""An object of this process: a server's clients can't send one, so the schema that they are shown leaves it out."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a run works with: ``graph.invoke(request, context=Context(tool=...))``, or as plain JSON from a server's client."""

    tool: Live[LayoutLLMTool | None] = None
    """None: the package's own ``LayoutLLMTool()``, over the files under the working directory."""
    planner: Live[BaseChatModel | None] = None
    """Plans what the rules don't understand."""
    judge: Live[BaseChatModel | None] = None
    """Looks at doubtful answers a second time; it can mark, never overrule."""
    rounds: int = MOST_ROUNDS
    """Most attempts at one question, the first among them; 1 asks once and only marks."""
    without: tuple[str, ...] = ()
    """Checks left out, by name (graphs/reflector.py)."""
    second_look: bool = True
    """Doubtful answers are read again from a crop of the page, and the readings compared."""
    approve: bool = False
    """Interrupts with the plan before it is carried out."""
    review: bool = False
    """Interrupts with every answer that stays doubtful."""


_STATE, _COT = TypeAdapter(State), TypeAdapter(LayoutCoT)


def check_state(values: Mapping[str, Any]) -> None:
    """Whether these values, which come from a store, are a run's, down to each attempt. Raises what decoding them raises, ValueError
    among it."""
    _STATE.validate_python(values, strict=True)
    for found in values["found"].values():
        for attempt in found["attempts"]:
            check_cot(attempt["cot"])
            Reflection.from_json(attempt["reflection"] or _NOT_REFLECTED)
        if found["best"] is not None:
            found["attempts"][found["best"]]
    plan_in(values)


def check_cot(data: Mapping[str, Any]) -> LayoutCoT:
    """As ``LayoutCoT.from_json``, which takes the types for granted. Raises as ``check_state`` does."""
    return _COT.validate_python(asdict(LayoutCoT.from_json(data)))


def plan_in(state: Mapping[str, Any]) -> Plan:
    """The plan that is being carried out."""
    return Plan.model_validate(state["plan"])


def cots_in(state: Mapping[str, Any]) -> dict[str, LayoutCoT]:
    """The best attempt at every question that has one."""
    return {
        name: LayoutCoT.from_json(found["attempts"][found["best"]]["cot"])
        for name, found in state["found"].items()
        if found["best"] is not None
    }


def correction_in(found: Found) -> dict[str, Any] | None:
    """What the best attempt's reflection would try next."""
    mend: dict[str, Any] | None = found["attempts"][found["best"] or 0]["reflection"].get("correction")
    return mend
