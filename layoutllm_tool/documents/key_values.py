"""The values that may belong to a printed key, by geometry and text alone. Standard library only.

A key is any run of words on the page. Candidates are runs of words around it: to its right, below it, to its left
(a mark beside its label), above it (a caption under its value), each cut at several gaps, before the next key, and
continued over wrapped lines. Distances are in heights of the key's own words, so that nothing depends on the page's
resolution. Which key a question means is *not* decided here (``search.py`` finds texts), nor which type a value has.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Literal, get_args

from layoutllm_tool.documents.geometry import SCALE, Page

WordId = tuple[int, int]
"""Line and word in it: ``page.lines[line].words[word]``."""
Side = Literal["right", "below", "left", "above"]
SIDES: tuple[Side, ...] = get_args(Side)

GAPS = (0.9, 2.0, 4.0)
"""Widest gaps inside a value, in key heights: a narrow one ends a value before its neighbour, a wide one keeps a
justified or tabulated value whole."""
REACH_RIGHT, REACH_BELOW = 40.0, 6.0
"""How far a value may stand from its key, in key heights."""
LINE_STEP = 2.1
"""Largest distance from one line of a wrapped value to the next, top to top, in heights."""
MOST_LINES = 6
"""Lines of a wrapped value that are followed."""
MARKS = frozenset("xX✓✔☑☒✗✘■●•√vV*")


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


@dataclass(frozen=True, slots=True)
class Candidate:
    """Words that may be the value of ``key``, in reading order, and how they were found."""

    words: Run
    key: Run
    side: Side
    gap: float
    """From the key to the first word, in key heights."""
    lines: int
    """Rows the words stand on."""

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def ids(self) -> tuple[WordId, ...]:
        return tuple(word.id for word in self.words)


class PageLayout:
    """A page's words by place. Make it once a page: every key of it uses the same."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.words: list[PlacedWord] = [
            _placed(page, line, number) for line, of in enumerate(page.lines or ()) for number in range(len(of.words))
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
        while (following := self._right.get(row[-1].id)) is not None and len(row) <= len(self.words):
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
        """The right-hand neighbour: the next word of the line, behind the line's end the nearest on the same row."""
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
                # The centres grow along a line too, so no chain of neighbours ever comes back to its beginning.
                follows = other.x0 + other.x1 > word.x0 + word.x1 and other.x0 > word.x1 - 0.3 * word.height
                if follows and _shared(word, other) >= 0.4:
                    ends.append((other.x0 - word.x1, word, other))
        for _, word, other in sorted(ends, key=lambda end: end[0]):
            if word.id not in found and other.id not in taken:
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
    x, y = page.width / SCALE, page.height / SCALE
    return PlacedWord(
        (line, number),
        word.text,
        word.box.x0 * x,
        word.box.y0 * y,
        word.box.x1 * x,
        max(word.box.y1, word.box.y0 + 0.1) * y,
    )


def candidates(layout: PageLayout, key: Run) -> list[Candidate]:
    """What may be the key's value, without repetition: right of it first, nearest first on each side."""
    last = _last_row(key)
    height = max(median(w.height for w in key), 0.5 * layout.height, 1.0)
    found: dict[tuple[WordId, ...], Candidate] = {}
    own = {w.id for w in key}
    for candidate in (
        *_right(layout, key, last, height),
        *_below(layout, key, height),
        *_left(layout, key, last, height),
        *_above(layout, key, height),
    ):
        if own.isdisjoint(candidate.ids):
            found.setdefault(candidate.ids, candidate)
    return list(found.values())


def _last_row(key: Run) -> Run:
    """The key's words on its lowest row."""
    bottom = max(key, key=lambda w: w.middle)
    return tuple(w for w in key if abs(w.middle - bottom.middle) < 0.6 * bottom.height)


def _right(layout: PageLayout, key: Run, last: Run, height: float) -> Iterator[Candidate]:
    own = {w.id for w in key}
    edge = max(w.x1 for w in last)
    row = [w for w in layout.row_from(max(last, key=lambda w: w.x1)) if w.id not in own]
    while row and not row[0].text.strip(":.;=_-…"):
        row = row[1:]  # a colon that stands alone, a leader of dots
    if not row or row[0].x0 - edge > REACH_RIGHT * height:
        return
    gap = (row[0].x0 - edge) / height
    for run in _cut(row, height):
        yield from _continued(layout, key, run, "right", gap, height)


def _cut(row: Sequence[PlacedWord], height: float) -> Iterator[Run]:
    """The row's beginning, ended at gaps of several widths and before the next key."""
    ends: set[int] = set()
    for limit in GAPS:
        stop = next((i for i in range(1, len(row)) if row[i].x0 - row[i - 1].x1 > limit * height), len(row))
        ends.add(stop)
        colon = next((i for i in range(stop) if row[i].ends_key), None)
        if colon is not None:
            ends.discard(stop)
            ends.update(_key_starts(row, colon))
    for end in sorted(ends):
        if end:
            yield tuple(row[:end])


