"""Boxes beside labels: which are ticked, in words and in pictures; the ticked label is the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw

from layoutllm_tool.documents.geometry import Box, Page, Word
from layoutllm_tool.documents.marks import choices, marked_rows
from layoutllm_tool.documents.page_layout import PageLayout
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.documents.tick_boxes import cut_at_boxes
from layoutllm_tool.model.candidates import candidates_of
from layoutllm_tool.model.options import Asked
from layoutllm_tool.model.page_index import PageIndex
from layoutllm_tool.model.pair_head import SHIPPED, PairHead
from layoutllm_tool.testing import page_from_text

SIZE = (600, 300)
LABELS = ("Single", "Married", "Widowed")
Draw = Callable[[ImageDraw.ImageDraw, int, int], None]


def cross(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.line((x + 3, y + 3, x + 13, y + 13), fill=0, width=2)
    draw.line((x + 13, y + 3, x + 3, y + 13), fill=0, width=2)


def tick(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.line((x + 2, y + 8, x + 6, y + 14, x + 15, y - 2), fill=0, width=2)


def dot(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.ellipse((x + 4, y + 4, x + 12, y + 12), fill=0)


def form(
    ticked: str,
    draw_mark: Draw = cross,
    *,
    round_boxes: bool = False,
    below: bool = False,
    noise: float = 0.0,
) -> Page:
    """ "Marital status" with a box before each label, one of them ticked; "Town: Bodo" under it."""
    image = Image.new("L", SIZE, 255)
    draw = ImageDraw.Draw(image)
    words = [
        ("Marital", 20, 40, 90),
        ("status:", 95, 40, 160),
        ("Town:", 20, 200, 75),
        ("Bodo", 200, 200, 250),
    ]
    for number, label in enumerate(LABELS):
        x, y = (200, 40 + 30 * number) if below else (200 + 120 * number, 40)
        (draw.ellipse if round_boxes else draw.rectangle)((x, y, x + 16, y + 16), outline=0, width=1)
        if label == ticked:
            draw_mark(draw, x, y)
        words.append((label, x + 24, y, x + 24 + 9 * len(label)))
    for _, x0, y0, x1 in words:
        draw.rectangle((x0, y0 + 4, x1, y0 + 13), fill=90)
    if noise:
        grain = np.random.default_rng(0).normal(0, noise, (SIZE[1], SIZE[0]))
        image = Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))
    boxes = [
        Word(text, Box.from_pixels(x0, y, x1, y + 16, width=SIZE[0], height=SIZE[1]))
        for text, x0, y, x1 in words
    ]
    return Page(1, *SIZE, tuple(group_lines(boxes, width=SIZE[0], height=SIZE[1])), image, "given")


def ticked(page: Page) -> list[dict[str, bool]]:
    layout = PageLayout(page)
    groups = choices(marked_rows(layout, page.image), layout)
    return [{" ".join(w.text for w in choice.label): choice.ticked for choice in group} for group in groups]


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("noise", [0.0, 12.0])
@pytest.mark.parametrize(("mark", "round_boxes"), [(cross, False), (tick, False), (dot, True)])
@pytest.mark.parametrize("label", [*LABELS, ""])
def test_drawn_boxes_are_ticked_or_not(
    label: str, mark: Draw, round_boxes: bool, noise: float, below: bool
) -> None:
    page = form(label, mark, round_boxes=round_boxes, noise=noise, below=below)
    assert ticked(page) == [{one: one == label for one in LABELS}]


def test_a_larger_picture_is_made_smaller() -> None:
    page = form("Married")
    assert page.image is not None
    large = replace(page, width=3000, height=1500, image=page.image.resize((3000, 1500)))
    assert ticked(large) == [{one: one == "Married" for one in LABELS}]


@pytest.mark.parametrize(
    "text", ["( ) Single (x) Married", "() Single [X] Married", "\u2610 Single \u2611 Married"]
)
def test_boxes_that_are_words(text: str) -> None:
    assert ticked(page_from_text(f"Status: {text}")) == [{"Single": False, "Married": True}]


def test_letters_and_frames_are_no_boxes() -> None:
    assert ticked(page_from_text("O Brother 0 D (see below) (x)")) == []
    image = Image.new("L", SIZE, 255)
    ImageDraw.Draw(image).rectangle((10, 30, 590, 120), outline=0)
    assert ticked(replace(form(""), image=image)) == []


def test_noise_is_not_looked_through() -> None:
    """Its outlines would be millions."""
    grain = np.random.default_rng(0).integers(0, 256, (2000, 2000)).astype(np.uint8)
    noisy = replace(form(""), width=2000, height=2000, image=Image.fromarray(grain))
    started = time.process_time()
    assert ticked(noisy) == [] and time.process_time() - started < 1


def test_very_many_boxes_are_none() -> None:
    started = time.process_time()
    assert (
        ticked(page_from_text("\n".join(["( ) a (x) b"] * 1500))) == [] and time.process_time() - started < 5
    )


def label(text: str, x0: float, x1: float, y: float = 40) -> Word:
    return Word(text, Box.from_pixels(x0, y, x1, y + 16, width=SIZE[0], height=SIZE[1]))


def drawn(places: Sequence[int], *, ticked: int = -1, side: int = 16, y: int = 40) -> Image.Image:
    image = Image.new("L", SIZE, 255)
    draw = ImageDraw.Draw(image)
    for x in places:
        draw.rectangle((x, y, x + side, y + side), outline=0, width=1)
        if x == ticked:
            cross(draw, x, y)
    return image


@pytest.mark.parametrize(
    ("text", "ends", "boxes", "parts"),
    [
        ("WorkSchool", (20, 150), (62,), ["Work", "School"]),
        ("collegeShopping", (20, 190), (92,), ["college", "Shopping"]),
        ("3435", (20, 80), (42,), ["34", "35"]),
        ("OYes", (20, 70), (20,), ["Yes"]),
        ("\u2611Yes", (20, 70), (20,), ["Yes"]),
        ("YesONo", (20, 90), (48,), ["Yes", "No"]),
        ("Do", (20, 50), (20,), ["Do"]),
        ("SOLID", (20, 90), (38,), ["SOLID"]),
    ],
)
def test_words_are_cut_at_the_boxes_between_labels(
    text: str, ends: tuple[int, int], boxes: tuple[int, ...], parts: list[str]
) -> None:
    found = cut_at_boxes([label(text, *ends), label("Town", 400, 440)], drawn([*boxes, 300]))
    assert [word.text for word in found] == [*parts, "Town"]
    assert all(a.box.x1 <= b.box.x0 for a, b in pairwise(found))


def test_one_box_or_round_ones_cut_nothing() -> None:
    words = [label("WorkSchool", 20, 150)]
    assert cut_at_boxes(words, drawn([62])) == words
    image = Image.new("L", SIZE, 255)
    for x in (62, 300):
        ImageDraw.Draw(image).ellipse((x, 40, x + 16, 56), outline=0, width=1)
    assert cut_at_boxes(words, image) == words and cut_at_boxes([], image) == []


def test_drawn_boxes_stand_in_the_page_s_text() -> None:
    """In a row before their labels, in a table's cells behind the row's name."""
    assert PageIndex.of(form("Married"), None).text.splitlines()[0] == (
        "Marital status:   [ ] Single   [x] Married   [ ] Widowed"
    )
    words = [label("Driver", 20, 80), label("Fares", 20, 70, 80)]
    image = Image.new("L", SIZE, 255)
    for y in (40, 80):
        image.paste(drawn((200, 300, 400), ticked=300 if y == 40 else 400).crop((0, 35, 600, 60)), (0, y - 5))
    page = Page(1, *SIZE, tuple(group_lines(words, width=SIZE[0], height=SIZE[1])), image, "given")
    assert PageIndex.of(page, None).text == "Driver   [ ]   [x]   [ ]\nFares   [ ]   [ ]   [x]"


def test_boxes_that_are_words_stand_in_the_page_s_text_once() -> None:
    page = page_from_text("Status: ( ) Single (x) Married\nSmoker: \u2610 yes \u2611 no")
    assert PageIndex.of(page, None).text.splitlines() == [
        "Status: ( ) Single (x) Married",
        "Smoker:   [ ] yes   [x] no",
    ]


HEAD = PairHead.load(SHIPPED)


def answers(page: Page, question: str) -> set[str]:
    index = PageIndex.of(page, None)
    return {option.text for option in candidates_of(index, Asked.of(question, index, None), None, HEAD)}


@pytest.mark.parametrize("below", [False, True])
def test_of_several_choices_the_ticked_one_is_offered(below: bool) -> None:
    found = answers(form("Married", below=below), "What is the marital status?")
    assert "Married" in found and not found & {"Single", "Widowed"}
    assert "Bodo" in answers(form("Married"), "What is the town?")


def test_where_nothing_is_ticked_there_is_no_answer() -> None:
    assert answers(form(""), "What is the marital status?") == {""}
    assert "Bodo" in answers(form(""), "What is the town?")
    assert answers(page_from_text("Status: ( ) Single ( ) Married"), 'What is the "Status"?') == {""}


def test_a_list_of_choices_in_words_is_not_an_answer() -> None:
    found = answers(page_from_text("Status: ( ) Single (x) Married\nTown: Bodo"), "What is the status?")
    assert "Married" in found and "( ) Single (x) Married" not in found
