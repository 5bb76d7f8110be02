"""SROIE 2019, task 3, as published: ``img/*.jpg``, ``entities/*.txt`` (or ``key/*.json``), ``box/*.txt`` (or ``.csv``).

The same four questions as in ``receipts``, which reads the numbered copy of the data set.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.published import around, pairs, picture_size, read_text, reading
from layoutllm_tool.evaluation.rows import Question
from layoutllm_tool.training import align
from layoutllm_tool.training.receipts import FIELDS, FORM, field_places


def is_published(data: Path) -> bool:
    return (data / "img").is_dir()


def items(data: Path, *, ocr: bool = True) -> list[Item]:
    """Every receipt with a question for each field that it is labelled with. Without ``ocr`` its words are those of
    ``box``. DocumentNotFound, DocumentUnreadable."""
    pictures = sorted(path for path in (data / "img").iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    found = [_item(data, picture, ocr) for picture in pictures]
    if not found:
        raise DocumentNotFound(f"{data / 'img'} holds no pictures.", hint='Give the folder of "img" and "entities".')
    return found


def _item(data: Path, picture: Path, ocr: bool) -> Item:
    fields, lines = _fields(data, picture.stem), _beside(data, picture.stem, "box/{}.txt", "box/{}.csv")
    boxes = gold_boxes(read_page(lines, picture_size(picture)), fields) if lines else {}
    questions = tuple(
        Question(f"receipts/{picture.stem}", name, FORM.format(name), (fields[name],), boxes.get(name, ()))
        for name in FIELDS
        if name in fields
    )
    return Item(picture, questions, None if ocr else partial(_pages, lines, picture))


def _pages(lines: Path | None, picture: Path) -> list[Page]:
    if lines is None:
        raise DocumentNotFound(f"{picture.name!r} has no words beside it.", hint='They lie in "box"; or give --ocr.')
    return [read_page(lines, picture_size(picture))]


def gold_boxes(page: Page, fields: dict[str, str]) -> dict[str, tuple[Box, ...]]:
    """Where the fields stand by the data set's own lines."""
    return {name: (align.box_of(page, place.words),) for name, place in field_places(page, fields).items()}


def read_page(file: Path, size: tuple[int, int]) -> Page:
    """Lines ``x1,y1,x2,y2,x3,y3,x4,y4,text`` in pixels; the text may hold commas. Others are left out."""
    from layoutllm_tool.documents.words import load_words

    lines = []
    with reading(repr(file.name)):
        for row in read_text(file).splitlines():
            *corners, text = row.split(",", 8)
            if len(corners) == 8 and text.strip():
                lines.append({"text": text, "box": around(pairs([float(corner) for corner in corners]))})
    return load_words({"lines": lines}, [size])[0]


def _fields(data: Path, stem: str) -> dict[str, str]:
    file = _beside(data, stem, "entities/{}.txt", "entities/{}.json", "key/{}.json", "key/{}.txt")
    if file is None:
        raise DocumentNotFound(f"{stem!r} has no labels in {data / 'entities'}.", hint="Its fields lie there as JSON.")
    with reading(repr(file.name)):
        found = json.loads(read_text(file))
        return {name: found[name] for name in FIELDS if isinstance(found.get(name), str) and found[name].strip()}


def _beside(data: Path, stem: str, *forms: str) -> Path | None:
    return next((path for form in forms if (path := data / form.format(stem)).is_file()), None)
