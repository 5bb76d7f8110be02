"""The reflection loop inside ``create_agent``: what the agent sees is checked and mended, and errors stay
its own to mend.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool

from layoutllm_graphs.middleware import LayoutReflectionMiddleware
from layoutllm_graphs.testing import ScriptedChatModel, call_tool
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool

LETTER = document_from_text(
    f"Vendor:   Acme GmbH{' ' * 40}Page 1\n\n\n\nVendor:   Zeta AG", name="letter.pdf"
)
WHERE = "What is the vendor at the bottom left?"


async def both(
    reader: FakeReader, *turns: Any, tools: list[Any] | None = None, **options: Any
) -> list[ToolMessage]:
    """The tool messages of a run, the same sync and async."""
    asked: Any = {"messages": [HumanMessage("Who sells?")]}
    runs = []
    for asynchronous in (False, True):
        ours = LayoutLLMTool(reader=reader, documents={"letter.pdf": LETTER})
        model = ScriptedChatModel(turns=[*turns, "done"])
        agent = create_agent(
            model, [ours, *(tools or [])], middleware=[LayoutReflectionMiddleware(**options)]
        )
        state = await agent.ainvoke(asked) if asynchronous else agent.invoke(asked)
        runs.append([message for message in state["messages"] if isinstance(message, ToolMessage)])
    assert [m.content for m in runs[0]] == [m.content for m in runs[1]]
    return runs[0]


async def test_the_agent_gets_the_mended_answer() -> None:
    reader = FakeReader()
    (message,) = await both(reader, call_tool("ask_document", document="letter.pdf", question=WHERE))
    assert "Zeta AG" in message.content and "Checked against the page." in message.content
    assert message.artifact["answer"] == "Zeta AG" and message.artifact["calls"] == 2
    assert message.artifact["reflection"]["verdict"] == "satisfied"
    assert LayoutCoT.from_json(message.artifact).answer == "Zeta AG"
    assert json.loads(json.dumps(message.artifact)) == message.artifact
    assert len(reader.calls) == 4  # two, sync and async
    first, second, *_ = reader.calls
    assert first.previous is None and second.previous and second.previous.answer != "Zeta AG"


async def test_without_rounds_it_is_marked() -> None:
    (message,) = await both(
        FakeReader(), call_tool("ask_document", document="letter.pdf", question=WHERE), max_attempts=1
    )
    assert "Acme GmbH" in message.content and "Doubtful" in message.content


async def test_errors_are_the_agents_to_mend() -> None:
    turns = [call_tool("ask_document", document=name, question=WHERE) for name in ("other.pdf", "letter.pdf")]
    first, second = await both(FakeReader(), *turns)
    assert first.status == "error" and "Known" in first.content
    assert second.artifact["answer"] == "Zeta AG"


async def test_other_tools_pass_untouched() -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    (message,) = await both(FakeReader(), call_tool("add", a=1, b=2), tools=[add])
    assert message.content == "3"


async def test_bugs_crash() -> None:
    reader = FakeReader({WHERE: ZeroDivisionError()})
    with pytest.raises(ZeroDivisionError):
        await both(reader, call_tool("ask_document", document="letter.pdf", question=WHERE))
