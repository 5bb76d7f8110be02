"""Heads of tables, and rows that are sums, by their words in several languages. Standard library only."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from layoutllm_tool.documents.table_cells import MOST_COLUMNS, NUMERIC, TYPED, Cell, GridRow

_WORDS = tomllib.loads((Path(__file__).parent / "table_words.toml").read_text(encoding="utf-8"))
_ROLES = {phrase: role for role, phrases in reversed(_WORDS["heads"].items()) for phrase in phrases}
_ALWAYS, _SUMS, _LAST, _BALANCES = (
    frozenset(_WORDS["left_out"][name]) for name in ("always", "sums", "last", "balances")
)
_LONGEST = max(phrase.count(" ") for phrase in (*_ROLES, *_ALWAYS, *_SUMS)) + 1
_TOKEN = re.compile(r"[^\W\d_][\w./\\'-]*[^\W_]|[^\W\d_]|[#%€$£]")
_YEAR = re.compile(r"(?:19|20)\d\d")
_MOST_ROWS = 4
"""Of one head, above and below its main row."""


@lru_cache(maxsize=4096)
def roles(text: str) -> tuple[tuple[str, int], ...]:
    """(role, letters) of each phrase of heads in the text, the longest first at every place."""
    tokens = _TOKEN.findall(text.casefold())
    found, i = [], 0
    while i < len(tokens):
        phrases = ((" ".join(tokens[i : i + n]).strip("."), n) for n in range(_LONGEST, 0, -1))
        phrase, n = next((one for one in phrases if one[0] in _ROLES), ("", 1))
        if phrase:
            found.append((_ROLES[phrase], len(phrase)))
        i += n
    return tuple(found)


def role(text: str) -> str:
    """What stands below such a head: name, quantity, unit price, amount, date, code, other, or ""."""
    return next((found for found, _ in roles(text)), "")


def is_sum(row: GridRow, *, fewer: bool, alone: bool = False) -> bool:
    """Whether the row is a sum, a tax or a payment, by its first text or the last before its amount.

    ``fewer``: it has fewer cells than an item, so that "Total" and "Cash" are no names. ``alone``: no other
    table stands beside.
    """
    texts = [cell.text for cell in row.cells if cell.kind not in TYPED]
    last = len(texts) > 1 and row.cells[-1].kind in NUMERIC and _names_sum(texts[-1], fewer and alone)
    return _names_sum(" ".join(texts), fewer) or last


def is_balance(row: GridRow) -> bool:
    """Whether the row speaks of a balance; where items have dates, one without is none."""
    words = {word.strip(".:,") for cell in row.cells for word in cell.text.casefold().split()}
    return not _BALANCES.isdisjoint(words)


def _names_sum(label: str, fewer: bool) -> bool:
    text = re.sub(r"^\s*\([^)]*\)", "", label.casefold())
    plain = re.sub(r"^\W*(?:\d{1,2}\s?%?\s)?\W*", "", text)
    tokens = [token.strip(".:,") for token in re.findall(r"[^\s:@()]+", plain)]
    starts = {" ".join(tokens[:n]) for n in range(1, _LONGEST + 1)}
    known = _ALWAYS | _SUMS if fewer else _ALWAYS
    if fewer and 1 < len(tokens) < 4 and "," not in plain and tokens[-1] in _LAST:
        return True
    return bool(starts & known) or any(plain.startswith(word) for word in known if not word.isascii())


def heads(rows: Sequence[GridRow], i: int) -> bool:
    """Whether row i is a table's head: by its words, or as it stands over numbers and dates."""
    row = rows[i]
    if len(row.cells) > MOST_COLUMNS or not _may_head(row):
        return False
    found, letters = roles(row.text), sum(map(len, _TOKEN.findall(row.text)))
    if len(found) > (1 if len(row.cells) > 1 else 2) and sum(n for _, n in found) >= 0.5 * letters:
        return True
    below = [r for r in rows[i + 1 : i + 5] if 0 <= len(r.cells) - len(row.cells) + 1 < 4][:2]
    near = len(below) > 1 and below[0].y - row.y < 3 * row.pitch
    return near and len(row.cells) > 2 and _contrasts(row, *below)


def _contrasts(row: GridRow, first: GridRow, second: GridRow) -> bool:
    """Whether the cells stand over cells of both rows, some over numbers, dates or times in both."""
    if any(cell.kind == "date" for cell in row.cells):
        return False
    pairs = [(_under(cell, first), _under(cell, second)) for cell in row.cells]
    under = [(a, b) for a, b in pairs if a and b]
    alike = any(a.kind == b.kind and a.kind in TYPED | {"time"} for a, b in under)
    return alike and len(under) >= max(3, len(row.cells) - 1)


def _under(cell: Cell, row: GridRow) -> Cell | None:
    return next((other for other in row.cells if cell.over(other)), None)


def _may_head(row: GridRow) -> bool:
    """Words, dates and years, and no key with its value."""
    return any(cell.letters or cell.kind == "date" for cell in row.cells) and not any(
        ":" in cell.text
        or (cell.kind in NUMERIC and not _YEAR.fullmatch(cell.text))
        or (cell.kind == "code" and any(map(str.isdigit, cell.text)))
        for cell in row.cells
    )


def head_rows(rows: Sequence[GridRow], i: int) -> tuple[int, int]:
    """First and last row of the head that row i belongs to."""
    first = last = i
    least, most = max(i - _MOST_ROWS, 0), min(i + _MOST_ROWS, len(rows) - 1)
    while first > least and _belongs(rows[first - 1], rows[first : i + 1], above=True):
        first -= 1
    while last < most and _belongs(rows[last + 1], rows[first : last + 1], above=False):
        last += 1
    return first, last


def _belongs(row: GridRow, head: Sequence[GridRow], *, above: bool) -> bool:
    """Words above or below those of a head, each over one of them; not over the first alone, where titles
    and items stand.
    """
    gap = head[0].y - row.y if above else row.y - head[-1].y
    if gap > 1.4 * row.pitch or not _may_head(row):
        return False
    if len(row.cells) > 1 and all(roles(cell.text) for cell in row.cells):
        return True
    cells: list[Cell] = [cell for other in head for cell in other.cells]
    over_first = row.cells[0].x0 < min(cells, key=lambda cell: cell.x0).x1
    if over_first and (len(row.cells) == 1 or not above) and not roles(row.cells[0].text):
        return False
    return gap < 0.9 * row.pitch or all(any(cell.over(other) for other in cells) for cell in row.cells)