def _key_starts(row: Sequence[PlacedWord], colon: int) -> Iterator[int]:
    """Where the key that ends with this colon may begin: after the widest gaps before it, with a capital, with its last word."""
    if colon == 0:
        return
    starts = range(max(1, colon - 5), colon + 1)
    gaps = sorted(((row[i].x0 - row[i - 1].x1, i) for i in starts), reverse=True)
    yield from (i for _, i in gaps[:2])
    yield from (i for i in starts if i >= colon - 3 and row[i].text[:1].isupper())
    yield colon


def _below(layout: PageLayout, key: Run, height: float) -> Iterator[Candidate]:
    x0, x1, bottom = min(w.x0 for w in key), max(w.x1 for w in key), max(w.y1 for w in key)
    own = {w.id for w in key}
    under = [
        w
        for w in layout.between(bottom, bottom + REACH_BELOW * height)
        if w.id not in own and w.x0 < x1 + height and w.x1 > x0 - 0.5 * height
    ]
    seen: list[float] = []
    for first in sorted(under, key=lambda w: w.middle):
        if any(abs(first.middle - y) < 0.6 * height for y in seen):
            continue
        seen.append(first.middle)
        if len(seen) > 3:
            return
        gap = (first.y0 - bottom) / height
        for run in _under(layout, first, x0, x1, height):
            yield from _continued(layout, key, run, "below", gap, height)


def _under(layout: PageLayout, first: PlacedWord, x0: float, x1: float, height: float) -> Iterator[Run]:
    """Runs on the row of ``first`` that stand under x0 to x1, cut at gaps of several widths."""
    row = layout.row_of(first)
    seen: set[tuple[WordId, ...]] = set()
    for limit in GAPS:
        for run in _split(row, limit * height):
            if run[-1].x1 < x0 - 0.5 * height or run[0].x0 > x1 + height:
                continue
            whole = tuple(w.id for w in run)
            if whole not in seen:
                seen.add(whole)
                yield run
            aligned = tuple(w for w in run if w.x0 >= x0 - 1.5 * height)
            if aligned and len(aligned) < len(run) and limit == GAPS[0]:
                yield aligned


def _split(row: Sequence[PlacedWord], limit: float) -> Iterator[Run]:
    """The row cut at gaps over ``limit`` pixels and behind colons."""
    run: list[PlacedWord] = []
    for word in row:
        if run and (word.x0 - run[-1].x1 > limit or run[-1].ends_key):
            yield tuple(run)
            run = []
        run.append(word)
    if run:
        yield tuple(run)


def _continued(layout: PageLayout, key: Run, run: Run, side: Side, gap: float, height: float) -> Iterator[Candidate]:
    """The run alone, and with the lines below it that begin where it begins: two, three, all of them."""
    yield Candidate(run, key, side, gap, 1)
    lines = [run, *_following(layout, key, run, height)]
    for count in sorted({2, 3, len(lines)} & set(range(2, len(lines) + 1))):
        yield Candidate(tuple(w for line in lines[:count] for w in line), key, side, gap, count)


def _following(layout: PageLayout, key: Run, run: Run, height: float) -> Iterator[Run]:
    own = {w.id for w in key}
    left = run[0].x0
    for _ in range(MOST_LINES - 1):
        step = max(run[0].height, height)
        row = [
            w
            for w in layout.between(run[0].middle + 0.5 * step, run[0].middle + LINE_STEP * step)
            if w.id not in own and abs(w.x0 - left) < 1.2 * step
        ]
        if not row:
            return
        first = min(row, key=lambda w: w.middle)
        after = layout.row_from(first)
        run = next(_split(after, GAPS[1] * height))
        if run[-1].ends_key or any(w.ends_key for w in run):
            return
        yield run


def _left(layout: PageLayout, key: Run, last: Run, height: float) -> Iterator[Candidate]:
    """A mark, or something as short, left of its label."""
    edge, own = min(w.x0 for w in last), {w.id for w in key}
    mark = layout.before(min(last, key=lambda w: w.x0))
    if mark and mark.id not in own and edge - mark.x1 < 3 * height and len(mark.text) <= 3:
        yield Candidate((mark,), key, "left", (edge - mark.x1) / height, 1)


def _above(layout: PageLayout, key: Run, height: float) -> Iterator[Candidate]:
    x0, x1, top = min(w.x0 for w in key), max(w.x1 for w in key), min(w.y0 for w in key)
    over = [w for w in layout.between(top - 2.5 * height, top) if w.x0 < x1 and w.x1 > x0]
    if over:
        nearest = max(over, key=lambda w: w.middle)
        for run in _split(layout.row_of(nearest), GAPS[1] * height):
            if run[0].x0 < x1 and run[-1].x1 > x0:
                yield Candidate(run, key, "above", (top - nearest.y1) / height, 1)
