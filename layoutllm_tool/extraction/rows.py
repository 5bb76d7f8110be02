"""Which table, and which of its columns, a schema's array means.

A column is judged by its header (the same words, a name of the same role in ``columns.toml``, or near in
meaning), by the type of its cells and, among numbers, by arithmetic: quantity times unit price is the amount.
Pure; similarity in meaning is handed in.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import permutations

from rapidfuzz import fuzz

from layoutllm_tool.cot import ExpectedType
from layoutllm_tool.documents.line_items import Table
from layoutllm_tool.documents.values import amount, spans_of

Similarity = Callable[[Sequence[str], Sequence[str]], Sequence[Sequence[float]]]
"""(N texts, M texts) -> N x M cosines."""

LEAST = 0.4
"""Of a column's score: below it none of the table's columns is meant."""
_BY_ROLE, _BY_ARITHMETIC, _BY_PLACE = 0.9, 0.85, 0.7
_HOLDS = 0.6
"""Least share of rows in which quantity times price must be the amount."""
_CENT = Decimal("0.011")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column that a schema describes: its own words first, then more of them."""

    words: tuple[str, ...]
    type: ExpectedType = "text"


@dataclass(frozen=True, slots=True)
class Match:
    """A table, and for each column wanted the table's (or None) with a score from 0 to 1."""

    table: Table
    columns: tuple[int | None, ...]
    scores: tuple[float, ...]
    score: float


def matches(
    tables: Sequence[Table], name: str, wanted: Sequence[Wanted], similarity: Similarity
) -> list[Match]:
    """Every table with a column for some of those wanted, the best first."""
    found = [_match(table, name, wanted, similarity) for table in tables]
    return sorted((m for m in found if any(c is not None for c in m.columns)), key=lambda m: -m.score)


def _match(table: Table, name: str, wanted: Sequence[Wanted], similarity: Similarity) -> Match:
    scores = _scores(table, wanted, similarity)
    pairs = sorted(
        ((scores[i][j], i, j) for i in range(len(wanted)) for j in range(len(table.headers))), reverse=True
    )
    columns: dict[int, int] = {}
    for score, i, j in pairs:
        if score >= LEAST and i not in columns and j not in columns.values():
            columns[i] = j
    own = [scores[i][columns[i]] if i in columns else 0.0 for i in range(len(wanted))]
    titled = _titled(table, name, similarity)
    many = min(len(table.rows), 10) / 100
    return Match(
        table, tuple(columns.get(i) for i in range(len(wanted))), tuple(own), sum(own) / len(own) + titled + many
    )


def _titled(table: Table, name: str, similarity: Similarity) -> float:
    """How much the table's title or first header says its name."""
    said = [text for text in (table.title, *table.headers) if text]
    if not said or not name:
        return 0.0
    exact = max(fuzz.token_set_ratio(normal(name), normal(text)) for text in said) / 100
    near = max(similarity([name], said)[0])
    return 0.4 * max(exact if exact >= 0.85 else 0.0, near)


def _scores(table: Table, wanted: Sequence[Wanted], similarity: Similarity) -> list[list[float]]:
    """N wanted x M columns."""
    named = [j for j, header in enumerate(table.headers) if header]
    near = similarity([w.words[0] for w in wanted], [table.headers[j] for j in named]) if named else []
    computed = _computed_roles(table)
    found = []
    for i, want in enumerate(wanted):
        roles = roles_of(want.words[0]) or {role for text in want.words[1:] for role in roles_of(text)}
        row = []
        for j, header in enumerate(table.headers):
            said = max(_same(want, header, roles), near[i][named.index(j)]) if header else 0.0
            if computed.get(j) in roles:
                said = max(said, _BY_ARITHMETIC if computed[j] != "description" else _BY_PLACE)
            elif computed.get(j) and not header:
                said *= 0.3
            row.append(said * (0.25 + 0.75 * _fits(table, j, want.type)))
        found.append(row)
    return found


def _same(want: Wanted, header: str, roles: set[str]) -> float:
    """How much a header says what is wanted: its words, or a name of the same role."""
    own, theirs = normal(want.words[0]), normal(header)
    if own == theirs:
        return 1.0
    alike = max(fuzz.token_sort_ratio(own, theirs), 0.9 * fuzz.token_set_ratio(own, theirs)) / 100
    shared = roles & roles_of(header)
    by_role = _BY_ROLE - 0.1 * (max(len(roles), len(roles_of(header))) > 1) if shared else 0.0
    return max(alike if alike >= 0.75 else 0.0, by_role)


