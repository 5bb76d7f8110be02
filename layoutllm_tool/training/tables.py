"""Two question sets on Wikipedia tables: FeTaQA and WikiTableQuestions, as far as they fit a page.

- FeTaQA (development split, CC BY-SA 4.0): free answers with the cells that they come from.
- WikiTableQuestions (CC BY-SA 4.0): only questions whose answer is the text of exactly one cell, and none
  that count or calculate: their answer may equal a cell by chance.

Where the tables stand on a page is *not* here. Standard library only.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from layoutllm_tool.errors import DocumentNotFound, DocumentUnreadable
from layoutllm_tool.training.pretraining import files

MAX_WORDS = 350
"""Of a page: what one window holds."""
MAX_COLUMNS = 9
_COUNTED = re.compile(
    r"how (?:many|much|long|old|far|often)"
    r"|\b(?:number|total|difference|average|combined|sum|amount|count|times|percent)\b",
    re.I,
)
_SIGNS = "\u2013\u2014\u2018\u2019\u201c\u201d\u2022\u2026\u20ac\u2122\u2212"
"""Dashes, quotation marks, bullet, ellipsis, euro, trade mark, minus."""
_NUMERAL = re.compile(r"[\d.,%+ -]+|one|two|three|four|five|six|seven|eight|nine|ten", re.I)

Rows = tuple[tuple[str, ...], ...]
"""A table's texts by row and column; the first row holds the heads."""
CellIndex = tuple[int, int]
"""(row, column) into ``Rows``."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a table: its answer and the cells that it comes from."""

    question: str
    answer: str
    cells: tuple[CellIndex, ...]
    free: bool
    """Whether the answer is formed (FeTaQA) and not the text of the one cell."""


@dataclass(frozen=True, slots=True)
class Item:
    """A table with its heading and questions."""

    name: str
    heading: tuple[str, ...]
    rows: Rows
    asked: tuple[Asked, ...]


@lru_cache(maxsize=4)
def fetaqa(data: Path) -> tuple[Item, ...]:
    """FeTaQA's questions whose table fits a page."""
    items = []
    for entry in _entries(data / "fetaqa_dev.jsonl.gz"):
        rows = _rows(entry.get("table_array"))
        cells = _cells(entry.get("highlighted_cell_ids"), rows)
        question, answer = _clean(entry.get("question")), _clean(entry.get("answer"))
        titles = (_clean(entry.get(name)) for name in ("table_page_title", "table_section_title"))
        heading = tuple(filter(None, titles))
        if cells and question and answer and _fits(rows, heading):
            asked = Asked(question, answer, cells, free=True)
            items.append(Item(f"fetaqa/{int(entry.get('feta_id', 0))}", heading, rows, (asked,)))
    return _some(items, data)


@lru_cache(maxsize=4)
def wiki_tables(data: Path) -> tuple[Item, ...]:
    """WikiTableQuestions' tables that fit a page, each with the questions that one cell answers."""
    asked: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for entry in _entries(data / "wikitable_questions.jsonl.gz"):
        answers = entry.get("answers")
        if isinstance(answers, list) and len(answers) == 1 and isinstance(entry.get("table"), str):
            asked[entry["table"]].append((_clean(entry.get("question")), _clean(answers[0])))
    items = []
    for entry in _entries(data / "wikitables.jsonl.gz"):
        name = str(entry.get("id", ""))
        rows = _rows(entry.get("rows"))
        found = tuple(a for question, answer in asked.get(name, ()) if (a := _copied(question, answer, rows)))
        if found and _fits(rows, ()):
            items.append(Item(f"wikitables/{re.sub(r'[^0-9]+', '-', name).strip('-')}", (), rows, found))
    return _some(items, data)


def _copied(question: str, answer: str, rows: Rows) -> Asked | None:
    """None unless exactly one cell says the answer, and the question does not ask for a count."""
    texts = [((y, x), text.lower()) for y, row in enumerate(rows) for x, text in enumerate(row)]
    where = [cell for cell, text in texts if text == answer.lower()]
    if not question or not answer or len(where) != 1 or where[0][0] == 0:
        return None
    if _COUNTED.search(question) and _NUMERAL.fullmatch(answer):
        return None
    return Asked(question, answer, (where[0],), free=False)


def _fits(rows: Rows, heading: tuple[str, ...]) -> bool:
    texts = [text for row in rows for text in row] + list(heading)
    words = sum(len(text.split()) for text in texts)
    if len(rows) < 2 or not 1 < len(rows[0]) <= MAX_COLUMNS or words > MAX_WORDS:
        return False
    letters = Counter(_drawable(c) for text in texts for c in text)
    return not letters[False] and max(Counter(rows[0]).values()) < 3


def _drawable(c: str) -> bool:
    """Latin letters and the signs that the drawing fonts are sure to have."""
    return (c < "\u0250" and c.isprintable()) or c in _SIGNS


def _rows(data: Any) -> Rows:
    """All rows with as many texts as the first; () where it is no table."""
    if not isinstance(data, list) or not all(isinstance(row, list) for row in data) or not data:
        return ()
    width = len(data[0])
    if not width or any(len(row) != width for row in data):
        return ()
    return tuple(tuple(_clean(text) for text in row) for row in data)


def _cells(data: Any, rows: Rows) -> tuple[CellIndex, ...]:
    """Those of the highlighted cells that the table has, in reading order."""
    if not rows or not isinstance(data, list):
        return ()
    cells = ((y, x) for y, row in enumerate(rows) for x, text in enumerate(row) if text)
    return tuple(cell for cell in cells if list(cell) in data)


def _clean(text: Any) -> str:
    """Text on one line, with the spaces and hyphens that people type."""
    if not isinstance(text, str):
        return ""
    text = unicodedata.normalize("NFC", text).translate({0xA0: " ", 0xAD: None, 0x2011: "-", 0x200B: None})
    return " ".join(text.split())


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """The file's JSON objects, one a line."""
    if not path.is_file():
        hint = "Give the folder of tables, or set the weight `mrc` to 0."
        raise DocumentNotFound(f"{path} is missing.", hint=hint)
    found = [files.parsed(line, path.name) for line in files.gunzipped(path).splitlines() if line.strip()]
    return (entry for entry in found if isinstance(entry, dict))


def _some(items: list[Item], data: Path) -> tuple[Item, ...]:
    if not items:
        hint = "Give the folder of FeTaQA and WikiTableQuestions."
        raise DocumentUnreadable(f"no usable table in {data}.", hint=hint)
    return tuple(items)
