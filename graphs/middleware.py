"""The reflection loop for agents made with LangChain's ``create_agent``.

    agent = create_agent(model, [LayoutLLMTool()], middleware=[LayoutReflectionMiddleware()])

Whenever the agent asks a document, the answer is checked against the page before the agent sees it, and asked for again from the
step that failed. The agent gets the best attempt, with what still speaks against it. Other tools' calls pass untouched.
Needs the ``langchain`` package.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.types import Command

from graphs.planning.planner import question_of
from graphs.question import best_of
from graphs.reflection.reflector import MOST_ROUNDS, reflect
from graphs.reflection.types import Attempt
from graphs.state import Attempted
from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.tool import LayoutLLMTool
from layoutllm_tool.tool_content import quote

Outcome = ToolMessage | Command[Any]
"""What a tool call comes back with."""


class LayoutReflectionMiddleware(AgentMiddleware[Any, Any]):
    """Checks what the LayoutLLM tool answers, and mends it. ``rounds`` bounds the attempts at one question."""

    def __init__(self, *, rounds: int = MOST_ROUNDS) -> None:
        super().__init__()
        self.rounds = rounds

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Outcome]) -> Outcome:
        message = handler(request)
        if not isinstance(request.tool, LayoutLLMTool):
            return message
        loop = _Loop(request, request.tool, self.rounds)
        while (again := loop.take(message)) is not None:
            message = handler(again)
        return loop.outcome(message)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Outcome]]
    ) -> Outcome:
        message = await handler(request)
        if not isinstance(request.tool, LayoutLLMTool):
            return message
        loop = _Loop(request, request.tool, self.rounds)
        while (again := await asyncio.to_thread(loop.take, message)) is not None:
            message = await handler(again)
        return loop.outcome(message)


class _Loop:
    """The attempts at one call's question."""

    def __init__(self, request: ToolCallRequest, tool: LayoutLLMTool, rounds: int) -> None:
        self.request, self.tool, self.rounds = request, tool, rounds
        self.arguments: dict[str, Any] = request.tool_call["args"]
        self.attempts: list[Attempted] = []
        self.messages: list[ToolMessage] = []

    def take(self, message: Outcome) -> ToolCallRequest | None:
        """The call to make next, None where the last word is said. Errors are the agent's to mend."""
        if not isinstance(message, ToolMessage) or message.status == "error" or not isinstance(message.artifact, dict):
            return None
        before = self.request.tool_call["args"].get("correction") if not self.attempts else None
        led_here = self.attempts[-1]["reflection"]["correction"] if self.attempts else before
        cot = {name: value for name, value in message.artifact.items() if name != "document"}
        reflection = reflect(self._attempt(LayoutCoT.from_json(cot), led_here), rounds=self.rounds)
        self.attempts.append(Attempted(cot=cot, correction=led_here, reflection=reflection.to_json()))
        self.messages.append(message)
        if reflection.correction is None:
            return None
        arguments = {**self.arguments, "correction": reflection.correction.to_json()}
        return self.request.override(tool_call={**self.request.tool_call, "args": arguments})

    def _attempt(self, cot: LayoutCoT, led_here: dict[str, Any] | None) -> Attempt:
        known = [a["correction"] for a in self.attempts] + [led_here]
        return Attempt(
            question=question_of(self.arguments["question"], page=self.arguments.get("page")),
            cot=cot,
            document=self.tool.look(self.arguments["document"], self.arguments.get("page")),
            earlier=tuple(LayoutCoT.from_json(a["cot"]) for a in self.attempts),
            tried=tuple(Correction.from_json(data) for data in known if data),
        )

    def outcome(self, last: Outcome) -> Outcome:
        """The best attempt's message with what the checks say of it; the last one as it is where none could be checked."""
        if not self.attempts or not isinstance(last, ToolMessage):
            return last
        chosen = best_of(self.attempts)
        message, reflection = self.messages[chosen], self.attempts[chosen]["reflection"]
        artifact = {**message.artifact, "reflection": reflection, "calls": len(self.attempts)}
        return message.model_copy(update={"content": _with_verdict(message.content, reflection), "artifact": artifact})


def _with_verdict(content: Any, reflection: dict[str, Any]) -> Any:
    """What the chat model reads: the tool's own text and, below it, the verdict. Reasons quote the page: they are untrusted."""
    reasons = "; ".join(quote(finding["reason"], 200) for finding in reflection["findings"])
    said = (
        "Checked against the page." if reflection["verdict"] == "satisfied" else f"Doubtful: {reasons or 'no reason'}."
    )
    if isinstance(content, str):
        return f"{content}\n{said}"
    return [*content, {"type": "text", "text": said}]
