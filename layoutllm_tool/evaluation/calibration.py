"""Fit the confidence's coefficients and the bias of "none" to scored answers. ``confidence`` applies them."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from layoutllm_tool.evaluation.confidence_metrics import auroc, calibration_error
from layoutllm_tool.evaluation.results import ScoredAnswer
from layoutllm_tool.readers.confidence import BIAS, confidence, features, log_odds, sigmoid

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Signals = Sequence[Mapping[str, float]]
Signs = Mapping[str, int]

PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
FOLDS = 5
_SOFTER = (0.2, 1.5)
"""Bounds of what held-out outcomes may multiply the log-odds by."""
SIGNS: dict[str, Signs] = {
    kind: dict.fromkeys(names["for"], 1) | dict.fromkeys(names["against"], -1)
    for kind, names in tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8")).items()
}
"""Which way (1 or -1) a signal may speak, by kind of outcome."""
DESCRIPTIVE = frozenset({"length", "lines", "places", "share_of_lines"})
"""Signals that say what kind of page and answer it is, not how right. ``fit_rows`` leaves them out: with them
the fit learns which pages it saw, and on held-out drawn pages they gained nothing."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Of some confidences: calibration error, AUROC of right against wrong (NaN if all are alike), count."""

    error: float
    separation: float
    outcomes: int

    @classmethod
    def of(cls, sure: Sequence[float], right: Sequence[bool]) -> Quality:
        return cls(calibration_error(sure, right), auroc(sure, right), len(right))


def fit_confidence(
    signals: Signals, right: Sequence[bool], *, penalty: float = 1.0, signs: Signs | None = None
) -> dict[str, float]:
    """Logistic regression from signals (their ``features``) to rightness -> coefficients of ``confidence``.

    L2 on standardised signals. The targets are Platt's, so that even a set of right ones gives less than 1.
    Signals that never vary get no coefficient, nor do those that speak against their sign: the one furthest
    off goes first, until none is left. ValueError without outcomes.
    """
    if not signals or len(signals) != len(right):
        raise ValueError(
            f"{len(signals)} sets of signals for {len(right)} outcomes; there must be as many, at least one"
        )
    described = [features(found) for found in signals]
    names = sorted({name for found in described for name in found})
    x = np.array([[found.get(name, 0.0) for name in names] for found in described]).reshape(len(signals), -1)
    mean, spread = x.mean(0), x.std(0)
    kept = [i for i in range(len(names)) if spread[i] > 1e-9]
    wanted = np.array([(signs or {}).get(name.removeprefix("p(").removesuffix(")"), 0) for name in names])
    while True:
        weights, bias = _logistic((x[:, kept] - mean[kept]) / spread[kept], _targets(right), penalty)
        against = np.minimum(weights * wanted[kept], 0.0)
        if not against.any():
            break
        kept.pop(int(against.argmin()))
    slopes = weights / spread[kept]
    coefficients = {names[i]: float(slope) for i, slope in zip(kept, slopes, strict=True)}
    return coefficients | {BIAS: float(bias - (slopes * mean[kept]).sum())}


def fit_checked(
    signals: Signals,
    right: Sequence[bool],
    documents: Sequence[str],
    *,
    signs: Signs | None = None,
) -> tuple[dict[str, float], Quality | None]:
    """``fit_confidence``, with the penalty and the scale chosen by outcomes of documents left out.

    Whole documents are left out, a fifth at a time. The penalty is the one with the least cross entropy on
    them. Their log-odds then give a factor (a temperature, usually under 1) and a shift for all. The quality
    is theirs. With under five documents: the default penalty, and None.
    """
    if len(set(documents)) < FOLDS:
        return fit_confidence(signals, right, signs=signs), None
    odds = {penalty: _held_out(signals, right, documents, penalty, signs) for penalty in PENALTIES}
    penalty = min(PENALTIES, key=lambda p: _cross_entropy(odds[p], right))
    slope, shift = _softened(odds[penalty], right)
    found = fit_confidence(signals, right, penalty=penalty, signs=signs)
    fitted = {name: value * slope for name, value in found.items()}
    fitted[BIAS] += shift
    return fitted, Quality.of([sigmoid(float(z) * slope + shift) for z in odds[penalty]], right)


def _held_out(
    signals: Signals,
    right: Sequence[bool],
    documents: Sequence[str],
    penalty: float,
    signs: Signs | None,
) -> FloatArray:
    """Log-odds of each outcome, fitted to the other folds' documents."""
    fold_of = {name: number % FOLDS for number, name in enumerate(sorted(set(documents)))}
    folds = [fold_of[name] for name in documents]
    odds = np.zeros(len(right))
    for fold in range(FOLDS):
        others = [i for i, at in enumerate(folds) if at != fold]
        known, outcomes = [signals[i] for i in others], [right[i] for i in others]
        fitted = fit_confidence(known, outcomes, penalty=penalty, signs=signs)
        for i in (i for i, at in enumerate(folds) if at == fold):
            odds[i] = log_odds(fitted, signals[i])
    return odds


def _cross_entropy(odds: FloatArray, right: Sequence[bool]) -> float:
    signed = np.where(np.array(right), odds, -odds)
    return float(np.logaddexp(0.0, -signed).mean())


