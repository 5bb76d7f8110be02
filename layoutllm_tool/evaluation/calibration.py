"""Fits the confidence's coefficients and the bias of "none" to scored rows. Applying them is ``layoutllm_tool.readers.confidence``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from layoutllm_tool.evaluation.metrics import auroc, calibration_error
from layoutllm_tool.evaluation.rows import Row
from layoutllm_tool.readers.confidence import BIAS, confidence, features, log_odds, sigmoid

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
FOLDS = 5
_SOFTER = (0.2, 1.5)
"""Bounds of what held-out outcomes may multiply the log-odds by."""

Signs = Mapping[str, int]
SIGNS: Mapping[str, Signs] = {
    "answer": {
        **dict.fromkeys(("analysis_logprob", "area_logprob", "formation_logprob", "answer_logprob", "answer_mean"), 1),
        **dict.fromkeys(("analysis_worst", "area_worst", "formation_worst", "answer_worst"), 1),
        **dict.fromkeys(("first_place", "any_place", "relation", "formation_key", "key_share", "typed", "ocr"), 1),
        **dict.fromkeys(("named", "grounded"), 1),
        **dict.fromkeys(
            ("option_odds", "option_margin", "option_same", "option_fits", "option_agreement", "option_key_said"), 1
        ),
        **dict.fromkeys(("option_meaning_best", "option_sentence_best", "option_model_iou"), 1),
        **dict.fromkeys(("option_none", "option_misses"), -1),
        **dict.fromkeys(
            ("predicted_loss", "label", "is_key", "cut", "widened", "astray", "none_logprob", "key_lines"), -1
        ),
    },
    "none": {
        **dict.fromkeys(("none_logprob", "analysis_logprob", "analysis_worst", "area_logprob", "area_worst"), 1),
        **dict.fromkeys(("option_odds", "option_margin", "option_none", "option_same"), 1),
        **dict.fromkeys(("predicted_loss", "named", "key_share", "key_lines"), -1),
    },
}
"""Which way a signal, and its probability, may speak, by kind of outcome. One that spoke the other way on a few hundred outcomes was chance, and on
another kind of page would mislead; what is not named here may speak either way."""
DESCRIPTIVE = frozenset({"length", "lines", "places", "share_of_lines"})
"""Signals that say what kind of page and answer it is, not how right: with them the fit learns which pages it saw. Left out by
``fit_rows``: on held-out drawn pages they gained nothing."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Of some outcomes' confidence: calibration error, AUROC of right against wrong (NaN where all are alike), their number."""

    error: float
    separation: float
    outcomes: int

    @classmethod
    def of(cls, sure: Sequence[float], right: Sequence[bool]) -> Quality:
        return cls(calibration_error(sure, right), auroc(sure, right), len(right))


