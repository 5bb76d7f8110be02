"""Region level: DLA (where is what, and what is where) and TU (a table's size, cells, rows, columns, head).

Rows and columns count from 1, head rows included, as a question names them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from layoutllm_tool.training.pretraining.known import (
    MOST_WORDS,
    POINTED,
    Cell,
    Grid,
    Known,
    Region,
    phrased,
    show,
)
from layoutllm_tool.training.schema import Instruction

EMPTY = "(empty)"


def dla(known: Known, rng: Random) -> list[Instruction]:
    """Both directions for every region that can be told from the others, shuffled."""
    kinds = Counter(region.kind for region in known.regions if known.complete)
    asked = [_where(name, region, rng) for name, region in _told_apart(known.regions, kinds)]
    sole = [(region.kind, show(region.box)) for region in _sole(known.regions)]
    asked += [Instruction("DLA", phrased(rng, "region", "type", box), kind) for kind, box in sole]
    for kind, count in sorted(kinds.items()):
        if 2 <= count <= 6 and not any(r.name for r in known.regions if r.kind == kind):
            boxes = "\n".join(show(r.box) for r in known.regions if r.kind == kind)
            asked.append(Instruction("DLA", phrased(rng, "region", "all", kind), boxes))
    rng.shuffle(asked)
    return asked


def _where(name: str, region: Region, rng: Random) -> Instruction:
    """Answered by pointing too, where the region is made of few lines."""
    lines = region.lines if len(region.lines) <= POINTED else ()
    return Instruction("DLA", phrased(rng, "region", "where", name), show(region.box), lines)


def _sole(regions: Sequence[Region]) -> list[Region]:
    """Regions whose box as printed is that of no region of another kind."""
    kinds: dict[str, set[str]] = {}
    for region in regions:
        kinds.setdefault(show(region.box), set()).add(region.kind)
    return [region for region in regions if len(kinds[show(region.box)]) == 1]


def _told_apart(regions: Sequence[Region], kinds: Counter[str]) -> list[tuple[str, Region]]:
    """Regions with a name: the only one of its kind, the one with its name, the topmost, lowest, largest.

    ``kinds`` counts the kinds of which all regions are known.
    """
    named = Counter((region.kind, region.name.casefold()) for region in regions)
    found = []
    for region in regions:
        if region.name and named[region.kind, region.name.casefold()] == 1:
            found.append((f'the {region.kind} "{region.name}"', region))
        elif kinds[region.kind] == 1:
            found.append((f"the {region.kind}", region))
    for kind in sorted(kind for kind, count in kinds.items() if count > 1):
        found += _extremes(kind, [region for region in regions if region.kind == kind])
    return found


def _extremes(kind: str, regions: Sequence[Region]) -> list[tuple[str, Region]]:
    """The topmost, lowest and largest, where the difference can be seen."""
    found = []
    measures: tuple[tuple[str, Callable[[Region], float]], ...] = (
        ("topmost", lambda r: 1000 - r.box.y0),
        ("lowest", lambda r: r.box.y1),
        ("largest", lambda r: r.box.area**0.5),
    )
    for word, measure in measures:
        first, second = sorted(regions, key=measure, reverse=True)[:2]
        if measure(first) - measure(second) >= 15:
            found.append((f"the {word} {kind}", first))
    return found


def tu(known: Known, rng: Random) -> list[Instruction]:
    """One question of each sort about the page's table; answers over the limit are left out."""
    if (grid := known.grid) is None or not grid.cells:
        return []
    row, column = rng.randrange(grid.rows), rng.randrange(grid.columns)
    size = f"{grid.rows} row{'s' * (grid.rows != 1)} and {grid.columns} column{'s' * (grid.columns != 1)}"
    asked = [(phrased(rng, "region", "size"), size)]
    asked.append((phrased(rng, "region", "row", row + 1), _values(grid.row(row))))
    asked.append((phrased(rng, "region", "column", column + 1), _values(grid.column(column))))
    if grid.head == 1 and all(cell.text for cell in grid.row(0)):
        asked.append((phrased(rng, "region", "headers"), _values(grid.row(0))))
    found = [Instruction("TU", question, answer) for question, answer in asked if answer]
    found += _cells(grid, rng)
    rng.shuffle(found)
    return [instruction for instruction in found if len(instruction.answer.split()) <= MOST_WORDS]


def _values(cells: Sequence[Cell]) -> str:
    return " | ".join(cell.text or EMPTY for cell in cells)


def _cells(grid: Grid, rng: Random) -> list[Instruction]:
    """Two cells' contents, one's box, one's row and column. A cell's first row and column name it."""
    asked = []
    for cell in rng.sample(grid.cells, min(2, len(grid.cells))):
        question = phrased(rng, "region", "cell", cell.row + 1, cell.column + 1)
        lines = cell.lines if len(cell.lines) <= 4 else ()
        asked.append(Instruction("TU", question, cell.text or EMPTY, lines))
    if placed := [cell for cell in grid.cells if cell.box]:
        cell = rng.choice(placed)
        question = phrased(rng, "region", "coordinates", cell.row + 1, cell.column + 1)
        lines = cell.lines if len(cell.lines) <= POINTED else ()
        asked.append(Instruction("TU", question, show(cell.box), lines) if cell.box else asked[0])
    count = Counter(cell.text.casefold() for cell in grid.cells)
    short = [cell for cell in grid.cells if cell.text and len(cell.text.split()) <= 8]
    if sole := [cell for cell in short if count[cell.text.casefold()] == 1]:
        cell = rng.choice(sole)
        question = phrased(rng, "region", "index", cell.text)
        asked.append(Instruction("TU", question, f"row {cell.row + 1}, column {cell.column + 1}"))
    return asked
