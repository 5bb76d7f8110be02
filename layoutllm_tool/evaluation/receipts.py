"""SROIE receipts as evaluation: the four questions in the paper's form, pictures in or the dataset's words given.

The folder is the dataset as ``training.receipts`` knows it: ``images``, ``lines`` and ``entities``. Receipts 400-499 are
never trained on. The published layout is ``sroie``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.evaluation import sroie
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.rows import Question
from layoutllm_tool.training.receipts import FIELDS, FORM, dataset_page, entities

HELD_OUT = range(400, 500)


def items(data: Path, numbers: Iterable[int] = HELD_OUT, *, ocr: bool = True) -> list[Item]:
    """Each receipt with a question for every field that it is labelled with; its picture goes through text recognition
    unless ``ocr`` is off. DocumentNotFound names what is missing."""
    return [_item(data, number, ocr) for number in numbers]


def image(data: Path, number: int) -> Path:
    return data / "images" / f"{number:03d}.jpg"


def _item(data: Path, number: int, ocr: bool) -> Item:
    fields = entities(data, number)
    boxes = gold_boxes(data, number, fields)
    questions = tuple(
        Question(f"receipts/{number:03d}", name, FORM.format(name), (fields[name],), boxes.get(name, ()))
        for name in FIELDS
        if name in fields
    )
    return Item(image(data, number), questions, None if ocr else partial(_pages, data, number))


def _pages(data: Path, number: int) -> list[Page]:
    return [dataset_page(data, number)]


def gold_boxes(data: Path, number: int, fields: dict[str, str]) -> dict[str, tuple[Box, ...]]:
    """Where the fields stand by the dataset's own lines, for receipts of which our text recognition lost them."""
    return sroie.gold_boxes(dataset_page(data, number), fields)