def fit_confidence(
    signals: Sequence[Mapping[str, float]], right: Sequence[bool], *, penalty: float = 1.0, signs: Signs | None = None
) -> dict[str, float]:
    """Logistic regression from signals (their ``features``) to rightness -> coefficients for ``confidence.confidence``.

    L2 on standardised signals, Newton's method. The targets are Platt's, so that a set in which all are right gives a
    probability under 1. Signals that never vary get no coefficient, nor do those that speak against their sign: the one
    furthest off goes first, until none is left. ValueError without rows.
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
        weights, bias = _newton((x[:, kept] - mean[kept]) / spread[kept], _targets(right), penalty)
        against = np.minimum(weights * wanted[kept], 0.0)
        if not against.any():
            break
        kept.pop(int(against.argmin()))
    slopes = weights / spread[kept]
    coefficients = {names[i]: float(slope) for i, slope in zip(kept, slopes, strict=True)}
    return coefficients | {BIAS: float(bias - (slopes * mean[kept]).sum())}


def fit_checked(
    signals: Sequence[Mapping[str, float]],
    right: Sequence[bool],
    documents: Sequence[str],
    *,
    signs: Signs | None = None,
) -> tuple[dict[str, float], Quality | None]:
    """As ``fit_confidence``, the penalty and how sure to be chosen by outcomes of documents that were not fitted to.

    Whole documents are left out, a fifth at a time. The penalty is the one with the least cross entropy on them; their
    log-odds then say by what to multiply and shift all (a temperature, usually under 1). The quality is theirs. None, and the
    default penalty, with under five documents.
    """
    if len(set(documents)) < FOLDS:
        return fit_confidence(signals, right, signs=signs), None
    odds = {penalty: _held_out(signals, right, documents, penalty, signs) for penalty in PENALTIES}
    penalty = min(PENALTIES, key=lambda p: _cross_entropy(odds[p], right))
    slope, shift = _softened(odds[penalty], right)
    fitted = {
        name: value * slope for name, value in fit_confidence(signals, right, penalty=penalty, signs=signs).items()
    }
    fitted[BIAS] += shift
    return fitted, Quality.of([sigmoid(float(z) * slope + shift) for z in odds[penalty]], right)


def _held_out(
    signals: Sequence[Mapping[str, float]],
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
        fitted = fit_confidence([signals[i] for i in others], [right[i] for i in others], penalty=penalty, signs=signs)
        for i in (i for i, at in enumerate(folds) if at == fold):
            odds[i] = log_odds(fitted, signals[i])
    return odds


def _cross_entropy(odds: FloatArray, right: Sequence[bool]) -> float:
    signed = np.where(np.array(right), odds, -odds)
    return float(np.logaddexp(0.0, -signed).mean())


def _softened(odds: FloatArray, right: Sequence[bool]) -> tuple[float, float]:
    """(slope, shift) that fit held-out log-odds best; the shift belongs to the slope as bounded."""
    slopes, _ = _newton(odds[:, None], _targets(right), 1e-6)
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


def _newton(x: FloatArray, y: FloatArray, penalty: float) -> tuple[FloatArray, float]:
    """Minimises cross entropy + penalty / 2 * |weights|^2; the bias goes free."""
    design = np.hstack([x, np.ones((len(x), 1))])
    ridge = np.diag([penalty] * x.shape[1] + [1e-9])
    theta = np.zeros(design.shape[1])
    for _ in range(100):
        chance = 0.5 * (1 + np.tanh(design @ theta / 2))
        slope = design.T @ (chance - y) + ridge @ theta
        curve = design.T @ (design * np.maximum(chance * (1 - chance), 1e-9)[:, None]) + ridge
        step = np.linalg.solve(curve, slope)
        theta -= step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-9:
            break
    return theta[:-1], float(theta[-1])


def fit_rows(rows: Sequence[Row], *, none_bias: float = 0.0, named_bias: float = 0.0) -> dict[str, Any]:
    """``{"answer": {...}, "none": {...}, "none_bias": float, "named_bias": float}``: a weights folder's ``calibration.json``.

    Answers and "not in the document" are fitted apart; a kind that never occurred is left out. ``held_out`` is what the
    confidence was worth on documents that it was not fitted to, by kind, where there were enough of them. The biases given are those
    that the rows were made with. ``named_bias``, added where the page names the key, needs the signal "named" (0 or 1)
    in the rows; without it, it stays as it was.
    """
    found: dict[str, Any] = {}
    checked: dict[str, Any] = {}
    for kind, signs in SIGNS.items():
        chosen = _of_kind(rows, kind)
        if chosen:
            right, documents = [row.right for row in chosen], [row.document for row in chosen]
            signals = [{n: v for n, v in row.signals.items() if n not in DESCRIPTIVE} for row in chosen]
            found[kind], quality = fit_checked(signals, right, documents, signs=signs)
            checked |= {kind: asdict(quality)} if quality else {}
    found |= {"held_out": checked} if checked else {}
    if not any("named" in row.signals for row in rows):
        return found | {"none_bias": fit_none_bias(rows, none_bias), "named_bias": named_bias}
    always = fit_none_bias([row for row in rows if not row.signals.get("named")], none_bias)
    both = fit_none_bias([row for row in rows if row.signals.get("named")], none_bias + named_bias)
    return found | {"none_bias": always, "named_bias": round(both - always, 4)}


def _of_kind(rows: Sequence[Row], kind: str) -> list[Row]:
    """What failed says nothing of the model: no signals, no outcome."""
    return [row for row in rows if (row.answer is None) == (kind == "none") and not row.failed]


def quality(rows: Sequence[Row], fitted: Mapping[str, Any]) -> dict[str, tuple[float, float, int]]:
    """By kind of outcome: calibration error, AUROC and the number of rows. Flattering where the rows are those fitted to."""
    found = {}
    for kind in SIGNS:
        chosen = _of_kind(rows, kind)
        if chosen and kind in fitted:
            sure, right = [confidence(fitted[kind], row.signals) for row in chosen], [row.right for row in chosen]
            found[kind] = calibration_error(sure, right), auroc(sure, right), len(chosen)
    return found


def fit_none_bias(rows: Sequence[Row], before: float = 0.0) -> float:
    """The bias of "none" under which the rows would score best, its smallest change where several do.

    Works from how far "none" stood above or below everything else (the log-odds of ``none_logprob``). What an outcome of None would have been instead is unknown: an
    answerable question is taken to get the mean score of those that were answered.
    """
    known = [row for row in rows if "none_logprob" in row.signals]
    if not known:
        return before
    answered = [row.anls for row in known if row.gold and row.answer is not None]
    hoped = sum(answered) / len(answered) if answered else 0.0
    odds = np.array([_lead(row) for row in known])
    said = np.array([row.anls if row.answer is not None else hoped if row.gold else 0.0 for row in known])
    silent = np.array([float(not row.gold) for row in known])
    turns = np.sort(-odds)
    shifts = [0.0, *(turns[1:] + turns[:-1]) / 2, turns[0] - 1.0, turns[-1] + 1.0]
    scores = [float(np.where(odds + shift > 0, silent, said).sum()) for shift in shifts]
    best = max(scores)
    shift = min((s for s, value in zip(shifts, scores, strict=True) if value >= best - 1e-9), key=abs)
    return round(before + float(np.clip(shift, -10.0, 10.0)), 4)


def _lead(row: Row) -> float:
    """Log-odds of "none", held to the side on which the outcome fell."""
    chance = min(max(math.exp(min(row.signals["none_logprob"], 0.0)), 1e-13), 1 - 1e-13)
    odds = math.log(chance / (1 - chance))
    return max(odds, 1e-6) if row.answer is None else min(odds, -1e-6)
