"""Turns what the decoder found in each window into one LayoutCoT. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from layoutllm_tool.cot import AnswerFormation, Evidence, LayoutCoT
from layoutllm_tool.readers.confidence import confidence, signals

if TYPE_CHECKING:
    from layoutllm_tool.model.grammar import Decoded
    from layoutllm_tool.model.processing import Window


def as_cot(question: str, window: Window, decoded: Decoded, coefficients: Mapping[str, Any]) -> LayoutCoT:
    """One window's outcome with its evidence and a confidence from ``coefficients`` (see confidence.py)."""
    areas = window.area(decoded.segments)
    copied = decoded.answer is not None and decoded.words
    stands = (Evidence.of(window.page, decoded.words),) if copied else ()
    found = signals(window.page, decoded, areas)
    kind = "none" if decoded.answer is None else "answer"
    sure = confidence(coefficients[kind], found) if kind in coefficients else _plain_confidence(found, kind)
    formation = decoded.formation if decoded.answer is not None else AnswerFormation("none", "")
    return LayoutCoT(question, decoded.analysis, areas, formation, decoded.answer, sure, stands, found)


def _plain_confidence(found: Mapping[str, float], kind: str) -> float:
    """Uncalibrated: the probability of the choices that made the outcome."""
    names = ("none_logprob",) if kind == "none" else ("area_logprob", "answer_logprob")
    return math.exp(min(0.0, math.fsum(found.get(name, 0.0) for name in names)))


NUMBERS_SAID = "option_numbers_said"
"""A choice's feature: the share of the question's numbers in the answer's row or key."""


def best(attempts: Sequence[LayoutCoT]) -> LayoutCoT:
    """The surest grounded answer of several windows or pages, else the surest answer.

    Where the question has a number ("payment to vendor 44"), only answers count whose row or key has it, if
    there are any: a page without that row is sure of another.

    "Not in the document" where that is likelier: where all that say so are right, and all that answer are
    wrong. Where all say so, the least sure of them.
    """
    answered = [cot for cot in attempts if cot.answer is not None]
    no_answer = [cot for cot in attempts if cot.answer is None]
    most = max((cot.signals.get(NUMBERS_SAID, 0.0) for cot in answered), default=0.0)
    answered = [cot for cot in answered if cot.signals.get(NUMBERS_SAID, 0.0) == most]
    if not answered:
        return min(no_answer, key=lambda cot: cot.confidence)
    first = max(answered, key=lambda cot: (cot.grounded, cot.confidence))
    nowhere = math.prod([cot.confidence for cot in no_answer] + [1 - cot.confidence for cot in answered])
    if no_answer and nowhere > first.confidence:
        return replace(max(no_answer, key=lambda cot: cot.confidence), confidence=nowhere)
    return first
