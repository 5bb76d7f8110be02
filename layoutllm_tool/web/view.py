"""``create_app``: the review page of a batch, for one person on their own machine. The page itself is in static/.

Guards: a token of the run (first in the URL, then a cookie), the Host header (DNS rebinding), Origin on POST, the body's size, and a
policy that lets nothing be loaded from elsewhere. TLS and several people at once are *not* here.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qs

from layoutllm_tool.batch.sources import ANYWHERE, Places
from layoutllm_tool.batch.store import Field, Store
from layoutllm_tool.errors import LayoutLLMError, ServiceError
from layoutllm_tool.messages import plain_line
from layoutllm_tool.protocols import Reader
from layoutllm_tool.strict_json import BodyUnreadable
from layoutllm_tool.web.json_body import JSONReader, json_of
from layoutllm_tool.web.middleware import (
    LOOPBACK,
    App,
    BodyLimit,
    HostCheck,
    Receive,
    RequestLog,
    Scope,
    SecurityHeaders,
    Send,
    header,
    refuse,
)
from layoutllm_tool.web.pages import Pages

if TYPE_CHECKING:
    from graphs.review import ReviewDecision

try:
    from fastapi import FastAPI, Query, Request
    from fastapi import Path as PathValue
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import FileResponse, JSONResponse, Response
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
except ImportError as error:
    raise LayoutLLMError(
        "the review page needs a few packages more.", hint="pip install 'layoutllm-tool[web]'"
    ) from error

Offset = Annotated[int, Query(ge=0, le=10**9)]
PageNumber = Annotated[int, PathValue(ge=1, le=10**6)]
STATIC = Path(__file__).parent / "static"
MOST_BYTES = 64 * 1024
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin", "cross-origin-opener-policy": "same-origin",
}  # fmt: skip


class PageToken:
    """403 but for whoever has the run's token, in the URL or in the cookie that the first page sets. Only GET, HEAD and POST; and a POST
    says which page it comes from (``HostCheck`` refuses other origins, but not a request that names none)."""

    def __init__(self, app: App, token: str) -> None:
        self.app, self.token, self.cookie = app, token, cookie_name(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            await refuse(send, *refusal)
            return
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, ServiceError] | None:
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, ServiceError("only GET and POST are known here.")
        if scope["method"] == "POST" and not header(scope, b"origin"):
            return 403, ServiceError("only the page itself may send reviews.")
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = (query.get("token") or [_cookie(header(scope, b"cookie"), self.cookie)])[0]
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return 403, ServiceError("the token is missing.", hint="Open the address that `layoutllm view` printed.")
        return None


def cookie_name(token: str) -> str:
    """Another one for every run: browsers send a host's cookies to all of its ports, and two runs must not overwrite each other's."""
    return f"layoutllm-{hashlib.sha256(token.encode()).hexdigest()[:16]}"


def _cookie(cookies: str, name: str) -> str:
    """Not by ``http.cookies``, which refuses all for one odd name: cookies of a host are shared by whatever runs on its ports."""
    pairs = (part.strip().partition("=") for part in cookies.split(";"))
    return next((value for found, _, value in pairs if found == name), "")


def create_app(  # noqa: C901  the routes close over one run's state
    folder: Path, reader: Reader | Callable[[], Reader] | None = None, *, token: str | None = None,
    hosts: Collection[str] = LOOPBACK, places: Places = ANYWHERE,
) -> FastAPI:  # fmt: skip
    """The app over a batch's folder; ``app.state.token`` opens it. What builds the reader is called once, when a page is first shown.

    A store may be anybody's: only documents in ``places`` are opened. StoreMismatch, when it starts, where the folder holds no batch.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Store.open(folder) as store:
            app.state.store = store
            app.state.pages, app.state.json = Pages(store, built, places=places), JSONReader()
            yield

    made: list[Reader] = []
    building, reviewing = threading.Lock(), threading.Lock()

    def built() -> Reader:
        with building:
            if not made:
                made.append(_reader(reader))
            return made[0]

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.token = token or secrets.token_urlsafe(24)
    app.add_middleware(BodyLimit, most=MOST_BYTES)
    app.add_middleware(PageToken, token=app.state.token)
    app.add_middleware(HostCheck, hosts=hosts)
    app.add_middleware(SecurityHeaders, headers=_HEADERS)
    app.add_middleware(RequestLog)

    @app.exception_handler(LayoutLLMError)
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, LayoutLLMError)
        return JSONResponse({"message": error.message, "hint": error.hint}, status_code=400 if error.mendable else 409)

    @app.exception_handler(BodyUnreadable)
    async def unreadable(_: Request, error: Exception) -> Response:
        assert isinstance(error, BodyUnreadable)
        return _error(422, error.message)

    @app.exception_handler(HTTPException)
    async def no_such(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _error(error.status_code, f"{error.detail}.")

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        told = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
        return _error(422, plain_line(told)[:500])

    @app.get("/")
    def index(request: Request) -> Response:
        page = FileResponse(STATIC / "index.html", headers={"cache-control": "no-store"})
        token = request.app.state.token
        page.set_cookie(cookie_name(token), token, httponly=True, samesite="strict")
        return page

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in ("app.js", "style.css"):
            return _error(404, "There is no such file.")
        return FileResponse(STATIC / name, headers={"cache-control": "no-cache"})

    @app.get("/api/fields")
    def fields(
        verdict: str = "", waiting: bool | None = None, least: float = 0.0, most: float = 1.0,
        text: str = Query("", max_length=200), offset: Offset = 0, limit: int = Query(200, ge=1, le=1000),
    ) -> dict[str, Any]:  # fmt: skip
        store: Store = app.state.store
        total, found = store.find(
            verdict=verdict, pending_review=waiting, least=least, most=most, text=text, offset=offset, limit=limit
        )
        names = {key: source.name for key in {field.key for field in found} if (source := store.input_of(key))}
        shown = [row(field, names[field.key]) for field in found if field.key in names]
        return {"total": total, "verdicts": store.verdicts(), "fields": shown}

    @app.get("/api/documents")
    def documents(offset: Offset = 0, limit: int = Query(100, ge=1, le=500), status: str = "") -> Any:
        store: Store = app.state.store
        rows = [(source, store.document(source.key)) for source in store.inputs()]
        kept = [(s, d) for s, d in rows if not status or (d and d.status == status)]
        shown = [
            {"key": s.key, "name": s.name, "page": s.page, "status": d.status if d else "left", "error": d.error if d else None}
            for s, d in kept[offset : offset + limit]
        ]  # fmt: skip
        return {"total": len(kept), "statuses": store.statuses(), "documents": shown}

    @app.get("/api/documents/{key}/fields/{name}")
    def one(key: str, name: str) -> Response:
        from graphs.batch.review import attempts

        field = app.state.store.field(key, name) if _KEY.fullmatch(key) else None
        source = app.state.store.input_of(key) if field else None
        if field is None or source is None:
            return _error(404, "There is no such field.")
        whole = row(field, source.name) | {"cot": field.answer["cot"], "reasons": field.answer["reasons"]}
        with reviewing:
            tried = attempts(app.state.store, key, name)
        done, asked = app.state.store.document(key), source.page or 1
        pages = max(
            done.pages or 1 if done else 1, asked, field.answer["page"] or 1
        )  # of which one alone may have been read
        told = {"error": field.answer["error"], "attempts": tried, "pages": pages, "asked": asked}
        return JSONResponse(whole | told)

    @app.get("/api/documents/{key}/pages/{number}.webp")
    def picture(key: str, number: PageNumber) -> Response:
        data = app.state.pages.picture(key, number)
        return Response(data, media_type="image/webp", headers={"cache-control": "private, max-age=3600"})

    @app.get("/api/documents/{key}/pages/{number}")
    def lines(key: str, number: PageNumber) -> Any:
        return app.state.pages.lines(key, number)

    @app.post("/api/documents/{key}/fields/{name}")
    async def review(key: str, name: str, request: Request) -> Response:
        from graphs.review import ReviewDecision

        word = await app.state.json.read(ReviewDecision, await json_of(request))
        return await run_in_threadpool(carried_out, key, name, word)

    def carried_out(key: str, name: str, word: ReviewDecision) -> Response:
        from graphs.batch.review import review_field

        pages: Pages = app.state.pages
        with reviewing:
            store = app.state.store
            after = review_field(store, key, name, word, reader=built(), opened=lambda _: pages.document(key))
            source = store.input_of(key)
        return JSONResponse({"fields": [row(field, source.name) for field in after]})

    return app


_KEY = re.compile(r"[0-9a-z]{32}")


def row(field: Field, document: str) -> dict[str, Any]:
    """A field as the list shows it."""
    answer = field.answer
    kept = ("question", "answer", "page", "box", "confidence", "verdict", "by")
    return {"key": field.key, "name": field.name, "document": document, "waiting": field.pending_review} | {
        name: answer[name] for name in kept
    }


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"message": message, "hint": ""}, status_code=status)


def _reader(given: Reader | Callable[[], Reader] | None) -> Reader:
    if given is None:
        from layoutllm_tool.readers.local import default_reader

        return default_reader()
    # A class of readers has all their methods too.
    return given if isinstance(given, Reader) and not isinstance(given, type) else given()
