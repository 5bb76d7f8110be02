"""Figures: reliability, risk over coverage, scores by field. Needs matplotlib (extra "plots")."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from layoutllm_tool.evaluation.confidence_metrics import aurc, calibration_error, reliability, risk_coverage
from layoutllm_tool.evaluation.results import ScoredAnswer, by_field

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREY = "#1f77b4", "#d62728", "#999999"
_LABEL = 40
"""Characters of a field's name."""


def draw(answers: Sequence[ScoredAnswer], folder: Path) -> list[Path]:
    """Write ``reliability.png``, ``risk_coverage.png`` and ``fields.png``; none without answers."""
    if not answers:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"reliability": reliability_figure, "risk_coverage": risk_figure, "fields": field_figure}
    paths = []
    for name, make in figures.items():
        paths.append(folder / f"{name}.png")
        make(answers).savefig(paths[-1], dpi=150)
    return paths


def reliability_figure(answers: Sequence[ScoredAnswer]) -> Figure:
    """Share of right ones over the confidence, a bar a bin with its count on it."""
    sure, right = [one.confidence for one in answers], [one.right for one in answers]
    figure, axes = new_figure("confidence", "share of right ones")
    axes.plot((0, 1), (0, 1), color=GREY, linestyle="--", linewidth=1)
    bins = reliability(sure, right)
    shares = [one.right for one in bins]
    bars = axes.bar([one.low for one in bins], shares, 0.1, align="edge", color=BLUE, edgecolor="white")
    axes.bar_label(bars, [str(one.count) for one in bins], padding=3, fontsize=7)
    axes.plot([one.confidence for one in bins], shares, "o", color=RED, markersize=4)
    error = calibration_error(sure, right)
    axes.set(xlim=(0, 1), ylim=(0, 1.05), title=f"Reliability: calibration error {error:.3f}")
    return figure


def risk_figure(answers: Sequence[ScoredAnswer]) -> Figure:
    """Share of wrong ones among the most confident outcomes, over the share of outcomes that is kept."""
    sure, right = [one.confidence for one in answers], [one.right for one in answers]
    points = risk_coverage(sure, right)
    figure, axes = new_figure("coverage", "risk")
    axes.plot([coverage for coverage, _ in points], [risk for _, risk in points], color=BLUE)
    axes.axhline(1 - sum(right) / len(right), color=GREY, linestyle="--", linewidth=1)
    axes.set(xlim=(0, 1), title=f"Risk over coverage: area {aurc(sure, right):.3f}")
    axes.set_ylim(bottom=0)
    return figure


def field_figure(answers: Sequence[ScoredAnswer]) -> Figure:
    """ANLS (or ROUGE-L where it is the measure) of each field and of all, and the baseline's."""
    found = by_field(answers)
    figure, axes = new_figure("score", "", height=1.5 + 0.35 * len(found))
    places = range(len(found))
    scores = [of.anls if of.rouge is None else of.rouge for of in found.values()]
    axes.barh(places, scores, color=BLUE, label="layoutllm")
    untuned = [of.baseline_anls for of in found.values()]
    if any(score is not None for score in untuned):
        axes.barh(places, [score or 0.0 for score in untuned], 0.3, color=GREY, label="untuned (ANLS)")
        axes.legend(fontsize=7, loc="lower right")
    axes.set_yticks(list(places), [_label(f"{name} ({of.questions})") for name, of in found.items()])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), title="Score by field")
    return figure


def new_figure(across: str, up: str, *, height: float = 4.5) -> tuple[Figure, Axes]:
    """Without pyplot, which would keep every figure and look for a screen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=across, ylabel=up)
    return figure, axes


def _label(text: str) -> str:
    """Names come from documents: cut, and no dollar sign may begin a formula."""
    return "".join(c if c.isprintable() else " " for c in text[:_LABEL]).replace("$", r"\$")
