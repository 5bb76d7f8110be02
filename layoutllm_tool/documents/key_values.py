"""The words that may be the value of a printed key, by geometry and text alone. Standard library only.

A key is any run of words on the page. Candidates are runs of words to its right, below it, to its left (a
mark beside its label) or above it (a value over its caption), cut at several gaps and before the next key,
and continued over wrapped lines. Distances are in heights of the key's words, so they do not depend on the
resolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from statistics import median
from typing import Literal, get_args

from layoutllm_tool.documents.page_layout import PageLayout, PlacedWord, Run, WordId, cut

Side = Literal["right", "below", "left", "above"]
SIDES: tuple[Side, ...] = get_args(Side)

GAPS = (0.9, 2.0, 4.0)
"""Widest gaps inside a value, in key heights. Wide ones keep justified and tabulated values whole."""
REACH_RIGHT, REACH_BELOW = 40.0, 6.0
"""How far a value may stand from its key, in key heights."""
LINE_STEP = 2.1
"""Largest distance from one line of a wrapped value to the next, top to top, in heights."""
MOST_LINES = 6
"""Lines of a wrapped value that are followed."""
MARKS = frozenset("xX✓✔☑☒✗✘■●•√vV*")
FAR_RIGHT = 6.0
"""Farther right than this, in key heights, is another column where text stands close below the key."""
NEAR_BELOW, FAR_BELOW = 1.0, 4.0


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


def candidates(layout: PageLayout, key: Run) -> list[Candidate]:
    """Candidates for the key's value, each once: right of it first, nearest first on each side."""
    last = _last_row(key)
    height = max(median(w.height for w in key), 0.5 * layout.height, 1.0)
    sides = (
        _right(layout, key, last, height), _below(layout, key, height),
        _left(layout, key, last, height), _above(layout, key, height),
    )  # fmt: skip
    own = {w.id for w in key}
    found: dict[tuple[WordId, ...], Candidate] = {}
    for candidate in chain(*sides):
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
    """The row's beginning, up to gaps of several widths and to the next key."""
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
    """Where the key of this colon may begin: after the widest gaps, at a capital, at its last word."""
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
    near = layout.between(bottom, bottom + REACH_BELOW * height)
    under = [w for w in near if w.id not in own and w.x0 < x1 + height and w.x1 > x0 - 0.5 * height]
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
    return cut(row, lambda before, word: word.x0 - before.x1 > limit or before.ends_key)


def _continued(
    layout: PageLayout, key: Run, run: Run, side: Side, gap: float, height: float
) -> Iterator[Candidate]:
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
        near = layout.between(run[0].middle + 0.5 * step, run[0].middle + LINE_STEP * step)
        row = [w for w in near if w.id not in own and abs(w.x0 - left) < 1.2 * step]
        if not row:
            return
        first = min(row, key=lambda w: w.middle)
        run = next(_split(layout.row_from(first), GAPS[1] * height))
        if any(w.ends_key for w in run):
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


def by_rule(layout: PageLayout, found: Sequence[Candidate]) -> Candidate | None:
    """The value by rule, without weights: right of the key, else below it, wrapped lines joined.

    Takes the first place of the key that has a value beside it.
    """
    by_key: dict[tuple[WordId, ...], list[Candidate]] = {}
    for candidate in found:
        by_key.setdefault(tuple(w.id for w in candidate.key), []).append(candidate)
    for side in SIDES:
        for of in by_key.values():
            if chosen := _of_side(layout, of, side):
                return chosen
    return None


def _of_side(layout: PageLayout, found: Sequence[Candidate], side: str) -> Candidate | None:
    good = [c for c in found if c.side == side and not any(w.ends_key for w in c.words)]
    near_below = any(
        c.side == "below" and c.gap < NEAR_BELOW and not any(w.ends_key for w in c.words) for c in found
    )
    if side == "right" and near_below:
        good = [c for c in good if c.gap < FAR_RIGHT]
    if side == "below":
        good = [c for c in good if c.gap < FAR_BELOW]
    if not good:
        return None
    first = good[0].words[0].id
    same = [c for c in good if c.words[0].id == first and _whole(layout, c)]
    return max(same, key=lambda c: len(c.words)) if same else good[0]


def _whole(layout: PageLayout, candidate: Candidate) -> bool:
    """Whether it has no wide gaps, and nothing stands left of its lines after the first."""
    words = candidate.words
    limit = GAPS[1] * max(w.height for w in words)
    for before, word in pairwise(words):
        if word.middle - before.middle > 0.5 * word.height:
            left = layout.before(word)
            if left is not None or _mostly_digits(before.text) or _mostly_digits(word.text):
                return False
        elif word.x0 - before.x1 > limit:
            return False
    return True


def _mostly_digits(text: str) -> bool:
    return sum(c.isdigit() for c in text) > len(text) / 2
