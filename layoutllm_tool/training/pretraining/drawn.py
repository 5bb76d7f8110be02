"""Synthetic pages: what their questions know, as fields, headings, blocks and table cells.

Only what a question of the page points at is known: a drawn page has more fields than regions here, and no
grid.
"""

from __future__ import annotations

from random import Random

from layoutllm_tool.cot import Kind
from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.training import synthetic
from layoutllm_tool.training.pretraining.known import Known, Region, Source
from layoutllm_tool.training.schema import QA, Example

KINDS: dict[Kind, str] = {
    "key-value": "form field",
    "title": "title",
    "paragraph": "text block",
    "table": "table cell",
    "list": "list",
    "other": "text",
}
"""What a region is called by its question's kind."""
_MOST_NAME = 60


class Drawn(Source):
    """Any number of pages."""

    def __init__(self) -> None:
        super().__init__(())

    def __call__(self, rng: Random) -> Known:
        return known(synthetic.example(rng.randrange(1 << 31), rng.randrange(1 << 31)))


def known(example: Example) -> Known:
    """The regions, pairs and heading that the example's answered questions point at."""
    found = [qa for qa in example.qas if qa.answer is not None]
    found.sort(key=lambda qa: min(qa.lines))
    kind = example.source.split("/")[1] if example.source.count("/") > 1 else "document"
    title = next((qa.answer for qa in found if qa.analysis.kind == "title"), None) or ""
    text = " ".join(line.text for line in example.page.lines or ()).casefold()
    regions = {region.box: region for region in (_region(example, qa, text) for qa in found)}
    return Known(
        example.source,
        example.page,
        {"table": "table page", "order": "order form"}.get(kind, kind),
        tuple(regions.values()),
        title=title,
        pairs=tuple((_key(qa), qa.answer or "") for qa in found if _key(qa) and len(qa.answer or "") <= 80),
        complete=False,
    )


def _region(example: Example, qa: QA, text: str) -> Region:
    """The lines that hold the key and the value; of a table cell, the lines of the value alone."""
    cell = qa.analysis.kind == "table" and qa.words
    lines = tuple(sorted({line for line, _ in qa.words} if cell else set(qa.lines)))
    box = Box.union((example.page.lines or ())[i].box for i in lines)
    return Region(KINDS[qa.analysis.kind], box, lines, _name(qa, text))


def _key(qa: QA) -> str:
    """The key as the page has it; a table cell's is the question's own: row and column."""
    key = qa.analysis.key if qa.analysis.kind == "table" else qa.formation.key
    return key if len(key) <= _MOST_NAME and qa.analysis.kind in ("key-value", "table") else ""


def _name(qa: QA, text: str) -> str:
    """What tells the region from others: a cell's row and column.

    A field's key, or a heading or block's own words, where they stand on the page once.
    """
    if qa.analysis.kind == "table":
        return _key(qa)
    name = _key(qa) if qa.analysis.kind == "key-value" else qa.answer or ""
    return name if len(name) <= _MOST_NAME and text.count(name.casefold()) == 1 else ""
