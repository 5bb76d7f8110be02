"""A reader that answers a question once: for passes that repeat each other's questions, such as an ablation of the checks.

Answers are a function of page, question and correction, so what comes from memory is what the reader would say; its seconds are not.
"""

from __future__ import annotations

import json
from typing import Any

from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.protocols import Reader, ReaderAround


class Remembering(ReaderAround):
    """``ask`` from memory, without its progress. Every answer is kept: for measurements, not for services."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._known: dict[str, LayoutCoT] = {}
        self._last: dict[str, LayoutCoT] = {}

    def ask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        correction: Correction | None = options.get("correction")
        asked = _key(document, question, options.get("page"))
        # Said aloud: the reader's own last attempt may be another pass's.
        previous = options.get("previous") or (self._last.get(asked) if correction else None)
        mended = [one.to_json() if one else None for one in (correction, previous)]
        key = json.dumps([asked, *mended], sort_keys=True)
        if key not in self._known:
            self._known[key] = super().ask(document, question, **options | {"previous": previous})
        self._last[asked] = self._known[key]
        return self._known[key]


def _key(document: Document, question: str, page: int | None) -> str:
    words = hash(tuple((each.number, each.text_source, each.lines) for each in document.pages))
    return json.dumps([document.sha256, words, question, page])
