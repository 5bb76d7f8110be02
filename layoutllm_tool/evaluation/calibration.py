"""Fits the confidence's coefficients and the bias of "none" to scored rows. Applying them is ``layoutllm_tool.confidence``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from layoutllm_tool.confidence import BIAS, confidence
from layoutllm_tool.evaluation.metrics import auroc, calibration_error
from layoutllm_tool.evaluation.rows import Row

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


def fit_confidence(
    signals: Sequence[Mapping[str, float]], right: Sequence[bool], *, penalty: float = 1.0
) -> dict[str, float]:
    """Logistic regression from signals to rightness -> coefficients for ``confidence.confidence``.

    L2 on standardised signals, Newton's method. The targets are Platt's, so that a set in which all are right gives a
    probability under 1. Signals that never vary get no coefficient. ValueError without rows.
    """
    if not signals or len(signals) != len(right):
        raise ValueError(
            f"{len(signals)} sets of signals for {len(right)} outcomes; there must be as many, at least one"
        )
    names = sorted({name for found in signals for name in found})
    x = np.array([[_finite(found.get(name, 0.0)) for name in names] for found in signals]).reshape(len(signals), -1)
    mean, spread = x.mean(0), x.std(0)
    kept = [i for i in range(len(names)) if spread[i] > 1e-9]
    standard = (x[:, kept] - mean[kept]) / spread[kept]
    weights, bias = _newton(standard, _targets(right), penalty)
    slopes = weights / spread[kept]
    coefficients = {names[i]: float(slope) for i, slope in zip(kept, slopes, strict=True)}
    return coefficients | {BIAS: float(bias - (slopes * mean[kept]).sum())}


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

    Answers and "not in the document" are fitted apart; a kind that never occurred is left out. The biases given are those
    that the rows were made with. ``named_bias``, added where the page names the key, needs the signal "named" (0 or 1)
    in the rows; without it, it stays as it was.
    """
    found: dict[str, Any] = {}
    for kind in ("answer", "none"):
        chosen = [row for row in rows if (row.answer is None) == (kind == "none")]
        if chosen:
            found[kind] = fit_confidence([row.signals for row in chosen], [row.right for row in chosen])
    if not any("named" in row.signals for row in rows):
        return found | {"none_bias": fit_none_bias(rows, none_bias), "named_bias": named_bias}
    always = fit_none_bias([row for row in rows if not row.signals.get("named")], none_bias)
    both = fit_none_bias([row for row in rows if row.signals.get("named")], none_bias + named_bias)
    return found | {"none_bias": always, "named_bias": round(both - always, 4)}


def quality(rows: Sequence[Row], fitted: Mapping[str, Any]) -> dict[str, tuple[float, float, int]]:
    """By kind of outcome: calibration error, AUROC and the number of rows. Flattering where the rows are those fitted to."""
    found = {}
    for kind in ("answer", "none"):
        chosen = [row for row in rows if (row.answer is None) == (kind == "none")]
        if chosen and kind in fitted:
            sure, right = [confidence(fitted[kind], row.signals) for row in chosen], [row.right for row in chosen]
            found[kind] = calibration_error(sure, right), auroc(sure, right), len(chosen)
    return found


def fit_none_bias(rows: Sequence[Row], before: float = 0.0) -> float:
    """The bias of "none" under which the rows would score best, its smallest change where several do.

    Works from how far "none" stood above or below everything else (the log-odds of ``none_logprob``), which is exact
    where one segment holds the rest of the probability. What an outcome of None would have been instead is unknown: an
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


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
