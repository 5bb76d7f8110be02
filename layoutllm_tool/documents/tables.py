"""Columns of a page: the amounts above a total, those that add up to it, the values under a header. Pure.

Finds cells by gaps and alignment alone. Does not look for rules, nor understand cells that span several
columns. The page must be level. A cell is (line, word) indices of one line, left to right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, pairwise

from layoutllm_tool.documents.geometry import SCALE, Box, Line, Page, box_of
from layoutllm_tool.documents.values import Mark, amount, marks, money

Indices = tuple[tuple[int, int], ...]
"""(line, word) into ``Page.lines`` and ``Line.words``."""

MOST_ADDENDS = 100
"""Amounts above a total that are tried; a longer column is cut at its top."""
_TOLERANCE = 1.0
"""Largest distance of a column's edges, in heights of their text: tax codes, a page slightly askew."""
_CELL_GAP = 1.0
"""A wider gap between words, in heights of their text, begins another cell. A blank has 0.3."""
_ROW_GAP = 2.5
"""A wider gap between rows, in heights of their text, ends a table."""


@dataclass(frozen=True, slots=True)
class _Cell:
    at: Indices
    box: Box
    value: Decimal | None = None


def column(page: Page, total: Sequence[tuple[int, int]]) -> tuple[Indices, ...]:
    """The amounts in the total's column above it, top to bottom: items, and the subtotals and taxes among
    them.

    They share its right or its left edge; of two in a row the better aligned counts. Amounts have a currency
    or two decimals. IndexError, ValueError: see ``box_of``.
    """
    return tuple(cell.at for cell in _column(page, total))


def addends(
    page: Page,
    total: Sequence[tuple[int, int]],
    *,
    wanted: Decimal | None = None,
    mark: Mark | None = None,
    taken: Collection[tuple[int, int]] = (),
) -> tuple[Indices, ...] | None:
    """The unbroken run of the total's column that adds up to it, to the cent: items, items and tax, subtotal
    and tax.

    ``wanted`` is the sum where that is not the total itself; ``mark`` is the decimal mark to read amounts by,
    the page's by default, each in turn where it shows none. Amounts with a word in ``taken`` are left out.
    Where no run adds up, subtotals of groups within it are passed over. Prefers runs of two or more amounts
    that are not zero, then the run nearest to the total. None where nothing adds up, and where the total is
    no amount or zero. Raises as ``column`` does.
    """
    lines = page.lines or ()
    text = " ".join(lines[line].words[word].text for line, word in total)
    for by in (mark,) if mark else marks(line.text for line in lines):
        cells = [cell for cell in _column(page, total, by) if not set(taken).intersection(cell.at)]
        if run := _best_run(cells[-MOST_ADDENDS:], amount(text, by) if wanted is None else wanted):
            return tuple(cell.at for cell in run)
    return None


def cells_under(page: Page, header_line: int, words: Sequence[int] | None = None) -> tuple[Indices, ...]:
    """The values under a header, top to bottom, until a gap far wider than those before.

    ``words`` are the header's own where several headers stand in one line. A value shares an edge with the
    header, or most of the narrower one's width. IndexError where the page has no such line or word.
    """
    own = (page.lines or ())[header_line]
    header = box_of(page, [(header_line, i) for i in (range(len(own.words)) if words is None else words)])
    found: list[_Cell] = []
    above, widest = header, 0.0
    for row in _rows(page):
        under = [c for c in row if c.box.y0 >= header.center[1] and _same_column(page, c.box, header)]
        if not under:
            continue
        cell = min(under, key=lambda c: abs(c.box.center[0] - header.center[0]))
        gap = max(cell.box.y0 - above.y1, 0.0)
        if gap > max(_ROW_GAP * max(cell.box.height, header.height), 2 * widest):
            break
        widest, above = max(widest, gap), cell.box
        found.append(cell)
    return tuple(cell.at for cell in found)


