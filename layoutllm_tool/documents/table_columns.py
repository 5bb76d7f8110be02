"""A table in the making: its columns, with heads and kinds, from its head and its items. Standard library only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise, permutations
from statistics import median
from typing import TYPE_CHECKING

from layoutllm_tool.documents.table_grid import MARKED, NUMERIC, Cell, Column, GridRow, columns_of, kind_of, nearest
from layoutllm_tool.documents.table_heads import role

if TYPE_CHECKING:
    from layoutllm_tool.documents.line_items import Role

WORD = re.compile(r"[^\W\d_]{3,}|[^\x00-\u02ff\W\d]{2,}")
"""A name has one: three letters, or two of a script that needs fewer."""
_SURELY_CODE = re.compile(r"\d{4,}|\d{1,2}[xX]?|\d{1,3}[.)]|[A-Z]{2,3}|[A-Z]{1,3}[A-Z\d-]*\d{5,}\S*")


@dataclass(slots=True)
class Record:
    """Rows of the page that make one row of the table, their cells by column."""

    rows: list[GridRow]
    cells: list[list[Cell]]
    role: Role = "item"

    @property
    def page(self) -> int:
        return self.rows[0].page

    @property
    def filled(self) -> int:
        return sum(map(bool, self.cells))

    def add(self, other: Record, *, front: bool) -> None:
        pairs = zip(self.cells, other.cells, strict=True)
        self.cells = [[*b, *a] if front else [*a, *b] for a, b in pairs]
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

    def insert(self, at: int, column: Column) -> None:
        self.columns.insert(at, column)
        self.name += at <= self.name
        for record in (self.head, *self.records, *self.left_out):
            record.cells.insert(at, [])

    def by_column(self, row: GridRow) -> Record:
        """The row's cells, each in the column that it shares most with."""
        cells: list[list[Cell]] = [[] for _ in self.columns]
        kinds = self.kinds()
        placed = [i for i, column in enumerate(self.columns) if column.placed]
        for cell in row.cells:
            at = placed[nearest([self.columns[i] for i in placed], cell.x0, cell.x1)] if placed else self.name
            early = cell.x0 < self.columns[at].x0 + row.height
            if cell.kind in MARKED and cell.kind in kinds and kinds[at] not in MARKED:
                at = kinds.index(cell.kind)
            elif kinds[at] != "text" and self._is_name(cell, row, early=early and not cells[self.name]):
                at = self.name
            cells[at].append(cell)
        return Record([row], cells)

    def _is_name(self, cell: Cell, row: GridRow, *, early: bool) -> bool:
        """Whether a cell in a column of numbers is a name that goes on there, or a line of its own."""
        alone = len(row.cells) == 1 and WORD.search(cell.text) is not None
        return alone or (cell.kind == "text" and early)

    def second_table(self) -> float | None:
        """Where a table begins beside another: names after amounts, with amounts of their own, or without
        heads where the others have them.
        """
        kinds, headers = self.kinds(), self.headers()
        for i in range(2, len(kinds) - 1):
            before = kinds[i - 1] == "amount" and ("text" in kinds[: i - 1] or not any(headers[i:]))
            if before and kinds[i] == "text" and "amount" in kinds[i + 1 :] and len(self.columns[i].rows) > 1:
                return (max(c.x1 for c in self.columns[:i]) + self.columns[i].x0) / 2
        return None


