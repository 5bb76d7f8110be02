"""Rows of the page to rows of a table: items, sums, and lines that belong to the item above or below. Standard
library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from statistics import median

from layoutllm_tool.documents.table_columns import WORD, Draft, Record
from layoutllm_tool.documents.table_grid import MARKED, NUMERIC, TYPED, Cell, GridRow, joined
from layoutllm_tool.documents.table_heads import is_left_out
from layoutllm_tool.documents.values import amount

_NEAR = 1.6
"""A wider distance, in the page's usual distance of rows, ends what belongs together."""


def is_sum(row: GridRow, *, fewer: bool, alone: bool = False) -> bool:
    """Whether the row is a sum, by its first text or by the one before its amount. ``alone``: no other table
    stands beside.
    """
    texts = [cell.text for cell in row.cells if cell.kind not in TYPED]
    last = len(texts) > 1 and row.cells[-1].kind in NUMERIC and is_left_out(texts[-1], fewer=fewer and alone)
    return is_left_out(" ".join(texts), fewer=fewer) or last


def is_prose(row: GridRow, starts: Sequence[float]) -> bool:
    """Whether the row is one of running text: across columns that begin at these places."""
    words = row.text.split()
    small = sum(word[:1].islower() for word in words)
    across = sum(row.cells[0].x0 + row.height < x < row.cells[0].x1 - 2 * row.height for x in starts)
    return len(row.cells) == 1 and len(words) > 4 and 2 * small > len(words) and across > 0


def fits(draft: Draft, row: GridRow) -> bool:
    """Whether the row could be one of the table's: as many cells, of the same kinds, in its columns."""
    record = draft.by_column(row)
    placed = [column for column in draft.columns if column.placed]
    inside = all(max(c.overlap(cell.x0, cell.x1) for c in placed) > 0 for cell in row.cells)
    usual = min(median(r.filled for r in draft.records), 3)
    return inside and record.filled >= max(usual, 2) and all(
        cell.kind == column.kind or column.kind in ("text", "code") or {cell.kind, column.kind} <= NUMERIC
        for column, cells in zip(draft.columns, record.cells, strict=True) for cell in cells
    )  # fmt: skip


def fill(draft: Draft, rows: Sequence[GridRow]) -> int:
    """Adds rows to the table. Returns how many were used: lines after the last item or sum are not."""
    made = [draft.by_column(row) for row in rows]
    classes = _classes(draft, made)
    made = [_whole(draft, r) if kind == "line" else r for r, kind in zip(made, classes, strict=True)]
    items = [i for i, kind in enumerate(classes) if kind == "item"]
    if not items:
        return 0
    leads = _leads(draft, made, classes)
    for before, after in pairwise([-1, *items, len(made)]):
        above = made[before] if before >= 0 else None
        below = made[after] if after < len(made) else None
        _share_out(draft, made[before + 1 : after], classes[before + 1 : after], above, below, leads=leads)
    draft.records += [made[i] for i in items]
    _set_roles(draft, [made[i] for i in items])
    for record, kind in zip(made, classes, strict=True):
        if kind == "sum" or record.role == "title":
            record.role = "sum" if kind == "sum" else "title"
            draft.left_out.append(record)
    return max(i for i, kind in enumerate(classes) if kind != "line") + 1


def _whole(draft: Draft, line: Record) -> Record:
    """A line with an amount that was cut from its text put back."""
    row, cells = line.rows[0], []
    for cell in row.cells:
        if not cell.begins and cells and cells[-1].kind == "text":
            cells[-1] = replace(joined([cells[-1], cell]), kind="text")
        else:
            cells.append(cell)
    return draft.by_column(replace(row, cells=tuple(cells)))


def _classes(draft: Draft, made: Sequence[Record]) -> list[str]:
    """For each row: "item", "sum", or "line" for one that belongs to another."""
    sums = [is_sum(record.rows[0], fewer=True) for record in made]
    single = [len(record.rows[0].cells) == 1 for record in made]
    first = next((i for i in range(len(made)) if not sums[i] and not single[i]), 0)
    end = next((i for i in range(first, len(made)) if sums[i]), len(made))
    usual = median([made[i].filled for i in range(first, end) if not single[i]] or [2])
    classes: list[str] = []
    total = Decimal(0)
    for record in made:
        kind, value = _class(draft, record, usual, ended="sum" in classes[classes.index("item") :] if "item" in classes else False), _amount(draft, record)
        if kind == "item" and "item" in classes and value == total != 0 and record.filled < usual:
            kind = "sum"
        total += value if kind == "item" else 0
        classes.append(kind)
    _last_is_sum(draft, made, classes)
    return classes


