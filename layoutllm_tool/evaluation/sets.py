"""The sets that ``layoutllm eval`` knows: what each is called, whether it needs a folder, and how its items come about.

One more set is one more loader that gives ``Item``s and one more entry in ``SETS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from layoutllm_tool.evaluation import ads, cord, docvqa, drawn, everyday, forms, receipts, refusal, sroie, visualmrc
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.published import draw

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which part of a set is asked, and whose words are read."""

    data: Path | None = None
    """Its folder; None where the set has none or none was given."""
    limit: int | None = None
    """Questions, drawn at random; receipts and pages, evenly spread."""
    seed: int = 0
    ocr: bool = False
    """Pictures through text recognition, instead of the words that come with the set."""
    split: str = ""
    numbers: Sequence[int] = tuple(receipts.HELD_OUT)
    pages: int = 100
    """To be drawn."""

    @property
    def folder(self) -> Path:
        if self.data is None:
            raise ValueError("this set lies in a folder")
        return self.data


@dataclass(frozen=True, slots=True)
class Set:
    """A set of documents with questions and answers."""

    text: str
    """For the command's help."""
    items: Callable[[Choice], list[Item]]
    folder: str = ""
    """Name that its folder mostly has; "" where it needs none."""
    ocr: bool = False
    """Whether pictures are read unless ``--no-ocr`` says otherwise."""
    split: str = ""
    """The split that is scored by default, where the set has splits."""
    words: bool = True
    """Whether the words come with the set, so that pictures need not be read."""


def spread(things: Sequence[_T], limit: int | None) -> Sequence[_T]:
    """At most ``limit`` of them, evenly spaced."""
    if limit is None or limit >= len(things):
        return things
    return [things[i * len(things) // limit] for i in range(max(limit, 0))]


def _receipts(choice: Choice) -> list[Item]:
    if sroie.is_published(choice.folder):
        found = sroie.items(choice.folder, ocr=choice.ocr)
        return [found[i] for i in spread(range(len(found)), choice.limit)]
    return receipts.items(choice.folder, spread(choice.numbers, choice.limit), ocr=choice.ocr)


def _forms(choice: Choice) -> list[Item]:
    return forms.items(choice.folder, limit=choice.limit, seed=choice.seed, ocr=choice.ocr)


def _cord(choice: Choice) -> list[Item]:
    return cord.items(choice.folder, split=choice.split, limit=choice.limit, seed=choice.seed, ocr=choice.ocr)


def _ads(choice: Choice) -> list[Item]:
    return ads.items(choice.folder, limit=choice.limit, seed=choice.seed)


def _docvqa(choice: Choice) -> list[Item]:
    return docvqa.items(choice.folder, split=choice.split, limit=choice.limit, seed=choice.seed, ocr=choice.ocr)


def _visualmrc(choice: Choice) -> list[Item]:
    return visualmrc.items(choice.folder, split=choice.split, limit=choice.limit, seed=choice.seed, ocr=choice.ocr)


def _everyday(choice: Choice) -> list[Item]:
    return draw(everyday.items(choice.folder), choice.limit, choice.seed, "everyday")


def _drawn(choice: Choice) -> list[Item]:
    return drawn.items(choice.pages, seed=choice.seed)


def _refusal(choice: Choice) -> list[Item]:
    found = refusal.form_items(choice.pages, seed=choice.seed)
    if choice.data is None:
        return found
    from layoutllm_tool.training.data import receipt_pages

    pages = receipt_pages(choice.data) if choice.ocr else None
    return found + refusal.receipt_items(
        choice.data, spread(choice.numbers, choice.limit), seed=choice.seed, pages=pages
    )


SETS = {
    "receipts": Set("SROIE receipts, the four fields asked for in the paper's form.", _receipts, "receipts", ocr=True),
    "forms": Set("FUNSD forms, each key's value asked for in the paper's form.", _forms, "forms"),
    "cord": Set("CORD receipts, fifteen types asked for in the paper's form.", _cord, "cord", split="test"),
    "ads": Set("Political-ad order forms (PDFs of several pages), five fields of DeepForm's labels.", _ads, "ads"),
    "docvqa": Set("DocVQA (single page) as published.", _docvqa, "docvqa", split="val"),
    "visualmrc": Set("VisualMRC as published, scored by ROUGE-L.", _visualmrc, "visualmrc", split="test"),
    "everyday": Set("Everyday documents, asked as people ask (tests/data).", _everyday, "everyday/open", words=False),
    "wording": Set("Printed keys, asked in ten wordings and three capitalisations (tests/data).", _everyday, "wording", words=False),
    "drawn": Set("Pages drawn like those of training, with other seeds: to fit the confidence on.", _drawn),
    "refusal": Set(
        "As many questions without an answer on their page as with one: drawn forms, and with --data receipts that lack"
        " fields.", _refusal, "receipts",
    ),
}  # fmt: skip
