"""The words of a clause that its plan does not use. Pure.

A word is used by a question, a column, a condition or a check that holds it, by a refusal, or by a sentence
or pattern of the language that has it for its own ("extract", "from the invoice").
"""

from __future__ import annotations

from collections.abc import Iterable

from layoutllm_graphs.planning.words import Language


def left_over(said: str, used: Iterable[str], language: Language, *, computed: bool) -> str:
    """The clause from the first to the last word that nothing uses; "" where all are used.

    ``computed``: the words of operations, tables and checks are used as well.
    """
    text = language.patterns["harmless"].sub(" ", said)
    held = (
        frozenset(language.content_of(" ".join(used)))
        | language.common
        | (language.told if computed else frozenset())
    )
    is_used = _is_one_of if language.spaced else _is_made_of
    lost = [f for f in language.patterns["content"].finditer(text) if not is_used(f.group().casefold(), held)]
    return text[lost[0].start() : lost[-1].end()] if lost else ""


def _is_one_of(word: str, held: frozenset[str]) -> bool:
    """Whether it is there, but for an ending: the singular, the plural, a case."""
    shorter = {word[:-1], word[:-2]} if len(word) > 4 else {word[:-1]} if len(word) > 2 else set()
    return not held.isdisjoint({word, f"{word}s", *shorter})


def _is_made_of(word: str, held: frozenset[str]) -> bool:
    """Whether it is made of such words, where no blanks stand between words."""
    for part in sorted((part for part in held if part in word), key=len, reverse=True):
        word = word.replace(part, "")
    return not word
