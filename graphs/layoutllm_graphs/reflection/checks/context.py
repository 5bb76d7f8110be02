"""What checks are given, and look-ups: texts on pages, values beside a key, types. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from layoutllm_graphs.planning.plan import SEPARATOR, Constraint, PlannedQuestion
from layoutllm_graphs.reflection.types import QuestionResult
from layoutllm_tool.cot import Correction, ExpectedType, LayoutCoT
from layoutllm_tool.documents.dates import days
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.key_places import Found, places
from layoutllm_tool.documents.search import plain
from layoutllm_tool.documents.spatial import SPATIAL_WORDS, contains
from layoutllm_tool.documents.values import readings, spans_of
from layoutllm_tool.messages import quote

_SHOWN = 80
"""Characters of a text from outside in a reason."""
_MOST_PLACES = 100
"""Of one text on the pages; more say no more."""
_LABEL_WORDS = 3
"""Words within which a text that begins with a label of its own comes to its colon."""
_SLOT = re.compile(r"\{\w+\}")


@dataclass(frozen=True, slots=True)
class Spot:
    """Words of a page that spell a text: (line, word) indices."""

    page: Page
    words: tuple[tuple[int, int], ...]

    @property
    def lines(self) -> set[tuple[int, int]]:
        """(page, line)"""
        return {(self.page.number, line) for line, _ in self.words}


def shown(text: str) -> str:
    """Text from a page or a model inside a reason: quoted, bounded, on one line."""
    return quote(text, _SHOWN)


@dataclass(frozen=True, slots=True)
class CheckInput:
    """An answer and what it is checked against. Checks change nothing in it.

    Page numbers and line or word indices come from outside: those that the document lacks are passed over.
    """

    question: PlannedQuestion
    cot: LayoutCoT
    document: Document
    """With its words; checks look at no pixels."""
    earlier: tuple[LayoutCoT, ...] = ()
    """The other attempts at the same question, first to last."""
    tried: tuple[Correction, ...] = ()
    """The corrections that led from each attempt to the next."""
    others: Mapping[str, LayoutCoT] = field(default_factory=dict)
    """The present answers of the plan's other questions, by name."""
    constraints: Sequence[Constraint] = ()
    """Those of the plan that name this question."""

    @classmethod
    def of(
        cls, result: QuestionResult, question: PlannedQuestion, document: Document, **more: Any
    ) -> CheckInput:
        """The best attempt beside the others."""
        cots = [attempt.cot for attempt in result.attempts]
        cot = cots.pop(result.best or 0)
        tried = tuple(attempt.correction for attempt in result.attempts if attempt.correction)
        return cls(question, cot, document, tuple(cots), tried, **more)

    @property
    def pages(self) -> tuple[Page, ...]:
        """The pages with words that the question may look at."""
        only = self.question.page
        return tuple(p for p in self.document.pages if p.lines is not None and only in (None, p.number))

    @property
    def page(self) -> Page | None:
        """The page that the answer, or its area, is on; None where there is none or it has no words."""
        return next((page for page in self.pages if page.number == self.cot.page), None)

    def line_texts(self) -> Iterator[str]:
        """The text of every line of the pages."""
        return (line.text for page in self.pages for line in page.lines or ())

    @property
    def asked(self) -> str:
        """The question without the other answers filled in: those are the document's words."""
        return _SLOT.sub(" ", self.question.text)

    @property
    def values(self) -> tuple[str, ...]:
        """The answer's values: several, joined by "; ", where the question asks for a list; none for None."""
        answer = self.cot.answer
        if answer is None:
            return ()
        if not self.question.is_list:
            return (answer,)
        return tuple(dict.fromkeys(part.strip() for part in answer.split(SEPARATOR) if part.strip()))

    @property
    def key(self) -> str:
        """What step 1 looks for; without its spatial words where no page has it with them."""
        key = self.cot.analysis.key
        if any(contains(text, key) for text in self.line_texts()):
            return key
        return " ".join(word for word in key.split() if plain(word) not in SPATIAL_WORDS)

    @property
    def area(self) -> set[tuple[int, int]]:
        """(page, line) of everything in the relevant areas."""
        return area_lines(self.cot, self.pages)

    @property
    def spots(self) -> list[Spot]:
        """Where the answer was copied from; without evidence, where it stands in its area, or anywhere."""
        pages = {page.number: page for page in self.pages}
        evidence = [(pages[e.page], e.words) for e in self.cot.evidence if e.page in pages]
        copied = [Spot(page, known) for page, words in evidence if (known := _known_words(page, words))]
        if copied:
            return copied
        written = Written(self.pages)
        anywhere = [spot for value in self.values for spot in written.spots(value)]
        area = self.area
        return [spot for spot in anywhere if spot.lines <= area] or anywhere

    @property
    def words(self) -> set[tuple[int, int, int]]:
        """(page, line, word) of all that the answer takes."""
        return {(spot.page.number, *word) for spot in self.spots for word in spot.words}

    @property
    def beside_key(self) -> list[Found]:
        """What stands after, right of or under a whole key: values of the expected type, no labels."""
        key = self.key
        found = [place for page in self.pages for place in places(page, key)]
        return [place for place in found if place.share == 1.0 and self._is_value(place.text)]

    @property
    def others_beside_key(self) -> list[Found]:
        """What stands beside the key, without what the answer takes."""
        mine = self.words
        return [place for place in self.beside_key if not overlaps(mine, place)]

    def _is_value(self, text: str) -> bool:
        if not plain(text) or any(map(is_label, text.split()[:_LABEL_WORDS])) or is_label(text):
            return False  # "DATE: May 5" beside "Code:" is the next field, and no code
        choices = self.question.choices
        return fits(self.question.type, text) and (not choices or any(same_words(text, c) for c in choices))


