"""Sentences that say what must hold between fields: "the items add up to the total" -> a check. Pure, rules only.

Strict comparisons ("before", "less than") become a plan's non-strict ones. Amounts compared with a number that stands in the
task ("the total is under 100") are *not* covered: constraints hold between answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from graphs.planning.fields import Kind
from graphs.planning.phrases import Phrase, phrase

PREFIX = re.compile(
    r"(?:(?:please|and|then|also|finally|but|to|you|can|could|should|must|do|both)\s+)*"
    r"(?:check|double-check|verify|make sure|ensure|confirm|validate|assert|test|see|note)(?:\s+(?:that|whether|if))?\s*:?\s+",
    re.IGNORECASE,
)
"""The beginning of a sentence that asks for a check."""
_SPLIT_AT = re.compile(r"[,;]?\s+and\s+(?:that|whether|if)\s+|[,;]\s+(?:that|whether|if)\s+", re.IGNORECASE)
_BE = r"(?:is|are|was|were|be|must be|should be|has to be|have to be|needs to be|must|should|shall|does|do|comes?|may)"
_MUST = r"(?:must|should|shall|has to|have to|needs to|need to|do|does)"
_SUMS = r"(?:add|adds|sum|sums|added|summed|total|totals|come|comes|amount|amounts)\s+(?:up\s+)?to"
_SAME = (
    rf"(?:equals?|{_MUST} (?:be )?(?:equal(?: to)?|match|agree with|correspond to|the same as)|(?:be |is |are )?equal to|matche?s?|agrees? with|corresponds? to"
    r"|(?:is|are|be|must be|should be|has to be)\s+(?:exactly\s+)?(?:equal to|the same as|identical to)|the same as|={1,2})"
)
_AS_IS = r"(?:is|are|makes?|gives?|must be|should be|has to be)"
_OR = r"(?:earlier|before|less|smaller|lower)"
_LATER = r"(?:later|after|more|greater|larger|higher|bigger)"


def _verb(words: str) -> re.Pattern[str]:
    return re.compile(rf"\s+(?:{words})\s+", re.IGNORECASE)


_SUM = _verb(rf"(?:{_BE} )?{_SUMS}")
_EQUAL = _verb(_SAME)
_IS = _verb(_AS_IS)
_NOT_BEFORE = _verb(
    rf"(?:{_BE} )?(?:not|never) (?:be )?{_OR}(?: than)?|(?:{_BE} )?(?:on or after|at least|no {_OR} than|>=|≥)"
)
_NOT_AFTER = _verb(rf"(?:{_BE} )?(?:not|never) (?:be )?{_LATER}(?: than)?|(?:{_BE} )?(?:on or before|at most|no {_LATER} than|<=|≤)|(?:{_BE} )?not exceed")  # fmt: skip
_BEFORE = _verb(rf"{_BE} {_OR}(?: than)?|precedes?|<")
_AFTER = _verb(rf"{_BE} {_LATER}(?: than)?|exceeds?|>")
_BOTH_SAME = re.compile(r"\s+(?:(?:are|be|is) (?:all )?(?:the same|equal(?: to each other)?|identical)|match|agree)\s*$", re.IGNORECASE)  # fmt: skip
_SAME_ON = re.compile(r"\s+(?:is|are) (?:the same|equal|identical) on (?=page )", re.IGNORECASE)
_SUM_OF = re.compile(r"(?:the )?(?:sum|total) of (?:all )?(?:the )?", re.IGNORECASE)
_PLUS = re.compile(r"\s+(?:plus|\+)\s+|\s*\+\s+", re.IGNORECASE)
_MINUS = re.compile(r"\s+(?:minus|less|-|\u2013)\s+", re.IGNORECASE)
_AND = re.compile(r"\s*,\s*(?:and\s+)?|\s+(?:and|plus|\+|&)\s+", re.IGNORECASE)
_INVERTED = re.compile(r"(?:do|does|did)\s+", re.IGNORECASE)
_MOST_TERMS = 12
_LONGEST = 600


@dataclass(frozen=True, slots=True)
class Check:
    """A constraint whose terms are still phrases."""

    kind: Kind
    terms: tuple[Phrase, ...]
    total: Phrase | None = None
    strict: bool = False
    """Said as "before", not as "not after"."""


def split_checks(text: str) -> list[str]:
    """ "X and that Y" -> X, Y."""
    return [part for part in _SPLIT_AT.split(text) if part.strip()]


def parse_checks(text: str, held: Sequence[str]) -> list[Check]:
    """The checks of a sentence without its prefix, all of them or [] where a part of it is not understood."""
    if len(text) > _LONGEST:
        return []
    found: list[Check] = []
    for part in split_checks(text):
        checks = _one_or_two(_INVERTED.sub("", part.strip(" ,.;:!?"), count=1), held)
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
    if sides := _sides(_SUM, text):
        return _sum(_AND.split(sides[0]), sides[1], held)
    sides = _sides(_EQUAL, text) or _sides(_IS, text)
    for left, right in (sides, sides[::-1]) if sides else ():
        if summed := _SUM_OF.match(left):
            return _sum(_AND.split(left[summed.end() :]), right, held)
        if len(terms := _PLUS.split(left)) > 1:
            return _sum([part for term in terms for part in _AND.split(term)], right, held)
        if len(terms := _MINUS.split(left)) == 2:
            return _sum([right, terms[1]], terms[0], held)
    return None


def _sum(terms: Sequence[str], total: str, held: Sequence[str]) -> Check | None:
    named, whole = _names(terms, held), _names([total], held)
    return Check("sum", named, whole[0]) if named and whole else None


def _orders(text: str, held: Sequence[str]) -> Check | None:
    for pattern, turned, strict in ((_NOT_BEFORE, 1, 0), (_NOT_AFTER, 0, 0), (_BEFORE, 0, 1), (_AFTER, 1, 1)):
        if sides := _sides(pattern, text):
            named = _names(sides[::-1] if turned else sides, held)
            return Check("ordered", named, strict=bool(strict)) if named else None
    return None


def _equals(text: str, held: Sequence[str]) -> Check | None:
    if sides := _sides(_SAME_ON, text):
        one = _names([" ".join(sides)], held)
        pages = one[0].pages if one else ()
        words = sides[0]
        return _equal([f"{words} on page {page}" for page in pages], held)
    if ends := _BOTH_SAME.search(text):
        return _equal(_AND.split(text[: ends.start()]), held)
    sides = _sides(_EQUAL, text)
    if sides and not any(len(_AND.split(side)) > 1 for side in sides):  # "a and b equal c": a sum, or all the same?
        return _equal(sides, held)
    return None


def _equal(terms: Sequence[str], held: Sequence[str]) -> Check | None:
    named = _names(terms, held)
    return Check("equal", named) if len(named) > 1 else None


def _sides(pattern: re.Pattern[str], text: str) -> tuple[str, str] | None:
    sides = pattern.split(text, maxsplit=2)
    return (sides[0], sides[1]) if len(sides) == 2 and all(side.strip() for side in sides) else None


def _names(terms: Sequence[str], held: Sequence[str]) -> tuple[Phrase, ...]:
    """The phrases, or () where one is none, such as "it", or says more than a name."""
    found = tuple(phrase(term, held) for term in terms[: _MOST_TERMS + 1])
    sure = all(term.words and term.is_name and any(c.isalpha() for c in term.words) for term in found)
    return found if sure and len(found) <= _MOST_TERMS and len(found) == len(terms) else ()
