"""A batch's workers as processes of this machine: each with a reader of its own, watched, and replaced when it dies or hangs.

A worker that dies loses no document. Which of those that it held has killed it is found out by giving them out again one at a time: the
one that kills a worker while it is alone there is at fault, and becomes a failed row. Memory is not limited here.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from graphs.batch_desk import Desk, MakeReader, Result, Settings, Work, failed
from layoutllm_tool.errors import DocumentTimeout, LayoutLLMError, WorkerDied

_FAREWELL = 5.0
"""Seconds that idle workers get to end."""
_STARTS = 3
"""Workers that die before they are ready, one after another, until the batch gives up."""


@dataclass(frozen=True, slots=True)
class Shape:
    """``workers`` processes (each with cores / workers threads), each reading ``ahead`` documents ahead; ``seconds`` a document."""

    workers: int = 1
    ahead: int = 0
    seconds: float = 300.0

    def __post_init__(self) -> None:
        if self.workers < 1 or self.ahead < 0 or self.seconds <= 0:
            raise ValueError("a pool has a worker or more, and its limits are positive")


def pool(make_reader: MakeReader, settings: Settings, shape: Shape, works: Iterator[Work]) -> Iterator[Result]:
    """Every document's result, in whatever order they end. ``make_reader`` is pickled: a module's function or class.

    LayoutLLMError where no worker can be started.
    """
    crew = _Crew(make_reader, settings, shape)
    try:
        yield from crew.results(works)
    finally:
        crew.end()


@dataclass(slots=True)
class _Hand:
    """One process, what it was given and has not answered, and since when it is at the first of these."""

    process: BaseProcess
    connection: Connection
    held: deque[Work] = field(default_factory=deque)
    since: float = 0.0
    ready: bool = False
    alone: bool = False
    """It holds a suspect, and gets nothing beside it."""


class _Crew:
    def __init__(self, make_reader: MakeReader, settings: Settings, shape: Shape) -> None:
        self._make, self._settings, self._shape = make_reader, settings, shape
        self._suspects: deque[Work] = deque()
        self._queue: deque[Work] = deque()
        self._hands: list[_Hand] = []
        self._deaths = 0

    def results(self, works: Iterator[Work]) -> Iterator[Result]:
        self._fill(works)
        while any(hand.held for hand in self._hands):
            told = wait([hand.connection for hand in self._hands], timeout=self._patience())
            for hand in list(self._hands):
                if hand.connection in told:
                    yield from self._hear(hand)
                elif self._left_to(hand) <= 0:
                    yield self._give_up(hand)
            self._fill(works)

    # -- giving out ------------------------------------------------------------------------------------------------------

    def _fill(self, works: Iterator[Work]) -> None:
        """Every worker gets its look-ahead; while there are suspects, empty workers get one of them, and the others nothing."""
        while pending := self._suspects or self._next(works):
            suspected = bool(self._suspects)
            hand = self._free(empty=suspected)
            if hand is None:
                return
            self._give(hand, pending.popleft(), alone=suspected)

    def _next(self, works: Iterator[Work]) -> deque[Work]:
        if not self._queue and (work := next(works, None)) is not None:
            self._queue.append(work)
        return self._queue

    def _free(self, *, empty: bool) -> _Hand | None:
        most = 0 if empty else self._shape.ahead
        free = [hand for hand in self._hands if not hand.alone and len(hand.held) <= most]
        best = min(free, key=lambda hand: len(hand.held), default=None)
        if (best is None or best.held) and len(self._hands) < self._shape.workers:
            return self._hire()
        return best

    def _give(self, hand: _Hand, work: Work, *, alone: bool) -> None:
        if not hand.held:
            hand.since = time.monotonic()
        hand.alone = alone
        hand.held.append(work)
        with suppress(OSError):  # it has died since: told by its connection
            hand.connection.send(work)

    def _hire(self) -> _Hand:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (theirs, self._make, self._settings, self._shape.ahead)
        process = context.Process(target=_work, args=arguments, name="layoutllm-batch", daemon=True)
        with _threads(max(1, (os.cpu_count() or 1) // self._shape.workers)):
            process.start()
        theirs.close()
        hand = _Hand(process, ours)
        self._hands.append(hand)
        return hand

    # -- taking in -------------------------------------------------------------------------------------------------------

    def _hear(self, hand: _Hand) -> Iterator[Result]:
        try:
            kind, said = hand.connection.recv()
        except (EOFError, OSError):
            yield from self._mourn(hand)
            return
        hand.since = time.monotonic()
        if kind == "broken":
            raise LayoutLLMError(said[0], hint=said[1])
        if kind == "ready":
            hand.ready, self._deaths = True, 0
            return
        hand.held.popleft()
        hand.alone = False
        yield said

    def _mourn(self, hand: _Hand) -> Iterator[Result]:
        """What it held is asked again, one by one where more than one may be at fault."""
        self._dismiss(hand)
        if not hand.ready:
            self._deaths += 1
            self._queue.extendleft(reversed(hand.held))
            if self._deaths >= _STARTS:
                raise LayoutLLMError(
                    "no worker can be started.", hint="Is there enough memory? Their own words are on stderr."
                )
        elif len(hand.held) == 1:
            code = hand.process.exitcode
            message = f"the process that read it died (exit code {code})."
            yield failed(hand.held[0], WorkerDied(message, hint="Out of memory? Try --workers 1 --ahead 0."))
        else:
            self._suspects.extend(hand.held)

    def _give_up(self, hand: _Hand) -> Result:
        self._dismiss(hand)
        late, *others = hand.held
        self._queue.extendleft(reversed(others))
        error = DocumentTimeout(f"it took longer than {self._shape.seconds:g} seconds.", hint="Raise --seconds.")
        return failed(late, error, seconds=self._shape.seconds)

    def _left_to(self, hand: _Hand) -> float:
        if not (hand.held and hand.ready):
            return float("inf")
        return hand.since + self._shape.seconds - time.monotonic()

    def _patience(self) -> float | None:
        soonest = min((self._left_to(hand) for hand in self._hands), default=float("inf"))
        return None if soonest == float("inf") else max(0.0, soonest)

    def _dismiss(self, hand: _Hand) -> None:
        self._hands.remove(hand)
        hand.process.kill()
        hand.process.join()
        hand.connection.close()

    def end(self) -> None:
        """Workers without work go by themselves, and tidily; who is still busy is not waited for."""
        for hand in self._hands:
            hand.connection.close()
        until = time.monotonic() + _FAREWELL
        for hand in self._hands:
            hand.process.join(0 if hand.held else max(0.0, until - time.monotonic()))
            hand.process.kill()
            hand.process.join()
        self._hands.clear()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """What a process that starts now takes for its libraries' threads, unless the user has said."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


# -- in the worker -------------------------------------------------------------------------------------------------------


def _work(connection: Connection, make_reader: MakeReader, settings: Settings, ahead: int) -> None:
    """Until the parent hangs up, or is gone. Ctrl-C is the parent's to decide on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        reader = make_reader()
    except LayoutLLMError as error:
        connection.send(("broken", (error.message, error.hint)))
        return
    connection.send(("ready", None))
    with suppress(BrokenPipeError):
        for result in Desk(reader, settings).results(_given(connection), ahead=ahead):
            connection.send(("result", result))


def _given(connection: Connection) -> Iterator[Work]:
    with suppress(EOFError, OSError):
        while True:
            yield connection.recv()
