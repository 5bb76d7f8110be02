"""Questions that their page does not answer: twenty fixed ones, and a set balanced with answerable ones.

The balanced set has two halves: drawn forms, with seeds that neither training nor ``synthetic`` uses (blank
fields, fields the form lacks), and held-out receipts from which one or two fields were removed. Every page
gives as many unanswerable questions as answerable ones.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Any

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.evaluation.datasets.sroie import HELD_OUT, image
from layoutllm_tool.evaluation.datasets.synthetic import page_item
from layoutllm_tool.evaluation.results import Question, ScoredAnswer
from layoutllm_tool.evaluation.run import Item, spread
from layoutllm_tool.training import receipts as source
from layoutllm_tool.training import synthetic
from layoutllm_tool.training.data import receipt_pages
from layoutllm_tool.training.schema import Example
from layoutllm_tool.training.synthetic.questions import lacks

Pages = Callable[[int], Page]
AIM = 15
"""Outcomes None, of the twenty fixed questions, that the first weights should reach."""
SEED = 910_000_001
"""Apart from training's seeds and from ``synthetic.SEED``, for any seed up to a million."""
TRIES = 40
"""Seeds tried for one receipt: every third one yields a copy that lacks fields."""
HALVES = ("forms", "receipts")
"""What a balanced question's document begins with, behind "refusal/"."""
_LIST = Path(__file__).with_suffix(".toml").read_text("utf-8")
QUESTIONS: list[dict[str, Any]] = tomllib.loads(_LIST)["questions"]
"""The twenty: ``number`` of a receipt, ``text``, and the ``names`` that a page would print for the field."""


def fixed_items(data: Path) -> list[Item]:
    """The twenty receipts (a folder as in ``sroie``), one question each, no gold."""
    return [
        Item(image(data, q["number"]), (Question(f"receipts/{q['number']:03d}", "absent", q["text"], ()),))
        for q in QUESTIONS
    ]


def present(names: Iterable[str], page: Page) -> tuple[str, ...]:
    """The names that stand on the page, misread or not; () as it should be."""
    return tuple(name for name in names if not lacks(page, (name,)))


# -- the balanced set ----------------------------------------------------------------------------------------


def items(
    data: Path | None = None, *, pages: int = 100, seed: int = 0, numbers: Sequence[int] = HELD_OUT,
    limit: int | None = None, ocr: bool = False,
) -> list[Item]:  # fmt: skip
    """``pages`` drawn forms and, with ``data``, ``limit`` receipts. DocumentNotFound."""
    found = form_items(pages, seed=seed)
    if data is None:
        return found
    read = receipt_pages(data) if ocr else None
    return found + receipt_items(data, spread(numbers, limit), seed=seed, pages=read)


def form_items(pages: int, *, seed: int = 0) -> list[Item]:
    """``pages`` drawn forms, the same ones for the same seed."""
    examples = (synthetic.example(SEED + seed, number) for number in count())
    forms = (example for example in examples if example.source.startswith("factory/form/"))
    made = (_balanced(example, f"refusal/forms/{seed}-{number}") for number, example in enumerate(forms))
    return list(islice((item for item in made if item), pages))


def receipt_items(
    data: Path, numbers: Iterable[int] = HELD_OUT, *, seed: int = 0, pages: Pages | None = None
) -> list[Item]:
    """A copy of each receipt that lacks fields, where one can be made. DocumentNotFound.

    ``pages`` gives a receipt's page, by default with the data set's own lines.
    """
    read = pages or (lambda number: source.dataset_page(data, number))
    return [item for number in numbers for item in _receipt(data, number, seed, read(number))]


def _receipt(data: Path, number: int, seed: int, page: Page) -> Iterator[Item]:
    """One item or none."""
    for attempt in range(TRIES):
        drawn = SEED + seed * TRIES + attempt
        for example in source.examples(data, (number,), seed=drawn, pages=lambda _: page):
            if "/without-" in example.source:
                if item := _balanced(example, f"refusal/receipts/{seed}-{number:03d}"):
                    yield item
                return


def _balanced(example: Example, name: str) -> Item | None:
    """As many answerable questions as unanswerable ones, in the page's order. None where it lacks either."""
    asked = example.qas
    without = [qa for qa in asked if qa.answer is None]
    answered = [qa for qa in asked if qa.answer is not None]
    each, rng = min(len(without), len(answered)), Random(name)
    chosen = [*rng.sample(without, each), *rng.sample(answered, each)]
    kept = [qa for qa in asked if any(qa is one for one in chosen)]
    return page_item(example.page, kept, name) if kept else None


def by_half(answers: Sequence[ScoredAnswer]) -> dict[str, list[ScoredAnswer]]:
    """Answers of the two halves by name, and "both" where there are two."""
    found = {half: [one for one in answers if one.document.startswith(f"refusal/{half}/")] for half in HALVES}
    found = {half: of for half, of in found.items() if of}
    return found | {"both": list(answers)} if len(found) > 1 else found
