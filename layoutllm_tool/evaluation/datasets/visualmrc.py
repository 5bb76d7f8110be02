"""VisualMRC (Tanaka et al. 2021) as published: screenshots, their regions, words and questions (JSON lines).

Answers are in the annotators' own words: ROUGE-L tells right from wrong. The data set is given out on
request, for research only; nothing of it is here. BLEU, METEOR and CIDEr are *not* computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from layoutllm_tool.documents.words import load_words
from layoutllm_tool.evaluation.datasets.files import (
    box_around,
    first_file,
    inside,
    picture_size,
    read_entries,
    reading,
)
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item


def items(data: Path, *, split: str = "test", ocr: bool = False) -> list[Item]:
    """Screenshots with their questions; the published words, or with ``ocr`` the pictures alone.

    The gold boxes are the regions that an answer was made from. DocumentNotFound, DocumentUnreadable.
    """
    names = [f"{folder}{split}{ending}" for folder in ("", "data/") for ending in (".jsonl", ".json")]
    file = first_file(data, names, f"questions of the split {split!r}")
    found = []
    for number, entry in enumerate(read_entries(file), start=1):
        with reading(f"{file.name}, entry {number}"):
            found.append(_item(data, entry, ocr))
    return found


def _item(data: Path, entry: Mapping[str, Any], ocr: bool) -> Item:
    name = str(entry["image_filename"])
    picture = inside(data, name, f"images/{PurePosixPath(name).name}", f"images/{name}")
    size, regions = picture_size(picture), entry["bounding_boxes"]
    boxes = {str(region["id"]): _box(region["shape"]) for region in regions}
    read = [word for region in regions for word in region.get("ocr_info") or ()]
    words = [{"text": word["word"], "box": _box(word["bbox"])} for word in read]
    questions = tuple(_questions(entry, boxes, size))
    return Item(picture, questions, None if ocr else partial(load_words, {"words": words}, [size]))


def _questions(
    entry: Mapping[str, Any],
    boxes: Mapping[str, list[float]],
    size: tuple[int, int],
) -> Iterator[Question]:
    document = f"visualmrc/{entry['id']}"
    for asked in entry["qa_data"]:
        answer, text = asked["answer"], asked["question"]["text"]
        relevant = [boxes[str(name)] for name in answer.get("relevant") or () if str(name) in boxes]
        place = (box_around(relevant, size),) if relevant else ()
        if answer["text"].strip():
            yield Question(document, "question", text, (answer["text"],), place, "rouge")


def _box(shape: Mapping[str, Any]) -> list[float]:
    x, y = float(shape["x"]), float(shape["y"])
    return [x, y, x + float(shape["width"]), y + float(shape["height"])]