def with_columns(head: Sequence[GridRow], items: Sequence[GridRow], rows: Sequence[GridRow]) -> Draft:
    """An empty table with the columns of these items, and those that a head or another row adds."""
    height = median(row.height for row in items)
    cells = [list(row.cells) for row in items]
    columns = columns_of(cells, 0.3 * height)
    for cell in (cell for row in head for cell in row.cells):
        for part in _parts(cell, columns):
            _name(columns, part, height)
    _pair(columns)
    _set_kinds(columns, cells)
    draft = Draft(columns, Record(list(head), []))
    _set_name(draft)
    if not columns[0].placed and _pair(columns):
        _set_kinds(columns, cells)
    kinds = draft.kinds()
    if "amount" not in kinds and "unit price" in kinds:  # the only prices are what is paid
        columns[len(kinds) - 1 - kinds[::-1].index("unit price")].kind = "amount"
    draft.head.cells = [[] for _ in columns]
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
        at = nearest(columns, word.x0, word.x1)
        inside = columns[at].overlap(word.x0, word.x1) > 0
        if parts and (parts[-1][0] == at if inside or parts[-1][0] < 0 else not role(word.text)):
            parts[-1][1].append(word)
        else:
            parts.append((at if inside else -1, [word]))
    return [replace(own[0], text=" ".join(w.text for w in own), x1=own[-1].x1) for _, own in parts]


def _name(columns: list[Column], cell: Cell, height: float) -> None:
    """Gives a column its head, or makes a column that is empty below."""
    at = nearest(columns, cell.x0, cell.x1)
    apart = -columns[at].overlap(cell.x0, cell.x1)
    if apart > (0.0 if columns[at].header else 1.5 * height):
        at = sum(column.x0 < cell.x0 for column in columns)
        columns.insert(at, Column(cell.x0, cell.x1))
    columns[at].header = f"{columns[at].header} {cell.text}".strip()


def _pair(columns: list[Column]) -> bool:
    """A head over nothing belongs to the neighbouring column without a head. Whether there was one."""
    for a, b in pairwise(list(columns)):
        body, head = (a, b) if a.rows else (b, a)
        if body.rows and not body.header and head.header and head.placed and not head.rows:
            body.header, head.header = head.header, ""
            columns.remove(head)
            return True
    return False


def _set_kinds(columns: Sequence[Column], rows: Iterable[Iterable[Cell]]) -> None:
    counts: list[Counter[str]] = [Counter() for _ in columns]
    for cell in (cell for row in rows for cell in row):
        kind = "number" if cell.kind == "measure" else cell.kind
        counts[nearest(columns, cell.x0, cell.x1)][kind] += 1
    for column, count in zip(columns, counts, strict=True):
        if not column.placed:
            continue
        body = count.most_common(1)[0][0] if count else ""
        if body == "amount" and count["number"] > count["amount"] / 3:
            body = "number"
        column.kind = _kind(role(column.header), body)


def _kind(role: str, body: str) -> str:
    """What the head says, where the cells below allow it."""
    if role in ("quantity", "unit price", "amount"):
        return role if body in NUMERIC or not body else body
    if body == "range" and role in ("name", "code"):
        return "code"
    if role == "name":
        return "text" if body not in NUMERIC | {"code", "date"} else body
    if role == "other":
        return "number" if body == "amount" else body or "text"
    if role in ("code", "date") and (not body or (role == "code" and body in ("number", "text"))):
        return role
    return body or "text"


def _set_name(draft: Draft) -> None:
    """Chooses the column of names, or adds one for names on lines of their own."""
    columns = draft.columns
    texts = [i for i, column in enumerate(columns) if column.kind == "text"]
    named = [i for i in texts if role(columns[i].header) == "name"]
    found = named or [i for i in texts if columns[i].rows]
    if found:
        draft.name = found[0]
        return
    head = next((column for column in columns if role(column.header) == "name"), Column())
    draft.insert(0, Column(header=head.header, kind="text"))
    draft.name, head.header = 0, ""


def _set_marked(draft: Draft, rows: Sequence[GridRow]) -> None:
    """Columns for the quantities and unit prices on lines of their own."""
    for kind in MARKED[::-1]:
        kinds = draft.kinds()
        if kind not in kinds and any(cell.kind == kind for row in rows for cell in row.cells):
            amounts = [i for i, k in enumerate(kinds) if k == "amount"]
            at = kinds.index("unit price") if "unit price" in kinds else max(amounts, default=len(kinds))
            draft.insert(at, Column(kind=kind))


