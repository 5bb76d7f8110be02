"""Read a data set's untrusted files: sizes are bounded, errors are those of the package."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.documents.geometry import Box, Line, Word
from layoutllm_tool.errors import DocumentNotFound, DocumentTooLarge, DocumentUnreadable

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_BYTES = 64_000_000
"""Of one file, decompressed."""
MOST_PIXELS = 40_000_000
MOST_ITEM = 2_000_000
"""Characters of one item of a list."""
_CHUNK = 1 << 16


def damaged(what: str) -> DocumentUnreadable:
    """The error for data that is not what it should be."""
    return DocumentUnreadable(what, hint="Fetch it again.")


def folder(path: Path, what: str, needed: str) -> Path:
    """The folder; DocumentNotFound, which says what to give, where nothing in it fits ``needed``."""
    if not path.is_dir() or next(path.glob(needed), None) is None:
        hint = f"Give the folder of {what} that holds {needed}."
        raise DocumentNotFound(f"{path} holds no {what}.", hint=hint)
    return path


def gunzipped(path: Path) -> str:
    """A gzip file's text; DocumentTooLarge over MOST_BYTES."""
    try:
        with gzip.open(path) as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise DocumentTooLarge(f"{path.name} unpacks to over {MOST_BYTES} bytes.")
        return data.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise damaged(f"{path.name} is damaged: {error}.") from error


def parsed(text: str | bytes, name: str) -> Any:
    """JSON; DocumentUnreadable names the file."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(f"{name} is not the JSON it should be: {error}.") from error


def read_json(path: Path) -> Any:
    """A JSON file; DocumentUnreadable where it is none or over MOST_BYTES."""
    if path.stat().st_size > MOST_BYTES:
        raise damaged(f"{path.name} is over {MOST_BYTES} bytes.")
    return parsed(path.read_bytes(), path.name)


def read_items(path: Path) -> Iterator[Any]:
    """The items of a JSON list or JSON Lines, one in memory. DocumentUnreadable for anything else."""
    decoder, buffer, more, number = json.JSONDecoder(), "", True, 0
    with path.open(encoding="utf-8", errors="replace") as file:
        while True:
            buffer = buffer.lstrip(" \t\r\n,\ufeff" if number else " \t\r\n[\ufeff")
            if buffer.startswith("]") or (not buffer and not more):
                return
            try:
                item, end = decoder.raw_decode(buffer) if buffer else (None, 0)
            except (ValueError, RecursionError):
                end = 0
            if end and (end < len(buffer) or not more):
                yield item
                number, buffer = number + 1, buffer[end:]
                continue
            if not more or len(buffer) > MOST_ITEM:
                raise damaged(f"item {number} of {path.name} is no JSON, is cut off or nests too deeply.")
            chunk = file.read(max(_CHUNK, len(buffer)))
            buffer, more = buffer + chunk, bool(chunk)


def offsets(path: Path) -> list[int]:
    """Where each line of a file begins: a file of any size is read a line at a time."""
    found, at = [], 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                found.append(at)
            at += len(line)
    return found


def line_at(path: Path, offset: int) -> bytes:
    """The line that begins there; DocumentTooLarge over MOST_BYTES."""
    with path.open("rb") as file:
        file.seek(offset)
        line = file.readline(MOST_BYTES + 1)
    if len(line) > MOST_BYTES:
        raise DocumentTooLarge(f"a line of {path.name} is over {MOST_BYTES} bytes.")
    return line


def picture(inside: Path, name: str) -> Image:
    """The picture of that name in the folder, grey: a name never leads out of it."""
    from PIL import Image, UnidentifiedImageError

    path = inside / Path(name).name
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DocumentTooLarge(f"{path.name} has over {MOST_PIXELS} pixels.")
            return image.convert("L")
    except FileNotFoundError as error:
        raise DocumentNotFound(f"{path} is missing.", hint="Give the folder with its pictures.") from error
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise damaged(f"{path.name} can't be read: {error}.") from error


def spread(text: str, box: Box, rows: int = 1) -> Iterator[Line]:
    """The text's words over ``rows`` equal rows of the box, each as wide as its share of the letters.

    For data that gives the box of a cell, not of its words.
    """
    words = text.split()
    rows = max(1, min(rows, len(words)))
    room, filled, height = max(len(" ".join(words)) / rows, 1.0), 0, box.height / rows
    parts: list[list[str]] = [[] for _ in range(rows)]
    for at, word in enumerate(words):
        # Every row behind keeps a word.
        row = max(min(int((filled + len(word) / 2) / room), rows - 1, at), rows - len(words) + at)
        parts[row].append(word)
        filled += len(word) + 1
    for row, part in enumerate(parts):
        if part:
            yield Line(tuple(_row(part, box.x0, box.y0 + row * height, box.x1, box.y0 + (row + 1) * height)))


def _row(words: list[str], x0: float, y0: float, x1: float, y1: float) -> Iterator[Word]:
    size, at = len(" ".join(words)), 0
    for word in words:
        left, right = (x0 + (x1 - x0) * share / size for share in (at, at + len(word)))
        yield Word(word, Box(min(left, x1), y0, min(right, x1), min(y1, 1000.0)))
        at += len(word) + 1
