"""A kind's inputs run in a process of their own, watched from outside: time, memory of its tree, sudden
death.

What hangs or takes too much is killed with all that it started and counts as a failure; a new process goes
on.
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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from scripts.fuzzing import doors
from scripts.fuzzing.outcomes import Fault, Input, Outcome

MOST_BYTES = 2 * 2**30
"""Resident, of the process and all that it started."""
_EVERY = 0.05
"""Seconds between two looks at a process that is at work."""
Make = Callable[[str, int, int], Input]
Through = Callable[[Input], Outcome]


@dataclass(frozen=True, slots=True)
class Inputs:
    """A kind's inputs by number, and what is done with one."""

    kind: str
    seed: int
    make: Make
    through: Through


@dataclass(frozen=True, slots=True)
class Seen:
    """One input, from outside. ``root`` is "" where nothing failed, else about the same for one cause."""

    said: str = ""
    deep: bool = False
    root: str = ""
    detail: str = ""
    seconds: float = 0.0
    memory: int = 0
    size: int = 0


@dataclass(slots=True)
class Report:
    """What became of a kind's inputs. ``slowest`` (seconds) and ``largest`` (bytes) are of any one of
    them.
    """

    kind: str
    said: Counter[str] = field(default_factory=Counter)
    deep: int = 0
    failures: list[tuple[int, Seen]] = field(default_factory=list)
    slowest: float = 0.0
    largest: int = 0

    def count(self, index: int, seen: Seen) -> None:
        self.slowest, self.largest = max(self.slowest, seen.seconds), max(self.largest, seen.memory)
        self.deep += seen.deep or bool(seen.root)
        if seen.root:
            self.failures.append((index, seen))
        else:
            self.said[seen.said] += 1

    @property
    def inputs(self) -> int:
        return self.said.total() + len(self.failures)

    @property
    def answered(self) -> int:
        return sum(count for said, count in self.said.items() if said.startswith("answered"))

    def by_root(self) -> dict[str, list[tuple[int, Seen]]]:
        """The failures, smallest input first, the most frequent root first."""
        found: dict[str, list[tuple[int, Seen]]] = {}
        for one in sorted(self.failures, key=lambda one: one[1].size):
            found.setdefault(one[1].root, []).append(one)
        return dict(sorted(found.items(), key=lambda one: -len(one[1])))


def fuzz(
    kind: str,
    seed: int,
    *,
    indices: Iterable[int],
    until: float = float("inf"),
    slack: float = 2.0,
    make: Make = doors.made,
    through: Through = doors.through,
) -> Report:
    """Runs inputs until they or the time (``time.monotonic``) end. Each may take ``slack`` times its
    deadline.

    ``make`` and ``through`` are pickled: functions of a module.
    """
    report = Report(kind)
    with _Worker(Inputs(kind, seed, make, through), slack) as worker:
        for index in indices:
            if time.monotonic() >= until:
                break
            report.count(index, worker.run(index))
    return report


# -- outside -------------------------------------------------------------------------------------------------


class _Worker:
    """The process for one kind; started at the first input, and again after a failure that ended it."""

    def __init__(self, inputs: Inputs, slack: float) -> None:
        self._inputs, self._slack = inputs, slack
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True)
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
        """Hands the number in, and waits for what becomes of its input."""
        connection, size = self._connection or self._start(), 0
        try:
            connection.send(index)
            seconds, size = connection.recv()
            seen = self._watched(connection, seconds)
        except (EOFError, OSError):
            seen = self._died()
        return replace(seen, size=size)

    def _watched(self, connection: Connection, seconds: float) -> Seen:
        begun, memory, most = time.monotonic(), 0, self._slack * seconds
        while not connection.poll(_EVERY):
            memory = max(memory, self._memory())
            took = time.monotonic() - begun
            if memory > MOST_BYTES:
                return self._killed(f"more than {MOST_BYTES / 1e9:.1f} GB", took, memory)
            if took > most:
                return self._killed(f"later than {self._slack:g} times its deadline", took, memory)
        seen: Seen = connection.recv()
        return replace(seen, seconds=time.monotonic() - begun, memory=memory)

    def _killed(self, why: str, seconds: float, memory: int) -> Seen:
        stack = self._stack()
        self._end()
        return Seen(root=f"{why}: {_place(stack)}", detail=stack, seconds=seconds, memory=memory)

    def _died(self) -> Seen:
        assert self._process is not None
        self._process.join(10)
        code, said = self._process.exitcode, self._log.read_text(errors="replace")[-8000:]
        self._end()
        return Seen(root=f"the process ended with {code}: {_place(said)}", detail=said)

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._inputs, self._log))
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
    found = re.search(r'File ".*?/((?:layoutllm_tool|layoutllm_graphs)/[^"]+)", line \d+,? in (\S+)', stack)
    return f"{found[1]} {found[2]}" if found else "outside the package"


# -- inside --------------------------------------------------------------------------------------------------


def _serve(connection: Connection, inputs: Inputs, log: Path) -> None:
    """Takes numbers of inputs until the other side hangs up; tells each one's deadline, then its outcome."""
    _prepare(log)
    with contextlib.suppress(EOFError):
        while True:
            given = inputs.make(inputs.kind, inputs.seed, connection.recv())
            connection.send((given.seconds, len(given.data)))
            connection.send(_outcome(given, inputs.through))


def _prepare(log: Path) -> None:
    """Warnings, last words and stacks go to the log; files that are left over to its folder."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1), os.dup2(file, 2)
    faulthandler.enable(file)
    faulthandler.register(signal.SIGUSR1, file)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tempfile.tempdir = str(log.parent)


def _outcome(given: Input, through: Through) -> Seen:
    try:
        outcome = through(given)
    except BaseException as error:  # noqa: BLE001
        # whatever gets out of the package's door is what is looked for
        detail = "".join(traceback.format_exception(error))
        place = _place("\n".join(reversed(detail.splitlines())))
        root = (
            str(error).partition(":")[0] if isinstance(error, Fault) else f"{type(error).__name__} in {place}"
        )
        return Seen(root=root, detail=detail[-8000:])
    return Seen(outcome.said, outcome.deep)
