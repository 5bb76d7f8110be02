"""Asks the same question on the area around the first answer alone.

Its confidence was fitted on whole pages, and says less here. ``agreement.compare`` chooses between the
answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from layoutllm_tool.cot import Area, Evidence, LayoutCoT
from layoutllm_tool.documents.geometry import SCALE, Box, Document, Line, Page
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.errors import CorrectionError
from layoutllm_tool.ocr.reread import reread, words_in
from layoutllm_tool.protocols import OCREngine, Reader

MARGIN = 3.0
"""Kept around an area, in heights of its text."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """A part of a page as a page."""

    page: Page
    frame: Box
    """Its box on the whole page."""
    lines: tuple[int, ...] | None
    """The whole page's index of each of its lines; None where its words were read anew."""


@dataclass(frozen=True, slots=True)
class CropReader:
    """Asks ``reader`` about parts of pages.

    ``margin`` is kept around the area, in heights of its text. ``again`` reads the part's words anew from the
    picture, with ``engine`` where one is given. A page without a picture keeps its words.
    """

    reader: Reader
    margin: float = MARGIN
    again: bool = False
    engine: OCREngine | None = None

    def ask_area(self, document: Document, question: str, cot: LayoutCoT) -> LayoutCoT:
        """The answer from the area and evidence of ``cot``, their rows, and the margin.

        Boxes, page and (line, word) indices are the whole page's. Where words were read anew, the evidence's
        text is what was read, and its ``words`` are the page's in that box. Signals gain ``cropped`` (1) and
        ``reread`` (1 where words were read anew, else 0). CorrectionError where ``cot`` has no area; raises
        PageOutOfRange and what reading and asking raise.
        """
        if cot.page is None:
            raise CorrectionError(
                "the answer points at no area to look at.", hint="Ask about the whole page."
            )
        page = document.page(cot.page)
        cut = self._cut(page, _looked_at(cot, page.number))
        part = Document(document.name, _key(document, cut), (cut.page,))
        loaded = self.reader.load(part, words=part.pages)
        return _on_the_page(self.reader.ask(loaded, question, page=page.number), page, cut)

    def _cut(self, page: Page, area: Box) -> _Cut:
        lines = page.lines or ()
        wanted = surroundings(page, area, self.margin)
        kept = tuple(i for i, line in enumerate(lines) if wanted.covers(line.box))
        frame = Box.union([wanted, *(lines[i].box for i in kept)])
        if self.again and page.image is not None:
            words = reread(page, frame, engine=self.engine)
            if words:
                found = group_lines(words, width=page.width, height=page.height)
                return _Cut(_part(page, frame, found), frame, None)
        return _Cut(_part(page, frame, [lines[i] for i in kept]), frame, kept)


def surroundings(page: Page, area: Box, margin: float = MARGIN) -> Box:
    """The area, as wide as the lines that share its rows, and ``margin`` heights of its text on each side."""
    heights = [page.lines[i].box.height for i in page.lines_in(area)] if page.lines else []
    down = margin * (median(heights) if heights else area.height)
    across = down * page.height / page.width
    rows = [line.box for line in page.lines or () if area.y0 <= line.box.center[1] <= area.y1]
    x0, x1 = min(b.x0 for b in (area, *rows)), max(b.x1 for b in (area, *rows))
    return Box(
        max(x0 - across, 0.0), max(area.y0 - down, 0.0), min(x1 + across, SCALE), min(area.y1 + down, SCALE)
    )


def _looked_at(cot: LayoutCoT, number: int) -> Box:
    evidence = [found.box for found in cot.evidence if found.page == number]
    return Box.union(evidence + [area.box for area in cot.areas if area.page == number])


def _part(page: Page, frame: Box, lines: Sequence[Line]) -> Page:
    """The frame as a page of the same number. Boxes may be half a pixel off the picture's cut."""
    x0, y0, x1, y1 = frame.to_pixels(page.width, page.height)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    moved = [Line(tuple(replace(word, box=into(word.box, frame)) for word in line.words)) for line in lines]
    image = page.image.crop((x0, y0, x1, y1)) if page.image is not None else None
    return replace(page, width=x1 - x0, height=y1 - y0, lines=tuple(moved), image=image)


def into(box: Box, frame: Box) -> Box:
    """A box of the page as one of the frame, 0-1000."""
    x0, y0, x1, y1 = box.x0 - frame.x0, box.y0 - frame.y0, box.x1 - frame.x0, box.y1 - frame.y0
    return Box.from_pixels(x0, y0, x1, y1, width=max(frame.width, 1e-6), height=max(frame.height, 1e-6))


def _out_of(box: Box, frame: Box) -> Box:
    """A box of the frame as one of the page, 0-1000."""
    xs = [frame.x0 + x * frame.width / SCALE for x in (box.x0, box.x1)]
    ys = [frame.y0 + y * frame.height / SCALE for y in (box.y0, box.y1)]
    return Box.from_pixels(xs[0], ys[0], xs[1], ys[1], width=SCALE, height=SCALE)


def _key(document: Document, cut: _Cut) -> str:
    """A hash for the readers' caches: the same words in the same frame of the same file."""
    frame = [cut.frame.x0, cut.frame.y0, cut.frame.x1, cut.frame.y1]
    content = [document.sha256, frame, cut.page.to_json()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _on_the_page(cot: LayoutCoT, page: Page, cut: _Cut) -> LayoutCoT:
    areas = tuple(_area(area, page, cut) for area in cot.areas)
    evidence = tuple(_evidence(found, page, cut) for found in cot.evidence)
    signals = {**cot.signals, "cropped": 1.0, "reread": float(cut.lines is None)}
    return replace(cot, areas=areas, evidence=evidence, signals=signals)


def _area(area: Area, page: Page, cut: _Cut) -> Area:
    if cut.lines and area.lines:
        return Area.of(page, [cut.lines[i] for i in area.lines])
    box = _out_of(area.box, cut.frame)
    return Area(page.number, box, page.lines_in(box) if cut.lines is None else ())


def _evidence(found: Evidence, page: Page, cut: _Cut) -> Evidence:
    if cut.lines and found.words:
        return replace(
            Evidence.of(page, [(cut.lines[line], word) for line, word in found.words]), text=found.text
        )
    box = _out_of(found.box, cut.frame)
    return Evidence(page.number, box, found.text, words_in(page, box) if cut.lines is None else ())
