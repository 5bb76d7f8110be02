"""DocBank (Apache-2.0): pages of scientific papers, every token with its box (0-1000) and label.

Tokens become lines in reading order; a region is a connected run of lines of one label, and every figure is
one of its own. Rules (``##LTLine##``) are left out. Labels that the data set got wrong stay wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from layoutllm_tool.documents.geometry import Box, Line, Page, Word
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.training.pretraining import files
from layoutllm_tool.training.pretraining.known import Known, Region, Source, by_place

LABELS = (
    "abstract", "author", "caption", "date", "equation", "figure", "footer", "list", "paragraph", "reference",
    "section", "table", "title",
)  # fmt: skip
_GAP = 1.6
"""A clear gap of more than so many heights of a line ends a region."""
_MOST_TOKENS = 20_000
_SMALL = 4
"""A paragraph of fewer words is a page number, a bullet, a stray sign."""


class _Token(NamedTuple):
    text: str
    box: Box
    label: str


class Papers(Source):
    """A folder of ``NAME.jpg`` and ``NAME.txt.gz``; DocumentNotFound where there are none."""

    def __init__(self, folder: Path) -> None:
        self._folder = files.folder(folder, "DocBank papers", "*.txt.gz")
        super().__init__(sorted(path.name.removesuffix(".txt.gz") for path in folder.glob("*.txt.gz")))

    def item(self, number: int, rng: Random) -> Known:
        name = self.items[number]
        tokens = parse(files.gunzipped(self._folder / f"{name}.txt.gz"), name)
        image = files.picture(self._folder, f"{name}.jpg")
        lines, labels = _lines(tokens, image.width, image.height)
        page = Page(1, image.width, image.height, lines, image, "given")
        regions = by_place([*_runs(lines, labels), *_figures(tokens)])
        titles = (" ".join(lines[i].text for i in r.lines) for r in regions if r.kind == "title")
        return Known(f"papers/{name}", page, "scientific paper", regions, title=next(titles, ""))


def parse(text: str, name: str) -> list[_Token]:
    """Lines of ``word x0 y0 x1 y1 r g b font label``; DocumentUnreadable names one that is not so."""
    tokens = []
    for number, row in enumerate(text.splitlines()[: _MOST_TOKENS + 1], start=1):
        parts = row.split("\t")
        try:
            if number > _MOST_TOKENS or len(parts) != 10 or parts[9] not in LABELS:
                raise ValueError("ten fields, the last of them a label, at most 20000 tokens")
            tokens.append(_Token(parts[0].strip(), Box(*(float(int(v)) for v in parts[1:5])), parts[9]))
        except ValueError as error:
            raise files.damaged(f"{name}, line {number}: {error}.") from error
    return tokens


def _lines(tokens: Sequence[_Token], width: int, height: int) -> tuple[tuple[Line, ...], list[str]]:
    """Lines in reading order, and the label that most words of each have."""
    words = [(Word(t.text, t.box), t.label) for t in tokens if t.text and not t.text.startswith("##LT")]
    label = {id(word): name for word, name in words}
    lines = tuple(group_lines([word for word, _ in words], width=width, height=height))
    return lines, [Counter(label[id(word)] for word in line.words).most_common(1)[0][0] for line in lines]


def _runs(lines: Sequence[Line], labels: Sequence[str]) -> Iterable[Region]:
    """Runs of one label, cut where the text leaps: over a wide gap, or up into the next column."""
    if not lines:
        return
    unit = median(line.box.height for line in lines)
    run = [0]
    for before, i in pairwise(range(len(lines))):
        if labels[i] != labels[before] or _leaps(lines[before].box, lines[i].box, unit):
            yield from _region(lines, run, labels[run[0]])
            run = []
        run.append(i)
    yield from _region(lines, run, labels[run[0]])


def _leaps(before: Box, box: Box, unit: float) -> bool:
    return box.y0 - before.y1 > _GAP * unit or before.y0 - box.y1 > _GAP * unit


def _region(lines: Sequence[Line], run: Sequence[int], label: str) -> Iterable[Region]:
    if label == "paragraph" and sum(len(lines[i].words) for i in run) < _SMALL:
        return
    yield Region(label, Box.union(lines[i].box for i in run), tuple(run))


def _figures(tokens: Sequence[_Token]) -> Iterable[Region]:
    """Boxes of figures, those that overlap as one: a figure is often drawn in parts."""
    boxes: list[Box] = []
    for box in (t.box for t in tokens if t.text == "##LTFigure##" and t.box.area > 100):
        touching = [other for other in boxes if other.intersection(box) > 0]
        boxes = [other for other in boxes if other not in touching] + [Box.union((box, *touching))]
    return (Region("figure", box) for box in boxes)
