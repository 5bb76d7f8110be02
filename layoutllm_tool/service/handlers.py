"""The service's routes, its streams of events, and its errors as JSON."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from layoutllm_tool import errors
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.protocols import Progress
from layoutllm_tool.schemas import PAGES_TYPE, RecordOut, error_to_json, final_error
from layoutllm_tool.service.queries import QueryService
from layoutllm_tool.service.schemas import AskIn, ExtractIn
from layoutllm_tool.service.security import error_response, internal_error, too_slow
from layoutllm_tool.strict_json import BodyUnreadable

HEARTBEAT = 10.0
"""Seconds after which a stream that has nothing to say says so."""
_BODY_HINT = 'It looks like {{"document": "<id of an upload>", {}}}; or "data": a file in base64.'
_BODIES = {
    "/v1/extract": '"json_schema": {"type": "object", "properties": {"total": {"type": "number"}}}',
    "/v1/ask": '"question": "What is the total?"',
}
_PATHS = "The service knows /v1/documents, /v1/ask, /healthz and /readyz; all paths are in /openapi.json."
_T = TypeVar("_T")
_log = logging.getLogger(__name__)
router, extraction = APIRouter(), APIRouter()


def _body_of(model: type[BaseModel]) -> dict[str, Any]:
    """For OpenAPI: bodies are read by ``BodyReader``, which FastAPI knows nothing of."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


@router.post("/v1/documents")
async def upload(request: Request) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    async with request.state.bodies.read(request) as body:
        taken = _queries(request).take(body, "pages" if kind == PAGES_TYPE else "file")
        document = await _while_connected(request, taken)
    return JSONResponse({"id": document.sha256, "pages": len(document.pages)}, status_code=201)


@router.get("/v1/documents/{name}")
async def words(request: Request, name: str) -> Response:
    document = _known(request, name)
    return Response(await asyncio.to_thread(_words, name, document), media_type="application/json")


@router.get("/v1/documents/{name}/pages/{number}.png")
async def picture(request: Request, name: str, number: int) -> Response:
    image = _known(request, name).page(number).image
    if image is None:
        raise errors.DocumentNotFound(f"page {number} has no picture.", hint="It was sent without one.")
    buffer = io.BytesIO()
    await asyncio.to_thread(image.save, buffer, "PNG", compress_level=1)
    return Response(buffer.getvalue(), media_type="image/png")


@router.post("/v1/ask", openapi_extra=_body_of(AskIn))
async def ask(request: Request) -> Response:
    queries = _queries(request)
    asked = await request.state.bodies.read_json(request, AskIn)
    if "text/event-stream" not in request.headers.get("accept", ""):
        return JSONResponse(await _while_connected(request, queries.ask(asked)))
    queries.check(asked)
    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(_events(queries, asked), media_type="text/event-stream", headers=headers)


@extraction.post("/v1/extract", openapi_extra=_body_of(ExtractIn), responses={200: {"model": RecordOut}})
async def extract(request: Request) -> Response:
    """A typed record of the document, as the JSON Schema describes it.

    Lists and rows of tables are read whole. A value that is missing or not understood is null, and its field
    says why: every field whose verdict is not "satisfied" is doubtful.
    """
    asked = await request.state.bodies.read_json(request, ExtractIn)
    return JSONResponse(await _while_connected(request, _queries(request).extract(asked)))


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    queries = _queries(request)
    documents = queries.documents
    data = {
        "status": queries.status,
        "served": queries.served,
        "documents": len(documents),
        "bytes": int(documents.currsize),
    }
    error = {"error": error_to_json(queries.fault)} if queries.fault else {}
    return JSONResponse(data | error, status_code=200 if queries.status == "ready" else 503)


def _queries(request: Request) -> QueryService:
    queries: QueryService = request.state.queries
    return queries


def _known(request: Request, name: str) -> Document:
    return _queries(request).known([name[:64]])[0]


def _words(name: str, document: Document) -> str:
    """Written page by page, so that other threads run in between."""
    pages = ",".join(json.dumps(page.to_json()) for page in document.pages)
    return f'{{"id": {json.dumps(name)}, "pages": [{pages}]}}'


# -- time --------------------------------------------------------------------------------------------------


async def _while_connected(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """The work's outcome. It is cancelled where the caller hangs up before, or where its time is over."""
    seconds = _queries(request).limits.seconds
    task, gone = asyncio.create_task(work), asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise errors.ServiceError("the caller has gone.") if gone.done() else too_slow(seconds)
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(queries: QueryService, asked: AskIn) -> AsyncIterator[str]:
    """Progress as it happens, then ``result`` or ``error``. Closed early, it drops the question."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[Progress | None]()
    seconds = queries.limits.seconds
    until = loop.time() + seconds

    def emit(event: Progress) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, event)

    task = asyncio.create_task(queries.ask(asked, emit))
    task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while True:
            left = until - loop.time()
            try:
                event = await asyncio.wait_for(queue.get(), min(left, HEARTBEAT))
            except TimeoutError:
                if left <= HEARTBEAT:
                    yield _sse("error", error_to_json(too_slow(seconds)))
                    return
                yield ": waiting\n\n"
                continue
            if event is None:
                yield _outcome(task)
                return
            yield _sse(event.event, event.data)
    finally:
        task.cancel()


def _outcome(task: asyncio.Task[dict[str, Any]]) -> str:
    failure = task.exception()
    if failure is None:
        return _sse("result", task.result())
    if isinstance(failure, LayoutLLMError):
        return _sse("error", error_to_json(failure))
    _log.error("a stream failed", exc_info=failure)
    return _sse("error", error_to_json(internal_error("'a stream failed'")))


def _sse(event: str, data: dict[str, Any]) -> str:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"


# -- errors ------------------------------------------------------------------------------------------------


def add_error_handlers(app: FastAPI) -> None:
    for kind in (LayoutLLMError, BodyUnreadable, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer_error)


async def _answer_error(request: Request, error: Exception) -> Response:
    status, known = _as_known(error, _BODIES.get(request.url.path, _BODIES["/v1/ask"]))
    headers = {"retry-after": str(_queries(request).pause)} if status == 503 else None
    return error_response(status, known, headers)


def _as_known(error: Exception, body: str) -> tuple[int, LayoutLLMError]:
    """HTTP's status and the error to tell. ``body``: what the path's body holds beside the document."""
    match error:
        case LayoutLLMError():
            return _status(error), error
        case BodyUnreadable():
            return error.status, errors.QuestionError(
                f"the request can't be read: {error.message}", hint=_BODY_HINT.format(body)
            )
        case RequestValidationError():
            return 422, errors.PageOutOfRange("pages have numbers.", hint="They count from 1.")
        case HTTPException():
            hint = _PATHS if error.status_code == 404 else ""
            return error.status_code, final_error(f"{error.detail}.", hint)
    raise error


def _status(error: LayoutLLMError) -> int:
    for kind, status in (
        (errors.DocumentNotFound, 404),
        (errors.DocumentTooLarge, 413),
        (errors.DocumentNotAllowed, 403),
    ):
        if isinstance(error, kind):
            return status
    default = 422 if error.caller_can_fix else 503 if error.retryable else 500
    return int(getattr(error, "status", default))
