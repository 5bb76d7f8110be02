"""Draws areas and answers on pages: for the command line's ``--annotate`` and the tool's pictures.

Draws legends' texts as they are; scripts that no installed font has appear as boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from layoutllm_tool.documents.geometry import Box, Document, Page

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

    from layoutllm_tool.cot import LayoutCoT

AREA, ANSWER = "#1f77b4", "#d62728"
"""One question: the area in blue, the answer in red."""
COLOURS = (
    "#d62728",
    "#1f77b4",
    "#2ca02c",
    "#9467bd",
    "#ff7f0e",
    "#8c564b",
    "#e377c2",
    "#17becf",
    "#bcbd22",
    "#7f7f7f",
)
"""Several questions: a colour each, thin for the area, thick for the answer. Repeats from the eleventh."""
_FONTS = ("NotoSansCJK-Regular.ttc", "DejaVuSans.ttf", "LiberationSans-Regular.ttf")
_LEGEND_CHARACTERS = 120
_NUMBER_SIZE = 11
"""Pixels; smaller than most text of a page, and still read at the size that chat models look at."""


def annotated(cot: LayoutCoT, page: Image, *, side: int | None = None) -> Image:
    """A copy of the page's picture with the area in blue and the answer in red, at most ``side`` pixels a
    side.

    Draws the frames around the text, not on it.
    """
    image = _copy(page)
    if side is not None:
        image.thumbnail((side, side))
    width = _stroke(image) if side is None else 2
    for box, colour in ((cot.area, AREA), (cot.box, ANSWER)):
        if box:
            _frame(image, box, colour, width)
    return image


def numbered(image: Image, boxes: Mapping[int, Box]) -> Image:
    """A copy with each box's number left of it, small, white on red; in its corner where there is no room."""
    from PIL import ImageDraw

    image = _copy(image)
    draw, font = ImageDraw.Draw(image), _font(_NUMBER_SIZE)
    for number, box in boxes.items():
        x0, y0, _, y1 = box.to_pixels(*image.size)
        wide = round(draw.textlength(str(number), font)) + 3
        # Apart from the text, so that nobody takes the number for a part of it.
        x, y = max(x0 - wide - _NUMBER_SIZE // 2, 0), (y0 + y1 - _NUMBER_SIZE) // 2
        draw.rectangle((x, y, x + wide, y + _NUMBER_SIZE), fill=ANSWER)
        draw.text((x + 2, y), str(number), "white", font)
    return image


def annotated_document(
    cots: Sequence[LayoutCoT], document: Document, *, page: int | None = None
) -> Image | None:
    """The answers' pages, one under the other, a colour for each question, and a legend.

    Draws a single question as ``annotated`` does. Without any place, shows the page asked about (``page``,
    else the first) with the legend. None where none of these pages has a picture.
    """
    numbers = sorted({cot.page for cot in cots if cot.page is not None}) or [page or document.pages[0].number]
    pages = [found for found in map(document.page, numbers) if found.image is not None]
    if not pages:
        return None
    drawn = [_drawn(cots, page) for page in pages]
    if len(cots) > 1 or cots[0].page is None:
        drawn.append(_legend(cots, max(image.width for image in drawn), _size(drawn[0])))
    return _stacked(drawn)


def _drawn(cots: Sequence[LayoutCoT], page: Page) -> Image:
    if page.image is None:
        raise ValueError(f"page {page.number} has no picture to draw on")
    if len(cots) == 1:
        return annotated(cots[0], page.image)
    image = _copy(page.image)
    thin = _stroke(image)
    for number, cot in enumerate(cots, start=1):
        label = str(number)
        for box, width in ((cot.area, thin), (cot.box, 2 * thin)) if cot.page == page.number else ():
            if box:
                _frame(image, box, _colour(number), width, label)
                label = ""
    return image


def _frame(image: Image, box: Box, colour: str, width: int, label: str = "") -> None:
    """A frame around a box, with a label at its top left corner."""
    from PIL import ImageDraw

    draw, size = ImageDraw.Draw(image), _size(image)
    x0, y0, x1, y1 = box.to_pixels(*image.size)
    draw.rectangle((x0 - width, y0 - width, x1 + width, y1 + width), outline=colour, width=width)
    if not label:
        return
    # Left of the frame where there is room, else in its corner.
    font, pad = _font(size), max(size // 5, 2)
    wide = round(draw.textlength(label, font)) + 2 * pad
    x, y = max(x0 - width - wide, 0), max(y0 - width, 0)
    draw.rectangle((x, y, x + wide, y + size + 2 * pad), fill=colour)
    draw.text((x + pad, y + pad), label, "white", font)


def _legend(cots: Sequence[LayoutCoT], width: int, size: int) -> Image:
    """A white strip: number, question, answer; as many rows as questions."""
    from PIL import Image as pillow
    from PIL import ImageDraw

    row = size + size // 2
    strip = pillow.new("RGB", (width, row * len(cots) + size), "white")
    draw = ImageDraw.Draw(strip)
    font = _font(size)
    for number, cot in enumerate(cots, start=1):
        y = size // 2 + (number - 1) * row
        colour = _colour(number)
        answer = _fitting(draw, "not in the document" if cot.answer is None else cot.answer, font, width // 3)
        reserved = round(draw.textlength(answer, font)) + 4 * size
        question = _fitting(draw, cot.question, font, width - reserved)
        draw.text((size // 2, y), str(number), colour, font)
        draw.text((2 * size, y), question, "black", font)
        draw.text((3 * size + round(draw.textlength(question, font)), y), answer, colour, font)
    return strip


def _fitting(draw: ImageDraw, text: str, font: FreeTypeFont | ImageFont, width: int) -> str:
    """On one line, cut where it would be wider than ``width`` pixels."""
    text = "".join(c if c.isprintable() else " " for c in text[:_LEGEND_CHARACTERS])
    while len(text) > 4 and draw.textlength(text, font) > width:
        text = text[:-4] + "..."
    return text


def _stacked(images: Sequence[Image]) -> Image:
    from PIL import Image as pillow

    if len(images) == 1:
        return images[0]
    whole = pillow.new("RGB", (max(i.width for i in images), sum(i.height for i in images)), "white")
    y = 0
    for image in images:
        whole.paste(image, (0, y))
        y += image.height
    return whole


def _copy(page: Image) -> Image:
    image = page.convert("RGB")
    return page.copy() if image is page else image


def _stroke(image: Image) -> int:
    return max(2, max(image.size) // 700)


def _size(image: Image) -> int:
    """Pixels of a letter that is legible when the whole page is shown."""
    return max(12, max(image.size) // 65)


def _colour(number: int) -> str:
    return COLOURS[(number - 1) % len(COLOURS)]


def _font(size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:  # not installed
            continue
    return ImageFont.load_default(size)
