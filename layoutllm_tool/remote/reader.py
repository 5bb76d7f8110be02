"""``RemoteReader``: what is sent to the service and what is kept here."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.protocols import AskOptions, Streaming
from layoutllm_tool.readers.caching import LRUCache, PageCache
from layoutllm_tool.readers.query import Query
from layoutllm_tool.remote.responses import Request, parse_entry
from layoutllm_tool.remote.transport import Emit, Transport
from layoutllm_tool.schemas import PAGES_TYPE, CoTIn, PageIn

if TYPE_CHECKING:
    from layoutllm_tool.protocols import Source

TOKEN_VARIABLE = "LAYOUTLLM_TOKEN"
"""The environment variable of a token that is not given."""
_TOGETHER = 8
_PageKey = tuple[str, int, str, int]


class RemoteReader(Streaming):
    """Asks the service at ``endpoint``, "http://127.0.0.1:8765" for instance.

    Safe to share between threads and event loops.
    ``token`` None is that of the environment's LAYOUTLLM_TOKEN, if there is one.
    ``timeout`` (seconds) bounds one request with all its retries.
    A request is tried again at most ``retries`` times, after growing pauses, where its error is retryable.
    The service's errors keep their class (QuestionError, OCRLanguageMissing ...); those of the connection are
    ServiceError. ``close()`` it, or use it as a context manager.
    """

    def __init__(
        self, endpoint: str, token: str | None = None, *, timeout: float = 120.0, retries: int = 4
    ) -> None:
        known = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
        self._transport = Transport(endpoint, known, timeout=timeout, retries=retries)
        self._library = PageCache(self._recognise)
        self._ids: LRUCache[_PageKey, str] = LRUCache(4096)

    @property
    def endpoint(self) -> str:
        return self._transport.endpoint

    def __reduce__(self) -> tuple[Any, ...]:
        to = self._transport
        return partial(RemoteReader, to.endpoint, to.token, timeout=to.timeout, retries=to.retries), ()

    def __repr__(self) -> str:
        return f"RemoteReader({self.endpoint!r})"

    # -- the protocol --------------------------------------------------------------------------------------

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        """See ``Reader.load``: opened here, wherever it is; pages without words are read by the service."""
        return self._library.load(source, words=words)

    def ask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        """See ``Reader.ask``; ServiceError where the service can't be reached, is busy or refuses."""
        return self._send(self._query(document, question, **options))

    def ask_many(
        self, document: Document, questions: Iterable[str], *, page: int | None = None
    ) -> list[LayoutCoT]:
        """See ``Reader.ask_many``: asked side by side, so that the service decodes them together."""
        queries = [self._query(document, question, page=page) for question in questions]
        if not queries:
            return []
        self._transport.send(lambda _: self._send_pages(document))
        with ThreadPoolExecutor(_TOGETHER) as threads:
            return list(threads.map(self._send, queries))

    async def aask(self, document: Document, question: str, **options: Unpack[AskOptions]) -> LayoutCoT:
        """See ``Reader.aask``. Cancelled, it hangs up, and the service drops the question."""
        query = self._query(document, question, **options)
        return await self._transport.asend(partial(self._answer, query), query.on_progress)

    # -- questions -----------------------------------------------------------------------------------------

    def _query(self, document: Document, question: str, **options: Unpack[AskOptions]) -> Query:
        """Checked before anything is sent. QuestionError, PageOutOfRange."""
        query = Query(document, question, **options)
        for number in (query.page, query.correction.page if query.correction else None):
            if number is not None:
                document.page(number)
        return query

    def _send(self, query: Query) -> LayoutCoT:
        return self._transport.send(partial(self._answer, query), query.on_progress)

    async def _answer(self, query: Query, on_event: Emit | None) -> LayoutCoT:
        """Pages that the service has forgotten are sent once more."""
        try:
            data = await self._post(query, on_event)
        except DocumentNotFound as error:
            if not self._forget(query.document, getattr(error, "missing", [])):
                raise
            data = await self._post(query, on_event)
        return parse_entry(lambda sent: CoTIn.model_validate(sent).attempt(), data, "cot")

    async def _post(self, query: Query, on_event: Emit | None) -> Any:
        fields = {
            "document": await self._send_pages(query.document),
            "question": query.question,
            "page": query.page,
            "correction": query.correction.to_json() if query.correction else None,
            "previous": query.previous.to_json() if query.previous else None,
        }
        body = json.dumps(fields).encode()
        return await self._transport.request(
            Request("POST", "/v1/ask", partial(bytes, body), on_event=on_event)
        )

    # -- pages ---------------------------------------------------------------------------------------------

    async def _send_pages(self, document: Document) -> list[str]:
        """The pages' ids at the service, which then has them."""
        ids = []
        for page in document.pages:
            key = _key(document.sha256, page)
            known = self._ids.get(key)
            if known is None:
                known = await self._upload(page)
                self._ids.put(key, known)
            ids.append(known)
        return ids

    def _forget(self, document: Document, missing: Sequence[str]) -> bool:
        """Whether one of the document's pages was missing."""
        keys = [_key(document.sha256, page) for page in document.pages]
        gone = [key for key in keys if self._ids.get(key) in missing]
        for key in gone:
            self._ids.pop(key)
        return bool(gone)

    async def _upload(self, page: Page) -> str:
        request = Request("POST", "/v1/documents", lambda: _page_body(page), PAGES_TYPE)
        data = await self._transport.request(request)
        return parse_entry(
            lambda name: re.fullmatch(r"[0-9a-f]{64}", name)[0],  # type: ignore[index]
            data,
            "id",
        )

    def _recognise(self, sha256: str, page: Page) -> Page:
        return self._transport.send(lambda _: self._read(sha256, page))

    async def _read(self, sha256: str, page: Page) -> Page:
        """The page with the words that the service finds; turned, where it had to be turned."""
        try:
            return await self._fetch(sha256, page)
        except DocumentNotFound:  # forgotten between two requests: a busy service
            return await self._fetch(sha256, page)

    async def _fetch(self, sha256: str, page: Page) -> Page:
        name = await self._upload(page)
        data = await self._transport.request(Request("GET", f"/v1/documents/{name}"))
        read = parse_entry(lambda pages: PageIn.model_validate(pages[0]).page(), data, "pages")
        image = page.image
        if read.notices != page.notices or (read.width, read.height) != (page.width, page.height):
            path = f"/v1/documents/{name}/pages/{page.number}.png"
            sent = await self._transport.request(Request("GET", path, raw=True))
            image = await asyncio.to_thread(
                parse_entry, partial(_picture, read), {"picture": sent}, "picture"
            )
        read = replace(read, number=page.number, image=image)
        self._ids.put(_key(sha256, read), name)
        return read

    # -- end -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    async def aclose(self) -> None:
        """As ``close``."""
        self._transport.close()

    def __enter__(self) -> RemoteReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _key(sha256: str, page: Page) -> _PageKey:
    return sha256, page.number, page.text_source, hash(page.lines)


def _page_body(page: Page) -> bytes:
    """A page as the service takes it: its picture without loss, so that what is read here is read there."""
    picture = None
    if page.image is not None:
        buffer = io.BytesIO()
        page.image.save(buffer, "PNG", compress_level=1)
        picture = base64.b64encode(buffer.getvalue()).decode()
    return json.dumps({"pages": [page.to_json() | {"image": picture}]}).encode()


def _picture(page: Page, data: bytes) -> Any:
    """ValueError where it is not as large as the page; DocumentError where it is none."""
    from layoutllm_tool.documents import Access, load_document

    picture = load_document(data, access=Access(roots=())).pages[0]
    if (picture.width, picture.height) != (page.width, page.height):
        raise ValueError("the picture has another size")
    return picture.image
