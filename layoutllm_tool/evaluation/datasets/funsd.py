"""FUNSD forms in the paper's form of question.

The licence is non-commercial: evaluation only, nothing of it may reach training data. Keys linked to more
than one value are dropped, as in the paper; so are values without text.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from layoutllm_tool.documents.words import load_words
from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.evaluation.datasets.files import box_around, picture_size, read_json, reading
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item

FORM = 'What is the content in the "{}" field?'


def items(data: Path, *, ocr: bool = False) -> list[Item]:
    """Forms with their questions; the data set's own words, or with ``ocr`` the pictures alone.

    DocumentNotFound, DocumentUnreadable.
    """
    files = sorted((data / "annotations").glob("*.json"))
    if not files:
        raise DocumentNotFound(
            f"{data} holds no FUNSD annotations.", hint='Give the folder of "annotations" and "images".'
        )
    return [_item(data / "images" / f"{file.stem}.png", file, ocr) for file in files]


def _item(picture: Path, file: Path, ocr: bool) -> Item:
    size, annotation = picture_size(picture), read_json(file)
    with reading(repr(file.name)):
        questions = tuple(_questions(annotation, f"forms/{file.stem}", size))
        form = {"form": annotation["form"]}
    return Item(picture, questions, None if ocr else partial(load_words, form, [size]))


def _questions(annotation: Mapping[str, Any], name: str, size: tuple[int, int]) -> list[Question]:
    entities = {entity["id"]: entity for entity in annotation["form"]}
    found = ((key, _value(key, entities)) for key in annotation["form"])
    return [
        Question(name, "value", FORM.format(_text(key)), (_text(value),), (box_around(_boxes(value), size),))
        for key, value in found
        if value is not None
    ]


def _value(key: Mapping[str, Any], entities: Mapping[int, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The one answer that a key is linked to."""
    if key["label"] != "question" or not _text(key):
        return None
    linked = {end for pair in key["linking"] for end in pair if end != key["id"]}
    values = [entities[i] for i in sorted(linked) if i in entities and entities[i]["label"] == "answer"]
    return values[0] if len(values) == 1 and _text(values[0]) else None


def _text(entity: Mapping[str, Any]) -> str:
    """The data set's words, joined by single spaces."""
    return " ".join(word["text"] for word in entity["words"] if word["text"].strip()).strip()


def _boxes(entity: Mapping[str, Any]) -> list[list[float]]:
    return [word["box"] for word in entity["words"] if word["text"].strip()]
