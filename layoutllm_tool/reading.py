"""From the decoder's outcome on windows to one LayoutCoT: corrections become constraints, signals a confidence. Pure but for types."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from layoutllm_tool import evidence
from layoutllm_tool.answer_types import spans_of
from layoutllm_tool.confidence import confidence
from layoutllm_tool.cot import AnswerFormation, Correction, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Document, Page
from layoutllm_tool.errors import CorrectionError, QuestionError
from layoutllm_tool.spatial import lines_at

if TYPE_CHECKING:
    from layoutllm_tool.model.grammar import Constraints, Decoded
    from layoutllm_tool.model.processing import Window

LONGEST_QUESTION = 2000
"""Characters. The paper's limit is 2048 instruction tokens; a question this long is a document of its own."""
NUMBERS_SAID = "option_numbers_said"
"""The signal of a choice that says which share of the question's numbers stands in the answer's row or key."""


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


# -- outcome ------------------------------------------------------------------------------------------------------------


def as_cot(question: str, window: Window, decoded: Decoded, coefficients: Mapping[str, Any]) -> LayoutCoT:
    """One window's outcome with its evidence and a confidence from ``coefficients`` (see confidence.py)."""
    areas = window.area(decoded.segments)
    stands = _evidence(window.page, decoded.words, decoded.answer)
    found = evidence.signals(window.page, decoded, areas)
    kind = "none" if decoded.answer is None else "answer"
    sure = confidence(coefficients[kind], found) if kind in coefficients else _plain_confidence(found, kind)
    formation = decoded.formation if decoded.answer is not None else AnswerFormation("none", "")
    return LayoutCoT(question, decoded.analysis, areas, formation, decoded.answer, sure, stands, found)


def _evidence(page: Page, words: Sequence[tuple[int, int]], answer: str | None) -> tuple[Evidence, ...]:
    if not words or answer is None or page.lines is None:
        return ()
    found = [page.lines[line].words[word] for line, word in words]
    box = Box.union(word.box for word in found)
    return (Evidence(page.number, box, " ".join(word.text for word in found), tuple(words)),)


def _plain_confidence(found: Mapping[str, float], kind: str) -> float:
    """Uncalibrated: the probability of the choices that made the outcome."""
    names = ("none_logprob",) if kind == "none" else ("area_logprob", "answer_logprob")
    return math.exp(min(0.0, math.fsum(found.get(name, 0.0) for name in names)))


def best(attempts: Sequence[LayoutCoT]) -> LayoutCoT:
    """Of several windows' or pages' outcomes: the surest grounded answer, else the surest answer.

    Where the question has a number ("payment to vendor 44"), answers whose row or key has it count, and the others only where none has:
    a page without that row is sure of another. None where it is likelier that none of them answers: that all that say so are
    right, and all that answer are wrong. Where all say so, it is no surer than the least sure of them.
    """
    silent = [cot for cot in attempts if cot.answer is None]
    answered = [cot for cot in attempts if cot.answer is not None]
    most = max((cot.signals.get(NUMBERS_SAID, 0.0) for cot in answered), default=0.0)
    answered = [cot for cot in answered if cot.signals.get(NUMBERS_SAID, 0.0) == most]
    if not answered:
        return min(silent, key=lambda cot: cot.confidence)
    first = max(answered, key=lambda cot: (cot.grounded, cot.confidence))
    nowhere = math.prod([cot.confidence for cot in silent] + [1 - cot.confidence for cot in answered])
    if silent and nowhere > first.confidence:
        return replace(max(silent, key=lambda cot: cot.confidence), confidence=nowhere)
    return first
