"""A page's words by place, in pixels of its picture: neighbours, rows, bands. Standard library only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from layoutllm_tool.documents.geometry import SCALE, Page

WordId = tuple[int, int]
"""Line and word in it: ``page.lines[line].words[word]``."""


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A word in pixels of the page's picture."""

    id: WordId
    text: str
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def middle(self) -> float:
        return (self.y0 + self.y1) / 2

    @property
    def ends_key(self) -> bool:
        return self.text.endswith((":", "\uff1a")) and self.text != ":"


Run = tuple[PlacedWord, ...]


def cut(words: Iterable[PlacedWord], apart: Callable[[PlacedWord, PlacedWord], bool]) -> Iterator[Run]:
    """The words in runs: a new one begins where a word and the next one are ``apart``."""
    run: list[PlacedWord] = []
    for word in words:
        if run and apart(run[-1], word):
            yield tuple(run)
            run = []
        run.append(word)
    if run:
        yield tuple(run)


class PageLayout:
    """A page's words by place. Make it once a page: every key of it uses the same."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.words: list[PlacedWord] = [
            _placed(page, line, number)
            for line, of in enumerate(page.lines or ())
            for number in range(len(of.words))
        ]
        self.by_id = {word.id: word for word in self.words}
        self._by_middle = sorted(self.words, key=lambda word: word.middle)
        self._middles = [word.middle for word in self._by_middle]
        self.height = median([w.height for w in self.words] or [1.0]) or 1.0

    def between(self, top: float, bottom: float) -> list[PlacedWord]:
        """Words whose middle lies in that band of pixels."""
        start = bisect_left(self._middles, top)
        return self._by_middle[start : bisect_left(self._middles, bottom)]

    def row_from(self, word: PlacedWord) -> list[PlacedWord]:
        """The word and everything right of it on its row, neighbour by neighbour: a row may slope."""
        row = [word]
        while (following := self._right.get(row[-1].id)) is not None:
            row.append(following)
        return row

    def row_of(self, word: PlacedWord) -> list[PlacedWord]:
        """The word's whole row."""
        while (before := self._before.get(word.id)) is not None:
            word = before
        return self.row_from(word)

    @cached_property
    def rows(self) -> tuple[Run, ...]:
        """All words from left to right, row by row."""
        return tuple(tuple(self.row_from(word)) for word in self.words if self.before(word) is None)

    def after(self, word: PlacedWord) -> PlacedWord | None:
        return self._right.get(word.id)

    def before(self, word: PlacedWord) -> PlacedWord | None:
        return self._before.get(word.id)

    @cached_property
    def _right(self) -> dict[WordId, PlacedWord]:
        """Right-hand neighbours: the next word of the line; at its end the nearest on the same row."""
        found: dict[WordId, PlacedWord] = {}
        taken: set[WordId] = set()
        ends: list[tuple[float, PlacedWord, PlacedWord]] = []
        firsts = [w for w in self._by_middle if w.id[1] == 0]
        middles = [w.middle for w in firsts]
        for word in self.words:
            after = self.by_id.get((word.id[0], word.id[1] + 1))
            if after is not None:
                found[word.id] = after
                continue
            start = bisect_left(middles, word.y0 - word.height)
            stop = bisect_left(middles, word.y1 + word.height)
            for other in firsts[start:stop]:
                follows = other.x0 + other.x1 > word.x0 + word.x1 and other.x0 > word.x1 - 0.3 * word.height
                if follows and _shared(word, other) >= 0.4:
                    ends.append((other.x0 - word.x1, word, other))
        for _, word, other in sorted(ends, key=lambda end: end[0]):
            if word.id not in found and other.id not in taken and not _leads(found, other, word):
                found[word.id] = other
                taken.add(other.id)
        return found

    @cached_property
    def _before(self) -> dict[WordId, PlacedWord]:
        return {after.id: self.by_id[before] for before, after in self._right.items()}


def _shared(a: PlacedWord, b: PlacedWord) -> float:
    """The rows' overlap as a share of the lower word."""
    return (min(a.y1, b.y1) - max(a.y0, b.y0)) / max(min(a.height, b.height), 1e-6)


def _placed(page: Page, line: int, number: int) -> PlacedWord:
    word = (page.lines or ())[line].words[number]
    x, y, box = page.width / SCALE, page.height / SCALE, word.box
    bottom = max(box.y1, box.y0 + 0.1)
    return PlacedWord((line, number), word.text, box.x0 * x, box.y0 * y, box.x1 * x, bottom * y)


def _leads(right: Mapping[WordId, PlacedWord], word: PlacedWord, to: PlacedWord) -> bool:
    """Whether the chain of neighbours from ``word`` comes to ``to``.

    Words of a line may stand from right to left, or anywhere: a row must not come back to its beginning.
    """
    while word.id != to.id:
        following = right.get(word.id)
        if following is None:
            return False
        word = following
    return True
