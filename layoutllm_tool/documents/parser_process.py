"""Opening a stranger's file in a child process (``parser_worker``) that is bounded in memory, time and output.

One child stays warm. While it is busy others are started, up to ``MOST``, so that a hostile file keeps nobody waiting but whoever
sent it. A child that died, was late, or said something that is no answer is ended, and another takes its place. What a
child says is data: sizes are checked against the limits before anything is allocated, and nothing is unpickled.
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
from dataclasses import replace
from typing import Any

from layoutllm_tool import errors
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.parser_worker import LENGTH, MEMORY
from layoutllm_tool.documents.parsing import CHOOSE, Budget, ParseRequest
from layoutllm_tool.errors import DocumentError, DocumentTooLarge, DocumentUnreadable

MOST = 3
"""Children at once."""
PATIENCE = 10.0
"""Seconds for one page while somebody else waits for a child: then the one that is longest at its page gives way."""
RENEWED_AFTER = 256
"""Documents, so that what a library leaks ends with its child."""
_MOST_HEAD = 64 * 2**20
"""Bytes of a page's words as JSON."""
_PIPE = 2**20
_START_SECONDS = 30.0
_MODES = {"L": 1, "RGB": 3}
_COMMAND = "from layoutllm_tool.documents.parser_worker import main; main()"


class _Trouble(Exception):
    """The child is of no more use."""


class _Exhausted(_Trouble):
    """It said so itself: it has no memory left."""


