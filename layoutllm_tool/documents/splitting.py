"""A file of several documents -> its documents: which pages belong together, and of what kind each one is.

Rules alone, on pages whose words are known: page numbers, sizes, letterheads, titles, numbers that pages
share. Each rule is a cue with a weight; together they say how likely a document begins on a page. The order
of the pages is taken as it is: shuffled pages are *not* sorted.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from layoutllm_tool.documents.geometry import Document, Line, Page
from layoutllm_tool.documents.page_kinds import KINDS, Kinds, kind_of, title_of

_HEAD, _FOOT = 130, 900
"""Letterheads end and feet begin here (0-1000)."""
_EDGE_TOP, _EDGE_FOOT = 200, 850
"""Page numbers stand above or below."""
_ALIKE = 0.03
"""Difference of two pages' proportions that is none."""

_OF = r"(?:of|/|von|de|di|van|sur|out of)"
_PAGE = r"(?:page|pg\.?|sheet|seite|blatt|página|pagina|pag\.?|blad|feuille)"
_NUMBERED = (
    re.compile(rf"\b{_PAGE}(?: no\.?)?\s*:?\s*(\d{{1,3}})\s*{_OF}\s*(\d{{1,3}})\b", re.IGNORECASE),
    re.compile(r"(\d{1,3})\s*/\s*(\d{1,3})\s*ページ"),
)
"""Anywhere on the page."""
_AT_EDGES = (
    re.compile(rf"^(\d{{1,3}})\s*{_OF}\s*(\d{{1,3}})$", re.IGNORECASE),
    re.compile(rf"\b{_PAGE}(?: no\.?)?\s*:?\s*(\d{{1,3}})()(?![\w.,/])", re.IGNORECASE),
    re.compile(r"^[-\u2013\u2014]\s*(\d{1,3})()\s*[-\u2013\u2014]$"),
)
"""Near the upper or lower edge."""
_GOES_ON = re.compile(
    r"\bcontinue[sd]? (?:on (?:the )?(?:next|other|reverse|back)|overleaf)\b|\bcarried forward\b"
    r"|^\W*continued\W*$|\bplease turn over\b|\bübertrag\b"
    r"|\bfortsetzung (?:auf|nächste)\b|\bsuite au verso\b",
    re.IGNORECASE,
)
_WENT_ON = re.compile(
    r"\(cont(?:inued|['\u2019]?d|\.)\)|\bcontinued from\b|\bbrought forward\b|\bübertrag\b"
    r"|\bfortsetzung von\b",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(r"(?<![\w.,/-])(?=(?:[\w/-]*\d){4})[\w/-]{5,24}(?![\w/-]|[.,]\d)")
_WORD = re.compile(r"[^\W\d_]{3,}")


class PageNumber(NamedTuple):
    """As printed: "Page 2 of 3"."""

    number: int
    total: int | None


class Part(NamedTuple):
    """A document within the file. Page numbers are the file's, counted from 1, the last one included."""

    first: int
    last: int
    kind: str | None
    """None: no kind that is known."""
    confidence: float
    """That these pages, and no others, are one document (0-1)."""
    reasons: tuple[str, ...]
    """Why it begins on its first page; none for the first document."""


class Cut(NamedTuple):
    """Whether a document begins on a page."""

    page: int
    likely: float
    """0-1; a document begins from 0.5 on."""
    reasons: tuple[str, ...]


def split(document: Document, kinds: Kinds = KINDS) -> list[Part]:
    """The documents in the order of the pages: every page is in one of them. Pages must have been read."""
    return parts_of(document.pages, cuts(document.pages, kinds), kinds)


def cuts(pages: Sequence[Page], kinds: Kinds = KINDS) -> list[Cut]:
    """For each page but the first, in order."""
    facts = [_Facts(page, title_of(page, kinds)) for page in pages]
    spread = Counter(word for one in facts for word in one.words)
    found, begun = list[Cut](), 0
    for at in range(1, len(facts)):
        cues = _cues(facts[at - 1], facts[at], at - begun, spread, len(facts))
        score = _BIAS + sum(_CUES[name][0] * value for name, value in cues.items())
        likely = 1 / (1 + math.exp(-score))
        begins = likely >= 0.5
        said = [name for name, value in cues.items() if value >= 0.5 and (_CUES[name][0] > 0) == begins]
        found.append(Cut(facts[at].page.number, likely, tuple(filter(None, (_CUES[n][1] for n in said)))))
        begun = at if begins else begun
    return found


def parts_of(pages: Sequence[Page], found: Sequence[Cut], kinds: Kinds = KINDS) -> list[Part]:
    """The documents between the cuts."""
    if not pages:
        return []
    starts = [0, *(at for at, cut in enumerate(found, start=1) if cut.likely >= 0.5), len(pages)]
    return [_part(pages[a:b], found[max(a - 1, 0) : b], a, kinds) for a, b in pairwise(starts)]


def _part(pages: Sequence[Page], around: Sequence[Cut], start: int, kinds: Kinds) -> Part:
    sure = math.prod(max(cut.likely, 1 - cut.likely) for cut in around)
    reasons = around[0].reasons if start else ()
    return Part(pages[0].number, pages[-1].number, kind_of(pages, kinds), round(sure, 4), reasons)


class _Facts:
    """What the cues compare of a page."""

    def __init__(self, page: Page, title: str | None) -> None:
        self.page, self.title = page, title

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        return self.page.lines or ()

    @cached_property
    def proportions(self) -> float:
        return self.page.width / self.page.height

    @cached_property
    def number(self) -> PageNumber | None:
        lines = self.lines
        edges = [line for line in lines if line.box.y1 < _EDGE_TOP or line.box.y0 > _EDGE_FOOT]
        anywhere = _numbers(_NUMBERED, lines)
        return next(anywhere, None) or next(_numbers(_AT_EDGES, edges), None)

    @cached_property
    def words(self) -> Counter[str]:
        return Counter(_WORD.findall(self.page.text.casefold()))

    @cached_property
    def identifiers(self) -> frozenset[str]:
        return frozenset(_IDENTIFIER.findall(self.page.text.upper()))

    @cached_property
    def head(self) -> frozenset[str]:
        return _texts(line for line in self.lines if line.box.y1 < _HEAD)

    @cached_property
    def foot(self) -> frozenset[str]:
        return _texts(line for line in self.lines if line.box.y0 > _FOOT)

    @cached_property
    def height(self) -> float:
        """Of the middle line, in pixels of a page 1000 wide."""
        heights = sorted(line.box.height for line in self.lines)
        return heights[len(heights) // 2] * self.page.height / self.page.width if heights else 0.0


def _numbers(patterns: Iterable[re.Pattern[str]], lines: Sequence[Line]) -> Iterator[PageNumber]:
    for pattern in patterns:
        for line in lines:
            for match in pattern.finditer(line.text):
                number, total = int(match[1]), int(match[2]) if match[2] else None
                if number >= 1 and (total is None or number <= total):
                    yield PageNumber(number, total)


def _texts(lines: Iterable[Line]) -> frozenset[str]:
    """Their words, with a sign for every digit."""
    return frozenset(re.sub(r"\d", "0", word.text.casefold()) for line in lines for word in line.words)


def _cues(a: _Facts, b: _Facts, length: int, spread: Mapping[str, int], pages: int) -> dict[str, float]:
    """Each from 0 to 1. ``length``: pages of the document so far, ``a`` the last of them."""
    return {
        **_number_cues(a.number, b.number, length),
        "size": float(abs(math.log(a.proportions / b.proportions)) > _ALIKE),
        "continued": float(_says(_GOES_ON, a.lines[-12:]) or _says(_WENT_ON, b.lines[:12])),
        "head": _overlap(a.head, b.head),
        "foot": _overlap(a.foot, b.foot),
        "identifiers": _overlap(a.identifiers, b.identifiers),
        "words": _likeness(a.words, b.words, spread, pages),
        "title": float(b.title is not None),
        "other_title": float(b.title is not None and a.title is not None and a.title != b.title),
        "height": min(abs(math.log(max(a.height, 1) / max(b.height, 1))), 1.0),
    }


def _number_cues(one: PageNumber | None, two: PageNumber | None, length: int) -> dict[str, float]:
    """Of the page before, where it has a number, and of the page."""
    totals = {n.total for n in (one, two) if n and n.total}
    due = (one.number if one else length) + 1
    return {
        "follows": float(two is not None and two.number == due and len(totals) < 2),
        "one": float(two is not None and two.number == 1),
        "complete": float(one is not None and one.number == one.total),
        "incomplete": float(one is not None and one.number < (one.total or 0) and two is None),
    }


def _says(pattern: re.Pattern[str], lines: Sequence[Line]) -> bool:
    return any(pattern.search(line.text) for line in lines)


def _overlap(one: frozenset[str], two: frozenset[str]) -> float:
    """Share of the smaller set."""
    return len(one & two) / min(len(one), len(two)) if one and two else 0.0


def _likeness(one: Counter[str], two: Counter[str], spread: Mapping[str, int], pages: int) -> float:
    """Cosine of the word counts; words that stand on most pages count less."""

    def weigh(words: Counter[str]) -> dict[str, float]:
        return {w: (1 + math.log(n)) * math.log((1 + pages) / spread[w]) for w, n in words.items()}

    first, second = weigh(one), weigh(two)
    norm = math.sqrt(sum(v * v for v in first.values()) * sum(v * v for v in second.values()))
    return sum(value * second.get(word, 0.0) for word, value in first.items()) / norm if norm else 0.0


_BIAS = 1.9
_CUES: Mapping[str, tuple[float, str]] = {
    "follows": (-3.5, "Its page number follows the one before."),
    "one": (1.5, "Its page number is 1."),
    "complete": (1.5, "The page before is the last by its number."),
    "incomplete": (-1.7, "The page before is not the last by its number."),
    "size": (2.4, "It has another size than the page before."),
    "continued": (-2.0, "The text says that it goes on."),
    "head": (-2.0, "Its head is that of the page before."),
    "foot": (-2.2, "Its foot is that of the page before."),
    "identifiers": (-1.5, "It has the numbers of the page before."),
    "words": (-4.6, "It has the words of the page before."),
    "title": (1.2, "It has a title."),
    "other_title": (1.1, "Its title is of another kind than the page before."),
    "height": (1.2, "Its print has another size."),
}
"""Weight and sentence of each cue. Above 0: a document begins."""
