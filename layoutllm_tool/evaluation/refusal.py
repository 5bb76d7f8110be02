"""A balanced set of answerable and unanswerable questions: does the reader refuse what its page does not say, and only that?

Two halves. Forms drawn by the factory, with seeds that neither training nor ``drawn`` uses: blank fields, fields the
form lacks. Held-out receipts from which one or two fields were taken out: the questions are those that the same receipt
would answer were it whole. Every page gives as many unanswerable questions as answerable ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from random import Random

from layoutllm_tool.documents.geometry import Box, Document, Page
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.receipts import HELD_OUT
from layoutllm_tool.evaluation.rows import Question, Row
from layoutllm_tool.training import receipts as source
from layoutllm_tool.training import synthetic
from layoutllm_tool.training.schema import QA, Example

SEED = 910_000_001
"""Apart from training's seeds and from ``drawn.SEED``, for any seed up to a million."""
TRIES = 40
"""Seeds tried for one receipt: every third one yields a copy that lacks fields."""
SETS = ("forms", "receipts")
"""What a question's document begins with, behind "refusal/"."""


def form_items(count: int, *, seed: int = 0) -> list[Item]:
    """``count`` drawn forms, the same ones for the same seed."""
    drawn = factory_forms(SEED + seed)
    made = (_item(example, f"refusal/forms/{seed}-{number}") for number, example in enumerate(drawn))
    return list(islice((item for item in made if item), count))


def factory_forms(seed: int) -> Iterator[Example]:
    """Forms without end."""
    number = 0
    while True:
        example = synthetic.example(seed, number)
        if example.source.startswith("factory/form/"):
            yield example
        number += 1


def receipt_items(
    data: Path, numbers: Iterable[int] = HELD_OUT, *, seed: int = 0, pages: Callable[[int], Page] | None = None
) -> list[Item]:
    """A copy that lacks fields of each receipt, if one can be made; ``pages`` as in ``training.receipts``, the
    dataset's own lines by default. DocumentNotFound."""
    made = (_receipt(data, number, seed, pages) for number in numbers)
    return [item for item in made if item]


def _receipt(data: Path, number: int, seed: int, pages: Callable[[int], Page] | None) -> Item | None:
    page = pages(number) if pages else source.dataset_page(data, number)
    for attempt in range(TRIES):
        found = source.examples(data, (number,), seed=SEED + seed * TRIES + attempt, pages=lambda _number: page)
        for example in found:
            if "/without-" in example.source:
                return _item(example, f"refusal/receipts/{seed}-{number:03d}")
    return None


def _item(example: Example, name: str) -> Item | None:
    """As many answerable questions as unanswerable ones, in the order of the page's; None where it lacks either."""
    asked = [qa for qa in example.questions if isinstance(qa, QA)]
    silent, spoken = [qa for qa in asked if qa.answer is None], [qa for qa in asked if qa.answer is not None]
    each, rng = min(len(silent), len(spoken)), Random(name)
    chosen = [*rng.sample(silent, each), *rng.sample(spoken, each)]
    questions = tuple(_question(example.page, qa, name) for qa in asked if any(qa is one for one in chosen))
    return Item(Document(name.replace("/", "-"), name, (example.page,)), questions) if questions else None


def _question(page: Page, qa: QA, name: str) -> Question:
    lines = page.lines or ()
    boxes = tuple(lines[line].words[word].box for line, word in qa.words)
    gold = (qa.answer,) if qa.answer else ()
    return Question(name, qa.analysis.kind if gold else "none", qa.question, gold, (Box.union(boxes),) if boxes else ())


def by_set(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of the two halves by name, and "both" where there are two."""
    kept = list(rows)
    found = {name: [row for row in kept if row.document.startswith(f"refusal/{name}/")] for name in SETS}
    found = {name: of for name, of in found.items() if of}
    return found | {"both": kept} if len(found) > 1 else found
