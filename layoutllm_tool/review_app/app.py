"""``create_app``: the review page of a batch, for one person on their own machine. The page is in static/.

Guards: a token of the run (first in the URL, then a cookie), the Host header (DNS rebinding), Origin on POST,
the body's size, and a policy that lets nothing be loaded from elsewhere.
TLS and several people at once are *not* here.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi import Path as PathValue
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from layoutllm_tool.batch.sources import ANYWHERE, Places
from layoutllm_tool.batch.store import Field, Store
from layoutllm_tool.errors import LayoutLLMError, ServiceError
from layoutllm_tool.messages import plain_line
from layoutllm_tool.protocols import Reader
from layoutllm_tool.review_app.pages import Pages
from layoutllm_tool.schemas import final_error
from layoutllm_tool.service.app import build_reader
from layoutllm_tool.service.security import BodyReader, Check, Guard, RequestLog, error_response, host_check
from layoutllm_tool.service.serving import LOOPBACK
from layoutllm_tool.strict_json import BodyUnreadable

if TYPE_CHECKING:
    from layoutllm_graphs.review import Approval, ReviewDecision

Offset = Annotated[int, Query(ge=0, le=10**9)]
PageNumber = Annotated[int, PathValue(ge=1, le=10**6)]
STATIC = Path(__file__).parent / "static"
MOST_BYTES = 64 * 1024
MOST_PLAN_BYTES = 512 * 1024
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_KEY = re.compile(r"[0-9a-z]{32}")
router = APIRouter()


def create_app(
    folder: Path,
    reader: Reader | Callable[[], Reader],
    *,
    token: str,
    hosts: Collection[str] = LOOPBACK,
    places: Places = ANYWHERE,
) -> FastAPI:
    """The app over a batch's folder; ``token`` opens it. ``reader`` is built when a page is first shown.

    A store may be anybody's: only documents in ``places`` are opened.
    StoreMismatch, when it starts, where the folder holds no batch.
    """
    building = threading.Lock()
    build = cache(lambda: build_reader(reader))

    def built() -> Reader:
        with building:
            return build()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        with Store.open(folder) as store:
            pages, bodies = Pages(store, built, places=places), BodyReader(MOST_BYTES)
            shared = {"store": store, "pages": pages, "bodies": bodies, "reader": built}
            shared["plans"] = BodyReader(MOST_PLAN_BYTES)
            yield shared | {"reviewing": threading.Lock(), "token": token}

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, checks=[host_check(hosts), page_token_check(token)])
    app.add_middleware(RequestLog, headers=_HEADERS)
    app.include_router(router)
    for kind in (LayoutLLMError, BodyUnreadable, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answer_error)
    return app


# -- guards ------------------------------------------------------------------------------------------------


def page_token_check(token: str) -> Check:
    """403 but for whoever has the run's token, in the URL or in the cookie that the first page sets.

    Only GET, HEAD and POST are known. A POST has to name its origin: ``host_check`` refuses other origins,
    but not a request that names none.
    """
    cookie = cookie_name(token)

    def check(request: Request) -> JSONResponse | None:
        if request.method not in ("GET", "HEAD", "POST"):
            return error_response(405, ServiceError("only GET and POST are known here."))
        if request.method == "POST" and "origin" not in request.headers:
            return error_response(403, ServiceError("only the page itself may send reviews."))
        query = parse_qs(request.scope.get("query_string", b"").decode("latin-1"))
        given = (query.get("token") or [_cookie(request.headers.get("cookie", ""), cookie)])[0]
        if hmac.compare_digest(given.encode(), token.encode()):
            return None
        hint = "Open the address that `layoutllm view` printed."
        return error_response(403, ServiceError("the token is missing.", hint=hint))

    return check


def cookie_name(token: str) -> str:
    """Another one for every run: browsers send a host's cookies to all of its ports."""
    return f"layoutllm-{hashlib.sha256(token.encode()).hexdigest()[:16]}"


def _cookie(cookies: str, name: str) -> str:
    """Not by ``http.cookies``, which refuses all for one odd name: other programs set cookies too."""
    pairs = (part.strip().partition("=") for part in cookies.split(";"))
    return next((value for found, _, value in pairs if found == name), "")


async def _answer_error(request: Request, error: Exception) -> Response:
    match error:
        case LayoutLLMError():
            return error_response(getattr(error, "status", 400 if error.caller_can_fix else 409), error)
        case BodyUnreadable():
            return error_response(422, final_error(error.message))
        case HTTPException():
            return error_response(error.status_code, final_error(f"{error.detail}."))
        case RequestValidationError():
            faults = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
            return error_response(422, final_error(plain_line(faults)[:500]))
    raise error


# -- the page ----------------------------------------------------------------------------------------------


@router.get("/")
def index(request: Request) -> Response:
    page = FileResponse(STATIC / "index.html", headers={"cache-control": "no-store"})
    token = request.state.token
    page.set_cookie(cookie_name(token), token, httponly=True, samesite="strict")
    return page


@router.get("/static/{name}")
def static(name: str) -> Response:
    if name not in ("app.js", "style.css"):
        raise HTTPException(404, "There is no such file")
    return FileResponse(STATIC / name, headers={"cache-control": "no-cache"})


