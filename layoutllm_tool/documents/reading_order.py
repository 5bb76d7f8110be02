"""Words in any order -> lines in reading order. Standard library only.

A ``Line`` is a run of words on one row without a wide gap: a key and its value in the next column are two lines, so
are two prices side by side. Lines are read row by row, left to right, except where a gutter separates columns of
running text: those are read column after column. Right-to-left and vertical writing are *not* handled.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from layoutllm_tool.documents.geometry import SCALE, Line, Word

WIDE_GAP = 1.5
"""A gap of more than this many median word heights of its row ends a line. Typewriter spacing stays at about 1.2."""
GUTTER = 0.8
"""Columns of text may stand closer than WIDE_GAP: this many heights clear on every row, justified spaces stay under."""
COLUMN_ROWS = 4
"""Fewer rows of text than this on either side are no column."""
_TEXT_LETTERS = 18
"""Fewer on a row are a key, a heading or a cell."""
_MAX_SLOPE = 0.2
_MOST_STEPS = 600
"""Places tried for a gutter: an ordinary page needs 400, a broken one with words of no height must not need millions."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Words on one row in the upright frame: both axes in the same unit (pixels), the page's slope taken out."""

    words: tuple[Word, ...]
    x0: float
    x1: float
    left: tuple[float, float]
    """Centre and height at the left end; ``right`` likewise. They differ where a photographed row is curved."""
    right: tuple[float, float]
    height: float
    """Median height of its words."""
    parts: tuple[_Piece, ...] = ()
    """The single words of a joined piece."""

    @property
    def y(self) -> float:
        return (self.left[0] + self.right[0]) / 2

    @property
    def middle(self) -> float:
        return (self.x0 + self.x1) / 2


_Row = list[_Piece]
"""Single words of one row from left to right."""


def group_lines(words: Sequence[Word], *, width: int, height: int) -> list[Line]:
    """The words as lines in reading order: every word once, the same result whatever the order they came in.

    ``width`` and ``height`` are the page's pixels: boxes are 0-1000 on both axes, and distances mean something only
    once the page's proportions are restored.
    """
    if not words:
        return []
    ordered = sorted(words, key=lambda w: (w.box.y0, w.box.x0, w.box.y1, w.box.x1, w.text, w.confidence or -1.0))
    level = _pieces(ordered, width, height, slope=0.0)
    slope = _slope(_segments(level))
    pieces = _pieces(ordered, width, height, slope) if slope else level
    return [Line(segment.words) for segment in _read(pieces)]


def _pieces(words: Iterable[Word], width: int, height: int, slope: float) -> list[_Piece]:
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
        pieces.append(_Piece((word,), x0 + shift, x1 + shift, (centre, h), (centre, h), h))
    return pieces


def _slope(segments: Iterable[_Piece]) -> float:
    """Down per across: the median of the segments long enough to have one, 0 where there are none."""
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


def _read(pieces: Sequence[_Piece]) -> list[_Piece]:
    """XY-cut: where two columns of text stand side by side, what is above, the left one, the right one, what is below;
    elsewhere row by row."""
    rows = _rows(pieces)
    zone = _columns(rows)
    if zone is None:
        return [segment for row in rows for segment in _split(row)]
    start, stop, x = zone
    inside = [piece for row in rows[start:stop] for piece in row]
    parts = (
        [piece for row in rows[:start] for piece in row],
        [piece for piece in inside if piece.middle < x],
        [piece for piece in inside if piece.middle >= x],
        [piece for row in rows[stop:] for piece in row],
    )
    return [segment for part in parts if part for segment in _read(part)]


def _rows(pieces: Sequence[_Piece]) -> list[_Row]:
    """Rows from top to bottom. Words are linked to segments first and segments to rows then, so that a row may bend."""
    chains = _chains(_segments(pieces), reach=math.inf, likeness=0.3)
    rows = [sorted((p for s in chain for p in s.parts), key=lambda p: p.middle) for chain in chains]
    return sorted(rows, key=lambda row: (median(p.y for p in row), row[0].x0))


def _segments(pieces: Sequence[_Piece]) -> list[_Piece]:
    return [segment for chain in _chains(pieces, reach=4.0, likeness=0.4) for segment in _split(chain)]


def _split(row: _Row) -> list[_Piece]:
    """The row cut at its wide gaps."""
    limit = WIDE_GAP * median(p.height for p in row)
    runs: list[_Row] = [[row[0]]]
    for before, piece in pairwise(row):
        if piece.x0 - before.x1 > limit:
            runs.append([])
        runs[-1].append(piece)
    return [_joined(run) for run in runs]


def _joined(run: _Row) -> _Piece:
    def end(some: _Row) -> tuple[float, float]:
        return median(p.y for p in some), median(p.height for p in some)

    return _Piece(
        words=tuple(word for p in run for word in p.words),
        x0=min(p.x0 for p in run),
        x1=max(p.x1 for p in run),
        left=end(run[:3]),
        right=end(run[-3:]),
        height=median(p.height for p in run),
        parts=tuple(run),
    )


