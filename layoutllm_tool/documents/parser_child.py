"""One child process that parses untrusted files, and the pipes to it, on the parent's side.

Checks the child's sizes against the limits before allocating, and unpickles nothing. ``parser_process``
chooses the child for a document.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from layoutllm_tool import errors
from layoutllm_tool.documents.geometry import Notice, Page
from layoutllm_tool.documents.page_frames import PageHead, bounded, unpacked
from layoutllm_tool.documents.parser_worker import LENGTH
from layoutllm_tool.documents.parsing import Budget, ParseRequest
from layoutllm_tool.errors import DocumentError, DocumentUnreadable

if TYPE_CHECKING:
    from PIL.Image import Image

START_SECONDS = 60.0
_MOST_HEAD = 256 * 2**10
"""Bytes of JSON. A page's words and pixels are no part of it."""
_MOST_PAGES = 2**31
_PIPE = 2**20
_COMMAND = "from layoutllm_tool.documents.parser_worker import main; main()"
_HANDED_ON = (
    "DYLD_LIBRARY_PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TEMP", "TMP",
    "TMPDIR",
)  # fmt: skip
"""The environment variables that a child gets: none that may hold keys."""


class ParserTrouble(Exception):
    """The child can't be used any more."""


class ParserExhausted(ParserTrouble):
    """The child reported that it has no memory left."""


class ParserNotStarted(ParserTrouble):
    """The child never read a request."""


def _path() -> list[str]:
    """The absolute entries of ``sys.path``, and this package's folder."""
    path = [place for place in sys.path if os.path.isabs(place)]
    home = os.path.dirname(os.path.dirname(errors.__file__))
    return path if home in path else [home, *path]


def _start() -> subprocess.Popen[bytes]:
    if not sys.executable or getattr(sys, "frozen", False):  # a frozen program would start itself
        raise DocumentUnreadable(
            "documents are opened by a second Python process, and which interpreter to start is not known.",
            hint="Set sys.executable.",
        )
    given = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    # One arena, one thread: address space that is set aside and never used counts as well.
    given |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    command = f"import sys; sys.path[:] = {_path()!r}; {_COMMAND}"
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=given, cwd=os.path.abspath(os.sep), bufsize=0,
        )  # fmt: skip
    except OSError as error:
        raise DocumentUnreadable(
            f"the process that opens documents can't be started: {error}.", hint="Check sys.executable."
        ) from error