def _last_is_sum(draft: Draft, made: Sequence[Record], classes: list[str]) -> None:
    """The last item is a sum where it is that of the others, unless the sum below counts it in."""
    end = classes.index("sum") if "sum" in classes else len(classes)
    items = [i for i, kind in enumerate(classes[:end]) if kind == "item"]
    values = [_amount(draft, made[i]) for i in items]
    counted_in = end < len(made) and _amount(draft, made[end]) >= 2 * values[-1] if values else False
    if len(items) > 2 and values[-1] and sum(values[:-1]) == values[-1] and not counted_in and not _counted(draft, made[items[-1]]):
        classes[items[-1]] = "sum"


def _class(draft: Draft, record: Record, usual: float, *, ended: bool) -> str:
    row, size, by_kind = record.rows[0], record.filled, _by_kind(draft, record)
    needed = [
        any(cell.kind in TYPED for cell in by_kind[kind]) for kind in ("date", "unit price", "quantity") if kind in by_kind
    ]
    whole = needed[0] if needed else size >= usual >= 4
    whole = whole or ("date" in by_kind and len(row.text.split()) > 4)
    totals = not whole and bool(needed) and "total" in row.text.casefold().split()[:2]
    reduces = is_negative(draft, record) and not ended and not is_sum(row, fewer=False)
    if (is_sum(row, fewer=not whole, alone=True) or totals) and not reduces:
        return "sum"
    misfits = [c for kind in by_kind if kind in TYPED for c in by_kind[kind] if c.kind == "text" and len(c.at) > 1]
    few = ended and (size < max(3.0, usual - 1) or not all(needed))
    if 2 * len(misfits) > len(row.cells):
        return "line"
    if "amount" in by_kind:
        kinds = {cell.kind for cell in by_kind["amount"]} & {"amount", "number"}
        if few:
            return "sum" if "amount" in kinds else "line"
        return "item" if kinds else "line"
    fitting = sum(cell.kind in TYPED for kind in by_kind if kind in TYPED for cell in by_kind[kind])
    return "item" if size > 1 and not few and (fitting > 1 or size >= 0.6 * usual) else "line"


def is_negative(draft: Draft, record: Record) -> bool:
    """Whether the row takes something off: a negative amount without a quantity or a date."""
    kinds = draft.kinds()
    amounts = _by_kind(draft, record).get("amount", [])
    minus = bool(amounts) and re.search(r"^\W*[-\u2212\u2013]|-$", amounts[-1].text) is not None
    return minus and "date" not in kinds and not _counted(draft, record)


def _by_kind(draft: Draft, record: Record) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for kind, cells in zip(draft.kinds(), record.cells, strict=True):
        found.setdefault(kind, []).extend(cells)
    return found


def _amount(draft: Draft, record: Record) -> Decimal:
    amounts = [cell for cell in _by_kind(draft, record).get("amount", []) if cell.kind == "amount"]
    return (amount(amounts[-1].text) if amounts else None) or Decimal(0)


def _counted(draft: Draft, record: Record) -> bool:
    by_kind = _by_kind(draft, record)
    return any(by_kind.get(kind) for kind in MARKED)


# -- lines ---------------------------------------------------------------------------------------------------


def _leads(draft: Draft, made: Sequence[Record], classes: Sequence[str]) -> bool:
    """Whether lines stand before the numbers of their item: one stands before the first."""
    first = classes.index("item")
    return first > 0 and classes[first - 1] == "line" and not _is_title(draft, made[first - 1], None, None, made[first])


