"""Words in any order -> lines in reading order. Standard library only.

A ``Line`` is a run of words on one row without a wide gap: a key and its value in the next column are two
lines. Reads lines row by row, left to right; columns of running text column after column. Does *not* handle
right-to-left and vertical writing.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from statistics import median

from layoutllm_tool.documents.geometry import Line, Word
from layoutllm_tool.documents.rows import Piece, Row, pieces_of, rows_of, segments_of, slope_of, split
from layoutllm_tool.errors import DocumentTooLarge

GUTTER = 0.8
"""Least gap between columns of text on every row, in heights. Spaces of justified text are narrower."""
COLUMN_ROWS = 4
"""Fewer rows of text than this on either side are no column."""
MAX_WORDS = 20_000
"""On one page; a dense one has 5,000. DocumentTooLarge beyond."""
MOST_CAREFUL = 10_000
"""Words of a page. A fuller one is read row by row."""
MOST_ZONES = 20
"""Zones with columns on one page (papers have two); beyond, it is read row by row."""
_TEXT_LETTERS = 18
"""Fewer on a row are a key, a heading or a cell."""
_RUN = re.compile(rb"\x01{%d,}" % COLUMN_ROWS)
_MOST_STEPS = 600
"""Positions tried for a gutter. Ordinary pages need 400; words without height would need millions."""


def group_lines(words: Sequence[Word], *, width: int, height: int) -> list[Line]:
    """The words as lines in reading order, each once, independent of the order of ``words``.

    ``width`` and ``height`` are the page's pixels: they turn boxes (0-1000 on both axes) into comparable
    distances. DocumentTooLarge for more than MAX_WORDS words.
    """
    if not words:
        return []
    if len(words) > MAX_WORDS:
        raise DocumentTooLarge(f"a page has {len(words):,} words.", hint=f"At most {MAX_WORDS:,} are read.")
    ordered = sorted(
        words, key=lambda w: (w.box.y0, w.box.x0, w.box.y1, w.box.x1, w.text, w.confidence or -1.0)
    )
    level = pieces_of(ordered, width, height, slope=0.0)
    slope = slope_of(segments_of(level))
    pieces = pieces_of(ordered, width, height, slope) if slope else level
    zones = list(range(MOST_ZONES)) if len(words) <= MOST_CAREFUL else []
    return [Line(segment.words) for segment in _read(pieces, zones)]


def _read(pieces: Sequence[Piece], zones: list[int]) -> list[Piece]:
    """XY-cut: around two columns of text read above, left, right, below; elsewhere row by row.

    ``zones`` has an entry for each cut that is still allowed.
    """
    rows = rows_of(pieces)
    zone = _columns(rows) if zones else None
    if zone is None:
        return [segment for row in rows for segment in split(row)]
    start, stop, x = zone
    inside = [piece for row in rows[start:stop] for piece in row]
    parts = (
        [piece for row in rows[:start] for piece in row],
        [piece for piece in inside if piece.middle < x],
        [piece for piece in inside if piece.middle >= x],
        [piece for row in rows[stop:] for piece in row],
    )
    zones.pop()
    return [segment for part in parts if part for segment in _read(part, zones)]


def _columns(rows: Sequence[Row]) -> tuple[int, int, float] | None:
    """Rows start:stop and the x of the gutter with most rows of text on both sides, if any."""
    if len(rows) < COLUMN_ROWS:
        return None
    unit = median(p.height for row in rows for p in row)
    left, right = min(row[0].x0 for row in rows), max(p.x1 for row in rows for p in row)
    pace = max(unit / 4, (right - left) / _MOST_STEPS)
    xs = [left + step * pace for step in range(int((right - left) / pace) + 1)]
    cuts = [_Cut(row) for row in rows]
    best: tuple[int, int, int, float] = (COLUMN_ROWS - 1, 0, 0, 0.0)
    for start, stop, x, at in _clear_runs(cuts, xs):
        zone = _trimmed(cuts, start, stop, at)
        score = _text_rows(cuts, *zone, at, unit)
        if score > best[0]:
            best = (score, *zone, x)
    score, start, stop, x = best
    return (start, stop, x) if score >= COLUMN_ROWS else None


class _Cut:
    """A row that is cut in two at one x after another: ``row[:at]`` and ``row[at:]``."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.middles = [p.middle for p in row]
        self.letters = [0, *accumulate(p.letters for p in row)]
        self._texts: dict[tuple[int, int], bool] = {}

    def is_text(self, start: int, stop: int) -> bool:
        """Whether that part is a row of running text, of one or several columns."""
        if (start, stop) not in self._texts:
            segments = split(self.row[start:stop])
            self._texts[start, stop] = all(segment.letters >= _TEXT_LETTERS for segment in segments)
        return self._texts[start, stop]

    def is_stray(self, at: int) -> bool:
        """Whether it has words on both sides and text on neither."""
        left = self.letters[at]
        return 0 < at < len(self.row) and max(left, self.letters[-1] - left) < _TEXT_LETTERS

    def clear(self, xs: Sequence[float]) -> Iterator[tuple[int, int]]:
        """Start and stop in ``xs`` of the row's gaps as wide as a gutter. Ignores specks and rules."""
        row = [p for p in self.row if p.has_text]
        least = GUTTER * median(p.height for p in self.row)
        befores = [-math.inf, *accumulate((p.x1 for p in row), max)]
        afters = [*accumulate((p.x0 for p in reversed(row)), min, initial=math.inf)][::-1]
        ends = [-math.inf, *(p.middle for p in row), math.inf]
        for (low, high), before, after in zip(pairwise(ends), befores, afters, strict=True):
            start = max(bisect_left(xs, before), bisect_right(xs, low))
            stop = bisect_right(xs, min(after, high))
            if after - before >= least and start < stop:
                yield start, stop


