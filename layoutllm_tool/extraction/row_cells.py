"""A row of a table as the record that a schema's array wants: its cells, and what stands in and below them.

A cell may hold more than its column says: a label ("Material no. NH-88"), a unit ("9.40/kg"), lines below the
name that are rows of their own, a number before a name. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from layoutllm_tool.documents import values
from layoutllm_tool.documents.geometry import Document, box_of
from layoutllm_tool.documents.line_items import Row, Table
from layoutllm_tool.documents.tables import Indices
from layoutllm_tool.extraction.row_parts import part_cells
from layoutllm_tool.extraction.row_weights import weights_of
from layoutllm_tool.extraction.rows import (
    Match,
    Wanted,
    is_part_of,
    matches,
    normal,
    number_and_text,
    roles_of,
)

_NOT_READ = 0.95
"""Confidence of a cell whose words come without one of their own."""

_BELOW = 0.85
"""Confidence of cells in rows below an item, whose columns have no heads."""

_PART = 0.9
"""Confidence of a part of a cell."""

_BOOKINGS = frozenset((
    "transactions", "bookings", "entries", "movements", "postings", "operations", "lines", "rows",
    "buchungen", "umsätze", "mouvements", "opérations", "movimientos", "movimenti", "boekingen",
))  # fmt: skip
"""Arrays of debits and credits alike."""

_OF_UNIT = re.compile(r"\d ?/ ?([^\W\d]{1,4}\.?)$|^\d[\d.,]* ?([^\W\dxX]{1,4})$")

_NUMBER_WORDS = re.compile(r"^(?:number|nr|nummer|num|#)$")

_OF_TEXT = re.compile(r"(?i)\b(?:text|label|name|reason|description|note|grund|bezeichnung|libellé)$")
"""Names of texts about amounts: "discount text"."""

_COUNT = re.compile(r"\d{1,4} ?[xX\u00d7*] +(?=\S)")


@dataclass(frozen=True, slots=True)
class Array:
    """What a schema's array looks for. ``columns`` by name; ``inner``: arrays within its rows, by name."""

    name: str
    columns: Mapping[str, Wanted]
    inner: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as printed; ``box`` is [x0, y0, x1, y1], 0-1000 on ``page`` (1-based)."""

    text: str
    page: int
    box: list[int]
    confidence: float


_ABOVE = 0.85
"""Confidence of a date that stands over the row."""
Record = dict[str, Any]
"""By column a cell as JSON, or None; by inner array a list of records. A cell is ``negative`` where it stands
in the column of debits, and one signed amount is wanted; ``instead`` of the columns whose place it takes.
"""


def signed_amount(match: Match, array: Array) -> tuple[str, int, int] | None:
    """The one amount wanted of bookings, and the columns of debits and credits that say its sign."""
    return _sides(match, array) if normal(array.name) in _BOOKINGS else None


def _sides(match: Match, array: Array) -> tuple[str, int, int] | None:
    """The one amount wanted, and the columns of debits and credits."""
    roles = [roles_of(header) if header else set() for header in match.table.headers]
    sides = [next((j for j, own in enumerate(roles) if side in own), None) for side in ("debit", "credit")]
    for (name, want), column in zip(array.columns.items(), match.columns, strict=True):
        plain = not roles_of(want.words[0]) & {"debit", "credit", "balance"}
        free = column in sides or (column is None and want.type in ("money", "number"))
        if plain and None not in sides and free and not set(sides) <= set(match.columns):
            return name, sides[0] or 0, sides[1] or 0
    return None


def is_booking(match: Match) -> bool:
    """Whether the table is one of bookings: with a balance, or with debits and credits apart."""
    roles = {role for header in match.table.headers if header for role in roles_of(header)}
    return "balance" in roles or {"debit", "credit"} <= roles


def item(document: Document, match: Match, array: Array, rows: Sequence[Row], certain: float) -> Record:
    first, *below = rows
    names = list(array.columns)
    apart = bool(array.inner) or any(row.role == "part" for row in below)
    own = _without_lines(first) if apart else first
    record: Record = {
        name: cell_of(
            document, match.table, _bare(document, own, column, array.columns[name]), column,
            min(1.0, 0.5 + score / 2) * certain,
        )
        for name, column, score in zip(names, match.columns, match.scores, strict=True)
    }  # fmt: skip
    for name, wanted in array.columns.items():
        if record[name] is None and wanted.type == "text" and not wanted.choices:
            record |= _labelled(document, match, array, own, name)
    if signed := signed_amount(match, array):
        name, debit, credit = signed
        found = cell_of(document, match.table, first, credit, certain)
        taken = cell_of(document, match.table, first, debit, certain)
        record[name] = found or (taken and {**taken, "negative": True})
    elif (either := _sides(match, array)) and record[either[0]] is None:
        sides = [cell_of(document, match.table, first, side, certain) for side in either[1:]]
        record[either[0]] = sides[0] or sides[1]
    for name, wanted in array.columns.items():
        if record[name] is None and "unit" in roles_of(wanted.words[0]):
            record[name] = _unit(record)
    parts = [*first.below, *(part for row in below for part in (_without_lines(row), *row.below))]
    for name, within in array.inner.items():
        record[name] = _within(document, match.table, parts, within)
    for row in below:
        if row.role == "discount" and not array.inner:
            record |= below_item(document, match.table, row, _reductions(array, match))
    return record


def complete(
    document: Document, match: Match, array: Array, rows: Sequence[Row], records: Sequence[Record]
) -> None:
    """Adds to the records what stands within cells: ends of ranges, sizes, weights."""
    parted, weighed = _parted(document, match, array), weights_of(document, match, array.columns)
    for row, record in zip(rows, records, strict=True):
        if parted:
            found = part_cells(cell_of(document, match.table, row, parted[0], _PART), parted[1])
            record |= {name: part for name, part in found.items() if not record[name]}
        if weighed:
            quantity = _quantity(document, match.table, row)
            first = next((cell for cell in record.values() if isinstance(cell, dict)), None)
            record |= weighed.cells(document, row, quantity, first)


def add_dates(
    document: Document, match: Match, array: Array, rows: Sequence[Row], own: Sequence[Row],
    records: Sequence[Record],
) -> None:  # fmt: skip
    """Give bookings without a date the one above: statements print a day's date once.

    ``rows``: all of the table's; ``own``: those of the records.
    """
    dated = next((name for name, wanted in array.columns.items() if wanted.type == "date"), None)
    column = match.columns[list(array.columns).index(dated)] if dated else None
    if dated is None or column is None or not is_booking(match) or not rows[0].cells[column]:
        return
    last: dict[int, Row] = {}
    above = rows[0]
    for row in rows:
        above = row if row.cells[column] else above
        last[id(row)] = above
    for row, record in zip(own, records, strict=True):
        if record[dated] is None:
            record[dated] = cell_of(document, match.table, last[id(row)], column, _ABOVE)


def _parted(document: Document, match: Match, array: Array) -> tuple[int, dict[str, str]] | None:
    """The first column whose cells hold several numbers that are wanted, with these in words."""
    table = match.table
    for column in range(len(table.headers)):
        cells = [(document.page(row.page), row) for row in table.rows if row.cells[column]]
        texts = [table.text(page, row, column) for page, row in cells]
        wanted = {name: want.words[0] for name, want in array.columns.items() if is_part_of(want, texts)}
        if wanted:
            return column, wanted
    return None


def _quantity(document: Document, table: Table, row: Row) -> dict[str, Any] | None:
    column = table.kinds.index("quantity") if "quantity" in table.kinds else None
    return cell_of(document, table, row, column, _PART)


def _unit(record: Record) -> dict[str, Any] | None:
    """The unit in an item's quantity or unit price: "9.40/kg", "0.742kg"."""
    for cell in record.values():
        found = _OF_UNIT.search(cell["text"]) if isinstance(cell, dict) else None
        unit = (found[1] or found[2]) if found else ""
        if unit and values.currency(unit) is None:
            return {**cell, "text": unit}
    return None


