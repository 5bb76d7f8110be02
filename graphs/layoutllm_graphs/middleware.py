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
from layoutllm_graphs.reflection.reflector import MAX_ATTEMPTS, best, reflect
from layoutllm_graphs.reflection.types import Attempt, QuestionResult, Reflection
from layoutllm_tool.cot import Correction
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
        self.result, self.messages = QuestionResult(), list[ToolMessage]()

    def next_request(self, message: Outcome) -> ToolCallRequest | None:
        """The call to make next; None where this attempt was the last. Errors are left to the agent."""
        if not isinstance(message, ToolMessage) or not isinstance(message.artifact, dict):
            return None
        correction = self._reflect(message)
        if correction is None:
            return None
        self.arguments = {**self.arguments, "correction": correction.to_json()}
        again = self.request.override(tool_call={**self.request.tool_call, "args": self.arguments})
        state = {**self.request.runtime.state, PREVIOUS: message.artifact}
        return replace(again, runtime=replace(again.runtime, state=state))

    def _reflect(self, message: ToolMessage) -> Correction | None:
        """Add the attempt with its reflection; the correction to try next."""
        asked, page = self.arguments, self.arguments.get("page")
        read = {"cot": message.artifact, "correction": asked.get("correction"), "reflection": {}}
        result = self.result.add(Attempt.from_json(read))
        document = self.tool.look(asked["document"], page)
        given = CheckInput.of(result, question_of(asked["question"], page=page), document)
        reflection = reflect(given, max_attempts=self.max_attempts)
        self.result = result.change_best(reflection=reflection)
        self.messages.append(message)
        return reflection.correction

    def outcome(self, last: Outcome) -> Outcome:
        """The best attempt's message with the verdict; where none could be checked, the last as it is."""
        if not self.messages or not isinstance(last, ToolMessage):
            return last
        chosen = best(self.result.attempts)
        message, reflection = self.messages[chosen], replace(self.result, best=chosen).reflection
        more = {"reflection": reflection.to_json(), "calls": len(self.messages)}
        content = _with_verdict(message.content, reflection)
        return message.model_copy(update={"content": content, "artifact": message.artifact | more})


def _with_verdict(content: Any, reflection: Reflection) -> Any:
    """What the chat model reads: the tool's text, then the verdict. Reasons quote the page: untrusted."""
    reasons = "; ".join(quote(finding.reason, 200) for finding in reflection.findings)
    doubtful = f"Doubtful: {reasons or 'no reason'}."
    verdict = "Checked against the page." if reflection.verdict == "satisfied" else doubtful
    if isinstance(content, str):
        return f"{content}\n{verdict}"
    return [*content, {"type": "text", "text": verdict}]
