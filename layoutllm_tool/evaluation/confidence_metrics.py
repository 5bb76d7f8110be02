"""What a confidence is worth: calibration error, AUROC, reliability, risk over coverage. Pure functions.

Equal confidences can't be ranked: what depends on their order is the mean over all orders. Each raises
ValueError without outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean


@dataclass(frozen=True, slots=True)
class Bin:
    """Outcomes with a confidence in [low, high) (the last bin's ``high`` included)."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean; of a reliable confidence it equals ``right``."""
    right: float
    """Share of right ones."""


def reliability(confidences: Sequence[float], right: Sequence[bool], *, bins: int = 10) -> list[Bin]:
    """The bins of a reliability diagram, of equal width, empty ones left out."""
    _check(confidences, right)
    held: dict[int, list[tuple[float, bool]]] = {}
    for sure, hit in zip(confidences, right, strict=True):
        held.setdefault(min(int(sure * bins), bins - 1), []).append((sure, hit))
    found = []
    for place, of in sorted(held.items()):
        mean, share = fmean(sure for sure, _ in of), fmean(hit for _, hit in of)
        found.append(Bin(place / bins, (place + 1) / bins, len(of), mean, share))
    return found


def calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """ECE: mean distance between confidence and share of right ones over ten bins, weighted by their size."""
    found = reliability(confidences, right)
    return sum(one.count * abs(one.confidence - one.right) for one in found) / len(right)


def auroc(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Probability that a right one scores higher than a wrong one, ties counting half; NaN without either."""
    from sklearn.metrics import roc_auc_score

    _check(scores, right)
    return float(roc_auc_score(right, scores)) if len(set(right)) == 2 else float("nan")


def risk_coverage(confidences: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float]]:
    """(coverage, risk) for the 1, 2, ..., n most confident outcomes (El-Yaniv & Wiener 2010).

    Coverage is the share that is kept, risk the share of wrong ones among them.
    """
    _check(confidences, right)
    total, points, before, wrong = len(right), list[tuple[float, float]](), 0, 0.0
    ranked = sorted(zip(confidences, right, strict=True), key=lambda one: -one[0])
    for _, tied in groupby(ranked, key=lambda one: one[0]):
        missed = [not hit for _, hit in tied]
        share = fmean(missed)
        counts = range(1, len(missed) + 1)
        points += [((before + i) / total, (wrong + share * i) / (before + i)) for i in counts]
        before, wrong = before + len(missed), wrong + sum(missed)
    return points


def aurc(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Area under the risk-coverage curve: the mean risk over all coverages, 0-1, less is better."""
    return fmean(risk for _, risk in risk_coverage(confidences, right))


def coverage_at(points: Sequence[tuple[float, float]], risk: float) -> float:
    """The largest coverage at which the risk stays within ``risk``; 0 where none does."""
    return max((coverage for coverage, wrong in points if wrong <= risk + 1e-12), default=0.0)


def _check(confidences: Sequence[float], right: Sequence[bool]) -> None:
    if len(confidences) != len(right) or not right:
        raise ValueError(
            f"{len(confidences)} confidences for {len(right)} outcomes; there must be as many, at least one"
        )
