"""What a run works with: the tool, chat models, limits. Live objects ride here, plain data in ``state``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.runtime import get_runtime
from pydantic.json_schema import SkipJsonSchema

from layoutllm_graphs.reflection.checks import CHECKS, Check
from layoutllm_graphs.reflection.criteria import Criterion
from layoutllm_graphs.reflection.reflector import MAX_ATTEMPTS
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import RequestError
from layoutllm_tool.tool import LayoutLLMTool


@dataclass(frozen=True, slots=True)
class Context:
    """``graph.invoke(request, context=Context(tool=...))``, or as plain JSON from a server's client.

    A client can't send objects of this process, so the served schema leaves them out.
    """

    tool: SkipJsonSchema[LayoutLLMTool | None] = None
    """None: the package's own ``LayoutLLMTool()``, over the files under the working directory."""
    planner: SkipJsonSchema[BaseChatModel | None] = None
    """Plans the tasks in words; where its plan won't do, the rules do."""
    writer: SkipJsonSchema[BaseChatModel | None] = None
    """Summarises, explains, translates, classifies; without one such parts of a task are refused."""
    judge: SkipJsonSchema[BaseChatModel | None] = None
    """Gives an opinion on answers; it can mark, never overrule."""
    escalate: SkipJsonSchema[BaseChatModel | None] = None
    """Asked what stays doubtful, with the page's picture; its answers have to be proved by the page."""
    max_escalations: SkipJsonSchema[int] = 10
    """Most questions of a document that it is asked, in the plan's order."""
    max_attempts: int = MAX_ATTEMPTS
    """Most attempts at one question, the first among them; 1 asks once and only marks."""
    disabled_checks: tuple[str, ...] = ()
    """Names of checks left out (``layoutllm_graphs.reflection.checks``)."""
    checks: SkipJsonSchema[Mapping[str, Check]] = field(default_factory=dict)
    """Checks of your own, by name, which every answer goes through after the package's."""
    criteria: SkipJsonSchema[Mapping[str, Criterion]] = field(default_factory=dict)
    """What the answers must keep to together, by name: functions, or sentences for the judge."""
    second_opinion: bool = True
    """Doubtful answers are read again from a crop of the page, and the readings compared."""
    min_confidence: float = 0.0
    """Answers, and values of a record, that are less sure than this are doubtful (0-1)."""
    approve: bool = False
    """Interrupts with the plan before it runs."""
    review: bool = False
    """Interrupts with every answer that stays doubtful."""

    def __post_init__(self) -> None:
        """RequestError."""
        if not (self.tool is None or isinstance(self.tool, LayoutLLMTool)):
            raise RequestError(
                f"tool is a {type(self.tool).__name__}.", hint="Give a LayoutLLMTool(reader=...)."
            )
        known = [*CHECKS, *self.checks]
        if unknown := [name for name in self.disabled_checks if name not in known]:
            raise RequestError(f"there is no check {unknown[0]!r}.", hint=f"Checks: {', '.join(known)}.")
        if self.max_attempts < 1 or self.min_confidence < 0:
            hint = "max_attempts is 1 or more, min_confidence 0 or more."
            raise RequestError("a limit is out of its range.", hint=hint)


def context() -> Context:
    """The run's, or the defaults where it was started without one."""
    return get_runtime(Context).context or Context()


def tool() -> LayoutLLMTool:
    """The context's, or the package's own."""
    return context().tool or _own_tool()


@cache
def _own_tool() -> LayoutLLMTool:
    return LayoutLLMTool()


def checks() -> dict[str, Check]:
    """All checks that the context does not disable."""
    every = {**CHECKS, **context().checks}
    return {name: check for name, check in every.items() if name not in context().disabled_checks}


def look_at_pages(question: Mapping[str, Any]) -> Document:
    """The pages that a question's input or state restricts it to."""
    return tool().look(question["document"], page_of(question))


def page_of(question: Mapping[str, Any]) -> int | None:
    """The page of a question's input or state: the question's own, else the request's."""
    page: int | None = question["question"]["page"] or question["page"]
    return page
