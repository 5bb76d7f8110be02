"""Tables and line items of a document, from the geometry of its words. Standard library only.

A table begins below its head (``table_heads``) or, without one, where amounts stand below one another at the
right of names. Its columns are those of the rows with numbers (``table_columns``, ``table_draft``). Rows with
an amount are items; where no column has amounts, rows that fill most columns. A line with neither belongs to
the item above or below (``table_rows``). What a column is about comes from its head, its cells, and from
quantity times price being the amount (``table_finish``). Rules are not looked at; cells that span columns are
not understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from statistics import median

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.table_cells import (
    MARKED,
    TYPED,
    GridRow,
    count_and_price,
    grid_rows,
    with_pitch,
)
from layoutllm_tool.documents.table_columns import gutters, recut
from layoutllm_tool.documents.table_draft import Draft, Record, Role, with_columns
from layoutllm_tool.documents.table_finish import finish
from layoutllm_tool.documents.table_heads import head_rows, heads, is_sum, role
from layoutllm_tool.documents.table_lists import groups, lists
from layoutllm_tool.documents.table_rows import end_at_sum, fill, fits, is_prose
from layoutllm_tool.documents.tables import Indices


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, with words for every column: () where it is empty. ``page`` counts from 1.

    ``role`` is "item"; "part" for a row with an amount that stands indented below an item; "discount" for one
    that reduces the item above or the whole. Rows left out are "sum" (also taxes, payments, carried amounts),
    "title" (within the table) or "head" (repeated on another page).
    """

    page: int
    cells: tuple[Indices, ...]
    role: Role = "item"
    below: tuple[Row, ...] = ()
    """Lines under the item's name. The words of those without numbers of their own are in ``cells`` too."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under the same columns, over pages where it goes on. For a cell's box: ``geometry.box_of``.

    ``headers`` are "" where a column has none; ``head`` has their words, where there are any. ``kinds`` say
    what stands in a column: "text", "quantity", "unit price", "amount", "number", "percent", "range", "size",
    "date", "time" or "code".
    """

    headers: tuple[str, ...]
    kinds: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: tuple[Row, ...] = ()
    head: Row | None = None

    def text(self, page: Page, row: Row, column: int) -> str:
        """A cell as printed; of "2 x 3.50" the part that the column is about. ``page`` is the row's."""
        lines, kind = page.lines or (), self.kinds[column]
        text = " ".join(lines[line].words[word].text for line, word in row.cells[column])
        if kind not in MARKED:
            return text
        part = count_and_price(text)[MARKED.index(kind)]
        return part or re.sub(r"^[@x\u00d7*]\s*|(?<=[\d\s])\s*[x\u00d7*@]$", "", text, flags=re.IGNORECASE)


def read_tables(pages: Sequence[Page]) -> list[Table]:
    """All tables in the order of the pages. Pages without words have none."""
    drafts: list[Draft] = []
    for page in pages:
        rows = grid_rows(page)
        for draft in [draft for draft in drafts[::-1] if draft.records[-1].page == page.number - 1]:
            rows, before = _gone_on(draft, rows), rows
            if rows is not before:
                break
        for draft in _on_page(rows):
            if not (drafts and _repeats(drafts[-1], draft)):
                drafts.append(draft)
    return [_table(draft) for draft in drafts if finish(draft)]


def _on_page(rows: Sequence[GridRow]) -> Iterator[Draft]:
    start = 0
    while start < len(rows):
        first, last, stop = _block(rows, start)
        yield from _without_head(rows[start:first])
        found, used = _headed(rows[first : last + 1], rows[last + 1 : stop])
        yield from found
        start = last + 1 + used


def _block(rows: Sequence[GridRow], start: int) -> tuple[int, int, int]:
    """First and last row of the next head, and where the one after it begins; ends where there is none."""
    found = _next_head(rows, start)
    if found == len(rows):
        return found, found - 1, found
    first, last = head_rows(rows, found)
    after = _next_head(rows, last + 1)
    stop = max(head_rows(rows, after)[0], last + 1) if after < len(rows) else after
    return max(first, start), last, stop


def _next_head(rows: Sequence[GridRow], start: int) -> int:
    return next((i for i in range(start, len(rows)) if heads(rows, i)), len(rows))


# -- tables with a head --------------------------------------------------------------------------------------


def _headed(head: Sequence[GridRow], rows: Sequence[GridRow]) -> tuple[list[Draft], int]:
    """The tables below a head, of which several may stand side by side; how many rows they took."""
    starts = [cell.x0 for row in head for cell in row.cells]
    rows = _until_gap([*head[-1:], *rows], starts)[1:] if head else ()
    if (x := _beginning_of(head, rows)) is not None:
        found, used = _headed(head, own := with_pitch(_part(rows, x, inf)))
        return found, sum(row.y <= own[used - 1].y for row in rows) if used else 0
    items = _item_rows(rows) or _text_rows(head, rows)
    if not items:
        return [], 0
    rows = recut(head, [rows[i] for i in items], rows)
    draft = with_columns(head, [rows[i] for i in items], rows)
    if (x := draft.second_table()) is not None:
        sides = [_headed(_part(head, *ends), _part(rows, *ends)) for ends in ((0.0, x), (x, inf))]
        return [found for side, _ in sides for found in side], len(rows)
    used = fill(draft, rows)
    return [draft][:used], used


