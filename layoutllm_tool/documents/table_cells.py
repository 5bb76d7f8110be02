"""Rows of a page as cells of known kinds. Standard library only.

A cell is a run of words without a wide gap, cut around amounts at its end and around "2 x 3.50". Distances
are in pixels, with the page's slope removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate, pairwise
from statistics import median

from layoutllm_tool.documents import dates
from layoutllm_tool.documents.geometry import SCALE, Page
from layoutllm_tool.documents.rows import Piece, pieces_of, rows_of, segments_of, slope_of
from layoutllm_tool.documents.tables import Indices
from layoutllm_tool.documents.values import money

MOST_COLUMNS = 100
"""Of a table."""
MARKED = ("quantity", "unit price")
"""Kinds of what stands on either side of "x" or "@"."""
NUMERIC = frozenset({"number", "measure", "amount", "percent", *MARKED})
TYPED = NUMERIC | {"date"}

_CELL_GAP = 1.0
"""A wider gap between words, in heights of their row, begins another cell. A blank has 0.3."""
_BLANKS = 2.0
"""Likewise, in usual blanks of the page: boxes of OCR may be low."""
_BENT = 0.7
"""Largest drop between the halves of a row, in heights of their words."""
_PRICE = r"(?:RM|[$€£¥₹]|EUR|USD|GBP|CHF)?\s?(?P<price>\d{1,6}(?:[,']\d{3})*[.,]\s?\d{2,4})(?![\d%]|\s%)"
_COUNT = r"(?P<count>\d{1,5}(?:[.,]\d{1,3})?)"
_UNIT = r"(?:\s?[^\W\d]{1,5}\.?(?=[\s@*\u00d7]))?"
_QUANTITIES = (
    re.compile(rf"(?<![\w.,/])@?{_COUNT}{_UNIT}\s?(?:[x\u00d7*@]|à\b|je\b)\s?{_PRICE}", re.IGNORECASE),
    re.compile(rf"(?<![\w.,/]){_PRICE}\s?[x\u00d7*]\s?{_COUNT}(?![\d.,])", re.IGNORECASE),
    re.compile(rf"@\s?{_PRICE}", re.IGNORECASE),
)
"""A quantity and a unit price, either first, or a unit price alone: "2 x 3.50", "3 PCS @ 1.20", "7.90*3"."""
_NUMBER = r"[-\u2212+]?\d{1,9}(?:[ .,'\u2019]\d{1,4})*"
_RANGE = re.compile(r"[<>≤≥]\s?\d[\d.,]*|\d[\d.,]*\s?[-\u2013]\s?\d[\d.,]*")
_SIZE = r"[1-9]\d{0,4}(?:[.,]\d{1,2})?"
_KINDS = (
    ("percent", re.compile(r"[-\u2212]?\d+(?:[.,]\d+)?\s?%")),
    ("size", re.compile(rf"{_SIZE}(?:\s?[x\u00d7]\s?{_SIZE}){{1,2}}(?:\s?[mc]?m)?", re.IGNORECASE)),
    ("time", re.compile(r"\d{1,2}:\d{2}(?::\d{2})?(?:\s?[AP]M)?", re.IGNORECASE)),
    ("number", re.compile(rf"[x\u00d7*]?\s?{_NUMBER}")),
    ("measure", re.compile(rf"{_NUMBER}\s?[^\W\d]{{1,3}}\d?\.?")),
    ("code", re.compile(r"\S*\d\S*|\W*[A-Z]{1,3}\W*|\W{1,2}")),
)
_WEEKDAY = re.compile(r"^[^\W\d]{2,3}[.,]*\s")
_ENDS_LABEL = (":", "\uff1a", "=")
_DASH = re.compile(r"[-\u2013<>≤≥]")
_MOST_CODES = 2
_TAX_CODE = re.compile(r"[*#(]?(?!(?:[lmg]|[kmc]?g|[mc]l|[mc]m|km|oz|lb)$)[A-Za-z]{1,3}[)*]?|[*#]")
"""Not a unit: "0,75 l"."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Words of one row, left to right."""

    at: Indices
    text: str
    kind: str
    x0: float
    x1: float
    words: tuple[Piece, ...] = field(repr=False)
    begins: bool = True
    """Whether a gap is before it; False for what was cut from the cell before."""

    @classmethod
    def of(cls, words: Sequence[tuple[tuple[int, int], Piece]], kind: str = "") -> Cell:
        pieces = tuple(piece for _, piece in words)
        text = " ".join(piece.words[0].text for piece in pieces)
        edges = pieces[0].x0, max(piece.x1 for piece in pieces)
        return cls(tuple(at for at, _ in words), text, kind or kind_of(text), *edges, pieces)

    @classmethod
    def joined(cls, cells: Iterable[Cell], kind: str = "") -> Cell:
        return cls.of([pair for cell in cells for pair in zip(cell.at, cell.words, strict=True)], kind)

    @property
    def letters(self) -> int:
        return sum(map(str.isalpha, self.text))

    def by_word(self) -> list[Cell]:
        """A cell for each of its words."""
        return [Cell.of([pair]) for pair in zip(self.at, self.words, strict=True)]

    def over(self, other: Cell) -> bool:
        """Whether the two share a part of the page's width."""
        return min(self.x1, other.x1) > max(self.x0, other.x0)


