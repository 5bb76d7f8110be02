"""A second opinion on a doubtful answer: the question is asked again of the answer's surroundings alone,
twice.

``crop`` reads the page's own words around the answer; ``enlarged`` recognises the same part anew from the
picture. ``preferred`` lets another answer stand only where two of the three readings agree. Nodes of the
question's graph.
"""

from __future__ import annotations

from typing import Any

from layoutllm_graphs.context import look_at_pages, tool
from layoutllm_graphs.reflection.reflector import best
from layoutllm_graphs.state import QuestionState
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.readers.agreement import compare
from layoutllm_tool.readers.crop import CropReader


def crop(state: QuestionState) -> dict[str, Any]:
    """Read the surroundings with the page's own words."""
    return {"readings": _readings(state, again=False)}


def enlarged(state: QuestionState) -> dict[str, Any]:
    """Read the surroundings with words recognised anew."""
    return {"readings": _readings(state, again=True)}


def _readings(state: QuestionState, *, again: bool) -> list[dict[str, Any]]:
    reader, first = tool().reader, _first(state)
    if reader is None or not first.areas:
        return []
    document = look_at_pages(state)
    try:
        return [CropReader(reader, again=again).ask_area(document, state["text"], first).to_json()]
    except LayoutLLMError:  # a part that can't be read gives no opinion
        return []


def preferred(state: QuestionState) -> LayoutCoT | None:
    """The reading that two agree on; None where that is the first answer, or where no two agree."""
    first, readings = _first(state), [LayoutCoT.from_json(data) for data in state["readings"]]
    if not readings or first.page is None:
        return None
    found = compare(first, readings, look_at_pages(state).page(first.page))
    return found.preferred if found.settled and found.preferred is not first else None


def _first(state: QuestionState) -> LayoutCoT:
    return LayoutCoT.from_json(state["attempts"][best(state["attempts"])]["cot"])