def lines_of(document: Document, row: Row, column: int) -> list[Indices]:
    """The words of a cell, line by line."""
    lines = document.page(row.page).lines or ()
    found: list[list[tuple[int, int]]] = []
    below = 0.0
    for at in row.cells[column]:
        box = lines[at[0]].words[at[1]].box
        if not found or box.center[1] > below:
            found.append([])
            below = box.y1
        found[-1].append(at)
    return [tuple(line) for line in found]


def _labelled(document: Document, match: Match, array: Array, row: Row, name: str) -> Record:
    """A value behind its label in a line of the name ("Material no. NH-880021"), and the name without it."""
    label = _label(array.columns[name].words[0])
    for other, column in zip(array.columns, match.columns, strict=True):
        if column is None or match.table.kinds[column] != "text":
            continue
        lines = lines_of(document, row, column)
        for line in lines[1:]:
            words = [(document.page(row.page).lines or ())[i].words[j].text for i, j in line]
            if len(words) > len(label) and _label(" ".join(words[: len(label)])) == label:
                rest = tuple(at for own in lines if own is not line for at in own)
                found = [cell_of(document, match.table, only(row, column, ids), column, _BELOW)
                         for ids in (line[len(label) :], rest)]  # fmt: skip
                return {name: found[0], other: found[1]}
    return {}


def _bare(document: Document, row: Row, column: int | None, wanted: Wanted) -> Row:
    """Without the label of two words or more that a cell begins with."""
    label = _label(wanted.words[0])
    ids = row.cells[column] if column is not None else ()
    if column is None or len(label) < 2 or len(ids) <= len(label):
        return row
    words = [(document.page(row.page).lines or ())[i].words[j].text for i, j in ids[: len(label)]]
    return only(row, column, ids[len(label) :]) if _label(" ".join(words)) == label else row


def _label(text: str) -> list[str]:
    return [_NUMBER_WORDS.sub("no", word) for word in normal(text).split()]


