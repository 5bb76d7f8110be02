"""What a service does for its callers, apart from HTTP: keeps the last documents, reads them once, asks one reader about them.

Bounded in every direction: callers served at once, bytes and age of documents. Callers are not told apart: whoever knows a document's
hash may ask about it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.parsing import size_of
from layoutllm_tool.documents.safety import Limits
from layoutllm_tool.errors import DocumentNotFound, ServiceError
from layoutllm_tool.protocols import Progress, Reader
from layoutllm_tool.readers.query import check_question
from layoutllm_tool.web import wire


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
    documents: Limits = field(default_factory=lambda: Limits(max_bytes=64 * 2**20, max_pages=wire.MOST_PAGES))


class Missing(DocumentNotFound):
    """``ids`` are not kept (any more). Travels as a DocumentNotFound."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__(f"document {ids[0]} is not kept here, or no more.", hint="Upload it again: POST /v1/documents.")  # fmt: skip
        self.ids = ids


class Kept:
    """Documents by id until they expire or the room is needed. For one thread."""

    def __init__(self, memory: int, expires: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.memory, self.expires, self._clock = memory, expires, clock
        self._documents: OrderedDict[str, tuple[Document, int, float]] = OrderedDict()
        self.bytes = 0

    def put(self, name: str, document: Document) -> None:
        self._drop(name)
        size = sum(map(size_of, document.pages))
        self._documents[name] = (document, size, self._clock() + self.expires)
        self.bytes += size
        self._tidy()

    def get(self, name: str) -> Document | None:
        self._tidy()
        if name not in self._documents:
            return None
        document, size, _ = self._documents[name]
        self._documents[name] = (document, size, self._clock() + self.expires)
        self._documents.move_to_end(name)
        return document

    def __len__(self) -> int:
        return len(self._documents)

    def _tidy(self) -> None:
        now = self._clock()
        while self._documents:
            name, (_, _, until) = next(iter(self._documents.items()))
            if until > now and (self.bytes <= self.memory or len(self._documents) == 1):
                return
            self._drop(name)

    def _drop(self, name: str) -> None:
        _, size, _ = self._documents.pop(name, (None, 0, 0.0))
        self.bytes -= size


@dataclass(slots=True)
class _Opening:
    """An upload that is being opened, for all who sent the same."""

    task: asyncio.Task[Document]
    begun: bool = False
    waiting: int = 0


class Desk:
    """One reader and what callers want from it. For one event loop; ``close`` it."""

    def __init__(self, reader: Reader, limits: ServiceLimits) -> None:
        self.reader, self.limits = reader, limits
        self.kept = Kept(limits.memory, limits.expires)
        self.served = 0
        """Requests that are being dealt with."""
        self._seconds = 1.0
        self._opening: dict[str, _Opening] = {}
        self._free = asyncio.Semaphore(limits.opening)
        self._threads = ThreadPoolExecutor(limits.opening, "layoutllm-open")

    # -- documents --------------------------------------------------------------------------------------------------

    async def take(self, body: bytes, kind: Literal["file", "pages"]) -> Document:
        """An upload, opened and read; one that is known or just being read is not read twice. Raises DocumentError, OCRError, ServiceError."""
        with self.place():
            return await self._taken(body, kind)

    async def _taken(self, body: bytes, kind: Literal["file", "pages"]) -> Document:
        name = await asyncio.to_thread(lambda: hashlib.sha256(body).hexdigest())
        if (known := self.kept.get(name)) is not None:
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
        """Once begun, it is nobody's own: where the caller gives up, what was read is kept for their next try."""

        def read() -> Document:
            return self.reader.load(wire.opened(body, kind, self.limits.documents))

        async def opened() -> Document:
            async with self._free:
                opening.begun = True
                return await asyncio.get_running_loop().run_in_executor(self._threads, read)

        def keep(task: asyncio.Task[Document]) -> None:
            if self._opening.get(name) is opening:
                del self._opening[name]
            if not task.cancelled() and task.exception() is None:
                self.kept.put(name, task.result())

        opening = self._opening[name] = _Opening(asyncio.create_task(opened()))
        opening.task.add_done_callback(keep)
        return opening

    def documents(self, ids: list[str]) -> list[Document]:
        """Missing where one is not kept."""
        found = {name: self.kept.get(name) for name in ids}
        if missing := [name for name, document in found.items() if document is None]:
            raise Missing(missing)
        return [document for document in found.values() if document is not None]

    # -- questions --------------------------------------------------------------------------------------------------

    async def ask(self, asked: wire.AskIn, on_progress: Callable[[Progress], None] | None = None) -> dict[str, Any]:
        """The answer as it travels. A cancelled caller's question is dropped. Raises what ``Reader.ask`` does, Missing, ServiceError."""
        self.check(asked)
        with self.place():
            begun = time.monotonic()
            documents = await self._documents(asked)
            document = wire.joined(documents)
            cot = await self.reader.aask(
                document, asked.question, page=asked.page, correction=asked.mend(), previous=asked.before(),
                on_progress=on_progress,
            )  # fmt: skip
            self._seconds += (time.monotonic() - begun - self._seconds) / 16
            return wire.answered(cot, asked.ids or [documents[0].sha256], document)

    def check(self, asked: wire.AskIn) -> None:
        """What can be refused before anything is done."""
        check_question(asked.question)
        asked.mend(), asked.before()
        self.documents(asked.ids)
        if self.busy:
            raise self._too_much()

    async def _documents(self, asked: wire.AskIn) -> list[Document]:
        if asked.data is None:
            return self.documents(asked.ids)
        body = await asyncio.to_thread(wire.decoded, asked.data, self.limits.documents)
        return [await self._taken(body, "file")]

    # -- load -------------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self.served >= self.limits.waiting

    @property
    def pause(self) -> int:
        """Seconds after which another try makes sense: a caller's time of late, which grows with the queue."""
        return max(1, min(60, round(self._seconds)))

    @contextmanager
    def place(self) -> Iterator[None]:
        """ServiceError where all are taken."""
        if self.busy:
            raise self._too_much()
        self.served += 1
        try:
            yield
        finally:
            self.served -= 1

    def _too_much(self) -> ServiceError:
        return ServiceError(f"{self.served} callers are being served already.", hint=f"Try again in {self.pause} s.")

    def close(self) -> None:
        for opening in list(self._opening.values()):
            opening.task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
