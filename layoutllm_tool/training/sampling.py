"""Which page comes index-th: a function of (seed, index) alone, so that a run can be resumed.

``DocumentMixture`` is what the shipped weights are trained on: drawn pages, receipts 000-399 and the National
Archives Forms. ``LayoutCoTMixture`` is the paper's (section 3.2): HTML : document images : MRC = 5 : 4.5 :
0.5, in pages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from layoutllm_tool.errors import RecipeError, TrainingError
from layoutllm_tool.training import html, mrc, naf, receipts, synthetic
from layoutllm_tool.training.receipts import Pages
from layoutllm_tool.training.recipe import shares_of
from layoutllm_tool.training.schema import Example
from layoutllm_tool.training.synthetic import everyday

if TYPE_CHECKING:
    from layoutllm_tool.training.reviewed import ReviewedPages

TRAINING_RECEIPTS = 400
"""Receipts 400-499 are held out for development."""
CLEAN_SHARE, REMOVED_SHARE = 0.15, 0.5
"""Of the receipts, how many have the data set's own lines, and how many lack some fields."""
WEIGHTS: Mapping[str, float] = {"html": 5.0, "documents": 4.5, "mrc": 0.5}
"""The paper's shares of pages."""


def pick(index: int, count: int, seed: str) -> int:
    """Which of ``count`` things comes index-th. Passes are endless, each in its own order."""
    if count < 1:
        raise ValueError("there is nothing to pass over")
    turn, at = divmod(index, count)
    return _order(count, f"{seed}/{turn}")[at]


@lru_cache(maxsize=8)
def _order(count: int, seed: str) -> list[int]:
    order = list(range(count))
    Random(seed).shuffle(order)
    return order


@dataclass(frozen=True)
class DocumentMixture:
    """Drawn pages, receipts and archive forms."""

    receipts_data: Path | None
    pages: Pages | None
    """Receipts as text recognition reads them; some of the time the data set's own lines are used instead."""
    seed: int = 0
    synthetic_share: float = 0.5
    everyday_share: float = 0.0
    """Of all pages, how many are asked about as people ask (``synthetic/everyday.py``)."""
    archive_share: float = 0.0
    """Of all pages, how many are forms of ``archive``."""
    archive: Path | None = None
    """Folder of the National Archives Forms."""

    def __call__(self, index: int) -> Example:
        rng = Random(f"mixture/{self.seed}/{index}")
        if rng.random() < self.everyday_share:
            return everyday.example(self.seed + 1, index)
        if self.archive is not None and rng.random() < self.archive_share / (1 - self.everyday_share):
            return self._archive_form(rng)
        seed = self.seed * 1_000_003 + index
        if rng.random() < self.synthetic_share:
            return synthetic.example(seed, 0)
        return self._receipt(seed, rng)

    def _receipt(self, seed: int, rng: Random) -> Example:
        if self.receipts_data is None:
            raise ValueError("receipts are asked for, and no folder of them is given")
        number = rng.randrange(TRAINING_RECEIPTS)
        pages = None if rng.random() < CLEAN_SHARE else self.pages
        found = list(receipts.examples(self.receipts_data, [number], seed=seed, pages=pages, bare=1.0))
        removed = [example for example in found if "without" in example.source]
        whole = [example for example in found if "without" not in example.source]
        return rng.choice(removed if removed and (not whole or rng.random() < REMOVED_SHARE) else whole)

    @cached_property
    def _forms(self) -> list[naf.Form]:
        return list(naf.forms(self.archive)) if self.archive else []

    def _archive_form(self, rng: Random) -> Example:
        form, other = rng.sample(self._forms, 2)
        questions = naf.questions(form, rng, [pair.key for pair in other.pairs])
        return Example(f"archive/{form.name}", form.page, tuple(questions))


@dataclass(frozen=True)
class LayoutCoTMixture:
    """HTML pages, document images and tables.

    RecipeError or TrainingError at once where a source with a weight is missing; each names what to install
    or to set to 0.
    """

    receipts: Path | None = None
    """Folder of SROIE receipts; 400-499 are never touched."""
    tables: Path | None = None
    """Folder of FeTaQA and WikiTableQuestions."""
    pages: Pages | None = None
    """Receipts as text recognition reads them; without it the data set's own lines are used."""
    seed: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    """What differs from ``WEIGHTS``."""
    receipts_share: float = 0.5
    """Of the document images, how many are receipts; the others are drawn pages."""

    def __post_init__(self) -> None:
        if not 0 <= self.receipts_share <= 1:
            raise RecipeError(f"receipts_share is {self.receipts_share}.", hint="Give a share from 0 to 1.")
        if self.shares["documents"] and self.receipts_share:
            share = "set receipts_share to 0 (in a recipe: receipts), for drawn pages only"
            _need(self.receipts, "receipts", f"{share}, or the weight `documents` to 0")
        if self.shares["mrc"]:
            _need(self.tables, "tables", "set the weight `mrc` to 0")
        if self.shares["html"]:
            _need_html()

    def __call__(self, index: int) -> Example:
        rng = Random(f"layoutcot/{self.seed}/{index}")
        source = rng.choices(tuple(self.shares), tuple(self.shares.values()))[0]
        if source == "documents":
            return self._documents(index)
        if source == "mrc" and self.tables is not None:
            return mrc.example(self.tables, self.seed, index)
        return html.example(self.seed, index)

    @cached_property
    def shares(self) -> dict[str, float]:
        """How often each source is drawn from, beside the others."""
        return shares_of(WEIGHTS, self.weights)

    @cached_property
    def _documents(self) -> DocumentMixture:
        share = 1 - self.receipts_share
        return DocumentMixture(self.receipts, self.pages, seed=self.seed, synthetic_share=share)


@dataclass(frozen=True)
class Rehearsed:
    """Reviewed pages, pass after pass, with a share of other pages spread among them."""

    reviewed: ReviewedPages
    others: Callable[[int], Example]
    share: float

    def __call__(self, index: int) -> Example:
        # Among the first n pages stand floor(n * share) others: exact, so that a pass is whole.
        before, after = math.floor(index * self.share), math.floor((index + 1) * self.share)
        return self.others(before) if after > before else self.reviewed(index - before)

    def pages(self, passes: int) -> int:
        """How many pages hold so many passes over the reviewed ones."""
        return math.ceil(passes * len(self.reviewed) / (1 - self.share))


def _need(folder: Path | None, name: str, instead: str) -> None:
    if folder is None or not folder.is_dir():
        place = f"{folder} is not there" if folder else "its folder is not given"
        raise RecipeError(f"the mixture wants {name}, and {place}.", hint=f"Give the folder, or {instead}.")


def _need_html() -> None:
    try:
        html.require()
    except TrainingError as error:
        raise TrainingError(error.message, hint=f"{error.hint} Or set the weight `html` to 0.") from error