@dataclass(frozen=True, slots=True)
class GridRow:
    """Cells beside one another. ``y`` is their middle, ``height`` that of their words, ``pitch`` the distance
    of the page's lines where they stand close.
    """

    page: int
    cells: tuple[Cell, ...]
    y: float
    height: float
    pitch: float

    @property
    def text(self) -> str:
        return " ".join(cell.text for cell in self.cells)


@lru_cache(maxsize=4096)
def kind_of(text: str) -> str:
    """What a text looks like: range, date, amount, percent, size ("60 x 30"), time, number, measure ("2 PC"),
    code or text.

    Amounts have a currency or two decimals.
    """
    if _RANGE.fullmatch(text):
        return "code" if _falls(text) else "range"
    if _is_date(text):
        return "date"
    found = list(money(text))
    if len(found) == 1 and len(text) - (found[0][1] - found[0][0]) <= 3:
        return "amount"
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(text)), "text")


def _falls(text: str) -> bool:
    """Whether it is no range but a number of two parts: "4408-112", "2025-0713"."""
    low, _, high = text.partition("-")
    return low.isdecimal() and high.isdecimal() and (int(low) > int(high) or high[0] == "0")


def _is_date(text: str) -> bool:
    """Also after a weekday and, as statements have it, without a year."""
    text = _WEEKDAY.sub("", text)
    forms = (text, f"{text} 2000", f"{text}2000" if text.endswith(".") else f"{text}/2000")
    return not text.isdigit() and any(map(dates.read, forms))


def count_and_price(text: str) -> tuple[str | None, str | None]:
    """The quantity and the unit price of "2 x 3.50" or "@ 3.50", as printed."""
    found = next((match for pattern in _QUANTITIES if (match := pattern.search(text))), None)
    groups = found.groupdict() if found else {}
    return groups.get("count"), groups.get("price")


def grid_rows(page: Page) -> list[GridRow]:
    """All words of the page, row by row from the top, as cells from the left."""
    at = {id(word): (i, j) for i, line in enumerate(page.lines or ()) for j, word in enumerate(line.words)}
    if not at:
        return []
    slope = slope_of(segments_of(pieces_of(page.words, page.width, page.height, 0.0)))
    rows = rows_of(pieces_of(page.words, page.width, page.height, slope))
    blank = _BLANKS * _blank(page)
    middles, heights = ([median(getattr(p, name) for p in row) for row in rows] for name in ("y", "height"))
    pitch = _pitch(middles, median(heights))
    words = [[(at[id(piece.words[0])], piece) for piece in row] for row in _bent(rows, pitch)]
    middles, heights = (
        [median(getattr(p, name) for _, p in row) for row in words] for name in ("y", "height")
    )
    return [
        GridRow(page.number, tuple(_cells(row, max(_CELL_GAP * height, blank))), y, height, pitch)
        for row, y, height in zip(words, middles, heights, strict=True)
    ]


def _bent(rows: Sequence[Sequence[Piece]], pitch: float) -> list[list[Piece]]:
    """The rows of a curved page: one above another's free part, far nearer than lines stand, is its end."""
    found: list[list[Piece]] = []
    for row in rows:
        near = _BENT * min(
            median(piece.height for piece in own) for own in (row, found[-1] if found else row)
        )
        drop = median(p.y for p in row) - median(p.y for p in found[-1]) if found else pitch
        apart = found and (row[0].x0 > found[-1][-1].x1 or row[-1].x1 < found[-1][0].x0)
        if apart and drop < min(near, 0.4 * pitch):
            found[-1] = sorted((*found[-1], *row), key=lambda piece: piece.middle)
        else:
            found.append(list(row))
    return found


def with_pitch(rows: Sequence[GridRow]) -> list[GridRow]:
    """The rows with the distance of their own lines, where others of the page were left out."""
    pitch = _pitch([row.y for row in rows], median(row.height for row in rows)) if rows else 0.0
    return [replace(row, pitch=pitch) for row in rows]


