"""Tables for the templates: plain, under nested heads, with merged labels, made of ``div``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from layoutllm_tool.training.html.data import PAGES
from layoutllm_tool.training.synthetic.values import ValueGenerator

_AXES: list[tuple[str, list[str]]] = PAGES["tables"]["axes"]
_MEASURES: list[tuple[str, str]] = PAGES["tables"]["measures"]


def table(values: ValueGenerator) -> str:
    """Labels down the left, a few measures, some blank cells; with table elements or with roles."""
    rng = values.rng
    axis, labels = rng.choice(_AXES)
    names = rng.sample(labels, rng.randint(3, min(6, len(labels))))
    measures = rng.sample(_MEASURES, rng.randint(2, 4))
    rows = []
    for name in names:
        cells = ["" if rng.random() < 0.06 else values.make(kind) for _, kind in measures]
        rows.append([name, *cells])
    heads = (axis, *(name for name, _ in measures))
    return _roles(heads, rows) if rng.random() < 0.25 else written(heads, rows)


def nested(values: ValueGenerator) -> str:
    """Two rows of heads: groups above measures."""
    rng = values.rng
    (axis, labels), (_, groups) = rng.sample(_AXES[:6], 2)
    across = rng.sample(groups, 2)
    measures = rng.sample([m for m in _MEASURES if m[1] in ("number", "money", "percent")], 2) * len(across)
    top = f'<th rowspan="2">{axis}</th>' + "".join(f'<th colspan="2">{group}</th>' for group in across)
    below = _cells("th", (name for name, _ in measures))
    rows = [
        f"<th>{label}</th>" + _cells('td class="number"', (values.make(kind) for _, kind in measures))
        for label in rng.sample(labels, rng.randint(3, 4))
    ]
    return _table([top, below], rows)


def merged(values: ValueGenerator) -> str:
    """Labels of two levels: the outer one merged over its rows."""
    rng = values.rng
    (outer, outers), (inner, inners) = rng.sample(_AXES[:6], 2)
    measures = rng.sample(_MEASURES, 2)
    chosen, rows = rng.sample(inners, 2), []
    for group in rng.sample(outers, rng.randint(2, 3)):
        for n, label in enumerate(chosen):
            first = "" if n else f'<th rowspan="{len(chosen)}">{group}</th>'
            cells = _cells("td", (values.make(kind) for _, kind in measures))
            rows.append(f"{first}<th>{label}</th>{cells}")
    return _table([_cells("th", (outer, inner, *(name for name, _ in measures)))], rows)


def written(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of one row of heads; all columns but the first are numbers."""

    def line(cells: Sequence[str], tag: str) -> str:
        return _cells(tag, cells[:1]) + _cells(f'{tag} class="number"', cells[1:])

    return _table([line(heads, "th")], [line(row, "td") for row in rows])


def _table(heads: Iterable[str], rows: Iterable[str]) -> str:
    top, body = ("".join(f"<tr>{row}</tr>" for row in part) for part in (heads, rows))
    return f"<table><thead>{top}</thead><tbody>{body}</tbody></table>"


def _cells(tag: str, texts: Iterable[str]) -> str:
    """Cells of a tag, which may have attributes."""
    return "".join(f"<{tag}>{escape(text)}</{tag.split()[0]}>" for text in texts)


def _roles(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of ``div``: without borders, as many web pages have it."""

    def line(cells: Sequence[str], role: str) -> str:
        inner = _cells(f'div role="{role}" style="flex: 1"', cells)
        return f'<div role="row" style="display: flex; margin: 3pt 0">{inner}</div>'

    lines = [line(heads, "columnheader"), *(line(row, "cell") for row in rows)]
    return f'<div role="table">{"".join(lines)}</div>'


GRIDS: tuple[Callable[[ValueGenerator], str], ...] = (table, nested, merged)
"""What writes each kind of table."""
