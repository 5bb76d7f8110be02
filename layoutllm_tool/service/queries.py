"""What the service does for its callers, apart from HTTP: keep the last documents, answer questions.

Callers served at once, and bytes and age of documents, are bounded. Callers are not told apart: whoever knows
a document's hash may ask about it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from cachetools import TTLCache

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.parsing import size_of
from layoutllm_tool.documents.safety import Limits
from layoutllm_tool.errors import DocumentNotFound, LayoutLLMError, ServiceError
from layoutllm_tool.protocols import Progress, Reader
from layoutllm_tool.readers import warming
from layoutllm_tool.readers.query import check_question
from layoutllm_tool.service import schemas

_log = logging.getLogger(__name__)
Emit = Callable[[Progress], None]
Extractor = Callable[[Reader, Document, dict[str, Any], int | None], Awaitable[dict[str, Any]]]
"""``layoutllm_graphs.extract_tool.aextract``: (reader, document, JSON Schema, page) -> ``RecordOut``."""


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """How much a service takes on. Everything beyond is refused with a reason."""

    waiting: int = 128
    """Questions and uploads at once; more get 503."""
    seconds: float = 120.0
    """For one request, once it has come."""
    upload_seconds: float = 60.0
    """For a request's body to come."""
    body_bytes: int = 64 * 2**20
    memory: int = 2**30
    """Bytes of kept documents, least recently used first out; the last one is kept whatever it takes."""
    expires: float = 3600.0
    """Seconds after its last use, a document is forgotten."""
    opening: int = 4
    """Documents opened at once. A file that takes long to parse occupies one of these."""
    documents: Limits = field(
        default_factory=lambda: Limits(max_bytes=64 * 2**20, max_pages=schemas.MOST_PAGES)
    )


class DocumentsMissing(DocumentNotFound):
    """``missing``: ids that are not kept (any more). Callers see a DocumentNotFound."""

    def __init__(self, ids: list[str]) -> None:
        message = f"document {ids[0]} is not kept here, or no more."
        super().__init__(message, hint="Upload it again: POST /v1/documents.")
        self.missing = ids


class DocumentCache(TTLCache[str, Document]):
    """Documents by id until ``expires`` seconds after their last use, or until the memory is needed."""

    def __init__(self, memory: int, expires: float, clock: Callable[[], float] = time.monotonic) -> None:
        def size(document: Document) -> int:
            return min(memory, sum(map(size_of, document.pages)))

        super().__init__(memory, expires, clock, size)

    def use(self, name: str) -> Document | None:
        """Get a document and begin its time anew."""
        document: Document | None = self.get(name)
        if document is not None:
            self[name] = document
        return document


@dataclass(slots=True)
class _Opening:
    """An upload that is being opened, for all who sent the same."""

    task: asyncio.Task[Document]
    begun: bool = False
    waiting: int = 0


