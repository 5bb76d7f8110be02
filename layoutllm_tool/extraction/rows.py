"""Which table, and which of its columns, a schema's array means.

A column is judged by its header (the same words, a name of the same role in ``columns.toml``, or near in
meaning), by what stands in it (``line_items`` tells quantities, prices and amounts apart) and by its type.
Pure; similarity in meaning is handed in.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from rapidfuzz import fuzz

from layoutllm_tool.cot import ExpectedType
from layoutllm_tool.documents.geometry import Document, Line, box_of
from layoutllm_tool.documents.line_items import Row, Table
from layoutllm_tool.documents.values import amount, spans_of
from layoutllm_tool.extraction.choices import meant
from layoutllm_tool.extraction.row_parts import is_parted, wants_part

Similarity = Callable[[Sequence[str], Sequence[str]], Sequence[Sequence[float]]]
"""(N texts, M texts) -> N x M cosines."""

LEAST, _MATCH = 0.4, 0.25
"""Of a column's score: below it none of the table's columns is meant; and what a match costs."""
_BY_ROLE, _BY_ARITHMETIC, _BY_TYPE, _BY_PLACE = 0.9, 0.85, 0.8, 0.7
"""Scores of a header of the same role, of a number's role, of a date, of the longest text."""
_LIKELY, _KEPT = 4, 500
"""Columns tried for one that is wanted, and ways to choose columns that are kept: a bound on the work."""
_LINES_ABOVE, _NEAR = 4, 6.0
"""Lines, and heights of a line, in which a table's title stands."""
_TITLED = 0.85
"""Least likeness of a title and an array's name."""
_SMALL = frozenset(
    ("a", "an", "the", "of", "by", "per", "for", "and", "in", "nach", "je", "pro", "und", "der", "die", "des",
     "für", "von", "par", "de", "du", "des", "la", "le", "et", "por", "del", "y", "di", "e", "van", "en",
     "breakdown", "summary", "analysis", "overview", "list", "lines", "items", "table", "details", "entries",
     "übersicht", "aufstellung", "récapitulatif", "resumen")
)  # fmt: skip
ANY_TABLE = frozenset(
    (
        "items",
        "line items",
        "rows",
        "entries",
        "lines",
        "positions",
        "table",
        "list",
        "products",
        "transactions",
    )
)
"""Names that say nothing of which table is meant."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column that a schema describes: its own words first, then more of them."""

    words: tuple[str, ...]
    type: ExpectedType = "text"
    choices: tuple[str, ...] = ()
    required: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A table, and for each column wanted the table's (or None) with a score from 0 to 1."""

    table: Table
    columns: tuple[int | None, ...]
    scores: tuple[float, ...]
    score: float
    named: bool = True
    """Its title or a header says the array's name, or the name fits any table."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A table with the text of its cells, row by row."""

    table: Table
    texts: Sequence[Sequence[str]]
    above: Sequence[str]
    """The last lines above its first row: its head, its title."""

    def column(self, number: int) -> list[str]:
        return [row[number] for row in self.texts]


def matches(
    document: Document, tables: Sequence[Table], name: str, wanted: Sequence[Wanted], similarity: Similarity
) -> list[Match]:
    """Every table with a column for some of those wanted, the best first."""
    read = [
        _Read(table, [_texts(document, table, row) for row in table.rows], _above(document, table))
        for table in tables if table.rows
    ]  # fmt: skip
    found = [_match(one, name, wanted, similarity) for one in read]
    return sorted((m for m in found if any(c is not None for c in m.columns)), key=lambda m: -m.score)


def _texts(document: Document, table: Table, row: Row) -> list[str]:
    page = document.page(row.page)
    return [table.text(page, row, column) if row.cells[column] else "" for column in range(len(row.cells))]


def _assigned(scores: Sequence[Sequence[float]]) -> dict[int, int]:
    """Wanted -> column, each once, with the highest sum of scores; at a tie in the schema's order."""
    best: dict[frozenset[int], tuple[float, tuple[tuple[int, int], ...]]] = {frozenset(): (0.0, ())}
    for i, row in enumerate(scores):
        likely = sorted(((score, j) for j, score in enumerate(row) if score >= LEAST), reverse=True)
        following = dict(best)
        for taken, (total, pairs) in best.items():
            for score, j in likely[:_LIKELY]:
                key = taken | {j}
                worth = total + score - _MATCH
                if j not in taken and worth > following.get(key, (-1.0, ()))[0]:
                    following[key] = worth, (*pairs, (i, j))
        best = dict(sorted(following.items(), key=lambda item: -item[1][0])[:_KEPT])
    return dict(max(best.values(), key=lambda found: found[0])[1])


