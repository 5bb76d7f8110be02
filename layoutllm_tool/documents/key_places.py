"""Places beside the lines that hold a key: after it, right of it, below it. Standard library only.

Compares words case-blind. Does not correct spelling and does not read tables.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layoutllm_tool.documents.geometry import Box, Line, Page
from layoutllm_tool.documents.search import plain

if TYPE_CHECKING:
    from layoutllm_tool.cot import Relation

ENOUGH = 0.5
"""Least share of the key's words in a line that counts as the key's."""
MOST_KEY_LINES = 100
"""Key lines looked at on one page, those with the largest share first."""


@dataclass(frozen=True, slots=True)
class Found:
    """A place that could be the answer: words of one line, seen from the line that holds the key."""

    page: Page
    key_line: int
    line: int
    words: tuple[int, ...]
    relation: Relation
    key: str
    share: float

    @property
    def text(self) -> str:
        words = (self.page.lines or ())[self.line].words
        return " ".join(words[i].text for i in self.words)

    @property
    def box(self) -> Box:
        words = (self.page.lines or ())[self.line].words
        return Box.union(words[i].box for i in self.words)


def places(page: Page, key: str) -> Iterator[Found]:
    """Where the value may be: after, right of and below each key line, in reading order."""
    terms = {term for word in key.split() if (term := plain(word))}
    lines = page.lines or ()
    texts = [[plain(word.text) for word in line.words] for line in lines]
    around = _Neighbours(lines)
    for index, share in _key_lines(texts, terms):
        words = lines[index].words
        hits = [i for i, text in enumerate(texts[index]) if text in terms]
        found = " ".join(words[i].text for i in hits)
        rest = tuple(range(hits[-1] + 1, len(words)))
        while rest and not texts[index][rest[0]]:
            rest = rest[1:]
        if rest:
            yield Found(page, index, index, rest, "inside", found, share)
        for relation, other in around.of(index):
            if not all(text in terms for text in texts[other]):  # another key of the same name is no value
                yield Found(page, index, other, all_words(page, other), relation, found, share)


def _key_lines(texts: Sequence[Sequence[str]], terms: Collection[str]) -> list[tuple[int, float]]:
    """(line, share of the key's words) in reading order."""
    shares = [
        (i, len({text for text in line if text in terms}) / len(terms))
        for i, line in enumerate(texts)
        if terms
    ]
    best = sorted((found for found in shares if found[1] >= ENOUGH), key=lambda found: -found[1])
    return sorted(best[:MOST_KEY_LINES])


class _Neighbours:
    """Each line's nearest neighbours. Sorts lines by their tops once, and searches only near a line."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.boxes = [line.box for line in lines]
        self.order = sorted((box.y0, box.x0, i) for i, box in enumerate(self.boxes))
        self.tallest = max((box.height for box in self.boxes), default=0.0)

    def of(self, line: int) -> Iterator[tuple[Relation, int]]:
        box = self.boxes[line]
        row = [
            (self.boxes[i].x0, i)
            for i in self._between(box.y0 - self.tallest, box.y1)
            if self._beside(box, i)
        ]
        if row:
            yield "right of", min(row)[-1]
        below = self._between(box.y1, math.inf)
        if (found := next((i for i in below if i != line and self._over(box, i)), None)) is not None:
            yield "below", found

    def _between(self, top: float, bottom: float) -> Iterator[int]:
        """Lines whose tops lie there, from the top."""
        for at in range(bisect_left(self.order, (top,)), len(self.order)):
            y, _, i = self.order[at]
            if y > bottom:
                return
            yield i

    def _beside(self, box: Box, i: int) -> bool:
        other = self.boxes[i]
        return (
            other.x0 >= box.x1
            and min(other.y1, box.y1) - max(other.y0, box.y0) > box.height / 2
            and other is not box
        )

    def _over(self, box: Box, i: int) -> bool:
        return self.boxes[i].x0 < box.x1 and self.boxes[i].x1 > box.x0


def all_words(page: Page, line: int) -> tuple[int, ...]:
    return tuple(range(len((page.lines or ())[line].words)))
