"""Questions on Wikipedia tables (tables.py), drawn as pages: the MRC branch of LayoutCoT's data.

FeTaQA's answers are formed: the highlighted cells are the relevant area, and step 3 names them by rule, as in
the paper. WikiTableQuestions' answers are copied from one cell. Drawn with Pillow
(``synthetic.canvas.Canvas``), not by way of HTML: a plain grid needs no extra, takes a third of the time, and
every word's box is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.align import WordIndex, joined
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.errors import DocumentUnreadable
from layoutllm_tool.training.keys import EDGES, formation_of, with_line
from layoutllm_tool.training.schema import QA, Example
from layoutllm_tool.training.synthetic.canvas import Canvas, Span
from layoutllm_tool.training.synthetic.questions import absent
from layoutllm_tool.training.synthetic.text_tables import MARGIN, column_widths, draw_rows
from layoutllm_tool.training.tables import Asked, CellIndex, Item, Rows, fetaqa, wiki_tables

MAX_LINES = 12
"""Lines that one answer may need."""
FETAQA_SHARE = 0.5
"""Of the pages, how many ask for a free answer."""
_WIDTH = 800
_TALLEST = 1300


def example(data: Path, seed: int, number: int) -> Example:
    """A drawn table with its questions; the same arguments give the same page. ``data`` is the folder of the
    tables.

    DocumentNotFound where a file is missing, DocumentUnreadable where it is no table data.
    """
    rng = Random(f"mrc/{seed}/{number}")
    for _ in range(100):
        source = fetaqa if rng.random() < FETAQA_SHARE else wiki_tables
        item = rng.choice(source(data))
        if found := page_of(item, rng):
            return found
    raise DocumentUnreadable(
        f"no table in {data} could be drawn.", hint="Give the folder of FeTaQA and WikiTableQuestions."
    )


def page_of(item: Item, rng: Random, *, most: int = 6) -> Example | None:
    """The table as a page, with its questions; None where it can't be drawn or nothing can be pointed at."""
    drawn = _drawn(item, rng)
    if drawn is None:
        return None
    asked = [qa for one in item.asked if (qa := _qa(item.rows, one, drawn))]
    if not asked:
        return None
    asked = rng.sample(asked, min(len(asked), most))
    asked += absent(drawn.page, int(len(asked) * 0.25 + rng.random()), rng)
    rng.shuffle(asked)
    return Example(f"mrc/{item.name}", drawn.page, tuple(asked))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The page, and the words of each cell."""

    page: Page
    cells: dict[CellIndex, tuple[WordIndex, ...]]

    def lines(self, cell: CellIndex) -> tuple[int, ...]:
        return tuple(dict.fromkeys(line for line, _ in self.cells.get(cell, ())))


def _qa(rows: Rows, asked: Asked, drawn: _Drawn) -> QA | None:
    return _formed(rows, asked, drawn) if asked.free else _extracted(rows, asked, drawn)


def _formed(rows: Rows, asked: Asked, drawn: _Drawn) -> QA | None:
    """The heads of the highlighted cells are what to look for, the cells what the answer follows from."""
    cells = [cell for cell in asked.cells if cell in drawn.cells]
    lines = tuple(sorted({line for cell in cells for line in drawn.lines(cell)}))
    if not lines or len(lines) > MAX_LINES:
        return None
    heads = tuple(dict.fromkeys(rows[0][x] for _, x in cells if rows[0][x]))
    key = ", ".join(heads[:5])
    seen = "; ".join(f"{rows[0][x]}: {rows[y][x]}" if y and rows[0][x] else rows[y][x] for y, x in cells)
    if len(seen) > 240:
        seen = "; ".join(rows[y][x] for y, x in cells)[:240].rpartition(";")[0] or key
    analysis = QuestionAnalysis("table", "reasoning", key)
    return QA(asked.question, analysis, lines, AnswerFormation("none", seen), asked.answer)


def _extracted(rows: Rows, asked: Asked, drawn: _Drawn) -> QA | None:
    """The row's label, or what the question names in that row, and the cell."""
    cell = asked.cells[0]
    words = drawn.cells.get(cell, ())
    if not words or len(drawn.lines(cell)) > MAX_LINES:
        return None
    key = _key_cell(rows, cell, asked.question)
    lines = drawn.lines(cell)
    formation = AnswerFormation("inside", "")
    if key in drawn.cells:
        if name := rows[key[0]][key[1]].strip(EDGES):
            formation = formation_of(drawn.page, drawn.cells[key], words, name)
        lines = with_line(drawn.lines(key)[0], lines)
    analysis = QuestionAnalysis("table", "extraction", rows[0][cell[1]] or formation.key)
    return QA(asked.question, analysis, lines, formation, joined(drawn.page, words), words)


def _key_cell(rows: Rows, cell: CellIndex, question: str) -> CellIndex:
    """A cell of the row that the question names, else the row's first cell, else the head above."""
    y, x = cell
    asked = question.lower()
    named = [n for n, text in enumerate(rows[y]) if n != x and len(text) > 2 and text.lower() in asked]
    if named:
        return y, max(named, key=lambda n: len(rows[y][n]))
    return (y, 0) if x and rows[y][0] else (0, x)


def _drawn(item: Item, rng: Random) -> _Drawn | None:
    """None where a column would be narrower than one of its words, or the page longer than a page."""
    canvas = Canvas(_WIDTH, _TALLEST, rng)
    size = rng.randint(11, 15)
    widths = column_widths(canvas, item.rows, size, pad=rng.randint(6, 14))
    if widths is None:
        return None
    y = 24.0
    for n, heading in enumerate(item.heading):
        big = size + (6 if n == 0 else 2)
        _, y = canvas.block(MARGIN, y, heading, _WIDTH - 2 * MARGIN, size=big)
        y += 4
    table = draw_rows(canvas, item.rows, widths, size, top=y + rng.randint(6, 20), foot=_TALLEST - 20)
    if table.rows < len(item.rows):
        return None
    canvas.crop(int(table.bottom) + rng.randint(20, 120))
    return _grouped(canvas, table.spans)


def _grouped(canvas: Canvas, spans: dict[CellIndex, Span]) -> _Drawn:
    width, height, words = canvas.width, canvas.height, canvas.page_words()
    lines = tuple(group_lines(words, width=width, height=height))
    at = {id(word): (i, j) for i, line in enumerate(lines) for j, word in enumerate(line.words)}
    found = {cell: tuple(at[id(words[n])] for n in span) for cell, span in spans.items()}
    page = Page(1, width, height, lines, canvas.image, "given")
    # A cell whose lines are read in another order than they were written has no text of its own.
    return _Drawn(page, {cell: where for cell, where in found.items() if list(where) == sorted(where)})