def _left_over(
    wanted: Sequence[Wanted],
    read: _Read,
    columns: dict[int, int],
    scores: list[list[float]],
    *,
    several: bool = False,
) -> None:
    """The one column that must be there and the one of its type that nothing else took belong together.

    ``several``: of several texts the longest.
    """
    kinds = read.table.kinds
    for texts in (True, False):
        open_ = [
            i for i, want in enumerate(wanted)
            if i not in columns and want.required and (want.type in ("text", "name")) == texts
        ]  # fmt: skip
        free = [
            j for j, kind in enumerate(kinds)
            if j not in columns.values() and (kind == "text" if texts else kind in ("amount", "number"))
        ]  # fmt: skip
        if texts and several and len(free) > 1:
            computed = _computed_roles(read)
            free = [j for j in free if computed.get(j) == "description"]
        if len(open_) == len(free) == 1 and columns and not _differ(wanted[open_[0]], read, free[0]):
            columns[open_[0]] = free[0]
            scores[open_[0]][free[0]] = max(scores[open_[0]][free[0]], LEAST)


def _differ(want: Wanted, read: _Read, column: int) -> bool:
    """Whether the column's header is known to be about something else."""
    own, theirs = _roles_wanted(want)[0], roles_of(read.table.headers[column])
    theirs = theirs or ({"amount"} if "weight" in own and read.table.kinds[column] == "amount" else set())
    return bool(own and theirs) and not own & theirs


def _above(document: Document, table: Table) -> list[str]:
    return [line.text for line in lines_above(document, table)]


def lines_above(document: Document, table: Table) -> list[Line]:
    """The last lines above the table's head, or its first row, within its width, the nearest first."""
    boxes = [box_of(document.page(r.page), cell) for r in table.rows[:1] for cell in r.cells if cell]
    first = table.head if table.head and table.head.page == table.rows[0].page else table.rows[0]
    page = document.page(first.page)
    top = min(box_of(page, cell).y0 for cell in first.cells if cell)
    x0, x1 = min(box.x0 for box in boxes), max(box.x1 for box in boxes)
    above = [
        line for line in page.lines or ()
        if line.box.center[1] < top and line.box.x0 < x1 and line.box.x1 > x0
    ]  # fmt: skip
    nearest = sorted(above, key=lambda line: -line.box.y1)[:_LINES_ABOVE]
    return [line for line in nearest if top - line.box.y1 < _NEAR * line.box.height]


def _match(read: _Read, name: str, wanted: Sequence[Wanted], similarity: Similarity) -> Match:
    table = read.table
    scores = _scores(read, wanted, similarity)
    columns = _assigned(scores)
    _left_over(wanted, read, columns, scores)
    own = tuple(scores[i][columns[i]] if i in columns else 0.0 for i in range(len(wanted)))
    titled = _titled(read, name, similarity)
    _left_over(wanted, read, columns, scores, several=True)  # says nothing of which table is meant
    total = sum(own) / max(len(own), 1) + 0.4 * titled + min(len(table.rows), 10) / 100
    own = tuple(scores[i][columns[i]] if i in columns else 0.0 for i in range(len(wanted)))
    named = titled >= _TITLED or not normal(name) or normal(name) in ANY_TABLE
    return Match(table, tuple(columns.get(i) for i in range(len(wanted))), own, total, named)


def _titled(read: _Read, name: str, similarity: Similarity) -> float:
    """How much a header, or a line above the table, says the array's name ("Earnings")."""
    said = [text for text in (*read.table.headers, *read.above) if text]
    if not said or not normal(name) or normal(name) in ANY_TABLE:
        return 0.0
    if any(_holds(text, name) == 1 for text in read.above):
        return 1.0
    if any(_holds(text, name) == 1 for text in read.table.headers):
        return _TITLED
    part = any(_said(text) and _holds(name, text) == 1 for text in read.above)
    return max(_TITLED if part else 0.0, max(similarity([name], said)[0]))