class QueryService:
    """One reader and its callers' questions. For one event loop; ``close`` it."""

    def __init__(self, reader: Reader, limits: ServiceLimits, extractor: Extractor | None = None) -> None:
        self.reader, self.limits, self.extractor = reader, limits, extractor
        self.documents = DocumentCache(limits.memory, limits.expires)
        self.served = 0
        """Requests that are being dealt with."""
        self.loading = False
        self.fault: LayoutLLMError | None = None
        """Why the reader could not be loaded."""
        self._seconds = 1.0
        self._opening: dict[str, _Opening] = {}
        self._free = asyncio.Semaphore(limits.opening)
        self._threads = ThreadPoolExecutor(limits.opening, "layoutllm-open")

    # -- documents -----------------------------------------------------------------------------------------

    async def take(self, body: bytes, kind: Literal["file", "pages"]) -> Document:
        """Open and read an upload; one that is known or being read is not read twice.

        DocumentError, OCRError, ServiceError.
        """
        with self._counted():
            return await self._take(body, kind)

    async def _take(self, body: bytes, kind: Literal["file", "pages"]) -> Document:
        name = await asyncio.to_thread(lambda: hashlib.sha256(body).hexdigest())
        if (known := self.documents.use(name)) is not None:
            return known
        opening = self._opening.get(name) or self._open(name, body, kind)
        opening.waiting += 1
        try:
            return await asyncio.shield(opening.task)
        finally:
            opening.waiting -= 1
            if not opening.waiting and not opening.begun:
                self._opening.pop(name, None)
                opening.task.cancel()

    def _open(self, name: str, body: bytes, kind: Literal["file", "pages"]) -> _Opening:
        """Once begun, opening goes on where the caller gives up: the document is kept for their next try."""

        def read() -> Document:
            return self.reader.load(schemas.opened(body, kind, self.limits.documents))

        async def opened() -> Document:
            async with self._free:
                opening.begun = True
                return await asyncio.get_running_loop().run_in_executor(self._threads, read)

        def keep(task: asyncio.Task[Document]) -> None:
            if self._opening.get(name) is opening:
                del self._opening[name]
            if not task.cancelled() and task.exception() is None:
                self.documents[name] = task.result()

        opening = self._opening[name] = _Opening(asyncio.create_task(opened()))
        opening.task.add_done_callback(keep)
        return opening

    def known(self, ids: list[str]) -> list[Document]:
        """DocumentsMissing where one is not kept."""
        found = {name: self.documents.use(name) for name in ids}
        if missing := [name for name, document in found.items() if document is None]:
            raise DocumentsMissing(missing)
        return [document for document in found.values() if document is not None]

    # -- questions -----------------------------------------------------------------------------------------

    async def ask(self, asked: schemas.AskIn, on_progress: Emit | None = None) -> dict[str, Any]:
        """The response's JSON. Cancelled, the question is dropped. Raises as ``Reader.ask``; ServiceError."""
        self.check(asked)
        async with self._of_document(asked) as (document, ids):
            cot = await self.reader.aask(
                document,
                asked.question,
                page=asked.page,
                correction=asked.corrected(),
                previous=asked.attempt(),
                on_progress=on_progress,
            )
            known = {"id": ids[0] if len(ids) == 1 else ids, "pages": len(document.pages)}
            more = {"notices": document.notices, "original": cot.on_original(document)}
            return {"cot": cot.to_json(), "document": known, **more}

    async def extract(self, asked: schemas.ExtractIn) -> dict[str, Any]:
        """The response's JSON. Cancelled, its questions are dropped. PlanError; else raises as ``ask``."""
        assert self.extractor is not None  # else there is no route
        async with self._of_document(asked) as (document, _):
            return await self.extractor(self.reader, document, asked.json_schema, asked.page)

    @asynccontextmanager
    async def _of_document(self, asked: schemas.OfDocument) -> AsyncIterator[tuple[Document, list[str]]]:
        """A caller's document and its ids. The caller is counted, and the time taken. Raises as ``take``."""
        with self._counted():
            begun = time.monotonic()
            documents = await self._documents(asked)
            yield schemas.joined(documents), asked.ids or [documents[0].sha256]
            self._seconds += (time.monotonic() - begun - self._seconds) / 16

    def check(self, asked: schemas.AskIn) -> None:
        """Refuse what can be refused before anything is done."""
        check_question(asked.question)
        asked.corrected(), asked.attempt()
        self.known(asked.ids)
        self._check_load()

    async def _documents(self, asked: schemas.OfDocument) -> list[Document]:
        if asked.data is None:
            return self.known(asked.ids)
        body = await asyncio.to_thread(schemas.decoded, asked.data, self.limits.documents)
        return [await self._take(body, "file")]

    async def load(self) -> None:
        """Load the weights by a question. An error is kept as ``fault``."""
        try:
            await self.reader.aask(warming.SAMPLE, warming.QUESTION)
        except Exception as error:  # noqa: BLE001  any error: else the service would be "loading" for ever
            _log.exception("the reader is not ready")
            message = f"the reader could not be loaded: {type(error).__name__}."
            unknown = ServiceError(message, hint="See the service's log.")
            self.fault = error if isinstance(error, LayoutLLMError) else unknown
        self.loading = False

    # -- load ----------------------------------------------------------------------------------------------

    @property
    def status(self) -> Literal["failed", "loading", "busy", "ready"]:
        if self.fault:
            return "failed"
        return "loading" if self.loading else "busy" if self.served >= self.limits.waiting else "ready"

    @property
    def pause(self) -> int:
        """Seconds after which another try makes sense: a caller's time of late. It grows with the queue."""
        return max(1, min(60, round(self._seconds)))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """ServiceError where all places are taken."""
        self._check_load()
        self.served += 1
        try:
            yield
        finally:
            self.served -= 1

    def _check_load(self) -> None:
        if self.served >= self.limits.waiting:
            message = f"{self.served} callers are being served already."
            raise ServiceError(message, hint=f"Try again in {self.pause} s.")

    def close(self) -> None:
        for opening in list(self._opening.values()):
            opening.task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