# -- when all rows are there ---------------------------------------------------------------------------------


def finish(draft: Draft) -> bool:
    """Splits names, and finds quantities and prices. False for what is no table."""
    if draft.records and not any(record.cells[draft.name] for record in draft.records):
        _name_by_code(draft)
    if not draft.records or (len(draft.records) < 3 and not any(r.cells[draft.name] for r in draft.records)):
        return False
    if len(draft.records) == 1 and "amount" not in draft.kinds():
        return False
    _codes_apart(draft)
    _lone_quantity(draft)
    _split_names(draft)
    _join_strays(draft)
    _by_arithmetic(draft)
    _lone_quantity(draft)
    return True


def _name_by_code(draft: Draft) -> None:
    """Where names are codes, their column takes the place of the one made for names."""
    at = next((i for i, kind in enumerate(draft.kinds()) if kind == "code" and draft.columns[i].rows), None)
    if at is None or draft.columns[draft.name].placed:
        return
    draft.columns[at].header = draft.columns[at].header or draft.columns[draft.name].header
    draft.columns[at].kind = "text"
    draft.columns.pop(draft.name)
    for record in (draft.head, *draft.records, *draft.left_out):
        moved = record.cells.pop(draft.name)
        record.cells[at - 1] = [*moved, *record.cells[at - 1]]
    draft.name = at - 1


def _split_names(draft: Draft) -> None:
    """Codes and quantities before the names, where most names have them: columns of their own."""
    for _ in range(3):
        found = [_lead(record.cells[draft.name]) for record in draft.records]
        items = [lead for lead, record in zip(found, draft.records, strict=True) if record.role == "item"] or found
        kind, count = Counter(items).most_common(1)[0]
        others = [i for i, k in enumerate(draft.kinds()) if k in ("quantity", "number") and i < draft.name]
        if others and "quantity" in found:
            _move(draft, others[-1], found, "quantity")
        if not kind or (kind == "quantity" and (others or "quantity" in draft.kinds())):
            return
        if 3 * count < 2 * len(items) or (len(found) == 1 and not _sure(draft)):
            return
        draft.insert(draft.name, Column(kind=kind))
        _move(draft, draft.name - 1, found, kind)


def _sure(draft: Draft) -> bool:
    """Whether the first word of a single name is surely none of it."""
    word = draft.records[0].cells[draft.name][0].by_word()[0].text
    return bool(_SURELY_CODE.fullmatch(word)) or (word.isdigit() and "quantity" in draft.kinds())


def _move(draft: Draft, to: int, found: Sequence[str], kind: str) -> None:
    for record, own in zip(draft.records, found, strict=True):
        if own == kind and not record.cells[to]:
            words = [word for cell in record.cells[draft.name] for word in cell.by_word()]
            record.cells[to], record.cells[draft.name] = words[:1], words[1:]


def _lead(cells: Sequence[Cell]) -> str:
    """What the first word of a name is: code, number, quantity or "" for a part of the name."""
    words = [word for cell in cells for word in cell.by_word()]
    if len(words) < 2 or not any(WORD.search(word.text) for word in words[1:]):
        return ""
    text = words[0].text.strip("()-:*")
    if re.fullmatch(r"\d{1,2}[xX]?", text):
        return "quantity"
    if re.fullmatch(r"\d{1,3}[.)]", text):
        return "number"
    digits = sum(map(str.isdigit, text))
    if digits > 2 and kind_of(text) in ("number", "code"):
        return "code"
    return "code" if re.fullmatch(r"[A-Z]{2,3}", text) and sum(map(str.isdigit, words[1].text)) > 3 else ""


def _codes_apart(draft: Draft) -> None:
    """Parts of names without a word go to the column of codes, if there is one."""
    kinds = draft.kinds()
    for record in draft.records if "code" in kinds else ():
        own = record.cells[draft.name]
        codes = [cell for cell in own if not WORD.search(cell.text) and any(map(str.isdigit, cell.text))]
        if len(codes) < len(own):
            record.cells[kinds.index("code")] += codes
            record.cells[draft.name] = [cell for cell in own if cell not in codes]


