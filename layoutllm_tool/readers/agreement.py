"""Several readings of one question -> the one to prefer, and why. Pure: nothing is asked or read again here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Box, Page

SAME_PLACE = 0.5
"""Answers on the page whose boxes have a larger intersection over union are readings of one place."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``preferred`` is one of the readings compared."""

    preferred: LayoutCoT
    agreement: float
    """The share of all readings, itself among them, that agree with it: 0-1. One reading alone has 1."""
    reason: str
    """For a person."""

    @property
    def settled(self) -> bool:
        """Whether more than half of at least two readings agree; a single reading settles nothing."""
        return self.agreement > 0.5 and self.reason != _ALONE


_ALONE = "Nothing to compare with."


def compare(first: LayoutCoT, others: Sequence[LayoutCoT], page: Page) -> Comparison:
    """The reading to prefer: one that can stand (grounded, or "not in the document") over an answer without a place on any
    page, then the one that more readings agree with, else the first.

    Readings agree where their answers are equal but for blanks, case and punctuation, or stand in the same place on ``page``.
    """
    readings = (first, *others)
    if not others:
        return Comparison(first, 1.0, _ALONE)
    votes = [sum(agree(one, other, page) for other in readings) for one in readings]
    stands = [one.answer is None or one.grounded for one in readings]
    best = max(range(len(readings)), key=lambda i: (stands[i], votes[i], -i))
    return Comparison(readings[best], votes[best] / len(readings), _reason(readings, best, votes, stands))


def agree(a: LayoutCoT, b: LayoutCoT, page: Page) -> bool:
    """See ``compare``. "Not in the document" agrees with itself alone."""
    if a.answer is None or b.answer is None:
        return a.answer is b.answer
    if _plain(a.answer) == _plain(b.answer):
        return True
    here, there = _place(a, page), _place(b, page)
    return here is not None and there is not None and here.iou(there) > SAME_PLACE


def _plain(answer: str) -> str:
    """What is only punctuation stays as it is: it must differ from other such."""
    folded = unicodedata.normalize("NFKC", answer).casefold()
    return re.sub(r"[\W_]+", "", folded) or folded.strip()


def _place(cot: LayoutCoT, page: Page) -> Box | None:
    boxes = [evidence.box for evidence in cot.evidence if evidence.page == page.number]
    return Box.union(boxes) if boxes else None


def _reason(readings: Sequence[LayoutCoT], best: int, votes: Sequence[int], stands: Sequence[bool]) -> str:
    said = _said(readings[best])
    if votes[best] > 1:
        return f"{votes[best]} of {len(readings)} readings agree on {said}."
    if best and not stands[0]:
        return f"{said} can be pointed at on the page, {_said(readings[0])} can't."
    if best:
        return f"More readings agree on {said}."
    return f"No two readings that can be pointed at agree; {said} came first."


def _said(cot: LayoutCoT) -> str:
    return "that the document does not say" if cot.answer is None else f'"{cot.answer[:100]}"'