def _column(page: Page, total: Sequence[tuple[int, int]], mark: Mark | None = None) -> list[_Cell]:
    own = box_of(page, total)
    reach = _across(page, own.height, _TOLERANCE)
    lines = enumerate(page.lines or ())
    amounts = (cell for index, line in lines for cell in _amounts_of(index, line, mark))
    above = [c for c in amounts if c.box.center[1] <= own.y0 and _misaligned(c.box, own) <= reach]
    return [min(row, key=lambda c: _misaligned(c.box, own)) for row in _in_rows(above)]


def _amounts_of(index: int, line: Line, mark: Mark | None) -> list[_Cell]:
    starts = [0, *accumulate(len(word.text) + 1 for word in line.words)]
    cells = []
    for start, stop, found in money(line.text, mark):
        words = [
            i for i, word in enumerate(line.words) if starts[i] < stop and starts[i] + len(word.text) > start
        ]
        box = Box.union(line.words[i].box for i in words)
        cells.append(_Cell(tuple((index, i) for i in words), box, found.value))
    return cells


def _best_run(cells: Sequence[_Cell], wanted: Decimal | None) -> list[_Cell] | None:
    if not wanted:
        return None
    found = list(_runs(cells, wanted, passing=False)) or list(_runs(cells, wanted, passing=True))
    solid = [run for run in found if sum(bool(cell.value) for cell in run) > 1]
    return next(iter(solid or found), None)


def _runs(cells: Sequence[_Cell], wanted: Decimal, *, passing: bool) -> Iterator[list[_Cell]]:
    """Runs that add up, those nearest to the total first. ``passing`` leaves out subtotals of groups."""
    for stop in range(len(cells), 1, -1):
        for start in range(stop - 2, -1, -1):
            run = cells[start:stop]
            run = _ungrouped(run) if passing else list(run)
            if len(run) > 1 and run[0].value and sum(_value(cell) for cell in run) == wanted:
                yield run


def _ungrouped(run: Sequence[_Cell]) -> list[_Cell]:
    """Without subtotals: sums of the two or more amounts since the last subtotal."""
    kept: list[_Cell] = []
    group, size = Decimal(0), 0
    for cell in run:
        if size > 1 and _value(cell) == group:
            group, size = Decimal(0), 0
        else:
            kept.append(cell)
            group, size = group + _value(cell), size + 1
    return kept


def _value(cell: _Cell) -> Decimal:
    return cell.value or Decimal(0)


def _rows(page: Page) -> list[list[_Cell]]:
    """All cells of a page, row by row from the top, each from the left."""
    cells = [cell for index, line in enumerate(page.lines or ()) for cell in _split(page, index, line)]
    rows = _in_rows(sorted(cells, key=lambda c: c.box.x0))
    return [sorted(row, key=lambda c: c.box.x0) for row in rows]


def _in_rows(cells: Iterable[_Cell]) -> list[list[_Cell]]:
    """Cells whose centre is above the bottom of a row's first cell join that row."""
    rows: list[list[_Cell]] = []
    for cell in sorted(cells, key=lambda c: c.box.center[1]):
        if rows and rows[-1][0].box.y1 > cell.box.center[1]:
            rows[-1].append(cell)
        else:
            rows.append([cell])
    return rows


def _split(page: Page, index: int, line: Line) -> list[_Cell]:
    gap = _across(page, line.box.height, _CELL_GAP)
    runs = [[0]]
    for i, (before, word) in enumerate(pairwise(line.words), start=1):
        if word.box.x0 - before.box.x1 > gap:
            runs.append([])
        runs[-1].append(i)
    return [_Cell(tuple((index, i) for i in run), Box.union(line.words[i].box for i in run)) for run in runs]


def _same_column(page: Page, a: Box, b: Box) -> bool:
    narrower = min(a.width, b.width)
    shared = min(a.x1, b.x1) - max(a.x0, b.x0)
    return shared > narrower / 2 or _misaligned(a, b) <= _across(
        page, min(a.height, b.height), _TOLERANCE / 2
    )


def _misaligned(a: Box, b: Box) -> float:
    return min(abs(a.x1 - b.x1), abs(a.x0 - b.x0))


def _across(page: Page, height: float, times: float) -> float:
    """A height in 0-1000 of the page's height, as a width in 0-1000 of its width."""
    return min(times * height * page.height / page.width, SCALE)
