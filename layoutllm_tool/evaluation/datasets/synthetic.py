"""Pages that no training draws: development data for the confidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from layoutllm_tool.documents.align import WordIndex, joined
from layoutllm_tool.documents.geometry import Document, Page, box_of
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item
from layoutllm_tool.training import synthetic
from layoutllm_tool.training.schema import QA
from layoutllm_tool.training.synthetic import written

SEED = 900_000_001
"""Training draws page i with seed * 1,000,003 + i: far below this for any seed up to 800."""
_WRITTEN_SEED, _QUESTIONS = 7_800_000, 10

_Asked = tuple[str, str, str | None, tuple[WordIndex, ...]]
"""Field, question, answer and its words."""


def items(*, pages: int = 100, seed: int = 0) -> list[Item]:
    """``pages`` drawn pages, the same ones for the same seed."""
    examples = enumerate(synthetic.examples(seed=SEED + seed, count=pages))
    return [page_item(one.page, one.qas, f"drawn-{seed}-{number}") for number, one in examples]


def held_back(*, pages: int = 80, seed: int = 0) -> list[Item]:
    """Documents written by hand that were kept back, ``pages`` at most, ten questions a page at most."""
    rng, documents, found = Random(_WRITTEN_SEED + seed), written.documents("test"), []
    for number, document in enumerate(rng.sample(documents, len(documents))[:pages]):
        page, every = written.page(rng, document)
        some = rng.sample(every, min(_QUESTIONS, len(every)))
        asked = (("written", one.question, joined(page, one.words), one.words) for one in some)
        found.append(_item(page, asked, f"written-{number}"))
    return found


def page_item(page: Page, asked: Sequence[QA], name: str) -> Item:
    """The page as a document of its own; a question without an answer has the field "none"."""
    rows = ((qa.analysis.kind if qa.answer else "none", qa.question, qa.answer, qa.words) for qa in asked)
    return _item(page, rows, name)


def _item(page: Page, asked: Iterable[_Asked], name: str) -> Item:
    questions = tuple(
        Question(name, field, text, (answer,) if answer else (), (box_of(page, words),) if words else ())
        for field, text, answer, words in asked
    )
    return Item(Document(name.replace("/", "-"), name, (page,)), questions)
