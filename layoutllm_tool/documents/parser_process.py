"""A pool of child processes that parse untrusted files, one file at a time, bounded in memory, time and
output.

One child stays warm. While it is busy others are started, up to ``MOST``, so that a hostile file delays
nobody else. A child that died, was late or sent an invalid answer is replaced.
"""

from __future__ import annotations

import os
import threading
import time

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.parser_child import (
    START_SECONDS,
    ParserChild,
    ParserExhausted,
    ParserNotStarted,
    ParserTrouble,
)
from layoutllm_tool.documents.parser_worker import MEMORY
from layoutllm_tool.documents.parsing import CHOOSE, ParseRequest
from layoutllm_tool.errors import DocumentError, DocumentTooLarge, DocumentUnreadable

MOST = 3
"""Children at once."""
PATIENCE = 10.0
"""Seconds for one page while another document waits. Then the child that is longest at its page is killed."""
IDLE_SECONDS = 30.0
"""Seconds after which all idle children but one end."""
RENEWED_AFTER = 256
"""Documents of one child, which bounds what libraries leak."""


class ParserPool:
    """Idle and busy children. Safe for several threads; empty in a forked process."""

    def __init__(self, most: int = MOST, idle_seconds: float = IDLE_SECONDS) -> None:
        self.most, self.idle_seconds = most, idle_seconds
        self._forgotten: list[ParserChild] = []
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._idle: list[ParserChild] = []
        """A stack: the last one used is taken first."""
        self._busy: set[ParserChild] = set()
        self._timer_runs = False
        """Whether a timer runs that ends idle children."""

    def parse(self, data: bytes, request: ParseRequest) -> tuple[int, list[Page]]:
        """The number of pages in the file and those asked for. Raises DocumentError."""
        child, whole = self._take(), False
        try:
            answer = child.parse(data, request)
            whole = True
            return answer
        except DocumentError:  # of the child: it is ready for another document
            whole = True
            raise
        except ParserTrouble as trouble:
            raise _refusal(trouble, child.late, request) from trouble
        finally:
            self._give_back(child, whole=whole)

    def warm(self) -> None:
        """Start a child if there is none. Does not wait."""
        with self._changed:
            if not self._idle and not self._busy:
                self._idle.append(ParserChild())

    def _take(self) -> ParserChild:
        with self._changed:
            while not self._changed.wait_for(lambda: self._idle or len(self._busy) < self.most, timeout=1.0):
                self._make_room()
            while self._idle:
                child = self._idle.pop()
                if child.alive:
                    child.since = time.monotonic()
                    break
                child.end()
            else:
                child = ParserChild()
            self._busy.add(child)
            return child

    def _make_room(self) -> None:
        """Kill the slowest child where another document waits too long."""
        slowest = min(
            (child for child in self._busy if not child.late), key=lambda child: child.since, default=None
        )
        if slowest is not None and time.monotonic() - slowest.since > PATIENCE:
            slowest.give_up()

    def _give_back(self, child: ParserChild, *, whole: bool) -> None:
        """Keep the child, unless it was interrupted: half of an answer may be left in its pipe."""
        with self._changed:
            self._busy.discard(child)
            if whole and child.alive and child.served < RENEWED_AFTER:
                child.idle_since = time.monotonic()
                self._idle.append(child)
            else:
                child.end()
            self._end_idle_later()
            self._changed.notify()

    def _end_idle_later(self) -> None:
        if len(self._idle) > 1 and not self._timer_runs:
            self._timer_runs = True
            timer = threading.Timer(self.idle_seconds, self._end_idle)
            timer.daemon = True
            timer.start()

    def _end_idle(self) -> None:
        with self._changed:
            since = time.monotonic() - self.idle_seconds
            for child in [child for child in self._idle[:-1] if child.idle_since <= since]:
                self._idle.remove(child)
                child.end()
            self._timer_runs = False
            self._end_idle_later()

    def pids(self) -> list[int]:
        """Process ids of all children."""
        with self._changed:
            return [child.pid for child in (*self._idle, *self._busy)]

    def after_fork(self) -> None:
        """Close the pipes to the parent's children, and begin without children."""
        self._forgotten += [*self._idle, *self._busy]  # kept: a Popen that is collected waits for its process
        for child in self._forgotten:
            child.forget()
        self._begin()


def _refusal(trouble: ParserTrouble, late: bool, request: ParseRequest) -> DocumentError:
    limits = request.limits
    if isinstance(trouble, ParserNotStarted):
        reason = f"it was not ready after {START_SECONDS:g} s" if late else str(trouble)
        return DocumentUnreadable(
            f"the process that opens documents did not start: {reason}.",
            hint="Check that sys.executable names the Python that this program runs in.",
        )
    if late:
        return DocumentTooLarge(
            f"opening {request.name!r} takes longer than {limits.page_seconds:g} s for a page,"
            f" {limits.document_seconds:g} s in all, or {PATIENCE:g} s for a page while others wait.",
            hint=f"Give the page as a picture. {CHOOSE}",
        )
    if isinstance(trouble, ParserExhausted):
        return DocumentTooLarge(
            f"opening {request.name!r} takes more than {MEMORY // 2**20:,} MiB of memory.",
            hint="Scale its pictures down (a page needs about 2000 pixels on its long side).",
        )
    return DocumentUnreadable(
        f"{request.name!r} can't be opened: it is damaged, or takes more than "
        f"{MEMORY // 2**20:,} MiB of memory"
        f" (the process that read it: {trouble}).",
        hint="Open it in a viewer and save it anew as PDF or PNG.",
    )


POOL = ParserPool()
"""The process's own."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.after_fork)