def _pitch(middles: Sequence[float], height: float) -> float:
    gaps = sorted(gap for a, b in pairwise(middles) if (gap := b - a) > height)
    return gaps[len(gaps) // 8] if gaps else 1.5 * height


def _blank(page: Page) -> float:
    """The usual distance of neighbouring words, in pixels."""
    gaps = [b.box.x0 - a.box.x1 for line in page.lines or () for a, b in pairwise(line.words)]
    return median(gaps) * page.width / SCALE if gaps else 0.0


def _cells(row: Sequence[tuple[tuple[int, int], Piece]], limit: float) -> Iterator[Cell]:
    begins = _begins(row, limit)
    marked = _marked([piece.words[0].text for _, piece in row], begins)
    run: list[tuple[tuple[int, int], Piece]] = []
    for i, word in enumerate(row):
        if run and (i in marked or begins[i]):
            yield from _cut(run)
            run = []
        if i not in marked:
            run.append(word)
        yield from _halves([Cell.of([row[j] for j in own], kind) for kind, own in marked.get(i, {}).items()])
    if run:
        yield from _cut(run)


def _begins(row: Sequence[tuple[tuple[int, int], Piece]], limit: float) -> list[bool]:
    """For each word whether a cell begins there. A colon ends its label, however far away it stands."""
    begins = [True]
    for ((line, _), a), ((other, _), b) in pairwise(row):
        begins.append(b.x0 - a.x1 > (limit if line == other else limit / 2))
    for i, (_, piece) in enumerate(row[1:], start=1):
        if piece.words[0].text in _ENDS_LABEL:
            begins[i : i + 2] = [False, True][: len(row) - i]
    return begins


def _halves(cells: Sequence[Cell]) -> Sequence[Cell]:
    """Half of the word each, where a quantity and a unit price share one."""
    if len(cells) < 2 or cells[0].at != cells[1].at:
        return cells
    middle = (cells[0].x0 + cells[0].x1) / 2
    return replace(cells[0], x1=middle), replace(cells[1], x0=middle)


def _marked(texts: Sequence[str], begins: Sequence[bool]) -> Mapping[int, dict[str, list[int]]]:
    """The words of quantities and unit prices, with the parts of each at its first word.

    A quantity begins a cell or follows a code: "1KG @ 3.50" has none.
    """
    marked: dict[int, dict[str, list[int]]] = {}
    inside = _Finder(texts)
    for pattern in _QUANTITIES:
        counted = "count" in pattern.groupindex
        for match in pattern.finditer(" ".join(texts)):
            own, price = inside(*match.span()), inside(*match.span("price"))
            free = not counted or begins[own[0]] or kind_of(texts[own[0] - 1]) == "code"
            if free and not marked.keys() & set(own):
                marked |= {i: {} for i in own}
                count = inside(*match.span("count")) if counted else []
                parts = {"quantity": count, "unit price": price} if counted else {"unit price": own}
                marked[own[0]] = dict(sorted(parts.items(), key=lambda part: part[1][0]))
    return marked


class _Finder:
    """Finds the words that a stretch of their text, joined by blanks, touches."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.ends = [*accumulate(len(text) + 1 for text in texts)]
        self.starts = [0, *self.ends]

    def __call__(self, start: int, stop: int) -> list[int]:
        return [i for i, end in enumerate(self.ends) if self.starts[i] < stop and end - 1 > start]


def _cut(run: Sequence[tuple[tuple[int, int], Piece]]) -> Iterator[Cell]:
    """Cuts off amounts at the end, a tax code after them and, where all else is numbers, those."""
    texts = [piece.words[0].text for _, piece in run]
    stops = [0, *_amounts_at_end(texts), len(run)]
    first = stops[1]
    if first < len(run) and all(kind_of(text) == "number" for text in texts[:first]):
        stops = [*range(first), *stops[1:]]
    for start, stop in pairwise(dict.fromkeys(stops)):
        yield replace(Cell.of(run[start:stop]), begins=start == 0)


def _amounts_at_end(texts: Sequence[str]) -> list[int]:
    """Where the last amounts begin, and what follows them: "3,58 B" alone may be billions."""
    codes = next((n for n, text in enumerate(texts[::-1]) if not _TAX_CODE.fullmatch(text)), len(texts))
    tries = (_amounts_before(texts, len(texts) - n) for n in range(min(codes, _MOST_CODES) + 1))
    return next(filter(None, tries), [])


def _amounts_before(texts: Sequence[str], stop: int) -> list[int]:
    text, inside = " ".join(texts[:stop]), _Finder(texts[:stop])
    found = [] if kind_of(text) == "range" else [inside(*at) for *at, _ in money(text)]
    if not found or found[-1][-1] + 1 != stop:
        return []
    stops = [stop]
    while found and found[-1][-1] + 1 == stops[0]:
        at = found.pop()[0]
        if at and any(map(_DASH.fullmatch, texts[at - 1 : at + 1])):
            break
        stops.insert(0, at)
    return stops if len(stops) > 1 else []
