"""CORD receipts (Park et al. 2019, CC BY 4.0) in the paper's form of question: never trained on.

Reads the release of github.com/clovaai/cord (``<split>/json``, ``<split>/image``) and its form on Hugging
Face (``metadata.jsonl`` with "file_name" and "ground_truth"). Each receipt is asked for the entity types that
occur once on it. Parquet files are *not* read: export them first.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from layoutllm_tool.documents.words import load_words
from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.evaluation.datasets.files import (
    around,
    box_around,
    inside,
    picture_size,
    read_entries,
    read_json,
    reading,
)
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item

FORM = 'What is the "{}" in the given receipt?'
NAMES: dict[str, str] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
"""CORD's categories and what they are asked for as."""


def items(data: Path, *, split: str = "test", ocr: bool = False) -> list[Item]:
    """Receipts with their questions; the data set's words, or with ``ocr`` the pictures alone.

    DocumentNotFound, DocumentUnreadable.
    """
    return [_item(picture, truth, ocr) for picture, truth in _receipts(data, split)]


def _receipts(data: Path, split: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Pictures and their annotations."""
    for folder in (inside(data, split), data):
        if files := sorted((folder / "json").glob("*.json")):
            for file in files:
                yield inside(folder, f"image/{file.stem}.png", f"image/{file.stem}.jpg"), read_json(file)
            return
        if (listed := folder / "metadata.jsonl").is_file():
            for number, entry in enumerate(read_entries(listed), start=1):
                with reading(f"{listed.name}, line {number}"):
                    truth = entry["ground_truth"]
                    found = json.loads(truth) if isinstance(truth, str) else truth
                    yield inside(folder, str(entry["file_name"])), found
            return
    raise DocumentNotFound(
        f"{data} holds no CORD receipts.", hint=f'Give the folder of "{split}/json" and "{split}/image".'
    )


def _item(picture: Path, truth: Mapping[str, Any], ocr: bool) -> Item:
    size = picture_size(picture)
    with reading(f"the annotation of {picture.name!r}"):
        lines = truth["valid_line"]
        questions = tuple(_questions(lines, f"cord/{picture.stem}", size))
        words = [
            {"text": word["text"], "box": _box(word)}
            for line in lines
            for word in line["words"]
            if word["text"].strip()
        ]
    return Item(picture, questions, None if ocr else partial(load_words, {"words": words}, [size]))


def _questions(lines: Sequence[Mapping[str, Any]], name: str, size: tuple[int, int]) -> Iterator[Question]:
    """One for each type that occurs once. A group's lines are one entity; its key's words are no value."""
    entities: dict[str, dict[tuple[Any, Any], list[Mapping[str, Any]]]] = {}
    for line in lines:
        group = (line["group_id"], line.get("sub_group_id"))
        found = entities.setdefault(line["category"], {}).setdefault(group, [])
        found += [word for word in line["words"] if word["text"].strip() and not word.get("is_key")]
    for category, readable in NAMES.items():
        groups = list(entities.get(category, {}).values())
        if len(groups) == 1 and groups[0]:
            gold = " ".join(word["text"].strip() for word in groups[0])
            box = box_around(map(_box, groups[0]), size)
            yield Question(name, readable, FORM.format(readable), (gold,), (box,))


def _box(word: Mapping[str, Any]) -> list[float]:
    quad = word["quad"]
    return around((quad[f"x{i}"], quad[f"y{i}"]) for i in range(1, 5))
