"""``LayoutLLMReader``: loads a page once and answers many questions about it, with the model in one thread.

Decodes concurrent callers' questions together. Caches words by content, and the model's keys and values of a
page up to a number of bytes. Loads the model at the first question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.protocols import AskOptions, OCREngine
from layoutllm_tool.readers.base import ReaderBase
from layoutllm_tool.readers.query import Query
from layoutllm_tool.readers.scheduler import Job, Loaded, Worker
from layoutllm_tool.registry import check_unchanged, resolve

if TYPE_CHECKING:
    from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
    from layoutllm_tool.model.processing import LayoutLLMProcessor


class LayoutLLMReader(ReaderBase):
    """The ``Reader`` over the LayoutLLM model. Safe to share between threads and event loops.

    ``weights`` is a folder written by ``save_weights``, or a registry, whose current model is taken
    (RegistryError where that was tampered with); by default the shipped ones. ``cache_bytes`` bounds the
    memory of pages that were read (about 12 MB a full window). ``int8`` decodes with 8-bit weights. ``model``
    is a model and its processor to use instead of loading weights. Use as a context manager, or ``close()``
    it; an unclosed one ends with the process.
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
        super().__init__(languages, engine)
        folder = resolve(weights) if model is None else None
        registered = folder is not None and folder != weights
        self._worker = Worker(lambda: load_parts(model, folder, registered, int8), cache_bytes=cache_bytes)

    def ask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        """See ``Reader.ask``. ``on_progress`` is called from the model's thread."""
        job = self._submit(document, question, **options)
        try:
            return job.future.result()
        except KeyboardInterrupt:
            job.dropped = True
            raise

    def ask_many(
        self, document: Document, questions: Iterable[str], *, page: int | None = None
    ) -> list[LayoutCoT]:
        """See ``Reader.ask_many``. Checks all questions before asking the first."""
        jobs = [self._job(document, question, page=page) for question in questions]
        self._worker.submit(jobs)
        return [job.future.result() for job in jobs]

    async def aask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        """See ``Reader.aask``. A cancelled caller's question ends after the step that is being decoded."""
        job = self._submit(document, question, **options)
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            job.dropped = True
            raise

    def _submit(self, document: Document, question: str, **options: Unpack[AskOptions]) -> Job:
        job = self._job(document, question, **options)
        self._worker.submit([job])
        return job

    def _job(self, document: Document, question: str, **options: Unpack[AskOptions]) -> Job:
        query = Query(document, question, **options)
        return Job(query, self._recognised(query))

    def close(self) -> None:
        """Answer what was asked, then end the model's thread."""
        self._worker.close()

    def __enter__(self) -> LayoutLLMReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_parts(
    model: tuple[LayoutLLMForConditionalGeneration, LayoutLLMProcessor] | None,
    folder: Path | None,
    registered: bool,
    int8: bool,
) -> Loaded:
    """Return decoder, calibration and chooser. A registry's model is compared with its record in memory."""
    from layoutllm_tool.model.choosing import Chooser
    from layoutllm_tool.model.decoding import CoTDecoder
    from layoutllm_tool.model.llama_engine import keep_to_thread_limit
    from layoutllm_tool.model.weight_files import WeightFiles
    from layoutllm_tool.model.weights import SHIPPED, load_weights

    keep_to_thread_limit()
    if model is not None:
        return CoTDecoder(*model, int8=int8), {}, None
    files = WeightFiles.read(folder or SHIPPED)
    if registered:
        check_unchanged(files.folder, files.hashes)
    return CoTDecoder(*load_weights(files), int8=int8), files.calibration(), Chooser.load()


_DEFAULT: dict[str, LayoutLLMReader] = {}


def default_reader() -> LayoutLLMReader:
    """The process's shared reader with the shipped weights, made at the first call."""
    return _DEFAULT.get("default") or _DEFAULT.setdefault("default", LayoutLLMReader())
