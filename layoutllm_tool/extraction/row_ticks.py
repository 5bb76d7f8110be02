"""Tick boxes in the rows of a table, as cells of the yes-or-no columns that a schema wants.

Boxes are drawn, or are words ("[x]"): ``documents/marks.py`` finds them. A column of boxes belongs to the
head above it; a single column without a head to the only yes-or-no column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from layoutllm_tool.documents.geometry import SCALE, Document, Page, box_of
from layoutllm_tool.documents.line_items import Row, Table
from layoutllm_tool.documents.marks import Mark, marked_rows
from layoutllm_tool.documents.page_layout import PageLayout
from layoutllm_tool.documents.tables import Indices
from layoutllm_tool.extraction.rows import LEAST, Wanted, says

SURE = 0.93
"""Confidence of a box under a head of the column's own words."""
YES_NO = ("yes", "no")
_UNMARKED = 0.75
"""Confidence that a row without the letter has none."""
_CARRIES = re.compile(
    r"\b(?:carries|carrying|marked|bears|has|with|shows|by|letter|code|sign|flag)\b(?: \w+){0,2}? "
    r"[\"'\u201c\u2018(]?([A-Z]{1,2}|[*#])(?![\w'])"
)


@dataclass(slots=True)
class _Column:
    """Boxes below one another, by the number of their row."""

    x: float
    boxes: dict[int, tuple[int, Mark]] = field(default_factory=dict)


def ticked_cells(
    document: Document, table: Table, rows: Sequence[Row], columns: Mapping[str, Wanted]
) -> list[dict[str, dict[str, Any]]]:
    """For each row the cells, as JSON, of those yes-or-no columns that have boxes in the table."""
    found: list[dict[str, dict[str, Any]]] = [{} for _ in rows]
    wanted = {name: want for name, want in columns.items() if tuple(want.choices) == YES_NO}
    boxes = _columns(document, rows) if wanted else []
    scores = [
        (_score(document, table, want, column, alone=len(boxes) == len(wanted) == 1), name, n)
        for name, want in wanted.items() for n, column in enumerate(boxes)
    ]  # fmt: skip
    taken: set[int] = set()
    for score, name, n in sorted(scores, key=lambda one: -one[0]):
        if score < LEAST or n in taken or name not in wanted:
            continue
        taken.add(n)
        del wanted[name]
        for i, (page, mark) in boxes[n].boxes.items():
            found[i][name] = _cell(document.page(page), mark, SURE * (0.5 + score / 2))
    return found


def lettered_cells(
    document: Document, table: Table, rows: Sequence[Row], columns: Mapping[str, Wanted]
) -> list[dict[str, dict[str, Any]]]:
    """For each row the cells, as JSON, of columns that ask for a letter ("True if the line carries a V")."""
    found: list[dict[str, dict[str, Any]]] = [{} for _ in rows]
    for name, want in columns.items():
        told = _CARRIES.search(want.description) if tuple(want.choices) == YES_NO else None
        places = [_letter(document, row, told[1]) if told else () for row in rows]
        for cells, row, place in zip(found, rows, places, strict=True):
            if any(places):
                box = box_of(document.page(row.page), place or next(cell for cell in row.cells if cell))
                sure = SURE if place else _UNMARKED
                text = "[x]" if place else "[ ]"
                cells[name] = {"text": text, "page": row.page, "box": box.as_list(), "confidence": sure}
    return found


def _letter(document: Document, row: Row, letter: str) -> Indices:
    """Where the letter stands alone in the row, behind its first cell."""
    lines = document.page(row.page).lines or ()
    words = [at for cell in [cell for cell in row.cells if cell][1:] for at in cell]
    return tuple(at for at in words if lines[at[0]].words[at[1]].text.strip("()[].") == letter)[:1]


def _columns(document: Document, rows: Sequence[Row]) -> list[_Column]:
    """The columns of boxes that at least half of the rows have, from the left."""
    columns: list[_Column] = []
    marks = {number: _marks(document.page(number)) for number in {row.page for row in rows}}
    for i, row in enumerate(rows):
        top, bottom = _first_line(document.page(row.page), row)
        for mark in marks[row.page]:
            x, y = ((a + b) / 2 for a, b in ((mark.box[0], mark.box[2]), (mark.box[1], mark.box[3])))
            if not top < y < bottom:
                continue
            width = mark.box[2] - mark.box[0]
            column = next((one for one in columns if abs(one.x - x) < width), None)
            if column is None:
                columns.append(column := _Column(x))
            column.boxes.setdefault(i, (row.page, mark))
    often = [column for column in columns if 2 * len(column.boxes) >= len(rows)]
    return sorted(often, key=lambda column: column.x)


def _marks(page: Page) -> list[Mark]:
    return [mark for _, marks in marked_rows(PageLayout(page), page.image) for mark in marks]


def _first_line(page: Page, row: Row) -> tuple[float, float]:
    """Top and bottom of the row's first words, in pixels, with a margin."""
    boxes = [box_of(page, cell[:1]) for cell in row.cells if cell]
    top, height = min(box.y0 for box in boxes), max(box.height for box in boxes)
    return (top - 0.3 * height) * page.height / SCALE, (top + 1.3 * height) * page.height / SCALE


def _score(document: Document, table: Table, want: Wanted, column: _Column, *, alone: bool) -> float:
    head = table.head
    for cell, header in zip(head.cells, table.headers, strict=True) if head else ():
        page = document.page(head.page) if head else document.pages[0]
        if cell and header:
            box = box_of(page, cell)
            if box.x0 * page.width / SCALE - 1 < column.x < box.x1 * page.width / SCALE + 1:
                return says(want, header)
    return 0.8 if alone else 0.0


def _cell(page: Page, mark: Mark, sure: float) -> dict[str, Any]:
    across, down = SCALE / page.width, SCALE / page.height
    box = [round(edge * scale) for edge, scale in zip(mark.box, (across, down, across, down), strict=True)]
    text = "[x]" if mark.ticked else "[ ]"
    return {"text": text, "page": page.number, "box": box, "confidence": round(sure, 4)}
