"""An array of a schema -> the rows of the document's table that it means, as a LayoutCoT. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from layoutllm_tool.cot import AnswerFormation, Area, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Document, Page
from layoutllm_tool.documents.line_items import read_tables
from layoutllm_tool.extraction.rows import Match, Similarity, Wanted, matches

MOST_ROWS = 2000
"""Of a table; a longer one is cut, and a signal says so."""
_OTHERS = 0.8
"""What is left of a cell's confidence where another table may be meant, and no title says which."""
_NOT_READ = 0.95
"""Confidence of a cell whose words come without one of their own."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as printed; ``box`` is [x0, y0, x1, y1], 0-1000 on ``page`` (1-based)."""

    text: str
    page: int
    box: list[int]
    confidence: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


Rows = tuple[tuple[Cell | None, ...], ...]
"""A row of the table each, with a cell (or None) for each column wanted."""


def rows_of(
    document: Document, question: str, name: str, wanted: Sequence[Wanted], similarity: Similarity
) -> tuple[LayoutCoT, Rows]:
    """The table's rows over all pages, and where they stand.

    The answer is None, without rows, where no table has columns that are wanted.
    """
    found = matches(document, read_tables(document.pages), name, wanted, similarity)
    if not found or not found[0].table.rows:
        return _nothing(question, name), ()
    best, certain = found[0], 1.0 if found[0].named or len(found) == 1 else _OTHERS
    pages = {page.number: page for page in document.pages}
    rows = tuple(_row(best, pages, number, certain) for number in range(min(len(best.table.rows), MOST_ROWS)))
    return _cot(question, name, best, pages, rows), rows


def _row(match: Match, pages: dict[int, Page], number: int, certain: float) -> tuple[Cell | None, ...]:
    row = match.table.rows[number]
    page = pages[row.page]
    found: list[Cell | None] = []
    for column, score in zip(match.columns, match.scores, strict=True):
        ids = row.cells[column] if column is not None else ()
        if column is None or not ids:
            found.append(None)
            continue
        words = [(page.lines or ())[line].words[word] for line, word in ids]
        box = Box.union(word.box for word in words)
        read = min((_NOT_READ if word.confidence is None else word.confidence) for word in words)
        text = match.table.text(page, row, column)
        sure = min(read, 0.99) * min(1.0, 0.5 + score / 2) * certain
        found.append(Cell(text, row.page, box.as_list(), round(sure, 4)))
    return tuple(found)


def _cot(question: str, name: str, match: Match, pages: dict[int, Page], rows: Rows) -> LayoutCoT:
    chosen = [c for c in match.columns if c is not None]
    evidence = tuple(
        Evidence.of(pages[row.page], row.cells[column])
        for row in match.table.rows[:MOST_ROWS] for column in chosen if row.cells[column]
    )  # fmt: skip
    lines: dict[int, set[int]] = {}
    for one in evidence:
        lines.setdefault(one.page, set()).update(line for line, _ in one.words)
    areas = tuple(Area.of(pages[number], sorted(of)) for number, of in sorted(lines.items()))
    heads = ", ".join(match.table.headers[c] or "(no header)" for c in chosen)
    answer = "; ".join(" | ".join(cell.text if cell else "" for cell in row) for row in rows)
    cells = [cell.confidence for row in rows for cell in row if cell]
    return LayoutCoT(
        question, QuestionAnalysis("table", "extraction", name), areas, AnswerFormation("below", heads),
        answer, round(sum(cells) / len(cells), 4), evidence, _signals(match),
    )  # fmt: skip


def _signals(match: Match) -> dict[str, float]:
    return {
        "table_score": match.score,
        "columns_found": sum(c is not None for c in match.columns) / len(match.columns),
    }


def _nothing(question: str, name: str) -> LayoutCoT:
    return LayoutCoT(
        question, QuestionAnalysis("table", "extraction", name), (), AnswerFormation("none", ""), None, 0.5
    )
