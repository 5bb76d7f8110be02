"""One task for several documents: each goes through a workflow of its own, side by side.

For a handful in one run. Long batches, with a thread for each document and results on disk, are *not* here.
"""

from __future__ import annotations

from typing import Annotated, Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.types import Overwrite, Send
from typing_extensions import TypedDict

from graphs import tool_calls
from graphs.state import Context, Outcome, Request
from graphs.workflow import build_workflow


def _joined(old: dict[str, Outcome], new: dict[str, Outcome]) -> dict[str, Outcome]:
    return {**old, **new}


class Several(TypedDict):
    """The input: documents by name or path, and the task that each of them is given."""

    documents: list[str]
    task: str | list[str] | dict[str, Any]


class Outcomes(TypedDict):
    """The output: every document's plan, answers and notes."""

    outcomes: Annotated[dict[str, Outcome], _joined]


class _All(Several, Outcomes):
    pass


def build_documents() -> StateGraph[_All, Context, Several, Outcomes]:
    """The graph, not yet compiled. Works sync and async; interrupts of several documents wait together."""
    workflow = build_workflow().compile()

    def document(request: Request) -> dict[str, Any]:
        done = workflow.invoke(request, context=tool_calls.context())
        return {"outcomes": {request["document"]: done}}

    async def adocument(request: Request) -> dict[str, Any]:
        done = await workflow.ainvoke(request, context=tool_calls.context())
        return {"outcomes": {request["document"]: done}}

    graph = StateGraph(_All, context_schema=Context, input_schema=Several, output_schema=Outcomes)
    graph.add_node("begin", lambda _state: {"outcomes": Overwrite({})})
    graph.add_node("document", RunnableLambda(document, afunc=adocument))
    graph.add_edge(START, "begin")
    graph.add_conditional_edges("begin", _spread, ["document", END])
    graph.add_edge("document", END)
    return graph


def _spread(state: _All) -> list[Send] | str:
    names = dict.fromkeys(state["documents"])
    return [Send("document", Request(document=name, task=state["task"], page=None)) for name in names] or END
