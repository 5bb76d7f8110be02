"""Several readers and a critic, for an answer that stays doubtful: the same question asked of the answer's surroundings alone.

    crop, enlarged -> critic

``crop`` reads the page's own words around the first answer, ``enlarged`` the same part recognised anew from the picture. The critic
compares them with the first answer, and lets another one stand only where two of the three agree on it. A subgraph of the question's
graph; ``Context.second_look`` switches it off.
"""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from graphs import tool_calls
from graphs.state import Context
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.views import CropReader, compare


class Look(TypedDict):
    """What is looked at again: a question's first answer, as JSON."""

    document: str
    page: int | None
    text: str
    cot: dict[str, Any]


class Seen(TypedDict):
    """The answer that two readings agree on, where it is another one than the first; and how many calls that took."""

    other: dict[str, Any] | None
    looks: int


class LookState(Look, Seen):
    """``readings`` come in as they are made."""

    readings: Annotated[list[dict[str, Any]], operator.add]


def build_second_look() -> CompiledStateGraph[Any, Context, Look, Seen]:
    """Compiled. Works sync and async."""
    graph = StateGraph(LookState, context_schema=Context, input_schema=Look, output_schema=Seen)
    for name, again in (("crop", False), ("enlarged", True)):
        graph.add_node(name, _reading(again=again))
        graph.add_edge(START, name)
        graph.add_edge(name, "critic")
    graph.add_node("critic", RunnableLambda(_critic, afunc=_acritic))
    graph.add_edge("critic", END)
    return graph.compile()


def _reading(*, again: bool) -> RunnableLambda[LookState, dict[str, Any]]:
    def read(state: LookState) -> dict[str, Any]:
        reader = tool_calls.tool().reader
        first = LayoutCoT.from_json(state["cot"])
        if reader is None or not first.areas:
            return {"readings": []}
        document = tool_calls.tool().look(state["document"], state["page"])
        try:
            found = CropReader(reader, again=again).ask_area(document, state["text"], first)
        except LayoutLLMError:  # a part that can't be read is no second opinion
            return {"readings": []}
        return {"readings": [found.to_json()]}

    async def aread(state: LookState) -> dict[str, Any]:
        return await asyncio.to_thread(read, state)

    return RunnableLambda(read, afunc=aread)


def _critic(state: LookState) -> dict[str, Any]:
    first = LayoutCoT.from_json(state["cot"])
    readings = [LayoutCoT.from_json(data) for data in state.get("readings", [])]
    if not readings or first.page is None:
        return {"other": None, "looks": len(readings)}
    page = tool_calls.tool().look(state["document"], state["page"]).page(first.page)
    found = compare(first, readings, page)
    other = found.preferred.to_json() if found.settled and found.preferred is not first else None
    return {"other": other, "looks": len(readings)}


async def _acritic(state: LookState) -> dict[str, Any]:
    return await asyncio.to_thread(_critic, state)
