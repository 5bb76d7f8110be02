"""Receipts, or any scanned pages: words as a reader gave them, by number; no regions are known.

For TLR, MVLM, MPI, GLI and descriptions by count and place. Nothing is read here: ``pages`` is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import RecipeError
from layoutllm_tool.training.pretraining.known import Known


class Scans:
    """``pages(number)`` for numbers below ``count``; ``kind`` and ``name`` say what they are ("receipt", "receipts")."""

    words, regions = True, False

    def __init__(
        self, pages: Callable[[int], Page], count: int, *, kind: str = "receipt", name: str = "receipts"
    ) -> None:
        if count < 1:
            raise RecipeError(
                f"{name}: there are no pages.", hint="Give a count of at least 1, or leave the source out."
            )
        self._pages, self._count, self._kind, self._name = pages, count, kind, name

    def __call__(self, rng: Random) -> Known:
        number = rng.randrange(self._count)
        return Known(f"{self._name}/{number:03d}", self._pages(number), self._kind)
