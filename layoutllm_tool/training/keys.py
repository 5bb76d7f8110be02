"""Keys beside values, found by rule on unlabelled pages. Standard library only; boxes 0-1000."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from layoutllm_tool.cot import AnswerFormation, Relation
from layoutllm_tool.documents.align import Place, WordIndex, joined, normal
from layoutllm_tool.documents.geometry import Box, Line, Page, box_of

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9 .#/()&'%-]{1,30}")
_MONEY = re.compile(r"[-(]?(?:RM|MYR|USD|EUR|[$€£])? ?\d[\d,. ]*[.,]\d\d\)?")
_CURRENCY = re.compile(r"\W*(?:R[MNHK]|MYR|USD|EUR|SGD)\W*", re.IGNORECASE)
EDGES = " :;.,-_=*|'\"~"


@dataclass(frozen=True, slots=True)
class Key:
    """The key's text and relation, and the line it stands in (None: nothing that looks like a key)."""

    formation: AnswerFormation
    line: int | None

    def lines(self, place: Place) -> tuple[int, ...]:
        """The lines of step 2: the key's, where it is another one, then the value's."""
        return place.lines if self.line is None else with_line(self.line, place.lines)


@dataclass(frozen=True, slots=True)
class Pair:
    """A key as printed and its value's place."""

    key: str
    key_line: int
    place: Place


def key_of(page: Page, place: Place) -> Key:
    """What stands left of the value in its line, else left of it on its row, else above it."""
    return next(keys_of(page, place), Key(AnswerFormation("inside", ""), None))


def keys_of(page: Page, place: Place) -> Iterator[Key]:
    """All that may be the value's key, the likeliest first: in its line, then beside it, then above it."""
    first, word = place.words[0]
    before = joined(page, tuple((first, j) for j in range(word + 1)))
    text = before[: len(before) - len((page.lines or ())[first].words[word].text) + place.start]
    if key := _last_words(text):
        yield Key(AnswerFormation("inside", key), first)
    lines = page.lines or ()
    beside = [i for i, line in enumerate(lines) if left_of(line, lines[first]) and _last_words(line.text)]
    if beside:
        nearest = max(beside, key=lambda i: lines[i].box.x1)
        yield Key(AnswerFormation("right of", _last_words(lines[nearest].text)), nearest)
    above = [i for i, line in enumerate(lines) if _above(line, lines[first]) and _looks_like_key(line.text)]
    if above:
        nearest = max(above, key=lambda i: lines[i].box.y1)
        yield Key(AnswerFormation("below", _last_words(lines[nearest].text)), nearest)


def pairs(page: Page) -> list[Pair]:
    """Keys with their values: 'CASHIER: MANIS' in one line, or a key and its value side by side on a row.

    Only keys that stand once on the page, so that the question has one answer.
    """
    lines = page.lines or ()
    found = [pair for i in range(len(lines)) if (pair := _inside(page, i) or _beside(page, i))]
    times = Counter(normal(pair.key) for pair in found)
    text = normal(page.text)
    return [p for p in found if times[normal(p.key)] == 1 and text.count(normal(p.key)) == 1]


def with_line(line: int, lines: tuple[int, ...]) -> tuple[int, ...]:
    """The lines with the key's line before them, where it is another one."""
    return lines if line in lines else (line, *lines)


def seen_from(key: Box, value: Box) -> Relation:
    """Where a value on another line stands seen from its key; "none" for left of it or above."""
    if value.y0 >= key.y1 - 2:
        return "below"
    return "right of" if value.x0 >= key.x1 - 2 else "none"


def formation_of(
    page: Page, key: tuple[WordIndex, ...], value: tuple[WordIndex, ...], text: str
) -> AnswerFormation:
    """Where the value's words stand seen from the key's, by their boxes; ``text`` is the key's name."""
    if key[0][0] in {line for line, _ in value}:
        return AnswerFormation("inside", text)
    return AnswerFormation(seen_from(box_of(page, key), box_of(page, value)), text)


def left_of(a: Line, b: Line) -> bool:
    """Whether a stands left of b on the same row."""
    shared = min(a.box.y1, b.box.y1) - max(a.box.y0, b.box.y0)
    return a.box.center[0] < b.box.x0 and shared >= 0.5 * min(a.box.height, b.box.height) > 0


def _above(a: Line, b: Line) -> bool:
    gap = b.box.y0 - a.box.y1
    return -0.3 * b.box.height <= gap <= 1.5 * b.box.height and a.box.x0 < b.box.x1 and b.box.x0 < a.box.x1


def _last_words(text: str, most: int = 5) -> str:
    """The key's last words without the signs around it; "" where there is nothing to name."""
    key = " ".join(text.split()[-most:]).strip(EDGES)
    letters = sum(c.isalpha() for c in key)
    return key if letters >= max(2, 0.5 * len(key.replace(" ", ""))) and not _CURRENCY.fullmatch(key) else ""


def _looks_like_key(text: str) -> bool:
    return bool(_KEY.fullmatch(text.strip(EDGES))) and (text.rstrip().endswith(":") or len(text.split()) <= 2)


def _inside(page: Page, i: int) -> Pair | None:
    """'KEY: value' or 'KEY:value' in one line."""
    text = (page.lines or ())[i].text
    match = re.fullmatch(r"([^:]{2,32}?)\s?:\s?(\S.*)", text)
    if not match or not _good_key(match[1]) or not _good_value(match[2]):
        return None
    return Pair(match[1].strip(EDGES), i, _tail(page, i, match[2].strip()))


def _beside(page: Page, i: int) -> Pair | None:
    """'KEY:' or 'KEY' in one line, and ': value', 'value' or an amount in the next to its right."""
    lines = page.lines or ()
    text = lines[i].text
    if i + 1 >= len(lines) or not left_of(lines[i], lines[i + 1]) or not _good_key(text):
        return None
    value = lines[i + 1].text
    colon = text.rstrip().endswith(":") or value.startswith(":")
    if not colon and not _MONEY.fullmatch(value):
        return None
    value = value.lstrip(": ")
    return Pair(text.strip(EDGES), i, _tail(page, i + 1, value)) if _good_value(value) else None


def _tail(page: Page, i: int, value: str) -> Place:
    """The end of a line as a place."""
    words = (page.lines or ())[i].words
    at, j = len(value), len(words)
    while at > 0:
        j -= 1
        at -= len(words[j].text) + 1
    return Place(tuple((i, k) for k in range(j, len(words))), value, 1.0, max(-at - 1, 0))


def _good_key(text: str) -> bool:
    key = text.strip(EDGES)
    letters = sum(c.isalpha() for c in key)
    enough = letters >= max(3, 0.7 * len(key.replace(" ", "")))
    return bool(_KEY.fullmatch(key)) and enough and len(key.split()) <= 4


def _good_value(text: str) -> bool:
    return any(c.isalnum() for c in text) and len(text.split()) <= 8 and ":" not in text[:4]
