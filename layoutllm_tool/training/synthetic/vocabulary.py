"""What documents print and how people ask for it.

``forms.toml``: keys, titles and options of drawn forms, letters and business pages. ``wordings/``, written by
hand: kinds of field, facts in sentences, tables, headings, and questions that a kind of document does not
answer.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

_HERE = Path(__file__).parent
FORMS: dict[str, dict[str, Any]] = tomllib.loads((_HERE / "forms.toml").read_text(encoding="utf-8"))
TYPED = FORMS["typed"]
THEMES: dict[str, dict[str, Any]] = FORMS["theme"]
"""By name: the keys of typed business forms with the kinds of their values, titles, blocks."""


def chosen(theme: str, rng: Random, count: int) -> list[tuple[str, str]]:
    """``count`` different keys with kinds: of the theme, composed, of other themes, whole sentences."""
    own, fields = THEMES[theme]["fields"], dict[str, str]()
    while len(fields) < count:
        roll = rng.random()
        if roll < 0.68:
            name, kind = rng.choice(own)
        elif roll < 0.88:
            name, kind = composed(rng)
        elif roll < 0.97:
            name, kind = rng.choice(THEMES[rng.choice(tuple(THEMES))]["fields"])
        else:
            name, kind = rng.choice(TYPED["sentences"])
        fields.setdefault(name + (f" {rng.choice(TYPED['tails'])}" if rng.random() < 0.05 else ""), kind)
    return list(fields.items())


def composed(rng: Random) -> tuple[str, str]:
    """A key of two or three words: "Retail Carton Weight"."""
    head, kind = rng.choice(TYPED["heads"])
    first = " ".join(rng.sample(TYPED["subjects"], rng.choice((1, 1, 1, 2))))
    return (f"{head} of {first}" if rng.random() < 0.12 else f"{first} {head}"), kind


def near(name: str, rng: Random) -> str:
    """A key much like ``name`` that asks for something else: one of its words is another one."""
    words = name.split(" ")
    at = rng.randrange(len(words))
    if len(words) == 1:
        if rng.random() < 0.5:
            return f"{rng.choice(TYPED['subjects'])} {name}"
        return f"{name} {rng.choice(TYPED['heads'])[0]}"
    words[at] = rng.choice(TYPED["subjects"]) if at == 0 else rng.choice(TYPED["heads"])[0]
    return " ".join(words)


def questions_about(what: str, **names: object) -> tuple[str, ...]:
    """Whole questions about something without a printed key, filled with names."""
    return tuple(question.format(**names) for question in FORMS["questions"][what])


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
    """The entries of a kind in all files, each with the file's name; lists are tuples."""
    for path in sorted((_HERE / "wordings").glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8")).get(kind, ()):
            yield path.stem, {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}


@cache
def fields() -> tuple[Field, ...]:
    found = []
    for theme, entry in _entries("field"):
        entry["questions"] += entry.pop("questions_en", ())
        found.append(Field(theme=theme, **entry))
    return tuple(found)


@cache
def facts() -> tuple[Fact, ...]:
    return tuple(Fact(**entry) for _, entry in _entries("fact"))


@cache
def tables() -> tuple[TableKind, ...]:
    return tuple(TableKind(**entry) for _, entry in _entries("table"))


@cache
def headings() -> tuple[str, ...]:
    return tuple(title for _, entry in _entries("heading") for title in entry["titles"])


@cache
def unanswerable() -> tuple[str, ...]:
    return tuple(question for _, entry in _entries("document") for question in entry["questions"])
