"""The signals of an outcome (numbers by name), and from them the probability that it is right.

| signal | of | meaning |
|---|---|---|
| ``analysis_``, ``area_logprob`` | all | log-probability of the step's choice; at least -8 |
| ``formation_``, ``answer_logprob`` | all | the same, of step 3 and of the answer |
| ``..._worst`` | all | of its least likely choice |
| ``none_logprob`` | all | of "no segment answers", whatever was chosen; at least -30 |
| ``predicted_loss`` | all | what the loss head expects (model/loss_head.py); absent without one |
| ``option_odds``, ``option_margin`` | all | of model/choosing.py: log-odds, lead |
| ``option_none`` | all | of model/choosing.py: probability of none |
| ``option_same``, ``option_model_iou`` | all | it is the model's own answer; overlap with that |
| ``option_meaning_best`` | all | likeness of the best segment to the question |
| ``option_sentence_best`` | all | likeness of the best sentence to the question |
| ``option_agreement`` | all | sources that rank it first |
| ``option_key_said`` | all | share of its key in the question |
| ``option_fits``, ``option_misses`` | all | share of it that is, and is not, of the expected type |
| ``option_quoted_asked``, ``option_quoted_found`` | all | the question quotes a key; the page has it |
| ``option_numbers_said`` | all | share of the question's numbers in its row or key |
| ``text_asked``, ``text_agrees`` | all | of model/text_opinion.py: it was asked; it answers the same |
| ``text_logprob``, ``text_lead`` | all | its log-probability of that; less that of its own; at least -8 |
| ``named`` | all | a line of the page holds the key word for word |
| ``key_share`` | all | share of the key's words in the line that holds most of them |
| ``key_lines`` | all | log(1 + lines that hold as many): more than one is ambiguous |
| ``lines`` | all | lines in the area |
| ``answer_mean`` | answers | mean log-probability of the answer's tokens |
| ``formation_key`` | answers | likeness of the key that step 3 names with the key of step 1 |
| ``first_place``, ``any_place`` | answers | overlap with the first, the best place beside the key by rule |
| ``answer_far_from_key`` | answers | ``named``, and not in such a place |
| ``relation`` | answers | that best place stands to the key as step 3 says |
| ``label`` | answers | it ends, or goes on, with a colon |
| ``is_key`` | answers | it is the key itself, or a part of it |
| ``typed`` | answers | of its key's type (a date, an amount ...): 1 yes, -1 no, 0 without a type |
| ``cut`` | answers | it begins or ends inside a word |
| ``share_of_lines`` | answers | words of its lines that it takes |
| ``ocr`` | answers | mean confidence of text recognition in its words |
| ``answer_outside_area``, ``grounded`` | answers | copied from outside the area; copied at all |
| ``places``, ``length`` | answers | log(1 + places where it occurs); log(1 + characters) |

``confidence`` weighs them; ``evaluation.calibration`` fits the weights. Nothing here reads pixels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from difflib import SequenceMatcher
from statistics import fmean
from typing import TYPE_CHECKING, Protocol

from layoutllm_tool.cot import AnswerFormation, Area, ExpectedType, QuestionAnalysis
from layoutllm_tool.documents.geometry import Line, Page, Word
from layoutllm_tool.documents.key_places import Found, places
from layoutllm_tool.documents.search import plain
from layoutllm_tool.documents.spatial import contains
from layoutllm_tool.documents.values import spans_of

if TYPE_CHECKING:
    from layoutllm_tool.model.grammar import Decoded

_EXPECTED: tuple[tuple[str, tuple[ExpectedType, ...]], ...] = (
    (r"\bdate\b|\bdated\b", ("date",)),
    (r"\be-?mail\b", ("email",)),
    (r"\b(?:tele)?phone\b|\bfax\b|\btel\b", ("phone",)),
    (
        r"\btotal\b|\bamount\b|\bprice\b|\bcosts?\b|\bbudget\b|\bbalance\b|\bdue\b|\btax\b",
        ("money", "number"),
    ),
    (r"\bqty\b|\bquantity\b|\bno\b|\bnumber\b|#|\bcount\b|\bpages\b|\byear\b|\bzip\b", ("number",)),
)
"""What a key's words say about its value, the first that fits."""
_LEAST = -8.0
"""Lower bound of log-probabilities: a few outcomes at -40 would distort the logistic."""
_LONGEST = 200
"""Characters of a key that are compared: the model's text may be of any length."""


def signals(page: Page, decoded: Decoded, areas: Sequence[Area]) -> dict[str, float]:
    """Every signal of the table that this kind of outcome has."""
    return _decoder_signals(decoded) | page_signals(page, decoded, areas) | dict(decoded.chosen)


