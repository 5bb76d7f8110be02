"""Questions as they were put: the type, page and name that their words let expect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from graphs.planning.fields import Asked, guess_type, known, one_line
from graphs.planning.phrases import Phrase, held_in, hold_quotes, join_pages, phrase
from layoutllm_tool.cot import ExpectedType

LONGEST_QUESTION = 500
"""Characters, as plans have it."""
ASKING = "what|which|who|whom|whose|when|where|how|why"
WHAT_IS = re.compile(r"(?:what|which) (?:is|are|was|were) |what's |who (?:is|was) |who's ", re.IGNORECASE)


def ask_question(text: str) -> Asked:
    """One question, word for word up to its 500th character, with the type and page that its words let expect."""
    written = one_line(text)[:LONGEST_QUESTION].strip()
    held_text, held = hold_quotes(written)
    asked, pages = read_question(join_pages(held_text), written, held)
    return replace(asked, page=pages[0] if len(pages) == 1 else None)


def read_question(text: str, written: str, held: Sequence[str]) -> tuple[Asked, tuple[int, ...]]:
    """The question and the pages that it names."""
    named = phrase(WHAT_IS.sub("", text, count=1), held)
    entry = known(named.words)
    kind = entry.type if entry else _question_type(text, named)
    if entry and entry.family == "items" and not re.search(r"amount|price|total", named.words):
        kind = "text"
    many = named.many or bool(entry and entry.many)
    quoted = held_in(text, held)
    name = quoted[0] if len(quoted) == 1 and WHAT_IS.match(text) else _short_name(named.words)
    return Asked(name, written, kind, many=many), named.pages


def _question_type(text: str, named: Phrase) -> ExpectedType:
    starts: tuple[tuple[str, ExpectedType], ...] = (("when", "date"), ("on what date", "date"), ("on which date", "date"), ("who", "name"), ("which company", "name"), ("how much", "money"),
                                                    ("how many", "number"), ("what's the", guess_type(named.words)))  # fmt: skip
    lower = text.lower()
    told = next((kind for start, kind in starts if lower.startswith(start)), None)
    return told or (guess_type(named.words) if WHAT_IS.match(text) and named.is_name else "text")


def _short_name(words: str) -> str:
    said = [
        w
        for w in words.split()
        if w.lower() not in ("the", "a", "an", "is", "are", "was", "were", "of", "does", "do", "did")
    ]
    return " ".join(said[:6])
