"""uvicorn's HTTP/1.1 with limits that it lacks: how long a request's headers may take to come, and how large they may be."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
MOST_HEADER_BYTES = 64 * 1024
_LATE = b'{"kind": "ServiceError", "message": "the request took too long to come.", "hint": "", "mendable": false, "retryable": true}'
_LONG = b'{"kind": "ServiceError", "message": "the request\'s headers are too long.", "hint": "", "mendable": true, "retryable": false}'


class BoundedProtocol(HttpToolsProtocol):
    """408 and a closed connection where a new connection says nothing, or a request's headers drip; 431 where they don't end.

    Between two requests of one connection uvicorn's own ``timeout_keep_alive`` holds.
    """

    seconds = HEADER_SECONDS
    _waiting: asyncio.TimerHandle | None = None
    _taken = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        under_way = self._waiting is not None
        super().data_received(data)
        if under_way and self._waiting is not None:  # all of it was headers, and they go on
            self._taken += len(data)
            if self._taken > MOST_HEADER_BYTES:
                self._refuse(b"431 Request Header Fields Too Large", _LONG)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        self._no_longer()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._no_longer()
        self._taken = 0
        self._waiting = self.loop.call_later(self.seconds, self._refuse, b"408 Request Timeout", _LATE)

    def _no_longer(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _refuse(self, status: bytes, body: bytes) -> None:
        self._no_longer()
        if self.transport.is_closing():
            return
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
            + str(len(body)).encode() + b"\r\n\r\n" + body
        )  # fmt: skip
        self.transport.close()


def settings() -> dict[str, Any]:
    """For ``uvicorn.Config``: this protocol, httptools, and uvloop where there is one."""
    from importlib.util import find_spec

    return {
        "http": BoundedProtocol,
        "loop": "uvloop" if find_spec("uvloop") else "asyncio",
        "ws": "none",
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "limit_concurrency": 1024,
        "timeout_keep_alive": 30,
        "timeout_graceful_shutdown": 10,
    }
