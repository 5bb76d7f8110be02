"""Rows of the page to rows of a table: items, sums, and lines that belong to the item above or below.

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate, pairwise
from math import inf
from statistics import median

from layoutllm_tool.documents.table_cells import MARKED, NUMERIC, TYPED, Cell, GridRow
from layoutllm_tool.documents.table_draft import WORD, Draft, Record
from layoutllm_tool.documents.table_heads import is_balance, is_sum
from layoutllm_tool.documents.values import readings

_NEAR = 1.6
"""A wider distance, in the page's close lines, ends what belongs together."""


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
    leads = before >= 0 and classes[before] == "line" and not _is_title(draft, made, before, None, items[0])
    _title_above(draft, made, classes, items)
    for above, below in pairwise([None, *items, None]):
        _share_out(draft, made, classes, above, below, leads=leads)
    _set_roles(draft, [made[i] for i in items])
    for record in (made[i] for i in items):
        record.below = [line for line in record.below if _is_below(draft, record, line)]
    draft.records += [made[i] for i in items]
    for record, kind in zip(made, classes, strict=True):
        if kind in ("sum", "title"):
            record.role = kind
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
    total, items, ended = (
        sum((_amount(draft, one) for one in draft.records), Decimal(0)),
        len(draft.records),
        False,
    )
    for record in made:
        kind, value = _class(draft, record, usual, ended=ended), _amount(draft, record)
        if kind == "item" and items and value == total != 0 and record.filled < usual:
            kind = "sum"
        total, items = (total + value, items + 1) if kind == "item" else (total, items)
        ended = ended or (kind == "sum" and items > 0)
        classes.append(kind)
    _last_is_sum(draft, made, classes)
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
    plain = last - first + 1 == len(items) > 2 and all(_has_name(draft, made[i]) for i in items)
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
        begins = _name_begins(draft, record)
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


# -- lines ---------------------------------------------------------------------------------------------------


def _share_out(
    draft: Draft,
    made: Sequence[Record],
    classes: Sequence[str],
    above: int | None,
    below: int | None,
    *,
    leads: bool,
) -> None:
    """Gives the lines between two items to the one above, down to some line, and from there to the one below.

    Sums and titles are in the way.
    """
    start, stop = -1 if above is None else above, len(made) if below is None else below
    between = range(start + 1, stop)
    sums = [i for i in between if classes[i] in ("sum", "title")]
    titles = [i for i in between if not sums and _is_title(draft, made, i, above, below)]
    for i in titles:
        made[i].role = "title"
    if sums or titles:
        first, last = min(sums or titles), max(sums or titles)
        wanted = bool(titles) or (below is not None and not _has_name(draft, made[below]))
    else:
        first = start + 1 + _parting(draft, made, above, below, between, leads)
        last, wanted = first - 1, True
    _take(draft, None if above is None else made[above], made[start + 1 : first], front=False)
    _take(draft, made[below] if below is not None and wanted else None, made[last + 1 : stop], front=True)


def _parting(
    draft: Draft, made: Sequence[Record], above: int | None, below: int | None, between: range, leads: bool
) -> int:
    """How many of the lines go to the item above."""
    if above is None or below is None:
        return 0 if above is None else len(between)
    lines = [made[i] for i in between]
    up = [0.0, *accumulate(_cost(draft, line, made[above], leads, above=True) for line in lines)]
    down = [0.0, *accumulate(_cost(draft, line, made[below], not leads, above=False) for line in lines)]
    return min(range(len(lines) + 1), key=lambda k: up[k] + down[-1] - down[k])


def _cost(draft: Draft, line: Record, item: Record, against: bool, *, above: bool) -> float:
    """High where the item has such a cell already, or a name; a little where other lines go the other way."""
    triples = zip(draft.kinds(), line.cells, item.cells, strict=True)
    taken = sum(bool(a) and bool(b) for kind, a, b in triples if kind != "text")
    named = _has_name(draft, item) and _has_name(draft, line)
    out = above and bool(line.cells[draft.name]) and _stands_out(draft, item, line.rows[0])
    if _is_apart(draft, item, line):
        taken = 0 if above else 2
    under = not above and named and _is_below(draft, item, line)
    return 10.0 * taken + 5.0 * out + 4.0 * named + against + 3.0 * under


def _is_title(draft: Draft, made: Sequence[Record], i: int, above: int | None, below: int | None) -> bool:
    """A name alone, over an item with a name, that stands out to the left or as far from the rows around it
    as items stand from one another, where lines of text stand closer.
    """
    own, row = made[i].cells[draft.name], made[i].rows[0]
    if made[i].filled != 1 or not own or below is None or not _has_name(draft, made[below]):
        return False
    items = [made[j].cells[draft.name] for j in (above, below) if j is not None]
    indents = [(own[0].x0 - cells[0].x0) / row.height for cells in items if cells]
    gaps = [b.rows[0].y - a.rows[-1].y for a, b in pairwise(made[max(i - 1, 0) : i + 2])]
    far = min(gaps) > 1.25 * row.pitch and max(indents) <= 0.4
    return max(indents) < -0.4 or far


def _has_name(draft: Draft, record: Record) -> bool:
    return any(WORD.search(cell.text) for cell in record.cells[draft.name])


def _take(draft: Draft, item: Record | None, lines: Sequence[Record], *, front: bool) -> None:
    """Adds neighbouring lines to the item, until a gap or a line that stands out."""
    for line in reversed(lines) if front else lines:
        if item is None:
            return
        near, own = (item.rows[0], line.rows[-1]) if front else (item.rows[-1], line.rows[0])
        if abs(near.y - own.y) > _NEAR * own.pitch or (not front and _stands_out(draft, item, own)):
            return
        apart = not front and _is_apart(draft, item, line)
        if not apart:
            item.add(line, front=front)
        else:
            item.rows = [*item.rows, *line.rows]
        if not front:
            item.below.append(line)


def _is_apart(draft: Draft, item: Record, line: Record) -> bool:
    """Whether the line is a sub-item: a name with a number where the item has one too."""
    triples = zip(draft.kinds(), line.cells, item.cells, strict=True)
    counted = any(kind in NUMERIC and a and b and a[0].kind in NUMERIC for kind, a, b in triples)
    return counted and _has_name(draft, line)


def _is_below(draft: Draft, item: Record, line: Record) -> bool:
    """Whether the line stands under the item's name, and is not its second line."""
    own, x = _name_begins(draft, item), _name_begins(draft, line)
    if item.role == "part":
        return abs(x - own) < line.rows[0].height
    return inf > x > own + 1.2 * line.rows[0].height


def _name_begins(draft: Draft, record: Record) -> float:
    """Where the first word of the name stands, numbers before it aside."""
    words = [word for cell in record.cells[draft.name] for word in cell.by_word()]
    named = (word for word in words if word.letters > 1 or not any(map(str.isdigit, word.text)))
    return min((word.x0 for word in list(named)[:1]), default=inf)


def _stands_out(draft: Draft, item: Record, line: GridRow) -> bool:
    """Left of the item, or so wide as no name is."""
    column = draft.columns[draft.name]
    own = draft.by_column(line).cells[draft.name]
    out = line.cells[0].x0 < min(row.cells[0].x0 for row in item.rows) - 0.5 * line.height
    after = min((c.x0 for c in draft.columns if c.x0 > column.x0), default=line.cells[-1].x1)
    return out or bool(column.rows and own and own[0].x1 > max(after, column.x1) + line.height)