def _clear_runs(cuts: Sequence[_Cut], xs: Sequence[float]) -> Iterator[tuple[int, int, float, list[int]]]:
    """The longest runs of at least COLUMN_ROWS rows that leave an x free, with that x and where it cuts each
    row.

    Skips an x that cuts as the one before.
    """
    turns: dict[int, list[int]] = defaultdict(list)
    for i, cut in enumerate(cuts):
        for start, stop in cut.clear(xs):
            turns[start].append(i)
            turns[stop].append(i)
    free = bytearray(len(cuts))
    before: dict[tuple[int, int], list[int]] = {}
    for step, x in enumerate(xs):
        for i in turns[step]:
            free[i] ^= 1
        runs = [found.span() for found in _RUN.finditer(free)]
        at = [bisect_left(cut.middles, x) for cut in cuts] if runs else []
        now = {(start, stop): at[start:stop] for start, stop in runs}
        for (start, stop), sides in now.items():
            if before.get((start, stop)) != sides:
                yield start, stop, x, at
        before = now


def _trimmed(cuts: Sequence[_Cut], start: int, stop: int, at: Sequence[int]) -> tuple[int, int]:
    """Without stray rows at either end, such as running heads or a table's head."""
    while start < stop and cuts[start].is_stray(at[start]):
        start += 1
    while start < stop and cuts[stop - 1].is_stray(at[stop - 1]):
        stop -= 1
    return start, stop


def _text_rows(cuts: Sequence[_Cut], start: int, stop: int, at: Sequence[int], unit: float) -> int:
    """Rows of running text on the side with fewer; 0 unless both sides are mostly text."""
    inside = range(start, stop)
    left = [(cuts[i], 0, at[i]) for i in inside if at[i]]
    right = [(cuts[i], at[i], len(cuts[i].row)) for i in inside if at[i] < len(cuts[i].row)]
    return min(_solid(side, unit) for side in (left, right))


def _solid(parts: Sequence[tuple[_Cut, int, int]], unit: float) -> int:
    """How many parts fill their column like lines of a paragraph; 0 for forms and tables."""
    if len(parts) < COLUMN_ROWS:
        return 0
    widths = [cut.row[stop - 1].x1 - cut.row[start].x0 for cut, start, stop in parts]
    across = sorted(widths)[int(0.9 * (len(parts) - 1))]
    if across < 12 * unit:
        return 0
    text = [
        stop - start
        for (cut, start, stop), width in zip(parts, widths, strict=True)
        if width >= 0.7 * across and cut.is_text(start, stop)
    ]
    share = sum(text) / sum(stop - start for _, start, stop in parts)
    return len(text) if share >= 0.6 else 0
