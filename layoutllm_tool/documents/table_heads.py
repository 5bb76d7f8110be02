"""Heads of tables, and rows that are no items, by their words in several languages. Standard library only."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from layoutllm_tool.documents.table_grid import TYPED, Cell, GridRow

_WORDS = tomllib.loads((Path(__file__).parent / "table_words.toml").read_text(encoding="utf-8"))
_ROLES = {phrase: role for role, phrases in reversed(_WORDS["heads"].items()) for phrase in phrases}
_ALWAYS, _SUMS = (frozenset(_WORDS["left_out"][name]) for name in ("always", "sums"))
_TOKEN = re.compile(r"[^\W\d_][\w./\\'-]*[^\W_]|[^\W\d_]|[#%€$£]")
_YEAR = re.compile(r"(?:19|20)\d\d")


@lru_cache(maxsize=4096)
def roles(text: str) -> tuple[tuple[str, int], ...]:
    """(role, letters) of each phrase of heads in the text, the longest first at every place."""
    tokens = _TOKEN.findall(text.casefold())
    found, i = [], 0
    while i < len(tokens):
        phrases = [(" ".join(tokens[i : i + n]).strip("."), n) for n in (3, 2, 1) if i + n <= len(tokens)]
        phrase, n = next(((p, n) for p, n in phrases if p in _ROLES), ("", 1))
        if phrase:
            found.append((_ROLES[phrase], len(phrase)))
        i += n
    return tuple(found)


def role(text: str) -> str:
    """What stands below such a head: name, quantity, unit price, amount, date, code, other, or ""."""
    return next((found for found, _ in roles(text)), "")


def is_left_out(label: str, *, fewer: bool) -> bool:
    """Whether a row so labelled is a sum, a tax or a payment. ``fewer``: it has fewer cells than an item."""
    text = re.sub(r"\([^)]*\)", " ", label.casefold()) if label.strip().startswith("(") else label.casefold()
    plain = re.sub(r"^\W*(?:\d{1,2}\s?%?\s)?\W*", "", text)
    tokens = [token.strip(".:,") for token in re.findall(r"[^\s:@()]+", plain)]
    starts = {" ".join(tokens[:n]) for n in (1, 2, 3)}
    if starts & _ALWAYS or _begins(plain, _ALWAYS):
        return True
    return fewer and (bool(starts & _SUMS) or _begins(plain, _SUMS))


def says_discount(label: str) -> bool:
    return bool(_SUMS & set(re.findall(r"\w+", label.casefold())))


def _begins(text: str, words: frozenset[str]) -> bool:
    """For languages without blanks."""
    return not text.isascii() and any(text.startswith(word) for word in words if not word.isascii())


def heads(rows: Sequence[GridRow], i: int) -> bool:
    """Whether row i is a table's head: by its words, or as it stands over cells of another kind."""
    row = rows[i]
    if not _may_head(row):
        return False
    found, letters = roles(row.text), sum(map(len, _TOKEN.findall(row.text)))
    if len(found) > (1 if len(row.cells) > 1 else 2) and sum(n for _, n in found) >= 0.5 * letters:
        return True
    below = [r for r in rows[i + 1 : i + 5] if 0 <= len(r.cells) - len(row.cells) + 1 < 4][:2]
    return len(row.cells) > 2 and len(below) > 1 and below[0].y - row.y < 3 * row.pitch and _contrasts(row, below)


def _contrasts(row: GridRow, below: Sequence[GridRow]) -> bool:
    """Whether all cells stand over cells of both rows, some over numbers or dates in both."""
    if any(cell.kind == "date" for cell in row.cells):
        return False
    under = [[next((o for o in r.cells if min(c.x1, o.x1) > max(c.x0, o.x0)), None) for r in below] for c in row.cells]
    full = [pair for pair in under if all(pair)]
    same = [pair for pair in full if len({o.kind for o in pair if o}) == 1 and pair[0] and pair[0].kind in TYPED | {"time"}]
    return bool(same) and len(full) >= max(3, len(row.cells) - 1)


def _may_head(row: GridRow) -> bool:
    """Words, dates and years, and no key with its value."""
    return not any(
        ":" in cell.text
        or (cell.kind in TYPED - {"date"} and not _YEAR.fullmatch(cell.text))
        or (cell.kind == "code" and any(map(str.isdigit, cell.text)))
        for cell in row.cells
    ) and any(cell.letters or cell.kind == "date" for cell in row.cells)


def head_rows(rows: Sequence[GridRow], i: int) -> tuple[int, int]:
    """First and last row of the head that row i belongs to."""
    first = last = i
    cells = list(rows[i].cells)
    while first > 0 and _belongs(rows[first - 1], cells, rows[first].y - rows[first - 1].y, above=True):
        first -= 1
        cells += rows[first].cells
    while last + 1 < len(rows) and _belongs(rows[last + 1], cells, rows[last + 1].y - rows[last].y, above=False):
        last += 1
        cells += rows[last].cells
    return first, last


def _belongs(row: GridRow, head: Sequence[Cell], gap: float, *, above: bool) -> bool:
    """Words above or below those of a head, each over one of them; not over the first alone, where titles
    and items stand.
    """
    if gap > 1.4 * row.pitch or not _may_head(row):
        return False
    if len(row.cells) > 1 and all(roles(cell.text) for cell in row.cells):
        return True
    first = min(head, key=lambda cell: cell.x0)
    if row.cells[0].x0 < first.x1 and (len(row.cells) == 1 or not above) and not roles(row.cells[0].text):
        return False
    over = [sum(min(c.x1, m.x1) > max(c.x0, m.x0) for m in head) for c in row.cells]
    return all(over) or gap < 0.9 * row.pitch
