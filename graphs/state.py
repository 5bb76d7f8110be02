"""What the graphs keep and pass on. State is plain JSON, since it is checkpointed; live objects ride in the context."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired

from langchain_core.messages import ToolCall
from langchain_core.tools import BaseTool
from typing_extensions import TypedDict  # the schemas served are made by pydantic, which refuses typing's on 3.11


class Answer(TypedDict):
    """One question's outcome. ``answer`` is None for "not in the document" and where ``error`` says what went wrong.

    ``box`` is [x0, y0, x1, y1], 0-1000 on ``page`` (1-based); ``cot`` the whole LayoutCoT as JSON, for ``from_json``.
    """

    question: str
    answer: str | None
    page: int | None
    box: list[int] | None
    confidence: float | None
    error: str | None
    cot: dict[str, Any] | None


class Job(TypedDict):
    """One question on its way to the tool, sent to a branch of its own."""

    index: int
    call: ToolCall


class Result(TypedDict):
    """What a branch brings back: the tool message's text, status and artifact."""

    index: int
    question: str
    status: str
    text: str
    artifact: dict[str, Any] | None


class Request(TypedDict):
    """The graph's input. ``page`` (1-based) restricts every question to one page."""

    document: str
    questions: list[str]
    page: NotRequired[int | None]


class Outcome(TypedDict):
    """The graph's output: the answers, in the order of the questions."""

    answers: list[Answer]


class State(Request, Outcome):
    """``results`` come in as branches finish, in any order; each run starts with none."""

    results: Annotated[list[Result], operator.add]


@dataclass(frozen=True, slots=True)
class Context:
    """What a run works with: ``graph.invoke(request, context=Context(tool=...))``."""

    tool: BaseTool | None = None
    """None: the package's own ``LayoutLLMTool()``, over the files under the working directory."""
