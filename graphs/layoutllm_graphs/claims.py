"""Claims of a text that a chat model wrote, held against the pages: numbers, dates and names, sentence by
sentence.

A claim is proved where it stands on a page, numbers and dates in whatever notation. What a sentence says
about them is *not* checked, nor are names in scripts without capitals, nor single capitalised words of
German.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property

from layoutllm_tool.cot import Evidence
from layoutllm_tool.documents import dates, values
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.page_layout import PageLayout
from layoutllm_tool.documents.search import find_exact, is_common, letters

_ENDS = re.compile(
    r"(?<=[.!?])(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bNo\.)(?<!\bNr\.)(?<!\bSt\.)(?<!\bMrs\.)"
    r"(?<!\s\d\.)(?<!\s\d\d\.)\s+|(?<=[\u3002\uff01\uff1f])|\n+"
)
_NUMBER = re.compile(r"\d+(?:[.,'\u2019/:-]\d+)*")
_NAME = re.compile(r"[^\W\d_a-zß-öø-ÿ][\w&'\u2019-]*")
_WORD = re.compile(r"[\w&'\u2019-]+")
_GERMAN = re.compile(r"\b(?:der|die|das|und|ist|den|dem|nicht|mit|für|ein|eine|wird|zu)\b", re.IGNORECASE)
_LONG = 6
"""Digits, or letters and digits, that may be printed in groups."""
_MOST_EVIDENCE = 40


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its claims, as written."""

    text: str
    proved: tuple[str, ...]
    unproved: tuple[str, ...]
    """Claims that stand on no page."""


def sentences(text: str, pages: Sequence[Page]) -> list[Sentence]:
    """The text's sentences in order, each with its claims. Pages must have been read."""
    printed, german = _Printed(pages), _GERMAN.search(text) is not None
    return [_held(part, printed, german) for part in map(str.strip, _ENDS.split(text)) if part]


def evidence_of(claims: Iterable[str], pages: Sequence[Page]) -> Iterator[Evidence]:
    """Where each claim that is printed as it is written stands first; at most 40."""
    layouts = [PageLayout(page) for page in pages]
    for claim in list(dict.fromkeys(claims))[:_MOST_EVIDENCE]:
        for layout in layouts:
            if found := find_exact(layout, claim):
                yield Evidence.of(layout.page, [word.id for word in found[0].words])
                break


class _Printed:
    """What stands on the pages."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self.lines = [line.text for page in pages for line in page.lines or ()]

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(_bare(word) for line in self.lines for word in _WORD.findall(line))

    @cached_property
    def days(self) -> frozenset[date]:
        return frozenset(day for line in self.lines for found in dates.apart(line)[0] for day in found)

    @cached_property
    def numbers(self) -> frozenset[str]:
        every = [number for line in self.lines for number in _NUMBER.findall(line)]
        return frozenset(map(_bare, (*every, *(part for one in every for part in re.split(r"[/:-]", one)))))

    @cached_property
    def amounts(self) -> frozenset[Decimal]:
        return frozenset(
            value for line in self.lines for one in _NUMBER.findall(line) for value in _amounts(one)
        )

    @cached_property
    def digits(self) -> str:
        return "\n".join(re.sub(r"\D", "", line) for line in self.lines)

    @cached_property
    def letters(self) -> str:
        """Letters and digits."""
        return "\n".join(map(letters, self.lines))

    def has_number(self, number: str) -> bool:
        bare = re.sub(r"\D", "", number)
        grouped = len(bare) >= _LONG and bare in self.digits
        return _bare(number) in self.numbers or grouped or not self.amounts.isdisjoint(_amounts(number))

    def has_name(self, name: str) -> bool:
        """Whether its words stand on the pages, one by one; a long one may be printed in groups."""
        return all(_bare(part) in self.words or self._has_grouped(letters(part)) for part in name.split())

    def _has_grouped(self, word: str) -> bool:
        return len(word) >= _LONG and any(c.isdecimal() for c in word) and word in self.letters


def _held(text: str, printed: _Printed, german: bool) -> Sentence:
    found, rest = dates.apart(text)
    days = [(str(min(day)), not printed.days.isdisjoint(day)) for day in found]
    numbers = [(number, printed.has_number(number)) for number in _NUMBER.findall(rest)]
    names = [(name, printed.has_name(name)) for name in _names(text, german)]
    claims = [*days, *numbers, *names]
    return Sentence(
        text,
        tuple(claim for claim, holds in claims if holds),
        tuple(claim for claim, holds in claims if not holds),
    )


def _names(text: str, german: bool) -> Iterator[str]:
    """Runs of capitalised words. The first word of a sentence is none by itself."""
    for number, run in _runs(text):
        words = [
            w for w in run if not (is_common(w) or dates.is_month(w) or (german and _GERMAN.fullmatch(w)))
        ]
        if not words or (len(words) == 1 and (number == 0 or (german and not words[0].isupper()))):
            continue
        yield " ".join(words)


def _runs(text: str) -> Iterator[tuple[int, list[str]]]:
    """Capitalised words one after another, with the number of the first one in the sentence."""
    run, begun = list[str](), 0
    for number, word in enumerate(text.split()):
        inside = _WORD.search(word)
        if inside and _NAME.fullmatch(inside[0]):
            begun = begun if run else number
            run.append(inside[0])
        if run and not (inside and _NAME.fullmatch(inside[0]) and word.endswith(inside[0])):
            yield begun, run
            run = []
    if run:
        yield begun, run


def _amounts(number: str) -> tuple[Decimal, ...]:
    read = values.read(number)
    return read.readings if read else ()


def _bare(word: str) -> str:
    """In one case, without a possessive's ending; a number without leading zeros."""
    plain = re.sub(r"['\u2019]s?$", "", word.casefold())
    return plain.lstrip("0") or plain
