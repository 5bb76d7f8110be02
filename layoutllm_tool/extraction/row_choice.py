"""Which rows of a table an array means: all, or those that its name and description speak of. Pure.

Rows with a required cell ("only lines with a receipt"), rows that are flagged, quantities still outstanding,
goods by weight, amounts above a limit, and rows that say the array's words ("cash withdrawals", "the casement
windows only"), or other words of the same meaning. Where no row says them, all are meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.line_items import Row
from layoutllm_tool.documents.values import amount, read
from layoutllm_tool.extraction.choices import synonyms
from layoutllm_tool.extraction.row_cells import Array, is_booking, signed_amount
from layoutllm_tool.extraction.row_weights import WEIGHED, is_weighed
from layoutllm_tool.extraction.rows import ANY_TABLE, Match, normal, roles_of

_ONLY = re.compile(r"(?i)\b(?:only|nur|uniquement|solo|alleen)\b")
_FLAGGED = re.compile(r"(?i)\b(?:abnormal|flagged|out of range|auffällige?n?|markierte?n?)\b")
_FLAG = re.compile(r"(?i)flags?|abn\.?|h/l|markierung")
_LIMIT = re.compile(
    r"(?i)\b(?:(above|over|more than|exceeding|greater than|über|mehr als|größer als|plus de)"
    r"|(at least|mindestens|ab|au moins)|(below|under|less than|unter|weniger als|moins de)"
    r"|(at most|up to|höchstens|bis zu))\s+(?:EUR|USD|GBP|CHF|[$€£])?\s*(\d[\d.,' ]*)"
)
_NOT = re.compile(
    r"(?i)(?:^|[,;:(.])\s*(?:but )?(?:not|no|without|except|excluding|ohne|außer|sans|sin)\s+"
    r"((?:[^\W\d]+[ /]?){1,4})"
)
_PLAIN = frozenset(
    ("services", "goods", "products", "charges", "fees", "costs", "expenses", "payments", "earnings",
     "deductions", "orders", "taxes", "articles", "parts", "works", "leistungen", "waren", "artikel",
     "posten", "positionen", "kosten", "gebühren", "zahlungen", "articles", "produits", "conceptos",
     "productos", "articoli", "results", "tests", "measurements", "readings", "options", "sections",
     "tasks", "activities")
)  # fmt: skip
"""Names of arrays of any rows, whatever these say."""
_SMALL = frozenset(
    ("the", "a", "an", "of", "for", "by", "in", "on", "and", "or", "with", "that", "are", "is", "was", "were",
     "only", "all", "lines", "rows", "items", "entries", "list", "charged", "billed", "printed", "der", "die",
     "das", "und", "nur", "mit", "von", "für")
)  # fmt: skip
_MOST = 0.7
"""Share of the rows from which on a word tells none apart."""


def chosen(
    document: Document, items: list[list[Row]], match: Match, array: Array, question: str
) -> list[list[Row]]:
    """The items that are wanted, each as its rows."""
    if not match.table.kinds:
        return items
    kept = items if match.named else _said(document, items, match, array, question)
    needed = _needed(match, array, question) if len(kept) == len(items) else []
    kept = [rows for rows in kept if all(rows[0].cells[j] for j in needed)] or kept
    for of_kind in (_outstanding, _by_weight, _beyond, _without):
        kept = of_kind(document, kept, match, array, question) or kept
    return kept


def _needed(match: Match, array: Array, question: str) -> list[int]:
    """Columns in which a row must have a cell: that of flags, the required ones of "only", a required number
    beside whose column another has the others' ("payments" of a folio).
    """
    required = [
        column for want, column in zip(array.columns.values(), match.columns, strict=True)
        if want.required and column is not None
    ]  # fmt: skip
    if _FLAGGED.search(question):
        return [j for j, header in enumerate(match.table.headers) if _FLAG.fullmatch(header.strip())]
    return required if _ONLY.search(question) else [j for j in required if _has_opposite(match, array, j)]


def _has_opposite(match: Match, array: Array, column: int) -> bool:
    """Whether another column of amounts, which nothing wants, has a cell exactly where this one has none."""
    table = match.table
    others = [j for j, kind in enumerate(table.kinds) if kind == "amount" and j not in match.columns]
    return any(
        all(bool(row.cells[j]) != bool(row.cells[column]) for row in table.rows) for j in others
    ) and not signed_amount(match, array)


def _outstanding(
    document: Document, items: list[list[Row]], match: Match, array: Array, question: str
) -> list[list[Row]]:
    """Items of which something is missing, for an array of these."""
    meant = "outstanding" in roles_of(array.name) or _ONLY.search(question)
    for want, column in zip(array.columns.values(), match.columns, strict=True):
        if meant and column is not None and want.required and "outstanding" in roles_of(want.words[0]):
            return [rows for rows in items if _number(document, match, rows[0], column)]
    return items


def _by_weight(
    document: Document, items: list[list[Row]], match: Match, array: Array, question: str
) -> list[list[Row]]:
    weighed = [rows for rows in items if is_weighed(document, match.table, rows[0])]
    return weighed if WEIGHED.search(f"{array.name} {_told(array, question)}") else items


def _beyond(
    document: Document, items: list[list[Row]], match: Match, array: Array, question: str
) -> list[list[Row]]:
    """Items with an amount above or below a limit that the description says ("charges above 50")."""
    said = _LIMIT.search(_told(array, question))
    limit = read(said[5].strip(" .,'")) if said else None
    columns = [
        column for want, column in zip(array.columns.values(), match.columns, strict=True)
        if column is not None and match.table.kinds[column] == "amount" and want.type == "money"
    ]  # fmt: skip
    if not said or limit is None or limit.value is None or not columns:
        return items
    column, value = columns[-1], limit.value
    found = []
    for rows in items:
        own = abs(_number(document, match, rows[0], column))
        over, least, under = own > value, own >= value, own < value
        if (said[1] and over) or (said[2] and least) or (said[3] and under) or (said[4] and not over):
            found.append(rows)
    return found


def _without(
    document: Document, items: list[list[Row]], match: Match, array: Array, question: str
) -> list[list[Row]]:
    """Items that don't say what the description leaves out ("not adjustments")."""
    said = _NOT.findall(_told(array, question))
    words = [
        word for phrase in said for word in normal(phrase).split() if word not in _SMALL and len(word) > 3
    ]
    texts = [_texts(document, match, rows[0]) for rows in items]
    out = [any(_says(cells, word) for word in words) for cells in texts]
    return [rows for rows, gone in zip(items, out, strict=True) if not gone or 2 * sum(out) > len(items)]


