"""Rows of a page as cells of known kinds, and the columns in which they stand. Standard library only.

A cell is a run of words without a wide gap, cut around amounts at its end and around "2 x 3.50". Columns are
stretches of the page's width: cells that overlap stand in one column, unless rows have a cell of their own in
either part. Distances are in pixels. Knows nothing of rules and of cells that span columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate, pairwise
from statistics import median

from layoutllm_tool.documents.geometry import SCALE, Page
from layoutllm_tool.documents.rows import Piece, pieces_of, rows_of, segments_of, slope_of
from layoutllm_tool.documents.tables import MOST_COLUMNS, Indices
from layoutllm_tool.documents.values import spans, spans_of

CELL_GAP = 1.0
"""A wider gap between words, in heights of their row, begins another cell. A blank has 0.3."""
BLANKS = 2.0
"""Likewise, in usual blanks of the page."""
NUMERIC = frozenset({"number", "measure", "amount", "percent", "quantity", "unit price"})
MARKED = ("quantity", "unit price")
TYPED = NUMERIC | {"date"}

_CURRENCY = r"(?:RM|[$€£¥₹]|EUR|USD|GBP|CHF)?\s?"
_PRICE = rf"{_CURRENCY}(?P<price>\d{{1,6}}(?:[,']\d{{3}})*[.,]\s?\d{{2,4}})(?![\d%]|\s%)"
_COUNT = r"(?P<count>\d{1,5}(?:[.,]\d{1,3})?)"
_TIMES = r"(?:[x×*@]|à\b|je\b)"
QUANTITIES = (
    re.compile(rf"(?<![\w.,/])@?{_COUNT}(?:\s?[a-zäöü]{{1,5}}\.?(?=[\s@*×]))?\s?{_TIMES}\s?{_PRICE}", re.IGNORECASE),
    re.compile(rf"(?<![\w.,/]){_PRICE}\s?[x×*]\s?{_COUNT}(?![\d.,])", re.IGNORECASE),
    re.compile(rf"@\s?{_PRICE}", re.IGNORECASE),
)
"""A quantity and a unit price, in either order, or a unit price alone: "2 x 3.50", "3 PCS @ 1.20", "7.90*3"."""
_MONTH = (
    r"(?:jan|feb|f[eé]v|mar|mär|mrt|apr|avr|abr|ma[iy]|mei|jun|juin|jul|juil|aug|ao[uû]|ago|sep|okt|oct|out|ott|nov|de[czs]|déc"
    r"|gen|mag|giu|lug|set|ene)[^\W\d]*\.?"
)
_DATE = re.compile(
    rf"(?:[^\W\d]{{2,3}}\.?,?\s)?(?:\d{{1,2}}\.\s?(?:0?[1-9]|1[0-2])\.|\d{{1,2}}/(?:0?[1-9]|1[0-2])|\d{{1,2}}\.?[ -]?{_MONTH}(?:[ -]\d{{2,4}})?)",
    re.IGNORECASE,
)
"""Without a year, as statements have it."""
_RANGE = re.compile(r"[<>≤≥]\s?\d[\d.,]*|\d[\d.,]*\s?[-\u2013]\s?\d[\d.,]*")
_KINDS = (
    ("percent", re.compile(r"[-\u2212]?\d+(?:[.,]\d+)?\s?%")),
    ("time", re.compile(r"\d{1,2}:\d{2}(?::\d{2})?(?:\s?[AP]M)?", re.IGNORECASE)),
    ("number", re.compile(r"[x×*]?\s?[-\u2212+]?\d{1,9}(?:[ .,'\u2019]\d{1,4})*")),
    ("measure", re.compile(r"[-\u2212+]?\d{1,9}(?:[ .,'\u2019]\d{1,4})*\s?[^\W\d]{1,3}\d?\.?")),
    ("code", re.compile(r"\S*\d\S*|\W*[A-Z]{1,3}\W*|\W{1,2}")),
)  # fmt: skip
_COLONS = (":", "\uff1a", "=")
_OPEN = re.compile(r"[-\u2013<>≤≥]")
"""Before a number: a range."""
_SHORT = re.compile(r"[*#(]?[A-Za-z]{1,3}[)*]?|[*#]")
"""What may follow an amount: a tax code."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Words of one row, left to right, in pixels."""

    at: Indices
    text: str
    kind: str
    x0: float
    x1: float
    words: tuple[Piece, ...] = field(repr=False, compare=False, default=())
    begins: bool = True
    """Whether a gap is before it; False for what was cut from the cell before."""

    @property
    def letters(self) -> int:
        return sum(map(str.isalpha, self.text))

    def by_word(self) -> list[Cell]:
        """A cell for each of its words."""
        pairs = zip(self.at, self.words, strict=True)
        return [Cell((at,), p.words[0].text, kind_of(p.words[0].text), p.x0, p.x1, (p,)) for at, p in pairs]


