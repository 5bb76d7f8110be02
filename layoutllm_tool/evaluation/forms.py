"""FUNSD forms as evaluation, in the paper's form of question, the dataset's own words given or not.

Non-commercial licence: evaluation only, nothing here may reach training data. Keys linked to more than one value are
dropped, as in the paper; so are values without text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.published import draw, picture_size, read_json, reading
from layoutllm_tool.evaluation.rows import Question

FORM = 'What is the content in the "{}" field?'


def items(data: Path, *, limit: int | None = None, seed: int = 0, ocr: bool = False) -> list[Item]:
    """Forms with their questions; ``limit`` draws that many questions at random, the same ones for the same seed. The
    dataset's own words, or with ``ocr`` the pictures alone."""
    files = sorted((data / "annotations").glob("*.json"))
    if not files:
        raise DocumentNotFound(
            f"{data} holds no FUNSD annotations.", hint='Give the folder of "annotations" and "images".'
        )
    found = [_form(data, file) for file in files]
    return draw([Item(form.path, form.questions, None if ocr else form.pages) for form in found], limit, seed, "forms")


@dataclass(frozen=True, slots=True)
class _Form:
    path: Path
    annotation: Mapping[str, Any]
    size: tuple[int, int]
    questions: tuple[Question, ...]

    def pages(self) -> list[Page]:
        from layoutllm_tool.documents.words import load_words

        return load_words({"form": self.annotation["form"]}, [self.size])


def _form(data: Path, file: Path) -> _Form:
    path = data / "images" / f"{file.stem}.png"
    size, annotation = picture_size(path), read_json(file)
    with reading(repr(file.name)):
        return _Form(path, annotation, size, tuple(_questions(annotation, f"forms/{file.stem}", size)))


def _questions(annotation: Mapping[str, Any], name: str, size: tuple[int, int]) -> list[Question]:
    entities = {entity["id"]: entity for entity in annotation["form"]}
    return [
        Question(name, "value", FORM.format(_text(key)), (_text(value),), (_box(value, size),))
        for key in annotation["form"]
        if (value := _value(key, entities)) is not None
    ]


def _value(key: Mapping[str, Any], entities: Mapping[int, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The one answer that a key is linked to."""
    if key["label"] != "question" or not _text(key):
        return None
    linked = {end for pair in key["linking"] for end in pair if end != key["id"]}
    values = [entities[i] for i in sorted(linked) if i in entities and entities[i]["label"] == "answer"]
    return values[0] if len(values) == 1 and _text(values[0]) else None


def _text(entity: Mapping[str, Any]) -> str:
    """The words as the dataset has them, joined by single spaces."""
    return " ".join(word["text"] for word in entity["words"] if word["text"].strip()).strip()


def _box(entity: Mapping[str, Any], size: tuple[int, int]) -> Box:
    width, height = size
    return Box.union(
        Box.from_pixels(*word["box"], width=width, height=height) for word in entity["words"] if word["text"].strip()
    )
