"""Tick boxes in a page's picture: hollow squares and circles of a letter's size, in pixels of the page.

Text recognition often reads the labels of several boxes as one word ("WorkSchool"): ``cut_at_boxes``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from layoutllm_tool.documents.geometry import SCALE, Word

if TYPE_CHECKING:
    from PIL.Image import Image

SMALLEST, LARGEST = 0.5, 1.7
"""Sides of a box, in line heights."""
SQUARE = 0.75
"""Least ratio of its sides."""
HOLLOW = 0.3
"""Least share of a box that its outline encloses."""
CORNERED = 0.9
"""Least share of its frame that a square with corners fills: on photos 0.91 and more, letters mostly less."""
MOST_HOLES = 12
"""Pieces in which a tick may cut a box."""
INKED = 0.09
"""Least share of ink in the middle of a ticked box."""
MIDDLE = 0.22
"""Of a side, on each end, that is no middle."""
TALL, MOST_PIXELS, MOST_OUTLINES, MOST_BOXES = 24.0, 6_000_000, 20_000, 400
"""Largest line height in pixels (larger pictures are shrunk); most pixels, outlines, boxes of a picture."""
GRAINY = 0.15
"""Most changes between ink and paper a pixel. Outlines of noisier pictures would take minutes."""
LEAST_CONTRAST = 40
"""Grey levels between ink and paper."""
_READ_AS = frozenset("O0oDQU口囗□☐☑☒■vVxX✓✔[](){}|")
"""What text recognition takes a tick box for."""

Frame = tuple[float, float, float, float]
_Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TickBox:
    """``cornered``: it is a square, and no letter."""

    frame: Frame
    cornered: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """Grey values of the page; ``scale`` of them for one of its pixels."""

    pixels: _Pixels
    scale: float

    @classmethod
    def of(cls, image: Image, size: tuple[int, int], height: float) -> Picture | None:
        """Of a page of (width, height) pixels with lines of that height; None where it is too large."""
        scale = min(1.0, TALL / height)
        size = max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
        if size[0] * size[1] > MOST_PIXELS:
            return None
        return cls(np.asarray((image if image.size == size else image.resize(size)).convert("L")), scale)

    def boxes(self, height: float) -> list[TickBox]:
        """Hollow squares and circles of the size of letters; letters such as O are among them."""
        import cv2

        _, ink = cv2.threshold(self.pixels, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
        if np.count_nonzero(ink[:, 1:] != ink[:, :-1]) > GRAINY * ink.size:
            return []
        outlines, tree = cv2.findContours(ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        if tree is None or len(outlines) > MOST_OUTLINES:
            return []
        height, found = height * self.scale, []
        for number, (_, _, child, parent) in enumerate(tree[0].tolist()):
            holes = []
            while parent < 0 <= child:  # the outline of something with holes
                holes.append(child)
                child = int(tree[0][child][0])
            if not holes or len(holes) > MOST_HOLES:
                continue
            # A tick may cut the inside of a box in pieces and lead out of it: take the box around the pieces.
            x, y, wide, high = cv2.boundingRect(np.concatenate([outlines[hole] for hole in holes]))
            sides = sorted((wide, high))
            if not SMALLEST * height <= sides[1] <= LARGEST * height or sides[0] < SQUARE * sides[1]:
                continue
            frame = x / self.scale, y / self.scale, (x + wide) / self.scale, (y + high) / self.scale
            if sum(cv2.contourArea(outlines[hole]) for hole in holes) >= HOLLOW * wide * high:
                found.append(
                    TickBox(frame, _is_cornered(outlines[number], [outlines[hole] for hole in holes]))
                )
        return found

    def inked(self, box: Frame) -> bool:
        """Whether there is ink in the middle of a box."""
        x0, y0, x1, y1 = (value * self.scale for value in box)
        dx, dy = MIDDLE * (x1 - x0), MIDDLE * (y1 - y0)
        part = self.pixels[round(y0 + dy) : round(y1 - dy), round(x0 + dx) : round(x1 - dx)]
        around = self.pixels[max(round(y0) - 2, 0) : round(y1) + 2, max(round(x0) - 2, 0) : round(x1) + 2]
        if part.size == 0 or int(around.max()) - int(around.min()) < LEAST_CONTRAST:
            return False
        return float((part < (int(around.max()) + int(around.min())) / 2).mean()) >= INKED


def _is_cornered(outline: Any, holes: Sequence[Any]) -> bool:
    """Whether the box fills its frame, seen from outside or, where a tick leads out of it, from inside."""
    import cv2

    shares = []
    for points in (outline, cv2.convexHull(np.concatenate(holes))):
        _, _, wide, high = cv2.boundingRect(points)
        shares.append(cv2.contourArea(points) / max((wide - 1) * (high - 1), 1))
    return max(shares) >= CORNERED


def cut_at_boxes(words: Sequence[Word], image: Image) -> list[Word]:
    """The words, those that run across tick boxes cut there, without the letters that boxes were taken for.

    Boxes of words are 0-1000 of the picture. Nothing is cut at a single box on a page: it may be a letter of
    an uncommon font.
    """
    if not words:
        return []
    height = median(word.box.height for word in words) * image.height / SCALE
    picture = Picture.of(image, image.size, height) if height else None
    boxes = [] if picture is None else [one.frame for one in picture.boxes(height) if one.cornered]
    if not 2 <= len(boxes) <= MOST_BOXES:
        return list(words)
    across, down = SCALE / image.width, SCALE / image.height
    frames = sorted((x0 * across, y0 * down, x1 * across, y1 * down) for x0, y0, x1, y1 in boxes)
    return [part for word in words for part in _cut(word, frames)]


def _cut(word: Word, boxes: Sequence[Frame]) -> Iterator[Word]:
    box = word.box
    for x0, y0, x1, y1 in boxes:
        if not (box.x0 <= (x0 + x1) / 2 <= box.x1 and box.y0 <= (y0 + y1) / 2 <= box.y1):
            continue
        place = _place(word.text, (x0 - box.x0) / max(box.width - (x1 - x0), 1e-6))
        if place is None or len(word.text) < 2:
            continue
        start, stop = place
        if start:
            yield replace(word, text=word.text[:start], box=replace(box, x1=max(x0, box.x0)))
        box = replace(box, x0=min(x1, box.x1))
        word = replace(word, text=word.text[stop:], box=box)
        if not word.text:
            return
    yield word


def _place(text: str, share: float) -> tuple[int, int] | None:
    """(start, stop) of the letters that a box was taken for, where this share of the word is before it; None
    where the word has a letter there that looks like a box.
    """
    guess = min(max(share, 0.0), 1.0) * len(text)
    places = sorted(range(len(text) + 1), key=lambda at: abs(at - guess))
    near = [at for at in places if abs(at - guess) <= 2.0]
    for at in near:
        if at < len(text) and text[at] in _READ_AS and not text[at].isalnum():
            return at, at + 1
    for at in near:
        if text[at : at + 1] in _READ_AS and _begins(text, at + 1) and (at == 0 or text[at - 1].islower()):
            return at, at + 1
    for at in near:
        if 0 < at < len(text) and (_begins(text, at) or text[at - 1].isdigit() != text[at].isdigit()):
            return at, at
    at = near[0]
    return None if _READ_AS.intersection(text[max(at - 1, 0) : at + 1]) else (at, at)


def _begins(text: str, at: int) -> bool:
    """Whether a capital stands there that is not one of several: the first letter of a label."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    return text[at : at + 1].isupper() and (after.islower() or (before.islower() and not after))
