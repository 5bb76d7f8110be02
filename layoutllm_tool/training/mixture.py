"""The mixture the shipped weights are trained on: drawn pages, receipts 000-399, and the National Archives Forms.

The i-th page is a function of (seed, i) alone, so a resumed run sees what an unbroken one would have seen.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.training import factory, naf, receipts
from layoutllm_tool.training.schema import Example
from layoutllm_tool.training.synthetic import everyday

TRAINING_RECEIPTS = 400
"""Receipts 400-499 are held out for development."""


@dataclass(frozen=True)
class Mixture:
    """``pages(number)`` gives a receipt as OCR reads it; some of the time the data set's own lines are used instead."""

    receipts_data: Path | None
    pages: Callable[[int], Page] | None
    seed: int = 0
    factory_share: float = 0.5
    everyday_share: float = 0.0
    """Of all pages, how many are asked about as people ask (``synthetic/everyday.py``)."""
    archive_share: float = 0.0
    """Of all pages, how many are forms of ``archive``."""
    archive: Path | None = None
    """Folder of the National Archives Forms."""
    clean_share: float = 0.15
    """Of the receipts, how many with the data set's own lines."""
    removed_share: float = 0.5
    """Of the receipts, how many with some fields removed from the page: questions that nothing answers."""

    def __call__(self, index: int) -> Example:
        rng = random.Random(f"mixture/{self.seed}/{index}")
        if rng.random() < self.everyday_share:
            return everyday.example(self.seed + 1, index)
        if self.archive is not None and rng.random() < self.archive_share / (1 - self.everyday_share):
            return self._archived(rng)
        if rng.random() < self.factory_share:
            return next(iter(factory.examples(seed=self.seed * 1_000_003 + index, count=1)))
        if self.receipts_data is None:
            raise ValueError("receipts are asked for, and no folder of them is given")
        number = rng.randrange(TRAINING_RECEIPTS)
        pages = None if rng.random() < self.clean_share else self.pages
        seed = self.seed * 1_000_003 + index
        found = list(receipts.examples(self.receipts_data, [number], seed=seed, pages=pages, bare=1.0))
        removed = [example for example in found if "without" in example.source]
        whole = [example for example in found if "without" not in example.source]
        return rng.choice(removed if removed and (not whole or rng.random() < self.removed_share) else whole)

    @cached_property
    def _forms(self) -> list[naf.Form]:
        return list(naf.forms(self.archive)) if self.archive else []

    def _archived(self, rng: random.Random) -> Example:
        form, other = rng.sample(self._forms, 2)
        asked = naf.asked(form, rng, [pair.key for pair in other.pairs])
        return Example(f"archive/{form.name}", form.page, tuple(asked))
