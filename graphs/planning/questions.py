"""Questions as they were put: the type, page and name that their words let expect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from graphs.planning.fields import Asked, guess_type, known, one_line
from graphs.planning.phrases import Phrase, held_in, hold_quotes, join_pages, phrase
from graphs.planning.words import PATTERNS, WORD_LISTS
from layoutllm_tool.cot import ExpectedType

LONGEST_QUESTION = 500
"""Characters, as plans have it."""
_STARTS: dict[str, ExpectedType] = {
    "when": "date", "on what date": "date", "on which date": "date", "who": "name", "which company": "name",
    "how much": "money", "how many": "number",
}  # fmt: skip
"""The type that the beginning of a question lets expect."""


def ask_question(text: str) -> Asked:
    """One question, word for word up to its 500th character, with its type and page."""
    written = one_line(text)[:LONGEST_QUESTION].strip()
    held_text, held = hold_quotes(written)
    asked, pages = read_question(join_pages(held_text), written, held)
    return replace(asked, page=pages[0] if len(pages) == 1 else None)


def read_question(text: str, written: str, held: Sequence[str]) -> tuple[Asked, tuple[int, ...]]:
    """The question and the pages that it names."""
    named = phrase(PATTERNS["what_is"].sub("", text, count=1), held)
    entry = known(named.words)
    kind = entry.type if entry else _question_type(text, named)
    if entry and entry.family == "items" and not re.search(r"amount|price|total", named.words):
        kind = "text"
    is_list = named.is_list or bool(entry and entry.is_list)
    quoted = held_in(text, held)
    name = quoted[0] if len(quoted) == 1 and PATTERNS["what_is"].match(text) else _short_name(named.words)
    return Asked(name, written, kind, is_list=is_list), named.pages


def _question_type(text: str, named: Phrase) -> ExpectedType:
    lower = text.lower()
    told = next((kind for start, kind in _STARTS.items() if lower.startswith(start)), None)
    if told is None and (lower.startswith("what's the") or (PATTERNS["what_is"].match(text) and named.is_name)):
        return guess_type(named.words)
    return told or "text"


def _short_name(words: str) -> str:
    return " ".join([word for word in words.split() if word.lower() not in WORD_LISTS["not_in_short_names"]][:6])
