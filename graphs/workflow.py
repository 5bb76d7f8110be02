"""The first graph: one document, many questions, no chat model.

    route -> ask, once for each question, side by side -> collect

A question that fails becomes an answer with an ``error``; the others are answered. Errors that are not the package's own
are bugs, and crash. Planning and reflection are *not* here.
"""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessage, ToolCall, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode
from langgraph.runtime import get_runtime
from langgraph.types import Command, Overwrite, Send

from graphs.state import Answer, Context, Job, Outcome, Request, Result, State
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.tool import LayoutLLMTool


def build_workflow() -> StateGraph[State, Context, Request, Outcome]:
    """The graph, not yet compiled: ``build_workflow().compile(checkpointer=...)``. Works sync and async."""
    graph = StateGraph(State, context_schema=Context, input_schema=Request, output_schema=Outcome)
    graph.add_node("route", route, destinations=("ask", "collect"))
    graph.add_node("ask", RunnableLambda(ask, afunc=aask))
    graph.add_node("collect", collect)
    graph.add_edge(START, "route")
    graph.add_edge("ask", "collect")
    graph.add_edge("collect", END)
    return graph


def make_graph() -> CompiledStateGraph[State, Context, Request, Outcome]:
    """For ``langgraph.json``. Without a checkpointer: the server brings one."""
    return build_workflow().compile()


def route(state: State) -> Command[Any]:
    """One tool call for each question, as a chat model that knows what it wants would write them."""
    name = _tool().name
    shared = {"document": state["document"], "page": state.get("page")}
    calls = [
        ToolCall(name=name, args={**shared, "question": question}, id=uuid4().hex, type="tool_call")
        for question in state["questions"]
    ]
    jobs = [Send("ask", Job(index=index, call=call)) for index, call in enumerate(calls)]
    return Command(update={"results": Overwrite([])}, goto=jobs or "collect")


def ask(job: Job) -> dict[str, list[Result]]:
    """A ToolNode over the context's tool, so that the tool gets its runtime and streams its steps."""
    try:
        done = ToolNode([_tool()]).invoke(_as_messages(job))
    except LayoutLLMError as error:
        return _failed(job, error)
    return _done(job, done["messages"][-1])


async def aask(job: Job) -> dict[str, list[Result]]:
    """As ``ask``, without a thread of its own."""
    try:
        tool = await asyncio.to_thread(_tool)  # asks for the working directory: a blocking call, to the strict
        done = await ToolNode([tool]).ainvoke(_as_messages(job))
    except LayoutLLMError as error:
        return _failed(job, error)
    return _done(job, done["messages"][-1])


def collect(state: State) -> Outcome:
    """The results in the order of the questions, as plain answers."""
    return {"answers": [_answer(result) for result in sorted(state["results"], key=lambda result: result["index"])]}


def _tool() -> BaseTool:
    context = get_runtime(Context).context
    return (context.tool if context else None) or _own_tool()


@cache
def _own_tool() -> BaseTool:
    return LayoutLLMTool()


def _as_messages(job: Job) -> dict[str, list[AIMessage]]:
    return {"messages": [AIMessage("", tool_calls=[job["call"]])]}


def _done(job: Job, message: ToolMessage) -> dict[str, list[Result]]:
    text = message.content if isinstance(message.content, str) else json.dumps(message.content)
    question = job["call"]["args"]["question"]
    result = Result(index=job["index"], question=question, status=message.status, text=text, artifact=message.artifact)
    return {"results": [result]}


def _failed(job: Job, error: LayoutLLMError) -> dict[str, list[Result]]:
    question = job["call"]["args"]["question"]
    return {"results": [Result(index=job["index"], question=question, status="error", text=str(error), artifact=None)]}


def _answer(result: Result) -> Answer:
    cot = result["artifact"] or {}
    return Answer(
        question=result["question"],
        answer=cot.get("answer"),
        page=cot.get("page"),
        box=cot.get("box"),
        confidence=cot.get("confidence"),
        error=result["text"] if result["status"] == "error" else None,
        cot=result["artifact"],
    )
