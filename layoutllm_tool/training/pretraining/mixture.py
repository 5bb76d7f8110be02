"""The pre-training mixture: levels document : region : segment = 1 : 4 : 4, counted in instructions.

Sources by weight.

The i-th page is a function of (seed, i) alone. RVL-CDIP, DocILE and DocLayNet, which the paper uses too, are
*not* here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from random import Random

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import DocumentNotFound, DocumentUnreadable, RecipeError, TrainingError
from layoutllm_tool.training.pretraining.document import ddd, tlr
from layoutllm_tool.training.pretraining.drawn import Drawn
from layoutllm_tool.training.pretraining.known import Known, Source, cut
from layoutllm_tool.training.pretraining.papers import Papers
from layoutllm_tool.training.pretraining.publaynet import PubLayNet
from layoutllm_tool.training.pretraining.pubtabnet import PubTabNet
from layoutllm_tool.training.pretraining.region import dla, tu
from layoutllm_tool.training.pretraining.segment import Mask, gli, mpi, mvlm
from layoutllm_tool.training.pretraining.wikitables import WikiTables
from layoutllm_tool.training.recipe import shares_of
from layoutllm_tool.training.sampling import TRAINING_RECEIPTS
from layoutllm_tool.training.schema import Example, Instruction

WEIGHTS: Mapping[str, float] = {
    "drawn": 0.3, "papers": 0.25, "publaynet": 0.05, "pubtabnet": 0.05, "tables": 0.25, "receipts": 0.1,
}  # fmt: skip
"""How often each source is drawn from, beside the others that are given."""
_ATTEMPTS = 60
_FIVE = ("whole", "whole", "whole", "masked", "unplaced")
"""Kinds of pages: MVLM and MPI have a third each of the segments' instructions."""


_READERS: dict[str, Callable[[Path], Source]] = {
    "papers": Papers, "publaynet": PubLayNet, "pubtabnet": PubTabNet, "tables": WikiTables,
}  # fmt: skip
"""By their folder's name."""


class Scans(Source):
    """Receipts, given as pages by number: their words are known, no regions."""

    regions = False

    def __init__(self, pages: Callable[[int], Page]) -> None:
        super().__init__(range(TRAINING_RECEIPTS))
        self._pages = pages

    def item(self, number: int, rng: Random) -> Known:
        return Known(f"receipts/{number:03d}", self._pages(number), "receipt")


