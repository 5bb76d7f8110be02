"""A table whose rows are all there: codes and quantities before names, and what multiplies to the amount.

Standard library only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import product

from layoutllm_tool.documents.table_cells import MARKED, Cell, kind_of
from layoutllm_tool.documents.table_columns import Column
from layoutllm_tool.documents.table_draft import WORD, Draft, Record
from layoutllm_tool.documents.values import readings

_MOST_FACTORS = 8
"""Columns of numbers, the last ones, that are multiplied with one another."""
_MOST_PRODUCTS = 40
"""Rows in which that is tried."""
_SURELY_NO_NAME = re.compile(r"\d{4,}|\d{1,2}[xX]?|\d{1,3}[.)]|[A-Z]{2,3}|[A-Z]{1,3}[A-Z\d-]*\d{5,}\S*")


def finish(draft: Draft) -> bool:
    """Completes names, kinds and columns. False for what is no table."""
    if not any(record.cells[draft.name] for record in draft.records):
        _name_by_code(draft)
    named = any(record.cells[draft.name] for record in draft.records)
    named = named or all(column.header for column in draft.columns if column.placed)
    if len(draft.records) < (1 if named and "amount" in draft.kinds() else 2 if named else 3):
        return False
    _codes_apart(draft)
    _lone_quantity(draft)
    _split_names(draft)
    _split_shares(draft)
    _join_strays(draft)
    _by_arithmetic(draft)
    _lone_quantity(draft)
    return True


def _name_by_code(draft: Draft) -> None:
    """Where names are codes, their column takes the place of the one made for names."""
    codes = [i for i, kind in enumerate(draft.kinds()) if kind == "code" and draft.columns[i].rows]
    if codes and not draft.columns[draft.name].placed:
        own, made = draft.columns[codes[0]], draft.columns.pop(draft.name)
        own.header, own.kind = own.header or made.header, "text"
        for record in draft.all_records():
            record.cells[codes[0]][:0] = record.cells[draft.name]
            record.cells.pop(draft.name)
        draft.name = codes[0] - (draft.name < codes[0])


def _codes_apart(draft: Draft) -> None:
    """Later parts of names without a word go to the column of codes, if there is one."""
    kinds = draft.kinds()
    for record in draft.records if "code" in kinds else ():
        own = record.cells[draft.name]
        codes = [cell for cell in own[1:] if not WORD.search(cell.text) and any(map(str.isdigit, cell.text))]
        record.cells[kinds.index("code")] += codes
        record.cells[draft.name] = [cell for cell in own if cell not in codes]


def _lone_quantity(draft: Draft) -> None:
    """Small whole numbers without a head beside names with amounts are quantities, unless they count up."""
    kinds = draft.kinds()
    for i, column in enumerate(draft.columns) if "amount" in kinds and "quantity" not in kinds else ():
        texts = [cells[0].text for record in draft.records if (cells := record.cells[i])]
        whole = all(re.fullmatch(r"\d{1,3}\s?[xX]?", text) for text in texts)
        counting = len(texts) > 2 and len(set(texts)) == len(texts)
        if column.kind == "number" and not column.header and texts and whole and not counting:
            column.kind = "quantity"
            return


def _split_names(draft: Draft) -> None:
    """Codes and quantities before the names, where most names have them: columns of their own."""
    for _ in range(3):
        leads = [_lead(record.cells[draft.name]) for record in draft.records]
        if _counts_up(draft):
            leads = ["number"] * len(leads)
        of_items = [lead for lead, record in zip(leads, draft.records, strict=True) if record.role == "item"]
        kind, count = Counter(of_items or leads).most_common(1)[0]
        before = [i for i, own in enumerate(draft.kinds()[: draft.name]) if own in ("quantity", "number")]
        if before and "quantity" in leads:
            _move(draft, before[-1], leads, "quantity")
        if not kind or (kind == "quantity" and (before or "quantity" in draft.kinds())):
            return
        if 3 * count < 2 * len(of_items or leads) or (len(leads) == 1 and not _is_sure(draft)):
            return
        draft.insert(draft.name, Column(kind=kind))
        _move(draft, draft.name - 1, leads, kind)


def _lead(cells: Sequence[Cell]) -> str:
    """What the first word of a name is: code, number, quantity or "" for a part of the name."""
    words = [word.text for cell in cells for word in cell.by_word()]
    if not any(map(WORD.search, words[1:])):
        return ""
    text = words[0].strip("()-:*")
    if re.fullmatch(r"\d{1,2}[xX]?", text):
        return "quantity"
    if re.fullmatch(r"\d{1,3}[.)]", text):
        return "number"
    long = sum(map(str.isdigit, text)) > 2 and kind_of(text) in ("number", "code")
    of_code = re.fullmatch(r"[A-Z]{2,3}", text) and sum(map(str.isdigit, words[1])) > 3
    return "code" if long or of_code else ""


def _split_shares(draft: Draft) -> None:
    """Shares behind the names or codes of all rows ("A 19 %"): a column of their own."""
    for i, kind in enumerate(draft.kinds()):
        own = [_tail(record.cells[i]) for record in draft.records if record.cells[i]]
        if kind in ("text", "code") and own and all(own) and "percent" not in draft.kinds():
            draft.insert(i + 1, Column(kind="percent"))
            for record in draft.records:
                words = [word for cell in record.cells[i] for word in cell.by_word()]
                at = len(words) - _tail(record.cells[i])
                record.cells[i : i + 2] = words[:at], words[at:]
            return


def _tail(cells: Sequence[Cell]) -> int:
    """How many words at the end are a share; 0 for none, and where nothing is before it."""
    words = [word.text for cell in cells for word in cell.by_word()]
    ends = (n for n in (1, 2) if len(words) > n and kind_of(" ".join(words[-n:])) == "percent")
    return next(ends, 0)


def _counts_up(draft: Draft) -> bool:
    """Whether the names begin with 1, 2, 3 and so on, and have a word behind it."""
    words = [[word.text for cell in r.cells[draft.name] for word in cell.by_word()] for r in draft.records]
    firsts = [own[0].strip(".)") for own in words if len(own) > 1]
    return len(firsts) > 2 and firsts == [str(n) for n in range(1, len(words) + 1)]


def _is_sure(draft: Draft) -> bool:
    """Whether the first word of the only name is surely none of it."""
    word = draft.records[0].cells[draft.name][0].by_word()[0].text
    return bool(_SURELY_NO_NAME.fullmatch(word)) or (word.isdigit() and "quantity" in draft.kinds())


def _move(draft: Draft, to: int, leads: Sequence[str], kind: str) -> None:
    for record, lead in zip(draft.records, leads, strict=True):
        if lead == kind and not record.cells[to]:
            words = [word for cell in record.cells[draft.name] for word in cell.by_word()]
            record.cells[to], record.cells[draft.name] = words[:1], words[1:]


def _join_strays(draft: Draft) -> None:
    """Cells of a few rows without a head, beside a column with one: cut from it by mistake."""
    headers = draft.headers()
    for i, header in enumerate(headers):
        beside = [j for j in (i - 1, i + 1) if 0 <= j < len(headers) and headers[j]]
        filled = [record for record in draft.records if record.cells[i]]
        if not header and beside and 6 * len(filled) <= len(draft.records):
            own = draft.columns[i]
            near = max(beside, key=lambda j: draft.columns[j].overlap(own.x0, own.x1))
            for record in filled:
                record.cells[near] = sorted((*record.cells[near], *record.cells[i]), key=lambda cell: cell.x0)
                record.cells[i] = []


def _by_arithmetic(draft: Draft) -> None:
    """Names the columns whose product is the amount in most rows: quantity and unit price."""
    kinds = draft.kinds()
    if "amount" not in kinds or all(kind in kinds for kind in MARKED):
        return
    last = len(kinds) - 1 - kinds[::-1].index("amount")
    numbers = [i for i, kind in enumerate(kinds) if kind in ("number", "amount", *MARKED) and i != last]
    firsts, others = ([i for i in numbers[-_MOST_FACTORS:] if kinds[i] != kind] for kind in MARKED[::-1])
    pairs = [(i, j) for i, j in product(firsts, others) if i != j]
    scores = {pair: _score(draft, (*pair, last)) for pair in pairs}
    best = max(pairs, key=lambda pair: scores[pair], default=None)
    if best is not None and scores[best] > 0:
        draft.columns[best[0]].kind, draft.columns[best[1]].kind = MARKED


def _score(draft: Draft, columns: tuple[int, int, int]) -> float:
    """In how many rows the product is right; 0 where it often is wrong. Of equals the likelier order."""
    rows = [record for record in draft.records if all(record.cells[i] for i in columns)][:_MOST_PRODUCTS]
    hits = sum(_multiplies(record, columns) for record in rows)
    quantity, price, _ = (draft.kinds()[i] for i in columns)
    likely = (quantity == "quantity") + (price != "number") + 0.5 * (columns[0] < columns[1])
    return hits + likely / 3 if rows and hits >= 0.7 * len(rows) else 0.0


def _multiplies(record: Record, columns: Sequence[int]) -> bool:
    quantities, prices, amounts = (_values(record.cells[i][0].text) for i in columns)
    products = [q * p for q in quantities for p in prices]
    return any(abs(product - a) <= Decimal("0.011") for product in products for a in amounts if a)


@lru_cache(maxsize=1024)
def _values(text: str) -> tuple[Decimal, ...]:
    """What a number may stand for, without its sign and unit: "1.234" is either."""
    found = re.search(r"\d[\d.,'\u2019 ]*", text)
    return readings(found.group().rstrip(" .,")) if found else ()
