"""One task for several documents in one run, side by side. Batches with results on disk are *not* here."""

from __future__ import annotations

import operator
from operator import itemgetter
from typing import Annotated, Any

from langchain_core.runnables import RunnableParallel
from langgraph.graph import END, START, StateGraph
from langgraph.types import Overwrite, Send
from typing_extensions import TypedDict

from layoutllm_graphs.context import Context
from layoutllm_graphs.state import Outcome, Request
from layoutllm_graphs.workflow import build_workflow


class DocumentsInput(TypedDict):
    """Documents by name or path, and the task that each of them is given."""

    documents: list[str]
    task: str | list[str] | dict[str, Any]


class DocumentsOutput(TypedDict):
    """Every document's plan, answers and notes."""

    outcomes: Annotated[dict[str, Outcome], operator.or_]


class _State(DocumentsInput, DocumentsOutput):
    pass


def build_documents() -> StateGraph[_State, Context, DocumentsInput, DocumentsOutput]:
    """The graph, not yet compiled. Works sync and async; interrupts of several documents wait together."""
    document = RunnableParallel(name=itemgetter("document"), outcome=build_workflow().compile())
    graph = StateGraph(
        _State, context_schema=Context, input_schema=DocumentsInput, output_schema=DocumentsOutput
    )
    graph.add_node("begin", lambda _state: {"outcomes": Overwrite({})})
    graph.add_node("document", document | (lambda found: {"outcomes": {found["name"]: found["outcome"]}}))
    graph.add_edge(START, "begin")
    graph.add_conditional_edges("begin", _send_each, ["document", END])
    graph.add_edge("document", END)
    return graph


def _send_each(state: _State) -> list[Send] | str:
    names = dict.fromkeys(state["documents"])
    return [Send("document", Request(document=name, task=state["task"], page=None)) for name in names] or END
