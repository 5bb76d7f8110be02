"""What is computed once a page for all its questions: printed segments and sentences with their vectors,
keys looked up.

A segment is a run of words without a gap, ended behind a colon: mostly a key, a value or a header. A
sentence is one of running text, over its lines, or else a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.marks import Choice, MarkedRow, choices, drawn_marks, marked_rows
from layoutllm_tool.documents.page_layout import PageLayout, PlacedWord, Run, WordId, cut
from layoutllm_tool.documents.search import Match, find, letters, plain
from layoutllm_tool.model.page_text import page_text
from layoutllm_tool.model.pair_head import PairHead, Scored
from layoutllm_tool.model.sentence_encoder import SentenceEncoder

Array = npt.NDArray[np.float32]
SEGMENT_GAP = 1.4
"""Widest gap inside a printed key, in line heights."""
PROSE = 5
"""Words of a line that may go on in the next one."""
NAMED = 0.95
"""Likeness of a printed text and the key that is asked for, from which on the page names it."""
MOST_PLACES = 8
"""Of one key on the page that are looked at."""
MOST_TEXTS = 400
"""Segments, and sentences, of a page that get vectors."""
_ENDS = re.compile(r"[.!?][\"')\]]*$")


def text_of(run: Sequence[PlacedWord]) -> str:
    return " ".join(word.text for word in run)


@dataclass
class PageIndex:
    """Words by place; segments and sentences, and their vectors (S, 384), None without an encoder."""

    layout: PageLayout
    segments: tuple[Run, ...]
    sentences: tuple[Run, ...]
    vectors: Array | None = None
    sentence_vectors: Array | None = None
    encoder: SentenceEncoder | None = None
    _scored: dict[str, tuple[list[Match], Scored]] = field(default_factory=dict)
    _told: dict[str, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, page: Page, encoder: SentenceEncoder | None) -> PageIndex:
        layout = PageLayout(page)
        segments, sentences = tuple(_segments(layout))[:MOST_TEXTS], tuple(_sentences(layout))[:MOST_TEXTS]
        if encoder is None or not segments:
            return cls(layout, segments, sentences)
        texts = [text_of(run) for run in (*segments, *sentences)]
        known = {text: n for n, text in enumerate(dict.fromkeys(texts))}
        vectors = encoder.encode(list(known)).numpy()[[known[text] for text in texts]]
        return cls(layout, segments, sentences, vectors[: len(segments)], vectors[len(segments) :], encoder)

    @cached_property
    def lines(self) -> dict[int, Run]:
        """The words of each line that has any."""
        found: dict[int, list[PlacedWord]] = {}
        for word in self.layout.words:
            found.setdefault(word.id[0], []).append(word)
        return {number: tuple(words) for number, words in found.items()}

    def has_one_label(self, text: str) -> bool:
        """Whether the page has the text once, and not as a part of more words: "Total: 4.20" is "total",
        "Company reg. no." is not "company".
        """
        match find(self.layout, text):
            case [only]:
                return only.score >= NAMED and self._is_label(only.words)
        return False

    def _is_label(self, run: Run) -> bool:
        first, last = self._segment_of.get(run[0].id, run), self._segment_of.get(run[-1].id, run)
        before, after = first[: first.index(run[0])], last[last.index(run[-1]) + 1 :]
        goes_on = after and not run[-1].ends_key and plain(after[0].text).isalpha()
        return not goes_on and not any(plain(word.text).isalpha() for word in before)

    @cached_property
    def _segment_of(self) -> dict[WordId, Run]:
        return {word.id: run for run in self.segments for word in run}

    @cached_property
    def marked_rows(self) -> list[MarkedRow]:
        return marked_rows(self.layout, self.layout.page.image)

    @cached_property
    def choices(self) -> list[list[Choice]]:
        """Groups of labels beside boxes, of which some are not ticked."""
        groups = choices(self.marked_rows, self.layout)
        return [group for group in groups if not all(choice.ticked for choice in group)]

    @property
    def text(self) -> str:
        """The page as the text model reads it."""
        marks = drawn_marks(self.marked_rows, self.layout)
        return page_text(self.layout.page.lines or (), marks)

    @property
    def rows(self) -> tuple[Run, ...]:
        return self.layout.rows

    @cached_property
    def row_of(self) -> dict[WordId, int]:
        return {word.id: number for number, row in enumerate(self.rows) for word in row}

    def said_in_rows(self, words: Iterable[str]) -> Array:
        """(R): share of the question's words that a row says. Words count by how few rows say them: a row's
        name, not "amount".
        """
        said = np.zeros(len(self.rows), np.float32)
        total = 0.0
        for word in words:
            rows = self._rows_with.get(word)
            if rows:
                worth = float(np.log1p(len(self.rows) / len(rows)))
                said[list(rows)] += worth
                total += worth
        return said / total if total else said

    @cached_property
    def _rows_with(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for number, row in enumerate(self.rows):
            for word in row:
                found.setdefault(plain(word.text), set()).add(number)
        return found

    def vectors_of(self, texts: Sequence[str]) -> Array | None:
        """(N, 384), each text encoded once a page; None without an encoder."""
        if self.encoder is None:
            return None
        new = [text for text in dict.fromkeys(texts) if text not in self._told]
        if new:
            self._told |= dict(zip(new, self.encoder.encode(new).numpy(), strict=True))
        return np.stack([self._told[text] for text in texts])

    def look_up(self, text: str, head: PairHead) -> tuple[list[Match], Scored]:
        """Where a key's text stands, and the candidates for its value."""
        known = letters(text)
        if known not in self._scored:
            matches = find(self.layout, text)[:MOST_PLACES]
            self._scored[known] = (matches, head.score(self.layout, matches))
        return self._scored[known]

    def beside(self, segment: int, head: PairHead) -> Scored:
        """The candidates for the value of a segment."""
        known = f"\0{segment}"
        if known not in self._scored:
            matches = [Match(self.segments[segment], 1.0)]
            self._scored[known] = (matches, head.score(self.layout, matches))
        return self._scored[known][1]


