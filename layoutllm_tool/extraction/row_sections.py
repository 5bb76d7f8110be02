"""The title that a row of a table stands under, as a cell of the column that a schema wants for it. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from layoutllm_tool.documents.geometry import Document, box_of
from layoutllm_tool.documents.line_items import Row, Table
from layoutllm_tool.extraction.row_cells import Cell
from layoutllm_tool.extraction.rows import Match, Wanted, normal, number_and_text, roles_of

SURE = 0.9
"""Confidence of a title within the table."""
_TOLD = re.compile(
    r"(?i)\b(?:heading|headline|section|sub-?title|(?:stands?|listed|printed|found) under|belongs to"
    r"|Überschrift|Abschnitt|Zwischentitel)\b"
)
_BARE = re.compile(r"(?i)\b(?:without|ohne)\b")
_QUOTED = re.compile(r"[\"'\u201c\u201e\u2018]([^\"'\u201d\u201c\u2019]{2,40})[\"'\u201d\u201c\u2019]")
_NUMBER = r"\s*(?:\d+(?:\.\d+)*|[A-Z]|[IVX]+)?\s*[:.)\u2013-]?\s*"


def section_cells(
    document: Document, match: Match, rows: Sequence[Row], columns: Mapping[str, Wanted]
) -> list[dict[str, dict[str, Any]]]:
    """For each row the cells, as JSON, of columns that speak of a title; {} where none is above the row."""
    titles = [row for row in match.table.left_out if row.role == "title"]
    wanted = {
        name: want for (name, want), column in zip(columns.items(), match.columns, strict=True)
        if titles and want.type in ("text", "name") and _is_section(want, told_only=column is not None)
    }  # fmt: skip
    titles = sorted(titles, key=lambda title: _place(document, title))
    tops = [_place(document, title) for title in titles]
    found = []
    for row in rows:
        above = bisect_left(tops, _place(document, row))
        last = titles[above - 1] if above else None
        cells = {name: _cell(document, match.table, last, want) for name, want in wanted.items() if last}
        found.append({name: cell for name, cell in cells.items() if cell})
    return found


def _is_section(want: Wanted, *, told_only: bool) -> bool:
    """By its description or its name, which may name a column that is there too."""
    return bool(_TOLD.search(want.description)) or (not told_only and "section" in roles_of(want.words[0]))


def _place(document: Document, row: Row) -> tuple[int, float]:
    return row.page, min(box_of(document.page(row.page), cell).y0 for cell in row.cells if cell)


def _cell(document: Document, table: Table, title: Row, want: Wanted) -> dict[str, Any] | None:
    """The title; without its number, and a word before it, where the schema wants it so."""
    _, column = number_and_text(table, title, document)
    if column is None:
        return None
    page = document.page(title.page)
    ids = title.cells[column]
    words = [(page.lines or ())[line].words[word].text for line, word in ids]
    start = _lead(words, want)
    text = " ".join(words[start:])
    if want.choices and normal(text) not in map(normal, want.choices):
        return None
    return asdict(Cell(text, title.page, box_of(page, ids[start:]).as_list(), SURE))


def _lead(words: Sequence[str], want: Wanted) -> int:
    """How many words are before the title's own."""
    if not _BARE.search(want.description):
        return 0
    labels = "|".join(map(re.escape, (*_QUOTED.findall(want.description), want.words[0])))
    end = match.end() if (match := re.match(rf"(?i:{labels}){_NUMBER}", " ".join(words))) else 0
    start = 0
    while start < len(words) - 1 and len(" ".join(words[: start + 1])) <= end:
        start += 1
    return start
