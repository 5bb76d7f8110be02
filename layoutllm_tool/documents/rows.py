"""Words of a page -> segments and rows of words beside one another. Standard library only."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from layoutllm_tool.documents.geometry import SCALE, Word

WIDE_GAP = 1.5
"""A wider gap, in median word heights of its row, ends a line. Typewriter spacing is about 1.2."""
_MAX_SLOPE = 0.2
_MOST_NEAR = 256
"""Neighbours of similar height and position; ordinary pages have 180. Beyond, tries ``_NEAREST``."""
_NEAREST = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """Words on one row, in pixels on both axes, with the page's slope removed."""

    words: tuple[Word, ...]
    x0: float
    x1: float
    left: tuple[float, float]
    """Centre and height at the left end; ``right`` likewise. They differ on curved rows (photographs)."""
    right: tuple[float, float]
    height: float
    """Median height of its words."""
    parts: tuple[Piece, ...] = ()
    """The single words of a joined piece."""
    letters: int = field(init=False)
    has_text: bool = field(init=False)
    """Whether it has a letter or a digit."""
    y: float = field(init=False)
    middle: float = field(init=False)

    def __post_init__(self) -> None:
        text = "".join(word.text for word in self.words)
        object.__setattr__(self, "letters", sum(map(str.isalpha, text)))
        object.__setattr__(self, "has_text", any(map(str.isalnum, text)))
        object.__setattr__(self, "y", (self.left[0] + self.right[0]) / 2)
        object.__setattr__(self, "middle", (self.x0 + self.x1) / 2)


Row = list[Piece]
"""Single words of one row from left to right."""


def pieces_of(words: Iterable[Word], width: int, height: int, slope: float) -> list[Piece]:
    """One piece a word, in pixels, turned upright about the origin."""
    boxes = [(w, w.box.x0 * width / SCALE, w.box.x1 * width / SCALE) for w in words]
    tall = [max(w.box.height * height / SCALE, 1e-3) for w, _, _ in boxes]
    # A dash or a full stop is far lower than its row: without a least height nothing would overlap it.
    least = 0.6 * median(tall)
    pieces = []
    for (word, x0, x1), h in zip(boxes, tall, strict=True):
        y = word.box.center[1] * height / SCALE
        shift, h = slope * y, max(h, least)
        centre = y - slope * (x0 + x1) / 2
        pieces.append(Piece((word,), x0 + shift, x1 + shift, (centre, h), (centre, h), h))
    return pieces


def rows_of(pieces: Sequence[Piece]) -> list[Row]:
    """Rows from top to bottom. Links words to segments, then segments to rows: a row may bend."""
    chains = _chains(segments_of(pieces), reach=math.inf, likeness=0.3)
    rows = [sorted((p for s in chain for p in s.parts), key=lambda p: p.middle) for chain in chains]
    return sorted(rows, key=lambda row: (median(p.y for p in row), row[0].x0))


def segments_of(pieces: Sequence[Piece]) -> list[Piece]:
    return [segment for chain in _chains(pieces, reach=4.0, likeness=0.4) for segment in split(chain)]


def slope_of(segments: Iterable[Piece]) -> float:
    """Vertical per horizontal distance: the median of the long segments, weighed by length; 0 without any."""
    slopes = [
        ((s.right[0] - s.left[0]) / (s.x1 - s.x0), s.x1 - s.x0)
        for s in segments
        if len(s.words) >= 3 and s.x1 - s.x0 > 6 * s.height
    ]
    slopes = sorted(found for found in slopes if abs(found[0]) < _MAX_SLOPE)
    half, run = sum(length for _, length in slopes) / 2, 0.0
    for slope, length in slopes:
        run += length
        if run >= half:
            return slope
    return 0.0


def split(row: Row) -> list[Piece]:
    """The row cut at its wide gaps."""
    limit = WIDE_GAP * median(p.height for p in row)
    runs: list[Row] = [[row[0]]]
    for before, piece in pairwise(row):
        if piece.x0 - before.x1 > limit:
            runs.append([])
        runs[-1].append(piece)
    return [_joined(run) for run in runs]


def _joined(run: Row) -> Piece:
    def end(some: Row) -> tuple[float, float]:
        return median(p.y for p in some), median(p.height for p in some)

    return Piece(
        words=tuple(word for p in run for word in p.words),
        x0=min(p.x0 for p in run),
        x1=max(p.x1 for p in run),
        left=end(run[:3]),
        right=end(run[-3:]),
        height=median(p.height for p in run),
        parts=tuple(run),
    )


def _chains(pieces: Sequence[Piece], *, reach: float, likeness: float) -> list[Row]:
    """Pieces linked to their right-hand neighbours, nearest pairs first, no piece twice on a side.

    ``reach`` is the widest gap in heights; ``likeness`` the least ratio of two heights, which keeps tall
    logos and rules out of rows.
    """
    near = _Near(pieces, likeness)
    links = [
        (cost, i, j)
        for i, piece in enumerate(pieces)
        for j in near.of(piece)
        if (cost := _cost(piece, pieces[j], reach, likeness)) is not None
    ]
    after: dict[int, int] = {}
    before: dict[int, int] = {}
    for _, i, j in sorted(links):
        if i not in after and j not in before:
            after[i], before[j] = j, i
    chains = []
    for i in range(len(pieces)):
        if i not in before:
            chain = [pieces[i]]
            while i in after:
                i = after[i]
                chain.append(pieces[i])
            chains.append(chain)
    return chains


class _Near:
    """Finds pieces of similar height and vertical position.

    Where these are too many, takes the nearest to the right at any vertical position.
    """

    def __init__(self, pieces: Sequence[Piece], likeness: float) -> None:
        self.likeness = likeness
        classes: dict[int, list[int]] = defaultdict(list)
        for i, piece in enumerate(pieces):
            classes[self._class(piece.left[1])].append(i)
        self.by_y = {c: sorted((pieces[i].left[0], i) for i in found) for c, found in classes.items()}
        self.by_x = {c: sorted((pieces[i].x0, i) for i in found) for c, found in classes.items()}

    def _class(self, height: float) -> int:
        """Similar heights lie in one class or in neighbouring ones."""
        return math.floor(math.log(height, 1 / self.likeness))

    def of(self, piece: Piece) -> Iterator[int]:
        (y, height), own = piece.right, self._class(piece.right[1])
        window = height / self.likeness / 2
        for c in (own - 1, own, own + 1):
            found = self.by_y.get(c, [])
            start, stop = bisect_left(found, (y - window,)), bisect_right(found, (y + window, math.inf))
            if stop - start > _MOST_NEAR:
                found = self.by_x[c]
                start = bisect_left(
                    found, (piece.middle,)
                )  # more to the left it would overlap the piece by half
                stop = start + _NEAREST
            yield from (i for _, i in found[start:stop])


def _cost(a: Piece, b: Piece, reach: float, likeness: float) -> float | None:
    """Distance of b as a's right-hand neighbour; None where b is not to the right or on another row."""
    if b.middle <= a.middle:
        return None
    (ya, ha), (yb, hb) = a.right, b.left
    low, high = (ha, hb) if ha <= hb else (hb, ha)
    gap, drop = b.x0 - a.x1, abs(ya - yb)
    if gap > reach * high or -gap > min(a.x1 - a.x0, b.x1 - b.x0) / 2:
        return None
    if low < likeness * high or (ha + hb) / 2 - drop < low / 2:
        return None
    return max(gap, 0.0) + 2 * drop
