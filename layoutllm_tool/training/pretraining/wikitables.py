"""Tables of WikiTableQuestions (CC BY-SA 4.0) drawn onto pages: every cell's row, column and box is known.

A part of a table is drawn where the whole is too large. The words are those drawn, never misread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

from layoutllm_tool.documents.geometry import Box, Line, Page, Word
from layoutllm_tool.training.pretraining import files
from layoutllm_tool.training.pretraining.known import Cell, Grid, Known, Source, of_table, pointed_at, tokens
from layoutllm_tool.training.synthetic.canvas import Canvas
from layoutllm_tool.training.synthetic.text_tables import DrawnRows, column_widths, draw_rows

FILE = "wikitables.jsonl.gz"
_MOST_COLUMNS, _MOST_CELLS = 7, 64
_MOST_LETTERS = 48
"""A cell's text is cut between words here."""
_MOST_TOKENS = 360
_UNDRAWABLE = re.compile(r"[^ -~\u00a0-\u024f\u0391-\u03c9\u0410-\u044f\u2010-\u2026\u20ac]")
"""Signs that not every font has: left out, in the picture and in the text."""
_SIZE = 13
"""Pixels of the smallest text."""

Rows = list[list[str]]


class WikiTables(Source):
    """A folder that holds ``wikitables.jsonl.gz``; DocumentNotFound where it doesn't."""

    def __init__(self, folder: Path) -> None:
        path = files.folder(folder, "WikiTableQuestions tables", FILE) / FILE
        super().__init__(files.gunzipped(path).splitlines())
        if not self.items:
            raise files.damaged(f"{FILE} is empty.")

    def item(self, number: int, rng: Random) -> Known:
        """The number-th table, a part of it if it is large, drawn as ``rng`` says."""
        rows = _part(_table(files.parsed(self.items[number], f"{FILE}, table {number}"), number), rng)
        canvas = Canvas(rng.choice((800, 800, 1000)), 1600, rng)
        size = max(_SIZE, canvas.size - max(0, len(rows[0]) - 3))
        while (widths := column_widths(canvas, rows, size, pad=7)) is None:
            rows = [row[:-1] for row in rows]
        table = draw_rows(canvas, rows, widths, size, top=rng.randint(30, 160), foot=canvas.height)
        canvas.crop(int(table.bottom) + rng.randint(20, 120))
        return _known(f"wikitables/{number}", canvas, table, len(rows[0]))


def _table(data: Any, number: int) -> Rows:
    """Rows of equal length, the first of them the head, every text of one line."""
    rows = data.get("rows") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and row for row in rows):
        raise files.damaged(f"{FILE}, table {number} has no rows.")
    if len({len(row) for row in rows}) > 1:
        raise files.damaged(f"{FILE}, table {number} has rows of unequal length.")
    return [[_short(" ".join(_UNDRAWABLE.sub("", str(text)).split())) for text in row] for row in rows]


def _short(text: str) -> str:
    start = text[:_MOST_LETTERS]
    return start if start == text else start.rpartition(" ")[0] or start


def _part(rows: Rows, rng: Random) -> Rows:
    """The head and a run of rows, a run of columns."""
    width = min(len(rows[0]), rng.randint(2, _MOST_COLUMNS))
    left = rng.randint(0, len(rows[0]) - width)
    most = min(len(rows) - 1, max(_MOST_CELLS // width - 1, 1), rng.randint(2, 14))
    first = rng.randint(1, max(len(rows) - most, 1))
    part = [row[left : left + width] for row in (rows[0], *rows[first : first + most])]
    while len(part) > 2 and sum(tokens(text) + 1 for row in part for text in row) > _MOST_TOKENS:
        part.pop()
    return part


def _known(source: str, canvas: Canvas, table: DrawnRows, columns: int) -> Known:
    """The page with its lines cell by cell."""
    words = canvas.page_words()
    made = []
    for row, column in product(range(table.rows), range(columns)):
        own = list(_lines([words[i] for i in table.spans.get((row, column), ())]))
        box = Box.union(line.box for line in own) if own else None
        made.append((Cell(row, column, " ".join(line.text for line in own), box), own))
    lines, cells = pointed_at(made)
    page = Page(1, canvas.width, canvas.height, lines, canvas.image, "given")
    return of_table(source, page, "table page", Grid(table.rows, columns, cells, 1))


def _lines(words: list[Word]) -> Iterator[Line]:
    """A cell's words by row of text: a new one begins where the text goes back to the left."""
    start = 0
    for n in range(1, len(words) + 1):
        if n == len(words) or words[n].box.x0 < words[n - 1].box.x0:
            yield Line(tuple(words[start:n]))
            start = n