@dataclass(frozen=True)
class PretrainingMixture:
    """``mixture(index)`` is the index-th page with its instructions.

    A page is one of three: with hidden words (MVLM alone), with lines without boxes (MPI alone), or with all
    its text and boxes (one question of document level, DLA and TU, GLI). ``levels`` are the instructions of
    document, region and segment level for one such page, over all of them; the three tasks of segment level
    have equal shares.
    """

    folder: Path | None = None
    """Holds data sets by name; those that are not there are left out."""
    receipts: Callable[[int], Page] | None = None
    """Gives a page by its number, below TRAINING_RECEIPTS."""
    seed: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    """What differs from ``WEIGHTS``."""
    levels: tuple[int, int, int] = (1, 4, 4)

    def __post_init__(self) -> None:
        if min(self.levels) < 1 or max(self.levels) > 8:
            hint = "The paper's are (1, 4, 4)."
            raise RecipeError(f"levels {self.levels}: each is a whole number 1-8.", hint=hint)
        if self.folder and not self.folder.is_dir():
            hint = "Give the folder that holds papers, tables ..."
            raise DocumentNotFound(f"there is no folder {self.folder}.", hint=hint)
        sources = self._sources.values()
        if not any(source.words for source in sources):
            hint = "Give papers, tables, pubtabnet or receipts, or the weight `drawn`."
            raise RecipeError("no source has words.", hint=hint)
        if not any(source.regions for source in sources):
            hint = "Give papers, publaynet or tables, or the weight `drawn`."
            raise RecipeError("no source knows regions.", hint=hint)

    def __call__(self, index: int) -> Example:
        """TrainingError where sixty pages of a source have too little to ask about."""
        rng = Random(f"pretraining/{self.seed}/{index}")
        # Every five pages have one of either and three whole ones: short runs keep the ratio of levels too.
        five = Random(f"pretraining/{self.seed}/five/{index // 5}").sample(_FIVE, len(_FIVE))
        kind = five[index % 5]
        # The source stays while pages are tried: else those whose pages have little would be drawn less.
        name, source = self._draw(rng, words=kind != "whole")
        for _ in range(_ATTEMPTS):
            try:
                known = cut(source(rng), rng)
            except DocumentUnreadable as error:
                raise TrainingError(f"the source {name!r} has a damaged item: {error}") from error
            if example := self._example(kind, known, source, rng):
                return example
        raise TrainingError(
            f"{_ATTEMPTS} pages of {name!r} had too little to ask about.",
            hint="Leave the source out by a weight of 0, or lower `levels`.",
        )

    @cached_property
    def shares(self) -> dict[str, float]:
        """How often each source is drawn from, beside the others that are given."""
        return shares_of(WEIGHTS, self.weights)

    @cached_property
    def _sources(self) -> dict[str, Source]:
        """Those with a weight that are there; DocumentNotFound where a folder isn't what it should be."""
        made: dict[str, Callable[[], Source]] = {"drawn": Drawn}
        for name, reader in _READERS.items():
            if self.folder and (self.folder / name).is_dir():
                made[name] = partial(reader, self.folder / name)
        if self.receipts:
            made["receipts"] = partial(Scans, self.receipts)
        return {name: make() for name, make in made.items() if self.shares[name] > 0}

    def _share(self, what: str) -> float:
        """Of whole pages, which share has words or regions: their instructions make up for the others'."""
        total = sum(self.shares[name] for name in self._sources)
        having = (name for name, source in self._sources.items() if getattr(source, what))
        return sum(self.shares[name] for name in having) / total

    def _draw(self, rng: Random, *, words: bool) -> tuple[str, Source]:
        names = [name for name, source in self._sources.items() if source.words or not words]
        name = rng.choices(names, [self.shares[name] for name in names])[0]
        return name, self._sources[name]

    def _example(self, kind: str, known: Known, source: Source, rng: Random) -> Example | None:
        """None where the page does not have what its kind of page is made of."""
        count = self.levels[2]
        mask: Mask = ()
        lines: tuple[int, ...] = ()
        if kind == "masked":
            asked, mask = mvlm(known, rng, count)
        elif kind == "unplaced":
            asked, lines = mpi(known, rng, count)
        else:
            asked = self._whole(known, source, rng)
        if not asked or (kind != "whole" and len(asked) < count):
            return None
        return Example(known.source, known.page, tuple(asked), masked=mask, unplaced=lines)

    def _whole(self, known: Known, source: Source, rng: Random) -> list[Instruction]:
        """[] where the page has fewer instructions of some level than it owes."""
        documents, regions, segments = self.levels
        owed_regions = _rounded(regions / self._share("regions"), rng) if source.regions else 0
        owed_segments = _rounded(segments / 3 / self._share("words"), rng) if source.words else 0
        first = [self._document(known, rng) for _ in range(documents)]
        second = self._regions(known, owed_regions, rng)
        pairs = dict.fromkeys(pair for _ in range(2 * owed_segments) if (pair := gli(known, rng)))
        third = list(pairs)[:owed_segments]
        if len(second) < owed_regions or len(third) < owed_segments:
            return []
        asked = [*first, *second, *third]
        rng.shuffle(asked)
        return asked

    def _document(self, known: Known, rng: Random) -> Instruction:
        written = tlr(known, rng) if rng.random() < 0.5 else None
        return written or ddd(known, rng)

    def _regions(self, known: Known, count: int, rng: Random) -> list[Instruction]:
        """TU where there is a table, with one question of DLA among them; DLA elsewhere."""
        layout, table = dla(known, rng), tu(known, rng)
        if not table:
            return layout[:count]
        few = 1 if count > 1 else 0
        return ([*layout[:few], *table, *layout[few:]])[:count]


def _rounded(value: float, rng: Random) -> int:
    """A whole number whose mean is the value."""
    return int(value) + (rng.random() < value % 1)
