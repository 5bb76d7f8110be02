"""uvicorn's HTTP/1.1 with limits that it lacks: headers' time and size, early answers, idle connections.

Every answer that is given before its request has been read whole closes the connection: ``BoundedTransport``
then bounds what still comes. The size of bodies is bounded by ``security.BodyReader``.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from layoutllm_tool.errors import ServiceError
from layoutllm_tool.schemas import error_to_json
from layoutllm_tool.service.transport import BoundedTransport

HEADER_SECONDS = 10.0
MOST_HEADER_BYTES = 64 * 1024
MOST_HEADERS = 128
MOST_CONNECTIONS = 1024
MOST_PIPELINED = 16
_PIECE = 16 * 1024
"""Bytes that are parsed between two looks at the bounds."""
_BODY_CREDIT = 9
"""Bytes of chunk sizes, extensions and trailers that are allowed for a byte of a body, itself included:
chunks of one byte take 6."""

_LATE = ("408 Request Timeout", "the request took too long to come.", True)
_LONG = ("431 Request Header Fields Too Large", "the request's headers are too long, or too many.", False)
_MALFORMED = ("400 Bad Request", "this is no HTTP/1.1 request.", False)
_UPGRADE = ("400 Bad Request", "the service speaks HTTP/1.1, and changes to nothing else.", False)
_MANY = ("429 Too Many Requests", "too many requests at once on one connection.", True)
_FULL = ("503 Service Unavailable", "too many connections.", True)
_Refusal = tuple[str, str, bool]


class _Refused(Exception):
    """Ends parsing; ``_refusal`` says why."""


class BoundedProtocol(HttpToolsProtocol):
    """Refuses connections that say nothing and headers that drip (408), are too long or too many (431).

    uvicorn's ``timeout_keep_alive`` bounds the time between two requests.
    A new connection takes the place of an idle one where there are too many.
    """

    seconds = HEADER_SECONDS
    most_connections = MOST_CONNECTIONS
    transport_class = BoundedTransport

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._header_room = MOST_HEADER_BYTES
        self._under_way = 0
        """Requests whose headers have come."""
        self._first_bytes = 0
        """Bytes of the piece being parsed, where a request begins with it."""
        self._between_requests, self._headers_done = True, False
        self._keep_alive = False
        self._refusal: _Refusal | None = None

    # -- connection ----------------------------------------------------------------------------------------

    # as uvicorn does
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        bounded: Any = self.transport_class(transport, self.loop, self._request_done)
        super().connection_made(bounded)
        self._start_timer()
        if len(self.connections) > self.most_connections and not self._replace_idle():
            self._refuse(_FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._bounded.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._bounded.watch()

    def shutdown(self) -> None:
        self._keep_alive = False
        super().shutdown()

    @property
    def idle(self) -> bool:
        """Whether no request of this connection is under way."""
        return self._under_way == 0

    @property
    def _bounded(self) -> BoundedTransport:
        assert isinstance(self.transport, BoundedTransport)
        return self.transport

    def _request_done(self) -> bool:
        return self._refusal is None and (self.cycle is None or not self.cycle.more_body)

    def _replace_idle(self) -> bool:
        others = (one for one in self.connections if isinstance(one, BoundedProtocol) and one is not self)
        idle = next((one for one in others if one.idle), None)
        if idle is not None:
            self.connections.discard(idle)
            idle._bounded.abort()
        return idle is not None

    # -- requests ------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            if self._refusal is not None or self.transport.is_closing():
                self._bounded.discard(rest)
                return
            piece = rest[: max(1, min(_PIECE, self._header_room))]
            rest = rest[len(piece) :]
            self._header_room -= len(piece)
            self._first_bytes = len(piece) if self._between_requests else 0
            super().data_received(piece)  # type: ignore[arg-type]  # httptools takes any buffer
            if self._header_room < 0 and self._refusal is None:
                self._refuse(_LONG)
        if self.idle and self._timer is None and self._refusal is None and not self.transport.is_closing():
            self._start_timer()  # blank lines are no request

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_room, self._first_bytes = MOST_HEADER_BYTES - self._first_bytes, 0
        self._between_requests = self._headers_done = False
        self._start_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._headers_done:
            return  # a trailer: the request's headers are being looked at by now
        if len(self.headers) >= MOST_HEADERS:
            self._reject(_LONG)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._header_room < 0 or self._header_bytes() > MOST_HEADER_BYTES:
            self._reject(_LONG)
        if self.parser.should_upgrade():
            self._reject(_UPGRADE)
        if self._under_way > MOST_PIPELINED:
            self._reject(_MANY)
        super().on_headers_complete()
        self._stop_timer()
        self._under_way += 1
        self._header_room, self._headers_done = MOST_HEADER_BYTES, True
        # Until the request is whole, an answer is an early one, and closes the connection.
        self._keep_alive, self.cycle.keep_alive = self.cycle.keep_alive, False

    def on_body(self, body: bytes) -> None:
        self._header_room = min(MOST_HEADER_BYTES, self._header_room + _BODY_CREDIT * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._between_requests = True
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._keep_alive
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._under_way -= 1
        super().on_response_complete()
        if self._refusal is not None and self.idle:
            self._write_refusal()

    def _header_bytes(self) -> int:
        """As they are written without needless blanks: pieces may begin with the end of another request."""
        line = len(self.parser.get_method()) + len(self.url) + len("  HTTP/1.1\r\n\r\n")
        return line + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    # -- refusals ------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refusal or _MALFORMED)

    def _reject(self, why: _Refusal) -> None:
        self._refusal = why
        raise _Refused

    def _refuse(self, why: _Refusal) -> None:
        """At once, or after the answers to the requests before it."""
        self._stop_timer()
        self._refusal = why
        if self._headers_done and self.cycle.more_body:  # its own request will never be whole
            self._abandon()
        if self.idle:
            self._write_refusal()

    def _abandon(self) -> None:
        self._under_way -= 1
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()
        if self.cycle.response_started:
            self.transport.close()

    def _write_refusal(self) -> None:
        assert self._refusal is not None
        status, message, retryable = self._refusal
        error = ServiceError(message)
        error.retryable = retryable
        body = json.dumps(error_to_json(error)).encode()
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()

    # -- time ----------------------------------------------------------------------------------------------

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self.seconds, self._refuse, _LATE)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
