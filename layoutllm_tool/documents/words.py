"""Pages with known words and boxes: the JSON files of ``--words``, or the same as Python objects.

A page is one of

- ``{"words": [{"text": "Total", "box": [x0, y0, x1, y1]}, ...]}``
- ``{"lines": [{"text": "TOTAL: 9.00", "box": [...]}, ...]}``: each text is cut into words, which share
  the line's box
- ``{"form": [{"words": [{"text", "box"}, ...], ...}, ...]}``: a FUNSD annotation
- a plain list of ``{"text", "box"}``

and the file holds one page, ``{"pages": [page, ...]}``, or a list of pages. "bbox" and "bounding_box" are
synonyms of "box". Boxes are pixels of the page's picture, or 0-1000 with ``"unit": "relative"``. ``"width"``
and ``"height"`` give the size that the pixels belong to where it is not the picture's. Entries without text
are left out. Other formats (hOCR, ALTO, PAGE XML) are *not* read.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from layoutllm_tool.documents.geometry import SCALE, Box, Page, Word
from layoutllm_tool.documents.reading_order import MAX_WORDS, group_lines
from layoutllm_tool.documents.safety import Access, Limits, read_file
from layoutllm_tool.errors import DocumentUnreadable

_BOX_NAMES = ("box", "bbox", "bounding_box")
_CONTENTS = ("words", "lines", "form")
_FORMS = (
    'A page is {"words": [{"text": "Total", "box": [x0, y0, x1, y1]}]}; '
    '"lines" or FUNSD\'s "form" will do as well.'
)


def load_words(
    source: str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any],
    page_sizes: Sequence[tuple[int, int]] = (),
    *,
    access: Access | None = None,
    limits: Limits | None = None,
) -> list[Page]:
    """Pages 1, 2, ... with their lines in reading order and no picture. Text source "given".

    ``source`` is the path of a JSON file (under ``access``'s roots) or its content. ``page_sizes`` are the
    pictures' (width, height) in pixels, one for each page; without them the pages must have sizes. Raises
    DocumentUnreadable, which names the wrong entry, and what reading a file raises.
    """
    data: Any = source
    if isinstance(source, str | os.PathLike):
        name, raw = read_file(source, limits=limits or Limits(), access=access or Access())
        data = _parsed(name, raw)
    pages = _pages(data)
    if page_sizes and len(pages) != len(page_sizes):
        raise _wrong(f"there are words for {len(pages)} pages, but the document has {len(page_sizes)}")
    sizes: Sequence[tuple[int, int] | None] = page_sizes or [None] * len(pages)
    return [
        _page(number, page, size)
        for number, (page, size) in enumerate(zip(pages, sizes, strict=True), start=1)
    ]


def _wrong(problem: str) -> DocumentUnreadable:
    return DocumentUnreadable(f"the words can't be used: {problem}.", hint=_FORMS)


def _parsed(name: str, raw: bytes) -> Any:
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _wrong(f"{name!r} is not JSON ({error})") from error


def _pages(data: Any) -> list[Any]:
    """What the file holds as a list of pages."""
    if isinstance(data, Mapping):
        if "pages" not in data:
            return [data]
        if not isinstance(data["pages"], list | tuple) or not data["pages"]:
            raise _wrong('"pages" is not a list of pages')
        return list(data["pages"])
    if not isinstance(data, list | tuple):
        raise _wrong(f"they are {_kind(data)}, not an object or a list")
    nested = [isinstance(entry, list | tuple) or _is_page(entry) for entry in data]
    return list(data) if nested and all(nested) else [data]


def _is_page(entry: Any) -> bool:
    return isinstance(entry, Mapping) and any(isinstance(entry.get(name), list | tuple) for name in _CONTENTS)


def _kind(value: Any) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


def _page(number: int, data: Any, size: tuple[int, int] | None) -> Page:
    where = f"page {number}"
    fields = {"words": data} if isinstance(data, list | tuple) else data
    if not isinstance(fields, Mapping):
        raise _wrong(f"{where} is {_kind(data)}")
    unit = fields.get("unit", "pixels")
    if unit not in ("pixels", "relative"):
        raise _wrong(f'{where} has the unit {unit!r}, not "pixels" or "relative"')
    own = _size(fields, where)
    frame, page_size = own or size, size or own
    if frame is None or page_size is None:
        raise _wrong(f'{where} does not say its size: add "width" and "height"')
    words = list(
        islice(_words(fields, where, (SCALE, SCALE) if unit == "relative" else frame), MAX_WORDS + 1)
    )
    if len(words) > MAX_WORDS:
        raise _wrong(f"{where} has more than {MAX_WORDS:,} words")
    lines = group_lines(words, width=page_size[0], height=page_size[1])
    return Page(number, page_size[0], page_size[1], tuple(lines), text_source="given")


def _size(fields: Mapping[str, Any], where: str) -> tuple[int, int] | None:
    width: Any = fields.get("width")
    height: Any = fields.get("height")
    if width is None and height is None:
        return None
    if not all(_is_number(side) and 1 <= side < 1e6 for side in (width, height)):
        raise _wrong(f"{where} has the width {width!r} and the height {height!r}")
    return round(width), round(height)


def _words(fields: Mapping[str, Any], where: str, frame: tuple[float, float]) -> Iterator[Word]:
    named = [name for name in _CONTENTS if name in fields]
    if len(named) != 1:
        raise _wrong(f"{where} has {' and '.join(named) or 'neither words nor lines'}")
    for place, entry in _entries(fields[named[0]], f"{where}, {named[0]}"):
        if named[0] != "form":
            yield from _split(entry, place, frame)
            continue
        if not isinstance(entry, Mapping):
            raise _wrong(f"{place} is {_kind(entry)}")
        for inner, word in _entries(entry.get("words"), f"{place}, words"):
            yield from _split(word, inner, frame)


def _entries(entries: Any, where: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(entries, list | tuple):
        raise _wrong(f"{where} is {_kind(entries)}, not a list")
    for index, entry in enumerate(entries):
        yield f"{where}[{index}]", entry


def _split(entry: Any, place: str, frame: tuple[float, float]) -> Iterator[Word]:
    """The words of one text. Each gets the box's share of its characters, blanks counted."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("text"), str):
        raise _wrong(f"{place} has no text")
    text = entry["text"].strip()
    if not text:
        return
    box = _box(entry, place, frame)
    start = 0
    for word in text.split():
        start = text.index(word, start)
        x0, x1 = (box.x0 + box.width * end / len(text) for end in (start, start + len(word)))
        yield Word(word, Box(x0, box.y0, min(x1, box.x1), box.y1))
        start += len(word)


def _box(entry: Mapping[str, Any], place: str, frame: tuple[float, float]) -> Box:
    """Clipped to the page where it exceeds it by a rounding error; else it is another picture's."""
    name = next((name for name in _BOX_NAMES if name in entry), None)
    if name is None:
        raise _wrong(f"{place} has no box")
    corners = entry[name]
    if not isinstance(corners, list | tuple) or len(corners) != 4 or not all(map(_is_number, corners)):
        raise _wrong(f"the {name} of {place} is not four numbers")
    x0, y0, x1, y1 = corners
    slack_x, slack_y = 0.05 * frame[0], 0.05 * frame[1]
    if not (-slack_x <= min(x0, x1) and max(x0, x1) <= frame[0] + slack_x) or not (
        -slack_y <= min(y0, y1) and max(y0, y1) <= frame[1] + slack_y
    ):
        raise _wrong(
            f"the {name} of {place}, {list(corners)}, does not lie on a page of {frame[0]:g} x {frame[1]:g} "
            '(give the size the boxes belong to as "width" and "height")'
        )
    return Box.from_pixels(x0, y0, x1, y1, width=frame[0], height=frame[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
