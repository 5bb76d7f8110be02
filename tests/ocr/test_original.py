"""Boxes go back to the picture as it was sent, before it was turned and levelled."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from layoutllm_tool.cot import AnswerFormation, Area, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Document, Page, Word
from layoutllm_tool.documents.images import as_page
from layoutllm_tool.documents.original import Original
from layoutllm_tool.ocr import RapidOCREngine, recognise_page
from layoutllm_tool.ocr.cache import Reading
from layoutllm_tool.ocr.recognise import _original, _straightened
from layoutllm_tool.protocols import OCREngine
from layoutllm_tool.testing import FakeOCR

SIZE = (900, 1200)
ROWS = [f"Item {number} of the delivery note   {number * 7}.50" for number in range(1, 18)]


def written() -> tuple[Image.Image, Image.Image]:
    """A page of text, and the ink of its total alone."""
    page, total = Image.new("L", SIZE, 255), Image.new("L", SIZE, 255)
    font = ImageFont.load_default(26)
    for number, row in enumerate(ROWS):
        ImageDraw.Draw(page).text((60, 60 + 60 * number), row, 0, font)
    for picture in (page, total):
        ImageDraw.Draw(picture).text((420, 1100), "4711.98", 0, font)
    return page, total


def photographed(picture: Image.Image, turn: int, skew: float) -> Image.Image:
    """As it comes from a phone: askew by some degrees, lying by quarters (counter-clockwise)."""
    return picture.rotate(skew, Image.Resampling.BICUBIC, expand=True, fillcolor=255).rotate(
        turn, expand=True
    )


def ink(picture: Image.Image) -> Box:
    ys, xs = np.nonzero(np.asarray(picture) < 128)
    size = {"width": picture.width, "height": picture.height}
    return Box.from_pixels(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, **size)


def answer(page: Page, text: str) -> LayoutCoT:
    """An answer that stands on the page."""
    place = next(
        (line, word)
        for line, found in enumerate(page.lines or ())
        for word, one in enumerate(found.words)
        if one.text == text
    )
    analysis, evidence = QuestionAnalysis("key-value", "extraction", "total"), Evidence.of(page, [place])
    areas = (Area.of(page, [place[0]]),)
    return LayoutCoT("Total?", analysis, areas, AnswerFormation("inside", ""), text, 0.9, (evidence,))


@pytest.mark.slow
@pytest.mark.parametrize(("turn", "skew"), [(0, 4.0), (90, 0.0), (180, 3.0), (270, -5.0), (0, -2.5)])
def test_drawn_back_on_a_turned_and_levelled_photo(turn: int, skew: float) -> None:
    page, total = (photographed(picture, turn, skew) for picture in written())
    read = recognise_page(as_page(1, page), engine=RapidOCREngine())
    assert {notice.code for notice in read.notices} <= {"turned", "levelled"} and read.notices
    place = answer(read, "4711.98").on_original(Document("photo", "0" * 64, (read,)))
    assert place is not None and place["page_size"] == list(page.size)
    assert Box(*place["box"]).iou(ink(total)) >= 0.7


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("skew", [0.0, 7.3, -4.1])
def test_every_point_goes_back_to_where_it_was(turn: int, skew: float) -> None:
    """A dot on the picture, found again after turning and levelling, lies where it was drawn."""
    dot = Image.new("L", (640, 400), 255)
    ImageDraw.Draw(dot).ellipse((500, 80, 512, 92), 0)
    reading = Reading(turn, skew)
    upright = _straightened(dot, reading)
    page = replace(as_page(1, upright), original=_original(as_page(1, dot), reading), image=None)
    quad = page.on_original(ink(upright))
    x, y = (sum(corner[axis] for corner in quad) / 4 for axis in (0, 1))
    assert page.original_size == (640, 400)
    assert math.hypot(x * 0.64 - 506.5, y * 0.4 - 86.5) < 1.5


def test_quarters_add_up_and_a_page_as_it_is_stays() -> None:
    page = Page(1, 100, 200, original=Original(200, 100, turn=90))
    assert _original(page, Reading(270)) == Original(200, 100, turn=0)
    assert _original(page, Reading()) == page.original
    plain = Page(1, 100, 200)
    assert plain.on_original(Box(1, 2, 3, 4)) == ((1, 2), (3, 2), (3, 4), (1, 4))
    assert Page.from_json(page.to_json()) == page


def test_a_blank_page_says_so() -> None:
    engine: OCREngine = FakeOCR(())
    read = recognise_page(as_page(1, Image.new("L", (200, 200), 255)), engine=engine)
    assert [notice.code for notice in read.notices] == ["blank"]


def test_words_that_are_hard_to_read_are_said_so() -> None:
    words = [Word("Total", Box(10, 10, 300, 60), 0.55)] * 30
    page = written()[0]
    read = recognise_page(as_page(1, page), engine=FakeOCR(words))
    assert "hard_to_read" in {notice.code for notice in read.notices}