def _join_strays(draft: Draft) -> None:
    """Columns without a head that few rows have, beside one with a head: its own cells, cut by mistake."""
    for i in range(len(draft.columns) - 1, -1, -1):
        filled = [record for record in draft.records if record.cells[i]]
        if draft.columns[i].header or not any(draft.headers()) or not 0 < 6 * len(filled) <= len(draft.records):
            continue
        beside = [j for j in (i - 1, i + 1) if 0 <= j < len(draft.columns) and draft.columns[j].header]
        near = min(beside, key=lambda j: -draft.columns[j].overlap(draft.columns[i].x0, draft.columns[i].x1), default=i)
        for record in filled if near != i else ():
            record.cells[near] = sorted((*record.cells[near], *record.cells[i]), key=lambda cell: cell.x0)
            record.cells[i] = []


def _by_arithmetic(draft: Draft) -> None:
    """Names the columns whose product is the amount in most rows: quantity and unit price."""
    kinds = draft.kinds()
    amounts = [i for i, kind in enumerate(kinds) if kind == "amount"]
    if not amounts or ("quantity" in kinds and "unit price" in kinds):
        return
    firsts = [i for i, kind in enumerate(kinds) if kind in ("quantity", "number", "amount") and i != amounts[-1]]
    others = [i for i, kind in enumerate(kinds) if kind in ("unit price", "number", "amount") and i != amounts[-1]]
    pairs = [(i, j) for i, j in permutations({*firsts, *others}, 2) if i in firsts and j in others]
    scores = {(i, j): _score(draft, i, j, amounts[-1]) for i, j in pairs}
    best = max(pairs, key=lambda pair: scores[pair], default=None)
    if best is not None and scores[best] > 0:
        draft.columns[best[0]].kind, draft.columns[best[1]].kind = MARKED


def _score(draft: Draft, quantity: int, price: int, amount: int) -> float:
    """In how many rows the product is right; 0 where it often is wrong. Of equals the likelier order."""
    kinds, columns = draft.kinds(), (quantity, price, amount)
    rows = [record for record in draft.records if all(record.cells[i] for i in columns)]
    hits = sum(_product(*(record.cells[i][0].text for i in columns)) for record in rows)
    likely = (kinds[quantity] == "quantity") + (kinds[price] != "number") + 0.5 * (quantity < price)
    return hits + likely / 3 if rows and hits >= 0.7 * len(rows) else 0.0


def _product(quantity: str, price: str, amount: str) -> bool:
    pairs = ((q * p, a) for q in _values(quantity) for p in _values(price) for a in _values(amount) if a)
    return any(abs(product - a) <= Decimal("0.011") for product, a in pairs)


def _values(text: str) -> list[Decimal]:
    """What a number may stand for, without its sign: "1.234" is either."""
    found = re.search(r"\d[\d.,' ]*", text)
    *whole, part = re.split(r"[.,]", re.sub(r"[' ]", "", found.group()).rstrip(".,")) if found else [""]
    readings = [Decimal("".join([*whole, part]))] if part and (not whole or len(part) == 3) else []
    return [*readings, Decimal(f"{''.join(whole)}.{part}")] if whole else readings


def _lone_quantity(draft: Draft) -> None:
    """Small whole numbers without a head beside names with amounts are quantities, unless they count up."""
    kinds = draft.kinds()
    if "quantity" in kinds or "amount" not in kinds:
        return
    for i, column in enumerate(draft.columns):
        texts = [cells[0].text for record in draft.records if (cells := record.cells[i])]
        whole = all(re.fullmatch(r"\d{1,3}\s?[xX]?", text) for text in texts)
        counting = len(texts) > 2 and len(set(texts)) == len(texts)
        if column.kind == "number" and not column.header and texts and whole and not counting:
            column.kind = "quantity"
            return
