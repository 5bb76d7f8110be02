"""Drawn pages with seeds that training never uses: development data for the confidence."""

from __future__ import annotations

from layoutllm_tool.documents.geometry import Box, Document, Page
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item
from layoutllm_tool.training import synthetic
from layoutllm_tool.training.schema import QA

SEED = 900_000_001
"""Training draws page i with seed * 1,000,003 + i: far below this for any seed up to 800."""


def items(*, pages: int = 100, seed: int = 0) -> list[Item]:
    """``pages`` pages, the same ones for the same seed."""
    found = []
    for number, example in enumerate(synthetic.examples(seed=SEED + seed, count=pages)):
        asked = [qa for qa in example.questions if isinstance(qa, QA)]
        found.append(page_item(example.page, asked, f"drawn-{seed}-{number}"))
    return found


def page_item(page: Page, asked: list[QA], name: str) -> Item:
    """The page as a document of its own; a question without an answer has the field "none"."""
    document = Document(name.replace("/", "-"), name, (page,))
    return Item(document, tuple(_question(page, qa, name) for qa in asked))


def _question(page: Page, qa: QA, name: str) -> Question:
    lines = page.lines or ()
    boxes = tuple(lines[line].words[word].box for line, word in qa.words)
    place = (Box.union(boxes),) if boxes else ()
    gold, kind = ((qa.answer,), qa.analysis.kind) if qa.answer else ((), "none")
    return Question(name, kind, qa.question, gold, place)
