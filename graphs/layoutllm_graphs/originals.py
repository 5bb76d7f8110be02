"""What a run's outcome says of how the document was read, and where answers lie on the file's own pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Protocol

from layoutllm_graphs.context import tool
from layoutllm_graphs.state import State
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import LayoutLLMError


class Finish(Protocol):
    def __call__(self, state: State) -> dict[str, Any]: ...


def with_notices(node: Callable[[State], dict[str, Any]]) -> Finish:
    """The node with ``notices``, and with ``original`` for each of its answers (``LayoutCoT.on_original``).

    Without both where the document can't be read.
    """

    @wraps(node)
    def told(state: State) -> dict[str, Any]:
        update = node(state)
        try:
            document = tool().look(state["document"])
        except LayoutLLMError:
            return {**update, "notices": []}
        answers = [{**answer, "original": _original(answer, document)} for answer in update["answers"]]
        return {**update, "answers": answers, "notices": document.notices}

    return told


def _original(answer: Mapping[str, Any], document: Document) -> dict[str, Any] | None:
    return LayoutCoT.from_json(answer["cot"]).on_original(document) if answer["cot"] else None
