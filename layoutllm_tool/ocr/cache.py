"""What was read once need not be read again: readings by content, in memory and optionally on disk.

On disk they are one JSON file each, readable by their owner only: they hold the text of documents. Several processes
may share a folder. Readings are never stale: whatever they depend on is part of the key.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from layoutllm_tool.documents.geometry import Box, Word

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMAT = 1
"""Raise it when reading a page changes otherwise than by its engine's fingerprint."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a picture was read: turned by ``turn`` degrees clockwise (0, 90, 180, 270), then by ``skew`` degrees
    counter-clockwise, and the words on the picture so turned, boxes 0-1000."""

    turn: int = 0
    skew: float = 0.0
    words: tuple[Word, ...] = ()
    legible: bool = True
    """False where there is ink, but no text that could be made out."""

    def to_json(self) -> dict[str, Any]:
        words = [[w.text, [w.box.x0, w.box.y0, w.box.x1, w.box.y1], w.confidence] for w in self.words]
        return {"turn": self.turn, "skew": self.skew, "words": words, "legible": self.legible}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reading:
        """Raises KeyError, TypeError or ValueError for what ``to_json`` never wrote."""
        words = tuple(
            Word(str(text), Box(*map(float, box)), None if sure is None else float(sure))
            for text, box, sure in data["words"]
        )
        if data["turn"] not in (0, 90, 180, 270):
            raise ValueError(f"a turn of {data['turn']!r} degrees")
        return cls(int(data["turn"]), float(data["skew"]), words, bool(data["legible"]))


def reading_key(image: Image, fingerprint: str, languages: Sequence[str]) -> str:
    """A SHA-256 of the pixels, the engine with its version and settings, and the languages in their order."""
    head = json.dumps([_FORMAT, image.mode, image.size, fingerprint, list(languages)])
    return hashlib.sha256(head.encode() + b"\0" + image.tobytes()).hexdigest()


class ReadingCache:
    """The ``entries`` last used readings in memory; with a ``folder``, on disk as well, at most ``max_bytes`` of them.

    Safe to use from several threads. A folder that can't be written to is a warning in the log, no error.
    """

    def __init__(self, folder: Path | None = None, *, entries: int = 256, max_bytes: int = 256 * 2**20) -> None:
        self.folder = folder
        self.entries = entries
        self.max_bytes = max_bytes
        self._memory: OrderedDict[str, Reading] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def on_disk(cls) -> Self:
        """In the user's cache directory: the text of the documents read stays there until it is pushed out."""
        from platformdirs import user_cache_path

        return cls(user_cache_path("layoutllm", appauthor=False) / "ocr")

    def get(self, key: str) -> Reading | None:
        """The reading, or None; a damaged file counts as none and is written anew by the next ``put``."""
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                return self._memory[key]
        found = self._load(key)
        if found is not None:
            self._remember(key, found)
        return found

    def put(self, key: str, reading: Reading) -> None:
        self._remember(key, reading)
        if self.folder is None:
            return
        try:
            self._store(self.folder, key, reading)
            self._shrink(self.folder)
        except OSError as error:
            _log.warning("what was read could not be kept in %s: %s", self.folder, error)

    def _remember(self, key: str, reading: Reading) -> None:
        with self._lock:
            self._memory[key] = reading
            self._memory.move_to_end(key)
            while len(self._memory) > self.entries:
                self._memory.popitem(last=False)

    def _load(self, key: str) -> Reading | None:
        if self.folder is None:
            return None
        path = self.folder / f"{key}.json"
        try:
            reading = Reading.from_json(json.loads(path.read_bytes()))
            os.utime(path)  # last used: the oldest goes first
        except FileNotFoundError:
            return None
        except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            _log.warning("ignoring the damaged reading %s: %r", path, error)
            return None
        return reading

    @staticmethod
    def _store(folder: Path, key: str, reading: Reading) -> None:
        """Written aside and renamed, so that no reader ever sees half a file."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=folder)  # owner only
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(reading.to_json(), file, ensure_ascii=False)
            os.replace(name, folder / f"{key}.json")
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise

    def _shrink(self, folder: Path) -> None:
        """The least recently used files go until the rest fits. Another process may delete the same ones meanwhile."""
        files = []
        for path in folder.glob("*.json"):
            with suppress(FileNotFoundError):
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        excess = sum(size for _, size, _ in files) - self.max_bytes
        for _, size, path in sorted(files):
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= size
