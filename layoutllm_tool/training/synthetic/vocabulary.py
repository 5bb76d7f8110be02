"""What documents print and how people ask for it, from the data files in ``wordings/``: kinds of field, facts in sentences,
tables, headings, and questions that a kind of document does not answer. Written by hand."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "wordings"


@dataclass(frozen=True, slots=True)
class Field:
    """A kind of field: printed keys, wordings of the question, values as examples."""

    id: str
    type: str
    theme: str
    keys: tuple[str, ...]
    questions: tuple[str, ...]
    examples: tuple[str, ...] = ()
    confusable: tuple[str, ...] = ()
    """Ids of fields that are easily taken for it."""
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact in a sentence: templates with ``{value}`` and other places to fill, values as examples."""

    id: str
    type: str
    templates: tuple[str, ...]
    questions: tuple[str, ...]
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableKind:
    """A table: headers, row labels, questions with ``{column}`` and ``{row}``."""

    id: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    questions: tuple[str, ...]


def _entries(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FOLDER.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8")).get(kind, ()):
            yield path.stem, entry


@cache
def fields() -> tuple[Field, ...]:
    return tuple(
        Field(
            entry["id"], entry["type"], theme, tuple(entry["keys"]),
            (*entry["questions"], *entry.get("questions_en", ())), tuple(entry.get("examples", ())),
            tuple(entry.get("confusable", ())), entry.get("language", "en"),
        )
        for theme, entry in _entries("field")
    )  # fmt: skip


@cache
def facts() -> tuple[Fact, ...]:
    return tuple(
        Fact(e["id"], e["type"], tuple(e["templates"]), tuple(e["questions"]), tuple(e.get("examples", ())))
        for _, e in _entries("fact")
    )


@cache
def tables() -> tuple[TableKind, ...]:
    return tuple(
        TableKind(e["id"], tuple(e["columns"]), tuple(e["rows"]), tuple(e["questions"])) for _, e in _entries("table")
    )


@cache
def headings() -> tuple[str, ...]:
    return tuple(title for _, entry in _entries("heading") for title in entry["titles"])


@cache
def unanswerable() -> tuple[str, ...]:
    return tuple(question for _, entry in _entries("document") for question in entry["questions"])
