"""What the loaders of published data sets share: reading files, sizes of pictures, boxes.

Data sets are untrusted. File names in them may not lead out of their folder. Data in another form raises a
DocumentUnreadable that says where. Nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.errors import DocumentNotAllowed, DocumentNotFound, DocumentTooLarge, DocumentUnreadable

MAX_BYTES = 1_000_000_000
"""Of one annotation file."""
_SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn errors while reading foreign data into a DocumentUnreadable that names the place."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise DocumentUnreadable(
            f"{what} does not have the published form ({type(error).__name__}: {error}).",
            hint="Give the folder of the data set as it was published.",
        ) from error


def read_text(path: Path) -> str:
    """Read UTF-8, or Latin-1 where it is none (SROIE has both). DocumentNotFound, DocumentTooLarge."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DocumentTooLarge(f"{path.name!r} has more than {MAX_BYTES:,} bytes.", hint="Split it.")
        data = path.read_bytes()
    except OSError as error:
        raise DocumentNotFound(
            f"there is no file {str(path)!r}.", hint="Say with --data where the data lies."
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_json(path: Path) -> Any:
    """Read one JSON value. DocumentUnreadable."""
    text = read_text(path)
    with reading(repr(path.name)):
        return json.loads(text)


def read_lines(path: Path) -> list[Any]:
    """Read one JSON value a line (.jsonl). DocumentUnreadable."""
    text = read_text(path)
    with reading(repr(path.name)):
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def read_entries(path: Path, name: str = "data") -> list[Any]:
    """Read a JSON list, the list under ``name`` of a JSON object, or a .jsonl file."""
    if path.suffix == ".jsonl":
        return read_lines(path)
    data = read_json(path)
    with reading(repr(path.name)):
        found = data[name] if isinstance(data, dict) else data
        if not isinstance(found, list):
            raise TypeError(f"{name!r} is no list")
        return found


def first_file(data: Path, names: Sequence[str], what: str) -> Path:
    """The first of these files that lies in the folder. DocumentNotFound names them all."""
    for name in names:
        if (data / name).is_file():
            return data / name
    raise DocumentNotFound(f"{data} holds no {what}.", hint=f"Looked for {', '.join(names)}.")


def inside(data: Path, *names: str) -> Path:
    """The first of these paths, relative to the folder, that is a file; else the last of them.

    DocumentNotAllowed where one leads out of the folder.
    """
    root = data.resolve()
    for name in names:
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            raise DocumentNotAllowed(f"{name!r} lies outside {data}.", hint="A set names its own files only.")
        if path.is_file():
            break
    return path


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels, upright. DocumentNotFound, DocumentUnreadable."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            return (height, width) if image.getexif().get(0x0112) in _SIDEWAYS else (width, height)
    except FileNotFoundError as error:
        raise DocumentNotFound(
            f"there is no picture {str(path)!r}.", hint="Put the data set's pictures there."
        ) from error
    except Exception as error:
        raise DocumentUnreadable(
            f"the picture {path.name!r} can't be read.", hint="Get it again from the data set."
        ) from error


def around(corners: Iterable[tuple[float, float]]) -> list[float]:
    """[x0, y0, x1, y1] around points."""
    xs, ys = zip(*((float(x), float(y)) for x, y in corners), strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def pairs(numbers: Sequence[float]) -> Iterator[tuple[float, float]]:
    """[x, y, x, y, ...] -> (x, y), (x, y), ..."""
    return zip(numbers[::2], numbers[1::2], strict=True)


def box_around(boxes: Iterable[Sequence[float]], size: tuple[int, int]) -> Box:
    """The smallest box (0-1000) around boxes in pixels."""
    return Box.union(Box.from_pixels(*box, width=size[0], height=size[1]) for box in boxes)
