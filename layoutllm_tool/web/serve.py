"""``create_service``: a reader behind HTTP. Callers who ask at the same time are decoded together; see ``desk`` for what it keeps.

    POST /v1/documents        a file's bytes, or pages (wire.Pages)      -> {"id", "pages"}
    GET  /v1/documents/{id}   words and sizes of its pages
    GET  /v1/documents/{id}/pages/{number}.png                           the page's picture as it was read
    POST /v1/ask              wire.AskIn                                 -> {"cot", "document"}; as SSE where Accept asks for it
    GET  /healthz, /readyz    whether it runs; whether it can take a question now

Errors are JSON: ``{"kind", "message", "hint", "mendable", "retryable"}``. Neither paths nor URLs are taken from callers. TLS, accounts and
quotas are *not* here: put a proxy in front.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from layoutllm_tool.documents.geometry import Box, Document, Line, Page, Word
from layoutllm_tool.errors import DocumentNotFound, LayoutLLMError, PageOutOfRange, QuestionError, ServiceError
from layoutllm_tool.protocols import Progress, Reader
from layoutllm_tool.strict_json import BodyUnreadable
from layoutllm_tool.web import wire
from layoutllm_tool.web.desk import Desk, Missing, ServiceLimits
from layoutllm_tool.web.json_body import JSONReader, json_of
from layoutllm_tool.web.middleware import (
    LOOPBACK,
    BodyLimit,
    HostCheck,
    RequestLog,
    SecurityHeaders,
    TimeLimit,
    TokenCheck,
    error_json,
    internal,
    late,
)

try:
    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse, Response, StreamingResponse
    from starlette.exceptions import HTTPException
except ImportError as error:
    raise LayoutLLMError("the service needs a few packages more.", hint="pip install 'layoutllm-tool[web]'") from error

HEARTBEAT = 10.0
"""Seconds after which a stream that has nothing to say says so."""
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


def create_service(
    reader: Reader | Callable[[], Reader] | None = None,
    *,
    limits: ServiceLimits | None = None,
    token: str | None = None,
    hosts: Collection[str] | None = LOOPBACK,
    warm: bool = True,
) -> FastAPI:
    """The app. ``reader`` None is the package's own; a reader that is handed in is not closed here, one that is built here is.

    ``token`` is asked of every caller but for the two health checks; ``hosts`` None takes every Host header. ``warm`` asks a first
    question of a reader that is built here, so that no caller waits for weights; until then /readyz says 503.
    """
    limits = limits or ServiceLimits()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        own = not _is_reader(reader)
        made = await asyncio.to_thread(_built, reader)
        app.state.desk, app.state.ready, app.state.fault = Desk(made, limits), not (own and warm), None
        app.state.json = JSONReader()
        warming = asyncio.create_task(_warmed(app, made)) if own and warm else None
        yield
        if warming is not None:
            warming.cancel()
        app.state.desk.close()
        if own and hasattr(made, "close"):
            await asyncio.to_thread(made.close)

    app = FastAPI(title="layoutllm", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(TimeLimit, seconds=limits.seconds)
    app.add_middleware(BodyLimit, most=limits.body_bytes, seconds=limits.upload_seconds)
    if token:
        app.add_middleware(TokenCheck, token=token, open_paths=("/healthz", "/readyz"))
    if hosts is not None:
        app.add_middleware(HostCheck, hosts=hosts)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestLog)
    _add_routes(app)
    _add_errors(app)
    return app


def _add_routes(app: FastAPI) -> None:
    @app.post("/v1/documents")
    async def upload(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await request.body()
        taken = _desk(request).take(body, "pages" if kind == wire.PAGES_TYPE else "file")
        document = await _unless_gone(request, taken)
        return JSONResponse({"id": document.sha256, "pages": len(document.pages)}, status_code=201)

    @app.get("/v1/documents/{name}")
    async def words(request: Request, name: str) -> Response:
        document = _known(request, name)
        return Response(await asyncio.to_thread(_words, name, document), media_type="application/json")

    @app.get("/v1/documents/{name}/pages/{number}.png")
    async def picture(request: Request, name: str, number: int) -> Response:
        image = _known(request, name).page(number).image
        if image is None:
            raise DocumentNotFound(f"page {number} has no picture.", hint="It was sent without one.")
        buffer = io.BytesIO()
        await asyncio.to_thread(image.save, buffer, "PNG", compress_level=1)
        return Response(buffer.getvalue(), media_type="image/png")

    @app.post("/v1/ask", openapi_extra=_body_schema(wire.AskIn))
    async def ask(request: Request) -> Response:
        desk = _desk(request)
        asked = await app.state.json.read(wire.AskIn, await json_of(request))
        if "text/event-stream" not in request.headers.get("accept", ""):
            return JSONResponse(await _unless_gone(request, desk.ask(asked)))
        desk.check(asked)
        return StreamingResponse(_events(desk, asked), media_type="text/event-stream", headers={"x-accel-buffering": "no"})  # fmt: skip

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz(request: Request) -> Response:
        state, desk = request.app.state, _desk(request)
        why = "failed" if state.fault else "loading" if not state.ready else "busy" if desk.busy else "ready"
        said = {"status": why, "served": desk.served, "documents": len(desk.kept), "bytes": desk.kept.bytes}
        more = {"error": error_json(state.fault)} if state.fault else {}
        return JSONResponse(said | more, status_code=200 if why == "ready" else 503)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(LayoutLLMError)
    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, LayoutLLMError)
        return _refusal(error, wire.status_of(error), request)

    @app.exception_handler(BodyUnreadable)
    async def unreadable(request: Request, error: Exception) -> Response:
        assert isinstance(error, BodyUnreadable)
        told = QuestionError(f"the request can't be read: {error.message}", hint=wire.ASK_HINT)
        return _refusal(told, error.status, request)

    @app.exception_handler(RequestValidationError)
    async def no_number(request: Request, error: Exception) -> Response:
        return _refusal(PageOutOfRange("pages have numbers.", hint="They count from 1."), 422, request)

    @app.exception_handler(HTTPException)
    async def no_such(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        where = "The service knows /v1/documents, /v1/ask, /healthz and /readyz." if error.status_code == 404 else ""
        said = ServiceError(f"{error.detail}.", hint=where)
        said.retryable = False
        return _refusal(said, error.status_code, request)


def _words(name: str, document: Document) -> str:
    """Written page by page, so that other threads run in between."""
    pages = ",".join(json.dumps(page.to_json()) for page in document.pages)
    return f'{{"id": {json.dumps(name)}, "pages": [{pages}]}}'


def _refusal(error: LayoutLLMError, status: int, request: Request) -> Response:
    headers = {"retry-after": str(_desk(request).pause)} if status == 503 else None
    return JSONResponse(travelling(error), status_code=status, headers=headers)


def travelling(error: LayoutLLMError) -> dict[str, Any]:
    """The error as JSON; of documents that are missing, which."""
    if isinstance(error, Missing):
        return error_json(error) | {"kind": "DocumentNotFound", "missing": error.ids}
    return error_json(error)


def _body_schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _known(request: Request, name: str) -> Document:
    return _desk(request).documents([name[:64]])[0]


async def _unless_gone(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """The work's outcome. Where the caller hangs up before, the work is cancelled, and so is this."""
    task, gone = asyncio.create_task(work), asyncio.create_task(_hung_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ServiceError("the caller has gone.")
    finally:
        for one in (task, gone):
            one.cancel()
        with suppress(BaseException):
            await asyncio.gather(task, gone, return_exceptions=True)


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(desk: Desk, asked: wire.AskIn) -> AsyncIterator[str]:
    """Progress as it happens, then ``result`` or ``error``. Closed early, it drops the question."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[Progress | None]()
    until = loop.time() + desk.limits.seconds

    def tell(event: Progress) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, event)

    task = asyncio.create_task(desk.ask(asked, tell))
    task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), max(0.0, min(HEARTBEAT, until - loop.time())))
            except TimeoutError:
                if loop.time() >= until:
                    yield _sse("error", error_json(late(desk.limits.seconds)))
                    return
                yield ": waiting\n\n"
                continue
            if event is None:
                break
            yield _sse(event.event, event.data)
        failure = task.exception()
        if failure is None:
            yield _sse("result", task.result())
        elif isinstance(failure, LayoutLLMError):
            yield _sse("error", travelling(failure))
        else:
            _log.error("a stream failed", exc_info=failure)
            yield _sse("error", error_json(internal("'a stream failed'")))
    finally:
        task.cancel()


def _sse(event: str, data: dict[str, Any]) -> str:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"


def _built(given: Reader | Callable[[], Reader] | None) -> Reader:
    if given is None:
        from layoutllm_tool.readers.local import LayoutLLMReader

        return LayoutLLMReader()
    return cast(Reader, given) if _is_reader(given) else cast(Callable[[], Reader], given)()


def _is_reader(given: object) -> bool:
    """A class of readers has all their methods too."""
    return isinstance(given, Reader) and not isinstance(given, type)


async def _warmed(app: FastAPI, reader: Reader) -> None:
    """Loads the weights by a question; what goes wrong is told by /readyz, and to whoever asks."""
    try:
        await reader.aask(_sample(), "What is the total?")
        app.state.ready = True
    except Exception as error:  # noqa: BLE001  whatever it is: "loading" for ever would tell nobody
        _log.exception("the reader is not ready")
        unknown = ServiceError(
            f"the reader could not be loaded: {type(error).__name__}.", hint="See the service's log."
        )
        app.state.fault = error if isinstance(error, LayoutLLMError) else unknown


def _sample() -> Document:
    words = (Word("Total", Box(100, 100, 200, 120), 1.0), Word("12.50", Box(210, 100, 300, 120), 1.0))
    return Document("warm-up", "0" * 64, (Page(1, 800, 1000, (Line(words),), text_source="given"),))
