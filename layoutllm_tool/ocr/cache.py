"""Caches readings by content, in memory and optionally on disk. Readings are never stale: the key holds all
they depend on.

On disk a reading is one JSON file, readable by its owner only. Several processes may share a folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import cachetools

from layoutllm_tool.documents.geometry import Box, Word
from layoutllm_tool.places import cache_folder

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMAT = 1
"""Increase it when readings change for another reason than the engine's fingerprint."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a picture was read: turned by ``turn`` degrees clockwise (0, 90, 180, 270), then by ``skew``
    degrees counter-clockwise, and the words on the picture so turned, boxes 0-1000."""

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
    """The ``entries`` last used readings in memory; with a ``folder``, also on disk, at most ``max_bytes`` of
    them.

    Safe to use from several threads. A folder that can't be written to is a warning in the log, no error.
    """

    def __init__(
        self, folder: Path | None = None, *, entries: int = 256, max_bytes: int = 256 * 2**20
    ) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._memory: cachetools.LRUCache[str, Reading] = cachetools.LRUCache(entries)
        self._lock = threading.Lock()

    @classmethod
    def on_disk(cls) -> Self:
        """In the user's cache directory, where the documents' text stays until newer readings replace it."""
        return cls(cache_folder() / "ocr")

    def get(self, key: str) -> Reading | None:
        """The reading, or None. A damaged file counts as none; the next ``put`` replaces it."""
        with self._lock:
            found = self._memory.get(key)
        if found is None and (found := self._load(key)) is not None:
            with self._lock:
                self._memory[key] = found
        return found

    def put(self, key: str, reading: Reading) -> None:
        with self._lock:
            self._memory[key] = reading
        if self.folder is None:
            return
        try:
            self._store(self.folder, key, reading)
            self._shrink(self.folder)
        except OSError as error:
            _log.warning("what was read could not be kept in %s: %s", self.folder, error)

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
        """Write a temporary file and rename it, so that no process sees half a file."""
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
        """Delete the least recently used files until the rest fits. Other processes may do so, too."""
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
