"""A part of a page's picture, enlarged and read again. Gives () for a page without a picture.

Does not look for turned text: the picture of a page that was read is upright and level.

On 43 receipts (SROIE 400-449, without those that were turned) one look at 122 amounts that tesseract had
misread corrected 38 of them, and broke 6 of 110 that it had read. Use it as a second opinion, not as a
replacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from layoutllm_tool.documents.geometry import SCALE, Box, Page, Word, box_of
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.ocr.recognise import default_engine
from layoutllm_tool.ocr.tesseract import TesseractEngine
from layoutllm_tool.protocols import OCREngine

if TYPE_CHECKING:
    from PIL.Image import Image

HEIGHT = 36.0
"""Pixels of a text line after enlarging, as tesseract's network has them. Larger ones were read worse."""
MARGIN = 0.2
"""Around the box, in heights of its text. With more, neighbouring text is cut through and read as letters."""
_BORDER = 10
"""Pixels of paper around the crop: tesseract loses letters that touch the edge."""
_MOST_TIMES = 6.0
"""A picture is enlarged at most so many times."""
_LEAST_TIMES = 0.25
_MOST_PIXELS = 4_000_000
"""Of the enlarged crop."""
_LOOKS = ((HEIGHT, MARGIN, 7), (48.0, 0.1, 7), (32.0, 0.15, 6))
"""Text heights, margins and page segmentations (7: one line, 6: one block) of ``alternatives``."""


def reread(
    page: Page, box: Box, *, engine: OCREngine | None = None, height: float = HEIGHT, margin: float = MARGIN
) -> tuple[Word, ...]:
    """The words of which at least half stands in the box, in reading order. Boxes 0-1000 of the page.

    ``height`` is that of a text line after enlarging, in pixels; ``margin`` is read with the box, in heights
    of its text. () where the page has no picture or nothing is read. ``engine`` None is tesseract set for
    crops, else ``default_engine``. Raises OCRNotInstalled, OCRLanguageMissing, OCRTimeout, OCRError.
    """
    if page.image is None or not box.area:
        return ()
    one_line = box.height < 1.8 * _line_height(page, box)
    return _look(page, page.image, box, engine, (height, margin, 7 if one_line else 6))


def alternatives(
    page: Page, words: Sequence[tuple[int, int]], *, engine: OCREngine | None = None
) -> tuple[str, ...]:
    """Different readings of the (line, word) indices: the page's own first, then those of three looks.

    Leaves out readings without text. IndexError where the page has no such word, ValueError for no words;
    else raises as ``reread`` does.
    """
    lines = page.lines or ()
    found = [" ".join(lines[line].words[word].text for line, word in words)]
    box = box_of(page, words)
    if page.image is None or not box.area:
        return tuple(found)
    looks = [_look(page, page.image, box, engine, look) for look in _LOOKS]
    found += [" ".join(word.text for word in read) for read in looks]
    return tuple(dict.fromkeys(text for text in found if text))


def words_in(page: Page, box: Box) -> tuple[tuple[int, int], ...]:
    """(line, word) indices of the words of which at least half stands in the box."""
    return tuple(
        (i, j)
        for i, line in enumerate(page.lines or ())
        for j, word in enumerate(line.words)
        if box.covers(word.box)
    )


@dataclass(frozen=True, slots=True)
class _Crop:
    """A part of a page's picture, from pixel ``corner`` on, enlarged ``times`` and bordered."""

    image: Image
    corner: tuple[int, int]
    times: tuple[float, float]

    def to_page(self, word: Word, page: Page) -> Word:
        width, height = self.image.size
        xs = [
            (x * width / SCALE - _BORDER) / self.times[0] + self.corner[0] for x in (word.box.x0, word.box.x1)
        ]
        ys = [
            (y * height / SCALE - _BORDER) / self.times[1] + self.corner[1]
            for y in (word.box.y0, word.box.y1)
        ]
        box = Box.from_pixels(xs[0], ys[0], xs[1], ys[1], width=page.width, height=page.height)
        return replace(word, box=box)


def _look(
    page: Page, picture: Image, box: Box, given: OCREngine | None, look: tuple[float, float, int]
) -> tuple[Word, ...]:
    height, margin, psm = look
    engine = given or default_engine()
    if given is None and isinstance(engine, TesseractEngine):
        engine = replace(engine, psms=(psm,), long_side=1)  # the crop is enlarged already
    crop = _crop(page, picture, box, height=height, margin=margin)
    words = [crop.to_page(word, page) for word in engine.recognise(crop.image)]
    inside = [word for word in words if box.covers(word.box)]
    lines = group_lines(inside, width=page.width, height=page.height)
    return tuple(word for line in lines for word in line.words)


def _line_height(page: Page, box: Box) -> float:
    """Of the text in the box, 0-1000; the box's own where the page has no words there."""
    heights = [word.box.height for word in page.words if box.covers(word.box) and word.box.height]
    return min(median(heights), box.height) if heights else box.height


def _crop(page: Page, picture: Image, box: Box, *, height: float, margin: float) -> _Crop:
    from PIL import Image as pillow
    from PIL import ImageOps

    pixels = max(_line_height(page, box) * page.height / SCALE, 1.0)
    x0, y0, x1, y1 = box.to_pixels(page.width, page.height)
    around = round(margin * pixels)
    left = min(max(x0 - 2 * around, 0), page.width - 1)
    top = min(max(y0 - around, 0), page.height - 1)
    right, bottom = (
        min(max(x1 + 2 * around, left + 1), page.width),
        min(max(y1 + around, top + 1), page.height),
    )
    grey = picture.crop((left, top, right, bottom)).convert("L")
    most = (_MOST_PIXELS / (grey.width * grey.height)) ** 0.5
    times = min(max(height / pixels, _LEAST_TIMES), _MOST_TIMES, most)
    size = max(round(grey.width * times), 1), max(round(grey.height * times), 1)
    enlarged = grey.resize(size, pillow.Resampling.LANCZOS)
    image = ImageOps.expand(enlarged, _BORDER, fill=_paper(enlarged))
    return _Crop(image, (left, top), (size[0] / grey.width, size[1] / grey.height))


def _paper(grey: Image) -> int:
    """The median brightness: more of a page is paper than ink."""
    import numpy as np

    return int(np.quantile(np.asarray(grey), 0.5, method="inverted_cdf"))
