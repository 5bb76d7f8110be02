"""Words in any order -> lines in reading order. Standard library only.

A ``Line`` is a run of words on one row without a wide gap: a key and its value in the next column are two lines, so
are two prices side by side. Lines are read row by row, left to right, except where a gutter separates columns of
running text: those are read column after column. Right-to-left and vertical writing are *not* handled.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from statistics import median

from layoutllm_tool.documents.geometry import SCALE, Line, Word
from layoutllm_tool.errors import DocumentTooLarge

WIDE_GAP = 1.5
"""A gap of more than this many median word heights of its row ends a line. Typewriter spacing stays at about 1.2."""
GUTTER = 0.8
"""Columns of text may stand closer than WIDE_GAP: this many heights clear on every row, justified spaces stay under."""
COLUMN_ROWS = 4
"""Fewer rows of text than this on either side are no column."""
MAX_WORDS = 20_000
"""On one page; a dense one has 5,000. DocumentTooLarge beyond."""
MOST_CAREFUL = 10_000
"""Words of a page whose columns are looked for; a fuller one is read row by row."""
MOST_ZONES = 20
"""Places of a page where columns stand side by side, of which papers have two; past them it is read row by row."""
_MOST_NEAR = 256
"""Pieces of like height about as high on the page: ordinary pages have at most 180. Where there are more, ``_NEAREST`` are tried."""
_NEAREST = 64
_TEXT_LETTERS = 18
"""Fewer on a row are a key, a heading or a cell."""
_RUN = re.compile(rb"\x01{%d,}" % COLUMN_ROWS)
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
    letters: int = field(init=False)
    speaks: bool = field(init=False)
    """Whether it has a letter or a digit."""
    y: float = field(init=False)
    middle: float = field(init=False)

    def __post_init__(self) -> None:
        text = "".join(word.text for word in self.words)
        object.__setattr__(self, "letters", sum(map(str.isalpha, text)))
        object.__setattr__(self, "speaks", any(map(str.isalnum, text)))
        object.__setattr__(self, "y", (self.left[0] + self.right[0]) / 2)
        object.__setattr__(self, "middle", (self.x0 + self.x1) / 2)


_Row = list[_Piece]
"""Single words of one row from left to right."""


def group_lines(words: Sequence[Word], *, width: int, height: int) -> list[Line]:
    """The words as lines in reading order: every word once, the same result whatever the order they came in.

    ``width`` and ``height`` are the page's pixels: boxes are 0-1000 on both axes, and distances mean something only
    once the page's proportions are restored. DocumentTooLarge for more than MAX_WORDS words.
    """
    if not words:
        return []
    if len(words) > MAX_WORDS:
        raise DocumentTooLarge(f"a page has {len(words):,} words.", hint=f"At most {MAX_WORDS:,} are read.")
    ordered = sorted(words, key=lambda w: (w.box.y0, w.box.x0, w.box.y1, w.box.x1, w.text, w.confidence or -1.0))
    level = _pieces(ordered, width, height, slope=0.0)
    slope = _slope(_segments(level))
    pieces = _pieces(ordered, width, height, slope) if slope else level
    zones = list(range(MOST_ZONES)) if len(words) <= MOST_CAREFUL else []
    return [Line(segment.words) for segment in _read(pieces, zones)]


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


def _read(pieces: Sequence[_Piece], zones: list[int]) -> list[_Piece]:
    """XY-cut: where two columns of text stand side by side, what is above, the left one, the right one, what is below;
    elsewhere row by row. ``zones`` has an entry for each cut that is still allowed."""
    rows = _rows(pieces)
    zone = _columns(rows) if zones else None
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
    zones.pop()
    return [segment for part in parts if part for segment in _read(part, zones)]


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
    """Which pieces can stand in a row with another: of like height, about as high on the page.

    Where these are too many, the nearest to the right are taken, whatever their height on the page.
    """

    def __init__(self, pieces: Sequence[_Piece], likeness: float) -> None:
        self.likeness = likeness
        classes: dict[int, list[int]] = defaultdict(list)
        for i, piece in enumerate(pieces):
            classes[self._class(piece.left[1])].append(i)
        self.by_y = {c: sorted((pieces[i].left[0], i) for i in found) for c, found in classes.items()}
        self.by_x = {c: sorted((pieces[i].x0, i) for i in found) for c, found in classes.items()}

    def _class(self, height: float) -> int:
        """Heights that are alike lie in one class or in two neighbouring ones."""
        return math.floor(math.log(height, 1 / self.likeness))

    def of(self, piece: _Piece) -> Iterator[int]:
        (y, height), own = piece.right, self._class(piece.right[1])
        window = height / self.likeness / 2
        for c in (own - 1, own, own + 1):
            found = self.by_y.get(c, [])
            start, stop = bisect_left(found, (y - window,)), bisect_right(found, (y + window, math.inf))
            if stop - start > _MOST_NEAR:
                found = self.by_x[c]
                start = bisect_left(found, (piece.middle,))  # more to the left it would overlap the piece by half
                stop = start + _NEAREST
            yield from (i for _, i in found[start:stop])


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

    def __init__(self, row: _Row) -> None:
        self.row = row
        self.middles = [p.middle for p in row]
        self.letters = [0, *accumulate(p.letters for p in row)]
        self._texts: dict[tuple[int, int], bool] = {}

    def is_text(self, start: int, stop: int) -> bool:
        """Whether that part reads like a row of running text, or like rows of several columns of it."""
        if (start, stop) not in self._texts:
            segments = _split(self.row[start:stop])
            self._texts[start, stop] = all(segment.letters >= _TEXT_LETTERS for segment in segments)
        return self._texts[start, stop]

    def is_stray(self, at: int) -> bool:
        """Whether it stands on both sides and is text on neither."""
        left = self.letters[at]
        return 0 < at < len(self.row) and max(left, self.letters[-1] - left) < _TEXT_LETTERS

    def clear(self, xs: Sequence[float]) -> Iterator[tuple[int, int]]:
        """Start and stop among ``xs`` of where the row has a gutter's gap. Specks and rules in a gutter don't block it."""
        row = [p for p in self.row if p.speaks]
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
    """The longest runs of consecutive rows that leave an x free and have at least COLUMN_ROWS rows, with that x and where it cuts
    each row. What is cut just as at the x before is passed over."""
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
    """Without rows at either end that stand on both sides but are text on neither: running heads, a table's head."""
    while start < stop and cuts[start].is_stray(at[start]):
        start += 1
    while start < stop and cuts[stop - 1].is_stray(at[stop - 1]):
        stop -= 1
    return start, stop


def _text_rows(cuts: Sequence[_Cut], start: int, stop: int, at: Sequence[int], unit: float) -> int:
    """Rows of running text on the side that has fewer; 0 unless both sides are mostly such rows."""
    inside = range(start, stop)
    left = [(cuts[i], 0, at[i]) for i in inside if at[i]]
    right = [(cuts[i], at[i], len(cuts[i].row)) for i in inside if at[i] < len(cuts[i].row)]
    return min(_solid(side, unit) for side in (left, right))


def _solid(parts: Sequence[tuple[_Cut, int, int]], unit: float) -> int:
    """How many parts fill their column as a paragraph's lines do; 0 where most words are in others: forms, tables."""
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
