"""Titled tables: cells are asked by row and column. Columns may stand in groups under a header of their own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from layoutllm_tool.training.synthetic.canvas import Canvas, Fact, Span
from layoutllm_tool.training.synthetic.keys import composed
from layoutllm_tool.training.synthetic.layouts import Style, heading
from layoutllm_tool.training.synthetic.values import ValueGenerator


def table(canvas: Canvas, maker: ValueGenerator) -> list[Fact]:
    """A title, a row or two of headers, three to eight rows of numbers, perhaps a source."""
    rng, style = canvas.rng, Style(canvas.rng)
    facts, y = heading(canvas, maker, maker.phrase(2, 5).title())
    groups = _distinct(lambda: _header(maker), 2) if rng.random() < 0.35 else []
    under = _distinct(lambda: _header(maker), rng.randint(2, 3) if groups else rng.randint(2, 5))
    names = [(group, style.plain(name)[:14].strip()) for group, name in product(groups or [""], under)]
    left, first = rng.randint(30, 60), rng.randint(200, 260)
    step = (canvas.width - left - first - 40) / len(names)
    place = rng.choice(("left", "right", "center"))
    at = [left + first + step * (n + {"left": 0.0, "right": 0.9, "center": 0.5}[place]) for n in range(len(names))]
    size = min(canvas.size, 16) - (2 if len(names) > 5 else 0)
    for n, group in enumerate(groups):
        x = left + first + step * len(under) * (n + 0.5)
        canvas.text(x, y, group[:18].strip(), size=size, align="center")
    y += size * 1.6 if groups else 0.0
    for x, (_, name) in zip(at, names, strict=True):
        canvas.text(x, y, name, size=size, align=place)
    facts += _rows(canvas, maker, (left, y + size * 2), names, list(zip(at, [place] * len(at), strict=True)))
    y = max(ink.box[3] for ink in canvas.inks)
    if rng.random() < 0.5:
        printed = style.key("Source")
        key = canvas.text(left, y + 20, printed)
        source = canvas.text(canvas.end(key) + 10, y + 20, maker.company())
        facts.append(Fact(printed, key, source, names=("source of the data",)))
    return facts


def _rows(
    canvas: Canvas,
    maker: ValueGenerator,
    corner: tuple[float, float],
    names: list[tuple[str, str]],
    at: list[tuple[float, str]],
) -> list[Fact]:
    """The table's body; one cell in twenty is empty. ``at`` is each column's place and alignment."""
    rng, facts, (left, y) = canvas.rng, [], corner
    size, kind = (
        min(canvas.size, 16) - (2 if len(names) > 5 else 0),
        rng.choice(("number", "money", "percent", "number")),
    )
    for label in _distinct(lambda: _label(maker)[:24].strip(), rng.randint(3, 8)):
        key = canvas.text(left, y, label, size=size)
        for (x, place), name in zip(at, names, strict=True):
            empty = rng.random() < 0.07
            value = () if empty else canvas.text(x, y, maker.make(kind), size=size, align=place)
            facts.append(_cell(label, name, key, value))
        y += size * rng.uniform(1.7, 2.1)
        if rng.random() < 0.5:
            canvas.rule(left, y - 6, canvas.width - 40, y - 6)
    return facts


def _cell(row: str, name: tuple[str, str], key: Span, value: Span) -> Fact:
    group, column = name
    forms: tuple[str, ...] = (
        f'What is the "{column}" of "{row}"?',
        f'What stands in row "{row}", column "{column}"?',
        f"What is the value of {column} for {row}?",
        f"{row}: {column}?",
    )
    if group:
        forms = (
            f'What is the "{column}" of "{row}" under "{group}"?',
            f'What stands in row "{row}", column "{column}" of "{group}"?',
            f"What is the value of {group}, {column} for {row}?",
        )
    return Fact(" ".join(f"{row} {group} {column}".split()), key, value, "table", questions=forms, printed=False)


def _header(maker: ValueGenerator) -> str:
    rng = maker.rng
    forms = (
        str(rng.randint(1975, 2023)),
        maker.coined(),
        maker.phrase(1, 2).title(),
        f"Group {rng.choice('ABCDEFGH')}",
        composed(rng)[0],
    )
    return rng.choice(forms)


def _label(maker: ValueGenerator) -> str:
    rng = maker.rng
    return rng.choice((maker.coined(), maker.phrase(1, 3), maker.make("city"), maker.person(), composed(rng)[0]))


def _distinct(make: Callable[[], str], count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found[make()] = None
    return list(found)
