"""A run's metrics: a CSV with a row a step, and a plot of it (matplotlib, extra "plots")."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path


def append(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """Rows of this process go behind the file's older steps; steps that were trained again are replaced."""
    if not rows:
        return
    first = rows[0]["step"]
    kept = [row for row in read(path) if row["step"] < first]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[-1]))
        writer.writeheader()
        writer.writerows([*kept, *rows])


def read(path: Path) -> list[dict[str, float]]:
    """[] where there is none."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{name: _number(value) for name, value in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> float:
    return int(text) if text.isdigit() else float(text or "nan")


def smooth(values: Sequence[float], share: float = 0.95) -> list[float]:
    """Exponential moving average without the bias of its beginning; NaN is passed over."""
    total, weight, found = 0.0, 0.0, []
    for value in values:
        if not math.isnan(value):
            total, weight = share * total + (1 - share) * value, share * weight + (1 - share)
        found.append(total / weight if weight else math.nan)
    return found


def plot(files: Sequence[Path], path: Path) -> bool:
    """Loss over steps, a panel a file, as PNG or SVG; False where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    runs = [(file, rows) for file in files if (rows := read(file))]
    figure = Figure(figsize=(5 * max(1, len(runs)), 3.5), layout="constrained")
    for place, (file, rows) in enumerate(runs, start=1):
        axes = figure.add_subplot(1, len(runs), place)
        steps, losses = [row["step"] for row in rows], [row["loss"] for row in rows]
        axes.plot(steps, losses, linewidth=0.5, alpha=0.4)
        axes.plot(steps, smooth(losses))
        axes.set(title=file.parent.name, xlabel="step", ylabel="loss", yscale="log")
    figure.savefig(path)
    return True
