"""Region level: DLA (where is what, and what is where) and TU (a table's size, cells, rows, columns, head).

Rows and columns count from 1, head rows included, as a question names them. Standard library only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from layoutllm_tool.training.pretraining.known import Cell, Grid, Known, Limits, Region, show
from layoutllm_tool.training.schema import Instruction

WHERE = (
    "Where can we find {}?",
    "Where is {} on the page?",
    "What is the bounding box of {}?",
    "Locate {}.",
    "Give the coordinates of {}.",
    "In which area does {} stand?",
)
ALL = (
    "Where are all the {}s?",
    "Where can we find the {}s?",
    "Give the bounding boxes of all {}s.",
    "List the areas of the {}s.",
    "At which coordinates do the {}s stand?",
)
TYPE = (
    "What is the document layout type for the {} area?",
    "What kind of region is {}?",
    "Which layout element stands in the {} area?",
    "Classify the region {}.",
    "What does the area {} contain: which type of layout?",
)
SIZE = (
    "How many rows and columns does the table have?",
    "What is the size of the table in rows and columns?",
    "Count the rows and the columns of the table.",
    "How large is the table? Give rows and columns.",
    "Of how many rows and columns is the table made?",
)
ROW = (
    "List the values in the row {}.",
    "What are the contents of row {} of the table?",
    "Read row {} of the table.",
    "Which cells does row {} hold?",
    "Give the text of every cell in row {}.",
)
COLUMN = (
    "List the values in the column {}.",
    "What are the contents of column {} of the table?",
    "Read column {} of the table.",
    "Which cells does column {} hold?",
    "Give the text of every cell in column {}.",
)
CELL = (
    "What is the content of the cell in row {}, column {}?",
    "What does the table say in row {}, column {}?",
    "Read the cell at row {} and column {}.",
    "Which value stands in row {}, column {} of the table?",
    "Give the text of the cell in row {}, column {}.",
)
COORDINATES = (
    "What are the coordinates of the cell in row {}, column {}?",
    "Where is the cell in row {}, column {}?",
    "Give the bounding box of the cell at row {}, column {}.",
    "Locate the table's cell in row {}, column {}.",
    "What is the box of the text in row {}, column {} of the table?",
)
INDEX = (
    'In which row and column is the cell "{}"?',
    'Which row and column of the table hold "{}"?',
    'Where in the table is "{}"? Give row and column.',
    'Find "{}" in the table: which row, which column?',
    'What are the row and the column of the value "{}"?',
)
HEADERS = (
    "What are the column headers of the table?",
    "List the names of the table's columns.",
    "What does the table's header say?",
    "Which columns does the table have? Give their names.",
    "Read the head of the table.",
)
EMPTY = "(empty)"


def dla(known: Known, limits: Limits, rng: Random) -> list[Instruction]:
    """Both directions for every region that can be told from the others, shuffled."""
    kinds = Counter(region.kind for region in known.regions if known.complete)
    asked = [_where(name, region, limits, rng) for name, region in _told_apart(known.regions, kinds)]
    asked += [Instruction("DLA", rng.choice(TYPE).format(show(r.box)), r.kind) for r in _sole(known.regions)]
    for kind, count in sorted(kinds.items()):
        if 2 <= count <= 6 and not any(r.name for r in known.regions if r.kind == kind):
            boxes = "\n".join(show(r.box) for r in known.regions if r.kind == kind)
            asked.append(Instruction("DLA", rng.choice(ALL).format(kind), boxes))
    rng.shuffle(asked)
    return asked


def _where(name: str, region: Region, limits: Limits, rng: Random) -> Instruction:
    """Answered by pointing too, where the region is made of few lines."""
    lines = region.lines if len(region.lines) <= limits.pointed else ()
    return Instruction("DLA", rng.choice(WHERE).format(name), show(region.box), lines)


def _sole(regions: Sequence[Region]) -> list[Region]:
    """Regions whose box as printed is that of no region of another kind."""
    kinds: dict[str, set[str]] = {}
    for region in regions:
        kinds.setdefault(show(region.box), set()).add(region.kind)
    return [region for region in regions if len(kinds[show(region.box)]) == 1]


def _told_apart(regions: Sequence[Region], kinds: Counter[str]) -> list[tuple[str, Region]]:
    """A name for every region that has one: the only one of its kind, the one with its name, the topmost, lowest, largest.

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


def tu(known: Known, limits: Limits, rng: Random) -> list[Instruction]:
    """One question of each sort about the page's table, shuffled; [] without a table. Answers over the limit are left out."""
    if (grid := known.grid) is None or not grid.cells:
        return []
    row, column = rng.randrange(grid.rows), rng.randrange(grid.columns)
    size = f"{grid.rows} row{'s' * (grid.rows != 1)} and {grid.columns} column{'s' * (grid.columns != 1)}"
    asked = [(rng.choice(SIZE), size)]
    asked.append((rng.choice(ROW).format(row + 1), _values(grid.row(row))))
    asked.append((rng.choice(COLUMN).format(column + 1), _values(grid.column(column))))
    if grid.head == 1 and all(cell.text for cell in grid.row(0)):
        asked.append((rng.choice(HEADERS), _values(grid.row(0))))
    found = [Instruction("TU", question, answer) for question, answer in asked if answer]
    found += _cells(grid, limits, rng)
    rng.shuffle(found)
    return [instruction for instruction in found if len(instruction.answer.split()) <= limits.words]


def _values(cells: Sequence[Cell]) -> str:
    return " | ".join(cell.text or EMPTY for cell in cells)


def _cells(grid: Grid, limits: Limits, rng: Random) -> list[Instruction]:
    """Two cells' contents, one's box, one's row and column. A cell's first row and column name it."""
    asked = []
    for cell in rng.sample(grid.cells, min(2, len(grid.cells))):
        question = rng.choice(CELL).format(cell.row + 1, cell.column + 1)
        asked.append(Instruction("TU", question, cell.text or EMPTY, cell.lines if len(cell.lines) <= 4 else ()))
    if placed := [cell for cell in grid.cells if cell.box]:
        cell = rng.choice(placed)
        question = rng.choice(COORDINATES).format(cell.row + 1, cell.column + 1)
        lines = cell.lines if len(cell.lines) <= limits.pointed else ()
        asked.append(Instruction("TU", question, show(cell.box), lines) if cell.box else asked[0])
    count = Counter(cell.text.casefold() for cell in grid.cells)
    if sole := [c for c in grid.cells if c.text and count[c.text.casefold()] == 1 and len(c.text.split()) <= 8]:
        cell = rng.choice(sole)
        asked.append(
            Instruction("TU", rng.choice(INDEX).format(cell.text), f"row {cell.row + 1}, column {cell.column + 1}")
        )
    return asked
