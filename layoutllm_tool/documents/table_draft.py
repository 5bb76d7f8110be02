"""A table in the making: columns with heads and kinds, from its head and its items. Standard library only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Literal

from layoutllm_tool.documents.table_cells import MARKED, NUMERIC, Cell, GridRow
from layoutllm_tool.documents.table_columns import Column, columns_of, nearest
from layoutllm_tool.documents.table_heads import role

Role = Literal["item", "part", "discount", "sum", "title", "head"]
"""Of a row, see ``line_items.Row``."""
WORD = re.compile(r"[^\W\d_]{3,}|[^\x00-\u02ff\W\d]{2,}")
"""A name has one: three letters, or two of a script that needs fewer."""


@dataclass(slots=True)
class Record:
    """Rows of the page that make one row of the table, their cells by column."""

    rows: list[GridRow]
    cells: list[list[Cell]]
    role: Role = "item"
    below: list[Record] = field(default_factory=list)
    """Lines under the item; those with numbers of their own are no part of its cells."""

    @property
    def page(self) -> int:
        return self.rows[0].page

    @property
    def filled(self) -> int:
        return sum(map(bool, self.cells))

    def add(self, other: Record, *, front: bool) -> None:
        for own, cells in zip(self.cells, other.cells, strict=True):
            own[:] = [*cells, *own] if front else [*own, *cells]
        self.rows = [*other.rows, *self.rows] if front else [*self.rows, *other.rows]


@dataclass(slots=True)
class Draft:
    """Columns, of which ``name`` is the one of the items' names, and what stands in them."""

    columns: list[Column]
    head: Record
    name: int = 0
    records: list[Record] = field(default_factory=list)
    left_out: list[Record] = field(default_factory=list)

    def kinds(self) -> list[str]:
        return [column.kind for column in self.columns]

    def headers(self) -> list[str]:
        return [column.header for column in self.columns]

    def all_records(self) -> Iterable[Record]:
        records = (self.head, *self.records, *self.left_out)
        return (one for record in records for one in (record, *record.below))

    def insert(self, at: int, column: Column) -> None:
        self.columns.insert(at, column)
        self.name += at <= self.name
        for record in self.all_records():
            record.cells.insert(at, [])

    def by_column(self, row: GridRow) -> Record:
        """The row's cells, each in the column that it shares most with."""
        record = Record([row], [[] for _ in self.columns])
        column = self.columns[self.name]
        named = any(column.placed and column.overlap(cell.x0, cell.x1) > 0 for cell in row.cells[1:])
        for cell in row.cells:
            at = self._column_of(
                cell, alone=len(row.cells) == 1, named=named or bool(record.cells[self.name])
            )
            record.cells[at].append(cell)
        return record

    def _column_of(self, cell: Cell, *, alone: bool, named: bool) -> int:
        """Quantities and unit prices go by their kind; a text that begins before numbers is a name."""
        kinds = self.kinds()
        placed = [i for i, column in enumerate(self.columns) if column.placed]
        at = placed[nearest([self.columns[i] for i in placed], cell)] if placed else self.name
        if cell.kind in MARKED and cell.kind in kinds and kinds[at] not in MARKED:
            return kinds.index(cell.kind)
        early = cell.kind == "text" and not named and cell.x0 < self.columns[at].x0 + cell.words[0].height
        alone = alone and WORD.search(cell.text) is not None
        across = alone and sum(self.columns[i].overlap(cell.x0, cell.x1) > 0 for i in placed) > 1
        return self.name if across or (kinds[at] != "text" and (early or alone)) else at

    def filled(self, record: Record, *kinds: str) -> list[Cell]:
        """The record's cells in columns of these kinds."""
        pairs = zip(self.kinds(), record.cells, strict=True)
        return [cell for kind, own in pairs if kind in kinds for cell in own]

    def second_table(self) -> float | None:
        """Where a table begins beside another: names after amounts, with amounts of their own, or without
        heads where the others have them.
        """
        kinds, headers = self.kinds(), self.headers()
        for i in range(2, len(kinds) - 1):
            begins = kinds[i] == "text" and "amount" in kinds[i + 1 :] and len(self.columns[i].rows) > 1
            if begins and kinds[i - 1] == "amount" and ("text" in kinds[: i - 1] or not any(headers[i:])):
                return (max(column.x1 for column in self.columns[:i]) + self.columns[i].x0) / 2
        return None


