"""LayoutCoT's training data in the paper's mixture (section 3.2): HTML : document images : MRC = 5 : 4.5 : 0.5, in pages.

Document images are receipts and synthetic pages; see html/, mrc.py, mixture.py for what each source yields.
Which pages text recognition reads, and how, is the caller's business (``pages``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from math import isfinite
from pathlib import Path
from random import Random
from typing import Self

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import DocumentError, RecipeError, TrainingError
from layoutllm_tool.training import html, mrc
from layoutllm_tool.training.mixture import Mixture
from layoutllm_tool.training.schema import Example


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of pages; only their ratio counts. RecipeError where one is negative or all are 0."""

    html: float = 5.0
    documents: float = 4.5
    mrc: float = 0.5

    def __post_init__(self) -> None:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        if wrong := [name for name, value in values.items() if not (isfinite(value) and value >= 0)]:
            raise RecipeError(
                f"weights are not negative, and {', '.join(wrong)} is.", hint="Leave a source out with 0."
            )
        if not any(values.values()):
            raise RecipeError("all weights are 0.", hint="Give at least one of html, documents, mrc a weight above 0.")


@dataclass(frozen=True)
class LayoutCoTMixture:
    """The index-th page, a function of (seed, index) alone, so that a resumed run sees what an unbroken one would.

    RecipeError or TrainingError at once where a source with a weight is missing; each names what to install or to set to 0.
    """

    receipts: Path | None = None
    """Folder of SROIE receipts; 400-499 are never touched."""
    tables: Path | None = None
    """Folder of FeTaQA and WikiTableQuestions."""
    pages: Callable[[int], Page] | None = None
    """Receipts as text recognition reads them; without it the data set's own lines are used."""
    written: Path | None = None
    """Folder of HTML pages that a chat model wrote (``html.keep``)."""
    seed: int = 0
    weights: Weights = field(default_factory=Weights)
    receipts_share: float = 0.5
    """Of the document images, how many are receipts; the others are synthetic."""
    written_share: float = 0.5
    """Of the HTML pages, how many are a chat model's, where there are any."""

    def __post_init__(self) -> None:
        if wrong := [n for n in ("receipts_share", "written_share") if not 0 <= getattr(self, n) <= 1]:
            raise RecipeError(f"{', '.join(wrong)} is no share from 0 to 1.", hint="For instance 0.5.")
        if self.weights.documents and self.receipts_share:
            _need(
                self.receipts,
                "receipts",
                "set receipts_share to 0 (in a recipe: receipts), for drawn pages only, or the weight `documents` to 0",
            )
        if self.weights.mrc:
            _need(self.tables, "tables", "set the weight `mrc` to 0")
        if self.weights.html:
            _need_html()

    @classmethod
    def in_folder(
        cls,
        folder: Path | None,
        *,
        seed: int = 0,
        weights: Weights | None = None,
        pages: Callable[[int], Page] | None = None,
        receipts_share: float = 0.5,
    ) -> Self:
        """From a folder that holds ``receipts`` and ``tables``, and perhaps ``written`` (HTML pages)."""
        written = folder / "written" if folder and (folder / "written").is_dir() else None
        return cls(
            folder / "receipts" if folder else None, folder / "tables" if folder else None, pages, written,
            seed=seed, weights=weights or Weights(), receipts_share=receipts_share,
        )  # fmt: skip

    def __call__(self, index: int) -> Example:
        rng = Random(f"layoutcot/{self.seed}/{index}")
        source = rng.choices(
            ("html", "documents", "mrc"), (self.weights.html, self.weights.documents, self.weights.mrc)
        )[0]
        if source == "documents":
            return self._documents(index)
        if source == "mrc" and self.tables is not None:
            return mrc.example(self.tables, self.seed, index)
        return self._html(index, rng)

    def digest(self, count: int = 8) -> str:
        """SHA-256 over everything a model could learn from the first pages."""
        from layoutllm_tool.training.data import digest

        return digest(self, count)

    @cached_property
    def _documents(self) -> Mixture:
        return Mixture(self.receipts, self.pages, seed=self.seed, factory_share=1 - self.receipts_share)

    @cached_property
    def _kept(self) -> tuple[Path, ...]:
        return html.kept(self.written) if self.written else ()

    def _html(self, index: int, rng: Random) -> Example:
        """A chat model's page where one is due and is of use, else one of the templates."""
        if self._kept and rng.random() < self.written_share:
            try:
                return html.written_example(rng.choice(self._kept), seed=self.seed * 1_000_003 + index)
            except DocumentError:  # too slow to render, or nothing to ask: the page is the model's, the loss is small
                pass
        return html.example(self.seed, index)


def _need(folder: Path | None, name: str, instead: str) -> None:
    if folder is None or not folder.is_dir():
        place = f"{folder} is not there" if folder else "its folder is not given"
        raise RecipeError(f"the mixture wants {name}, and {place}.", hint=f"Give the folder, or {instead}.")


def _need_html() -> None:
    try:
        html.require()
    except TrainingError as error:
        raise TrainingError(error.message, hint=f"{error.hint} Or set the weight `html` to 0.") from error
