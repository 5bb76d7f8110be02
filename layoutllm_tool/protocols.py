"""The narrow waists of the package: what reads pages (OCR) and what answers questions (a reader).

Beside each real implementation stands a public fake: ``layoutllm_tool.testing``. Standard library only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Document, Page, Word

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

    Source = str | Path | bytes | Image | Document
"""What a document can be given as: a path, bytes, base64, a data: URL, an https URL where allowed, a picture."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One event of the stream: a step that has just been finished, or progress towards the first.

    ``event``: "page" (a page was read), "question_analysis", "relevant_area_concentration", "answer_formation".
    ``data`` is plain JSON: the page number, or the step's fields with its ``text``.
    """

    event: str
    data: dict[str, Any]


def events_of(pages: Iterable[int], cot: LayoutCoT) -> list[Progress]:
    """The stream of a reader that knows its three steps only once all of them are done; ``pages`` are the numbers of those it read."""
    data = cot.to_json()
    steps = {
        "question_analysis": data["analysis"],
        "relevant_area_concentration": {"areas": data["areas"]},
        "answer_formation": {**data["formation"], "answer": cot.answer, "confidence": data["confidence"]},
    }
    read = [Progress("page", {"page": number}) for number in pages]
    return read + [Progress(name, {**fields, "text": cot.steps[name]}) for name, fields in steps.items()]


class OCREngine(Protocol):
    """Recognises the words of one page."""

    name: str

    def recognise(self, image: Image, *, languages: Sequence[str] = ("eng",)) -> list[Word]:
        """Words with boxes 0-1000 of the picture as given, in no particular order, confidence 0-1.

        Raises OCRNotInstalled, OCRLanguageMissing, OCRTimeout. Languages are ISO 639-2 codes ("eng", "jpn").
        """
        ...


@runtime_checkable
class Reader(Protocol):
    """Answers questions about documents: load once, ask many times."""

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        """The document with its words, cached by content. ``words`` hands in pages whose text is known already.

        Raises DocumentError or OCRError.
        """
        ...

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
        """The answer with its three steps.

        ``page`` (1-based) restricts the search. ``correction`` mends one step of ``previous`` (the last attempt at this
        question where it is not given): steps before it are kept, only what follows is decoded.
        Raises QuestionError, PageOutOfRange, CorrectionError, ModelError.
        """
        ...

    def ask_many(self, document: Document, questions: Iterable[str], *, page: int | None = None) -> list[LayoutCoT]:
        """Answers in the order of the questions, each the same as ``ask`` gives, decoded together."""
        ...

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
        """As ``ask``, without blocking the event loop. Concurrent callers are decoded together."""
        ...

    def astream(self, document: Document, question: str, *, page: int | None = None) -> AsyncIterator[Progress]:
        """The progress of one question as it happens; the last event's data holds the whole LayoutCoT as JSON."""
        ...


class ReaderAround:
    """A ``Reader`` that hands everything on to ``reader``: for readers that change one thing of another's."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        return self.reader.load(source, words=words)

    def ask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        return self.reader.ask(document, question, **options)

    def ask_many(self, document: Document, questions: Iterable[str], *, page: int | None = None) -> list[LayoutCoT]:
        return self.reader.ask_many(document, questions, page=page)

    async def aask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        return await self.reader.aask(document, question, **options)

    def astream(self, document: Document, question: str, *, page: int | None = None) -> AsyncIterator[Progress]:
        return self.reader.astream(document, question, page=page)
