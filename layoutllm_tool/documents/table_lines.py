"""Lines between the items of a table: which belong to the item above, which to the one below, which to none.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import inf

from layoutllm_tool.documents.table_cells import NUMERIC, GridRow
from layoutllm_tool.documents.table_draft import WORD, Draft, Record

_NEAR = 1.6
"""A wider distance, in the page's close lines, ends what belongs together."""


def share_out(
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
    after = max(sums, default=start)
    titles = [i for i in between if i > after and is_title(draft, made, i, above, below)]
    for i in titles:
        made[i].role = "title"
    if sums or titles:
        first, last = min((*sums, *titles)), max((*sums, *titles))
        wanted = bool(titles) or (below is not None and not has_name(draft, made[below]))
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
    named = has_name(draft, item) and has_name(draft, line)
    out = above and bool(line.cells[draft.name]) and _stands_out(draft, item, line.rows[0])
    if _is_apart(draft, item, line):
        taken = 0 if above else 2
    under = not above and named and is_below(draft, item, line)
    return 10.0 * taken + 5.0 * out + 4.0 * named + against + 3.0 * under


def is_title(draft: Draft, made: Sequence[Record], i: int, above: int | None, below: int | None) -> bool:
    """A name alone, over an item with a name, that stands out to the left or as far from the rows around it
    as items stand from one another, where lines of text stand closer.
    """
    own, row = made[i].cells[draft.name], made[i].rows[0]
    if made[i].filled != 1 or not own or below is None or not has_name(draft, made[below]):
        return False
    items = [made[j].cells[draft.name] for j in (above, below) if j is not None]
    indents = [(own[0].x0 - cells[0].x0) / row.height for cells in items if cells]
    gaps = [b.rows[0].y - a.rows[-1].y for a, b in pairwise(made[max(i - 1, 0) : i + 2])]
    far = min(gaps) > 1.25 * row.pitch and max(indents) <= 0.4
    return max(indents) < -0.4 or far


def has_name(draft: Draft, record: Record) -> bool:
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
    return counted and has_name(draft, line)


def is_below(draft: Draft, item: Record, line: Record) -> bool:
    """Whether the line stands under the item's name, and is not its second line."""
    own, x = name_begins(draft, item), name_begins(draft, line)
    if item.role == "part":
        return abs(x - own) < line.rows[0].height
    return inf > x > own + 1.2 * line.rows[0].height


def name_begins(draft: Draft, record: Record) -> float:
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
