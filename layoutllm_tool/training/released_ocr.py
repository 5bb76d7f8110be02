"""OCR results in any of the usual JSON forms -> a page. Whoever wrote them is a stranger: sizes and boxes are checked.

Forms: a list of {text, box}; an object that holds such a list (with the page's size, perhaps); lines with ``words``
inside; two lists side by side (words and boxes). Boxes: four numbers, eight numbers, four points. Rotated pages are *not* turned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from layoutllm_tool.documents.geometry import SCALE, Box, Line, Page, Word
from layoutllm_tool.documents.reading_order import group_lines

if TYPE_CHECKING:
    from PIL.Image import Image

Frame = Literal["pixels", "thousandths"]
MOST_PARTS = 5_000
_MOST_TEXT = 2_000
_TEXT = ("text", "transcription", "word", "content", "words_text")
_BOXES = ("box", "bbox", "bndbox", "polygon", "poly", "points", "position", "bounding_box")
_LISTS = ("document", "form", "lines", "results", "result", "ocr", "ocr_result", "words", "texts", "data", "pages")
_BESIDE = (("words", "boxes"), ("words", "bboxes"), ("texts", "boxes"), ("texts", "bboxes"), ("tokens", "bboxes"), ("text", "bbox"), ("text", "box"), ("ocr", "poly"))  # fmt: skip
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_OUTSIDE = 0.02
"""A box may reach over the page's edge by this share of its size."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A text and its corners, in the file's own frame; the words in it where they are given."""

    text: str
    corners: tuple[float, float, float, float]
    words: tuple[_Part, ...] = ()


def page_of(raw: Any, image: Image | None, frame: Frame) -> Page | str:
    """The page, or why there is none. Pixels need a size: the picture's, or the file's own."""
    parts = list(_parts(raw, 0))
    if not parts:
        return "no words in the OCR result"
    if len(parts) > MOST_PARTS:
        return "too many words in the OCR result"
    size = image.size if image else _size(raw)
    if size is None and frame == "pixels":
        return "a page of unknown size"
    width, height = size or (1000, 1000)
    across, down = (width, height) if frame == "pixels" else (SCALE, SCALE)
    if any(_outside(part, across, down) for part in parts):
        return "boxes outside the page"
    lines = tuple(line for part in parts if (line := _line(part, across, down)))
    if not lines:
        return "no words in the OCR result"
    if sum(len(line.words) for line in lines) <= 1.2 * len(lines):  # words, not lines
        lines = tuple(group_lines([word for line in lines for word in line.words], width=width, height=height))
    return Page(1, width, height, lines, image, "given")


def _parts(raw: Any, depth: int) -> Iterator[_Part]:
    if depth > 4:
        return
    if isinstance(raw, list):
        for entry in raw[: MOST_PARTS + 1]:
            part = _part(entry) if isinstance(entry, dict) else _listed(entry)
            if part:
                yield part
            elif isinstance(entry, dict):
                yield from _parts(entry, depth + 1)
    elif isinstance(raw, dict):
        for texts, boxes in _BESIDE:
            a, b = raw.get(texts), raw.get(boxes)
            if isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and a:
                yield from (p for t, box in zip(a[: MOST_PARTS + 1], b, strict=False) if (p := _made(t, box)))
                return
        found = next((raw[name] for name in _LISTS if isinstance(raw.get(name), list | dict) and raw[name]), None)
        if found is not None:
            yield from _parts(found, depth + 1)


def _part(entry: Mapping[str, Any]) -> _Part | None:
    text = next((entry[name] for name in _TEXT if isinstance(entry.get(name), str)), None)
    box = next((entry[name] for name in _BOXES if entry.get(name)), None)
    made = _made(text, box)
    inner = entry.get("words")
    if made and isinstance(inner, list):
        words = tuple(p for w in inner[:MOST_PARTS] if isinstance(w, dict) and (p := _made(w.get("text"), next((w[n] for n in _BOXES if w.get(n)), None))))  # fmt: skip
        return _Part(made.text, made.corners, words)
    return made


def _listed(entry: Any) -> _Part | None:
    """PaddleOCR's form: [four points, [text, confidence]]."""
    if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], list) and entry[1]:
        return _made(entry[1][0], entry[0])
    return None


def _made(text: Any, box: Any) -> _Part | None:
    corners = _corners(box)
    return _Part(text, corners) if isinstance(text, str) and len(text) <= _MOST_TEXT and text.split() and not _SURROGATE.search(text) and corners else None  # fmt: skip


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
    for where in (
        raw,
        *(raw[n] for n in ("img", "img_size", "image_size", "page", "size") if isinstance(raw.get(n), dict)),
    ):
        for w, h in (("width", "height"), ("w", "h")):
            width, height = where.get(w), where.get(h)
            if _is_number(width) and _is_number(height) and 1 <= width <= 50_000 and 1 <= height <= 50_000:
                return int(width), int(height)
    return None


def _outside(part: _Part, across: float, down: float) -> bool:
    x0, y0, x1, y1 = part.corners
    return x0 < -_OUTSIDE * across or y0 < -_OUTSIDE * down or x1 > (1 + _OUTSIDE) * across or y1 > (1 + _OUTSIDE) * down  # fmt: skip


def _line(part: _Part, across: float, down: float) -> Line | None:
    """The part's words with their own boxes, or with shares of the line's."""
    from layoutllm_tool.training.pretraining.files import spread

    if part.words and not any(_outside(word, across, down) for word in part.words):
        return Line(
            tuple(Word(text, _box(w, across, down)) for w in part.words for text in (" ".join(w.text.split()),))
        )
    return next(spread(part.text, _box(part, across, down)), None)


def _box(part: _Part, across: float, down: float) -> Box:
    x0, y0, x1, y1 = part.corners
    return Box.from_pixels(x0, y0, x1, y1, width=across, height=down)