def _chains(pieces: Sequence[_Piece], *, reach: float, likeness: float) -> list[_Row]:
    """Pieces linked to their right-hand neighbours, nearest pairs first, no piece twice on a side.

    ``reach`` is the widest gap in heights; ``likeness`` the least ratio of two heights: a tall logo or a rule beside
    several rows belongs to none of them.
    """
    order = sorted(range(len(pieces)), key=lambda i: pieces[i].left[0])
    tops = [pieces[i].left[0] for i in order]
    links = []
    for i, piece in enumerate(pieces):
        y, h = piece.right
        window = h / likeness / 2
        for j in order[bisect_left(tops, y - window) : bisect_right(tops, y + window)]:
            cost = _cost(piece, pieces[j], reach, likeness)
            if cost is not None:
                links.append((cost, i, j))
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


def _cost(a: _Piece, b: _Piece, reach: float, likeness: float) -> float | None:
    """How far b is from being a's right-hand neighbour; None where it can't be: not to the right, or another row."""
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


def _columns(rows: Sequence[_Row]) -> tuple[int, int, float] | None:
    """Rows start:stop and the x of the gutter between two columns of text: the one with most rows of text, if any."""
    if len(rows) < COLUMN_ROWS:
        return None
    unit = median(p.height for row in rows for p in row)
    left, right = min(row[0].x0 for row in rows), max(p.x1 for row in rows for p in row)
    best: tuple[int, int, int, float] = (COLUMN_ROWS - 1, 0, 0, 0.0)
    pace = max(unit / 4, (right - left) / _MOST_STEPS)
    for step in range(int((right - left) / pace) + 1):
        x = left + step * pace
        for start, stop in _clear_runs(rows, x):
            zone = _trimmed(rows, start, stop, x)
            score = _text_rows(rows[zone[0] : zone[1]], x, unit)
            if score > best[0]:
                best = (score, *zone, x)
    score, start, stop, x = best
    return (start, stop, x) if score >= COLUMN_ROWS else None


def _clear_runs(rows: Sequence[_Row], x: float) -> list[tuple[int, int]]:
    """The longest runs of consecutive rows that leave x free and have at least COLUMN_ROWS rows."""
    edges = [-1, *(i for i, row in enumerate(rows) if not _clear(row, x)), len(rows)]
    return [(a + 1, b) for a, b in pairwise(edges) if b - a - 1 >= COLUMN_ROWS]


def _clear(row: _Row, x: float) -> bool:
    """Whether the row has a gutter's gap at x. Specks and rules in a gutter don't block it."""
    lefts = [p.x1 for p in row if p.middle < x and _speaks(p)]
    rights = [p.x0 for p in row if p.middle >= x and _speaks(p)]
    before, after = max(lefts, default=-math.inf), min(rights, default=math.inf)
    return before <= x <= after and after - before >= GUTTER * median(p.height for p in row)


def _speaks(piece: _Piece) -> bool:
    return any(c.isalnum() for word in piece.words for c in word.text)


def _trimmed(rows: Sequence[_Row], start: int, stop: int, x: float) -> tuple[int, int]:
    """Without rows at either end that stand on both sides but are text on neither: running heads, a table's head."""

    def stray(row: _Row) -> bool:
        sides = [[p for p in row if (p.middle < x) == side] for side in (True, False)]
        return all(sides) and not any(_letters(side) >= _TEXT_LETTERS for side in sides)

    while start < stop and stray(rows[start]):
        start += 1
    while start < stop and stray(rows[stop - 1]):
        stop -= 1
    return start, stop


def _text_rows(rows: Sequence[_Row], x: float, unit: float) -> int:
    """Rows of running text on the side that has fewer; 0 unless both sides are mostly such rows."""
    sides = ([[p for p in row if p.middle < x] for row in rows], [[p for p in row if p.middle >= x] for row in rows])
    return min(_solid([part for part in side if part], unit) for side in sides)


def _solid(parts: Sequence[_Row], unit: float) -> int:
    """How many parts fill their column as a paragraph's lines do; 0 where most words are in others: forms, tables."""
    if len(parts) < COLUMN_ROWS:
        return 0
    across = sorted(part[-1].x1 - part[0].x0 for part in parts)[int(0.9 * (len(parts) - 1))]
    if across < 12 * unit:
        return 0
    text = [part for part in parts if part[-1].x1 - part[0].x0 >= 0.7 * across and _is_text(part)]
    share = sum(map(len, text)) / sum(map(len, parts))
    return len(text) if share >= 0.6 else 0


def _is_text(part: _Row) -> bool:
    """Whether it reads like a row of running text, or like rows of several columns of it."""
    return all(_letters(segment.parts) >= _TEXT_LETTERS for segment in _split(part))


def _letters(part: Sequence[_Piece]) -> int:
    return sum(c.isalpha() for p in part for word in p.words for c in word.text)
