"""Where drawn facts stand on the page as it was read: their words and their keys' words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from layoutllm_tool.cot import AnswerFormation
from layoutllm_tool.documents.align import WordIndex
from layoutllm_tool.documents.geometry import Box, Page, box_of
from layoutllm_tool.training.keys import EDGES, with_line
from layoutllm_tool.training.synthetic.canvas import Fact, Span

Chars = Sequence[tuple[WordIndex, int]]
"""Each character of the page in reading order: its word, and the drawn word it came from."""


@dataclass(frozen=True, slots=True)
class Found:
    """A fact on the page as read. ``printed`` is its key as it stands there, "" where it has none."""

    fact: Fact
    lines: tuple[int, ...]
    words: tuple[WordIndex, ...]
    answer: str
    formation: AnswerFormation
    box: Box
    printed: str = ""


@dataclass(frozen=True, slots=True)
class Blank:
    """A field left blank, with its key as it stands on the page."""

    fact: Fact
    printed: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A page as read, with everything it says: more than is asked."""

    kind: str
    page: Page
    facts: tuple[Fact, ...]
    found: tuple[Found, ...]
    blanks: tuple[Blank, ...]


def find(page: Page, fact: Fact, chars: Chars) -> Found | None:
    """None where other words stand between the value's, or their order is another."""
    place = stretch(page, fact.value, chars)
    if place is None:
        return None
    words, answer = place
    key = stretch(page, fact.key, chars) if fact.key else None
    if fact.key and key is None:
        return None
    lines = tuple(dict.fromkeys(i for i, _ in words))
    formation, key_line = _formation(page, words, key)
    if key_line is not None:
        lines = with_line(key_line, lines)
    return Found(fact, lines, words, answer, formation, box_of(page, words), key[1] if key else "")


def blank(page: Page, fact: Fact, chars: Chars) -> Blank | None:
    """None where other words stand between the key's."""
    key = stretch(page, fact.key, chars) if fact.key else None
    return Blank(fact, key[1]) if key else None


def stretch(page: Page, span: Span, chars: Chars) -> tuple[tuple[WordIndex, ...], str] | None:
    """The words that came from the span and their string; None where others stand between."""
    wanted = set(span)
    at = [n for n, (_, origin) in enumerate(chars) if origin in wanted]
    if not at or [chars[n][1] for n in at] != sorted(chars[n][1] for n in at):
        return None
    own = {chars[n][0][0] for n in at}
    if any(chars[n][1] not in wanted and chars[n][0][0] in own for n in range(at[0], at[-1] + 1)):
        return None
    words = tuple(dict.fromkeys(chars[n][0] for n in at))
    lines = page.lines or ()
    before = sum(1 for n in range(at[0]) if chars[n][0] == words[0])
    after = sum(1 for n in range(at[-1] + 1, len(chars)) if chars[n][0] == words[-1])
    text = " ".join(lines[i].words[j].text for i, j in words)
    return words, text[before : len(text) - after]


def _formation(
    page: Page, words: tuple[WordIndex, ...], key: tuple[tuple[WordIndex, ...], str] | None
) -> tuple[AnswerFormation, int | None]:
    """Where the value stands seen from its key. Left of it or above counts as beside it."""
    box = box_of(page, words)
    if key is None:
        return AnswerFormation("top of page" if box.y0 < 350 else "inside", ""), None
    key_words, text = key
    line = key_words[0][0]
    name = text.strip(EDGES) or text
    if line == words[0][0]:
        return AnswerFormation("inside", name), line
    below = box.y0 >= box_of(page, key_words).y1 - 2
    return AnswerFormation("below" if below else "right of", name), line
