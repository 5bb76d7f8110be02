"""Pages that no head was trained on, of the kinds that they were: documents written by hand and the National
Archives Forms. Development data for the confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from layoutllm_tool.documents.align import box_of
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item
from layoutllm_tool.training.fusion_head import Question as Asked
from layoutllm_tool.training.fusion_head import sources

SEED = 7_800_000


def items(data: Path, *, pages: int = 80, seed: int = 0) -> list[Item]:
    """``pages`` of each, ten questions a page at most; ``data`` holds the archive forms. DocumentNotFound."""
    few = {"written": pages, "archive": pages}
    found = sources(SEED + seed, data, data, few, part="test")
    return [_item(page, asked, f"{name}-{number}") for number, (name, page, asked) in enumerate(found)]


def _item(page: Page, asked: Sequence[Asked], name: str) -> Item:
    questions = []
    for text, words in asked:
        gold = " ".join((page.lines or ())[line].words[word].text for line, word in words)
        boxes = (box_of(page, words),) if words else ()
        questions.append(Question(name, name.split("-")[0], text, (gold,) if words else (), boxes))
    return Item(Document(name, name, (page,)), tuple(questions))
