"""DocVQA, task 1 (Mathew et al. 2021), as published: questions with pictures and OCR of Microsoft's Read API.

The folder is the download's own (``documents``, ``ocr_results``) or that of the challenge's later packing
(``spdocvqa_qas``, ``spdocvqa_images``, ``spdocvqa_ocr``). The test split has no answers and can't be scored
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.words import load_words
from layoutllm_tool.errors import DocumentUnreadable
from layoutllm_tool.evaluation.datasets.files import (
    around,
    first_file,
    inside,
    pairs,
    picture_size,
    read_entries,
    read_json,
    reading,
)
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item

_FILES = ("{split}_v1.0.json", "{split}_v1.0_withQT.json")
_FOLDERS = ("", "spdocvqa_qas/", "{split}/", "qas/")


def items(data: Path, *, split: str = "val", ocr: bool = False) -> list[Item]:
    """Pages with their questions; the published words, or with ``ocr`` the pictures alone.

    A question's field is the first of its types where they are known ("table/list"), else "question". The
    published words are read when a page is asked about. DocumentNotFound, DocumentUnreadable.
    """
    names = [(folder + file).format(split=split) for folder in _FOLDERS for file in _FILES]
    file = first_file(data, names, f"questions of the split {split!r}")
    root = data if file.parent.name != split else file.parent
    asked: dict[str, list[Question]] = {}
    for number, entry in enumerate(read_entries(file), start=1):
        with reading(f"{file.name}, entry {number}"):
            asked.setdefault(str(entry["image"]), []).append(_question(entry))
    if not any(question.gold for questions in asked.values() for question in questions):
        raise DocumentUnreadable(f"{file.name} holds no answers.", hint="Give the split val or train.")
    return [_item(root, picture, questions, ocr) for picture, questions in asked.items()]


def _question(entry: Mapping[str, Any]) -> Question:
    answers = entry.get("answers") or []
    if not isinstance(entry["question"], str) or not all(isinstance(answer, str) for answer in answers):
        raise TypeError("question and answers are not text")
    types, name = entry.get("question_types") or ["question"], PurePosixPath(entry["image"]).stem
    return Question(f"docvqa/{name}", str(types[0]), entry["question"], tuple(answers))


def _item(data: Path, picture: str, questions: list[Question], ocr: bool) -> Item:
    name = PurePosixPath(picture).name
    path = inside(data, picture, f"documents/{name}", f"spdocvqa_images/{name}")
    return Item(path, tuple(q for q in questions if q.gold), None if ocr else partial(_pages, data, path))


def _pages(data: Path, picture: Path) -> list[Page]:
    """The first page of the Read API's reply, version 2 ("recognitionResults") or 3 ("analyzeResult").

    Its boxes are in the pixels of its own width and height. DocumentUnreadable.
    """
    file = inside(data, f"spdocvqa_ocr/{picture.stem}.json", f"ocr_results/{picture.stem}.json")
    reply, size = read_json(file), picture_size(picture)
    with reading(repr(file.name)):
        pages = reply.get("recognitionResults") or reply["analyzeResult"]["readResults"]
        width, height = pages[0].get("width") or size[0], pages[0].get("height") or size[1]
        across, down = size[0] / width, size[1] / height
        words = []
        for word in (word for line in pages[0]["lines"] for word in line["words"]):
            corners = ((x * across, y * down) for x, y in pairs(word["boundingBox"]))
            words.append({"text": word["text"], "box": around(corners)})
    return load_words({"words": words}, [size])
