"""What is refused, cut short or logged around an app. Headers that drip are refused in ``protocol``.

A refusal is JSON, as every error of the service: see ``schemas.error_to_json``. TLS is a proxy's business.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layoutllm_tool.errors import DocumentTooLarge, LayoutLLMError, ServiceError
from layoutllm_tool.schemas import error_to_json, final_error
from layoutllm_tool.service.serving import LOOPBACK
from layoutllm_tool.strict_json import BodyUnreadable, read_json

API_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""For answers that no browser should show, keep or lend to another page."""
_LARGE = 1 << 20
"""Bytes of a body beyond which one is parsed at a time."""
_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_log = logging.getLogger(__name__)
_Model = TypeVar("_Model", bound=BaseModel)
Check = Callable[[Request], JSONResponse | None]


class RequestRefused(ServiceError):
    """``status`` is HTTP's."""

    def __init__(self, status: int, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class BodyTooLarge(DocumentTooLarge):
    """A request's body is over the limit."""

    status = 413


def too_slow(seconds: float) -> RequestRefused:
    """The error for a request whose answer took too long."""
    return RequestRefused(
        504, f"the request took longer than {seconds:g} s.", "Ask again, or about fewer pages."
    )


def internal_error(request: str) -> ServiceError:
    """A mistake of the service's own. Callers learn only where to look."""
    return final_error("the service failed inside.", f"Its log says why, under {request}.")


def error_response(
    status: int, error: LayoutLLMError, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(error_to_json(error), status, headers)


class RequestLog:
    """Logs a line for each request and adds ``headers`` to responses that do not set them.

    A caller may give a request its id (``X-Request-ID``) and always gets it back.
    An exception that nobody caught is logged with its traceback and answered without.
    Query strings, bodies and tokens are never logged.
    """

    def __init__(self, app: ASGIApp, headers: Mapping[str, str] = API_HEADERS) -> None:
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Request(scope).headers.get("x-request-id", "")
        name = given if _REQUEST_ID.fullmatch(given) else uuid4().hex[:16]
        begun, status, size = time.perf_counter(), 0, 0

        async def send_logged(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = name
                for key, value in self.headers.items():
                    headers.setdefault(key, value)
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, send_logged)
        except Exception:
            _log.exception("%s failed", name)
            if status:  # too late to say so: the connection is dropped, and the caller sees half an answer
                raise
            await error_response(500, internal_error(name))(scope, receive, send_logged)
        finally:
            took = (time.perf_counter() - begun) * 1000
            what = scope["method"], scope["path"][:200]
            _log.info("%s %s %r %s %.0f ms %d bytes", name, *what, status, took, size)


class Guard:
    """Asks each check about a request before its body is read. The first response given is the answer."""

    def __init__(self, app: ASGIApp, checks: Sequence[Check]) -> None:
        self.app, self.checks = app, checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            for check in self.checks:
                if (refusal := check(request)) is not None:
                    await refusal(scope, receive, send)
                    return
        await self.app(scope, receive, send)


def host_check(hosts: Collection[str] = LOOPBACK) -> Check:
    """403 for other names of the server (DNS rebinding) and for requests from pages of other origins.

    Not Starlette's TrustedHostMiddleware, which lets other origins pass and answers in plain text.
    """
    known = {host.lower() for host in hosts}

    def check(request: Request) -> JSONResponse | None:
        if _host(request) in known and _same_origin(request):
            return None
        message = "this name is not one that the service is known under, or another page's."
        return error_response(403, final_error(message, "Use the address it was started with."))

    return check


def _host(request: Request) -> str:
    """The Host header's name in lower case, without the port; "" where it is none."""
    try:
        return (urlsplit(f"//{request.headers.get('host', '')}").hostname or "").lower()
    except ValueError:
        return ""


def _same_origin(request: Request) -> bool:
    """Whether the request is no browser's, or comes from a page of this server."""
    origin = request.headers.get("origin", "").lower()
    return not origin or origin.partition("://")[2] == request.headers.get("host", "").lower()


def token_check(token: str, open_paths: Collection[str] = ()) -> Check:
    """401 without ``Authorization: Bearer <token>``, compared in constant time; ``open_paths`` need none."""

    def check(request: Request) -> JSONResponse | None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("latin-1"), token.encode())
        if request.scope["path"] in open_paths or (kind.lower() == "bearer" and right):
            return None
        error = final_error("the token is missing or wrong.", "Send it as `Authorization: Bearer ...`.")
        return error_response(401, error, {"www-authenticate": "Bearer"})

    return check


class BodyReader:
    """Reads requests' bodies: at most ``most`` bytes of each, for at most ``seconds``.

    The bodies of all requests under way take at most ``together`` bytes. For one event loop.
    """

    def __init__(self, most: int, seconds: float = 60.0) -> None:
        self.most, self.seconds, self.together = most, seconds, 4 * most
        self._held = 0
        self._large = asyncio.Lock()

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body, counted as held until the context ends. BodyTooLarge, RequestRefused, ServiceError."""
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > self.most:
            raise self._too_large()
        body, size = bytearray(), 0
        try:
            async with self._in_time():
                async for part in request.stream():
                    self._hold(size, len(part))
                    size += len(part)
                    body += part
            whole = bytes(body)
            body.clear()
            yield whole
        finally:
            self._held -= size

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.seconds):
                yield
        except TimeoutError:
            message = f"the request's body took longer than {self.seconds:g} s."
            raise RequestRefused(408, message, "Send it faster, or less of it.") from None
        except ClientDisconnect:
            raise ServiceError("the caller has gone.") from None

    async def read_json(self, request: Request, model: type[_Model]) -> _Model:
        """Parse off the event loop, one large body at a time. BodyUnreadable where it is not JSON."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":  # a form of another page can't say so
            raise BodyUnreadable("its content type is not application/json.", 422)
        async with self.read(request) as body:
            if len(body) <= _LARGE:
                return await asyncio.to_thread(read_json, model, body)
            async with self._large:
                return await asyncio.to_thread(read_json, model, body)

    def _hold(self, size: int, part: int) -> None:
        """Count ``part`` more bytes of a body of ``size``."""
        if size + part > self.most:
            raise self._too_large()
        if self._held + part > self.together:
            raise RequestRefused(503, "too many uploads at once.", "Send it again in a moment.")
        self._held += part

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"the request is larger than {self.most:,} bytes.", hint="Send fewer pages at once."
        )