def _holds(text: str, name: str) -> float:
    """Share of the name's words that the text has, a letter, an ending or the language apart."""
    theirs, own = _said(text), _said(name)
    return sum(any(_alike(word, other) for other in theirs) for word in own) / max(len(own), 1)


def _said(text: str) -> list[str]:
    return [word for word in normal(text).split() if word not in _SMALL]


def _alike(word: str, other: str) -> bool:
    """By their letters, their beginning ("options", "optional") or their role."""
    length = max(5, round(0.8 * min(len(word), len(other))))
    begins = len(word) >= length and word[:length] == other[:length]
    return begins or fuzz.ratio(word, other) >= 85 or bool(roles_of(word) & roles_of(other))


def _scores(read: _Read, wanted: Sequence[Wanted], similarity: Similarity) -> list[list[float]]:
    """N wanted x M columns."""
    headers = read.table.headers
    named = [j for j, header in enumerate(headers) if header]
    near = similarity([w.words[0] for w in wanted], [headers[j] for j in named]) if named else []
    computed = _computed_roles(read)
    found = []
    for i, want in enumerate(wanted):
        roles, share = _roles_wanted(want)
        row = []
        for j, header in enumerate(headers):
            said = max(_same(want, header, roles), near[i][named.index(j)]) if header else 0.0
            if computed.get(j) in roles:
                place = _BY_ARITHMETIC if computed[j] != "description" else _BY_PLACE
                said = max(said, place * (0.7 + 0.3 * share))
            elif computed.get(j) and not header:
                said *= 0.3
            if read.table.kinds[j] == "percent" or "%" in header:
                said = max(said, _BY_ARITHMETIC) if _SHARE.search(" ".join(want.words)) else 0.8 * said
            if header and _told(want.description, header):
                said = max(said, _BY_ROLE)
            if want.type == "date" and read.table.kinds[j] == "date":
                said = max(said, _BY_TYPE)
            if want.choices:
                said = max(said, _BY_ROLE * _offered(read.column(j), want.choices))
            said *= _less(want, read, j, roles)
            row.append(said * (0.25 + 0.75 * _fits(read.column(j), want.type, read.table.kinds[j])))
        found.append(row)
    return found


def _less(want: Wanted, read: _Read, column: int, roles: set[str]) -> float:
    """What is left of a score where something speaks against the column: it holds numbers, balances, or
    several things of which one is wanted.
    """
    header = read.table.headers[column]
    if is_part_of(want, read.column(column)):
        return 0.0
    if "description" in roles and read.table.kinds[column] in _NUMBERS:
        return 0.4
    balance = "balance" in roles_of(header) and "balance" not in roles
    return 0.3 if balance and not _told(want.description, header) else 1.0


def _same(want: Wanted, header: str, roles: set[str]) -> float:
    """How much a header says what is wanted: its words, or a name of the same role."""
    own, theirs = normal(want.words[0]), normal(header)
    if own == theirs or own == "".join(word[0] for word in theirs.split()):
        return 1.0
    alike = max(fuzz.token_sort_ratio(own, theirs), 0.95 * fuzz.token_set_ratio(own, theirs)) / 100
    either, shared = roles | roles_of(header), roles & roles_of(header)
    by_role = _BY_ROLE - 0.1 * (1 - len(shared) / len(either)) if shared else 0.0
    short = _BY_ARITHMETIC if len(theirs) > 2 and own.startswith(theirs) else 0.0
    return max(alike if alike >= 0.75 else 0.0, by_role, short)


def is_part_of(want: Wanted, cells: Sequence[str]) -> bool:
    """Whether it is wanted as a part of these cells: an end of a range, one of several sizes."""
    return want.type in ("number", "money") and wants_part(want.words[0]) and is_parted(cells)


def says(want: Wanted, header: str) -> float:
    """How much a header says what is wanted, from 0 to 1."""
    return _same(want, header, _roles_wanted(want)[0])


def _roles_wanted(want: Wanted) -> tuple[set[str], float]:
    return next((r for text in want.words if (r := _roles(normal(text)))[0]), (set(), 1.0))