class _Child:
    """One process and the pipes to it. For one thread at a time."""

    def __init__(self) -> None:
        if not sys.executable:
            raise DocumentUnreadable(
                "documents are opened by a second Python process, and which interpreter to start is not known.",
                hint="Set sys.executable.",
            )
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
            "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env=environment, cwd=os.path.abspath(os.sep), pipesize=_PIPE,
            )  # fmt: skip
        except OSError as error:
            raise DocumentUnreadable(
                f"the process that opens documents can't be started: {error}.", hint="Check sys.executable."
            ) from error
        self.served = 0
        self.late = False
        self.since = time.monotonic()
        """When its page was begun."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self.late and self._process.poll() is None

    def parse(self, data: bytes, request: ParseRequest) -> Iterator[int | Page]:
        """What the child's ``parse`` yields. Raises what that raised, or _Trouble."""
        self.served += 1
        limits = request.limits
        end = time.monotonic() + limits.document_seconds
        budget = Budget(request.name, limits)
        # A child that has just been started imports its libraries first.
        allowance = _START_SECONDS if self.served == 1 else 0.0
        with self._deadline(limits.page_seconds + allowance, grace=allowance):
            self._send({"request": request.to_json(), "raw": len(data)}, data)
            said = self._head()
        while not said.get("end"):
            if "error" in said:
                raise _error(said["error"])
            with self._deadline(min(limits.page_seconds, end + allowance - time.monotonic())):
                yield int(said["total"]) if "total" in said else self._page(said, budget)
                said = self._head()

    def _page(self, said: dict[str, Any], budget: Budget) -> Page:
        from PIL import Image as pillow

        try:
            (width, height), channels = said["size"], _MODES[said["mode"]]
            if not 0 < width * height * channels == said["raw"] <= budget.limits.max_picture_bytes:
                raise ValueError("a picture of an odd size")
            image = pillow.frombytes(said["mode"], (width, height), self._read(said["raw"]))
            page = replace(Page.from_json(said["page"]), image=image, width=width, height=height)
            budget.take(page)  # the child has done so before: here it only fails where the child lies
        except (DocumentError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise _Trouble(f"it sent no page: {error}") from error
        return page

    # -- bytes --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _deadline(self, seconds: float, *, grace: float = 0.0) -> Iterator[None]:
        """Ends the child where what stands inside is not done in time: then every wait for it ends too."""

        self.since = time.monotonic() + grace
        watchdog = threading.Timer(max(seconds, 0.0), self.give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def _send(self, head: dict[str, Any], data: bytes) -> None:
        encoded = json.dumps(head).encode()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(LENGTH.pack(len(encoded)) + encoded)
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError as error:
            raise _Trouble("it no longer listens") from error

    def _head(self) -> dict[str, Any]:
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        if length > _MOST_HEAD:
            raise _Trouble("it said too much")
        try:
            said = json.loads(self._read(length))
            if not isinstance(said["raw"], int):
                raise TypeError("no length")
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise _Trouble("it said nonsense") from error
        return dict(said)

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        block = self._process.stdout.read(size)
        if len(block) < size:
            raise _Trouble(f"it ended with code {self._process.wait()}")
        return block

    def give_up(self) -> None:
        """From another thread: whoever waits for the page hears that it took too long."""
        self.late = True
        self._process.kill()

    # -- end ----------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """At once, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self.forget()

    def forget(self) -> None:
        """Closes this process's ends of the pipes, and leaves the child alone."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _error(said: Any) -> Exception | type[Exception]:
    if not isinstance(said, dict):
        return _Trouble("it said nonsense")
    if said.get("kind") == "MemoryError":
        return _Exhausted
    kind = getattr(errors, str(said.get("kind")), None)
    if not (isinstance(kind, type) and issubclass(kind, DocumentError)):
        return _Trouble("it failed in an unknown way")
    return kind(str(said.get("message"))[:2000], hint=str(said.get("hint"))[:500])


class ParserPool:
    """Children and who has them. Safe for several threads; a forked process begins with none of its own."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._forgotten: list[_Child] = []
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()

    def parse(self, data: bytes, request: ParseRequest) -> tuple[int, list[Page]]:
        """The number of pages in the file and those asked for. Raises DocumentError."""
        child, whole = self._take(), False
        try:
            total, *pages = child.parse(data, request)
            whole = True
            return total, pages  # type: ignore[return-value]
        except DocumentError:  # of the child: it is ready for another document
            whole = True
            raise
        except _Trouble as trouble:
            raise _refusal(trouble, child.late, request) from trouble
        finally:
            self._give_back(child, whole=whole)

    def warm(self) -> None:
        """Starts a child if there is none, without waiting for it."""
        self._give_back(self._take(), whole=True)

    def _take(self) -> _Child:
        with self._changed:
            while not self._changed.wait_for(lambda: self._idle or len(self._busy) < self.most, timeout=1.0):
                self._make_room()
            while self._idle:
                child = self._idle.pop()
                if child.alive:
                    break
                child.forget()
            else:
                child = _Child()
            child.since = time.monotonic()  # its time without work is nobody's page
            self._busy.add(child)
            return child

    def _make_room(self) -> None:
        """Slow documents have the children for as long as they like, but only while nobody waits."""
        slowest = min((child for child in self._busy if not child.late), key=lambda child: child.since, default=None)
        if slowest is not None and time.monotonic() - slowest.since > PATIENCE:
            slowest.give_up()

    def _give_back(self, child: _Child, *, whole: bool) -> None:
        """One idle child is kept; one that was interrupted never: half of an answer may be left in its pipe."""
        with self._changed:
            self._busy.discard(child)
            if whole and child.alive and not self._idle and child.served < RENEWED_AFTER:
                self._idle.append(child)
            else:
                child.end()
            self._changed.notify()

    def pids(self) -> list[int]:
        """Of all children, for whoever watches them."""
        with self._changed:
            return [child.pid for child in (*self._idle, *self._busy)]

    def after_fork(self) -> None:
        """In the forked process: the children are the parent's. Their pipes are closed here, lest they outlive it."""
        self._forgotten += [*self._idle, *self._busy]  # kept: a Popen that is collected waits for its process
        for child in self._forgotten:
            child.forget()
        self._begin()


def _refusal(trouble: _Trouble, late: bool, request: ParseRequest) -> DocumentError:
    limits = request.limits
    if late:
        return DocumentTooLarge(
            f"opening {request.name!r} takes longer than {limits.page_seconds:g} s for a page,"
            f" {limits.document_seconds:g} s in all, or {PATIENCE:g} s for a page while others wait.",
            hint=f"Give the page as a picture. {CHOOSE}",
        )
    if isinstance(trouble, _Exhausted):
        return DocumentTooLarge(
            f"opening {request.name!r} takes more than {MEMORY // 2**20:,} MiB of memory.",
            hint="Scale its pictures down (a page needs about 2000 pixels on its long side).",
        )
    return DocumentUnreadable(
        f"{request.name!r} can't be opened: it is damaged, or takes more than {MEMORY // 2**20:,} MiB of memory"
        f" (the process that read it: {trouble}).",
        hint="Open it in a viewer and save it anew as PDF or PNG.",
    )


POOL = ParserPool()
"""The process's own."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.after_fork)
