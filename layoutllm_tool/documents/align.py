"""Where does a known value stand on a page whose words were read with mistakes? Boxes 0-1000.

``find`` aligns the value with the page's text character by character (approximate substring search: Sellers'
dynamic programme over letters and digits only) and gives every place that is similar enough. Case,
punctuation and spaces don't count; tesseract's usual confusions (0/O, 1/l/I, 5/S ...) count half. Values that
are written differently on the page (a date in words) are *not* found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from layoutllm_tool.documents.geometry import Page

THRESHOLD = 0.7
"""Least similarity, 0-1, of a value and its place on the page."""
_WEIGHT = 1 << 24
"""Half a character's edit cost; the bits below hold the place where the match began."""
_LOOKALIKE = str.maketrans("oqdilszbg", "000115289")

WordIndex = tuple[int, int]
"""(line, word) into ``Page.lines`` and ``Line.words``."""


@dataclass(frozen=True, slots=True)
class Place:
    """Words in reading order and the page's own string in them: a substring of the words joined by spaces."""

    words: tuple[WordIndex, ...]
    answer: str
    score: float
    """Similarity, 0-1."""
    start: int
    """Character of the first word at which the answer begins."""

    @property
    def lines(self) -> tuple[int, ...]:
        """Indices of the lines, in reading order."""
        return tuple(line for line, _ in groupby(line for line, _ in self.words))


@dataclass(frozen=True, slots=True)
class _Text:
    """Letters and digits of some words, each with its origin: (line, word, character)."""

    chars: str
    origin: tuple[tuple[int, int, int], ...]


def find(
    value: str, page: Page, *, threshold: float = THRESHOLD, prefer: Callable[[Place], float] | None = None
) -> list[Place]:
    """Every place similar to the value, best first, none overlapping. ``prefer`` adds to a place's score."""
    text = _page_text(page)
    wanted = normal(value)
    if not wanted or not text.chars:
        return []
    places = [place for span in _spans(wanted, text, threshold) if (place := _place(page, text, span, value))]
    return sorted(places, key=lambda p: -(p.score + (prefer(p) if prefer else 0.0)))


def similarity(value: str, text: str) -> float:
    """How well the value is contained in the text, 0-1."""
    wanted, chars = normal(value), normal(text)
    if not wanted or not chars:
        return 0.0
    return max(1 - float(_distances(wanted, chars)[0].min()) / len(wanted), 0.0)


def normal(text: str) -> str:
    """Letters and digits in lower case, and the point or comma after a digit as a point."""
    return "".join(c for _, c in _normal(text)).rstrip(".")


def place_of(page: Page, words: tuple[WordIndex, ...], answer: str) -> Place:
    """A place known exactly; ValueError where the answer is no substring of the words."""
    start = joined(page, words).find(answer)
    if start < 0 or not answer:
        raise ValueError(f"{answer!r} does not stand in {joined(page, words)!r}")
    return Place(words, answer, 1.0, start)


def joined(page: Page, words: tuple[WordIndex, ...]) -> str:
    """The words' text with single spaces between."""
    lines = page.lines or ()
    return " ".join(lines[i].words[j].text for i, j in words)


def _normal(text: str) -> list[tuple[int, str]]:
    kept = []
    for i, c in enumerate(text):
        if c.isalnum():
            kept.append((i, c.lower()[:1]))
        elif c in ".," and i and text[i - 1].isdigit():
            kept.append((i, "."))
    return kept


def _page_text(page: Page) -> _Text:
    found = [
        (c, (i, j, k))
        for i, line in enumerate(page.lines or ())
        for j, word in enumerate(line.words)
        for k, c in _normal(word.text)
    ]
    return _Text("".join(c for c, _ in found), tuple(origin for _, origin in found))


def _codes(text: str) -> NDArray[np.int64]:
    return np.array([ord(c) for c in text], dtype=np.int64)


def _distances(wanted: str, text: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each end 0..len(text): the least edit distance of a substring ending there, and its start."""
    codes, alike = _codes(text), _codes(text.translate(_LOOKALIKE))
    ends = np.arange(len(text) + 1, dtype=np.int64)
    row = -ends
    for c in wanted:
        price = (codes != ord(c)).astype(np.int64) + (alike != ord(c.translate(_LOOKALIKE)))
        step = row + 2 * _WEIGHT
        step[1:] = np.minimum(step[1:], row[:-1] + price * _WEIGHT)
        row = np.minimum.accumulate(step - ends * 2 * _WEIGHT) + ends * 2 * _WEIGHT
    halves = -(-row // _WEIGHT)
    return halves / 2.0, halves * _WEIGHT - row


def _spans(wanted: str, text: _Text, threshold: float) -> list[tuple[int, int, float]]:
    """(start, end, score) of matches that don't overlap, the best first; ends exclusive."""
    cost, starts = _distances(wanted, text.chars)
    found = []
    for end in np.flatnonzero(cost <= (1 - threshold) * len(wanted)):
        start = int(starts[end])
        if start < end:
            score = 1 - (float(cost[end]) + _cut(text, start, int(end))) / len(wanted)
            if score >= threshold - 1e-9:
                found.append((start, int(end), score))
    chosen: list[tuple[int, int, float]] = []
    for span in sorted(found, key=lambda s: (-s[2], s[0] - s[1])):
        if all(span[1] <= other[0] or other[1] <= span[0] for other in chosen):
            chosen.append(span)
    return chosen


def _cut(text: _Text, start: int, end: int) -> float:
    """A match that begins or ends inside a number or a word is worth less: 19.00 does not hold 9.00."""
    return sum(0.75 for at in (start, end) if _tied(text, at))


def _tied(text: _Text, at: int) -> bool:
    """Whether characters at-1 and at are of one kind and next to each other in one word."""
    if not 0 < at < len(text.chars):
        return False
    (i, j, k), (i2, j2, k2) = text.origin[at - 1], text.origin[at]
    a, b = text.chars[at - 1], text.chars[at]
    if (i, j, k + 1) != (i2, j2, k2):
        return False
    if "." in (a, b):
        other = at if a == "." else at - 2
        known = 0 <= other < len(text.chars)
        return known and text.chars[other].isdigit() and text.origin[other][:2] == (i, j)
    return a.isdigit() == b.isdigit()


def _place(page: Page, text: _Text, span: tuple[int, int, float], value: str) -> Place | None:
    """The span as words, ends moved to word borders, without middle lines that the value does not mention."""
    start, end, score = span
    while start and _tied(text, start):
        start -= 1
    while end < len(text.chars) and _tied(text, end):
        end += 1
    first, last = text.origin[start], text.origin[end - 1]
    lines = page.lines or ()
    ends = first[0], last[0]
    kept = [i for i in range(first[0], last[0] + 1) if i in ends or similarity(lines[i].text, value) > 0.5]
    words = tuple((i, j) for i in kept for j in range(len(lines[i].words)) if first[:2] <= (i, j) <= last[:2])
    tail = lines[last[0]].words[last[1]].text
    stop = last[2] + 1
    while stop < len(tail) and tail[stop] in ".)" and value.rstrip().endswith(tail[stop]):
        stop += 1
    begin = first[2]
    head = lines[first[0]].words[first[1]].text
    if begin and head[begin - 1] == "(" and value.lstrip().startswith("("):
        begin -= 1
    whole = joined(page, words)
    answer = whole[begin : len(whole) - (len(tail) - stop)]
    return Place(words, answer, score, begin) if answer else None
