"""Checks a question, and turns a correction into constraints of the decoder. Pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from layoutllm_tool.cot import Correction, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.spatial import lines_at
from layoutllm_tool.documents.values import spans_of
from layoutllm_tool.errors import CorrectionError, QuestionError

if TYPE_CHECKING:
    from layoutllm_tool.model.grammar import Constraints
    from layoutllm_tool.model.processing import Window

LONGEST_QUESTION = 2000
"""Characters. The paper's limit is 2048 instruction tokens; a question this long is a document of its own."""


def check_question(question: str) -> None:
    """QuestionError where it is empty or too long."""
    if not question.strip():
        raise QuestionError("the question is empty.", hint='Ask something, for instance "What is the total?".')
    if len(question) > LONGEST_QUESTION:
        raise QuestionError(f"the question has {len(question)} characters.", hint=f"At most {LONGEST_QUESTION}.")


def constraints(correction: Correction | None, previous: LayoutCoT | None, window: Window) -> Constraints | None:
    """What a correction asks of one window; None where the window has nothing of what it asks for.

    A correction without a previous attempt has nothing to keep: the steps before it are decoded.
    """
    from layoutllm_tool.model.grammar import Constraints

    if correction is None:
        return Constraints()
    kept = previous.analysis if previous else None
    match correction.step:
        case "analysis":
            return Constraints(analysis=_mended(correction, kept))
        case "area":
            return _look_at(correction, kept, window)
        case _:
            return _answer_again(correction, previous, window)


def _mended(correction: Correction, kept: QuestionAnalysis | None) -> QuestionAnalysis:
    before = kept or QuestionAnalysis("key-value", "extraction", "")
    return QuestionAnalysis(correction.kind or before.kind, before.operation, correction.text or before.key)


def _look_at(correction: Correction, kept: QuestionAnalysis | None, window: Window) -> Constraints | None:
    """Boxes say exactly where to look; boxes to avoid and spatial words leave the choice among what remains."""
    from layoutllm_tool.model.grammar import Constraints

    page = window.page
    if correction.page is not None and correction.page != page.number:
        return None
    lines = page.lines or ()
    segment_of = {line: segment for segment, line in enumerate(window.lines)}
    if correction.boxes:
        inside = {line for box in correction.boxes for line in page.lines_in(box)}
        chosen = tuple(segment_of[line] for line in sorted(inside) if line in segment_of)
        return Constraints(analysis=kept, segments=chosen, answerable=True) if chosen else None
    allowed = set(range(len(lines)))
    if correction.spatial:
        allowed &= lines_at(page, correction.spatial, kept.key if kept else "")
    for box in correction.avoid:
        allowed -= set(page.lines_in(box))
    segments = frozenset(segment_of[line] for line in allowed if line in segment_of)
    # Where the person only said where it is not, "not in the document" stays a possible answer.
    answerable = bool(correction.spatial)
    return Constraints(analysis=kept, allowed=segments, answerable=answerable) if segments else None


def _answer_again(correction: Correction, previous: LayoutCoT | None, window: Window) -> Constraints | None:
    from layoutllm_tool.model.grammar import Constraints

    expected = correction.expected_type
    spans = partial(spans_of, expected) if expected else None
    wrong = frozenset(w.strip().lower() for w in correction.wrong)
    if previous is None or not previous.areas:
        return Constraints(spans=spans, wrong=wrong)
    where = {line: segment for segment, line in enumerate(window.lines)}
    lines = [line for area in previous.areas if area.page == window.page.number for line in area.lines]
    chosen = tuple(where[line] for line in lines if line in where)
    if not chosen:
        return None
    return Constraints(analysis=previous.analysis, segments=chosen, spans=spans, wrong=wrong, answerable=True)


def refuse_empty(correction: Correction, document: Document) -> CorrectionError:
    """For a correction that no window of the document can follow."""
    asked = f"page {correction.page}" if correction.page else f"{document.name!r}"
    return CorrectionError(
        f"nothing on {asked} lies where the correction of step {correction.step!r} says to look.",
        hint="Boxes are [x0, y0, x1, y1] from 0 to 1000 on the page, and must cover at least half of a line.",
    )
