"""Documents written by hand that no model was trained on: development data for the confidence."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from layoutllm_tool.documents.geometry import Document, Page, box_of
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item
from layoutllm_tool.training.synthetic import written
from layoutllm_tool.training.synthetic.everyday import Asked

SEED, QUESTIONS = 7_800_000, 10


def items(*, pages: int = 80, seed: int = 0) -> list[Item]:
    """``pages`` of them at most, ``QUESTIONS`` a page at most, the same ones for the same seed."""
    rng, documents = Random(SEED + seed), written.documents("test")
    found = []
    for number, document in enumerate(rng.sample(documents, len(documents))[:pages]):
        page, asked = written.page(rng, document)
        found.append(_item(page, rng.sample(asked, min(QUESTIONS, len(asked))), f"written-{number}"))
    return found


def _item(page: Page, asked: Sequence[Asked], name: str) -> Item:
    questions = []
    for one in asked:
        gold = " ".join((page.lines or ())[line].words[word].text for line, word in one.words)
        boxes = (box_of(page, one.words),) if one.words else ()
        questions.append(Question(name, "written", one.question, (gold,) if gold else (), boxes))
    return Item(Document(name, name, (page,)), tuple(questions))
