"""The package's protocols: ``OCREngine`` reads pages, ``Reader`` answers questions. Fakes:
``layoutllm_tool.testing``.

Standard library only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack, runtime_checkable

from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Document, Page, Word

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

    Source = str | Path | bytes | Image | Document
"""A path, bytes, base64, a data: URL, an https URL where allowed, a picture, or a Document."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One event of the stream: a finished step, or a page that was read.

    ``event``: "page" (a page was read), "question_analysis", "relevant_area_concentration",
    "answer_formation". ``data`` is plain JSON: the page number, or the step's fields with its ``text``.
    """

    event: str
    data: dict[str, Any]


class AskOptions(TypedDict, total=False):
    """The options of ``Reader.ask``."""

    page: int | None
    correction: Correction | None
    previous: LayoutCoT | None
    on_progress: Callable[[Progress], None] | None


def events_of(pages: Iterable[int], cot: LayoutCoT) -> list[Progress]:
    """The events of a reader that gets its three steps at once; ``pages`` are the numbers it read."""
    data = cot.to_json()
    steps = {
        "question_analysis": data["analysis"],
        "relevant_area_concentration": {"areas": data["areas"]},
        "answer_formation": {**data["formation"], "answer": cot.answer, "confidence": data["confidence"]},
    }
    read = [Progress("page", {"page": number}) for number in pages]
    return read + [Progress(name, {**fields, "text": cot.steps[name]}) for name, fields in steps.items()]


async def stream(
    ask: Callable[[Callable[[Progress], None]], Coroutine[Any, Any, LayoutCoT]],
) -> AsyncIterator[Progress]:
    """The events of ``ask(on_progress)`` as they come; the last one's data holds the whole LayoutCoT as JSON.

    ``on_progress`` may be called from any thread. Closed early, the stream cancels the question.
    """
    loop, events = asyncio.get_running_loop(), asyncio.Queue[Progress | None]()

    def on_progress(event: Progress) -> None:
        loop.call_soon_threadsafe(events.put_nowait, event)

    asking = asyncio.ensure_future(ask(on_progress))
    asking.add_done_callback(lambda _: events.put_nowait(None))
    last: Progress | None = None
    try:
        while (event := await events.get()) is not None:
            if last is not None:
                yield last
            last = event
        cot = await asking
        if last is not None:
            yield Progress(last.event, {**last.data, **cot.to_json()})
    finally:
        asking.cancel()


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
        """The document with its words, cached by content. ``words`` hands in pages whose text is known
        already.

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

        ``page`` (1-based) restricts the search. ``correction`` corrects one step of ``previous``: keeps the
        steps before it, decodes the rest. Without ``previous`` it keeps nothing. A reader remembers no
        attempt. Raises QuestionError, PageOutOfRange, CorrectionError, ModelError.
        """
        ...

    def ask_many(
        self, document: Document, questions: Iterable[str], *, page: int | None = None
    ) -> list[LayoutCoT]:
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

    def astream(
        self, document: Document, question: str, *, page: int | None = None
    ) -> AsyncIterator[Progress]:
        """One question's progress as it happens; the last event's data holds the whole LayoutCoT as JSON."""
        ...


class Streaming:
    """A base for readers: ``astream`` by ``aask``."""

    async def aask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        raise NotImplementedError

    def astream(
        self, document: Document, question: str, *, page: int | None = None
    ) -> AsyncIterator[Progress]:
        """See ``Reader.astream``. Closed early, it cancels the question."""
        return stream(lambda emit: self.aask(document, question, page=page, on_progress=emit))


class ReaderAround:
    """Delegates everything to ``reader``: a base for readers that change one thing."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        return self.reader.load(source, words=words)

    def ask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        return self.reader.ask(document, question, **options)

    def ask_many(
        self, document: Document, questions: Iterable[str], *, page: int | None = None
    ) -> list[LayoutCoT]:
        return self.reader.ask_many(document, questions, page=page)

    async def aask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        return await self.reader.aask(document, question, **options)

    def astream(
        self, document: Document, question: str, *, page: int | None = None
    ) -> AsyncIterator[Progress]:
        return self.reader.astream(document, question, page=page)