def _beginning_of(head: Sequence[GridRow], rows: Sequence[GridRow]) -> float | None:
    """Where a table of names begins, if something else stands at its left: in few of the numbered rows."""
    first = min((cell for row in head for cell in row.cells), key=lambda cell: cell.x0, default=None)
    if first is None or role(first.text) != "name":
        return None
    x = first.x0 - first.words[0].height
    items = [rows[i] for i in _item_rows(rows)]
    left = [row for row in rows if row.cells[0].x1 < x]
    beside = sum(any(cell.x1 < x for cell in row.cells) for row in items)
    return x if left and 2 * beside < len(items) else None


def _part(rows: Sequence[GridRow], x0: float, x1: float) -> list[GridRow]:
    """What stands there of the rows; a cell across a border, word by word."""
    parts = []
    for row in rows:
        whole = ([cell] if x0 <= cell.x0 and cell.x1 < x1 else cell.by_word() for cell in row.cells)
        own = tuple(cell for cells in whole for cell in cells if x0 <= cell.x0 < x1)
        parts += [replace(row, cells=own)] if own else []
    return parts


def _until_gap(rows: Sequence[GridRow], starts: Sequence[float]) -> Sequence[GridRow]:
    """Rows up to a gap far wider than those before, to running text across columns that start there, or to
    keys with their values.
    """
    gaps: list[float] = []
    for i, (before, row) in enumerate(pairwise(rows), start=1):
        usual = median(gaps) if gaps else row.pitch
        keys = sum(cell.text.endswith(":") for cell in row.cells)
        if row.y - before.y > max(3.5 * usual, 4.5 * row.pitch) or keys > 1 or is_prose(row, starts):
            return rows[:i]
        gaps.append(row.y - before.y)
    return rows


def _item_rows(rows: Sequence[GridRow]) -> list[int]:
    """Rows that may be items, up to the first sum below one."""
    found: list[int] = []
    for i, row in enumerate(rows):
        kinds = {cell.kind for cell in row.cells}
        if is_sum(row, fewer="date" not in kinds):
            if found:
                break
        elif len(row.cells) > 1 and kinds & TYPED:
            found.append(i)
    paid = [i for i in found if any(cell.kind == "amount" for cell in rows[i].cells)]
    return paid if len(paid) > 2 else found


def _text_rows(head: Sequence[GridRow], rows: Sequence[GridRow]) -> list[int]:
    """Rows of a table without numbers: as full as a head of three cells or more."""
    cells = max((len(row.cells) for row in head), default=0)
    return [i for i, row in enumerate(rows) if cells > 2 and len(row.cells) >= cells - 1]


# -- lists without a head ------------------------------------------------------------------------------------


def _without_head(rows: Sequence[GridRow]) -> Iterator[Draft]:
    """Lists, and whatever stands side by side. Lists of the same kinds beside one another are one."""
    for own in groups(rows):
        edges = gutters(own)
        if not edges:
            yield from lists(own)
            continue
        found: list[Draft] = []
        for draft in (d for ends in pairwise([0.0, *edges, inf]) for d in _on_page(_part(own, *ends))):
            if found and _same_list(found[-1], draft):
                found[-1].records += draft.records
            else:
                found.append(draft)
        yield from found


def _same_list(draft: Draft, other: Draft) -> bool:
    """Whether both are lists without heads, of the same kinds, whose last rows are not above one another."""
    bare = not any((*draft.headers(), *other.headers()))
    return (
        bare and draft.kinds() == other.kinds() and other.records[0].rows[0].y < draft.records[-1].rows[0].y
    )


# -- pages ---------------------------------------------------------------------------------------------------


def _gone_on(draft: Draft, rows: list[GridRow]) -> list[GridRow]:
    """Adds the rows at the top of the next page that fit the table; returns the others."""
    first, _, _ = _block(rows, 0)
    start = next((i for i in range(first) if fits(draft, rows[i])), None)
    if start is None:
        return rows
    while start > 0 and is_sum(rows[start - 1], fewer=False):
        start -= 1
    own = _until_gap(rows[start:first], [column.x0 for column in draft.columns if column.placed])
    used = fill(draft, recut((), [row for row in own if fits(draft, row)], own))
    return rows[start + used :] if used else rows


def _repeats(draft: Draft, other: Draft) -> bool:
    """Adds a table of a later page with the same heads."""
    same = draft.headers() == other.headers() and any(draft.headers())
    if not same or draft.records[-1].page == other.records[0].page:
        return False
    draft.left_out.append(replace(other.head, role="head"))
    draft.records += other.records
    draft.left_out += other.left_out
    end_at_sum(draft)
    return True


def _table(draft: Draft) -> Table:
    columns = draft.columns
    kept = [i for i, column in enumerate(columns) if column.header or any(r.cells[i] for r in draft.records)]

    def row(record: Record) -> Row:
        cells = (tuple(at for cell in record.cells[i] for at in cell.at) for i in kept)
        return Row(record.page, tuple(cells), record.role, tuple(map(row, record.below)))

    head = row(replace(draft.head, role="head")) if draft.head.rows else None
    rows, left_out = (tuple(map(row, records)) for records in (draft.records, draft.left_out))
    headers, kinds = (tuple(values[i] for i in kept) for values in (draft.headers(), draft.kinds()))
    return Table(headers, kinds, rows, left_out, head)
