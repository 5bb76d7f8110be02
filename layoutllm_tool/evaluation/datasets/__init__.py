"""The data sets of ``layoutllm eval``. One more is a module with ``items`` and an entry in ``DATASETS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from layoutllm_tool.evaluation.datasets import (
    cord,
    deepform,
    docvqa,
    everyday,
    funsd,
    sroie,
    synthetic,
    unanswerable,
    visualmrc,
)
from layoutllm_tool.evaluation.run import Item


@dataclass(frozen=True, slots=True)
class Dataset:
    """Documents with questions and answers."""

    text: str
    """For the command's help."""
    items: Callable[..., list[Item]]
    """Called with the folder, if the set has one, and with ``options`` by name."""
    folder: str = ""
    """Name that its folder mostly has; "" where it needs none."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of ocr, split, numbers, pages, seed and limit those that ``items`` takes, with their defaults."""
    sample: str = ""
    """Seeds the draw of ``--limit`` questions; "" where ``items`` limits, or nothing does."""
    words: bool = True
    """Whether the words come with the set, so that pictures need not be read."""


_OCR = {"ocr": False}
_NUMBERED = {"numbers": sroie.HELD_OUT, "limit": None}
_PAGES = {"pages": 100, "seed": 0}
_EVERYDAY = "Everyday documents, asked as people ask (tests/data)."
_WORDING = "Printed keys, asked in ten wordings and three capitalisations (tests/data)."
_FUNSD = "FUNSD forms, each key's value asked for in the paper's form."
_SROIE = "SROIE receipts, the four fields asked for in the paper's form."
_CORD = "CORD receipts, fifteen types asked for in the paper's form."
_DEEPFORM = "Political-ad order forms (PDFs of several pages), five fields of DeepForm's labels."
_DRAWN = "Pages drawn like those of training, with other seeds: to fit the confidence on."
_HELD_BACK = "Documents written by hand that were kept back: to fit the confidence on."
_REFUSAL = "As many unanswerable questions as answerable ones: drawn forms, and with --data receipts."
_DOCVQA = "DocVQA (single page) as published."
_VISUALMRC = "VisualMRC as published, scored by ROUGE-L."
DATASETS = {
    "sroie": Dataset(_SROIE, sroie.items, "receipts", _NUMBERED | {"ocr": True}),
    "funsd": Dataset(_FUNSD, funsd.items, "forms", _OCR, "forms"),
    "cord": Dataset(_CORD, cord.items, "cord", _OCR | {"split": "test"}, "cord"),
    "deepform": Dataset(_DEEPFORM, deepform.items, "ads", sample="ads"),
    "docvqa": Dataset(_DOCVQA, docvqa.items, "docvqa", _OCR | {"split": "val"}, "docvqa"),
    "visualmrc": Dataset(_VISUALMRC, visualmrc.items, "visualmrc", _OCR | {"split": "test"}, "visualmrc"),
    "everyday": Dataset(_EVERYDAY, everyday.items, "everyday/open", sample="everyday", words=False),
    "wording": Dataset(_WORDING, everyday.items, "wording", sample="everyday", words=False),
    "synthetic": Dataset(_DRAWN, synthetic.items, options=_PAGES),
    "held-back": Dataset(_HELD_BACK, synthetic.held_back, options=_PAGES | {"pages": 80}),
    "refusal": Dataset(_REFUSAL, unanswerable.items, "receipts", _OCR | _NUMBERED | _PAGES),
}


def sample(items: Sequence[Item], limit: int | None, seed: int, name: str) -> list[Item]:
    """``limit`` questions drawn at random, the same for the same seed; documents without any are left out."""
    found = list(items)
    if limit is not None:
        every = [(i, j) for i, item in enumerate(found) for j in range(len(item.questions))]
        chosen = set(Random(f"{name}/{seed}").sample(every, min(max(limit, 0), len(every))))
        found = [
            replace(item, questions=tuple(q for j, q in enumerate(item.questions) if (i, j) in chosen))
            for i, item in enumerate(found)
        ]
    return [item for item in found if item.questions]
