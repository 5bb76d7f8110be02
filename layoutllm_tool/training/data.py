"""A stage's pages: which mixture its recipe asks for, where its sources lie, and what its content hashes to.

What a source yields is in its own file: receipts.py, factory/, html/, tables.py, mrc.py, pretraining/, reviewed.py;
layoutcot.py and mixture.py mix them. annotator.py makes LayoutCoT for pages of one's own, released.py reads the
authors' data, released_pages.py makes pages to train on of it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from layoutllm_tool.batch.sources import ANYWHERE, Places
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import RecipeError
from layoutllm_tool.training.mixture import Mixture
from layoutllm_tool.training.recipe import Recipe, Stage
from layoutllm_tool.training.released import Released
from layoutllm_tool.training.released_pages import ReleasedPages
from layoutllm_tool.training.released_text import Wanted
from layoutllm_tool.training.schema import QA, Example

if TYPE_CHECKING:
    from layoutllm_tool.training.reviewed import ReviewedPages

Examples = Callable[[int], Example]
"""The index-th page of a stage, always the same one."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where data lies: ``folder`` holds ``receipts``, ``tables``, ``papers`` and the like as the README of the data names them;
    ``reviewed`` are folders of batches (``layoutllm batch -o``) in which people reviewed answers, ``held_out`` the hashes of
    documents that a registry's frozen set asks about: they are not trained on; ``released`` are files of the authors' data, which
    take the place of every source but reviewed pages."""

    folder: Path | None = None
    reviewed: tuple[Path, ...] = ()
    held_out: frozenset[str] = frozenset()
    released: tuple[Released, ...] = ()
    places: Places = ANYWHERE
    """Where documents of reviewed batches may lie: their stores may be anybody's."""

    def __truediv__(self, name: str) -> Path | None:
        """The folder of that name; None where it is not there."""
        return self.folder / name if self.folder and (self.folder / name).is_dir() else None


def stage_examples(recipe: Recipe, stage: Stage, sources: Sources) -> Examples:
    """RecipeError where the stage needs a source that is not there."""
    if sources.released and stage.data != "reviewed":
        kind: Wanted = "pretraining" if stage.data == "pretraining" else "layoutcot"
        return ReleasedPages.read(sources.released, kind, seed=recipe.seed)
    if stage.data == "pretraining":
        from layoutllm_tool.training.pretraining import PretrainingMixture, PretrainingSources, Weights

        receipts = sources / "receipts"
        return PretrainingMixture(
            PretrainingSources.in_folder(sources.folder, receipt_pages(receipts) if receipts else None),
            seed=recipe.seed, weights=stage.weights_as(Weights), levels=stage.levels,
        )  # fmt: skip
    if stage.data == "layoutcot":
        from layoutllm_tool.training import layoutcot

        receipts = sources / "receipts"
        pages = receipt_pages(receipts) if receipts else None
        return layoutcot.LayoutCoTMixture.in_folder(
            sources.folder, seed=recipe.seed, weights=stage.weights_as(layoutcot.Weights), pages=pages,
            receipts_share=recipe.receipts,
        )  # fmt: skip
    if stage.data == "reviewed":
        from layoutllm_tool.training.reviewed import ReviewedPages

        return Rehearsed(
            ReviewedPages.read(sources.reviewed, seed=recipe.seed, held_out=sources.held_out, places=sources.places),
            stage_examples(recipe, replace(stage, data="documents", passes=0), sources),
            recipe.rehearsal,
        )
    return documents(recipe, sources)


@dataclass(frozen=True)
class Rehearsed:
    """Reviewed pages, pass after pass, with a share of other pages strewn among them."""

    reviewed: ReviewedPages
    others: Examples
    share: float

    def __call__(self, index: int) -> Example:
        # Among the first n pages stand floor(n * share) others: exact, so that a pass is whole.
        before, after = math.floor(index * self.share), math.floor((index + 1) * self.share)
        return self.others(before) if after > before else self.reviewed(index - before)

    def pages(self, passes: int) -> int:
        """How many pages hold so many passes over the reviewed ones."""
        return math.ceil(passes * len(self.reviewed) / (1 - self.share))


def sized(stage: Stage, examples: Examples) -> Stage:
    """The stage with its passes as a number of pages, of whole steps."""
    if not stage.passes or not isinstance(examples, Rehearsed):
        return stage
    steps = math.ceil(examples.pages(stage.passes) / stage.pages_per_step)
    return replace(stage, pages=steps * stage.pages_per_step)


def documents(recipe: Recipe, sources: Sources) -> Examples:
    """Receipts as text recognition reads them, archive forms, and drawn pages."""
    receipts, archive = sources / "receipts", sources / "naf"
    if recipe.archive and archive is None:
        raise RecipeError(
            f"the recipe {recipe.name!r} wants archive forms, and there is no folder of them.",
            hint="Give --data with a folder `naf`, or --set archive=0.",
        )
    mixture = partial(
        Mixture, seed=recipe.seed, factory_share=1 - recipe.receipts, everyday_share=recipe.everyday,
        archive_share=recipe.archive, archive=archive,
    )  # fmt: skip
    if not recipe.receipts:
        return mixture(None, None)
    if receipts is None:
        raise RecipeError(
            f"the recipe {recipe.name!r} wants receipts, and there is no folder of them.",
            hint="Give --data with a folder `receipts`, or --set receipts=0.",
        )
    return mixture(receipts, receipt_pages(receipts))


def receipt_pages(receipts: Path) -> Callable[[int], Page]:
    """The pages of receipts as text recognition reads them; every reading is kept on disk."""
    from layoutllm_tool.documents import load_document
    from layoutllm_tool.documents.safety import Access
    from layoutllm_tool.ocr import ReadingCache, TesseractEngine, default_engine, recognise_page

    engine = default_engine()
    if isinstance(engine, TesseractEngine):  # nobody waits, and the machine is busy
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
    if isinstance(examples, ReleasedPages):
        return examples.digest
    return digest(examples.reviewed, len(examples.reviewed)) if isinstance(examples, Rehearsed) else digest(examples)


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
