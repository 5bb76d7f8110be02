"""OCR results in any of the usual JSON forms -> a page. The files are untrusted: sizes and boxes are checked.

Forms: a list of {text, box}; an object that holds such a list, perhaps with the page's size; lines with
``words`` inside; two lists side by side (texts and boxes). Boxes: four numbers, eight numbers, four points.
Rotated pages are *not* turned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from layoutllm_tool.documents.geometry import SCALE, Box, Line, Page, Word
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.training.pretraining.files import spread

if TYPE_CHECKING:
    from PIL.Image import Image

Frame = Literal["pixels", "thousandths"]
MOST_ENTRIES = 5_000
_MOST_TEXT, _DEEPEST = 2_000, 4
_TEXT = ("text", "transcription", "word", "content", "words_text")
_BOX = ("box", "bbox", "bndbox", "polygon", "poly", "points", "position", "bounding_box")
_LISTS = (
    "document", "form", "lines", "results", "result", "ocr", "ocr_result", "words", "texts", "data", "pages",
)  # fmt: skip
_TEXTS, _BOXES = ("words", "texts", "tokens", "text", "ocr"), ("boxes", "bboxes", "bbox", "box", "poly")
_SIZES = ("img", "img_size", "image_size", "page", "size")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_OUTSIDE = 0.02
"""A box may reach over the page's edge by this share of its size."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A text and its corners x0, y0, x1, y1 in the file's own frame, with its words where they are given."""

    text: str
    corners: tuple[float, float, float, float]
    words: tuple[_Entry, ...] = ()


def page_of(raw: Any, image: Image | None, frame: Frame) -> Page | str:
    """The page, or why there is none. Pixels need a size: the picture's, or the file's own."""
    entries = list(_entries(raw))
    if not entries:
        return "no words in the OCR result"
    if len(entries) > MOST_ENTRIES:
        return "too many words in the OCR result"
    size = image.size if image else _size(raw)
    if size is None and frame == "pixels":
        return "a page of unknown size"
    width, height = size or (1000, 1000)
    scale = (width, height) if frame == "pixels" else (SCALE, SCALE)
    if any(_outside(entry, scale) for entry in entries):
        return "boxes outside the page"
    lines = tuple(line for entry in entries if (line := _line(entry, scale)))
    if not lines:
        return "no words in the OCR result"
    if sum(len(line.words) for line in lines) <= 1.2 * len(lines):  # entries are words, not lines
        words = [word for line in lines for word in line.words]
        lines = tuple(group_lines(words, width=width, height=height))
    return Page(1, width, height, lines, image, "given")


def _entries(raw: Any, depth: int = 0) -> Iterator[_Entry]:
    if depth > _DEEPEST:
        return
    if isinstance(raw, list):
        for item in raw[: MOST_ENTRIES + 1]:
            if entry := _entry(item):
                yield entry
            elif isinstance(item, dict):
                yield from _entries(item, depth + 1)
    elif isinstance(raw, dict):
        texts, boxes = _first(raw, _TEXTS, list) or [], _first(raw, _BOXES, list) or []
        if texts and len(texts) == len(boxes):
            yield from filter(None, map(_made, texts[: MOST_ENTRIES + 1], boxes))
        else:
            yield from _entries(_first(raw, _LISTS, list | dict), depth + 1)


def _first(raw: Mapping[str, Any], names: tuple[str, ...], kind: Any) -> Any:
    """The first of the values that is there, of this type and not empty."""
    return next((raw[name] for name in names if isinstance(raw.get(name), kind) and raw[name]), None)


def _entry(item: Any) -> _Entry | None:
    match item:
        case [box, [text, *_]]:  # PaddleOCR: [four points, [text, confidence]]
            return _made(text, box)
        case {"words": [*words]} if made := _named(item):
            return replace(made, words=tuple(filter(None, map(_named, words[:MOST_ENTRIES]))))
    return _named(item)


def _named(item: Any) -> _Entry | None:
    return _made(_first(item, _TEXT, str), _first(item, _BOX, list)) if isinstance(item, dict) else None


def _made(text: Any, box: Any) -> _Entry | None:
    if not isinstance(text, str) or len(text) > _MOST_TEXT or not text.split() or _SURROGATE.search(text):
        return None
    corners = _corners(box)
    return _Entry(text, corners) if corners else None


def _corners(box: Any) -> tuple[float, float, float, float] | None:
    if isinstance(box, list) and len(box) == 4 and all(isinstance(p, list) and len(p) == 2 for p in box):
        box = [value for point in box for value in point]
    if not isinstance(box, list) or len(box) not in (4, 8) or not all(map(_is_number, box)):
        return None
    xs, ys = box[0::2], box[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6


def _size(raw: Any) -> tuple[int, int] | None:
    """The page's width and height where the file gives them."""
    if not isinstance(raw, dict):
        return None
    for facts in (raw, *(raw[name] for name in _SIZES if isinstance(raw.get(name), dict))):
        for across, down in (("width", "height"), ("w", "h")):
            size = facts.get(across), facts.get(down)
            if all(_is_number(value) and 1 <= value <= 50_000 for value in size):
                return int(size[0]), int(size[1])
    return None


def _outside(entry: _Entry, scale: tuple[float, float]) -> bool:
    x0, y0, x1, y1 = entry.corners
    across, down = scale
    return min(x0 / across, y0 / down) < -_OUTSIDE or max(x1 / across, y1 / down) > 1 + _OUTSIDE


def _line(entry: _Entry, scale: tuple[float, float]) -> Line | None:
    """The entry's words with their own boxes, or with shares of the line's."""
    if entry.words and not any(_outside(word, scale) for word in entry.words):
        return Line(tuple(Word(" ".join(word.text.split()), _box(word, scale)) for word in entry.words))
    return next(spread(entry.text, _box(entry, scale)), None)


def _box(entry: _Entry, scale: tuple[float, float]) -> Box:
    return Box.from_pixels(*entry.corners, width=scale[0], height=scale[1])