def _computed_roles(table: Table) -> dict[int, str]:
    """Roles by column, from numbers: quantity x unit price = amount. Without headers also by place."""
    values = [[_number(table, row, j) for row in range(len(table.rows))] for j in range(len(table.headers))]
    numeric = [j for j, column in enumerate(values) if sum(v is not None for v in column) * 2 >= len(column) > 0]
    roles: dict[int, str] = {}
    for a, b, c in permutations(numeric, 3):
        if b < c and _product_holds(values[a], values[b], values[c]) and not _all_ones(values[a]):
            small, large = (a, b) if a < b else (b, a)
            roles = {small: "quantity", large: "unit_price", c: "amount"}
            break
    if not any(table.headers):
        texts = [j for j in range(len(table.headers)) if j not in numeric]
        if texts:
            roles[max(texts, key=lambda j: _letters(table, j))] = "description"
        if numeric and not roles.get(numeric[-1]):
            roles[numeric[-1]] = "amount"
        _headless_numbers(numeric, values, roles)
    return roles


def _headless_numbers(
    numeric: Sequence[int], values: Sequence[Sequence[Decimal | None]], roles: dict[int, str]
) -> None:
    """Whole small numbers are quantities, other numbers before the amount are prices."""
    for j in numeric[:-1]:
        known = [value for value in values[j] if value is not None]
        whole = all(value == value.to_integral_value() and abs(value) < 1000 for value in known)
        role = "quantity" if whole else "unit_price"
        if j not in roles and role not in roles.values():
            roles[j] = role


def _product_holds(a: Sequence[Decimal | None], b: Sequence[Decimal | None], c: Sequence[Decimal | None]) -> bool:
    rows = [(x, y, z) for x, y, z in zip(a, b, c, strict=True) if x is not None and y is not None and z]
    return len(rows) > 0 and sum(abs(x * y - z) < _CENT for x, y, z in rows) >= max(1, _HOLDS * len(rows))


def _all_ones(values: Sequence[Decimal | None]) -> bool:
    return all(value in (None, 1) for value in values)


def _number(table: Table, row: int, column: int) -> Decimal | None:
    return amount(table.text(row, column))


def _letters(table: Table, column: int) -> int:
    return sum(c.isalpha() for row in range(len(table.rows)) for c in table.text(row, column))


def _fits(table: Table, column: int, kind: ExpectedType) -> float:
    """Share of the cells that are of the type; of texts, those that are no amounts."""
    cells = [text for row in range(len(table.rows)) if (text := table.text(row, column))]
    if not cells:
        return 0.0
    if kind in ("money", "number"):
        good = sum(any(c.isdigit() for c in text) and amount_in(text) for text in cells)
    elif kind == "date":
        good = sum(bool(spans_of("date", text)) or bool(re.match(r"\d{1,2}[./-]\d{1,2}\b", text)) for text in cells)
    else:
        return 1.0
    return good / len(cells)


def amount_in(text: str) -> bool:
    return amount(text) is not None or bool(re.search(r"\d", text)) and len(re.findall(r"[^\W\d_]", text)) <= 4


@cache
def _names() -> Mapping[str, set[str]]:
    """Normalised name -> roles."""
    data = tomllib.loads((files(__package__) / "columns.toml").read_text(encoding="utf-8"))
    found: dict[str, set[str]] = {}
    for role, entry in data.items():
        for name in entry["names"].split(","):
            found.setdefault(normal(name), set()).add(role)
    return found


def roles_of(text: str) -> set[str]:
    """Roles that a name has as a whole, or by its longest part that has any."""
    words, names = normal(text).split(), _names()
    for length in range(len(words), 0, -1):
        for start in range(len(words) - length, -1, -1):
            if roles := names.get(" ".join(words[start : start + length])):
                return set(roles)
    return set()


def normal(text: str) -> str:
    """Lower case, without punctuation, currencies and remarks in parentheses."""
    bare = re.sub(r"\([^)]*\)|[$€£¥]|\b(?:EUR|USD|GBP|CHF)\b", " ", text)
    return " ".join(re.sub(r"[^\w%#]+", " ", bare.lower().replace("_", " ")).split())
