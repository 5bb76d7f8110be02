"""The workflow's door: what a run is given is checked before any work, and before it is checkpointed.

A document given as content (bytes, base64, a content block) is handed in to the document cache; the state
holds its hash. Another process that goes on with the run needs the content handed in again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Interrupt
from pydantic import BaseModel, TypeAdapter, ValidationError

from layoutllm_graphs.context import Context
from layoutllm_graphs.planning.fields import first_error
from layoutllm_graphs.review import Approval, ReviewDecision
from layoutllm_graphs.state import Outcome, Request, State
from layoutllm_tool.errors import RequestError
from layoutllm_tool.readers.caching import hand_in

_REQUEST = TypeAdapter(Request)
_REPLIES: dict[str, type[BaseModel]] = {"plan": Approval, "review": ReviewDecision}
"""What an interrupt of that kind is answered with."""
_ID = re.compile(r"[0-9a-f]{32}")


class Workflow(StateGraph[State, Context, Request, Outcome]):
    """A StateGraph whose compiled form checks what it is given."""

    def compile(self, *args: Any, **options: Any) -> CompiledStateGraph[State, Context, Request, Outcome]:
        """As StateGraph does."""
        compiled = super().compile(*args, **options)
        compiled.__class__ = _CheckedWorkflow  # StateGraph offers no other place for a subclass
        return compiled


class _CheckedWorkflow(CompiledStateGraph[State, Context, Request, Outcome]):
    """``invoke`` and ``ainvoke`` come through these two as well."""

    def stream(
        self,
        input: Any,  # noqa: A002  LangGraph's name
        config: Any = None,
        **options: Any,
    ) -> Iterator[Any]:
        given = checked_request(input, options.get("context"))
        if self._is_answered(given):
            waiting = self.get_state(config or RunnableConfig()).interrupts
            given = replace(given, resume=checked_replies(given.resume, waiting))
        return super().stream(given, config, **options)

    async def astream(
        self,
        input: Any,  # noqa: A002  LangGraph's name
        config: Any = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        given = await asyncio.to_thread(checked_request, input, options.get("context"))
        if self._is_answered(given):
            waiting = (await self.aget_state(config or RunnableConfig())).interrupts
            given = replace(given, resume=checked_replies(given.resume, waiting))
        async with aclosing(super().astream(given, config, **options)) as parts:  # type: ignore[type-var]
            async for part in parts:
                yield part

    def _is_answered(self, given: Any) -> bool:
        resumes = isinstance(given, Command) and given.resume is not None
        return resumes and isinstance(self.checkpointer, BaseCheckpointSaver)


def checked_request(given: Any, context: Any = None) -> Any:
    """The request with its document's name; a Command, and None, as they are. RequestError, DocumentError."""
    if not (context is None or isinstance(context, Context | Mapping)):
        raise RequestError(
            f"a {type(context).__name__} is no context.", hint="Give Context(tool=LayoutLLMTool(...))."
        )
    if isinstance(given, Command) and given == Command():
        raise RequestError("the Command says nothing.", hint="Resume with a reply.")
    if given is None or isinstance(given, Command):
        return given
    if not isinstance(given, Mapping):
        raise _no_request(f"a {type(given).__name__} is none")
    if "document" not in given:
        raise _no_request("it names no document")
    if unknown := [name for name in given if name not in Request.__annotations__]:
        raise _no_request(f"it has no {unknown[0]!r}")
    data = {**given, "document": hand_in(given["document"])}
    try:
        return _REQUEST.validate_python(data, strict=True)
    except ValidationError as error:
        raise _no_request(first_error(error)) from error


def _no_request(why: str) -> RequestError:
    hint = 'For instance {"document": "invoice.pdf", "task": "Extract the total"}.'
    return RequestError(f"this is no request: {why.rstrip('.')}.", hint=hint)


def checked_replies(replies: Any, waiting: tuple[Interrupt, ...]) -> dict[str, Any]:
    """Each reply under its interrupt's id: it waits, and takes such a reply. RequestError."""
    known = {one.id: one for one in waiting}
    if not known:
        raise RequestError("no interrupt waits for a reply.", hint="Is it the run's thread_id?")
    if not (isinstance(replies, Mapping) and replies and all(map(_ID.fullmatch, map(str, replies)))):
        if len(known) > 1:
            hint = f"Resume with {{id: reply, ...}}. The ids: {', '.join(known)}."
            raise RequestError(f"{len(known)} interrupts wait: say which one is answered.", hint=hint)
        replies = {next(iter(known)): replies}
    if unknown := [name for name in replies if name not in known]:
        raise RequestError(f"no interrupt {unknown[0]} waits.", hint=f"These do: {', '.join(known)}.")
    for name, reply in replies.items():
        _check_reply(known[name], reply)
    return dict(replies)


def _check_reply(interrupt: Interrupt, reply: Any) -> None:
    kind = interrupt.value.get("kind") if isinstance(interrupt.value, Mapping) else None
    if kind not in _REPLIES:
        return
    try:
        _REPLIES[kind].model_validate(reply)
    except ValidationError as error:
        raise RequestError(
            f"this is no reply to a {kind}: {first_error(error).rstrip('.')}.",
            hint="The interrupt's response_schema says what may be answered.",
        ) from error
