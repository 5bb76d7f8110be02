"""Columns of a table: stretches of the page's width, from cells below one another. Standard library only.

Cells that overlap stand in one column, unless rows have a cell of their own in either part. Knows nothing of
rules and of cells that span columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf
from statistics import median

from layoutllm_tool.documents.table_cells import MARKED, MOST_COLUMNS, NUMERIC, Cell, GridRow

_REACH = 0.35
"""Largest distance of aligned edges, in heights of a row."""


@dataclass(slots=True)
class Column:
    """A stretch of the width, the rows that have a cell in it, its head and the kind of its cells."""

    x0: float = -1.0
    x1: float = -1.0
    rows: set[int] = field(default_factory=set)
    header: str = ""
    kind: str = ""

    @property
    def placed(self) -> bool:
        """False for what stands anywhere in a row, or on rows of its own."""
        return self.x1 >= 0

    def overlap(self, x0: float, x1: float) -> float:
        """Pixels shared; negative: the distance."""
        return min(self.x1, x1) - max(self.x0, x0)


def nearest(columns: Sequence[Column], cell: Cell) -> int:
    """The column that shares most with the cell, else the nearest."""
    return max(range(len(columns)), key=lambda i: (columns[i].overlap(cell.x0, cell.x1), -i))


def columns_of(rows: Sequence[Sequence[Cell]], slack: float) -> list[Column]:
    """The columns of these rows from the left, at most MOST_COLUMNS; overlaps up to ``slack`` are none.

    Columns with cells in one row stay apart, unless more rows have a cell over both.
    """
    columns: list[Column] = []
    wide: list[tuple[Cell, int]] = []
    cells = [(cell, i) for i, row in enumerate(rows) for cell in row]
    for cell, i in sorted(cells, key=lambda found: found[0].x1 - found[0].x0):
        under = _under(columns, cell, slack)
        if not under and len(columns) < MOST_COLUMNS:
            columns.append(Column(cell.x0, cell.x1, {i}))
        elif any(a.rows & b.rows for a, b in pairwise(under)):
            wide.append((cell, i))
        else:
            columns = _merged(columns, under, cell, {i})
    return sorted(_bridged(columns, wide, slack), key=lambda column: column.x0)


def _bridged(columns: list[Column], wide: Sequence[tuple[Cell, int]], slack: float) -> list[Column]:
    """Joins columns over which more rows have one cell than rows have one in each."""
    spans = {id(cell): tuple(map(id, _under(columns, cell, slack))) for cell, _ in wide}
    times = Counter(spans.values())
    for cell, i in wide:
        under = _under(columns, cell, slack)
        if len(under) > 1 and times[spans[id(cell)]] > max(len(a.rows & b.rows) for a, b in pairwise(under)):
            columns = _merged(columns, under, cell, {i})
    return columns


def _under(columns: Sequence[Column], cell: Cell, slack: float) -> list[Column]:
    least = min(slack, (cell.x1 - cell.x0) / 3)
    return [column for column in columns if column.overlap(cell.x0, cell.x1) > least]


def _merged(columns: Sequence[Column], under: Sequence[Column], cell: Cell, rows: set[int]) -> list[Column]:
    x0, x1 = min(cell.x0, *(c.x0 for c in under), inf), max(cell.x1, *(c.x1 for c in under), 0.0)
    merged = Column(x0, x1, rows.union(*(column.rows for column in under)))
    return [*(column for column in columns if column not in under), merged]


def gutters(rows: Sequence[GridRow]) -> list[float]:
    """Where a table ends and another begins beside it: empty between amounts and names with amounts of their
    own, each in two rows or more.
    """
    numbered = [row for row in rows if any(cell.kind in NUMERIC for cell in row.cells)]
    if len(numbered) < 2:
        return []
    height = median(row.height for row in numbered)
    strips: list[list[Cell]] = []
    right = -inf
    for cell in sorted((cell for row in numbered for cell in row.cells), key=lambda cell: cell.x0):
        if cell.x0 - right > 2 * height:
            strips.append([])
        strips[-1].append(cell)
        right = max(right, cell.x1)
    amounts = [_mostly(strip, "amount") for strip in strips]
    return [
        (max(cell.x1 for cell in strips[i]) + min(cell.x0 for cell in strips[i + 1])) / 2
        for i in range(1, len(strips) - 2)
        if amounts[i] and _mostly(strips[i + 1], "text") and any(amounts[i + 2 :])
    ]


def _mostly(cells: Sequence[Cell], kind: str) -> bool:
    return 2 * sum(cell.kind == kind for cell in cells) > max(len(cells), 3)


# -- columns without a gap between them ----------------------------------------------------------------------


def recut(head: Sequence[GridRow], items: Sequence[GridRow], rows: Sequence[GridRow]) -> list[GridRow]:
    """The rows, with cells cut where words of most items, and a head or a cell, begin, and around numbers
    that end where others do: full columns leave no gap. Rows of one cell stay as they are.
    """
    if len(items) < 2:
        return list(rows)
    edges = _Edges.of(head, items)
    return [edges.cut_row(row) if len(row.cells) > 1 else row for row in rows]


@dataclass(frozen=True, slots=True)
class _Edges:
    """Where numbers and where other words begin, and where numbers end."""

    numbers: Sequence[float]
    texts: Sequence[float]
    ends: Sequence[float]
    reach: float

    @classmethod
    def of(cls, head: Sequence[GridRow], items: Sequence[GridRow]) -> _Edges:
        reach = _REACH * median(row.height for row in items)
        words = [list(_odd_words(row, _blank(items))) for row in items]
        titles = [word for row in head for cell in row.cells for word in cell.by_word()]
        begun = [word.x0 for word in titles], [[cell.x0 for cell in row.cells] for row in items]
        ended = [word.x1 for word in titles], [[cell.x1 for cell in row.cells] for row in items]
        numbers, texts = (
            [[(word, odd) for word, odd in row if (word.kind in NUMERIC) == wanted] for row in words]
            for wanted in (True, False)
        )
        return cls(
            _aligned([[(word.x0, odd) for word, odd in row] for row in numbers], *begun, reach),
            _aligned([[(word.x0, odd) for word, odd in row] for row in texts], *begun, reach),
            _aligned([[(word.x1, odd) for word, odd in row] for row in numbers], *ended, reach),
            reach,
        )

    def cut_row(self, row: GridRow) -> GridRow:
        return replace(row, cells=tuple(part for cell in row.cells for part in self._cut(cell)))

    def _cut(self, cell: Cell) -> Iterator[Cell]:
        words = cell.by_word()
        if len(words) < 2 or cell.kind in (*MARKED, "amount", "date", "range", "size"):
            yield cell
            return
        starts = [i for i in range(1, len(words)) if self._parts(words[i - 1], words[i])]
        for start, stop in pairwise([0, *starts, len(words)]):
            yield Cell.joined(words[start:stop]) if starts else cell

    def _parts(self, before: Cell, word: Cell) -> bool:
        edges = self.numbers if word.kind in NUMERIC else self.texts
        return self._near(word.x0, edges) or self._stops(before) or self._stops(word)

    def _stops(self, word: Cell) -> bool:
        return word.kind in ("number", "amount") and self._near(word.x1, self.ends)

    def _near(self, x: float, edges: Sequence[float]) -> bool:
        return any(abs(x - edge) <= self.reach for edge in edges)


def _blank(items: Sequence[GridRow]) -> float:
    """The usual distance of words within a cell."""
    gaps = [b.x0 - a.x1 for row in items for cell in row.cells for a, b in pairwise(cell.words)]
    return median(gaps) if gaps else 0.0


def _odd_words(row: GridRow, blank: float) -> Iterator[tuple[Cell, bool]]:
    """The row's words, each with whether something other than a blank is before it."""
    before = -inf
    for word in (word for cell in row.cells for word in cell.by_word()):
        yield word, not 0.6 * blank < word.x0 - before < 1.5 * blank
        before = word.x1


def _aligned(
    found: Sequence[Sequence[tuple[float, bool]]],
    heads: Sequence[float],
    cells: Sequence[Sequence[float]],
    reach: float,
) -> list[float]:
    """Where at least half of the rows have an edge, and a head or a quarter of the rows' cells too; not where
    all are a blank away from the word before.
    """
    edges = []
    for group in _groups(sorted((x, odd, i) for i, row in enumerate(found) for x, odd in row), 2 * reach):
        middle = median(x for x, _, _ in group)
        near = sum(any(abs(x - middle) <= reach for x in row) for row in cells)
        begun = any(abs(x - middle) <= reach for x in heads) or 4 * near >= len(found) > 2
        rows = len({i for _, _, i in group})
        if begun and rows >= max(len(found) / 2, min(len(found), 3)) and any(odd for _, odd, _ in group):
            edges.append(middle)
    return edges


def _groups(found: Sequence[tuple[float, bool, int]], width: float) -> list[list[tuple[float, bool, int]]]:
    groups: list[list[tuple[float, bool, int]]] = []
    for one in found:
        if groups and one[0] - groups[-1][0][0] <= width:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups
