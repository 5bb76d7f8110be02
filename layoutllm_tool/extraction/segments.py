"""A page's texts as they stand apart: runs of words of one row, and what is right of and below each. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median

from layoutllm_tool.cot import AnswerFormation, Area, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.page_layout import PageLayout, PlacedWord, Run, WordId, cut

_GAP = 1.6
"""In heights of a line: wider gaps part texts."""
_WIDER = 2.2
"""Of the usual gap between words, where that is wide."""
_NEXT_LINE = 2.6
"""In heights: from one line to the next of the same block, middle to middle."""


@dataclass(frozen=True)
class Texts:
    """The runs of one page, from top to bottom."""

    page: Page

    @cached_property
    def layout(self) -> PageLayout:
        return PageLayout(self.page)

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        rows = self.layout.rows
        gaps = [b.x0 - a.x1 for row in rows for a, b in pairwise(row)]
        widest = max(_GAP * self.layout.height, _WIDER * median(gaps or [0.0]))
        found = [run for row in rows for run in cut(row, lambda a, b: b.x0 - a.x1 > widest or a.ends_key)]
        return tuple(sorted(found, key=lambda run: (run[0].middle, run[0].x0)))

    @cached_property
    def _middles(self) -> list[float]:
        return [run[0].middle for run in self.runs]

    def between(self, top: float, bottom: float) -> Sequence[Run]:
        """The runs whose first word's middle lies between these, in pixels."""
        return self.runs[bisect_right(self._middles, top) : bisect_left(self._middles, bottom)]

    @cached_property
    def _of_word(self) -> dict[WordId, Run]:
        return {word.id: run for run in self.runs for word in run}

    def right_of(self, run: Sequence[PlacedWord]) -> Run | None:
        """The next run of the row."""
        following = self.layout.after(run[-1])
        return self._of_word[following.id] if following else None

    def below(self, run: Sequence[PlacedWord]) -> Run | None:
        """The run of the next line that begins or ends where this one does."""
        height = self.layout.height
        near = [
            one
            for one in self.between(run[0].middle + 0.5 * height, run[0].middle + _NEXT_LINE * height)
            if abs(one[0].x0 - run[0].x0) < height or abs(one[-1].x1 - run[-1].x1) < height
        ]
        return min(near, key=lambda one: one[0].middle, default=None)

    def block_below(self, run: Sequence[PlacedWord], most: int, first: float = _NEXT_LINE) -> Iterator[Run]:
        """The lines under it, each beginning where the one above does; a label with what stands behind it.

        ``first``: heights of a line to the first of them.
        """
        height, step = self.layout.height, first
        last = tuple(run)
        for _ in range(most):
            near = [
                one
                for one in self.between(last[0].middle + 0.5 * height, last[0].middle + step * height)
                if abs(one[0].x0 - run[0].x0) < 1.2 * height
            ]
            if not near:
                return
            last, step = min(near, key=lambda one: one[0].middle), _NEXT_LINE
            behind = self.right_of(last) if last[-1].ends_key else None
            yield (*last, *behind) if behind else last


def text_of(words: Sequence[PlacedWord]) -> str:
    return " ".join(word.text for word in words)


def found_at(
    question: str, page: Page, words: Sequence[PlacedWord], answer: str, key: str, sure: float
) -> LayoutCoT:
    """An answer that those words give. ``key``: the label by which they were found, "" for none."""
    ids = tuple(word.id for word in words)
    area = Area.of(page, tuple(sorted({line for line, _ in ids})))
    analysis, evidence = QuestionAnalysis("key-value", "extraction", key), Evidence.of(page, ids)
    return LayoutCoT(question, analysis, (area,), AnswerFormation("inside", key), answer, sure, (evidence,))


def not_there(question: str, key: str, sure: float) -> LayoutCoT:
    """That the document does not say it."""
    analysis = QuestionAnalysis("key-value", "extraction", key)
    return LayoutCoT(question, analysis, (), AnswerFormation("none", ""), None, sure)
