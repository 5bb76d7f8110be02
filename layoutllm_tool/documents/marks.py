"""Boxes and circles beside labels on a form, and which of them are ticked.

Found in the words ("(x) Married", a box as a sign), and in the picture, where text recognition gives no word
for them. Boxes in pixels of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from layoutllm_tool.documents.page_layout import PageLayout, PlacedWord, Run

if TYPE_CHECKING:
    from PIL.Image import Image

SMALLEST, LARGEST = 0.5, 1.7
"""Sides of a box, in line heights."""
SQUARE = 0.75
"""Least ratio of its sides."""
HOLLOW = 0.3
"""Least share of a box that its outline encloses."""
MOST_HOLES = 12
"""Pieces in which a tick may cut a box."""
INKED = 0.09
"""Least share of ink in the middle of a ticked box."""
MIDDLE = 0.22
"""Of a side, on each end, that is no middle."""
REACH = 2.5
"""Between a box and its label, in line heights."""
STEP = 2.6
"""From one row of choices to the next, in line heights."""
TALL, MOST_PIXELS, MOST_OUTLINES = 24.0, 6_000_000, 20_000
"""Largest line height in pixels (larger pictures are shrunk); most pixels and outlines of a picture."""
MOST_CHOICES = 400
"""Of a page; where there are more, none is taken."""
GRAINY = 0.15
"""Most changes between ink and paper a pixel. Outlines of noisier pictures would take minutes."""
LEAST_CONTRAST = 40
"""Grey levels between ink and paper."""
_TICKED = frozenset("☑☒✓✔✗✘✕✖■●◉⚫⬛")
_OPEN = frozenset("☐□❑❏❒◻○◯⚪")
_BRACKETED = re.compile(r"[(\[\uff08]\s*([xXvV✓✔✗✘*•●]?)\s*[)\]\uff09]")
_PART = re.compile(r"[(\[\uff08]?\s*[xXvV✓✔✗✘*•●]?\s*[)\]\uff09]?")

Frame = tuple[float, float, float, float]
_Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Choice:
    """A label with its box, ticked or not."""

    label: Run
    box: Frame
    ticked: bool


def choices(layout: PageLayout, image: Image | None) -> list[list[Choice]]:
    """Groups of choices that stand together, of at least two each: in a row, or in rows below one another."""
    picture = None if image is None or not layout.words else _Picture.of(image, layout)
    drawn = [] if picture is None else picture.boxes(layout)
    found = list(
        islice((one for row in layout.rows for one in _in_row(row, drawn, picture)), MOST_CHOICES + 1)
    )
    if len(found) > MOST_CHOICES:
        return []
    return [group for group in _grouped(found, layout.height) if len(group) > 1]


@dataclass(frozen=True, slots=True)
class _Picture:
    """Grey values of the page; ``scale`` of them for one of its pixels."""

    pixels: _Pixels
    scale: float

    @classmethod
    def of(cls, image: Image, layout: PageLayout) -> _Picture | None:
        """None where it is too large."""
        page = layout.page
        scale = min(1.0, TALL / layout.height)
        size = max(round(page.width * scale), 1), max(round(page.height * scale), 1)
        if size[0] * size[1] > MOST_PIXELS:
            return None
        return cls(np.asarray((image if image.size == size else image.resize(size)).convert("L")), scale)

    def boxes(self, layout: PageLayout) -> list[Frame]:
        """Hollow squares and circles of the size of letters that are not part of a word."""
        import cv2

        _, ink = cv2.threshold(self.pixels, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
        if np.count_nonzero(ink[:, 1:] != ink[:, :-1]) > GRAINY * ink.size:
            return []
        outlines, tree = cv2.findContours(ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        height, found = layout.height * self.scale, []
        if tree is None or len(outlines) > MOST_OUTLINES:
            return []
        for _, _, child, parent in tree[0].tolist():
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
            box = x / self.scale, y / self.scale, (x + wide) / self.scale, (y + high) / self.scale
            area = sum(cv2.contourArea(outlines[hole]) for hole in holes)
            if area >= HOLLOW * wide * high and not _in_a_word(box, layout):
                found.append(box)
        return found if len(found) <= MOST_CHOICES else []

    def inked(self, box: Frame) -> bool:
        """Whether there is ink in the middle of a box."""
        x0, y0, x1, y1 = (value * self.scale for value in box)
        dx, dy = MIDDLE * (x1 - x0), MIDDLE * (y1 - y0)
        part = self.pixels[round(y0 + dy) : round(y1 - dy), round(x0 + dx) : round(x1 - dx)]
        around = self.pixels[max(round(y0) - 2, 0) : round(y1) + 2, max(round(x0) - 2, 0) : round(x1) + 2]
        if part.size == 0 or int(around.max()) - int(around.min()) < LEAST_CONTRAST:
            return False
        return float((part < (int(around.max()) + int(around.min())) / 2).mean()) >= INKED


def is_mark(text: str) -> bool:
    """Whether a word is a box, ticked or not, or a part of one."""
    return text in _TICKED or text in _OPEN or bool(_PART.fullmatch(text))


def complete(group: Sequence[Choice], layout: PageLayout) -> bool:
    """Whether nothing beside the group looks like another choice whose box was missed."""
    own = {word.id for choice in group for word in choice.label}
    left = [min(word.x0 for word in choice.label) for choice in group]
    first = min(choice.box[0] for choice in group)
    for choice in group:
        for word in layout.between(
            choice.box[1] - STEP * layout.height, choice.box[3] + STEP * layout.height
        ):
            if word.id in own or not any(map(str.isalnum, word.text)):
                continue
            before = layout.before(word)
            starts = before is None or word.x0 - before.x1 > layout.height
            beside = choice.box[1] < word.middle < choice.box[3] and word.x0 > first
            if beside or (starts and any(abs(word.x0 - x) < layout.height for x in left)):
                return False
    return True


@dataclass(frozen=True, slots=True)
class _Mark:
    """A box in a row, and where the words begin again behind it."""

    box: Frame
    ticked: bool


def _in_row(row: Sequence[PlacedWord], drawn: Sequence[Frame], picture: _Picture | None) -> Iterator[Choice]:
    """The row's boxes, each with the words beside it."""
    height = max(word.height for word in row)
    top, bottom = min(w.y0 for w in row), max(w.y1 for w in row)
    items: list[PlacedWord | _Mark] = list(_read_marks(row, drawn, picture))
    taken = [item.box for item in items if isinstance(item, _Mark)]
    for box in drawn:
        middle = (box[1] + box[3]) / 2
        if top - 0.2 * height < middle < bottom + 0.2 * height and not any(
            _overlap(box, one) for one in taken
        ):
            items.append(_Mark(box, picture is not None and picture.inked(box)))
    items.sort(key=lambda item: item.box[0] if isinstance(item, _Mark) else item.x0)
    for number, item in enumerate(items):
        if isinstance(item, _Mark):
            label = _label(items[number + 1 :], item.box[2], height)
            label = label or _label(items[:number][::-1], item.box[0], height, leftward=True)[::-1]
            if label:
                yield Choice(label, item.box, item.ticked)


