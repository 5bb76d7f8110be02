"""Pure ASGI middleware: what is refused, cut short or written down before an app is asked. Standard library only.

Put together with ``FastAPI.add_middleware``, the outermost last: RequestLog, SecurityHeaders, HostCheck, TokenCheck, BodyLimit, TimeLimit.
A refusal is JSON as every error of the service is: ``{"kind", "message", "hint", "mendable", "retryable"}``. Slow *headers* never get
as far as an app: see ``protocol.py``. TLS is a proxy's business.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from layoutllm_tool.errors import DocumentTooLarge, LayoutLLMError, ServiceError
from layoutllm_tool.schemas import error_to_json as error_json

__all__ = ["error_json"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
API_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""For answers that no browser should show, keep or lend to another page."""
_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_log = logging.getLogger(__name__)


async def refuse(send: Send, status: int, error: LayoutLLMError, headers: Headers = ()) -> None:
    """The error as a whole response."""
    body = json.dumps(error_json(error)).encode()
    own = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> str:
    """A request header's first value, "" where there is none."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


class RequestLog:
    """A line for each request with an id that the caller may give (``X-Request-ID``) and always gets back; an error that nobody
    caught is logged with its traceback and answered without.

    Query strings, bodies and tokens are never logged.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = header(scope, b"x-request-id")
        name = given if _REQUEST_ID.fullmatch(given) else uuid4().hex[:16]
        begun, status, size = time.perf_counter(), 0, 0

        async def watched(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", []), (b"x-request-id", name.encode())]}
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            _log.exception("%s failed", name)
            if status:  # too late to say so: the connection is dropped, and the caller sees half an answer
                raise
            await refuse(watched, 500, internal(name))
        finally:
            took = (time.perf_counter() - begun) * 1000
            _log.info("%s %s %r %s %.0f ms %d bytes", name, scope["method"], scope["path"][:200], status, took, size)


def internal(request: str) -> ServiceError:
    """A mistake of the service's own, about which a caller learns no more than where to look."""
    return _final("the service failed inside.", f"Its log says why, under {request}.")


class SecurityHeaders:
    """Adds headers to every response that does not set them itself."""

    def __init__(self, app: App, headers: Mapping[str, str] = API_HEADERS) -> None:
        self.app = app
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", []))
                names = {name.lower() for name, _ in own}
                message = {**message, "headers": own + [one for one in self.headers if one[0] not in names]}
            await send(message)

        await self.app(scope, receive, dressed)


class HostCheck:
    """Refuses names that the server is not known under: a web page can make a browser call 127.0.0.1 by another name (DNS
    rebinding), and pages of other origins."""

    def __init__(self, app: App, hosts: Collection[str] = LOOPBACK) -> None:
        self.app, self.hosts = app, {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (host_of(scope) not in self.hosts or not same_origin(scope)):
            await refuse(send, 403, _final("this name is not one that the service is known under, or another page's.", "Use the address it was started with."))  # fmt: skip
            return
        await self.app(scope, receive, send)


class TokenCheck:
    """401 without ``Authorization: Bearer <token>``, compared in constant time; ``open_paths`` need none."""

    def __init__(self, app: App, token: str, open_paths: Collection[str] = ()) -> None:
        self.app, self.token, self.open_paths = app, token.encode(), frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self.open_paths:
            kind, _, given = header(scope, b"authorization").partition(" ")
            right = hmac.compare_digest(given.strip().encode("latin-1"), self.token)
            if kind.lower() != "bearer" or not right:
                error = _final("the token is missing or wrong.", "Send it as `Authorization: Bearer ...`.")
                await refuse(send, 401, error, [(b"www-authenticate", b"Bearer")])
                return
        await self.app(scope, receive, send)


def _final(message: str, hint: str) -> ServiceError:
    """A refusal that the same request will meet again."""
    error = ServiceError(message, hint=hint)
    error.retryable = False
    return error


def same_origin(scope: Scope) -> bool:
    """Whether the request is no browser's, or comes from a page of this very server."""
    origin = header(scope, b"origin").lower()
    return not origin or origin.partition("://")[2] == header(scope, b"host").lower()


def host_of(scope: Scope) -> str:
    """The Host header's name in lower case, without the port; "" where it is none."""
    try:
        return (urlsplit(f"//{header(scope, b'host')}").hostname or "").lower()
    except ValueError:
        return ""


class BodyLimit:
    """Reads the request's body, at most ``most`` bytes of it and for at most ``seconds``, before the app is asked.

    413 by the length that is announced, or as soon as more has come; 408 when it is late; 503 where the bodies of the requests that
    are under way would take more than ``together`` bytes. A caller that goes away is forgotten. The server closes the connection of
    whoever is refused (``protocol``).
    """

    def __init__(self, app: App, *, most: int, seconds: float = 60.0, together: int | None = None) -> None:
        self.app, self.most, self.seconds = app, most, seconds
        self.together = 4 * most if together is None else together
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        announced = header(scope, b"content-length")
        if announced.isdecimal() and int(announced[:20]) > self.most:
            await refuse(send, 413, self._too_large())
            return
        upload = _Upload(self)
        try:
            async with asyncio.timeout(self.seconds):
                whole = await upload.read(receive)
        except TimeoutError:
            late = ServiceError(f"the request's body took longer than {self.seconds:g} s.", hint="Send it faster, or less of it.")  # fmt: skip
            await refuse(send, 408, late)
        except DocumentTooLarge as error:
            await refuse(send, 413, error)
        except ServiceError as error:
            await refuse(send, 503, error, [(b"retry-after", b"1")])
        else:
            if whole:
                await self.app(scope, upload.replay(receive), send)
        finally:
            self._held -= upload.size

    def take(self, size: int, part: int) -> None:
        """Counts ``part`` more bytes of a body of ``size``. DocumentTooLarge, ServiceError."""
        if size + part > self.most:
            raise self._too_large()
        if self._held + part > self.together:
            raise ServiceError("too many uploads at once.", hint="Send it again in a moment.")
        self._held += part

    def _too_large(self) -> DocumentTooLarge:
        return DocumentTooLarge(f"the request is larger than {self.most:,} bytes.", hint="Send fewer pages at once.")


class _Upload:
    """A request's body, read once and given once."""

    def __init__(self, limit: BodyLimit) -> None:
        self.size = 0
        self._limit, self._body = limit, bytearray()

    async def read(self, receive: Receive) -> bool:
        """Whether it is whole: the caller may go away before."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            part = message.get("body", b"")
            self._limit.take(self.size, len(part))
            self.size += len(part)
            self._body += part
            if not message.get("more_body", False):
                return True

    def replay(self, receive: Receive) -> Receive:
        pending: list[Message] = [{"type": "http.request", "body": bytes(self._body), "more_body": False}]
        self._body = bytearray()

        async def given() -> Message:
            return pending.pop() if pending else await receive()

        return given


def _has_body(scope: Scope) -> bool:
    length = header(scope, b"content-length")
    return bool(header(scope, b"transfer-encoding")) or length not in ("", "0")


class TimeLimit:
    """504 where no answer has begun ``seconds`` after the request was read. What streams is bounded by whoever streams it."""

    def __init__(self, app: App, *, seconds: float) -> None:
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.seconds) as limit:

                async def begun(message: Message) -> None:
                    limit.reschedule(None)
                    await send(message)

                await self.app(scope, receive, begun)
        except TimeoutError:
            if not limit.expired():
                raise
            await refuse(send, 504, late(self.seconds))


def late(seconds: float) -> ServiceError:
    """The error for a request that took too long."""
    return ServiceError(f"the request took longer than {seconds:g} s.", hint="Ask again, or about fewer pages.")
