"""The facts that a page's own HTML carries, each made of numbered words that are found again after rendering.

- ``data-key="x"`` and ``data-value="x"``: a key as printed and its value; an empty value is a field left
  blank. ``data-value`` alone needs ``data-ask`` (a whole question) and ``data-about`` (what it looks for).
  ``data-kind`` is one of ``cot.KINDS``. A ``data-section`` around it, the heading as printed, tells equal
  keys apart.
- ``data-choice="x"`` with ``data-checked="yes"`` or ``"no"``: an option of the group with ``data-key="x"``.
- tables need no marks: rows of ``th`` on top are column heads, ``th`` in a row (else its first cell) is its
  label.
  The roles "table", "row", "columnheader", "rowheader" and "cell" do the same for other elements.

Nothing here knows where anything stands on the page. Standard library only.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from layoutllm_tool.cot import KINDS, Kind
from layoutllm_tool.training.html.tree import Element, Source

_CELLS = {"td": "cell", "th": "head", "cell": "cell", "columnheader": "head", "rowheader": "head"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text and the numbers of its words (``word_id``)."""

    text: str
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A value, and the key beside it (None: ``ask`` is the question). ``value`` without words: left blank."""

    key: Piece | None
    value: Piece
    kind: Kind = "key-value"
    ask: str = ""
    about: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell with its row's label and the column heads above it, the outermost first."""

    value: Piece
    row: tuple[Piece, ...]
    column: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of the body, labels left out; ``label_head`` is the head above the labels."""

    cells: tuple[Cell, ...]
    label_head: Piece | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Options under a key, and which of them are ticked."""

    key: Piece | None
    options: tuple[tuple[Piece, bool], ...]


@dataclass(frozen=True, slots=True)
class Marked:
    """A page ready to be rendered: every word in an element of its own, and the facts made of these words."""

    source: Source
    pairs: tuple[Pair, ...]
    tables: tuple[Table, ...]
    choices: tuple[Choice, ...]


def word_id(number: int) -> str:
    """The ``id`` of the element around a word."""
    return f"word-{number}"


def marked(source: Source) -> Marked:
    """Numbers the words and collects the facts."""
    numbering = _Numbering()
    body = numbering.numbered(source.body)
    pairs, choices = _named(body)
    tables: list[Table] = []
    for element in body.walk():
        if _is_table(element) and not any(_is_table(e) for e in element.walk() if e is not element):
            rows = _grid(element)
            pairs += _side_by_side(rows)
            tables += [table] if (table := _table(rows)) else []
    return Marked(replace(source, body=body), tuple(pairs), tuple(tables), tuple(choices))


class _Numbering:
    """A copy of the tree in which every word is in an element of its own.

    The words of one text are held together by one more element: a flexible box would set each of them apart.
    """

    def __init__(self) -> None:
        self.count = 0

    def numbered(self, element: Element) -> Element:
        children = [self.numbered(c) if isinstance(c, Element) else self._text(c) for c in element.children]
        return Element(element.tag, dict(element.attributes), children)

    def _text(self, text: str) -> Element | str:
        if not text.strip():
            return text
        parts: list[Element | str] = []
        for part in re.findall(r"\s+|\S+", text):
            if part.isspace():
                parts.append(part)
            else:
                parts.append(Element("x-word", {"id": word_id(self.count)}, [part]))
                self.count += 1
        return Element("x-text", {}, parts)


def _piece(element: Element) -> Piece:
    words = [e for e in element.walk() if e.tag == "x-word"]
    numbers = tuple(int(e.attributes["id"].rpartition("-")[2]) for e in words)
    return Piece(" ".join(e.text for e in words), numbers)


