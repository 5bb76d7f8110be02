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
from dataclasses import dataclass
from itertools import count, zip_longest
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

from layoutllm_tool.cot import KINDS, Kind

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

    html: str
    pairs: tuple[Pair, ...]
    tables: tuple[Table, ...]
    choices: tuple[Choice, ...]


def word_id(number: int) -> str:
    """The ``id`` of the element around a word."""
    return f"word-{number}"


def marked(source: str) -> Marked:
    """Number the words of a well-formed HTML document and collect the facts."""
    root = fromstring(source)
    body = root.find("body")
    if body is None:
        raise ValueError("the HTML has no body")
    _number_words(body, count())
    pairs, choices = _named(body)
    tables: list[Table] = []
    for element in body.iter():
        if _is_table(element) and not any(_is_table(e) for e in element.iter() if e is not element):
            tables += [table] if (table := _table(_grid(element))) else []
    html = f"<!DOCTYPE html>{tostring(root, encoding='unicode', method='html')}"
    return Marked(html, tuple(pairs), tuple(tables), tuple(choices))


def _number_words(element: Element, numbers: Iterator[int]) -> None:
    """Put every word below into an element of its own, in document order.

    The words of one text are held together by one more element: a flexible box would set each of them apart.
    """
    children, texts = list(element), [element.text, *(child.tail for child in element)]
    element.text, element[:] = None, []
    for text, child in zip_longest(texts, children):
        if text and text.strip():
            element.append(_words(text, numbers))
        elif text and len(element):
            element[-1].tail = text
        elif text:
            element.text = text
        if child is not None:
            _number_words(child, numbers)
            child.tail = None
            element.append(child)


def _words(text: str, numbers: Iterator[int]) -> Element:
    whole = Element("x-text")
    whole.text = text[: len(text) - len(text.lstrip())]
    for word, space in re.findall(r"(\S+)(\s*)", text):
        one = SubElement(whole, "x-word", id=word_id(next(numbers)))
        one.text, one.tail = word, space
    return whole


def _piece(element: Element) -> Piece:
    words = list(element.iter("x-word"))
    numbers = tuple(int(word.attrib["id"].rpartition("-")[2]) for word in words)
    return Piece(" ".join(word.text or "" for word in words), numbers)


def _named(body: Element) -> tuple[list[Pair], list[Choice]]:
    keys: dict[str, Piece] = {}
    values: list[tuple[Element, str]] = []
    options: dict[str, list[tuple[Piece, bool]]] = defaultdict(list)
    for element, section in _in_sections(body, ""):
        if name := element.get("data-key"):
            keys.setdefault(name, _piece(element))
        if "data-value" in element.attrib:
            values.append((element, section))
        if (name := element.get("data-choice")) and element.get("data-checked") in ("yes", "no"):
            options[name].append((_piece(element), element.get("data-checked") == "yes"))
    pairs = [_pair(element, section, keys) for element, section in values]
    choices = [Choice(keys.get(name), tuple(found)) for name, found in options.items()]
    return [pair for pair in pairs if pair.key or pair.ask], choices


def _in_sections(element: Element, section: str) -> Iterator[tuple[Element, str]]:
    section = element.get("data-section") or section
    yield element, section
    for child in element:
        yield from _in_sections(child, section)


def _pair(element: Element, section: str, keys: dict[str, Piece]) -> Pair:
    kind: Kind = next((k for k in KINDS if k == element.get("data-kind")), "key-value")
    about = element.get("data-about", "")
    ask = element.get("data-ask", "") if about else ""
    return Pair(keys.get(element.get("data-value", "")), _piece(element), kind, ask, about, section)


_Slot = tuple[str, Piece, Element]
"""At a row and column of a table: "head" or "cell", its text, its element, which may fill many slots."""


def _is_table(element: Element) -> bool:
    return element.tag == "table" or element.get("role") == "table"


def _grid(table: Element) -> list[dict[int, _Slot]]:
    """Rows of slots by column, merged cells spread over all that they cover."""
    rows: list[dict[int, _Slot]] = []
    covered: dict[tuple[int, int], _Slot] = {}
    for y, row in enumerate(e for e in table.iter() if e.tag == "tr" or e.get("role") == "row"):
        x = 0
        for element in filter(_cell, row):
            while (y, x) in covered:
                x += 1
            slot = (_cell(element), _piece(element), element)
            wide, high = (int(element.get(name, 1)) for name in ("colspan", "rowspan"))
            covered |= {(y + down, x + right): slot for down in range(high) for right in range(wide)}
            x += wide
        rows.append({column: covered[y, column] for line, column in sorted(covered) if line == y})
    return rows


def _cell(element: Element) -> str:
    return _CELLS.get(element.get("role", ""), "") or _CELLS.get(element.tag, "")


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
