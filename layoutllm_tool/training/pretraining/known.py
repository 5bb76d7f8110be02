"""What a source knows of a page before anything is asked: regions, a table's grid, fields.

Boxes are page-relative, 0-1000. Instructions are made of it in document.py, region.py and segment.py.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from layoutllm_tool.documents.geometry import Box, Line, Page

QUESTIONS: dict[str, dict[str, list[str]]] = tomllib.loads(
    (Path(__file__).parent / "questions.toml").read_text(encoding="utf-8")
)
MOST_WORDS = 160
"""Of any answer."""
MOST_TOKENS = 200
"""Of an answer that writes text and boxes out (TLR, MPI), as ``tokens`` estimates them."""
PAGE_TOKENS = 420
"""Of a page's text, as ``tokens`` estimates them; a longer page is cut to a run of lines."""
POINTED = 12
"""A region of more lines is answered by its box alone."""
_PIECES = re.compile(r"[^\W\d_]+|[^\sA-Za-z]")


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the page and its kind ("figure").

    ``lines`` are all its lines, () where it has none or some are not on the page; ``name`` tells it from
    others of its kind (a field's key), where it has one.
    """

    kind: str
    box: Box
    lines: tuple[int, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a grid; row and column count from 0, ``rows`` and ``columns`` are what it spans.

    ``box`` is of its text, None where it is empty.
    """

    row: int
    column: int
    text: str
    box: Box | None = None
    rows: int = 1
    columns: int = 1
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: its size, its cells by row and column, and how many rows are its head."""

    rows: int
    columns: int
    cells: tuple[Cell, ...]
    head: int = 0

    def row(self, row: int) -> list[Cell]:
        """The cells that stand in the row or reach into it."""
        return [cell for cell in self.cells if cell.row <= row < cell.row + cell.rows]

    def column(self, column: int) -> list[Cell]:
        """The cells that stand in the column or reach into it."""
        return [cell for cell in self.cells if cell.column <= column < cell.column + cell.columns]


@dataclass(frozen=True, slots=True)
class Known:
    """A page and what is known of it, at most one grid; ``kind`` is a noun ("receipt")."""

    source: str
    page: Page
    kind: str
    regions: tuple[Region, ...] = ()
    grid: Grid | None = None
    title: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    """Keys and values as the page has them."""
    complete: bool = True
    """Whether ``regions`` has all regions of its kinds, so that "the topmost" and "all" mean something."""

    @property
    def lines(self) -> tuple[Line, ...]:
        return self.page.lines or ()


class Source:
    """Where pages come from. ``items`` are what the pages are made of, one each."""

    words: bool = True
    """Whether its pages have words."""
    regions: bool = True
    """Whether regions or grids are known."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __call__(self, rng: Random) -> Known:
        return self.item(rng.randrange(len(self)), rng)

    def item(self, number: int, rng: Random) -> Known:
        """The number-th page; DocumentUnreadable where it is damaged."""
        raise NotImplementedError


def pointed_at(cells: Iterable[tuple[Cell, Sequence[Line]]]) -> tuple[tuple[Line, ...], tuple[Cell, ...]]:
    """Put the lines of all cells one after the other; the cells point at theirs."""
    lines: list[Line] = []
    found = []
    for cell, own in cells:
        found.append(replace(cell, lines=tuple(range(len(lines), len(lines) + len(own)))))
        lines += own
    return tuple(lines), tuple(found)


def of_table(source: str, page: Page, kind: str, grid: Grid) -> Known:
    """A page that is one table; its regions are the table and its head, by the boxes of their texts."""
    lines = page.lines or ()
    head = tuple(i for cell in grid.cells if cell.row < grid.head for i in cell.lines)
    found = [("table", tuple(range(len(lines)))), ("table header", head)]
    regions = [Region(name, Box.union(lines[i].box for i in own), own) for name, own in found if own]
    return Known(source, page, kind, tuple(regions), grid)


def by_place(regions: Iterable[Region]) -> tuple[Region, ...]:
    """From top to bottom, then from left to right."""
    return tuple(sorted(regions, key=lambda r: (r.box.y0, r.box.x0, r.kind)))


def phrased(rng: Random, task: str, what: str, *names: object) -> str:
    """One of the phrasings of ``questions.toml``, filled with names."""
    return str(rng.choice(QUESTIONS[task][what])).format(*names)


def tokens(text: str) -> int:
    """About how many tokens a model needs: one for a digit, a sign, five small or three capital letters."""
    return sum(math.ceil(len(piece) / (3 if piece.isupper() else 5)) for piece in _PIECES.findall(text))


def show(box: Box) -> str:
    """``[x0, y0, x1, y1]``, whole numbers 0-1000."""
    return str(box.as_list())


def unique(lines: tuple[Line, ...], most_words: int = 8) -> list[int]:
    """Indices of the lines that a question can name: short, their text on no other line."""
    count = Counter(line.text.casefold() for line in lines)
    return [
        i
        for i, line in enumerate(lines)
        if count[line.text.casefold()] == 1
        and len(line.words) <= most_words
        and len(line.text) <= 80
        and any(c.isalnum() for c in line.text)
    ]


def cut(known: Known, rng: Random) -> Known:
    """The page with as many lines from a random one on as one window holds; the whole one where it fits.

    The picture stays: a region that lost lines is still seen, and keeps its box. A grid that lost lines is
    dropped.
    """
    sizes = [tokens(line.text) + 1 for line in known.lines]
    if sum(sizes) <= PAGE_TOKENS:
        return known
    start = rng.randrange(_last_start(sizes, PAGE_TOKENS) + 1)
    stop, room = start, PAGE_TOKENS
    while stop < len(sizes) and sizes[stop] <= room:
        room -= sizes[stop]
        stop += 1
    return _part(known, start, stop)


def _last_start(sizes: list[int], room: int) -> int:
    """The first line from which the rest fits."""
    start = len(sizes)
    while start > 0 and sizes[start - 1] <= room:
        start -= 1
        room -= sizes[start]
    return min(start, len(sizes) - 1)


def _part(known: Known, start: int, stop: int) -> Known:
    def moved(lines: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(i - start for i in lines) if all(start <= i < stop for i in lines) else ()

    held = known.grid and all(start <= i < stop for cell in known.grid.cells for i in cell.lines)
    grid = known.grid if held else None
    if grid is not None:
        grid = replace(grid, cells=tuple(replace(cell, lines=moved(cell.lines)) for cell in grid.cells))
    return replace(
        known,
        page=replace(known.page, lines=known.lines[start:stop]),
        regions=tuple(replace(region, lines=moved(region.lines)) for region in known.regions),
        grid=grid,
    )
