"""A task in words -> its clauses: sentences, list entries, what is asked for and what is to be checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from layoutllm_graphs.planning.words import PATTERNS, WORD_LISTS

_BULLET = re.compile(r"\s*(?:[-*•\u2013·▪◦+]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s+")
_INLINE = re.compile(r"(?:(?<=\s)|(?<=^))\(?(\d{1,2})[.)]\s")
_END = re.compile(r"[;\n]|(?<![.!?])[.!?]+(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Clause:
    text: str
    asked: bool = False
    """Ends with a question mark."""
    item: bool = False
    """An entry of a list: one thing, unless every part of it is a known field."""
    given: bool = False
    """The list was handed over as one: each entry is a field, a question or a check, whatever its words."""


def clauses_of(text: str) -> Iterator[Clause]:
    """In order; inline enumerations ("1) vendor 2) date") are lists too."""
    numbers = [int(found.group(1)) for found in _INLINE.finditer(text)]
    if numbers[:2] == [1, 2]:
        text = _INLINE.sub(lambda found: f"\n{found.group(1)}. ", text)
    for line in text.splitlines():
        bullet = _BULLET.match(line)
        for part in _sentences(line[bullet.end() :] if bullet else line):
            if part.text:
                yield replace(part, item=bullet is not None)


def _sentences(line: str) -> Iterator[Clause]:
    start = 0
    for found in _END.finditer(line):
        said = line[start : found.start()].strip()
        last = said.rsplit(maxsplit=1)[-1].lower().lstrip("(") if said else ""
        shortened = last in WORD_LISTS["abbreviations"] or len(last) == 1
        if found.group() == "." and shortened and line[found.end() :].strip():
            continue
        yield Clause(said, "?" in found.group())
        start = found.end()
    yield Clause(line[start:].strip())


def apart(clause: Clause) -> list[Clause]:
    """What is to be extracted, and what is to be checked."""
    kept = PATTERNS["aside"].sub(" ", clause.text)
    wholes = PATTERNS["and_check"].split(kept)
    parts = [part.strip() for whole in wholes for part in PATTERNS["and_verb"].split(whole)]
    return [replace(clause, text=part) for part in parts if part]