def area_lines(cot: LayoutCoT, pages: Iterable[Page]) -> set[tuple[int, int]]:
    """(page, line) of everything in the relevant areas."""
    found: set[tuple[int, int]] = set()
    for page in pages:
        for area in cot.areas:
            if area.page == page.number:
                lines = area.lines or page.lines_in(area.box)
                found |= {(page.number, line) for line in lines if 0 <= line < len(page.lines or ())}
    return found


class Written:
    """The text of pages, prepared once to look several texts up."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self.pages = [(page, *_written(page)) for page in pages]

    def spots(self, text: str) -> list[Spot]:
        """Where the pages spell the text, whatever case and line breaks, but not inside a word or number."""
        wanted = " ".join(text.lower().split())
        found = (spot for page in self.pages for spot in _spots(*page, wanted))
        return list(islice(found, _MOST_PLACES)) if wanted else []


def _spots(page: Page, written: str, owners: Sequence[tuple[int, int] | None], wanted: str) -> Iterator[Spot]:
    start = written.find(wanted)
    while start >= 0:
        stop = start + len(wanted)
        if _apart(written, start) and _apart(written, stop):
            yield Spot(page, tuple(dict.fromkeys(owner for owner in owners[start:stop] if owner is not None)))
        start = written.find(wanted, start + 1)


def _written(page: Page) -> tuple[str, list[tuple[int, int] | None]]:
    """The page as one lower-case string, and whose word each character is; None for the blanks between."""
    pieces: list[str] = []
    owners: list[tuple[int, int] | None] = []
    for number, line in enumerate(page.lines or ()):
        for index, word in enumerate(line.words):
            piece = " ".join(word.text.lower().split())
            pieces.append(piece)
            owners += [(number, index)] * len(piece) + [None]
    return " ".join(pieces), owners


def _apart(text: str, at: int) -> bool:
    """Whether no word and no number goes on across this position."""
    if not 0 < at < len(text):
        return True
    a, b = text[at - 1], text[at]
    return not (a.isdigit() and b.isdigit()) and not (a.isalpha() and b.isalpha())


class Copied:
    """Values copied line by line with other lines left out: an address beside a stamp.

    The page's own words, in their order, must spell a value. The first may begin, the last end, in a word.
    """

    def __init__(self, given: CheckInput) -> None:
        self.spots: dict[tuple[str, ...], list[tuple[str, str, Spot]]] = defaultdict(list)
        """By the words between the first and the last."""
        for spot in given.spots:
            words = _words(spot)
            if len(words) > 1 and list(spot.words) == sorted(spot.words):
                self.spots[tuple(words[1:-1])].append((words[0], words[-1], spot))

    def spots_of(self, value: str) -> list[Spot]:
        words = value.lower().split()
        known = self.spots.get(tuple(words[1:-1]), []) if len(words) > 1 else []
        return [spot for a, b, spot in known if a.endswith(words[0]) and b.startswith(words[-1])]


def _words(spot: Spot) -> list[str]:
    lines = spot.page.lines or ()
    return [word for line, i in spot.words for word in lines[line].words[i].text.lower().split()]


def _known_words(page: Page, words: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    lines = page.lines or ()
    return tuple((line, i) for line, i in words if 0 <= line < len(lines) and 0 <= i < len(lines[line].words))


def is_label(text: str) -> bool:
    return text.rstrip().endswith((":", "\uff1a"))


def same_words(a: str, b: str) -> bool:
    """Whatever the case, punctuation and blanks."""
    return plain(a) == plain(b) != ""


def fits(expected: ExpectedType, text: str) -> bool:
    """Whether the text holds a value of the type. Anything is a text or an address."""
    if expected in ("text", "address"):
        return True
    if expected in ("money", "number") and readings(text):
        return True
    return bool(spans_of(expected, text)) or (expected == "date" and bool(days(text)))


def leads(expected: ExpectedType, text: str) -> bool:
    """Whether the text begins with a value of the type: "12.50 EUR" does, "incl. tax 12.50" doesn't."""
    return any(not plain(text[:start]) for start, _ in spans_of(expected, text))


def overlaps(mine: Collection[tuple[int, int, int]], place: Found) -> bool:
    """Whether any word of the place is among these."""
    return any((place.page.number, place.line, word) in mine for word in place.words)


def labelled(place: Found, key: str) -> bool:
    """Whether the key's line is a label: it begins with the key, and has one more word or the value."""
    words = [term for word in (place.page.lines or ())[place.key_line].words if (term := plain(word.text))]
    terms = [term for word in key.split() if (term := plain(word))]
    return words[: len(terms)] == terms and (place.relation == "inside" or len(words) <= len(terms) + 1)


def look_at(page: Page, lines: Sequence[int]) -> Correction:
    """The correction that points step 2 at these lines and no others."""
    boxes = dict.fromkeys((page.lines or ())[line].box for line in lines)
    return Correction(step="area", page=page.number, boxes=tuple(boxes))


def at_place(place: Found) -> Correction:
    """The correction that points step 2 at a key and the value beside it."""
    return look_at(place.page, (place.key_line, place.line))