class Outcome(Protocol):
    """An outcome of any reader."""

    @property
    def analysis(self) -> QuestionAnalysis: ...
    @property
    def formation(self) -> AnswerFormation: ...
    @property
    def answer(self) -> str | None: ...
    @property
    def words(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def answer_outside_area(self) -> bool: ...


def page_signals(page: Page, outcome: Outcome, areas: Sequence[Area]) -> dict[str, float]:
    """The signals that need no model's probabilities."""
    key = outcome.analysis.key[:_LONGEST]
    candidates = list(places(page, key))
    found = _key_signals(page, key)
    found["lines"] = float(sum(len(area.lines) for area in areas))
    if outcome.answer is not None:
        words = [(page.lines or ())[line].words[word] for line, word in outcome.words]
        found |= _answer_signals(page, outcome.answer, key, words)
        found |= _place_signals(page, outcome, candidates)
        found["answer_far_from_key"] = found["named"] * (1.0 - found["any_place"])
        found["answer_outside_area"], found["grounded"] = (
            float(outcome.answer_outside_area),
            float(bool(words)),
        )
        found["formation_key"] = _similarity(outcome.formation.key[:_LONGEST], key)
    return found


def _decoder_signals(decoded: Decoded) -> dict[str, float]:
    found = {f"{step}_logprob": max(math.fsum(v), _LEAST) for step, v in decoded.logprobs.items() if v}
    found |= {f"{step}_worst": max(min(v), _LEAST) for step, v in decoded.logprobs.items() if v}
    found["none_logprob"] = max(decoded.none_logprob, -30.0)
    if decoded.answer is not None and decoded.logprobs["answer"]:
        found["answer_mean"] = max(fmean(decoded.logprobs["answer"]), _LEAST)
    predicted = getattr(decoded, "predicted_loss", None)  # with a loss head; its type would import torch
    return found if predicted is None else found | {"predicted_loss": predicted}


def _key_signals(page: Page, key: str) -> dict[str, float]:
    terms = {term for word in key.split() if (term := plain(word))}
    shares = [
        len(terms & {plain(word.text) for word in line.words}) / len(terms)
        for line in page.lines or ()
        if terms
    ]
    most = max(shares, default=0.0)
    return {
        "named": float(any(contains(line.text, key) for line in page.lines or ())),
        "key_share": most,
        "key_lines": math.log1p(shares.count(most)) if most else 0.0,
    }


def _answer_signals(page: Page, answer: str, key: str, words: Sequence[Word]) -> dict[str, float]:
    normalised, asked = _normalised(answer), _normalised(key)
    text = " ".join(word.text for word in words)
    return {
        "label": float(answer.rstrip().endswith(":") or text.endswith(f"{answer}:")),
        "is_key": float(bool(normalised) and normalised in asked),
        "typed": typed(key, answer),
        "cut": float(bool(words) and answer.strip(_SIGNS) != text.strip(_SIGNS)),
        "ocr": fmean([1.0 if w.confidence is None else w.confidence for w in words]) if words else 0.0,
        "places": math.log1p(page.text.lower().count(answer.lower())),
        "length": math.log1p(len(answer)),
    }


_SIGNS = " .,:;"


def _place_signals(page: Page, outcome: Outcome, candidates: Sequence[Found]) -> dict[str, float]:
    """Compares the answer with the places beside the key by rule."""
    lines, chosen = page.lines or (), set(outcome.words)
    share = max((found.share for found in candidates), default=0.0)
    best = [found for found in candidates if found.share == share]
    overlaps = [_overlap(chosen, {(found.line, word) for word in found.words}) for found in best]
    most = max(overlaps, default=0.0)
    relations = {found.relation for found, overlap in zip(best, overlaps, strict=True) if overlap == most > 0}
    return {
        "first_place": overlaps[0] if overlaps else 0.0,
        "any_place": most,
        "relation": float(outcome.formation.relation in relations),
        "share_of_lines": _share(lines, chosen),
    }


def _share(lines: Sequence[Line], chosen: Collection[tuple[int, int]]) -> float:
    whole = sum(len(lines[line].words) for line in {line for line, _ in chosen})
    return len(chosen) / whole if whole else 0.0


def _overlap(a: set[tuple[int, int]], b: set[tuple[int, int]]) -> float:
    """F1 of the words: 0-1."""
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0


def typed(key: str, answer: str) -> float:
    """1 where the answer has the type that its key names, -1 where not, 0 where the key names none."""
    for pattern, kinds in _EXPECTED:
        if re.search(pattern, key, re.IGNORECASE):
            return 1.0 if any(spans_of(kind, answer) for kind in kinds) else -1.0
    return 0.0


def _normalised(text: str) -> str:
    return " ".join(term for word in text.split() if (term := plain(word)))


def _similarity(a: str, b: str) -> float:
    """0-1, ignoring case and punctuation; 0 where either is empty."""
    left, right = _normalised(a), _normalised(b)
    return SequenceMatcher(None, left, right, autojunk=False).ratio() if left and right else 0.0


BIAS = "bias"
"""The intercept's name among the coefficients."""


def confidence(coefficients: Mapping[str, float], signals: Mapping[str, float]) -> float:
    """The logistic of the weighted signals, 0-1.

    A signal that is missing or not finite counts as 0; one without a coefficient is ignored. 0.5 without any
    coefficients.
    """
    return sigmoid(log_odds(coefficients, signals))


def features(signals: Mapping[str, float]) -> dict[str, float]:
    """The signals, and beside every log-probability its probability, as "p(name)".

    The logarithm separates unlikely choices, the probability likely ones. What is not finite counts as 0.
    """
    found = {name: _finite(value) for name, value in signals.items()}
    logs = [name for name in found if name.endswith(("_logprob", "_worst"))]
    return found | {f"p({name})": math.exp(min(found[name], 0.0)) for name in logs}


def log_odds(coefficients: Mapping[str, float], signals: Mapping[str, float]) -> float:
    """The bias and the weighted features: what ``confidence`` is the logistic of."""
    found, total = features(signals), coefficients.get(BIAS, 0.0)
    return total + sum(weight * found.get(name, 0.0) for name, weight in coefficients.items() if name != BIAS)


def sigmoid(value: float) -> float:
    """1 / (1 + e^-value), without overflow on either side."""
    small = math.exp(-abs(value))
    return 1.0 / (1.0 + small) if value >= 0 else small / (1.0 + small)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