@dataclass(frozen=True, slots=True)
class GridRow:
    """Cells beside one another. ``y`` is their middle, ``height`` that of their words, ``pitch`` the usual
    distance of the page's rows.
    """

    page: int
    cells: tuple[Cell, ...]
    y: float
    height: float
    pitch: float

    @property
    def text(self) -> str:
        return " ".join(cell.text for cell in self.cells)


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


@lru_cache(maxsize=4096)
def kind_of(text: str) -> str:
    """What a cell's text looks like: amount, percent, range, date, time, number, measure ("2 PC"), code or text."""
    if _DATE.fullmatch(text):
        return "date"
    money = spans(text)
    if money and len(money) == 1 and len(text) - (money[0][1] - money[0][0]) <= 3:
        return "amount"
    if _RANGE.fullmatch(text):
        return "range"
    dates = spans_of("date", text)
    if len(dates) == 1 and len(text) - (dates[0][1] - dates[0][0]) <= 5:
        return "date"
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(text)), "text")


def grid_rows(page: Page) -> list[GridRow]:
    """All words of the page, row by row from the top, as cells from the left."""
    at = {id(word): (i, j) for i, line in enumerate(page.lines or ()) for j, word in enumerate(line.words)}
    if not at:
        return []
    slope = slope_of(segments_of(pieces_of(page.words, page.width, page.height, 0.0)))
    rows = rows_of(pieces_of(page.words, page.width, page.height, slope))
    blank = BLANKS * _blank(page)
    middles = [median(p.y for p in row) for row in rows]
    heights = [median(p.height for p in row) for row in rows]
    pitch = _pitch(middles, median(heights))
    return [
        GridRow(page.number, tuple(_cells(row, at, blank)), y, height, pitch)
        for row, y, height in zip(rows, middles, heights, strict=True)
    ]


