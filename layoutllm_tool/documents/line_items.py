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
    Cell,
    GridRow,
    count_and_price,
    grid_rows,
    with_pitch,
)
from layoutllm_tool.documents.table_columns import gutters, recut
from layoutllm_tool.documents.table_draft import Draft, Record, Role, with_columns
from layoutllm_tool.documents.table_finish import finish
from layoutllm_tool.documents.table_heads import head_rows, heads, is_sum, role
from layoutllm_tool.documents.table_rows import end_at_sum, fill, fits, is_prose
from layoutllm_tool.documents.tables import Indices

_MOST_WORDS = 8
"""Of an item without a head, where no gap is before its amount."""


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
    what stands in a column: "text", "quantity", "unit price", "amount", "number", "percent", "range", "date",
    "time" or "code".
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
    """Where a table of names begins, if something else stands at its left: in few of the rows with numbers."""
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
    for own in _beside(rows):
        edges = gutters(own)
        if not edges:
            yield from _lists(own)
            continue
        found: list[Draft] = []
        for draft in (d for ends in pairwise([0.0, *edges, inf]) for d in _on_page(_part(own, *ends))):
            if found and _same_list(found[-1], draft):
                found[-1].records += draft.records
            else:
                found.append(draft)
        yield from found


def _beside(rows: Sequence[GridRow]) -> Iterator[Sequence[GridRow]]:
    """The rows in groups that a wide gap or a row of running text parts."""
    start = 0
    for i, (before, row) in enumerate(pairwise(rows), start=1):
        if row.y - before.y > 2.2 * row.pitch or (
            len(row.cells) == 1 and len(row.text.split()) > _MOST_WORDS
        ):
            yield rows[start:i]
            start = i
    yield rows[start:]


def _same_list(draft: Draft, other: Draft) -> bool:
    """Whether both are lists without heads, of the same kinds, whose last rows are not above one another."""
    bare = not any((*draft.headers(), *other.headers()))
    return (
        bare and draft.kinds() == other.kinds() and other.records[0].rows[0].y < draft.records[-1].rows[0].y
    )


def _lists(rows: Sequence[GridRow]) -> Iterator[Draft]:
    """Amounts below one another, with names at their left, and what stands between."""
    for run in (part for run in _runs(rows) for part in _after_sums(rows, run)):
        stop = next((n for n, i in enumerate(run) if _ends_list(rows[i])), len(run))
        items = [rows[i] for i in run[:stop]]
        others = sum(":" in row.text or _ends_sentence(row) for row in items)
        if items and len(run) > 1 and 2 * others <= len(items):
            own = rows[_beginning(rows, run[0]) : _end(rows, run)]
            head, own = _list_head(own, items)
            draft = with_columns(head, items, own)
            if fill(draft, own):
                yield draft


def _ends_list(row: GridRow) -> bool:
    return is_sum(row, fewer=True, alone=True)


def _after_sums(rows: Sequence[GridRow], run: Sequence[int]) -> Iterator[list[int]]:
    """The run, cut where another list begins: after a sum, below a line without an amount."""
    start = 0
    for n, (before, i) in enumerate(pairwise(run), start=1):
        ended = any(_ends_list(rows[j]) for j in run[start:n])
        if i - before > 1 and ended and not _ends_list(rows[i]):
            yield list(run[start:n])
            start = n
    yield list(run[start:])


def _list_head(
    rows: Sequence[GridRow], items: Sequence[GridRow]
) -> tuple[Sequence[GridRow], Sequence[GridRow]]:
    """A first row of words over the columns is a head, whatever its words."""
    first, *rest = rows
    words = all(cell.kind == "text" for cell in first.cells)
    wide = 2 < len(first.cells) >= median(len(row.cells) for row in items) - 1
    if first not in items and words and wide:
        return [first], rest
    return (), rows


def _runs(rows: Sequence[GridRow]) -> list[list[int]]:
    """Rows that end with amounts in one column."""
    runs: list[list[int]] = []
    right = 0.0
    for i, row in enumerate(rows):
        if (amount := _last_amount(row)) is None:
            continue
        near = runs and row.y - rows[runs[-1][-1]].y < 6 * row.pitch
        if not (near and abs(amount.x1 - right) < 2 * row.height):
            runs.append([])
        runs[-1].append(i)
        right = amount.x1
    return runs


def _last_amount(row: GridRow) -> Cell | None:
    """The row's last amount: a tax code may follow."""
    for cell in row.cells[:-3:-1]:
        if cell.kind == "amount":
            return cell
        if len(cell.text) > 3:
            return None
    return None


def _ends_sentence(row: GridRow) -> bool:
    """Whether the last amount is one of running text: no gap before it, and many words."""
    amount = _last_amount(row)
    return amount is not None and not amount.begins and len(row.text.split()) > _MOST_WORDS


def _beginning(rows: Sequence[GridRow], first: int) -> int:
    """The first of the lines above an item that could be its name."""
    start, left = first, rows[first].cells[0].x0
    while start > 0:
        row = rows[start - 1]
        near = rows[start].y - row.y < 1.6 * row.pitch
        counts = start == first and all(cell.kind in MARKED for cell in row.cells)
        if near and counts:
            start -= 1
            continue
        if not near or not -6 < (row.cells[0].x0 - left) / row.height < 2 or ":" in row.text:
            break
        start -= 1
    return start


def _end(rows: Sequence[GridRow], run: Sequence[int]) -> int:
    """Behind the last amount, and further rows like it with words in the amount's place ("on request")."""
    stop = run[-1] + 1
    before, amount = rows[stop - 1], _last_amount(rows[stop - 1])
    while stop < len(rows) and len(run) > 2 and amount is not None:
        row = rows[stop]
        near = row.y - rows[stop - 1].y < 1.2 * (before.y - rows[stop - 2].y)
        like = len(row.cells) == len(before.cells) > 2 and row.cells[-1].kind == "text"
        if not (near and like and abs(row.cells[-1].x1 - amount.x1) < row.height):
            break
        stop += 1
    return stop


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