def _label(items: Sequence[PlacedWord | _Mark], edge: float, height: float, *, leftward: bool = False) -> Run:
    """The words from an edge on, up to a gap or the next box."""
    run: list[PlacedWord] = []
    for item in items:
        if isinstance(item, _Mark):
            break
        gap = edge - item.x1 if leftward else item.x0 - edge
        if gap > (1.4 if run else REACH) * height:
            break
        run.append(item)
        edge = item.x0 if leftward else item.x1
    return tuple(run)


def _read_marks(
    row: Sequence[PlacedWord], drawn: Sequence[Frame], picture: _Picture | None
) -> Iterator[PlacedWord | _Mark]:
    """The row's words with those that are boxes in their place: signs, "(x)", "( )"."""
    at = 0
    while at < len(row):
        word = row[at]
        pair = f"{word.text} {row[at + 1].text}" if at + 1 < len(row) else ""
        for text, words in ((word.text, row[at : at + 1]), (pair, row[at : at + 2])):
            bracketed = _BRACKETED.fullmatch(text)
            sign = text in _TICKED or text in _OPEN
            if bracketed or sign:
                box = words[0].x0, words[0].y0, words[-1].x1, words[-1].y1
                if bracketed:
                    yield _Mark(box, bool(bracketed[1]))
                else:
                    seen = next(
                        (one for one in drawn if _overlap(one, box)), box
                    )  # a sign's own box is often too large
                    yield _Mark(seen, text in _TICKED or (picture is not None and picture.inked(seen)))
                at += len(words)
                break
        else:
            yield word
            at += 1


def _in_a_word(box: Frame, layout: PageLayout) -> bool:
    """Whether it lies in a word. A single sign that is no letter may be a box."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return any(
        w.x0 <= x <= w.x1 and w.y0 <= y <= w.y1 and (len(w.text) > 1 or w.text.isalnum())
        for w in layout.between(box[1] - layout.height, box[3] + layout.height)
    )


def _overlap(a: Frame, b: Frame) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _grouped(found: Sequence[Choice], height: float) -> Iterator[list[Choice]]:
    """Choices of one row, and those whose boxes stand below one another."""
    groups: list[list[Choice]] = []
    for choice in sorted(found, key=lambda one: (one.box[1], one.box[0])):
        for group in groups:
            if any(_together(choice.box, other.box, height) for other in group):
                group.append(choice)
                break
        else:
            groups.append([choice])
    yield from groups


def _together(a: Frame, b: Frame, height: float) -> bool:
    down = abs((a[1] + a[3]) / 2 - (b[1] + b[3]) / 2)
    return down < 0.6 * height or (down < STEP * height and abs(a[0] - b[0]) < height)