def _segments(layout: PageLayout) -> Iterator[Run]:
    """What has no letters is no key."""
    by_line: dict[int, list[PlacedWord]] = {}
    for word in layout.words:
        by_line.setdefault(word.id[0], []).append(word)
    for line in by_line.values():
        yield from (run for run in parts(line) if any(c.isalpha() for c in text_of(run)))


def parts(row: Iterable[PlacedWord]) -> Iterator[Run]:
    """Words of a row, cut at gaps and behind colons."""
    gap = SEGMENT_GAP
    return cut(row, lambda a, b: b.x0 - a.x1 > gap * b.height or a.text.endswith((":", "\uff1a")))


def _sentences(layout: PageLayout) -> Iterator[Run]:
    lines: list[list[PlacedWord]] = []
    for word in layout.words:
        if not lines or lines[-1][0].id[0] != word.id[0]:
            lines.append([])
        lines[-1].append(word)
    sentence: list[PlacedWord] = []
    for before, line in zip([None, *lines], lines, strict=False):
        if sentence and not (before and _goes_on(before, line)):
            yield tuple(sentence)
            sentence = []
        for word in line:
            sentence.append(word)
            if _ENDS.search(word.text) and len(sentence) >= PROSE:
                yield tuple(sentence)
                sentence = []
    if sentence:
        yield tuple(sentence)


def _goes_on(line: Sequence[PlacedWord], following: Sequence[PlacedWord]) -> bool:
    """Whether running text goes on in the next line."""
    height = line[0].height
    near = 0 < following[0].y0 - line[0].y0 < 2.2 * height and abs(following[0].x0 - line[0].x0) < 4 * height
    return len(line) >= PROSE and near
