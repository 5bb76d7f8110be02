"""Sentences that say what must hold between fields -> checks: "the items add up to the total". Pure.

Strict comparisons ("before", "less than") become a plan's non-strict ones. Amounts compared with a number
that stands in the task ("the total is under 100") are *not* covered: constraints hold between answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from layoutllm_graphs.planning.phrases import Phrase, phrase
from layoutllm_graphs.planning.plan import ConstraintKind
from layoutllm_graphs.planning.words import PATTERNS

_ORDERS = (
    (PATTERNS["not_before"], True, False),
    (PATTERNS["not_after"], False, False),
    (PATTERNS["before"], False, True),
    (PATTERNS["after"], True, True),
)
"""(verb, whether its sides are in reverse order, whether it is strict)"""
_MOST_TERMS = 12
_LONGEST = 600


@dataclass(frozen=True, slots=True)
class Check:
    """A constraint whose terms are still phrases."""

    kind: ConstraintKind
    terms: tuple[Phrase, ...]
    total: Phrase | None = None
    strict: bool = False
    """Said as "before", not as "not after"."""


def parse_checks(text: str, held: Sequence[str]) -> list[Check]:
    """The checks of a sentence without its prefix, all of them or [] where a part of it is not understood."""
    if len(text) > _LONGEST:
        return []
    found: list[Check] = []
    for part in filter(str.strip, PATTERNS["and_that"].split(text)):
        checks = _one_or_two(PATTERNS["inverted"].sub("", part.strip(" ,.;:!?"), count=1), held)
        if not checks:
            return []
        found += checks
    return found


def _one_or_two(text: str, held: Sequence[str]) -> list[Check]:
    if whole := parse_check(text, held):
        return [whole]
    for found in list(re.finditer(r",?\s+and\s+|,\s+", text))[:_MOST_TERMS]:
        left, right = parse_check(text[: found.start()], held), parse_check(text[found.end() :], held)
        if left and right:
            return [left, right]
    return []


def parse_check(text: str, held: Sequence[str]) -> Check | None:
    """None where the sentence is not one of those known."""
    text = " ".join(text.split())
    return _sums(text, held) or _orders(text, held) or _equals(text, held)


def _sums(text: str, held: Sequence[str]) -> Check | None:
    if sides := _sides(PATTERNS["adds_up_to"], text):
        return _sum(PATTERNS["term_and"].split(sides[0]), sides[1], held)
    sides = _sides(PATTERNS["equals"], text) or _sides(PATTERNS["is"], text)
    for left, right in (sides, sides[::-1]) if sides else ():
        if summed := PATTERNS["sum_of"].match(left):
            return _sum(PATTERNS["term_and"].split(left[summed.end() :]), right, held)
        if len(terms := PATTERNS["plus"].split(left)) > 1:
            return _sum([part for term in terms for part in PATTERNS["term_and"].split(term)], right, held)
        if len(terms := PATTERNS["minus"].split(left)) == 2:
            return _sum([right, terms[1]], terms[0], held)
    return None


def _sum(terms: Sequence[str], total: str, held: Sequence[str]) -> Check | None:
    named, whole = _names(terms, held), _names([total], held)
    return Check("sum", named, whole[0]) if named and whole else None


def _orders(text: str, held: Sequence[str]) -> Check | None:
    for verb, reverse, strict in _ORDERS:
        if sides := _sides(verb, text):
            named = _names(sides[::-1] if reverse else sides, held)
            return Check("ordered", named, strict=strict) if named else None
    return None


def _equals(text: str, held: Sequence[str]) -> Check | None:
    if sides := _sides(PATTERNS["same_on_page"], text):
        named = _names([" ".join(sides)], held)
        return _equal([f"{sides[0]} on page {page}" for one in named for page in one.pages], held)
    if ends := PATTERNS["both_same"].search(text):
        return _equal(PATTERNS["term_and"].split(text[: ends.start()]), held)
    equal = _sides(PATTERNS["equals"], text) or ()
    if any(PATTERNS["term_and"].search(side) for side in equal):  # "a and b equal c": a sum, or all the same?
        return None
    return _equal(equal, held)


def _equal(terms: Sequence[str], held: Sequence[str]) -> Check | None:
    named = _names(terms, held)
    return Check("equal", named) if len(named) > 1 else None


def _sides(verb: re.Pattern[str], text: str) -> tuple[str, str] | None:
    sides = verb.split(text, maxsplit=2)
    return (sides[0], sides[1]) if len(sides) == 2 and all(side.strip() for side in sides) else None


def _names(terms: Sequence[str], held: Sequence[str]) -> tuple[Phrase, ...]:
    """The phrases, or () where one is none, such as "it", or says more than a name."""
    found = tuple(phrase(term, held) for term in terms[: _MOST_TERMS + 1])
    sure = all(term.words and term.is_name and any(c.isalpha() for c in term.words) for term in found)
    return found if sure and len(found) <= _MOST_TERMS and len(found) == len(terms) else ()
