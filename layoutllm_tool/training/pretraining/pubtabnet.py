"""PubTabNet (annotations CDLA-Permissive-1.0): tables as pictures, HTML structure, texts and boxes.

Cell boxes are pixels of the picture. The words of a cell have no boxes: its own box is shared out among them.
A table whose rows don't agree in width is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, NamedTuple
from xml.etree.ElementTree import ParseError, fromstring

from layoutllm_tool.documents.geometry import Box, Line, Page
from layoutllm_tool.training.pretraining import files
from layoutllm_tool.training.pretraining.known import Cell, Grid, Known, Source, of_table, pointed_at

_TAG = re.compile(r"</?(?:b|i|sup|sub|underline|strike|overline)>")
_MOST_CELLS = 2000


class Slot(NamedTuple):
    """A cell's place in the structure, from 0, and what it spans."""

    row: int
    column: int
    rows: int
    columns: int
    head: bool


class PubTabNet(Source):
    """A folder of one ``*.jsonl`` and its pictures; DocumentNotFound where there is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = files.folder(folder, "PubTabNet tables", "*.jsonl")
        self._file = min(folder.glob("*.jsonl"))
        super().__init__(files.offsets(self._file))
        if not self.items:
            raise files.damaged(f"{self._file.name} is empty.")

    def item(self, number: int, rng: Random) -> Known:
        name = f"{self._file.name}, table {number}"
        data = files.parsed(files.line_at(self._file, self.items[number]), name)
        try:
            picture, html = str(data["filename"]), data["html"]
            cells = [("".join(map(str, cell["tokens"])), cell.get("bbox")) for cell in html["cells"]]
            places = slots(html["structure"]["tokens"])
            if len(places) != len(cells) or not cells:
                raise ValueError(f"{len(places)} places for {len(cells)} cells")
            image = files.picture(self._folder, picture)
            boxes = [_box(box, image.width, image.height) for _, box in cells]
        except (KeyError, TypeError, ValueError, AttributeError, ParseError) as error:
            raise files.damaged(f"{name} is not a PubTabNet table: {error!r}.") from error
        lines, grid = _filled(places, [_TAG.sub("", text).strip() for text, _ in cells], boxes)
        page = Page(1, image.width, image.height, lines, image, "given")
        return of_table(f"pubtabnet/{Path(picture).stem}", page, "table of a medical article", grid)


def slots(structure: Iterable[Any]) -> list[Slot]:
    """Where each cell stands; ValueError for rows of unequal width or over 2000 cells."""
    table = fromstring(f"<table>{''.join(map(str, structure))}</table>")
    heads = {row for head in table.iter("thead") for row in head.iter("tr")}
    found: list[Slot] = []
    taken: set[tuple[int, int]] = set()
    for row, element in enumerate(table.iter("tr")):
        column = 0
        for cell in element.iter("td"):
            rows, columns = (max(int(cell.get(name, 1)), 1) for name in ("rowspan", "colspan"))
            while (row, column) in taken:
                column += 1
            if len(taken) + rows * columns > _MOST_CELLS:
                raise ValueError(f"over {_MOST_CELLS} cells")
            taken |= {(row + i, column + j) for i in range(rows) for j in range(columns)}
            found.append(Slot(row, column, rows, columns, element in heads))
    width = max((column for _, column in taken), default=-1) + 1
    if len(taken) != len({row for row, _ in taken}) * width:
        raise ValueError("rows of unequal width")
    return found


def _box(raw: Any, width: int, height: int) -> Box | None:
    if raw is None:
        return None
    x0, y0, x1, y1 = (float(v) for v in raw)
    return Box.from_pixels(x0, y0, x1, y1, width=width, height=height)


def _filled(places: list[Slot], texts: list[str], boxes: list[Box | None]) -> tuple[tuple[Line, ...], Grid]:
    """The lines and the grid of a table. A cell twice as high as most has two rows of words."""
    usual = median([box.height for box in boxes if box] or [1.0]) or 1.0
    made = []
    for slot, text, box in zip(places, texts, boxes, strict=True):
        text = " ".join(text.split())
        own = list(files.spread(text, box, round(box.height / usual))) if box and text else []
        made.append((Cell(slot.row, slot.column, text, box if own else None, slot.rows, slot.columns), own))
    lines, cells = pointed_at(made)
    rows = max(slot.row + slot.rows for slot in places)
    columns = max(slot.column + slot.columns for slot in places)
    return lines, Grid(rows, columns, cells, len({slot.row for slot in places if slot.head}))