class ParserChild:
    """One process and the pipes to it. For one thread at a time."""

    def __init__(self) -> None:
        self._process = _start()
        assert self._process.stdin is not None and self._process.stdout is not None
        # Without buffers: theirs have locks, which a process forked meanwhile would wait for.
        self._inward, self._outward = self._process.stdin, self._process.stdout
        for pipe in (self._inward, self._outward):
            _widen(pipe.fileno())
        self.ready = self.late = False
        self.served = 0
        self.since = self.idle_since = time.monotonic()
        """When its page was begun, and when its last document was done."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self.late and self._process.poll() is None

    def parse(self, data: bytes, request: ParseRequest) -> tuple[int, list[Page]]:
        """The file's number of pages, and those asked for. Raises what ``parse`` raised, or ParserTrouble."""
        self._await_start()
        self.served += 1
        limits, budget = request.limits, Budget(request.name, request.limits)
        end = time.monotonic() + limits.document_seconds

        def left() -> float:
            return min(limits.page_seconds, end - time.monotonic())

        with self._deadline(left()):
            self._send({"request": request.to_json(), "raw": len(data)}, data)
            total = self._total(self._receive(), request)
        pages = []
        for number in range(1, total + 1) if request.pages is None else request.pages:
            with self._deadline(left()):
                pages.append(self._page(self._receive(), number, budget))
        with self._deadline(left()):
            if not self._receive().get("end"):
                raise ParserTrouble("it sent more than it was asked for")
        return total, pages

    def _await_start(self) -> None:
        """Wait for its imports, outside of any document's time."""
        if self.ready:
            return
        try:
            with self._deadline(START_SECONDS, grace=START_SECONDS):
                self.ready = self._receive().get("ready") is True
        except ParserTrouble as trouble:
            raise ParserNotStarted(str(trouble)) from trouble
        if not self.ready:
            raise ParserNotStarted("it sent nonsense")

    def _total(self, reply: dict[str, Any], request: ParseRequest) -> int:
        try:
            return bounded(
                reply.get("total"), 1, request.limits.max_pages if request.pages is None else _MOST_PAGES
            )
        except ValueError as error:
            raise ParserTrouble(f"it sent no number of pages: {error}") from error

    def _page(self, reply: dict[str, Any], number: int, budget: Budget) -> Page:
        limits = budget.limits
        try:
            bounds = {"max_pixels": limits.max_pixels, "max_words": limits.max_words}
            head = PageHead.from_json(reply["page"], number=number, **bounds)
            budget.add(head.pixels, head.words)  # the child has checked it: fails only where the child lies
            lines = unpacked(head, self._read(head.block))
        except (DocumentError, LookupError, TypeError, ValueError) as error:
            raise ParserTrouble(f"it sent no page: {error}") from error
        image = self._image(head)
        notices = tuple(Notice(**notice) for notice in head.notices)
        return Page(number, head.width, head.height, lines, image, head.source, notices, head.original)

    def _image(self, head: PageHead) -> Image:
        from PIL import Image as pillow

        size = (head.width, head.height)
        if head.height <= head.band:
            return pillow.frombytes(head.mode, size, self._read(head.pixels))
        image = pillow.new(head.mode, size)
        for top in range(0, head.height, head.band):
            rows = min(head.band, head.height - top)
            band = self._read(head.pixels // head.height * rows)
            image.paste(pillow.frombytes(head.mode, (head.width, rows), band), (0, top))
        return image

    @contextmanager
    def _deadline(self, seconds: float, *, grace: float = 0.0) -> Iterator[None]:
        """Kill the child after so many seconds, which ends every wait for it."""
        self.since = time.monotonic() + grace
        watchdog = threading.Timer(min(max(seconds, 0.0), threading.TIMEOUT_MAX), self.give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def _send(self, head: dict[str, Any], data: bytes) -> None:
        encoded = json.dumps(head).encode()
        try:
            for block in (LENGTH.pack(len(encoded)) + encoded, data):
                rest = memoryview(block)
                while rest:
                    rest = rest[self._inward.write(rest) :]
        except OSError as error:
            raise ParserTrouble("it no longer listens") from error

    def _receive(self) -> dict[str, Any]:
        """The next frame's JSON. Raises the DocumentError that it may hold, or ParserTrouble."""
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        if length > _MOST_HEAD:
            raise ParserTrouble("it sent too much")
        try:
            reply = dict(json.loads(self._read(length)))
        except (ValueError, TypeError, RecursionError) as error:
            raise ParserTrouble("it sent nonsense") from error
        if "error" in reply:
            raise _error(reply["error"])
        return reply

    def _read(self, size: int) -> bytearray:
        block = bytearray(size)
        rest = memoryview(block)
        while rest:
            # no buffer: a FileIO
            if not (count := self._outward.readinto(rest)):  # type: ignore[attr-defined]
                raise ParserTrouble(f"it ended with code {self._process.wait()}")
            rest = rest[count:]
        return block

    def give_up(self) -> None:
        """Kill it from another thread; whoever waits for its page gets ParserTrouble."""
        self.late = True
        self._process.kill()

    def end(self) -> None:
        """Kill the process and close its pipes."""
        self._process.kill()
        self._process.wait()
        self.forget()

    def forget(self) -> None:
        """Closes this process's ends of the pipes, and leaves the child alone."""
        for pipe in (self._inward, self._outward):
            with suppress(OSError):
                pipe.close()


def _widen(pipe: int) -> None:
    """To more than the usual 64 kB, where the system and what this user has left of it allow that."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


def _error(reply: Any) -> Exception | type[Exception]:
    if not isinstance(reply, dict):
        return ParserTrouble("it sent nonsense")
    if reply.get("kind") == "MemoryError":
        return ParserExhausted
    kind = getattr(errors, str(reply.get("kind")), None)
    if not (isinstance(kind, type) and issubclass(kind, DocumentError)):
        return ParserTrouble("it failed in an unknown way")
    return kind(str(reply.get("message"))[:2000], hint=str(reply.get("hint"))[:500])