def _pitch(middles: Sequence[float], height: float) -> float:
    """A small distance of rows, as lines of one paragraph have it."""
    gaps = sorted(gap for a, b in pairwise(middles) if (gap := b - a) > height)
    return gaps[len(gaps) // 8] if gaps else 1.5 * height


def _blank(page: Page) -> float:
    """The usual distance of neighbouring words, in pixels."""
    gaps = [b.box.x0 - a.box.x1 for line in page.lines or () for a, b in pairwise(line.words)]
    return median(gaps) * page.width / SCALE if gaps else 0.0


def _cells(row: Sequence[Piece], at: dict[int, tuple[int, int]], blank: float) -> Iterator[Cell]:
    limit = max(CELL_GAP * median(p.height for p in row), blank)

    def apart(a: Piece, b: Piece) -> bool:
        other_line = at[id(a.words[0])][0] != at[id(b.words[0])][0]
        return b.x0 - a.x1 > (limit / 2 if other_line else limit)

    begins = [True, *(apart(a, b) for a, b in pairwise(row))]
    for i, piece in enumerate(row[1:], start=1):
        if piece.words[0].text in _COLONS:  # it ends a label, however far away
            begins[i : i + 2] = [False, True][: len(row) - i]
    marked = _quantities([p.words[0].text for p in row], begins)
    run: list[Piece] = []
    for i, piece in enumerate(row):
        if run and (i in marked or begins[i]):
            yield from _run_cells(run, at)
            run = []
        if i not in marked:
            run.append(piece)
        yield from _marked(row, marked.get(i, {}), at)
    if run:
        yield from _run_cells(run, at)


def _run_cells(run: Sequence[Piece], at: dict[int, tuple[int, int]]) -> Iterator[Cell]:
    return (replace(_cell(part, at), begins=part[0] is run[0]) for part in _cut(run))


def _cell(words: Sequence[Piece], at: dict[int, tuple[int, int]], kind: str = "") -> Cell:
    text = " ".join(p.words[0].text for p in words)
    places = tuple(at[id(p.words[0])] for p in words)
    return Cell(places, text, kind or kind_of(text), words[0].x0, max(p.x1 for p in words), tuple(words))


def _marked(row: Sequence[Piece], parts: dict[str, list[int]], at: dict[int, tuple[int, int]]) -> Iterator[Cell]:
    """Quantity and unit price; half of the word each where they share one."""
    cells = [_cell([row[i] for i in words], at, kind) for kind, words in parts.items()]
    if len(cells) == 2 and cells[0].at == cells[1].at:
        middle = (cells[0].x0 + cells[0].x1) / 2
        cells = [replace(cells[0], x1=middle), replace(cells[1], x0=middle)]
    yield from cells


def _quantities(texts: Sequence[str], begins: Sequence[bool]) -> dict[int, dict[str, list[int]]]:
    """The marked words, the first of each run with its parts: a quantity begins a cell or follows a code."""
    marked: dict[int, dict[str, list[int]]] = {}
    starts = [0, *accumulate(len(text) + 1 for text in texts)]
    joined = " ".join(texts)

    def within(start: int, stop: int) -> list[int]:
        return [i for i, text in enumerate(texts) if starts[i] < stop and starts[i] + len(text) > start]

    for pattern in QUANTITIES:
        for match in pattern.finditer(joined):
            words, price = within(*match.span()), within(*match.span("price"))
            first = words[0]
            counted = "count" in pattern.groupindex
            if marked.keys() & set(words) or (counted and not begins[first] and kind_of(texts[first - 1]) != "code"):
                continue
            marked.update((i, {}) for i in words)
            count = [i for i in words if i not in price] or words
            parts = {"quantity": count, "unit price": price} if counted else {"unit price": words}
            marked[first] = dict(sorted(parts.items(), key=lambda part: part[1][0]))
    return marked


def _cut(run: Sequence[Piece]) -> list[Sequence[Piece]]:
    """Around amounts at the end, a tax code after them and, where all else is numbers, those."""
    texts = [p.words[0].text for p in run]
    if kind_of(" ".join(texts)) == "range":
        return [run]
    starts = [0, *accumulate(len(text) + 1 for text in texts)]
    found = spans(" ".join(texts))
    amounts = [[i for i in range(len(run)) if starts[i] < b and starts[i + 1] - 1 > a] for a, b, _ in found]
    stop, parts = len(run), []
    codes = amounts[-1][-1] + 1 if amounts else stop
    if codes < stop <= codes + 2 and all(map(_SHORT.fullmatch, texts[codes:])):
        stop = codes
        parts.append(run[stop:])
    while amounts and amounts[-1][-1] == stop - 1 and not _OPEN.fullmatch(texts[amounts[-1][0] - 1]):
        stop = amounts.pop()[0]
        parts.append(run[stop : stop + len(run[stop:]) - sum(map(len, parts))])
    if len(parts) == 0:
        return [run]
    if all(kind_of(text) == "number" for text in texts[:stop]):
        parts.extend(run[i : i + 1] for i in range(stop - 1, -1, -1))
    elif stop:
        parts.append(run[:stop])
    return parts[::-1]


def columns_of(rows: Sequence[Sequence[Cell]], slack: float) -> list[Column]:
    """The columns of these rows from the left, at most MOST_COLUMNS; overlaps up to ``slack`` are none.

    Columns with cells in one row stay apart, unless more rows have a cell over both.
    """
    columns: list[Column] = []
    wide: list[tuple[Cell, int]] = []
    cells = [(cell, i) for i, row in enumerate(rows) for cell in row]
    for cell, i in sorted(cells, key=lambda found: found[0].x1 - found[0].x0):
        over = _under(columns, cell, slack)
        if not over and len(columns) < MOST_COLUMNS:
            columns.append(Column(cell.x0, cell.x1, {i}))
        elif not any(a.rows & b.rows for a, b in pairwise(over)):
            columns = _merged(columns, over, cell, {i})
        else:
            wide.append((cell, i))
    for cell, _ in wide:
        over = _under(columns, cell, slack)
        alike = {i for other, i in wide if _under(columns, other, slack) == over}
        if len(over) > 1 and len(alike) > max(len(a.rows & b.rows) for a, b in pairwise(over)):
            columns = _merged(columns, over, cell, alike)
    return sorted(columns, key=lambda c: c.x0)


def _under(columns: Sequence[Column], cell: Cell, slack: float) -> list[Column]:
    return [c for c in columns if c.overlap(cell.x0, cell.x1) > min(slack, (cell.x1 - cell.x0) / 3)]


def _merged(columns: list[Column], over: Sequence[Column], cell: Cell, rows: set[int]) -> list[Column]:
    x0, x1 = min(cell.x0, *(c.x0 for c in over)), max(cell.x1, *(c.x1 for c in over))
    merged = Column(x0, x1, rows.union(*(c.rows for c in over)))
    return [*(c for c in columns if c not in over), merged]


def nearest(columns: Sequence[Column], x0: float, x1: float) -> int:
    """The column that shares most with the stretch, else the nearest."""
    return max(range(len(columns)), key=lambda i: (columns[i].overlap(x0, x1), -i))


def words_of(cells: Iterable[Cell]) -> Indices:
    return tuple(at for cell in cells for at in cell.at)


def recut(head: Sequence[GridRow], items: Sequence[GridRow], rows: Sequence[GridRow]) -> list[GridRow]:
    """The rows, with cells cut where words of most items, and a head or a cell, begin, and around numbers
    that end where others do: full columns leave no gap. Rows of one cell stay as they are.
    """
    if len(items) < 2:
        return list(rows)
    reach = 0.35 * median(row.height for row in items)
    words = [[word for cell in row.cells for word in cell.by_word()] for row in items]
    titles = [word for row in head for cell in row.cells for word in cell.by_word()]
    begun = [*(w.x0 for w in titles)], [[cell.x0 for cell in row.cells] for row in items]
    ended = [*(w.x1 for w in titles)], [[cell.x1 for cell in row.cells] for row in items]
    gaps = [[float("inf"), *(b.x0 - a.x1 for a, b in pairwise(row))] for row in words]
    own = [cell.by_word() for row in items for cell in row.cells]
    blank = median([b.x0 - a.x1 for cell in own for a, b in pairwise(cell)] or [0.0])
    odd = [[not 0.6 < gap / blank < 1.5 if blank > 0 else True for gap in row] for row in gaps]
    pairs = [list(zip(row, found, strict=True)) for row, found in zip(words, odd, strict=True)]
    numbers, texts = ([[p for p in row if (p[0].kind in NUMERIC) == wanted] for row in pairs] for wanted in (True, False))
    edges = _Edges(
        _edges([[(w.x0, o) for w, o in row] for row in numbers], *begun, reach),
        _edges([[(w.x0, o) for w, o in row] for row in texts], *begun, reach),
        _edges([[(w.x1, o) for w, o in row] for row in numbers], *ended, reach),
        reach,
    )
    return [replace(row, cells=tuple(_recut(row.cells, edges))) if len(row.cells) > 1 else row for row in rows]


@dataclass(frozen=True, slots=True)
class _Edges:
    """Where numbers and where other words begin, and where numbers end."""

    numbers: Sequence[float]
    texts: Sequence[float]
    ends: Sequence[float]
    reach: float

    def begins(self, word: Cell) -> bool:
        edges = self.numbers if word.kind in NUMERIC else self.texts
        return any(abs(word.x0 - x) <= self.reach for x in edges)

    def stops(self, word: Cell) -> bool:
        return word.kind in ("number", "amount") and any(abs(word.x1 - x) <= self.reach for x in self.ends)


def _edges(
    found: Sequence[Sequence[tuple[float, bool]]], heads: Sequence[float], cells: Sequence[Sequence[float]], reach: float
) -> list[float]:
    """Where at least half of the rows have an edge, and a head or a quarter of the rows' cells too; not where
    all are a blank away from the word before.
    """
    edges: list[float] = []
    group: list[tuple[float, bool, int]] = []
    for x, odd, i in [*sorted((x, odd, i) for i, row in enumerate(found) for x, odd in row), (float("inf"), False, -1)]:
        if group and x - group[0][0] > 2 * reach:
            middle = median(x for x, _, _ in group)
            own = sum(any(abs(x - middle) <= reach for x in row) for row in cells)
            wanted = any(abs(x - middle) <= reach for x in heads) or 4 * own >= len(found) > 2
            many = len({i for _, _, i in group}) >= max(len(found) / 2, min(len(found), 3))
            if wanted and many and any(odd for _, odd, _ in group):
                edges.append(middle)
            group = []
        group.append((x, odd, i))
    return edges


def _recut(cells: Sequence[Cell], edges: _Edges) -> Iterator[Cell]:
    for cell in cells:
        words = cell.by_word()
        if len(words) < 2 or cell.kind in (*MARKED, "amount", "date", "range"):
            yield cell
            continue
        run: list[Cell] = []
        for word in words:
            if run and (edges.begins(word) or edges.stops(word) or edges.stops(run[-1])):
                yield joined(run)
                run = []
            run.append(word)
        yield joined(run) if len(run) < len(words) else cell


def joined(words: Sequence[Cell]) -> Cell:
    """Neighbouring cells as one."""
    text = " ".join(word.text for word in words)
    return Cell(
        tuple(at for w in words for at in w.at), text, kind_of(text), words[0].x0, max(w.x1 for w in words),
        tuple(p for w in words for p in w.words),
    )  # fmt: skip
