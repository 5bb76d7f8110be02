"""CORD receipts (Park et al. 2019, CC BY 4.0) in the paper's form of question: evaluation only, never training.

Reads the release of github.com/clovaai/cord (``<split>/json``, ``<split>/image``) and the form in which it lies on
Hugging Face (``metadata.jsonl`` with "file_name" and "ground_truth"). Each receipt is asked for the entity types that
occur once on it. Parquet files are *not* read: export them first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.published import (
    around,
    box_around,
    draw,
    inside,
    picture_size,
    read_entries,
    read_json,
    reading,
    words_page,
)  # fmt: skip
from layoutllm_tool.evaluation.rows import Question

FORM = 'What is the "{}" in the given receipt?'
NAMES = {
    "menu.nm": "name of menu",
    "menu.cnt": "quantity of menu",
    "menu.unitprice": "unit price of menu",
    "menu.price": "total price of menu",
    "sub_total.subtotal_price": "subtotal price",
    "sub_total.discount_price": "discounted price in total",
    "sub_total.service_price": "service charge",
    "sub_total.tax_price": "tax amount",
    "total.total_price": "total price",
    "total.cashprice": "amount of price paid in cash",
    "total.changeprice": "amount of change in cash",
    "total.creditcardprice": "amount of price paid in credit/debit card",
    "total.emoneyprice": "amount of price paid in emoney, point",
    "total.menutype_cnt": "total count of type of menu",
    "total.menuqty_cnt": "total count of quantity",
}
"""Fifteen categories and what CORD's own table of classes calls them. The paper counts fifteen but does not list them:
these are the ones that mean something by their name alone."""


def items(data: Path, *, split: str = "test", limit: int | None = None, seed: int = 0, ocr: bool = False) -> list[Item]:
    """Receipts with their questions, ``limit`` of them at random; the data set's words, or with ``ocr`` the pictures alone.

    DocumentNotFound, DocumentUnreadable.
    """
    found = [_item(picture, truth, ocr) for picture, truth in _receipts(data, split)]
    return draw(found, limit, seed, "cord")


def _receipts(data: Path, split: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Pictures and what is known of them."""
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
        words = [_word(word) for line in lines for word in line["words"] if word["text"].strip()]
    return Item(picture, questions, None if ocr else partial(_pages, words, size))


def _pages(words: Sequence[dict[str, Any]], size: tuple[int, int]) -> list[Page]:
    return [words_page(words, size)]


def _questions(lines: Sequence[Mapping[str, Any]], name: str, size: tuple[int, int]) -> Iterator[Question]:
    """One for each type that occurs once; lines of one group are one entity. Words that are its key are not its value."""
    entities: dict[str, dict[tuple[Any, Any], list[Mapping[str, Any]]]] = {}
    for line in lines:
        group = (line["group_id"], line.get("sub_group_id"))
        found = entities.setdefault(line["category"], {}).setdefault(group, [])
        found += [word for word in line["words"] if word["text"].strip() and not word.get("is_key")]
    for category, readable in NAMES.items():
        groups = list(entities.get(category, {}).values())
        if len(groups) == 1 and groups[0]:
            gold = " ".join(word["text"].strip() for word in groups[0])
            box = box_around([_word(word)["box"] for word in groups[0]], size)
            yield Question(name, readable, FORM.format(readable), (gold,), (box,))


def _word(word: Mapping[str, Any]) -> dict[str, Any]:
    quad = word["quad"]
    return {"text": word["text"], "box": around((quad[f"x{i}"], quad[f"y{i}"]) for i in range(1, 5))}
