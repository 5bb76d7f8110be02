"""Where a text stands letter for letter, which place of a key is nearest, and how the two stand together.

Boxes 0-1000. Where a misread text stands is *not* here: see ``align.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from layoutllm_tool.documents.align import Place, WordIndex, find, joined
from layoutllm_tool.documents.geometry import Box, Page, box_of

if TYPE_CHECKING:
    from layoutllm_tool.cot import Relation

TOP = 350.0
"""What begins above this may be called the top of the page."""


def occurrences(answer: str, page: Page, lines: Iterable[int]) -> Iterator[Place]:
    """Where the answer stands letter for letter in these lines' words, not inside a longer word or number."""
    order = sorted(set(lines))
    words = [(i, j) for i in order for j in range(len((page.lines or ())[i].words))]
    text, starts = joined(page, tuple(words)), []
    at = 0
    for i, j in words:
        starts.append(at)
        at += len((page.lines or ())[i].words[j].text) + 1
    begin = text.find(answer) if answer.strip() else -1
    while begin >= 0:
        if not _cuts(text, begin) and not _cuts(text, begin + len(answer)):
            yield _place(words, starts, begin, answer)
        begin = text.find(answer, begin + 1)


def nearest(text: str, page: Page, near: Box) -> list[Place]:
    """Where the text stands, misread or not; the nearest to ``near`` first."""
    x, y = near.center

    def distance(place: Place) -> float:
        box = box_of(page, place.words)
        return abs(min(max(x, box.x0), box.x1) - x) + 2 * abs(min(max(y, box.y0), box.y1) - y)

    return sorted(find(text, page, threshold=0.85), key=distance)


def fits(relation: Relation, key: Place | None, answer: Place, page: Page) -> bool:
    """Whether the answer stands to its key as the relation says, or alone if there is no key."""
    box = box_of(page, answer.words)
    if relation == "none":
        return False
    if relation == "top of page":
        return box.y0 < TOP
    if key is None:
        return relation == "inside"
    if relation == "inside":
        return bool(set(key.lines) & set(answer.lines))
    other = box_of(page, key.words)
    shared = min(box.y1, other.y1) - max(box.y0, other.y0)
    row = shared >= 0.3 * min(box.height, other.height)
    if relation == "right of":
        return row and box.center[0] > other.center[0]
    return not row and box.center[1] > other.center[1]


def _place(words: list[WordIndex], starts: list[int], begin: int, answer: str) -> Place:
    end = begin + len(answer)
    ends = [*starts[1:], end + 1]
    inside = [k for k in range(len(words)) if starts[k] < end and ends[k] - 1 > begin]
    return Place(tuple(words[k] for k in inside), answer, 1.0, begin - starts[inside[0]])


def _cuts(text: str, at: int) -> bool:
    """Whether a border at this character would cut a word or a number in two."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if before.isalnum() and after.isalnum():
        return before.isdigit() == after.isdigit()
    if after.isdigit() and before in ".," and at > 1:
        return text[at - 2].isdigit()
    return before.isdigit() and after in ".," and text[at + 1 : at + 2].isdigit()
