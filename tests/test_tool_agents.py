"""The tool where it is meant to live: agents, tool nodes, streams and checkpoints of LangChain and
LangGraph.
"""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode
from PIL import Image

from layoutllm_graphs.testing import ScriptedChatModel, Turn, call_tool
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.errors import ModelError
from layoutllm_tool.testing import FakeOCR, FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool

INVOICE = document_from_text("Invoice no:   4711\nTotal:        12.50", name="invoice.pdf")
TOTAL = {"document": "invoice.pdf", "question": "What is the total?"}
MODES: Any = ["custom", "tools"]  # langgraph streams "tools", its types don't know yet
STEPS = ["page", "question_analysis", "relevant_area_concentration", "answer_formation"]


@pytest.fixture
def tool() -> LayoutLLMTool:
    return LayoutLLMTool(reader=FakeReader(), documents={"invoice.pdf": INVOICE})


def node_graph(tool: BaseTool) -> CompiledStateGraph[Any, Any, Any, Any]:
    """A bare ToolNode and nothing else."""
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([tool]))
    graph.add_edge(START, "tools")
    graph.add_edge("tools", END)
    return graph.compile()


def said(text: str) -> Any:
    return {"messages": [HumanMessage(text)]}


def results(state: dict[str, Any]) -> list[ToolMessage]:
    return [message for message in state["messages"] if isinstance(message, ToolMessage)]


async def test_in_a_bare_tool_node(tool: LayoutLLMTool) -> None:
    graph, asked = node_graph(tool), {"messages": [call_tool(tool.name, **TOTAL)]}
    for state in (graph.invoke(asked), await graph.ainvoke(asked)):
        (message,) = results(state)
        assert (message.status, message.artifact["answer"]) == ("success", "12.50")


async def test_a_tool_node_passes_errors_that_the_caller_can_fix_on_and_raises_the_rest() -> None:
    reader = FakeReader({"q": ModelError("broken.")})
    graph = node_graph(LayoutLLMTool(reader=reader, documents={"invoice.pdf": INVOICE}))
    state = graph.invoke({"messages": [call_tool("ask_document", **{**TOTAL, "page": 3})]})
    assert results(state)[0].status == "error"
    with pytest.raises(ModelError):
        await graph.ainvoke({"messages": [call_tool("ask_document", document="invoice.pdf", question="q")]})


def test_the_steps_are_streamed(tool: LayoutLLMTool) -> None:
    graph, asked = node_graph(tool), call_tool(tool.name, **TOTAL)
    seen = list(graph.stream({"messages": [asked]}, stream_mode=MODES))
    _check_streams(seen, asked.tool_calls[0]["id"])


async def test_the_steps_are_streamed_async(tool: LayoutLLMTool) -> None:
    graph, asked = node_graph(tool), call_tool(tool.name, **TOTAL)
    seen = [event async for event in graph.astream({"messages": [asked]}, stream_mode=MODES)]
    _check_streams(seen, asked.tool_calls[0]["id"])


def _check_streams(seen: Sequence[Any], call_id: str | None) -> None:
    custom = [event for mode, event in seen if mode == "custom"]
    tools = [event for mode, event in seen if mode == "tools"]
    deltas = [event["delta"] for event in tools if event["event"] == "tool-output-delta"]
    assert [event["event"] for event in custom] == STEPS
    assert deltas == custom
    assert {event["tool_call_id"] for event in custom} == {call_id}
    assert (tools[0]["event"], tools[-1]["event"]) == ("tool-started", "tool-finished")


class _Elsewhere(FakeReader):
    """Reports from a thread that knows nothing of the call: a reader that batches its callers does."""

    def ask(self, *positional: Any, **options: Any) -> LayoutCoT:
        done: list[LayoutCoT] = []
        thread = threading.Thread(
            target=lambda: done.append(super(_Elsewhere, self).ask(*positional, **options))
        )
        thread.start()
        thread.join()
        return done[0]

    async def aask(self, *positional: Any, **options: Any) -> LayoutCoT:
        return await asyncio.get_running_loop().run_in_executor(
            None, lambda: self.ask(*positional, **options)
        )


async def test_the_steps_are_streamed_from_any_thread() -> None:
    tool = LayoutLLMTool(reader=_Elsewhere(), documents={"invoice.pdf": INVOICE})
    graph, asked = node_graph(tool), call_tool(tool.name, **TOTAL)
    _check_streams(list(graph.stream({"messages": [asked]}, stream_mode=MODES)), asked.tool_calls[0]["id"])
    seen = [event async for event in graph.astream({"messages": [asked]}, stream_mode=MODES)]
    _check_streams(seen, asked.tool_calls[0]["id"])


