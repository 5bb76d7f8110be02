"""``create_service``: a reader behind HTTP. Callers who ask at the same time are decoded together.

    POST /v1/documents        a file's bytes, or pages (schemas.Pages)   -> {"id", "pages"}
    GET  /v1/documents/{id}   words and sizes of its pages
    GET  /v1/documents/{id}/pages/{number}.png   the page's picture as it was read
    POST /v1/ask              schemas.AskIn   -> {"cot", "document"}; as SSE where Accept asks for it
    POST /v1/extract          schemas.ExtractIn   -> {"record", "fields", "notes"}
    GET  /healthz, /readyz    whether it runs; whether it can take a question now

Errors are JSON: ``{"kind", "message", "hint", "caller_can_fix", "retryable"}``.
Neither paths nor URLs are taken from callers. TLS, accounts and quotas are *not* here: put a proxy in front.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, cast

from fastapi import FastAPI

from layoutllm_tool.protocols import Reader
from layoutllm_tool.service.handlers import add_error_handlers, extraction, router
from layoutllm_tool.service.queries import Extractor, QueryService, ServiceLimits
from layoutllm_tool.service.security import BodyReader, Guard, RequestLog, host_check, token_check
from layoutllm_tool.service.serving import LOOPBACK


def create_service(
    reader: Reader | Callable[[], Reader],
    *,
    limits: ServiceLimits | None = None,
    token: str | None = None,
    hosts: Collection[str] | None = LOOPBACK,
    extract: Extractor | None = None,
) -> FastAPI:
    """The app. A reader that is built here is asked a first question, so that no caller waits for weights.

    Until that is answered /readyz says 503. A reader that is built here is closed at the end.
    ``token`` is asked of every caller but for the two health checks. ``hosts`` None takes every Host header.
    ``extract`` answers /v1/extract; without it there is no such path.
    """
    limits = limits or ServiceLimits()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        built = await asyncio.to_thread(build_reader, reader)
        queries = QueryService(built, limits, extract)
        queries.loading = own = built is not reader
        loading = asyncio.create_task(queries.load()) if own else None
        yield {"queries": queries, "bodies": BodyReader(limits.body_bytes, limits.upload_seconds)}
        if loading is not None:
            loading.cancel()
        queries.close()
        if own and hasattr(built, "close"):
            await asyncio.to_thread(built.close)

    app = FastAPI(title="layoutllm", lifespan=lifespan, docs_url=None, redoc_url=None)
    checks = [host_check(hosts)] if hosts is not None else []
    if token:
        checks.append(token_check(token, open_paths=("/healthz", "/readyz")))
    app.add_middleware(Guard, checks=checks)
    app.add_middleware(RequestLog)
    app.include_router(router)
    if extract is not None:
        app.include_router(extraction)
    add_error_handlers(app)
    return app


def build_reader(given: Reader | Callable[[], Reader]) -> Reader:
    """The reader, or what the function builds. A class of readers has all their methods too."""
    if isinstance(given, Reader) and not isinstance(given, type):
        return given
    return cast(Callable[[], Reader], given)()
