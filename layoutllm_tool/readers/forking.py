"""Objects that stay usable in a forked process, and a gate that keeps computing and forking apart.

A process that is forked while a thread computes inherits locks of torch, OpenMP and the import system that
are held by a thread it does not have. It would wait for them for ever.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

FORK_SECONDS = 120.0
"""Longest time that a fork waits for a computing thread."""


class ForkSafe:
    """Calls ``after_fork`` in a forked process, where locks may be held by threads that are not there."""

    def __init__(self) -> None:
        _FORK_SAFE.add(self)

    def after_fork(self) -> None:
        raise NotImplementedError


class ForkGate:
    """Lets one side through: a thread that computes, or a fork."""

    def __init__(self) -> None:
        self._turn, self._busy = threading.RLock(), threading.RLock()
        _GATES.add(self)

    @contextmanager
    def computing(self) -> Iterator[None]:
        with self._turn:  # lets a waiting fork go first
            pass
        with self._busy:
            yield

    def close(self) -> None:
        """Wait for the computation under way, at most FORK_SECONDS. The next one waits for ``open``."""
        self._turn.acquire()
        self._closed = self._busy.acquire(timeout=FORK_SECONDS)

    def open(self) -> None:
        if self._closed:
            self._busy.release()
        self._turn.release()


_FORK_SAFE: WeakSet[ForkSafe] = WeakSet()
_GATES: WeakSet[ForkGate] = WeakSet()
_fork_lock = threading.RLock()
_closed_gates: list[ForkGate] = []
"""The gates that the fork under way has closed."""


def _before_fork() -> None:
    _fork_lock.acquire()
    _closed_gates[:] = list(_GATES)
    for gate in _closed_gates:
        gate.close()


def _after_fork_in_parent() -> None:
    for gate in _closed_gates:
        gate.open()
    _closed_gates.clear()
    _fork_lock.release()


def _after_fork_in_child() -> None:
    global _fork_lock
    _fork_lock = threading.RLock()
    _closed_gates.clear()
    for one in list(_FORK_SAFE):
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
