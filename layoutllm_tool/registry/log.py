"""An append-only log: JSON lines, each with the hash of the line before it.

A line that was changed, removed or moved is found by the one after it. Nothing follows the last line: whether a tail was cut off
shows only against a ``head`` that was noted elsewhere. A line without its line break was never finished (a kill, a full disk): it
counts as not written, and the next append removes it. What entries mean is in ``models``. Standard library and filelock.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from layoutllm_tool.errors import RegistryError

Entry = dict[str, Any]
FILE = "registry.jsonl"
_PATIENCE = 60.0
"""Seconds to wait for whoever writes an entry."""


class Log:
    """The log in the folder. Reading takes no lock; writing does (see ``locked``)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def entries(self) -> list[Entry]:
        """RegistryError where there is no log, or where it is not as it was written (it says from which line on)."""
        return self._read()[0]

    def head(self) -> str:
        """SHA-256 of the last line: it vouches for all lines before it."""
        return self._read()[2]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes meanwhile. RegistryError after a minute of waiting."""
        with exclusively(self.path.parent / ".registry.lock", _PATIENCE, "somebody else is writing to this registry."):
            yield

    def append(self, event: str, facts: Mapping[str, Any]) -> Entry:
        """The entry, on the disk when this returns; call it under ``locked``. The first one makes the file."""
        entries, whole, head = self._read() if self.path.exists() else ([], 0, "")
        known = {"number": len(entries), "at": datetime.now(UTC).isoformat(timespec="seconds"), "event": event}
        entry = known | dict(facts) | {"previous": head}
        line = json.dumps(entry, ensure_ascii=True).encode() + b"\n"
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        with writing(self.path), os.fdopen(os.open(self.path, flags, 0o644), "r+b") as file:
            file.truncate(whole)
            file.seek(whole)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.path.parent)
        return entry

    def _read(self) -> tuple[list[Entry], int, str]:
        """Entries, bytes of whole lines, head."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise RegistryError(
                f"{self.path.parent} is no registry: {error.strerror}.",
                hint="Make one: layoutllm models freeze VALIDATION.jsonl --registry DIR",
            ) from error
        whole, entries, head = data.rfind(b"\n") + 1, [], ""
        for number, line in enumerate(data[:whole].split(b"\n")[:-1]):
            entries.append(self._entry(number, line, head))
            head = hashlib.sha256(line).hexdigest()
        return entries, whole, head

    def _entry(self, number: int, line: bytes, head: str) -> Entry:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._broken(number, "is no JSON") from error
        if not isinstance(entry, dict) or not isinstance(entry.get("event"), str):
            raise self._broken(number, "is no entry")
        if entry.get("number") != number or entry.get("previous") != head:
            raise self._broken(
                number, "does not follow the line before it: one of the two was changed, or lines are missing"
            )
        return entry

    def _broken(self, number: int, what: str) -> RegistryError:
        return RegistryError(
            f"{self.path} was changed by hand: line {number + 1} {what}. No model of it is trusted.",
            hint="Put the file back from a backup.",
        )


@contextmanager
def exclusively(path: Path, seconds: float, otherwise: str) -> Iterator[None]:
    """A lock between processes and threads that ends with its holder. RegistryError (retryable) after so many seconds."""
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=seconds)
    try:
        lock.acquire()
    except Timeout as error:
        busy = RegistryError(otherwise, hint="Try again once they are done.")
        busy.retryable = True
        raise busy from error
    except OSError as error:
        raise RegistryError(
            f"{path.parent} can't be written to: {error.strerror}.", hint="Check the rights to it."
        ) from error
    try:
        yield
    finally:
        lock.release()


def write_whole(path: Path, data: bytes) -> None:
    """The file as it was or with this content, whenever the machine stops."""
    aside = path.with_name(f".{path.name}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    sync_folder(path.parent)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """RegistryError where the disk is full, or nobody may write there."""
    try:
        yield
    except OSError as error:
        raise RegistryError(
            f"{path} could not be written: {error.strerror or error}.",
            hint="Look at rights and at the room on the disk.",
        ) from error


def sync_folder(folder: Path) -> None:
    """What was made or renamed in it is on the disk; nothing where folders can't be opened (Windows)."""
    if os.name != "posix":
        return
    with writing(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def version() -> str:
    """The package's; "" in a checkout that was never installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("layoutllm-tool")
    except PackageNotFoundError:
        return ""