async def test_streams_of_parallel_calls_are_told_apart(tool: LayoutLLMTool) -> None:
    calls = [
        call_tool(tool.name, **{**TOTAL, "question": q}).tool_calls[0] for q in ("total?", "invoice no?")
    ]
    asked = {"messages": [AIMessage("", tool_calls=calls)]}
    found: dict[str, list[str]] = {}
    async for event in node_graph(tool).astream(asked, stream_mode="custom"):
        found.setdefault(event["tool_call_id"], []).append(event["event"])
    assert found == {call["id"]: STEPS for call in calls}


def _answer_from_last_tool(messages: Sequence[BaseMessage]) -> AIMessage:
    last = messages[-1]
    assert isinstance(last, ToolMessage)
    return AIMessage(f"The total is {last.artifact['answer']} ({last.artifact['confidence']:.0%}).")


def _mend_page(messages: Sequence[BaseMessage]) -> AIMessage:
    assert "Pages count from 1 to 1" in messages[-1].text, "the model must be told how to mend its call"
    return call_tool("ask_document", document="scan.png", question="What is the total?", page=1)


def _mend_name(messages: Sequence[BaseMessage]) -> AIMessage:
    assert "no file 'scna.png'" in messages[-1].text
    return call_tool("ask_document", document="scan.png", question="What is the total?", page=7)


@pytest.fixture
def file_tool(tmp_path: Path) -> LayoutLLMTool:
    Image.new("RGB", (400, 200), "white").save(tmp_path / "scan.png")
    reader = FakeReader(ocr=FakeOCR("Invoice no    4711\nTotal         12.50"))
    return LayoutLLMTool(reader=reader, access=Access(roots=(tmp_path,)))


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_agent_mends_its_calls_and_answers(file_tool: LayoutLLMTool, asynchronous: bool) -> None:
    """Two good calls, between them a wrong file name and then a page that does not exist, both mended."""
    model = ScriptedChatModel(
        turns=[
            call_tool("ask_document", document="scan.png", question="What is the invoice no?"),
            call_tool("ask_document", document="scna.png", question="What is the total?"),
            _mend_name,
            _mend_page,
            _answer_from_last_tool,
        ]
    )
    agent = create_agent(model, [file_tool])
    asked: Any = said("Invoice number and total of scan.png?")
    state = await agent.ainvoke(asked) if asynchronous else agent.invoke(asked)
    assert [message.status for message in results(state)] == ["success", "error", "error", "success"]
    assert [m.artifact and m.artifact["answer"] for m in results(state)] == ["4711", None, None, "12.50"]
    assert state["messages"][-1].text == "The total is 12.50 (100%)."
    assert model.bound == [file_tool]


def _correct(messages: Sequence[BaseMessage]) -> AIMessage:
    wrong = json.loads(messages[-1].text.split("\n")[0].removeprefix("Answer: "))
    correction = {"step": "area", "spatial": "last"}
    assert wrong == "12.50"
    return call_tool("ask_document", document="two.pdf", question="What is the total?", correction=correction)


def test_an_agent_corrects_an_answer() -> None:
    two = document_from_text("Total:   12.50", "Total:   99.00")
    tool = LayoutLLMTool(reader=FakeReader(), documents={"two.pdf": two})
    first = call_tool("ask_document", document="two.pdf", question="What is the total?")
    agent = create_agent(ScriptedChatModel(turns=[first, _correct, _answer_from_last_tool]), [tool])
    state = agent.invoke(said("The total on the last page?"))
    assert "99.00" in state["messages"][-1].text


def test_artifacts_survive_a_checkpoint(
    tool: LayoutLLMTool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Written by one connection, read by another: what comes back is equal, plain JSON, and still a
    LayoutCoT.
    """
    place, thread = tmp_path / "checkpoints.sqlite", RunnableConfig(configurable={"thread_id": "1"})
    turns: list[Turn] = [call_tool(tool.name, **TOTAL), "Done."]
    with sqlite3.connect(place, check_same_thread=False) as connection:
        agent = create_agent(ScriptedChatModel(turns=turns), [tool], checkpointer=SqliteSaver(connection))
        state = agent.invoke(said("Total?"), thread)
    with sqlite3.connect(place, check_same_thread=False) as connection:
        agent = create_agent(ScriptedChatModel(turns=turns), [tool], checkpointer=SqliteSaver(connection))
        kept = agent.get_state(thread).values
    (before,), (after,) = results(state), results(kept)
    assert after.artifact == before.artifact == json.loads(json.dumps(before.artifact))
    assert after == before
    assert LayoutCoT.from_json(after.artifact).answer == "12.50"
    assert not [record for record in caplog.records if "unregistered" in record.message.lower()]


def test_the_scripted_model_says_the_same_to_the_same_conversation() -> None:
    model = ScriptedChatModel(turns=["one", "two"])
    conversation: list[BaseMessage] = [HumanMessage("?")]
    assert [model.invoke(conversation).text for _ in range(2)] == ["one", "one"]
    assert model.invoke([*conversation, AIMessage("one"), HumanMessage("?")]).text == "two"
    with pytest.raises(IndexError):
        model.invoke([*conversation, AIMessage("one"), AIMessage("two")])
    assert len(model.seen) == 4
