"""Boxes and circles beside labels on a form, and which of them are ticked.

Found in the words ("(x) Married", a box as a sign), and in the picture, where text recognition gives no word
for them. Boxes in pixels of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from layoutllm_tool.documents.page_layout import PageLayout, PlacedWord, Run
from layoutllm_tool.documents.tick_boxes import MOST_BOXES, Frame, Picture

if TYPE_CHECKING:
    from PIL.Image import Image

REACH = 2.5
"""Between a box and its label, in line heights."""
STEP = 2.6
"""From one row of choices to the next, in line heights."""
_TICKED = frozenset("☑☒✓✔✗✘✕✖■●◉⚫⬛")
_OPEN = frozenset("☐□❑❏❒◻○◯⚪")
_BRACKETED = re.compile(r"[(\[\uff08]\s*([xXvV✓✔✗✘*•●]?)\s*[)\]\uff09]")
_BRACKET = re.compile(r"[(\[\uff08\])\uff09]")
_PART = re.compile(r"[(\[\uff08]?\s*[xXvV✓✔✗✘*•●]?\s*[)\]\uff09]?")


@dataclass(frozen=True, slots=True)
class Mark:
    """A box or circle, ticked or not; ``words`` are those that say it, () where it is drawn."""

    box: Frame
    ticked: bool
    words: Run = ()


_Boxed = TypeVar("_Boxed", "Mark", "Choice")
MarkedRow = tuple[Run, list[Mark]]
"""A row of words and the boxes in it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A label with its box, ticked or not."""

    label: Run
    box: Frame
    ticked: bool


def marked_rows(layout: PageLayout, image: Image | None) -> list[MarkedRow]:
    """The page's rows with their boxes, those without any left out; [] where there are too many boxes."""
    picture = drawn = None
    if image is not None and layout.words:
        picture = Picture.of(image, (layout.page.width, layout.page.height), layout.height)
    if picture is not None:
        drawn = [one.frame for one in picture.boxes(layout.height) if not _in_a_word(one.frame, layout)]
    if drawn is None or len(drawn) > MOST_BOXES:
        drawn = []
    found = [(row, marks) for row in layout.rows if (marks := _marks(row, drawn, picture))]
    return found if sum(len(marks) for _, marks in found) <= MOST_BOXES else []


def choices(rows: Sequence[MarkedRow], layout: PageLayout) -> list[list[Choice]]:
    """Groups of choices that stand together, of at least two each: in a row, or in rows below one another."""
    found = [one for row, marks in rows for one in _labelled(row, marks)]
    return [group for group in _grouped(found, layout.height) if len(group) > 1]


def drawn_marks(rows: Sequence[MarkedRow], layout: PageLayout) -> list[MarkedRow]:
    """The rows with those boxes that are no "(x)" in the text, and stand together with others."""
    groups = _grouped([mark for _, marks in rows for mark in marks], layout.height)
    together = (mark for group in groups if len(group) > 1 for mark in group)
    kept = {mark.box for mark in together if not any(_BRACKET.search(word.text) for word in mark.words)}
    found = [(row, [mark for mark in marks if mark.box in kept]) for row, marks in rows]
    return [(row, marks) for row, marks in found if marks]


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


def _marks(row: Run, drawn: Sequence[Frame], picture: Picture | None) -> list[Mark]:
    """The row's boxes: those that are words, and those that are drawn."""
    height = max(word.height for word in row)
    top, bottom = min(w.y0 for w in row), max(w.y1 for w in row)
    found = list(_read_marks(row, drawn, picture))
    for box in drawn:
        middle = (box[1] + box[3]) / 2
        if top - 0.2 * height < middle < bottom + 0.2 * height and not any(
            _overlap(box, one.box) for one in found
        ):
            found.append(Mark(box, picture is not None and picture.inked(box)))
    return found


def _labelled(row: Run, marks: Sequence[Mark]) -> Iterator[Choice]:
    """Each box with the words beside it."""
    height = max(word.height for word in row)
    taken = {word.id for mark in marks for word in mark.words}
    items: list[PlacedWord | Mark] = [*(word for word in row if word.id not in taken), *marks]
    items.sort(key=lambda item: item.box[0] if isinstance(item, Mark) else item.x0)
    for number, item in enumerate(items):
        if isinstance(item, Mark):
            label = _label(items[number + 1 :], item.box[2], height)
            label = label or _label(items[:number][::-1], item.box[0], height, leftward=True)[::-1]
            if label:
                yield Choice(label, item.box, item.ticked)


def _label(items: Sequence[PlacedWord | Mark], edge: float, height: float, *, leftward: bool = False) -> Run:
    """The words from an edge on, up to a gap or the next box."""
    run: list[PlacedWord] = []
    for item in items:
        if isinstance(item, Mark):
            break
        gap = edge - item.x1 if leftward else item.x0 - edge
        if gap > (1.4 if run else REACH) * height:
            break
        run.append(item)
        edge = item.x0 if leftward else item.x1
    return tuple(run)


def _read_marks(row: Run, drawn: Sequence[Frame], picture: Picture | None) -> Iterator[Mark]:
    """Words that are boxes: signs, "(x)", "( )"."""
    at = 0
    while at < len(row):
        word = row[at]
        pair = f"{word.text} {row[at + 1].text}" if at + 1 < len(row) else ""
        step = 1
        for text, words in ((word.text, row[at : at + 1]), (pair, row[at : at + 2])):
            box = words[0].x0, words[0].y0, words[-1].x1, words[-1].y1
            if bracketed := _BRACKETED.fullmatch(text):
                yield Mark(box, bool(bracketed[1]), words)
            elif text in _TICKED or text in _OPEN:
                # A sign's own box is often too large.
                seen = next((one for one in drawn if _overlap(one, box)), box)
                yield Mark(seen, text in _TICKED or (picture is not None and picture.inked(seen)), words)
            else:
                continue
            step = len(words)
            break
        at += step


def _in_a_word(box: Frame, layout: PageLayout) -> bool:
    """Whether it lies in a word. A single sign that is no letter may be a box."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return any(
        w.x0 <= x <= w.x1 and w.y0 <= y <= w.y1 and (len(w.text) > 1 or w.text.isalnum())
        for w in layout.between(box[1] - layout.height, box[3] + layout.height)
    )


def _overlap(a: Frame, b: Frame) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _grouped(found: Sequence[_Boxed], height: float) -> Iterator[list[_Boxed]]:
    """Those of one row, and those whose boxes stand below one another."""
    groups: list[list[_Boxed]] = []
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