def _softened(odds: FloatArray, right: Sequence[bool]) -> tuple[float, float]:
    """(slope, shift) that fit held-out log-odds best; the shift belongs to the slope as bounded."""
    slopes, _ = _logistic(odds[:, None], _targets(right), 1e-6)
    slope = float(np.clip(slopes[0], *_SOFTER))
    shift = 0.0
    for _ in range(50):
        chance = 0.5 * (1 + np.tanh((odds * slope + shift) / 2))
        shift -= float((chance - _targets(right)).sum() / max(float((chance * (1 - chance)).sum()), 1e-9))
    return slope, shift


def _targets(right: Sequence[bool]) -> FloatArray:
    """Platt (1999): (n + 1) / (n + 2) for right, 1 / (n + 2) for wrong."""
    good = sum(right)
    high, low = (good + 1) / (good + 2), 1 / (len(right) - good + 2)
    return np.array([high if hit else low for hit in right])


def _logistic(x: FloatArray, y: FloatArray, penalty: float) -> tuple[FloatArray, float]:
    """(weights, bias) that minimise cross entropy + penalty / 2 * |weights|^2; the bias goes free.

    Each soft target y stands for y right ones and 1 - y wrong ones.
    """
    from sklearn.linear_model import LogisticRegression

    if not x.shape[1]:
        return np.zeros(0), math.log(y.mean() / (1 - y.mean()))
    model = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-8, max_iter=200)
    classes = np.repeat([1, 0], len(y))
    model.fit(np.vstack([x, x]), classes, sample_weight=np.concatenate([y, 1 - y]))
    return model.coef_[0], float(model.intercept_[0])


def fit_rows(
    answers: Sequence[ScoredAnswer],
    *,
    no_answer_bias: float = 0.0,
    key_present_bias: float = 0.0,
) -> dict[str, Any]:
    """A ``calibration.json``: "answer" and "none" (coefficients), "no_answer_bias", "key_present_bias".

    Answers and "not in the document" are fitted apart; a kind that never occurred is left out. ``held_out``
    is the quality on documents left out of the fit, by kind, where there were enough of them. The biases
    given are those that the answers were made with. ``key_present_bias``, added where the page names the
    key, needs the signal "named" (0 or 1); without it, it stays as it was.
    """
    found: dict[str, Any] = {}
    checked: dict[str, Any] = {}
    for kind, signs in SIGNS.items():
        chosen = _of_kind(answers, kind)
        if chosen:
            right, documents = [one.right for one in chosen], [one.document for one in chosen]
            signals = [{n: v for n, v in one.signals.items() if n not in DESCRIPTIVE} for one in chosen]
            found[kind], quality = fit_checked(signals, right, documents, signs=signs)
            checked |= {kind: asdict(quality)} if quality else {}
    found |= {"held_out": checked} if checked else {}
    if not any("named" in one.signals for one in answers):
        return found | {
            "no_answer_bias": fit_no_answer_bias(answers, no_answer_bias),
            "key_present_bias": key_present_bias,
        }
    always = fit_no_answer_bias([one for one in answers if not one.signals.get("named")], no_answer_bias)
    both = fit_no_answer_bias(
        [one for one in answers if one.signals.get("named")], no_answer_bias + key_present_bias
    )
    return found | {"no_answer_bias": always, "key_present_bias": round(both - always, 4)}


def _of_kind(answers: Sequence[ScoredAnswer], kind: str) -> list[ScoredAnswer]:
    """Without those that failed: they have no signals and no outcome."""
    return [one for one in answers if (one.answer is None) == (kind == "none") and not one.failed]


def fitted_quality(answers: Sequence[ScoredAnswer], fitted: Mapping[str, Any]) -> dict[str, Quality]:
    """By kind of outcome. Flattering where the answers are those fitted to."""
    found = {}
    for kind in SIGNS:
        chosen = _of_kind(answers, kind)
        if chosen and kind in fitted:
            sure = [confidence(fitted[kind], one.signals) for one in chosen]
            found[kind] = Quality.of(sure, [one.right for one in chosen])
    return found


def fit_no_answer_bias(answers: Sequence[ScoredAnswer], before: float = 0.0) -> float:
    """The bias of "none" under which the answers would score best, its smallest change where several do.

    Works from how far "none" stood above or below everything else (the log-odds of ``none_logprob``). What an
    outcome None would have been instead is unknown: an answerable question is taken to get the mean score of
    those answered.
    """
    known = [one for one in answers if "none_logprob" in one.signals]
    if not known:
        return before
    answered = [one.anls for one in known if one.gold and one.answer is not None]
    hoped = sum(answered) / len(answered) if answered else 0.0
    odds = np.array([_lead(one) for one in known])
    kept = np.array([one.anls if one.answer is not None else hoped if one.gold else 0.0 for one in known])
    without = np.array([float(not one.gold) for one in known])
    turns = np.sort(-odds)
    shifts = [0.0, *(turns[1:] + turns[:-1]) / 2, turns[0] - 1.0, turns[-1] + 1.0]
    scores = [float(np.where(odds + shift > 0, without, kept).sum()) for shift in shifts]
    best = max(scores)
    shift = min((s for s, value in zip(shifts, scores, strict=True) if value >= best - 1e-9), key=abs)
    return round(before + float(np.clip(shift, -10.0, 10.0)), 4)


def _lead(one: ScoredAnswer) -> float:
    """Log-odds of "none", held to the side on which the outcome fell."""
    chance = min(max(math.exp(min(one.signals["none_logprob"], 0.0)), 1e-13), 1 - 1e-13)
    odds = math.log(chance / (1 - chance))
    return max(odds, 1e-6) if one.answer is None else min(odds, -1e-6)
