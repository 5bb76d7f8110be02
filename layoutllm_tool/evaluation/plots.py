"""Rows as pictures: how reliable the confidence is, risk over coverage, scores by field. Needs matplotlib (extra "plots")."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.evaluation.curves import aurc, reliability, risk_coverage
from layoutllm_tool.evaluation.metrics import calibration_error
from layoutllm_tool.evaluation.rows import Row, by_field

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREY = "#1f77b4", "#d62728", "#999999"
_LABEL = 40
"""Characters of a field's name."""


def require(folder: Path | None) -> None:
    """Nothing where no plots are wanted. LayoutLLMError without matplotlib: before an hour of asking, not after it."""
    if folder is None:
        return
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise LayoutLLMError(
            "plots need matplotlib, which is not installed.", hint="Run: pip install 'layoutllm-tool[plots]'."
        ) from error


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """``reliability.png``, ``risk_coverage.png`` and ``fields.png`` in the folder, which is made if need be; none without rows."""
    if not rows:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"reliability": reliability_figure, "risk_coverage": risk_figure, "fields": field_figure}
    paths = []
    for name, make in figures.items():
        paths.append(folder / f"{name}.png")
        make(rows).savefig(paths[-1], dpi=150)
    return paths


def reliability_figure(rows: Sequence[Row]) -> Figure:
    """Share of right ones over the confidence, bin by bin; the width of a bar is its bin's, its number stands on it."""
    sure, right = [row.confidence for row in rows], [row.right for row in rows]
    figure, axes = new_figure("confidence", "share of right ones")
    axes.plot((0, 1), (0, 1), color=GREY, linestyle="--", linewidth=1)
    for held in reliability(sure, right):
        axes.bar(held.low, held.right, held.high - held.low, align="edge", color=BLUE, alpha=0.6, edgecolor="white")
        axes.plot(held.confidence, held.right, "o", color=RED, markersize=4)
        axes.annotate(
            str(held.count), ((held.low + held.high) / 2, held.right), xytext=(0, 3), textcoords="offset points",
            ha="center", fontsize=7,
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1.05), title=f"Reliability: calibration error {calibration_error(sure, right):.3f}")
    return figure


def risk_figure(rows: Sequence[Row]) -> Figure:
    """Share of wrong ones among the most confident outcomes, over the share of outcomes that is kept."""
    sure, right = [row.confidence for row in rows], [row.right for row in rows]
    points = risk_coverage(sure, right)
    figure, axes = new_figure("coverage", "risk")
    axes.plot([coverage for coverage, _ in points], [risk for _, risk in points], color=BLUE)
    axes.axhline(1 - sum(right) / len(right), color=GREY, linestyle="--", linewidth=1)
    axes.set(xlim=(0, 1), title=f"Risk over coverage: area {aurc(sure, right):.3f}")
    axes.set_ylim(bottom=0)
    return figure


def field_figure(rows: Sequence[Row]) -> Figure:
    """ANLS of each field and of all, ROUGE-L where it is the measure; the untuned backbone's beside it where it was asked."""
    found = by_field(rows)
    figure, axes = new_figure("score", "", height=1.5 + 0.35 * len(found))
    places = range(len(found))
    scores = [of.anls if of.rouge is None else of.rouge for of in found.values()]
    axes.barh(places, scores, color=BLUE, label="layoutllm")
    if any(of.baseline_anls is not None for of in found.values()):
        axes.barh(places, [of.baseline_anls or 0.0 for of in found.values()], 0.3, color=GREY, label="untuned (ANLS)")
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
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    return figure, axes


def _label(text: str) -> str:
    """Names come from documents: cut, and no dollar sign may begin a formula."""
    return "".join(c if c.isprintable() else " " for c in text[:_LABEL]).replace("$", r"\$")
