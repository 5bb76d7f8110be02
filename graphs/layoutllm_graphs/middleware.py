"""The reflection loop for agents made with LangChain's ``create_agent``.

    agent = create_agent(model, [LayoutLLMTool()], middleware=[LayoutReflectionMiddleware()])

Whenever the agent asks a document, the answer is checked against the page before the agent sees it, and asked
for again from the step that failed. The agent gets the best attempt, with the findings on it. Other tools'
calls pass untouched. Needs the ``langchain`` package.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.types import Command

from layoutllm_graphs.planning.planner import question_of
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_graphs.reflection.reflector import MAX_ATTEMPTS, best, reflected
from layoutllm_graphs.reflection.types import Attempt
from layoutllm_tool.messages import quote
from layoutllm_tool.tool import PREVIOUS, LayoutLLMTool

Outcome = ToolMessage | Command[Any]
"""What a tool call comes back with."""


class LayoutReflectionMiddleware(AgentMiddleware[Any, Any]):
    """Checks and corrects what the LayoutLLM tool answers, in at most ``max_attempts`` attempts."""

    def __init__(self, *, max_attempts: int = MAX_ATTEMPTS) -> None:
        super().__init__()
        self.max_attempts = max_attempts

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Outcome]
    ) -> Outcome:
        message = handler(request)
        if not isinstance(request.tool, LayoutLLMTool):
            return message
        loop = _Loop(request, request.tool, self.max_attempts)
        while (again := loop.next_request(message)) is not None:
            message = handler(again)
        return loop.outcome(message)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Outcome]]
    ) -> Outcome:
        message = await handler(request)
        if not isinstance(request.tool, LayoutLLMTool):
            return message
        loop = _Loop(request, request.tool, self.max_attempts)
        while (again := await asyncio.to_thread(loop.next_request, message)) is not None:
            message = await handler(again)
        return loop.outcome(message)


class _Loop:
    """The attempts at one call's question."""

    def __init__(self, request: ToolCallRequest, tool: LayoutLLMTool, max_attempts: int) -> None:
        self.request, self.tool, self.max_attempts = request, tool, max_attempts
        self.arguments: dict[str, Any] = request.tool_call["args"]
        self.attempts: list[Attempt] = []
        self.messages: list[ToolMessage] = []

    def next_request(self, message: Outcome) -> ToolCallRequest | None:
        """The call to make next; None where this attempt was the last. Errors are left to the agent."""
        if not isinstance(message, ToolMessage) or not isinstance(message.artifact, dict):
            return None
        correction = self._reflect(message)
        if correction is None:
            return None
        arguments = {**self.arguments, "correction": correction}
        again = self.request.override(tool_call={**self.request.tool_call, "args": arguments})
        state = {**self.request.runtime.state, PREVIOUS: self.attempts[-1]["cot"]}
        return replace(again, runtime=replace(again.runtime, state=state))

    def _reflect(self, message: ToolMessage) -> dict[str, Any] | None:
        """Add the attempt with its reflection; the correction to try next."""
        asked = self.arguments
        before = self.attempts[-1]["reflection"] if self.attempts else asked
        cot = {name: value for name, value in message.artifact.items() if name != "document"}
        self.attempts.append(Attempt(cot=cot, correction=before.get("correction"), reflection={}))
        self.messages.append(message)
        page = asked.get("page")
        document = self.tool.look(asked["document"], page)
        given = CheckInput.of(self.attempts, question_of(asked["question"], page=page), document)
        self.attempts[-1] = reflected(self.attempts[-1], given, max_attempts=self.max_attempts)
        correction: dict[str, Any] | None = self.attempts[-1]["reflection"]["correction"]
        return correction

    def outcome(self, last: Outcome) -> Outcome:
        """The best attempt's message with the verdict; where none could be checked, the last as it is."""
        if not self.attempts or not isinstance(last, ToolMessage):
            return last
        chosen = best(self.attempts)
        message, reflection = self.messages[chosen], self.attempts[chosen]["reflection"]
        artifact = {**message.artifact, "reflection": reflection, "calls": len(self.attempts)}
        content = _with_verdict(message.content, reflection)
        return message.model_copy(update={"content": content, "artifact": artifact})


def _with_verdict(content: Any, reflection: dict[str, Any]) -> Any:
    """What the chat model reads: the tool's text, then the verdict. Reasons quote the page: untrusted."""
    reasons = "; ".join(quote(finding["reason"], 200) for finding in reflection["findings"])
    doubtful = f"Doubtful: {reasons or 'no reason'}."
    said = "Checked against the page." if reflection["verdict"] == "satisfied" else doubtful
    if isinstance(content, str):
        return f"{content}\n{said}"
    return [*content, {"type": "text", "text": said}]
