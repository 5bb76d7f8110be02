"""A stage's pages: which mixture its recipe asks for, where its sources lie, and what its content hashes to.

What a source yields is in its own file; ``sampling.py`` mixes them. ``annotator.py`` makes LayoutCoT for
pages of one's own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from layoutllm_tool.batch.sources import ANYWHERE, Places
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import RecipeError
from layoutllm_tool.training.pretraining.mixture import PretrainingMixture
from layoutllm_tool.training.recipe import Recipe, Stage
from layoutllm_tool.training.released import Released
from layoutllm_tool.training.sampling import DocumentMixture, LayoutCoTMixture, Rehearsed
from layoutllm_tool.training.schema import QA, Example

Examples = Callable[[int], Example]
"""The index-th page of a stage, always the same one."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where data lies."""

    folder: Path | None = None
    """Holds ``receipts``, ``tables``, ``papers`` and the like, as the README of the data names them."""
    reviewed: tuple[Path, ...] = ()
    """Folders of batches (``layoutllm batch -o``) in which people reviewed answers."""
    held_out: frozenset[str] = frozenset()
    """Hashes of documents that a registry's validation set asks about: they are not trained on."""
    released: tuple[Path, ...] = ()
    """The authors' instructions. They take the place of every source but reviewed pages."""
    places: Places = ANYWHERE
    """Where documents of reviewed batches may lie: their stores are untrusted."""
    released_folder: Path | None = None
    """Holds the pictures and OCR results of ``released``. None: the first file's folder."""

    def __truediv__(self, name: str) -> Path | None:
        """The folder of that name; None where it is not there."""
        return self.folder / name if self.folder and (self.folder / name).is_dir() else None

    def need(self, name: str, recipe: Recipe, setting: str) -> Path:
        """The folder of that name. RecipeError names the setting that does without it."""
        found = self / name
        if found is None:
            raise RecipeError(
                f"the recipe {recipe.name!r} wants {name}, and there is no folder of them.",
                hint=f"Give --data with a folder `{name}`, or --set {setting}=0.",
            )
        return found


def stage_examples(recipe: Recipe, stage: Stage, sources: Sources) -> Examples:
    """RecipeError where the stage needs a source that is not there."""
    if stage.data == "reviewed":
        return _reviewed(recipe, stage, sources)
    if sources.released:
        kind = stage.data if stage.data == "pretraining" else "layoutcot"
        folder = sources.released_folder or sources.released[0].parent
        return Released.read(sources.released, folder, kind, seed=recipe.seed)
    if stage.data == "documents":
        return _documents(recipe, sources)
    receipts = sources / "receipts"
    pages = receipt_pages(receipts) if receipts else None
    if stage.data == "pretraining":
        return PretrainingMixture(
            sources.folder, pages, seed=recipe.seed, weights=stage.weights, levels=stage.levels
        )
    data = sources.folder
    return LayoutCoTMixture(
        data / "receipts" if data else None, data / "tables" if data else None, pages,
        seed=recipe.seed, weights=stage.weights,
        receipts_share=recipe.receipts,
    )  # fmt: skip


def _reviewed(recipe: Recipe, stage: Stage, sources: Sources) -> Examples:
    from layoutllm_tool.training.reviewed import ReviewedPages

    held_out, places = sources.held_out, sources.places
    reviewed = ReviewedPages.read(sources.reviewed, seed=recipe.seed, held_out=held_out, places=places)
    others = stage_examples(recipe, replace(stage, data="documents", passes=0), sources)
    return Rehearsed(reviewed, others, recipe.rehearsal)


def _documents(recipe: Recipe, sources: Sources) -> Examples:
    """Receipts as text recognition reads them, archive forms, and drawn pages."""
    # A folder that the recipe does not draw from counts too: it decides which pages come.
    archive = sources.need("naf", recipe, "archive") if recipe.archive else sources / "naf"
    receipts = sources.need("receipts", recipe, "receipts") if recipe.receipts else None
    return DocumentMixture(
        receipts, receipt_pages(receipts) if receipts else None, seed=recipe.seed,
        synthetic_share=1 - recipe.receipts, everyday_share=recipe.everyday, archive_share=recipe.archive,
        archive=archive,
    )  # fmt: skip


def sized(stage: Stage, examples: Examples) -> Stage:
    """The stage with its passes over reviewed pages as a number of pages, of whole steps."""
    if not stage.passes or not isinstance(examples, Rehearsed):
        return stage
    steps = math.ceil(examples.pages(stage.passes) / stage.pages_per_step)
    return replace(stage, pages=steps * stage.pages_per_step)


def receipt_pages(receipts: Path) -> Callable[[int], Page]:
    """The pages of receipts as text recognition reads them; every reading is kept on disk."""
    from layoutllm_tool.documents import load_document
    from layoutllm_tool.documents.safety import Access
    from layoutllm_tool.ocr import ReadingCache, TesseractEngine, default_engine, recognise_page

    engine = default_engine()
    if isinstance(engine, TesseractEngine):  # a batch job, on a busy machine
        engine = replace(engine, timeout=600.0)
    receipts = receipts.resolve()
    cache, access = ReadingCache.on_disk(), Access(roots=(receipts,))

    @lru_cache(maxsize=64)
    def page(number: int) -> Page:
        document = load_document(receipts / "images" / f"{number:03d}.jpg", access=access)
        return recognise_page(document.pages[0], engine=engine, cache=cache)

    return page


def fingerprint(examples: Examples) -> str:
    """The data hash of a run: of its first pages, of all reviewed or of all released ones."""
    if isinstance(examples, Released):
        return examples.digest
    if isinstance(examples, Rehearsed):
        return digest(examples.reviewed, len(examples.reviewed))
    return digest(examples)


def digest(examples: Examples, count: int = 8) -> str:
    """SHA-256 over everything a model could learn from the first pages."""
    found = hashlib.sha256()
    for index in range(count):
        example = examples(index)
        for line in example.page.lines or ():
            for word in line.words:
                found.update(f"{word.text}\0{word.box.as_list()}\0".encode())
        found.update(example.page.image.tobytes() if example.page.image is not None else b"-")
        for question in example.questions:
            facts = asdict(question) | ({"kind": "QA"} if isinstance(question, QA) else {})
            found.update(repr(sorted(facts.items())).encode())
        found.update(repr((example.source, example.masked, example.unplaced)).encode())
    return found.hexdigest()
