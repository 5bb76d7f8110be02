"""Lists without a head: amounts below one another, with names at their left. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from layoutllm_tool.documents.table_cells import MARKED, Cell, GridRow
from layoutllm_tool.documents.table_draft import Draft, with_columns
from layoutllm_tool.documents.table_heads import is_sum
from layoutllm_tool.documents.table_rows import fill

_MOST_WORDS = 8
"""Of an item without a head, where no gap is before its amount."""


def groups(rows: Sequence[GridRow]) -> Iterator[Sequence[GridRow]]:
    """The rows in groups that a wide gap or a row of running text parts."""
    start = 0
    for i, (before, row) in enumerate(pairwise(rows), start=1):
        if row.y - before.y > 2.2 * row.pitch or (
            len(row.cells) == 1 and len(row.text.split()) > _MOST_WORDS
        ):
            yield rows[start:i]
            start = i
    yield rows[start:]


def lists(rows: Sequence[GridRow]) -> Iterator[Draft]:
    """Amounts below one another, with names at their left, and what stands between."""
    for run in (part for whole in _runs(rows) for part in _after_sums(rows, whole)):
        ends = (n for n, i in enumerate(run) if _ends_list(rows[i]) and not _takes_off(rows[i]))
        stop = next(ends, len(run))
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


def _takes_off(row: GridRow) -> bool:
    """Whether its amount is negative: a reduction is no end ("CARD SAVING  -1.00")."""
    amount = _last_amount(row)
    return amount is not None and re.search(r"^\W*[-\u2212\u2013]|-$", amount.text) is not None


def _after_sums(rows: Sequence[GridRow], run: Sequence[int]) -> Iterator[list[int]]:
    """The run, cut where another list begins: after a sum, below a line without an amount."""
    start, ended = 0, False
    ends = [_ends_list(rows[i]) for i in run]
    for n, (before, i) in enumerate(pairwise(run), start=1):
        ended = ended or (ends[n - 1] and not _takes_off(rows[run[n - 1]]))
        if i - before > 1 and ended and not ends[n]:
            yield list(run[start:n])
            start, ended = n, False
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