@router.get("/api/fields")
def fields(
    request: Request,
    verdict: str = "",
    waiting: bool | None = None,
    least: float = 0.0,
    most: float = 1.0,
    text: str = Query("", max_length=200),
    offset: Offset = 0,
    limit: int = Query(200, ge=1, le=1000),
) -> dict[str, Any]:
    store: Store = request.state.store
    total, found = store.find(
        verdict=verdict, pending_review=waiting, least=least, most=most, text=text, offset=offset, limit=limit
    )
    names = {key: source.name for key in {field.key for field in found} if (source := store.input_of(key))}
    shown = [_row(field, names[field.key]) for field in found if field.key in names]
    return {"total": total, "verdicts": store.verdicts(), "fields": shown}


@router.get("/api/documents")
def documents(
    request: Request, offset: Offset = 0, limit: int = Query(100, ge=1, le=500), status: str = ""
) -> dict[str, Any]:
    store: Store = request.state.store
    rows = [(source, store.document(source.key)) for source in store.inputs()]
    kept = [(s, d) for s, d in rows if not status or (d and d.status == status)]
    shown = [
        {
            "key": source.key,
            "name": source.name,
            "page": source.page,
            "status": done.status if done else "left",
            "error": done.error if done else None,
        }
        for source, done in kept[offset : offset + limit]
    ]
    return {"total": len(kept), "statuses": store.statuses(), "documents": shown}


@router.get("/api/documents/{key}/fields/{name}")
def one(request: Request, key: str, name: str) -> Response:
    from layoutllm_graphs.batch.review import attempts

    store: Store = request.state.store
    field = store.field(key, name) if _KEY.fullmatch(key) else None
    source = store.input_of(key) if field else None
    if field is None or source is None:
        raise HTTPException(404, "There is no such field")
    with request.state.reviewing:
        tried = attempts(request.state.store, key, name)
    answer, done, asked = field.answer, store.document(key), source.page or 1
    # One page alone may have been read.
    pages = max(done.pages or 1 if done else 1, asked, answer["page"] or 1)
    more = {"cot": answer["cot"], "reasons": answer["reasons"], "error": answer["error"], "attempts": tried}
    return JSONResponse(_row(field, source.name) | more | {"pages": pages, "asked": asked})


@router.get("/api/documents/{key}/pages/{number}.webp")
def picture(request: Request, key: str, number: PageNumber) -> Response:
    data = request.state.pages.picture(key, number)
    return Response(data, media_type="image/webp", headers={"cache-control": "private, max-age=3600"})


@router.get("/api/documents/{key}/pages/{number}")
def lines(request: Request, key: str, number: PageNumber) -> Any:
    return request.state.pages.lines(key, number)


@router.post("/api/documents/{key}/fields/{name}")
async def review(key: str, name: str, request: Request) -> Response:
    from layoutllm_graphs.review import ReviewDecision

    decision = await request.state.bodies.read_json(request, ReviewDecision)
    return await run_in_threadpool(_apply, request, key, name, decision)


def _apply(request: Request, key: str, name: str, decision: ReviewDecision) -> Response:
    from layoutllm_graphs.batch.review import review_field

    state = request.state
    with state.reviewing:
        after = review_field(
            state.store,
            key,
            name,
            decision,
            reader=state.reader(),
            opened=lambda _: state.pages.document(key),
        )
        source = state.store.input_of(key)
    return JSONResponse({"fields": [_row(field, source.name) for field in after]})


@router.get("/api/documents/{key}/plan")
def plan(request: Request, key: str) -> dict[str, Any]:
    """The document's plan, and the names that its parts may have."""
    from layoutllm_graphs.planning.plan import CONSTRAINTS
    from layoutllm_tool.cot import EXPECTED_TYPES

    store: Store = request.state.store
    if not _KEY.fullmatch(key) or store.document(key) is None:
        raise HTTPException(404, "There is no such document")
    return {"plan": store.plan(key), "types": EXPECTED_TYPES, "constraints": CONSTRAINTS}


@router.post("/api/documents/{key}/plan")
async def replan(key: str, request: Request) -> Response:
    from layoutllm_graphs.review import Approval

    approval = await request.state.plans.read_json(request, Approval)
    return await run_in_threadpool(_replan, request, key, approval)


def _replan(request: Request, key: str, approval: Approval) -> Response:
    """Carry out the plan; without one, the document's own, which changes nothing."""
    from layoutllm_graphs.batch.review import change_plan
    from layoutllm_graphs.planning.plan import Plan

    state = request.state
    with state.reviewing:
        plan = approval.plan or Plan.model_validate(state.store.plan(key))
        shown = plan.model_dump(mode="json")
        after = change_plan(
            state.store, key, plan, reader=state.reader(), opened=lambda _: state.pages.document(key, shown)
        )
        source = state.store.input_of(key)
    return JSONResponse({"fields": [_row(field, source.name) for field in after]})


def _row(field: Field, document: str) -> dict[str, Any]:
    """A field as the list shows it."""
    answer = field.answer
    kept = ("question", "answer", "page", "box", "confidence", "verdict", "by")
    shown = {"key": field.key, "name": field.name, "document": document, "waiting": field.pending_review}
    return shown | {name: answer[name] for name in kept}
