"""The reader: load a page once, ask it many questions. One thread holds the model; concurrent callers are decoded together.

Documents' words are cached by content, and so is what the model makes of a page (its keys and values), up to a budget of bytes.
The model is loaded at the first question. Training, files' safety rules (documents/) and prompts (model/) are *not* here.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.ocr import recognise_page
from layoutllm_tool.protocols import OCREngine, Progress
from layoutllm_tool.readers.caching import Library, Recent
from layoutllm_tool.readers.query import check_question
from layoutllm_tool.readers.scheduler import Job, Loaded, Worker
from layoutllm_tool.registry import check_unchanged, resolve

if TYPE_CHECKING:
    from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
    from layoutllm_tool.model.processing import LayoutLLMProcessor
    from layoutllm_tool.protocols import Source

_REMEMBERED = 1024


class LayoutLLMReader:
    """The real ``Reader`` (see protocols.py), safe to share between threads and event loops.

    ``weights`` is a folder written by ``save_weights``, or a registry, of which it takes the model that is current now (RegistryError
    where that was tampered with); the shipped ones by default. ``cache_bytes`` bounds the memory kept for pages that were read
    (about 12 MB a full window). ``int8`` decodes with 8-bit weights. ``model`` is a model and its
    processor to use instead of loading weights: the paper's shape, for instance. Use as a context manager, or ``close()`` it; an
    unclosed one ends with the process.
    """

    def __init__(
        self,
        weights: Path | None = None,
        *,
        languages: Sequence[str] = ("eng",),
        engine: OCREngine | None = None,
        cache_bytes: int = 512 * 2**20,
        int8: bool = True,
        model: tuple[LayoutLLMForConditionalGeneration, LayoutLLMProcessor] | None = None,
    ) -> None:
        self.languages, self.engine = tuple(languages), engine
        folder = resolve(weights) if model is None else None
        registered = folder is not None and folder != weights
        self._worker = Worker(lambda: _decoder(model, folder, registered, int8), cache_bytes=cache_bytes)
        self._library = Library(lambda _, page: recognise_page(page, engine=self.engine, languages=self.languages))
        self._attempts: Recent[tuple[str, int | None, str], LayoutCoT] = Recent(_REMEMBERED)

    # -- documents --------------------------------------------------------------------------------------------------

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        """The document with its words. Paths may lie anywhere: whoever takes them from strangers opens them with
        ``load_document(..., access=...)`` first, as the tool does, and hands in the Document.

        ``words`` are pages whose text is known: they replace text recognition, page by page, by number.
        """
        return self._library.load(source, words=words)

    # -- questions --------------------------------------------------------------------------------------------------

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
        """See ``Reader.ask``. ``on_progress`` is called from the model's thread."""
        return self._submit(document, question, page, correction, previous, on_progress).result()

    def ask_many(self, document: Document, questions: Iterable[str], *, page: int | None = None) -> list[LayoutCoT]:
        """See ``Reader.ask_many``. All questions are checked before the first is asked."""
        jobs = [self._job(document, question, page, None, None, None) for question in questions]
        self._worker.submit(jobs)
        return [job.future.result() for job in jobs]

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
        """See ``Reader.aask``. A cancelled caller's question is dropped if it has not begun."""
        return await asyncio.wrap_future(self._submit(document, question, page, correction, previous, on_progress))

    async def astream(self, document: Document, question: str, *, page: int | None = None) -> AsyncIterator[Progress]:
        """See ``Reader.astream``."""
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Progress | None]()

        def pass_on(event: Progress) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        future = self._submit(document, question, page, None, None, pass_on)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(events.put_nowait, None))
        last: Progress | None = None
        while (event := await events.get()) is not None:
            if last is not None:
                yield last
            last = event
        cot = await asyncio.wrap_future(future)
        if last is not None:
            yield Progress(last.event, {**last.data, **cot.to_json()})

    def _submit(
        self,
        document: Document,
        question: str,
        page: int | None,
        correction: Correction | None,
        previous: LayoutCoT | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> Future[LayoutCoT]:
        job = self._job(document, question, page, correction, previous, on_progress)
        self._worker.submit([job])
        return job.future

    def _job(
        self,
        document: Document,
        question: str,
        page: int | None,
        correction: Correction | None,
        previous: LayoutCoT | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> Job:
        check_question(question)
        pages = document.pages if page is None else (document.page(page),)
        if correction is not None and correction.page is not None:
            pages = (document.page(correction.page),)
        pages = tuple(self._library.recognised(document.sha256, page) for page in pages)
        key = (document.sha256, page, question)
        if correction is not None and previous is None:
            previous = self._attempts.get(key)
        job = Job(document, pages, question, correction, previous, on_progress)
        job.future.add_done_callback(lambda future: self._keep(key, future))
        return job

    def _keep(self, key: tuple[str, int | None, str], future: Future[LayoutCoT]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._attempts.put(key, future.result())

    # -- end --------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Finish what was asked, then let the model's thread end."""
        self._worker.close()

    def __enter__(self) -> LayoutLLMReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _decoder(
    model: tuple[LayoutLLMForConditionalGeneration, LayoutLLMProcessor] | None,
    folder: Path | None,
    registered: bool,
    int8: bool,
) -> Loaded:
    """Reads the files once: of a registry's model they are held against its log as they are in memory."""
    from layoutllm_tool.model.choosing import Chooser
    from layoutllm_tool.model.decoding import CoTDecoder
    from layoutllm_tool.model.engine import keep_to_thread_limit
    from layoutllm_tool.model.weight_files import WeightFiles
    from layoutllm_tool.model.weights import SHIPPED, load_weights

    keep_to_thread_limit()
    if model is not None:
        return CoTDecoder(*model, int8=int8), {}, None
    files = WeightFiles.read(folder or SHIPPED)
    if registered:
        check_unchanged(files.folder, files.hashes)
    return CoTDecoder(*load_weights(files), int8=int8), files.calibration(), Chooser.load()


_default: LayoutLLMReader | None = None
_default_lock = threading.Lock()


def _after_fork() -> None:
    global _default_lock
    _default_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def default_reader() -> LayoutLLMReader:
    """The process's shared reader with the shipped weights, made at the first call."""
    global _default
    with _default_lock:
        if _default is None:
            _default = LayoutLLMReader()
        return _default


__all__ = ["LayoutLLMReader", "default_reader"]
