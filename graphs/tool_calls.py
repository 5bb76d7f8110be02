"""The tool as the graphs use it: called through a ToolNode, so that it gets its runtime and streams its steps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessage, ToolCall, ToolMessage
from langgraph.prebuilt import ToolNode
from langgraph.runtime import get_runtime

from graphs.reflection.checks import CHECKS, Check
from graphs.state import Context
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.tool import LayoutLLMTool


@dataclass(frozen=True, slots=True)
class Reply:
    """A LayoutCoT as JSON, or the error that the caller can do something about."""

    cot: dict[str, Any] | None
    error: str | None = None


def context() -> Context:
    """The run's, or the defaults where it was started without one."""
    return get_runtime(Context).context or Context()


def tool() -> LayoutLLMTool:
    """The context's, or the package's own."""
    return context().tool or _own_tool()


def checks() -> list[Check]:
    """All but those that the context leaves out."""
    return [check for check in CHECKS if check.__name__ not in context().without]


@cache
def _own_tool() -> LayoutLLMTool:
    return LayoutLLMTool()


def ask(name: str, arguments: Mapping[str, Any]) -> Reply:
    """One call. Errors that are not the package's own are bugs, and raise."""
    node = ToolNode([tool()])
    try:
        done = node.invoke(_messages(name, arguments, tool().name))
    except LayoutLLMError as error:
        return Reply(None, str(error))
    return _reply(done["messages"][-1])


async def aask(name: str, arguments: Mapping[str, Any]) -> Reply:
    """As ``ask``, without a thread of its own."""
    known = await asyncio.to_thread(tool)  # asks for the working directory: a blocking call, to the strict
    try:
        done = await ToolNode([known]).ainvoke(_messages(name, arguments, known.name))
    except LayoutLLMError as error:
        return Reply(None, str(error))
    return _reply(done["messages"][-1])


def _messages(name: str, arguments: Mapping[str, Any], called: str) -> dict[str, list[AIMessage]]:
    call = ToolCall(name=called, args=dict(arguments), id=f"{name}-{uuid4().hex}", type="tool_call")
    return {"messages": [AIMessage("", tool_calls=[call])]}


def _reply(message: ToolMessage) -> Reply:
    if message.status != "error" and isinstance(message.artifact, dict):
        return Reply(message.artifact)
    return Reply(None, message.content if isinstance(message.content, str) else json.dumps(message.content))