def _named(body: Element) -> tuple[list[Pair], list[Choice]]:
    keys: dict[str, Piece] = {}
    values: list[tuple[Element, str]] = []
    options: dict[str, list[tuple[Piece, bool]]] = defaultdict(list)
    for element, section in _in_sections(body, ""):
        if name := element.data("key"):
            keys.setdefault(name, _piece(element))
        if "data-value" in element.attributes:
            values.append((element, section))
        if (name := element.data("choice")) and element.data("checked") in ("yes", "no"):
            options[name].append((_piece(element), element.data("checked") == "yes"))
    pairs = [_pair(element, section, keys) for element, section in values]
    choices = [Choice(keys.get(name), tuple(found)) for name, found in options.items()]
    return [pair for pair in pairs if pair.key or pair.ask], choices


def _in_sections(element: Element, section: str) -> Iterator[tuple[Element, str]]:
    section = element.data("section") or section
    yield element, section
    for child in element.children:
        if isinstance(child, Element):
            yield from _in_sections(child, section)


def _pair(element: Element, section: str, keys: dict[str, Piece]) -> Pair:
    kind: Kind = next((k for k in KINDS if k == element.data("kind")), "key-value")
    about = element.data("about")
    ask = element.data("ask") if about else ""
    return Pair(keys.get(element.data("value")), _piece(element), kind, ask, about, section)


_Slot = tuple[str, Piece, Element]
"""At a row and column of a table: "head" or "cell", its text, its element, which may fill many slots."""


def _is_table(element: Element) -> bool:
    return element.tag == "table" or element.attributes.get("role") == "table"


def _grid(table: Element) -> list[dict[int, _Slot]]:
    """Rows of slots by column, merged cells spread over all that they cover."""
    rows: list[dict[int, _Slot]] = []
    covered: dict[tuple[int, int], _Slot] = {}
    for y, row in enumerate(e for e in table.walk() if e.tag == "tr" or e.attributes.get("role") == "row"):
        x = 0
        for element in (c for c in row.children if isinstance(c, Element) and _cell(c)):
            while (y, x) in covered:
                x += 1
            slot = (_cell(element), _piece(element), element)
            wide, high = (int(element.attributes.get(name, 1)) for name in ("colspan", "rowspan"))
            covered |= {(y + down, x + right): slot for down in range(high) for right in range(wide)}
            x += wide
        rows.append({column: covered[y, column] for line, column in sorted(covered) if line == y})
    return rows


def _cell(element: Element) -> str:
    return _CELLS.get(element.attributes.get("role", ""), "") or _CELLS.get(element.tag, "")


def _side_by_side(rows: list[dict[int, _Slot]]) -> list[Pair]:
    """Tables of two columns, ``th`` and ``td``, are keys and values, unless they are marked already."""
    if not rows or any([slot[0] for slot in row.values()] != ["head", "cell"] for row in rows):
        return []
    if any(e.data("key") or e.data("value") for row in rows for slot in row.values() for e in slot[2].walk()):
        return []
    return [Pair(row[0][1], row[1][1]) for row in rows if len(row) == 2 and row[0][1].words]


def _table(rows: list[dict[int, _Slot]]) -> Table | None:
    """None where it has no heads on top, or fewer than two rows below them."""
    heads = 0
    while heads < len(rows) and rows[heads] and all(slot[0] == "head" for slot in rows[heads].values()):
        heads += 1
    if not heads or len(rows) - heads < 2:
        return None
    cells = [cell for row in rows[heads:] for cell in _cells(row, rows[:heads])]
    first = rows[heads - 1].get(0)
    return Table(tuple(cells), first[1] if first and first[1].words else None) if cells else None


def _cells(row: dict[int, _Slot], heads: list[dict[int, _Slot]]) -> Iterator[Cell]:
    labels = [x for x, slot in row.items() if slot[0] == "head"] or [min(row, default=0)]
    label = tuple(dict.fromkeys(row[x][1] for x in labels if x in row and row[x][1].words))
    for x, slot in row.items():
        single = sum(other[2] is slot[2] for other in row.values()) == 1
        column = tuple(dict.fromkeys(head[x][1] for head in heads if x in head and head[x][1].words))
        if x not in labels and single and label and column:
            yield Cell(slot[1], label, column)
