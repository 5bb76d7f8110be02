"""A grid of tick boxes as rows: statements at the left, a schema's choices as heads ("Good", "Fair", "Poor"),
and which of them is ticked. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from layoutllm_tool.documents.geometry import SCALE, Document, Page, box_of
from layoutllm_tool.documents.marks import Mark, MarkedRow, is_mark, marked_rows
from layoutllm_tool.documents.page_layout import PageLayout, PlacedWord
from layoutllm_tool.documents.search import find_exact
from layoutllm_tool.extraction.row_cells import Array, Cell, Record
from layoutllm_tool.extraction.row_ticks import SURE, YES_NO
from layoutllm_tool.extraction.rows import Wanted

_LEAST = 3
"""Choices that a grid has at least, and that stand in one row."""
_HEADS = 0.6
"""Least share of the choices that are heads."""
_INFERRED = 0.7
"""Confidence of a tick that text recognition took for a letter."""
_BOXES = frozenset("口囗ロ□▢0OoD")
"""What text recognition makes of an empty box."""
_Heads = Mapping[str, float]
"""The middle of each choice's head, in pixels."""


def grid_rows(document: Document, array: Array) -> list[Record]:
    """A record for each row of the grid; [] where the schema wants no such columns or no page has a grid."""
    chosen = [name for name, want in array.columns.items() if _is_scale(want)]
    texts = [
        name for name, want in array.columns.items() if not want.choices and want.type in ("text", "name")
    ]
    if len(chosen) != 1 or len(texts) != 1 or len(array.columns) > 2 or array.inner:
        return []
    choices = array.columns[chosen[0]].choices
    found = ((texts[0], chosen[0], page, choices) for page in document.pages)
    return next((rows for one in found if (rows := _on_page(*one))), [])


def _is_scale(want: Wanted) -> bool:
    return len(want.choices) >= _LEAST and tuple(want.choices) != YES_NO


def _on_page(text: str, chosen: str, page: Page, choices: Sequence[str]) -> list[Record]:
    layout = PageLayout(page)
    heads, top = _heads(layout, choices)
    if len(heads) < max(_LEAST, _HEADS * len(choices)):
        return []
    reach = min(b - a for a, b in zip(sorted(heads.values()), sorted(heads.values())[1:], strict=False)) / 2
    records: list[Record] = []
    for row, marks in marked_rows(layout, page.image):
        if min(word.y0 for word in row) < top:
            continue
        label = _label(row, min(heads.values()) - reach)
        own = [mark for mark in marks if any(abs(_middle(mark) - x) < reach for x in heads.values())]
        if 2 * len(own) < len(heads) or not label:
            break
        records.append({text: _text(page, label), chosen: _ticked(page, (row, own), heads, reach)})
    return records if len(records) > 1 else []


def _heads(layout: PageLayout, choices: Sequence[str]) -> tuple[_Heads, float]:
    """The middles of the choices in the row that has most of them, and where the row ends."""
    found = [(choice, match.words) for choice in choices for match in find_exact(layout, choice)]
    best: dict[str, float] = {}
    bottom = 0.0
    for _, words in found:
        y, height = words[0].middle, words[0].height
        row = {
            choice: (others[0].x0 + others[-1].x1) / 2 for choice, others in found
            if abs(others[0].middle - y) < height and _stands_alone(layout, others)
        }  # fmt: skip
        if len(row) > len(best):
            best, bottom = row, y + height / 2
    return best, bottom


def _stands_alone(layout: PageLayout, words: Sequence[PlacedWord]) -> bool:
    """Whether no word is beside it: "Good" is no part of "Very good"."""
    before, after = layout.before(words[0]), layout.after(words[-1])
    gap = layout.height
    apart = before is None or words[0].x0 - before.x1 > gap
    return apart and (after is None or after.x0 - words[-1].x1 > gap)


def _middle(mark: Mark) -> float:
    return (mark.box[0] + mark.box[2]) / 2


def _label(row: Sequence[PlacedWord], right: float) -> list[PlacedWord]:
    return [word for word in row if word.x1 < right and not is_mark(word.text)]


def _text(page: Page, words: Sequence[PlacedWord]) -> dict[str, object]:
    ids = tuple(word.id for word in words)
    text = " ".join(word.text for word in words)
    return asdict(Cell(text, page.number, box_of(page, ids).as_list(), SURE))


def _ticked(page: Page, row: MarkedRow, heads: _Heads, reach: float) -> dict[str, object] | None:
    """The one choice that is ticked; where one box is missing, a letter in its place is a tick."""
    words, marks = row
    across, down = SCALE / page.width, SCALE / page.height
    ticks = [mark for mark in marks if mark.ticked]
    if len(ticks) == 1:
        choice = min(heads, key=lambda name: abs(heads[name] - _middle(ticks[0])))
        scales = (across, down, across, down)
        box = [round(edge * scale) for edge, scale in zip(ticks[0].box, scales, strict=True)]
        return asdict(Cell(choice, page.number, box, SURE))
    missing = [name for name, x in heads.items() if not any(abs(_middle(mark) - x) < reach for mark in marks)]
    if ticks or len(missing) != 1:
        return None
    for word in words:
        near = abs((word.x0 + word.x1) / 2 - heads[missing[0]]) < reach
        if near and len(word.text) == 1 and word.text not in _BOXES:
            return asdict(Cell(missing[0], page.number, box_of(page, (word.id,)).as_list(), _INFERRED))
    return None
