"""Finds a text on a page, exactly or fuzzily. Compares letters and digits, case-blind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from layoutllm_tool.documents.page_layout import PageLayout, PlacedWord, Run

FUZZY = 0.8
"""Least similarity of a fuzzy match, 0-1."""

_COMMON = (
    "a an and are at by can did do does find for from give given has have how in is it its many me much of "
    "on or page please say says stand stated tell that the there this to under was what when where which who "
    "whose will with"
)
_WHERE = re.compile(
    r"\b(?:at|in|on|to)\s+the\s+(?:(?:top|bottom|left|right|upper|lower|center)\b[\s-]*)+(?:corner\b)?",
    re.IGNORECASE,
)
"""A place on the page, which is no part of a key."""
_COMMON_WORDS = frozenset(_COMMON.split())
_WORD = re.compile(r"\w+")
_QUOTES = re.compile(r"""(["“”«»„][^"“”«»„]{1,200}["“”«»„])""")


@dataclass(frozen=True, slots=True)
class Match:
    """Words that match the text. ``score`` is the similarity, 1 for an exact match."""

    words: Run
    score: float


def letters(text: str) -> str:
    """Letters and digits of the text, case-folded."""
    return "".join(c for c in text.casefold() if c.isalnum())


def key_of(question: str) -> str:
    """The question without stop words and places ("at the bottom left"), unless nothing remains."""
    kept = [
        word
        for word in re.findall(r"[\w'./#-]+", _WHERE.sub(" ", question))
        if plain(word) not in _COMMON_WORDS and plain(word)
    ]
    return " ".join(kept) or question.strip()


def is_common(word: str) -> bool:
    """Whether it is a stop word."""
    return plain(word) in _COMMON_WORDS


def plain(word: str) -> str:
    return re.sub(r"\W+", "", word.casefold())


def as_printed(question: str, text: str) -> str:
    """The question with words capitalised as the page prints them, so that the asker's capitals change
    nothing.

    Lower-cases words that are not on the page, and stop words outside quotation marks.
    """
    forms = _forms(text)
    parts = _QUOTES.split(question)  # every second one is in quotation marks
    for number, part in enumerate(parts):
        parts[number] = _WORD.sub(lambda match, quoted=number % 2: _printed(match[0], forms, quoted), part)
    printed = "".join(parts)
    return printed[:1].upper() + printed[1:]


@lru_cache(maxsize=16)
def _forms(text: str) -> dict[str, Counter[str]]:
    """How often a page writes each word in which capitals."""
    forms: dict[str, Counter[str]] = {}
    for word in _WORD.findall(text):
        forms.setdefault(word.casefold(), Counter())[word] += 1
    return forms


def _printed(word: str, forms: Mapping[str, Counter[str]], quoted: int) -> str:
    known = word.casefold()
    if known in forms and (quoted or known not in _COMMON_WORDS):
        return forms[known].most_common(1)[0][0]
    return known


def find(layout: PageLayout, text: str) -> list[Match]:
    """All exact matches in reading order; where there are none, the fuzzy ones, the best first."""
    wanted = letters(text)
    return find_exact(layout, text) or (_fuzzy(layout, wanted) if wanted else [])


def find_exact(layout: PageLayout, text: str) -> list[Match]:
    """All exact matches in reading order."""
    wanted = letters(text)
    if not wanted:
        return []
    return [Match(run, 1.0) for run in [*_exact(layout, wanted)] or _wrapped(layout, wanted)]


def words_holding(layout: PageLayout, text: str) -> Run:
    """The words of the first line that has the text, parts of words included: languages without blanks, and
    words that text recognition glued. () where no line has it.
    """
    for number, line in enumerate(layout.page.lines or ()):
        start = line.text.find(text)
        if start >= 0:
            ends = accumulate(len(word.text) + 1 for word in line.words)
            return tuple(
                layout.by_id[number, at]
                for at, (end, word) in enumerate(zip(ends, line.words, strict=True))
                if end - len(word.text) - 1 < start + len(text) and start < end - 1
            )
    return ()


def _exact(layout: PageLayout, wanted: str) -> Iterator[Run]:
    """Runs in reading order of whole words. The last word may go on behind a sign ("TO:Mary")."""
    text, starts = "", {}
    for number, word in enumerate(layout.words):
        starts[len(text)] = number
        text += letters(word.text)
    # Several signs without letters share a start: the last word there holds the letters.
    at = text.find(wanted)
    while at >= 0:
        if at in starts:
            first = last = starts[at]
            length = 0
            while length < len(wanted):
                length += len(letters(layout.words[last].text))
                last += 1
            run = tuple(layout.words[first:last])
            if (
                length == len(wanted)
                or not letters(run[-1].text)[-1:].isalnum()
                or _cut_inside(run[-1], length - len(wanted))
            ):
                yield run
        at = text.find(wanted, at + 1)


def _cut_inside(word: PlacedWord, rest: int) -> bool:
    """Whether the word's last ``rest`` letters stand behind a sign: "TO:Mary"."""
    seen = 0
    for at in range(len(word.text) - 1, -1, -1):
        if word.text[at].isalnum():
            seen += 1
            if seen == rest:
                return at > 0 and not word.text[at - 1].isalnum()
    return False


def _wrapped(layout: PageLayout, wanted: str) -> Iterator[Run]:
    """A text that continues below its beginning while the reading order continues to its right."""
    for word in layout.words:
        if wanted.startswith(letters(word.text)) and letters(word.text):
            run = _extended(layout, [word], letters(word.text), wanted)
            if run:
                yield tuple(run)


def _extended(layout: PageLayout, run: list[PlacedWord], text: str, wanted: str) -> list[PlacedWord] | None:
    while text != wanted:
        following = _next(layout, run, wanted[len(text) :])
        if following is None:
            return None
        run = [*run, following]
        text += letters(following.text)
    return run


def _next(layout: PageLayout, run: Sequence[PlacedWord], rest: str) -> PlacedWord | None:
    last, height = run[-1], run[-1].height
    left = min(w.x0 for w in run)
    row = [w for w in layout.row_from(last)[1:] if w.x0 - last.x1 < 1.5 * height]
    under = [
        w
        for w in layout.between(last.middle + 0.5 * height, last.middle + 2.2 * height)
        if left - 2 * height < w.x0 < last.x1 + 2 * height
    ]
    for word in (*row[:1], *sorted(under, key=lambda w: (round(w.middle / height), w.x0))):
        if letters(word.text) and rest.startswith(letters(word.text)):
            return word
    return None


def _fuzzy(layout: PageLayout, wanted: str) -> list[Match]:
    from rapidfuzz.distance import Indel

    found: list[Match] = []
    words = layout.words
    for first in range(len(words)):
        text = ""
        best: Match | None = None
        for last in range(first, min(first + 12, len(words))):
            text += letters(words[last].text)
            score = Indel.normalized_similarity(text, wanted)
            if score >= FUZZY and (best is None or score > best.score):
                best = Match(tuple(words[first : last + 1]), score)
            if len(text) > 1.4 * len(wanted):
                break
        if best:
            found.append(best)
    found.sort(key=lambda match: -match.score)
    taken: set[tuple[int, int]] = set()
    out = []
    for match in found:
        if not taken & {w.id for w in match.words}:
            out.append(match)
            taken |= {w.id for w in match.words}
    return out
