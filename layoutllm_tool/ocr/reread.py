"""A part of a page, enlarged and read again: what stands there, and the different ways in which the same words can be read.

Pages whose words come without a picture can't be read again: they give (). Turned text is *not* looked for: a page's picture
is upright and level once it was read.

On 43 receipts (SROIE 400-449, without those that were turned) one look at 122 amounts that tesseract had misread mended 38 of
them, and broke 6 of 110 that it had read: a second opinion for checks to choose from, no replacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from layoutllm_tool.documents.geometry import SCALE, Box, Page, Word
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.documents.tables import box_of
from layoutllm_tool.ocr import TesseractEngine, default_engine
from layoutllm_tool.protocols import OCREngine

if TYPE_CHECKING:
    from PIL.Image import Image

HEIGHT = 36.0
"""Pixels of a line of text after enlarging: what tesseract's network sees itself. Larger ones were read worse."""
MARGIN = 0.2
"""Around the box, in heights of its text. With more, what stands beside it is cut through and read as letters."""
_BORDER = 10
"""Pixels of paper around the crop: tesseract loses letters that touch the edge."""
_MOST = 6.0
"""Times that a picture is enlarged: what is smaller holds no more."""
_LEAST = 0.25
_MOST_PIXELS = 4_000_000
"""Of the enlarged crop."""
_LOOKS = ((HEIGHT, MARGIN, 7), (48.0, 0.1, 7), (32.0, 0.15, 6))
"""Text heights, margins and page segmentations (7: one line, 6: one block) of ``alternatives``."""


@dataclass(frozen=True, slots=True)
class _Crop:
    """A part of a page's picture, from pixel ``corner`` on, enlarged ``times`` and bordered."""

    image: Image
    corner: tuple[int, int]
    times: tuple[float, float]

    def on_the_page(self, word: Word, page: Page) -> Word:
        width, height = self.image.size
        xs = [(x * width / SCALE - _BORDER) / self.times[0] + self.corner[0] for x in (word.box.x0, word.box.x1)]
        ys = [(y * height / SCALE - _BORDER) / self.times[1] + self.corner[1] for y in (word.box.y0, word.box.y1)]
        box = Box.from_pixels(xs[0], ys[0], xs[1], ys[1], width=page.width, height=page.height)
        return replace(word, box=box)


def reread(
    page: Page, box: Box, *, engine: OCREngine | None = None, height: float = HEIGHT, margin: float = MARGIN
) -> tuple[Word, ...]:
    """The words of which at least half stands in the box, read from the picture enlarged, in reading order.

    Boxes are the page's, 0-1000. ``height`` is that of a text line after enlarging, in pixels; ``margin`` is read with the box, in
    heights of its text. () where the page has no picture or nothing is read. ``engine`` None is tesseract set for such crops, else
    what ``default_engine`` finds; another is used as it is set. Raises OCRNotInstalled, OCRLanguageMissing, OCRTimeout, OCRError.
    """
    if page.image is None or not box.area:
        return ()
    line = _line_height(page, box)
    one = box.height < 1.8 * line
    crop = _crop(page, page.image, box, line, height=height, margin=margin)
    words = _engine(engine, 7 if one else 6).recognise(crop.image)
    return _kept(page, box, [crop.on_the_page(word, page) for word in words])


def alternatives(page: Page, words: Sequence[tuple[int, int]], *, engine: OCREngine | None = None) -> tuple[str, ...]:
    """Different readings of the same (line, word) indices: the page's own first, then those of three looks at the picture.

    For checks that can tell which is right, such as sums. Readings that say nothing are left out. One text where there is no picture.
    IndexError where the page has no such word, ValueError for no words; else raises as ``reread`` does.
    """
    lines = page.lines or ()
    own = " ".join(lines[line].words[word].text for line, word in words)
    box = box_of(page, words)
    if page.image is None or not box.area:
        return (own,)
    found = [own]
    line = _line_height(page, box)
    for height, margin, psm in _LOOKS:
        crop = _crop(page, page.image, box, line, height=height, margin=margin)
        read = [crop.on_the_page(word, page) for word in _engine(engine, psm).recognise(crop.image)]
        found.append(" ".join(word.text for word in _kept(page, box, read)))
    return tuple(dict.fromkeys(text for text in found if text))


def words_in(page: Page, box: Box) -> tuple[tuple[int, int], ...]:
    """(line, word) indices of the words of which at least half stands in the box."""
    return tuple(
        (i, j) for i, line in enumerate(page.lines or ()) for j, word in enumerate(line.words) if box.covers(word.box)
    )


def _engine(given: OCREngine | None, psm: int) -> OCREngine:
    engine = given or default_engine()
    if given is None and isinstance(engine, TesseractEngine):
        return replace(engine, psms=(psm,), long_side=1)  # the crop is enlarged already
    return engine


def _line_height(page: Page, box: Box) -> float:
    """Of the text in the box, 0-1000; the box's own where the page has no words there."""
    heights = [word.box.height for word in page.words if box.covers(word.box) and word.box.height]
    return min(median(heights), box.height) if heights else box.height


def _crop(page: Page, picture: Image, box: Box, line: float, *, height: float, margin: float) -> _Crop:
    from PIL import Image as pillow
    from PIL import ImageOps

    pixels = max(line * page.height / SCALE, 1.0)
    x0, y0, x1, y1 = box.to_pixels(page.width, page.height)
    around = round(margin * pixels)
    left = min(max(x0 - 2 * around, 0), page.width - 1)
    top = min(max(y0 - around, 0), page.height - 1)
    right, bottom = min(max(x1 + 2 * around, left + 1), page.width), min(max(y1 + around, top + 1), page.height)
    grey = picture.crop((left, top, right, bottom)).convert("L")
    most = (_MOST_PIXELS / (grey.width * grey.height)) ** 0.5
    times = min(max(height / pixels, _LEAST), _MOST, most)
    size = max(round(grey.width * times), 1), max(round(grey.height * times), 1)
    enlarged = grey.resize(size, pillow.Resampling.LANCZOS)
    image = ImageOps.expand(enlarged, _BORDER, fill=_paper(enlarged))
    return _Crop(image, (left, top), (size[0] / grey.width, size[1] / grey.height))


def _paper(grey: Image) -> int:
    """The median brightness: more of a page is paper than ink."""
    counts = grey.histogram()
    so_far = 0
    for value, count in enumerate(counts):
        so_far += count
        if 2 * so_far >= sum(counts):
            return value
    return 255


def _kept(page: Page, box: Box, words: Sequence[Word]) -> tuple[Word, ...]:
    inside = [word for word in words if box.covers(word.box)]
    lines = group_lines(inside, width=page.width, height=page.height)
    return tuple(word for line in lines for word in line.words)
