"""Rows of the page to rows of a table: items, sums, and lines that belong to the item above or below.

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from math import inf
from statistics import median

from layoutllm_tool.documents.table_cells import MARKED, NUMERIC, TYPED, Cell, GridRow
from layoutllm_tool.documents.table_draft import Draft, Record
from layoutllm_tool.documents.table_heads import is_balance, is_sum
from layoutllm_tool.documents.table_lines import has_name, is_below, is_title, name_begins, share_out
from layoutllm_tool.documents.values import readings


def is_prose(row: GridRow, starts: Sequence[float]) -> bool:
    """Whether the row is one of running text: across columns that begin at these places."""
    words, first = row.text.split(), row.cells[0]
    small = sum(word[:1].islower() for word in words)
    across = any(first.x0 + row.height < x < first.x1 - 2 * row.height for x in starts)
    return len(row.cells) == 1 and len(words) > 4 and 2 * small > len(words) and across


def fits(draft: Draft, row: GridRow) -> bool:
    """Whether the row could be one of the table's: as many cells, of the same kinds, in its columns."""
    record = draft.by_column(row)
    placed = [column for column in draft.columns if column.placed]
    inside = all(any(column.overlap(cell.x0, cell.x1) > 0 for column in placed) for cell in row.cells)
    usual = min(median(record.filled for record in draft.records), 3)
    pairs = ((kind, cell) for kind, cells in zip(draft.kinds(), record.cells, strict=True) for cell in cells)
    alike = all(k in (c.kind, "text", "code") or {k, c.kind} <= NUMERIC for k, c in pairs)
    return inside and alike and record.filled >= max(usual, 2)


def fill(draft: Draft, rows: Sequence[GridRow]) -> int:
    """Adds rows to the table. Returns how many were used: what follows the last item is not."""
    made = [draft.by_column(row) for row in rows]
    classes = _classes(draft, made)
    _set_sections(draft, made, classes)
    pairs = list(zip(made, classes, strict=True))
    made = [_whole(draft, record) if kind == "line" else record for record, kind in pairs]
    items = [i for i, kind in enumerate(classes) if kind == "item"]
    if not items:
        return 0
    before = items[0] - 1
    leads = before >= 0 and classes[before] == "line" and not is_title(draft, made, before, None, items[0])
    _title_above(draft, made, classes, items)
    for above, below in pairwise([None, *items, None]):
        share_out(draft, made, classes, above, below, leads=leads)
    _set_roles(draft, [made[i] for i in items])
    for record in (made[i] for i in items):
        record.below = [line for line in record.below if is_below(draft, record, line)]
    draft.records += [made[i] for i in items]
    for record, kind in zip(made, classes, strict=True):
        record.role = "sum" if kind == "sum" else "title" if kind == "title" else record.role
    draft.left_out += [record for record in made if record.role in ("sum", "title")]
    return items[-1] + 1


def _whole(draft: Draft, line: Record) -> Record:
    """The line with what was cut from the ends of its texts put back: it has no amounts."""
    cells: list[Cell] = []
    for cell in line.rows[0].cells:
        if not cell.begins and cells and cells[-1].kind == "text":
            cells[-1] = Cell.joined([cells[-1], cell], "text")
        else:
            cells.append(cell)
    return draft.by_column(replace(line.rows[0], cells=tuple(cells)))


# -- items and sums ------------------------------------------------------------------------------------------


def _classes(draft: Draft, made: Sequence[Record]) -> list[str]:
    """For each row: "item", "sum", or "line" for one that belongs to another."""
    usual = _usual(made)
    classes: list[str] = []
    total = sum((_amount(draft, record) for record in draft.records), Decimal(0))
    items, ended = len(draft.records), False
    for record in made:
        kind, value = _class(draft, record, usual, ended=ended), _amount(draft, record)
        if kind == "item" and items and value == total != 0 and record.filled < usual:
            kind = "sum"
        total, items = (total + value, items + 1) if kind == "item" else (total, items)
        ended = ended or (kind == "sum" and items > 0)
        classes.append(kind)
    _last_is_sum(draft, made, classes)
    _spare_names(draft, made, classes)
    return classes


def _usual(made: Sequence[Record]) -> float:
    """How many cells a row has, above the first sum below one."""
    sizes: list[int] = []
    for record in made:
        if is_sum(record.rows[0], fewer=True):
            if sizes:
                break
        elif len(record.rows[0].cells) > 1:
            sizes.append(record.filled)
    return median(sizes) if sizes else 2.0


def _class(draft: Draft, record: Record, usual: float, *, ended: bool) -> str:
    """``ended``: below a sum there are only whole items."""
    row, kinds = record.rows[0], draft.kinds()
    needed = [
        any(cell.kind in TYPED for cell in draft.filled(record, kind))
        for kind in ("date", "unit price", "quantity")
        if kind in kinds
    ]
    if _is_sum(draft, record, usual, ended=ended, needed=needed):
        return "sum"
    misfits = [c for c in draft.filled(record, *TYPED) if c.kind == "text" and len(c.at) > 1]
    whole = not ended or (record.filled >= max(3.0, usual - 1) and all(needed))
    if "amount" in kinds:
        found = {cell.kind for cell in draft.filled(record, "amount")} & {"amount", "number"}
        if not whole and "amount" in found:
            return "sum"
        is_item = "amount" in found or (bool(draft.filled(record, "amount")) and record.filled >= usual > 2)
    else:
        typed = sum(cell.kind in TYPED for cell in draft.filled(record, *TYPED))
        is_item = record.filled > 1 and (typed > 1 or record.filled >= 0.6 * usual)
    return "item" if is_item and whole and 2 * len(misfits) <= len(row.cells) else "line"


