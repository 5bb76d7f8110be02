"""A chat model for tests of agents and graphs: plays a script, needs no network and no key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field, SkipValidation

Turn = AIMessage | str | Callable[[Sequence[BaseMessage]], AIMessage]
"""What the model says: a message, a text, or a function of the conversation so far."""


class ScriptedChatModel(BaseChatModel):
    """Says ``turns`` one after another. IndexError past the last turn.

    The same conversation gets the same reply, on every thread and after a checkpoint: its AI messages count.
    ``bound`` holds the tools that it was bound to, ``seen`` the conversations that it was asked to continue.
    """

    turns: SkipValidation[Sequence[Turn]]  # AIMessage takes offence at what is none
    bound: list[Any] = Field(default_factory=list)
    seen: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        self.bound[:] = tools
        return self

    def _generate(self, messages: list[BaseMessage], *unused: Any, **kwargs: Any) -> ChatResult:
        self.seen.append(list(messages))
        turn = self.turns[sum(isinstance(message, AIMessage) for message in messages)]
        if callable(turn):
            turn = turn(messages)
        message = AIMessage(turn) if isinstance(turn, str) else turn.model_copy()
        return ChatResult(generations=[ChatGeneration(message=message)])


def call_tool(name: str, **arguments: Any) -> AIMessage:
    """The message of a chat model that calls one tool."""
    return AIMessage("", tool_calls=[ToolCall(name=name, args=arguments, id=uuid4().hex, type="tool_call")])