def only(row: Row, column: int, ids: Indices) -> Row:
    return replace(row, cells=(*row.cells[:column], ids, *row.cells[column + 1 :]))


def _without_lines(row: Row) -> Row:
    """The row without the words of the lines below it."""
    words = {at for line in row.below for cell in line.cells for at in cell}
    return replace(row, cells=tuple(tuple(at for at in cell if at not in words) for cell in row.cells))


def _within(document: Document, table: Table, rows: Sequence[Row], array: Array) -> list[Record]:
    """The rows below an item, by the table's columns where these have most of what is wanted."""
    priced = any(wanted.type == "money" for wanted in array.columns.values())
    rows = [row for row in rows if priced or row.role != "discount"]
    own = replace(table, rows=tuple(rows))
    found = matches(document, [own], "", list(array.columns.values()), _no_meaning) if rows else []
    if found and sum(column is not None for column in found[0].columns) > 2:
        plain = replace(array, inner={})
        return [_numbered(document, found[0], plain, row) for row in rows]
    return [below_item(document, table, row, array.columns) for row in rows]


def _numbered(document: Document, match: Match, array: Array, row: Row) -> Record:
    """A row below an item; a number or code before its name goes to the column for it."""
    record = item(document, match, array, [row], _BELOW)
    free = [name for name, want in array.columns.items() if record[name] is None and _is_number_of(want)]
    for name, column in zip(array.columns, match.columns, strict=True):
        ids = row.cells[column] if column is not None else ()
        if free and len(ids) > 1 and match.table.kinds[column or 0] == "text":
            word = (document.page(row.page).lines or ())[ids[0][0]].words[ids[0][1]].text
            if re.fullmatch(r"\d+(?:\.\d+)*[.)]?|[a-zA-Z][.)]", word):
                parts = only(row, column or 0, ids[:1]), only(row, column or 0, ids[1:])
                record[free[0]], record[name] = (
                    cell_of(document, match.table, part, column, _BELOW) for part in parts
                )
    return record


def _is_number_of(wanted: Wanted) -> bool:
    return bool(roles_of(wanted.words[0]) & {"position", "code"})


def _no_meaning(texts: Sequence[str], others: Sequence[str]) -> list[list[float]]:
    return [[0.0] * len(others) for _ in texts]


def _reductions(array: Array, match: Match) -> dict[str, Wanted]:
    """Columns that the table lacks: of an object ("reduction/label"), or called after a reduction."""
    found = zip(array.columns.items(), match.columns, strict=True)
    return {
        name: wanted for (name, wanted), column in found
        if column is None and ("/" in name or is_reduction(wanted))
    }  # fmt: skip


def is_reduction(wanted: Wanted) -> bool:
    """Whether a column is called after a reduction: "discount_text"."""
    return any("discount" in roles_of(word) for word in wanted.words[0].split())


def below_item(document: Document, table: Table, row: Row, columns: Mapping[str, Wanted]) -> Record:
    """A row below an item: its number for the first column of numbers, its text for the first of texts."""
    number, text = number_and_text(table, row, document)
    row, count = _counted(document, row, text) if number is None else (row, ())
    record: Record = {}
    for name, wanted in columns.items():
        numeric = wanted.type in ("money", "number") and not _OF_TEXT.search(wanted.words[0])
        column, number, text = (number, None, text) if numeric else (text, number, None)
        if numeric and count:
            counted = replace(row, cells=(count,))
            record[name], count = cell_of(document, table, counted, 0, _BELOW, whole=True), ()
        else:
            record[name] = (
                None if column is None else cell_of(document, table, row, column, _BELOW, whole=True)
            )
    return record


def _counted(document: Document, row: Row, column: int | None) -> tuple[Row, Indices]:
    """The row without what is before its text: a sign ("+", "-"), or a count ("8 x"), which is given too."""
    if column is None:
        return row, ()
    ids, lines = row.cells[column], document.page(row.page).lines or ()
    words = [lines[line].words[word].text for line, word in ids]
    match = _COUNT.match(" ".join(words))
    signs = len(words) > 1 and not any(map(str.isalnum, words[0]))
    length = len(match[0].split()) if match else int(signs)
    cells = tuple(ids[length:] if i == column else cell for i, cell in enumerate(row.cells))
    return replace(row, cells=cells), ids[:1] if match else ()


def cell_of(
    document: Document, table: Table, row: Row, column: int | None, sure: float, *, whole: bool = False
) -> dict[str, Any] | None:
    """As JSON. ``whole``: the words as they stand, whatever the column is about."""
    ids = row.cells[column] if column is not None else ()
    if column is None or not ids:
        return None
    page = document.page(row.page)
    words = [(page.lines or ())[line].words[word] for line, word in ids]
    read = min(_NOT_READ if word.confidence is None else word.confidence for word in words)
    text = " ".join(word.text for word in words) if whole else table.text(page, row, column)
    return asdict(Cell(text, row.page, box_of(page, ids).as_list(), round(min(read, 0.99) * sure, 4)))
