"""A table of given texts drawn onto a canvas, in pixels: every word fits its column, rules between or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from layoutllm_tool.training.synthetic.canvas import Canvas, Span

Rows = Sequence[Sequence[str]]
"""Texts by row and column; the first row holds the heads."""
MARGIN = 30


class DrawnRows(NamedTuple):
    """The words of each cell with a text by (row, column), how many rows are drawn, the y below them."""

    spans: dict[tuple[int, int], Span]
    rows: int
    bottom: float


def column_widths(canvas: Canvas, rows: Rows, size: int, *, pad: int) -> list[float] | None:
    """Every word fits, and what is left over goes where text is longest; None where there is no room."""
    columns = list(zip(*rows, strict=True))
    words = [[word for text in column for word in (text.split() or [""])] for column in columns]
    least = [max(canvas.measure(word, size) for word in column) + 2 * pad for column in words]
    full = [max(canvas.measure(text, size) for text in column) + 2 * pad for column in columns]
    room = canvas.width - 2 * MARGIN - sum(least)
    if room < 0:
        return None
    wanted = sum(f - m for f, m in zip(full, least, strict=True))
    share = min(room / wanted, 1.0) if wanted else 0.0
    return [m + (f - m) * share for f, m in zip(full, least, strict=True)]


def draw_rows(
    canvas: Canvas, rows: Rows, widths: Sequence[float], size: int, *, top: float, foot: float
) -> DrawnRows:
    """Draw the rows from ``top`` on, as many as end above ``foot``."""
    rng, y, drawn = canvas.rng, top, 0
    rules, uprights, pad = rng.random() < 0.7, rng.random() < 0.5, rng.randint(3, 7)
    edges = [MARGIN + sum(widths[:n]) for n in range(len(widths) + 1)]
    spans: dict[tuple[int, int], Span] = {}
    canvas.rule(edges[0], y, edges[-1], y)
    for n, row in enumerate(rows):
        cells = zip(row, widths, strict=True)
        lines = max(len(canvas.wrap(text, width - 8, size)) for text, width in cells)
        bottom = y + lines * size * 1.35 + 2 * pad
        if bottom > foot:
            break
        for m, text in enumerate(row):
            if text:
                spans[n, m], _ = canvas.block(edges[m] + 5, y + pad, text, widths[m] - 8, size=size)
        y, drawn = bottom, n + 1
        if rules or n == 0:
            canvas.rule(edges[0], y, edges[-1], y)
    for x in edges if uprights else ():
        canvas.rule(x, top, x, y)
    return DrawnRows(spans, drawn, y)