def _is_sum(draft: Draft, record: Record, usual: float, *, ended: bool, needed: Sequence[bool]) -> bool:
    """By its words. An item has a date, a price or a quantity, where items have; else as many cells."""
    row = record.rows[0]
    complete = needed[0] if needed else record.filled >= usual >= 4
    complete = complete or ("date" in draft.kinds() and len(row.text.split()) > 4)
    if usual >= 4 and not any(cell.kind in NUMERIC for cell in row.cells) and not is_sum(row, fewer=False):
        return False
    if "date" in draft.kinds() and not needed[0] and is_balance(row):
        return True
    total = bool(needed) and not complete and "total" in row.text.casefold().split()[:2]
    reduces = _reduces(draft, record) and not ended and not is_sum(row, fewer=False)
    return (total or is_sum(row, fewer=not complete, alone=True)) and not reduces


def _last_is_sum(draft: Draft, made: Sequence[Record], classes: list[str]) -> None:
    """The last item is a sum where it is that of the others, unless the sum below counts it in."""
    end = classes.index("sum") if "sum" in classes else len(classes)
    items = [i for i, kind in enumerate(classes[:end]) if kind == "item"]
    *others, last = [_amount(draft, made[i]) for i in items] or [Decimal(0)]
    counted_in = end < len(made) and _amount(draft, made[end]) >= 2 * last
    adds_up = len(others) > 1 and sum(others) == last != 0
    if adds_up and not counted_in and not _counted(draft, made[items[-1]]):
        classes[items[-1]] = "sum"


def _spare_names(draft: Draft, made: Sequence[Record], classes: list[str]) -> None:
    """Rows with the name of a sum ("Tax") are items where one that is as full follows."""
    for i in [i for i, kind in enumerate(classes) if kind == "sum"]:
        after = [made[j].filled for j, kind in enumerate(classes) if kind == "item" and j > i]
        before = sum(_amount(draft, made[j]) for j in range(i) if classes[j] == "item")
        row = made[i].rows[0]
        named = is_sum(row, fewer=False) or is_balance(row) or "total" in row.text.casefold()
        if after and made[i].filled >= max(after) and not named and _amount(draft, made[i]) != before:
            classes[i] = "item"


def end_at_sum(draft: Draft) -> None:
    """Ends a table of several pages at a row with the sum of all before; what follows it is no item."""
    usual, total = median(record.filled for record in draft.records), Decimal(0)
    for i, record in enumerate(draft.records):
        value = _amount(draft, record)
        if i > 1 and value == total != 0 and record.filled < usual:
            draft.left_out += [replace(one, role="sum") for one in draft.records[i:]]
            del draft.records[i:]
            return
        total += value


def _set_sections(draft: Draft, made: Sequence[Record], classes: list[str]) -> None:
    """Names with the sum of the items below them, up to the next such name, are titles."""
    usual = _usual(made)
    bare = [
        i for i, kind in enumerate(classes)
        if kind == "item" and made[i].filled < min(usual, 3) and not _counted(draft, made[i])
    ]  # fmt: skip
    stops = [i for i, kind in enumerate(classes) if kind == "sum"]
    found = []
    for i in bare:
        stop = min(j for j in (*bare, *stops, len(made)) if j > i)
        below = [_amount(draft, made[j]) for j in range(i + 1, stop) if classes[j] == "item"]
        if below and sum(below) == _amount(draft, made[i]) != 0:
            found.append((i, len(below)))
    if sum(n for _, n in found) > 1:
        for i, _ in found:
            classes[i] = "title"


def _title_above(draft: Draft, made: Sequence[Record], classes: list[str], items: Sequence[int]) -> None:
    """A line above the first item is a title where all items are lines with a name."""
    first, last = items[0], items[-1]
    plain = last - first + 1 == len(items) > 2 and all(has_name(draft, made[i]) for i in items)
    if plain and first > 0 and classes[first - 1] == "line":
        classes[first - 1] = "title"


def _reduces(draft: Draft, record: Record) -> bool:
    """Whether the row takes something off: a negative amount without a quantity or a date."""
    amounts = draft.filled(record, "amount")
    negative = bool(amounts) and re.search(r"^\W*[-\u2212\u2013]|-$", amounts[-1].text) is not None
    return negative and "date" not in draft.kinds() and not _counted(draft, record)


def _amount(draft: Draft, record: Record) -> Decimal:
    amounts = [cell for cell in draft.filled(record, "amount") if cell.kind == "amount"]
    return next(iter(readings(amounts[-1].text)), Decimal(0)) if amounts else Decimal(0)


def _counted(draft: Draft, record: Record) -> bool:
    return bool(draft.filled(record, *MARKED))


def _set_roles(draft: Draft, records: Sequence[Record]) -> None:
    """Marks discounts, and parts: indented below the item before, without a quantity of their own."""
    left, names = inf, list[float]()
    for record in records:
        x = _left(draft, record)
        indented = inf > x > left + 1.2 * record.rows[0].height
        begins = name_begins(draft, record)
        indented = indented and not (names and begins < min(names) + record.rows[0].height)
        if _reduces(draft, record):
            record.role = "discount"
        elif indented and not _counted(draft, record):
            record.role = "part"
        else:
            left = x if x < inf else left
            names += [begins] if begins < inf else []


def _left(draft: Draft, record: Record) -> float:
    """Where the name begins; without heads, what stands before it."""
    columns = [draft.name] if any(draft.headers()) else range(draft.name + 1)
    return min((cell.x0 for i in columns for cell in record.cells[i]), default=inf)