def _number(document: Document, match: Match, row: Row, column: int) -> Decimal:
    text = match.table.text(document.page(row.page), row, column) if row.cells[column] else ""
    found = amount(text)
    whole = re.sub(r"\D", "", text)
    return found if found is not None else Decimal(whole or 0)


# -- rows that say what is wanted ----------------------------------------------------------------------------


def _said(
    document: Document, items: list[list[Row]], match: Match, array: Array, question: str
) -> list[list[Row]]:
    """The items with most of the array's words, or with those of its description where it says "only"; all
    where the words tell none apart.
    """
    texts = [_texts(document, match, rows[0]) for rows in items]
    told = _told(array, question)
    only = bool(_ONLY.search(told))
    names = [word for word in normal(array.name).split() if word not in _SMALL]
    if not only and not is_booking(match) and (normal(array.name) in ANY_TABLE or set(names) <= _PLAIN):
        return items
    if len(names) == 1 and not only and not is_booking(match) and roles_of(names[0]):
        return items
    words = [word for word in normal(told).split() if word not in _SMALL and len(word) > 2] if only else []
    kept = _most(texts, names) or _most(texts, words)
    for before, word in zip(normal(told).split(), normal(told).split()[1:], strict=False):
        if kept and word in names and before not in names and before not in _SMALL:
            narrow = [i for i in kept if _says(texts[i], before)]
            kept = narrow or kept
    return [items[i] for i in kept] if kept else items


def _most(texts: Sequence[Sequence[str]], words: Sequence[str]) -> list[int]:
    """The numbers of those with most of the words that tell some apart; [] where none does."""
    hits = [[_says(cells, word) for cells in texts] for word in words]
    telling = [hit for hit in hits if 0 < sum(hit) < _MOST * len(texts)]
    counts = [sum(hit[i] for hit in telling) for i in range(len(texts))]
    return [i for i, count in enumerate(counts) if count and count == max(counts)]


def _says(cells: Sequence[str], word: str) -> bool:
    """Whether a cell has the word, in the singular or the plural, or one of the same meaning."""
    names = {word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("en")}
    others = frozenset(other for name in names for other in synonyms(name))
    for cell in cells:
        own = set(cell.split())
        if own & names or {one.removesuffix("s") for one in own} & names:
            return True
        bare = re.sub(r"^[\d.,\s]+", "", cell)
        if bare in others or any(len(o) > 3 and f" {o} " in f" {cell} " for o in others):
            return True
    return False


def _texts(document: Document, match: Match, row: Row) -> list[str]:
    lines = document.page(row.page).lines or ()
    texts = [" ".join(lines[i].words[j].text for i, j in cell) for cell in row.cells if cell]
    return [" ".join(re.findall(r"[^\W_]+(?:[-'.][^\W_]+)*", text.casefold())) for text in texts]


def _told(array: Array, question: str) -> str:
    """The description, which follows the question's first sentence."""
    return question.partition("?")[2]