def _told(description: str, header: str) -> bool:
    """Whether the description has the header's words, of four letters at least, in their order."""
    said = normal(header)
    return len(said) > 3 and f" {said} " in f" {normal(description)} "


_NUMBERS = frozenset(("number", "quantity", "unit price", "amount", "percent", "date"))
_SHARE = re.compile(r"(?i)\b(?:rate|percent(?:age)?|pct|prozent|satz|taux|tasso|tipo)\b|%")


_KINDS = {"text": "description", "quantity": "quantity", "unit price": "unit_price", "amount": "amount",
          "date": "date", "code": "code"}  # fmt: skip


def _computed_roles(read: _Read) -> dict[int, str]:
    """Roles by column from what stands in it; of two columns of a kind the last amount, the longest text."""
    found: dict[int, str] = {}
    kinds = read.table.kinds
    for kind, role in _KINDS.items():
        own = [j for j, of in enumerate(kinds) if of == kind]
        if kind == "text":
            own = sorted(own, key=lambda j: sum(map(len, read.column(j))))
        if kind == "amount":
            own = [j for j in own if "balance" not in roles_of(read.table.headers[j])] or own
        if own:
            found[own[0] if kind == "code" else own[-1]] = role
    return found


def _offered(cells: Sequence[str], choices: Sequence[str]) -> float:
    """Share of the cells that are one of the choices."""
    filled = [text for text in cells if text]
    allowed = {normal(choice) for choice in choices}
    good = sum(normal(text) in allowed or meant(text, choices) is not None for text in filled)
    return good / len(filled) if filled else 0.0


def _fits(cells: Sequence[str], kind: ExpectedType, seen: str) -> float:
    """Share of the cells that are of the type; a text may be anything. ``seen``: the column's kind."""
    filled = [text for text in cells if text]
    if not filled:
        return 0.0
    if kind in ("money", "number"):
        good = sum(_is_number(text) for text in filled)
    elif kind == "date":
        if seen == "date":
            return 1.0
        good = sum(
            bool(spans_of("date", text) or re.match(r"\d{1,2}[./-]\d{1,2}\b", text)) for text in filled
        )
    else:
        return 1.0
    return good / len(filled)


def _is_number(text: str) -> bool:
    return amount(text) is not None or (
        bool(re.search(r"\d", text)) and len(re.findall(r"[^\W\d_]", text)) <= 4
    )


_IN_ASCII = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


@cache
def _names() -> Mapping[str, set[str]]:
    """Normalised name -> roles."""
    data = tomllib.loads((files(__package__) / "columns.toml").read_text(encoding="utf-8"))
    found: dict[str, set[str]] = {}
    for role, entry in data.items():
        for name in map(normal, entry["names"].split(",")):
            found.setdefault(name, set()).add(role)
            found.setdefault(name.translate(_IN_ASCII), set()).add(role)
    return found


def number_and_text(table: Table, row: Row, document: Document) -> tuple[int | None, int | None]:
    """The columns of a row's last number and of its longest text."""
    texts = dict(enumerate(_texts(document, table, row)))
    numbers = [j for j, text in texts.items() if text and _is_number(text)]
    others = [j for j, text in texts.items() if text and j not in numbers]
    others = others or [j for j in numbers[:-1] if sum(map(str.isalpha, texts[j])) > 1]  # "3 FOR 2"
    last = numbers[-1] if numbers else None
    return last, max(others, key=lambda j: len(texts[j]), default=None)


def roles_of(text: str) -> set[str]:
    """Roles that a name has as a whole, or by its longest part that has any."""
    return _roles(normal(text))[0]


@lru_cache(maxsize=4096)
def _roles(text: str) -> tuple[set[str], float]:
    """Roles, and the share of the words that say them."""
    words, names = text.split(), _names()
    for length in range(len(words), 0, -1):
        for start in range(len(words) - length, -1, -1):
            if roles := names.get(" ".join(words[start : start + length])):
                return set(roles), length / len(words)
    return set(), 1.0


def normal(text: str) -> str:
    """Lower case, without punctuation, currencies and remarks in parentheses."""
    bare = re.sub(r"\([^)]*\)|[$€£¥]|\b(?:EUR|USD|GBP|CHF)\b", " ", text)
    return " ".join(re.sub(r"[^\w%#]+", " ", bare.lower().replace("_", " ")).split())