def _share_out(
    draft: Draft, lines: Sequence[Record], classes: Sequence[str], above: Record | None, below: Record | None, *, leads: bool
) -> None:
    """Gives the lines between two items to the one above, down to some line, and from there to the one below.

    Sums are in the way.
    """
    stops = [i for i, kind in enumerate(classes) if kind == "sum"]
    if stops:
        _take(draft, above, lines[: stops[0]], front=False)
        if below is not None and not _has_name(draft, below):
            _take(draft, below, lines[stops[-1] + 1 :], front=True)
        return
    before = [above, *lines]
    titles = [
        i for i, line in enumerate(lines) if below is not None and _is_title(draft, line, before[i], above, below)
    ]
    for i in titles:
        lines[i].role = "title"
    if titles:
        _take(draft, above, lines[: titles[0]], front=False)
        _take(draft, below, lines[titles[-1] + 1 :], front=True)
    elif above is None or below is None:
        _take(draft, below if above is None else above, lines, front=above is None)
    else:
        k = min(range(len(lines) + 1), key=lambda k: _costs(draft, lines, k, above, below, leads))
        _take(draft, above, lines[:k], front=False)
        _take(draft, below, lines[k:], front=True)


def _is_title(draft: Draft, line: Record, before: Record | None, above: Record | None, below: Record) -> bool:
    """A name alone, over an item with a name, that stands out to the left or as far from the item above as
    items stand from one another, where lines of text stand closer.
    """
    own, row = line.cells[draft.name], line.rows[0]
    if line.filled != 1 or not own or not _has_name(draft, below):
        return False
    others = [r for r in (above, below) if r is not None and r.cells[draft.name]]
    if all(own[0].x0 < r.cells[draft.name][0].x0 - 0.4 * row.height for r in others):
        return True
    indented = any(own[0].x0 > r.cells[draft.name][0].x0 + 0.4 * row.height for r in others)
    apart = min(below.rows[0].y - row.y, row.y - before.rows[-1].y if before else row.pitch * 9)
    return not indented and apart > 1.25 * row.pitch


def _costs(draft: Draft, lines: Sequence[Record], k: int, above: Record, below: Record, leads: bool) -> float:
    out = sum(5.0 for line in lines[:k] if _stands_out(draft, above, line.rows[0]))
    return out + sum(_cost(draft, line, above if i < k else below, (i < k) == leads) for i, line in enumerate(lines))


def _cost(draft: Draft, line: Record, item: Record, against: bool) -> float:
    """High where the item has such a cell already, or a name; a little where other lines go the other way."""
    pairs = zip(draft.kinds(), line.cells, item.cells, strict=True)
    taken = sum(bool(a) and bool(b) for kind, a, b in pairs if kind != "text")
    named = _has_name(draft, item) and _has_name(draft, line)
    return 10.0 * taken + 4.0 * named + against


def _has_name(draft: Draft, record: Record) -> bool:
    return any(WORD.search(cell.text) for cell in record.cells[draft.name])


def _take(draft: Draft, item: Record | None, lines: Sequence[Record], *, front: bool) -> None:
    """Adds neighbouring lines to the item, until a gap or a line that stands out of the names' column."""
    if item is None:
        return
    for line in reversed(lines) if front else lines:
        near, own = (item.rows[0], line.rows[-1]) if front else (item.rows[-1], line.rows[0])
        if abs(near.y - own.y) > _NEAR * own.pitch or (not front and _stands_out(draft, item, own)):
            return
        item.add(line, front=front)


def _stands_out(draft: Draft, item: Record, line: GridRow) -> bool:
    """Left of the item, or so wide as no name is."""
    column = draft.columns[draft.name]
    out = line.cells[0].x0 < min(row.cells[0].x0 for row in item.rows) - 0.5 * line.height
    after = min((c.x0 for c in draft.columns if c.x0 > column.x0), default=line.cells[-1].x1)
    wide = len(column.rows) > 0 and line.cells[0].x1 > max(after, column.x1) + line.height
    return out or wide


def _set_roles(draft: Draft, records: Sequence[Record]) -> None:
    """Marks discounts, and parts: indented below the item before, without a quantity of their own."""
    left: float | None = None
    for record in records:
        x, height = _left(draft, record), record.rows[0].height
        if is_negative(draft, record):
            record.role = "discount"
        elif None not in (left, x) and not _counted(draft, record) and x > left + 1.2 * height:
            record.role = "part"
        else:
            left = x if x is not None else left


def _left(draft: Draft, record: Record) -> float | None:
    """Where the name begins; without heads, what stands before it."""
    columns = [draft.name] if any(draft.headers()) else range(draft.name + 1)
    return min((cell.x0 for i in columns for cell in record.cells[i]), default=None)