def with_columns(head: Sequence[GridRow], items: Sequence[GridRow], rows: Sequence[GridRow]) -> Draft:
    """An empty table with the columns of these items, and those that a head or another row adds."""
    height = median(row.height for row in items)
    columns = columns_of([row.cells for row in items], 0.3 * height)
    for cell in (cell for row in head for cell in row.cells):
        for part in _parts(cell, columns):
            _name(columns, part, height)
    draft = Draft(columns, Record(list(head), [[] for _ in columns]))
    for _ in range(2):  # names and kinds depend on each other
        _pair(draft)
        _set_kinds(columns, items)
        _set_name(draft)
    _set_paid(draft)
    _set_marked(draft, rows)
    for row in head:
        draft.head.add(draft.by_column(row), front=False)
    draft.head.rows = list(head)
    return draft


def _parts(cell: Cell, columns: Sequence[Column]) -> list[Cell]:
    """A head over several columns, one part for each and for each further head; others as they are."""
    if sum(column.overlap(cell.x0, cell.x1) > 0 for column in columns) < 2:
        return [cell]
    parts: list[tuple[int, list[Cell]]] = []
    for word in cell.by_word():
        at = nearest(columns, word)
        inside = columns[at].overlap(word.x0, word.x1) > 0
        if parts and (parts[-1][0] in (at, -1) if inside else not role(word.text)):
            parts[-1][1].append(word)
        else:
            parts.append((at if inside else -1, [word]))
    return [Cell.joined(words) for _, words in parts]


def _name(columns: list[Column], cell: Cell, height: float) -> None:
    """Gives a column its head, or makes a column that is empty below."""
    at = nearest(columns, cell)
    apart = -columns[at].overlap(cell.x0, cell.x1)
    if apart > (0.0 if columns[at].header else 1.5 * height):
        at = sum(column.x0 < cell.x0 for column in columns)
        columns.insert(at, Column(cell.x0, cell.x1))
    columns[at].header = f"{columns[at].header} {cell.text}".strip()


def _pair(draft: Draft) -> None:
    """A head over nothing belongs to the neighbouring column without a head."""
    for a, b in pairwise(list(draft.columns)):
        body, head = (a, b) if a.rows else (b, a)
        if body.rows and not body.header and head.header and head.placed and not head.rows:
            body.header, head.header = head.header, ""
    for i in [i for i, c in enumerate(draft.columns) if c.placed and not c.rows and not c.header][::-1]:
        draft.columns.pop(i)
        draft.head.cells.pop(i)
        draft.name -= i < draft.name


def _set_kinds(columns: Sequence[Column], rows: Iterable[GridRow]) -> None:
    counts: list[Counter[str]] = [Counter() for _ in columns]
    for cell in (cell for row in rows for cell in row.cells):
        counts[nearest(columns, cell)]["number" if cell.kind == "measure" else cell.kind] += 1
    for column, count in zip(columns, counts, strict=True):
        body = count.most_common(1)[0][0] if count else ""
        if body == "amount" and count["number"] > count["amount"] / 3:
            body = "number"
        if column.placed:
            column.kind = _kind(role(column.header), body)


def _kind(role: str, body: str) -> str:
    """What the head says, where the cells below allow it."""
    if body == "percent":
        return body
    if role in ("quantity", "unit price", "amount"):
        return role if body in NUMERIC or not body else body
    if role in ("name", "code") and body == "range":
        return "code"
    if role == "name":
        return body if body in NUMERIC | {"code", "date"} else "text"
    if role == "other" and body == "amount":
        return "number"
    if role == "code" and body in ("", "number", "text"):
        return "code"
    return body or ("date" if role == "date" else "text")


def _set_name(draft: Draft) -> None:
    """Chooses the column of names, or adds one for names on lines of their own."""
    texts = [i for i, column in enumerate(draft.columns) if column.kind == "text"]
    named = [i for i in texts if role(draft.columns[i].header) == "name"]
    found = named or [i for i in texts if draft.columns[i].rows or not draft.columns[i].placed]
    if found:
        draft.name = found[0]
        return
    head = next((column for column in draft.columns if role(column.header) == "name"), Column())
    draft.insert(0, Column(header=head.header, kind="text"))
    draft.name, head.header = 0, ""


def _set_paid(draft: Draft) -> None:
    """The only prices are what is paid."""
    kinds = draft.kinds()
    if "amount" not in kinds and "unit price" in kinds:
        draft.columns[len(kinds) - 1 - kinds[::-1].index("unit price")].kind = "amount"


def _set_marked(draft: Draft, rows: Sequence[GridRow]) -> None:
    """Columns for the quantities and unit prices on lines of their own."""
    for kind in MARKED[::-1]:
        kinds = draft.kinds()
        if kind not in kinds and any(cell.kind == kind for row in rows for cell in row.cells):
            amounts = [i for i, own in enumerate(kinds) if own == "amount"]
            at = kinds.index("unit price") if "unit price" in kinds else max(amounts, default=len(kinds))
            draft.insert(at, Column(kind=kind))
