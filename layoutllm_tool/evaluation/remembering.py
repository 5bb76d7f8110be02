"""A reader that answers a question once: for passes that repeat each other's questions, such as an ablation of the checks.

Answers are a function of page, question and correction, so what comes from memory is what the reader would say; its seconds are not.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.protocols import Progress, Reader

if TYPE_CHECKING:
    from layoutllm_tool.protocols import Source


class Remembering:
    """A ``Reader`` around another one. Every answer is kept: for measurements, not for services. Streams are not remembered."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[str, LayoutCoT] = {}

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        return self._reader.load(source, words=words)

    def ask(
        self,
        document: Document,
        question: str,
        *,
        page: int | None = None,
        correction: Correction | None = None,
        previous: LayoutCoT | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> LayoutCoT:
        if correction is not None and previous is None:  # the reader's own last attempt, which may be another pass's
            previous = self._known.get(f"last {_key(document, question, page, None, None)}")
        key = _key(document, question, page, correction, previous)
        if key not in self._known:
            self._known[key] = self._reader.ask(
                document, question, page=page, correction=correction, previous=previous, on_progress=on_progress
            )
        self._known[f"last {_key(document, question, page, None, None)}"] = self._known[key]
        return self._known[key]

    def ask_many(self, document: Document, questions: Iterable[str], *, page: int | None = None) -> list[LayoutCoT]:
        return [self.ask(document, question, page=page) for question in questions]

    async def aask(
        self,
        document: Document,
        question: str,
        *,
        page: int | None = None,
        correction: Correction | None = None,
        previous: LayoutCoT | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> LayoutCoT:
        return self.ask(
            document, question, page=page, correction=correction, previous=previous, on_progress=on_progress
        )

    def astream(self, document: Document, question: str, *, page: int | None = None) -> AsyncIterator[Progress]:
        return self._reader.astream(document, question, page=page)


def _key(
    document: Document, question: str, page: int | None, correction: Correction | None, previous: LayoutCoT | None
) -> str:
    words = hash(tuple((each.number, each.text_source, each.lines) for each in document.pages))
    given = [correction.to_json() if correction else None, previous.to_json() if previous else None]
    return json.dumps([document.sha256, words, question, page, *given], sort_keys=True)
