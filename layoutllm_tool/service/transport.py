"""Cut off a client that sends on after the answer, or does not take it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

DISCARD_BYTES = 16 * 2**20
DISCARD_SECONDS = 3.0
"""Bounds of what is discarded after an early answer. Else a client that still sends may lose the answer."""
STALL_SECONDS = 30.0
STALL_BYTES = 64 * 1024
"""A client that takes less of its answer in that time is cut off."""
SEND_BUFFER = 256 * 1024
"""Bytes of an answer in the system's buffer; bounded, so that what a client takes can be measured."""


class BoundedTransport:
    """Wraps a TCP transport. ``whole()`` says whether the client has nothing more to send."""

    discard_bytes, discard_seconds, stall_seconds = DISCARD_BYTES, DISCARD_SECONDS, STALL_SECONDS

    def __init__(
        self, wrapped: asyncio.Transport, loop: asyncio.AbstractEventLoop, whole: Callable[[], bool]
    ) -> None:
        self._wrapped, self._loop, self._whole = wrapped, loop, whole
        self._stall: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._left = self.discard_bytes
        self.closing = False
        if (connection := wrapped.get_extra_info("socket")) is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def close(self) -> None:
        """Sends what is written. Then closes, or first discards what still comes."""
        if self.is_closing():
            return
        self.closing = True
        self.watch()
        if self._whole():
            self._wrapped.close()
            return
        try:
            self._wrapped.resume_reading()
            self._wrapped.write_eof()
        except (OSError, RuntimeError, NotImplementedError):
            self.abort()
        else:
            self._linger = self._loop.call_later(self.discard_seconds, self._end)

    def discard(self, data: bytes | memoryview) -> None:
        """Takes what came after ``close``."""
        self._left -= len(data)
        if self._left < 0:
            self.abort()

    def watch(self) -> None:
        """From now on the client has to take what is written."""
        if self._stall is None:
            before = self._wrapped.get_write_buffer_size()
            self._stall = self._loop.call_later(self.stall_seconds, self._check, before)

    def _check(self, before: int) -> None:
        self._stall = None
        waiting = self._wrapped.get_write_buffer_size()
        if waiting and before - waiting < STALL_BYTES:
            self.abort()
        elif waiting:
            self.watch()

    def _end(self) -> None:
        """An answer that is still being taken is not cut: ``watch`` bounds it."""
        if self._wrapped.get_write_buffer_size():
            self._linger = self._loop.call_later(self.discard_seconds, self._end)
        else:
            self.abort()

    def stop(self) -> None:
        """The connection is lost."""
        for timer in (self._stall, self._linger):
            if timer is not None:
                timer.cancel()
        self._stall = self._linger = None

    def write(self, data: Any) -> None:
        if not self.is_closing():
            self._wrapped.write(data)

    def abort(self) -> None:
        self.closing = True
        self._wrapped.abort()

    def is_closing(self) -> bool:
        return self.closing or self._wrapped.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)
