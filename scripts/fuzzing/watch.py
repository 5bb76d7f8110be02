"""A kind's inputs run in a process of their own, which is watched from outside: time, memory of its whole tree, sudden death.

What hangs or takes too much is killed with all that it started, counted as a failure, and a new process goes on behind it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import re
import resource
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from scripts.fuzzing import doors

MOST_BYTES = 2 * 2**30
"""Resident, of the process and all that it started."""
_EVERY = 0.05
"""Seconds between two looks at a process that is at work."""
_PACKAGES = ("layoutllm_tool", "graphs")
Through = Callable[[doors.Input], doors.Outcome]


@dataclass(frozen=True, slots=True)
class Failure:
    """``root``: the same for failures of one cause, as far as can be told from outside."""

    index: int
    root: str
    detail: str
    bytes: int


@dataclass(slots=True)
class Report:
    """What became of a kind's inputs; seconds and resident bytes are the largest of any input."""

    kind: str
    inputs: int = 0
    deep: int = 0
    said: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    largest: tuple[int, int] = (0, -1)

    @property
    def answered(self) -> int:
        return sum(count for said, count in self.said.items() if said.startswith("answered"))

    @property
    def refused(self) -> int:
        return self.inputs - self.answered - len(self.failures)


@dataclass(frozen=True, slots=True)
class Seen:
    """One input, from outside. ``root`` is "" where nothing failed."""

    said: str = ""
    deep: bool = False
    root: str = ""
    detail: str = ""
    seconds: float = 0.0
    memory: int = 0


def fuzz(
    kind: str, seed: int, *, indices: Iterator[int], until: float = float("inf"), slack: float = 2.0, through: Through = doors.through
) -> Report:  # fmt: skip
    """Runs inputs until they or the time (``time.monotonic``) end. Each may take ``slack`` times its deadline."""
    report = Report(kind)
    with _Worker(kind, seed, slack, through) as worker:
        for index in indices:
            if time.monotonic() >= until:
                break
            _count(report, index, worker.run(index), len(doors.made(kind, seed, index).data))
    return report


def _count(report: Report, index: int, seen: Seen, size: int) -> None:
    report.inputs += 1
    report.slowest = max(report.slowest, (seen.seconds, index))
    report.largest = max(report.largest, (seen.memory, index))
    if seen.root:
        report.failures.append(Failure(index, seen.root, seen.detail, size))
        report.deep += 1
    else:
        report.said[seen.said] += 1
        report.deep += seen.deep


# -- outside ------------------------------------------------------------------------------------------------------------


class _Worker:
    """The process for one kind; started at the first input, and again after a failure that ended it."""

    def __init__(self, kind: str, seed: int, slack: float, through: Through) -> None:
        self._kind, self._seed, self._slack, self._through = kind, seed, slack, through
        self._folder = tempfile.TemporaryDirectory(prefix=f"fuzz-{kind}-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name) / "stderr"
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._connection is not None:
            self._connection.close()
            self._process.join(10)
        self._end()
        self._folder.cleanup()

    def run(self, index: int) -> Seen:
        """Hands the input in, and waits for its outcome or its failure."""
        connection = self._connection or self._start()
        try:
            connection.send(index)
            seconds = connection.recv()
            return self._watched(connection, seconds)
        except (EOFError, OSError):
            return self._died()

    def _watched(self, connection: Connection, seconds: float) -> Seen:
        begun, memory = time.monotonic(), 0
        while not connection.poll(_EVERY):
            memory = max(memory, self._memory())
            took = time.monotonic() - begun
            if memory > MOST_BYTES or took > self._slack * seconds:
                root = f"more than {MOST_BYTES / 1e9:.1f} GB" if memory > MOST_BYTES else f"later than {self._slack:g} times its deadline"  # fmt: skip
                stack = self._stack()
                self._end()
                return Seen(root=f"{root}: {_place(stack)}", detail=stack, seconds=took, memory=memory)
        seen: Seen = connection.recv()
        return Seen(seen.said, seen.deep, seen.root, seen.detail, time.monotonic() - begun, memory)

    def _died(self) -> Seen:
        assert self._process is not None
        self._process.join(10)
        code, said = self._process.exitcode, self._log.read_text(errors="replace")[-8000:]
        self._end()
        return Seen(root=f"the process ended with {code}: {_place(said)}", detail=said)

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, self._kind, self._seed, self._through, self._log)
        self._process = context.Process(target=_serve, args=arguments)
        self._process.start()
        theirs.close()
        return self._connection

    def _tree(self) -> list[psutil.Process]:
        assert self._process is not None
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        return []

    def _memory(self) -> int:
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def _stack(self) -> str:
        """Where its threads stand, as ``faulthandler`` writes it."""
        assert self._process is not None and self._process.pid is not None
        size = self._log.stat().st_size
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGUSR1)
            time.sleep(0.3)
        return self._log.read_bytes()[size:].decode(errors="replace")

    def _end(self) -> None:
        """Kills it and all that it started."""
        for process in self._tree() if self._process else ():
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self._process is not None and self._connection is not None:
            self._process.join()
            self._connection.close()
        self._process = self._connection = None


def _place(stack: str) -> str:
    """The innermost function of the package in a stack as ``faulthandler`` writes it."""
    found = re.search(rf'File ".*?/((?:{"|".join(_PACKAGES)})/[^"]+)", line \d+ in (\S+)', stack)
    return f"{found[1]} {found[2]}" if found else "outside the package"


# -- inside -------------------------------------------------------------------------------------------------------------


def _serve(connection: Connection, kind: str, seed: int, through: Through, log: Path) -> None:
    """Takes numbers of inputs until the other side hangs up. Before each, its deadline is told; after it, what became of it."""
    _prepare(log)
    with contextlib.suppress(EOFError):
        while True:
            given = doors.made(kind, seed, connection.recv())
            connection.send(given.seconds)
            connection.send(_outcome(given, through))


def _prepare(log: Path) -> None:
    """Warnings, last words and stacks go to the log; files that are left over to its folder."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1), os.dup2(file, 2)
    faulthandler.enable(file)
    faulthandler.register(signal.SIGUSR1, file)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tempfile.tempdir = str(log.parent)


def _outcome(given: doors.Input, through: Through) -> Seen:
    try:
        outcome = through(given)
    except BaseException as error:  # noqa: BLE001  whatever gets out of the package's door is what is looked for
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f"/{_PACKAGES[0]}/" in f.filename or "/graphs/" in f.filename]  # fmt: skip
        where = f"{'/'.join(Path(frames[-1].filename).parts[-3:])} {frames[-1].name}" if frames else ""
        told = str(error).partition(":")[0] if isinstance(error, doors.Fault) else f"{type(error).__name__} in {where}"
        return Seen(root=told, detail="".join(traceback.format_exception(error))[-8000:])
    return Seen(outcome.said, outcome.deep)
