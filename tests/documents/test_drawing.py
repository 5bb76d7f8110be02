"""Pages with answers drawn on them: colours where the boxes are, one page or several, a legend."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image, ImageColor

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.drawing import ANSWER, AREA, COLOURS, annotated, annotated_document
from layoutllm_tool.documents.geometry import Box, Document, Page
from layoutllm_tool.testing import FakeReader, document_from_text, page_from_text

TEXT = "\n\n    Total   12.50\n    Date    2024-05-02\n\n\n"


def _document(*texts: str, zoom: int = 2) -> Document:
    """Blank pages whose words lie where the text has them."""
    pages = [page_from_text(text, number=number) for number, text in enumerate(texts, start=1)]
    sizes = [(page.width * zoom, page.height * zoom) for page in pages]
    drawn = [
        replace(page, width=w, height=h, image=Image.new("L", (w, h), 255))
        for page, (w, h) in zip(pages, sizes, strict=True)
    ]
    return replace(document_from_text(*texts), pages=tuple(drawn))


def _has(image: Image.Image, colour: str, box: Box, page: Page) -> bool:
    """Whether the colour stands around the box, within a few pixels, on a page drawn at the top of the
    image.
    """
    x0, y0, x1, y1 = box.to_pixels(page.width, page.height)
    around = image.crop((x0 - 8, y0 - 8, x1 + 8, y1 + 8))
    return ImageColor.getrgb(colour) in {found for _, found in around.getcolors(1 << 24) or ()}


def _ask(document: Document, *questions: str) -> list[LayoutCoT]:
    return FakeReader().ask_many(document, questions)


def test_one_question_is_red_and_blue_around_the_words() -> None:
    document = _document(TEXT)
    [cot] = _ask(document, "total?")
    picture = annotated_document([cot], document)
    page = document.pages[0]
    assert picture is not None and picture.size == (page.width, page.height)
    assert cot.box and _has(picture, ANSWER, cot.box, page)
    assert cot.area and _has(picture, AREA, cot.area, page)
    inside = picture.crop(cot.box.to_pixels(page.width, page.height))
    assert inside.getextrema() == ((255, 255),) * 3, "the words themselves stay free"


def test_the_page_given_stays_as_it_is() -> None:
    document = _document(TEXT)
    page = document.pages[0].image
    assert page is not None
    annotated(_ask(document, "total?")[0], page)
    assert page.getextrema() == (255, 255)
    coloured = Image.new("RGB", page.size, "white")
    annotated(_ask(document, "total?")[0], coloured, side=40)
    assert coloured.size == page.size and coloured.getextrema() == ((255, 255),) * 3


def test_several_questions_have_colours_numbers_and_a_legend() -> None:
    document = _document(TEXT, zoom=6)
    cots = _ask(document, "total?", "date?")
    picture = annotated_document(cots, document)
    page = document.pages[0]
    assert picture is not None and picture.height > page.height == picture.height - (
        picture.height - page.height
    )
    for cot, colour, other in zip(cots, COLOURS[:2], COLOURS[1::-1], strict=True):
        assert cot.box and _has(picture, colour, cot.box, page)
        legend = picture.crop((0, page.height, *picture.size))
        assert ImageColor.getrgb(colour) in {found for _, found in legend.getcolors(1 << 24) or ()}
        assert other != colour


def test_answers_on_two_pages_are_stacked_and_other_pages_left_out() -> None:
    document = _document("Total   12.50\n\n", "nothing", "Date   2024-05-02\n\n", zoom=6)
    cots = _ask(document, "total?", "date?")
    assert [cot.page for cot in cots] == [1, 3]
    picture = annotated_document(cots, document)
    first, third = document.page(1), document.page(3)
    assert picture is not None
    legend = picture.height - first.height - third.height
    assert 0 < legend < first.height
    lower = picture.crop((0, first.height, third.width, first.height + third.height))
    assert cots[1].box and _has(lower, COLOURS[1], cots[1].box, third)


def test_no_place_shows_the_page_and_says_so_below() -> None:
    document = _document(TEXT, TEXT)
    [cot] = FakeReader({"fax?": None}).ask_many(document, ["fax?"])
    picture = annotated_document([cot], document, page=2)
    page = document.pages[1]
    assert picture is not None and picture.height > page.height
    assert picture.crop((0, 0, page.width, page.height)).getextrema() == ((255, 255),) * 3
    assert picture.crop((0, page.height, *picture.size)).getextrema() != ((255, 255),) * 3


def test_pages_without_a_picture_give_none() -> None:
    document = document_from_text(TEXT)
    assert annotated_document(_ask(document, "total?"), document) is None


@pytest.mark.parametrize("text", ["x" * 5000, "line\nbreak\x1b[31m", "\u5408\u8a08\u91d1\u984d", ""])
def test_a_legend_takes_any_text(text: str) -> None:
    document = _document(TEXT)
    cots = FakeReader({"q1": text, "q2": None}).ask_many(document, ["q1", "q2"])
    long = replace(cots[0], question=text or "?")
    picture = annotated_document([long, cots[1]], document)
    assert picture is not None and picture.width == document.pages[0].width


def test_boxes_at_the_edge_of_the_page() -> None:
    document = _document("Total   12.50")
    for picture in (
        annotated_document(_ask(document, "total?"), document),
        annotated_document(_ask(document, "total?", "total?"), document),
    ):
        assert picture is not None
