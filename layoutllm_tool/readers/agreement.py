"""Several answers to one question -> the one to prefer. Pure: asks and reads nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Box, Page

SAME_PLACE = 0.5
"""Least intersection over union of two answers' boxes that count as one place."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``preferred`` is one of the ``count`` answers; ``votes`` of them agree with it, itself among them."""

    preferred: LayoutCoT
    votes: int
    count: int

    @property
    def agreement(self) -> float:
        """Share of the answers that agree, 0-1."""
        return self.votes / self.count

    @property
    def settled(self) -> bool:
        """Whether more than half of at least two answers agree."""
        return self.count > 1 and self.agreement > 0.5


def compare(first: LayoutCoT, others: Sequence[LayoutCoT], page: Page) -> Comparison:
    """Prefer an answer that is grounded or "not in the document", then the one with most votes, then the
    first.

    Two answers agree where their texts are equal but for blanks, case and punctuation, or where they stand in
    the same place on ``page``.
    """
    answers = (first, *others)
    votes = [sum(_agree(one, other, page) for other in answers) for one in answers]
    valid = [one.answer is None or one.grounded for one in answers]
    best = max(range(len(answers)), key=lambda i: (valid[i], votes[i], -i))
    return Comparison(answers[best], votes[best], len(answers))


def _agree(a: LayoutCoT, b: LayoutCoT, page: Page) -> bool:
    # "Not in the document" agrees with itself alone.
    if a.answer is None or b.answer is None:
        return a.answer is b.answer
    if _normalised(a.answer) == _normalised(b.answer):
        return True
    here, there = _place(a, page), _place(b, page)
    return here is not None and there is not None and here.iou(there) > SAME_PLACE


def _normalised(answer: str) -> str:
    """Without case and punctuation, unless nothing else is there."""
    folded = unicodedata.normalize("NFKC", answer).casefold()
    return re.sub(r"[\W_]+", "", folded) or folded.strip()


def _place(cot: LayoutCoT, page: Page) -> Box | None:
    boxes = [evidence.box for evidence in cot.evidence if evidence.page == page.number]
    return Box.union(boxes) if boxes else None
