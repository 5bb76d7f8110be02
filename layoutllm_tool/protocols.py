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
