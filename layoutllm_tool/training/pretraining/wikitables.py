"""Tables of WikiTableQuestions (CC BY-SA 4.0) drawn onto pages: every cell's row, column and box is known.

A part of a table is drawn where the whole is too large. The words are those drawn, never misread.
"""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from layoutllm_tool.documents.geometry import Box, Line, Page, Word
from layoutllm_tool.training.pretraining import files
from layoutllm_tool.training.pretraining.known import Cell, Grid, Known, Source, of_table, pointed_at, tokens
from layoutllm_tool.training.synthetic.canvas import Canvas, Span

FILE = "wikitables.jsonl.gz"
_MOST_COLUMNS, _MOST_CELLS = 7, 64
_MOST_LETTERS = 48
"""A cell's text is cut between words here."""
_MOST_TOKENS = 360
_UNDRAWABLE = re.compile(r"[^ -~\u00a0-\u024f\u0391-\u03c9\u0410-\u044f\u2010-\u2026\u20ac]")
"""Signs that not every font has: left out, in the picture and in the text."""
_MARGIN = 30
_SIZE = 13
"""Pixels of the smallest text."""

Rows = list[list[str]]


class _Drawn(NamedTuple):
    """A cell: its words on the canvas, row by row of text."""

    row: int
    column: int
    spans: tuple[Span, ...]


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
        canvas, drawn = _draw(rows, rng)
        return _known(f"wikitables/{number}", canvas, drawn, rows)


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


def _draw(rows: Rows, rng: Random) -> tuple[Canvas, list[_Drawn]]:
    """Draw the table at a random height, with or without rules; columns as wide as their words want."""
    canvas = Canvas(rng.choice((800, 800, 1000)), 1600, rng)
    size = max(_SIZE, canvas.size - max(0, len(rows[0]) - 3))
    edges = _edges(canvas, rows, size)
    ruled, boxed = rng.random() < 0.7, rng.random() < 0.4
    top = y = float(rng.randint(30, 160))
    drawn, ys = [], [y]
    for number, row in enumerate(rows):
        deepest = y + size * 1.35
        for column, text in enumerate(row):
            x, room = edges[column], edges[column + 1] - edges[column] - 10
            spans, at = [], y + 4
            for part in _wrapped(canvas, text, room, size):
                spans.append(canvas.text(x + 5, at, part, size=size))
                at += size * 1.35
            drawn.append(_Drawn(number, column, tuple(spans)))
            deepest = max(deepest, at)
        y = deepest + 6
        ys.append(y)
    for line in ys if ruled else (ys[1],):
        canvas.rule(edges[0], line, edges[-1], line)
    for x in edges if boxed else ():
        canvas.rule(x, top, x, y)
    canvas.crop(int(min(y + rng.randint(20, 120), 1600)))
    return canvas, drawn


def _wrapped(canvas: Canvas, text: str, room: float, size: int) -> list[str]:
    """Rows of a cell's text no wider than its column: a word that is too wide is broken."""
    words = []
    for word in text.split():
        while len(word) > 1 and canvas.measure(word, size) > room:
            keep = next((n for n in range(len(word) - 1, 0, -1) if canvas.measure(word[:n], size) <= room), 1)
            words.append(word[:keep])
            word = word[keep:]
        words.append(word)
    return canvas.wrap(" ".join(words), room, size) if words else []


def _edges(canvas: Canvas, rows: Rows, size: int) -> list[float]:
    """The x of the columns' edges, by the widest text of each; none below a ninth of the page."""
    room = canvas.width - 2 * _MARGIN
    wants = [max(canvas.measure(row[c], size) for row in rows) + 14 for c in range(len(rows[0]))]
    wants = [max(want, room / 9) for want in wants]
    scale = min(1.0, room / sum(wants))
    # Where the wide ones have to shrink, the narrow ones must not shrink below what they want.
    wants = [max(want * scale, min(want, room / (2 * len(wants)))) for want in wants]
    scale = min(1.0, room / sum(wants))
    edges = [float(_MARGIN)]
    for want in wants:
        edges.append(edges[-1] + want * scale)
    return edges


def _known(source: str, canvas: Canvas, drawn: list[_Drawn], rows: Rows) -> Known:
    """Lines row by row; what was drawn below the page's end is not there, and its row is cut off the grid."""
    below = {i for i, word in enumerate(canvas.words) if word.box[3] > canvas.height}
    cut = [cell.row for cell in drawn for span in cell.spans if below & set(span)]
    whole = min(cut, default=len(rows))
    lines, cells = pointed_at(_cell(canvas, cell) for cell in drawn if cell.row < whole)
    page = Page(1, canvas.width, canvas.height, lines, canvas.image, "given")
    return of_table(source, page, "table page", Grid(whole, len(rows[0]), cells, 1))


def _cell(canvas: Canvas, cell: _Drawn) -> tuple[Cell, list[Line]]:
    own = [Line(tuple(_word(canvas, i) for i in span)) for span in cell.spans if span]
    box = Box.union(line.box for line in own) if own else None
    return Cell(cell.row, cell.column, " ".join(line.text for line in own), box), own


def _word(canvas: Canvas, number: int) -> Word:
    found = canvas.words[number]
    return Word(found.text, Box.from_pixels(*found.box, width=canvas.width, height=canvas.height))
