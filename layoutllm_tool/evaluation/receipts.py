"""SROIE receipts as evaluation: images in, through real text recognition, the four questions in the paper's form.

The folder is the dataset as ``training.receipts`` knows it: ``images``, ``lines`` and ``entities``. Receipts 400-499 are
never trained on.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.rows import Question
from layoutllm_tool.training import align
from layoutllm_tool.training.receipts import FIELDS, FORM, dataset_page, entities, field_places

HELD_OUT = range(400, 500)


def items(data: Path, numbers: Iterable[int] = HELD_OUT) -> list[Item]:
    """Each receipt with a question for every field that it is labelled with. DocumentNotFound names what is missing."""
    return [_item(data, number) for number in numbers]


def image(data: Path, number: int) -> Path:
    return data / "images" / f"{number:03d}.jpg"


def _item(data: Path, number: int) -> Item:
    fields = entities(data, number)
    boxes = gold_boxes(data, number, fields)
    questions = tuple(
        Question(f"receipts/{number:03d}", name, FORM.format(name), (fields[name],), boxes.get(name, ()))
        for name in FIELDS
        if name in fields
    )
    return Item(image(data, number), questions)


def gold_boxes(data: Path, number: int, fields: dict[str, str]) -> dict[str, tuple[Box, ...]]:
    """Where the fields stand by the dataset's own lines, for receipts of which our text recognition lost them."""
    page = dataset_page(data, number)
    return {name: (align.box_of(page, place.words),) for name, place in field_places(page, fields).items()}
