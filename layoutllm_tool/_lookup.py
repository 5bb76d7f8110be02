"""Answers by looking a key up on the page: what ``testing.FakeReader`` knows instead of a model. Standard library only.

The value beside, after or under the line that holds most of the question's words. It looks and never invents: no
synonyms, no spelling, no arithmetic, no tables. Not part of the public surface, and no baseline for the model.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from layoutllm_tool.cot import AnswerFormation, Area, Correction, Evidence, LayoutCoT, QuestionAnalysis, Relation
from layoutllm_tool.documents.geometry import Box, Line, Page

ENOUGH = 0.5
"""Share of the key's words that a line must hold to count as the key's line."""
MOST_KEY_LINES = 100
"""Lines of one page that are taken for the key's, those that hold most of it first: a key in more places names none of them."""
_ORDINALS = {"first": 0, "second": 1, "third": 2, "last": -1}
_COMMON = (
    "a an and are at by can did do does find for from give given has have how in is it its many me much of on or page "
    "please say says stand stated tell that the there this to under was what when where which who whose will with"
)
_WHERE = re.compile(
    r"\b(?:at|in|on|to)\s+the\s+(?:(?:top|bottom|left|right|upper|lower|center)\b[\s-]*)+(?:corner\b)?", re.IGNORECASE
)
"""Says where on the page to look, and is no part of a key."""
_COMMON_WORDS = frozenset(_COMMON.split())
_TYPES = {
    "date": r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2} \w{3,9} \d{4}",
    "money": r"[$€£¥]|\d[.,]\d{2}\b",
    "number": r"\d",
    "email": r"\S@[^\s@]+\.\S",
    "phone": r"(?:\d[\s()./-]*){6}",
    "name": r"[^\W\d]",
    "address": r"\A(?=.*[^\W\d])(?=.*\d)",
    "text": r"\w",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A place that could be the answer: words of one line, seen from the line that holds the key."""

    page: Page
    key_line: int
    line: int
    words: tuple[int, ...]
    relation: Relation
    key: str
    share: float

    @property
    def text(self) -> str:
        words = (self.page.lines or ())[self.line].words
        return " ".join(words[i].text for i in self.words)

    @property
    def box(self) -> Box:
        words = (self.page.lines or ())[self.line].words
        return Box.union(words[i].box for i in self.words)


def key_of(question: str) -> str:
    """The question without the words that every question has, and without "at the bottom left"; all of it where nothing is left."""
    kept = [
        word
        for word in re.findall(r"[\w'./#-]+", _WHERE.sub(" ", question))
        if plain(word) not in _COMMON_WORDS and plain(word)
    ]
    return " ".join(kept) or question.strip()


def plain(word: str) -> str:
    return re.sub(r"\W+", "", word.casefold())


def look_up(
    pages: Sequence[Page], question: str, analysis: QuestionAnalysis, correction: Correction | None
) -> LayoutCoT:
    """The best permitted place as a LayoutCoT, or one whose answer is None."""
    everywhere = [found for page in pages for found in places(page, analysis.key)]
    everywhere.sort(key=lambda found: -found.share)  # stable: reading order among equals
    permitted = [found for found in everywhere if correction is None or _permits(correction, found)]
    if correction and correction.boxes:
        permitted = permitted or [found for page in pages for found in _inside(page, correction)]
    if not permitted:
        share = everywhere[0].share if everywhere else 0.0
        return LayoutCoT(
            question, analysis, (), AnswerFormation("none", ""), None, 1 - share / 2, (), {"key_share": share}
        )
    return as_cot(question, analysis, _chosen(permitted, correction))


def look_again(pages: Sequence[Page], previous: LayoutCoT, correction: Correction) -> LayoutCoT:
    """Step 3 alone: another answer from the areas of the previous attempt, which are kept."""
    kept = {(area.page, line) for area in previous.areas for line in area.lines}
    found = [place for page in pages for place in places(page, previous.analysis.key)]
    found += [word for page in pages for word in _single_words(page)]
    for place in found:
        if (place.page.number, place.line) in kept and _permits(correction, place):
            return replace(as_cot(previous.question, previous.analysis, place), areas=previous.areas)
    nothing = AnswerFormation("none", "")
    return LayoutCoT(previous.question, previous.analysis, previous.areas, nothing, None, 0.5)


def as_cot(question: str, analysis: QuestionAnalysis, found: Found) -> LayoutCoT:
    lines = tuple(dict.fromkeys((found.key_line, found.line)))
    area = Area(found.page.number, Box.union((found.page.lines or ())[i].box for i in lines), lines)
    words = tuple((found.line, i) for i in found.words)
    evidence = Evidence(found.page.number, found.box, found.text, words)
    formation = AnswerFormation(found.relation, found.key)
    signals = {"key_share": found.share}
    return LayoutCoT(question, analysis, (area,), formation, found.text, found.share, (evidence,), signals)


def places(page: Page, key: str) -> Iterator[Found]:
    """Where the value may stand, key line by key line in reading order: after it, right of it, below it, above it."""
    terms = {term for word in key.split() if (term := plain(word))}
    lines = page.lines or ()
    texts = [[plain(word.text) for word in line.words] for line in lines]
    around = _Around(lines)
    for index, share in _key_lines(texts, terms):
        words = lines[index].words
        hits = [i for i, text in enumerate(texts[index]) if text in terms]
        found = " ".join(words[i].text for i in hits)
        rest = tuple(range(hits[-1] + 1, len(words)))
        while rest and not texts[index][rest[0]]:
            rest = rest[1:]
        if rest:
            yield Found(page, index, index, rest, "inside", found, share)
        for relation, other in around.of(index):
            if not all(text in terms for text in texts[other]):  # another key of the same name is no value
                yield Found(page, index, other, _all(page, other), relation, found, share)


def _key_lines(texts: Sequence[Sequence[str]], terms: Collection[str]) -> list[tuple[int, float]]:
    """(line, share of the key's words) in reading order."""
    shares = [(i, len({text for text in line if text in terms}) / len(terms)) for i, line in enumerate(texts) if terms]
    best = sorted((found for found in shares if found[1] >= ENOUGH), key=lambda found: -found[1])
    return sorted(best[:MOST_KEY_LINES])


class _Around:
    """Each line's nearest neighbours. Lines are sorted by their tops once, and only those near a line are looked at."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.boxes = [line.box for line in lines]
        self.order = sorted((box.y0, box.x0, i) for i, box in enumerate(self.boxes))
        self.tallest = max((box.height for box in self.boxes), default=0.0)

    def of(self, line: int) -> Iterator[tuple[Relation, int]]:
        box = self.boxes[line]
        row = [(self.boxes[i].x0, i) for i in self._between(box.y0 - self.tallest, box.y1) if self._beside(box, i)]
        if row:
            yield "right of", min(row)[-1]
        below = self._between(box.y1, math.inf)
        if (found := next((i for i in below if i != line and self._over(box, i)), None)) is not None:
            yield "below", found

    def _between(self, top: float, bottom: float) -> Iterator[int]:
        """Lines whose tops lie there, from the top."""
        for at in range(bisect_left(self.order, (top,)), len(self.order)):
            y, _, i = self.order[at]
            if y > bottom:
                return
            yield i

    def _beside(self, box: Box, i: int) -> bool:
        other = self.boxes[i]
        return (
            other.x0 >= box.x1 and min(other.y1, box.y1) - max(other.y0, box.y0) > box.height / 2 and other is not box
        )

    def _over(self, box: Box, i: int) -> bool:
        return self.boxes[i].x0 < box.x1 and self.boxes[i].x1 > box.x0


def _all(page: Page, line: int) -> tuple[int, ...]:
    return tuple(range(len((page.lines or ())[line].words)))


def _inside(page: Page, correction: Correction) -> Iterator[Found]:
    """The lines in the corrected boxes themselves: whoever draws a box may mean just what stands in it."""
    for index in range(len(page.lines or ())):
        found = Found(page, index, index, _all(page, index), "inside", "", ENOUGH)
        if _permits(correction, found):
            yield found


def _single_words(page: Page) -> Iterator[Found]:
    for index, line in enumerate(page.lines or ()):
        for i in range(len(line.words)):
            yield Found(page, index, index, (i,), "inside", "", ENOUGH)


def _permits(correction: Correction, found: Found) -> bool:
    if found.text in correction.wrong:
        return False
    if correction.expected_type and not re.search(_TYPES[correction.expected_type], found.text):
        return False
    here = correction.page is None or correction.page == found.page.number
    if correction.boxes and not (here and any(box.covers(found.box) for box in correction.boxes)):
        return False
    if here and any(box.covers(found.box) for box in correction.avoid):
        return False
    return all(_stands(word, found) for word in correction.spatial.lower().split())


def _stands(word: str, found: Found) -> bool:
    """Whether the place is where a spatial word says; an ordinal chooses among places and forbids none."""
    x, y = found.box.center
    middle = 250 <= x <= 750 and 250 <= y <= 750
    by_word = {"top": y < 500, "bottom": y >= 500, "left": x < 500, "right": x >= 500, "center": middle}
    by_word |= {"above": y < 500, "below": found.relation == "below" or y >= 500}
    return by_word.get(word, True)


def _chosen(permitted: Sequence[Found], correction: Correction | None) -> Found:
    """The first of the best, or the one that an ordinal names among the best key lines."""
    best = [found for found in permitted if found.share == permitted[0].share]
    by_key = list({(found.page.number, found.key_line): found for found in reversed(best)}.values())[::-1]
    ordinals = [_ORDINALS[w] for w in (correction.spatial.lower().split() if correction else ()) if w in _ORDINALS]
    wanted = ordinals[0] if ordinals else 0
    return by_key[wanted if wanted < len(by_key) else -1]
