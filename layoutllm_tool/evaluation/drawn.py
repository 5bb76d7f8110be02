"""Pages drawn by the factory with seeds that training never uses: development data for the confidence, forms and refusals included."""

from __future__ import annotations

from layoutllm_tool.documents.geometry import Box, Document
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.rows import Question
from layoutllm_tool.training import synthetic
from layoutllm_tool.training.schema import QA, Example

SEED = 900_000_001
"""Training draws page i with seed * 1,000,003 + i: far below this for any seed up to 800."""


def items(count: int, *, seed: int = 0) -> list[Item]:
    """``count`` pages, the same ones for the same seed."""
    found = synthetic.examples(seed=SEED + seed, count=count)
    return [_item(example, f"drawn-{seed}-{number}") for number, example in enumerate(found)]


def _item(example: Example, name: str) -> Item:
    document = Document(name, name, (example.page,))
    return Item(document, tuple(_question(example, qa, name) for qa in example.questions if isinstance(qa, QA)))


def _question(example: Example, qa: QA, name: str) -> Question:
    lines = example.page.lines or ()
    boxes = tuple(lines[line].words[word].box for line, word in qa.words)
    field = "none" if qa.answer is None else qa.analysis.kind
    return Question(name, field, qa.question, (qa.answer,) if qa.answer else (), (Box.union(boxes),) if boxes else ())
