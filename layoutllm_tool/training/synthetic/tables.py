"""Titled tables: cells are asked by row and column.

Columns may stand in groups under a header of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from layoutllm_tool.training.synthetic.canvas import Canvas, KeyStyle, Span
from layoutllm_tool.training.synthetic.forms import heading
from layoutllm_tool.training.synthetic.values import ValueGenerator
from layoutllm_tool.training.synthetic.vocabulary import composed, questions_about

Columns = list[tuple[float, str, str]]
"""The x, the group ("" for none) and the name of each column."""


def table(canvas: Canvas, values: ValueGenerator) -> None:
    """A title, a row or two of headers, three to eight rows of numbers, perhaps a source."""
    rng, style = canvas.rng, KeyStyle(canvas.rng)
    y = heading(canvas, values, values.phrase(2, 5).title())
    groups = _distinct(lambda: _header(values), 2) if rng.random() < 0.35 else []
    under = _distinct(lambda: _header(values), rng.randint(2, 3) if groups else rng.randint(2, 5))
    names = [(group, style.plain(name)[:14].strip()) for group, name in product(groups or [""], under)]
    left, first = rng.randint(30, 60), rng.randint(200, 260)
    step = (canvas.width - left - first - 40) / len(names)
    place = rng.choice(("left", "right", "center"))
    shift = {"left": 0.0, "right": 0.9, "center": 0.5}[place]
    columns = [(left + first + step * (n + shift), *name) for n, name in enumerate(names)]
    size = min(canvas.size, 16) - (2 if len(names) > 5 else 0)
    for n, group in enumerate(groups):
        x = left + first + step * len(under) * (n + 0.5)
        canvas.text(x, y, group[:18].strip(), size=size, align="center")
    y += size * 1.6 if groups else 0.0
    for x, _, name in columns:
        canvas.text(x, y, name, size=size, align=place)
    _rows(canvas, values, (left, y + size * 2), columns, (size, place))
    if rng.random() < 0.5:
        y = max(word.box[3] for word in canvas.words) + 20
        printed = style.key("Source")
        key = canvas.text(left, y, printed)
        source = canvas.text(canvas.end(key) + 10, y, values.company())
        canvas.add(printed, key, source, names=("source of the data",))


def _rows(
    canvas: Canvas, values: ValueGenerator, at: tuple[float, float], columns: Columns, how: tuple[int, str]
) -> None:
    """Draw the table's body; one cell in fifteen is empty."""
    rng, (left, y), (size, place) = canvas.rng, at, how
    kind = rng.choice(("number", "money", "percent", "number"))
    for label in _distinct(lambda: _label(values)[:24].strip(), rng.randint(3, 8)):
        key = canvas.text(left, y, label, size=size)
        for x, group, name in columns:
            empty = rng.random() < 0.07
            value = () if empty else canvas.text(x, y, values.make(kind), size=size, align=place)
            _cell(canvas, label, (group, name), key, value)
        y += size * rng.uniform(1.7, 2.1)
        if rng.random() < 0.5:
            canvas.rule(left, y - 6, canvas.width - 40, y - 6)


def _cell(canvas: Canvas, row: str, column: tuple[str, str], key: Span, value: Span) -> None:
    group, name = column
    questions = questions_about("grouped_cell" if group else "cell", row=row, group=group, column=name)
    canvas.unprinted(" ".join(f"{row} {group} {name}".split()), value, "table", key=key, questions=questions)


def _header(values: ValueGenerator) -> str:
    rng = values.rng
    return rng.choice((
        str(rng.randint(1975, 2023)), values.coined(), values.phrase(1, 2).title(),
        f"Group {rng.choice('ABCDEFGH')}", composed(rng)[0],
    ))  # fmt: skip


def _label(values: ValueGenerator) -> str:
    rng = values.rng
    names = (values.coined(), values.phrase(1, 3), values.city(), values.person(), composed(rng)[0])
    return rng.choice(names)


def _distinct(make: Callable[[], str], count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found[make()] = None
    return list(found)
