"""Tables for the templates: plain, under nested heads, with merged labels, made of ``div``. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

from layoutllm_tool.training.synthetic.values import ValueGenerator

_AXES = (
    ("Region", "North|South|East|West|Central|Overseas|Coast"), ("Quarter", "Q1|Q2|Q3|Q4"), ("Month", "January|March|May|July|September|November"),
    ("Department", "Sales|Research|Production|Logistics|Finance|Service|Training"), ("Grade", "A1|A2|B1|B2|C1|C2"),
    ("Product", "Pumps|Valves|Motors|Cables|Sensors|Filters|Gears|Belts"), ("Year", "2012|2014|2016|2018|2020|2022"),
)  # fmt: skip
_MEASURES = (("Units", "number"), ("Sales", "money"), ("Cost", "money"), ("Share", "percent"), ("Contact", "person"), ("Budget", "money"),
             ("Orders", "number"), ("Site", "city"), ("Due", "date"), ("Code", "code"), ("Lead", "person"), ("Returns", "number"))  # fmt: skip


def table(maker: ValueGenerator) -> str:
    """Labels down the left, a few measures, some cells left blank; written with elements of a table or with roles."""
    rng = maker.rng
    axis, labels = rng.choice(_AXES)
    names = rng.sample(labels.split("|"), rng.randint(3, min(6, len(labels.split("|")))))
    measures = rng.sample(_MEASURES, rng.randint(2, 4))
    rows = [
        (name, *("" if rng.random() < 0.06 else maker.make(kind) for _, kind in measures)) for name in names
    ]  # fmt: skip
    heads = (axis, *(name for name, _ in measures))
    return _roles(heads, rows) if rng.random() < 0.25 else written([heads], rows)


def nested(maker: ValueGenerator) -> str:
    """Two rows of heads: groups above measures."""
    rng = maker.rng
    (axis, labels), (_, groups) = rng.sample(_AXES[:6], 2)
    across = rng.sample(groups.split("|"), 2)
    measures = rng.sample([m for m in _MEASURES if m[1] in ("number", "money", "percent")], 2)
    top = f'<tr><th rowspan="2">{axis}</th>' + "".join(f'<th colspan="2">{group}</th>' for group in across) + "</tr>"
    below = "<tr>" + "".join(f"<th>{name}</th>" for _ in across for name, _ in measures) + "</tr>"
    rows = "".join(
        f"<tr><th>{label}</th>" + "".join(f'<td class="number">{escape(maker.make(kind))}</td>' for _ in across for _, kind in measures) + "</tr>"
        for label in rng.sample(labels.split("|"), rng.randint(3, 4))
    )  # fmt: skip
    return f"<table><thead>{top}{below}</thead><tbody>{rows}</tbody></table>"


def merged(maker: ValueGenerator) -> str:
    """Labels of two levels: the outer one merged over its rows."""
    rng = maker.rng
    (outer, outers), (inner, inners) = rng.sample(_AXES[:6], 2)
    measures = rng.sample(_MEASURES, 2)
    chosen = rng.sample(inners.split("|"), 2)
    rows = ""
    for group in rng.sample(outers.split("|"), rng.randint(2, 3)):
        for n, label in enumerate(chosen):
            cells = "".join(f"<td>{escape(maker.make(kind))}</td>" for _, kind in measures)
            merged = f'<th rowspan="{len(chosen)}">{group}</th>' if n == 0 else ""
            rows += f"<tr>{merged}<th>{label}</th>{cells}</tr>"
    heads = "".join(f"<th>{name}</th>" for name in (outer, inner, *(name for name, _ in measures)))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def written(heads: Iterable[tuple[str, ...]], rows: Iterable[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        number = ("", ' class="number"')
        return "<tr>" + "".join(f"<{tag}{number[n > 0]}>{escape(c)}</{tag}>" for n, c in enumerate(cells)) + "</tr>"

    top, body = "".join(line(head, "th") for head in heads), "".join(line(row, "td") for row in rows)
    return f"<table><thead>{top}</thead><tbody>{body}</tbody></table>"


def _roles(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table of ``div``: without borders, as many web pages have it."""

    def line(cells: tuple[str, ...], role: str) -> str:
        inner = "".join(f'<div role="{role}" style="flex: 1">{escape(c)}</div>' for c in cells)
        return f'<div role="row" style="display: flex; margin: 3pt 0">{inner}</div>'

    return f'<div role="table">{line(heads, "columnheader")}{"".join(line(row, "cell") for row in rows)}</div>'


GRIDS: tuple[Callable[[ValueGenerator], str], ...] = (table, nested, merged)
"""What writes each kind of table."""
