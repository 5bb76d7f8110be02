"""The pictures that a chat model sees: which part of a page, how large, with which numbers."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image, ImageColor

from layoutllm_tool.cot import Correction
from layoutllm_tool.documents.drawing import ANSWER
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.readers.chat import ChatModelReader
from layoutllm_tool.readers.chat_pictures import MOST_PICTURES, PICTURE_SIDE, pictures
from layoutllm_tool.readers.chat_prompts import SEEING, SYSTEM, task_of
from layoutllm_tool.readers.query import Query
from layoutllm_tool.testing import document_from_text
from tests.readers.test_chat import Model, reply

TEXT = "Invoice no:   4711\n\n\n\n\n\n\n\n\n\n\n\nTotal:        12.50"
RED = ImageColor.getrgb(ANSWER)


def pictured(*pages: str, scale: float = 1.0) -> Document:
    """Pages from text over white pictures, ``scale`` times as large."""
    made = document_from_text(*pages)
    sizes = [(round(page.width * scale), round(page.height * scale)) for page in made.pages]
    drawn = [
        replace(page, width=w, height=h, image=Image.new("L", (w, h), 255))
        for page, (w, h) in zip(made.pages, sizes, strict=True)
    ]
    return replace(made, pages=tuple(drawn))


def shown(document: Document, correction: Correction | None = None) -> list[tuple[str, Image.Image]]:
    blocks = pictures(task_of(Query(document, "Total?", correction=correction), document.pages))
    assert [block["type"] for block in blocks] == ["text", "image"] * (len(blocks) // 2)
    assert {block["mime_type"] for block in blocks[1::2]} <= {"image/jpeg"}
    images = [Image.open(io.BytesIO(base64.b64decode(block["base64"]))) for block in blocks[1::2]]
    return [(block["text"], image) for block, image in zip(blocks[::2], images, strict=True)]


def red(image: Image.Image) -> list[tuple[int, int]]:
    """Where it is about as red as a number's ground."""
    pixels: Any = image.load()
    return [
        (x, y)
        for y in range(image.height)
        for x in range(image.width)
        if all(abs(a - b) < 60 for a, b in zip(pixels[x, y], RED, strict=True))
    ]


def test_a_whole_page_with_a_number_left_of_each_segment() -> None:
    document = pictured(TEXT, scale=3)
    ((text, image),) = shown(document)
    assert text == "Picture of page 1, the part [0, 0, 1000, 1000] of it:" and image.size == (570, 780)
    places = red(image)
    for line in document.pages[0].lines or ():
        x0, y0, _, y1 = line.box.to_pixels(*image.size)
        assert any(y0 <= y <= y1 and x0 - 30 <= x <= x0 + 30 for x, y in places)
    assert not any(y for _, y in places if 70 < y < 700)


def test_a_correction_cuts_the_picture_to_what_the_text_shows() -> None:
    document = pictured(TEXT, scale=3)
    box = (document.pages[0].lines or ())[0].box
    ((text, image),) = shown(document, Correction("area", page=1, boxes=(box,)))
    assert text.startswith("Picture of page 1, the part [0, 0, 1000,") and image.height < 300
    assert red(image)


def test_no_side_is_longer_than_the_limit() -> None:
    ((_, image),) = shown(pictured(TEXT, scale=20))
    assert max(image.size) == PICTURE_SIDE
    ((_, tall),) = shown(pictured("\n".join(["Row   1"] * 400)))
    assert max(tall.size) == PICTURE_SIDE


def test_pages_without_a_picture_come_as_text_alone() -> None:
    model = Model(reply([3, 4], "12.50"))
    ChatModelReader(model, images=True).ask(document_from_text(TEXT), "Total?")
    assert model.seen[0][0][1] == SYSTEM and isinstance(model.seen[0][1][1], str)


def test_the_model_is_told_of_pictures_and_its_answer_is_the_pages_words() -> None:
    said = reply([3, 4], "12.50", confidence=1.0, boxes=[[0, 0, 1, 1]])
    model: Any = Model(said, said)
    document = pictured(TEXT)
    cot = ChatModelReader(model, images=True).ask(document, "Total?")
    system, human = model.seen[0]
    assert system[1] == SEEING and "number on red" in SEEING and "pictures" not in SYSTEM
    assert [block["type"] for block in human[1]] == ["text", "image", "text"]
    assert cot.box == (document.pages[0].lines or ())[3].box
    assert cot == ChatModelReader(model).ask(document, "Total?")  # as sure, whatever the model says of itself


def test_a_reply_that_is_sent_back_goes_with_the_pictures() -> None:
    model: Any = Model("Sorry.", reply([3, 4], "12.50"))
    assert ChatModelReader(model, images=True).ask(pictured(TEXT), "Total?").answer == "12.50"
    assert model.seen[1][:2] == model.seen[0] and [role for role, _ in model.seen[1]][2:] == ["ai", "human"]


@pytest.mark.parametrize(("images", "requests"), [(False, 1), (True, 3)])
def test_many_pages_take_several_requests(images: bool, requests: int) -> None:
    model: Any = Model(by=lambda _: reply([], None, relation="none"))
    pages = [f"Page:   {number}" for number in range(2 * MOST_PICTURES + 1)]
    ChatModelReader(model, images=images).ask(pictured(*pages), "Total?")
    assert len(model.seen) == requests
    counts = sorted(json.dumps(seen[1][1]).count('"image/jpeg"') for seen in model.seen)
    assert counts == ([1, MOST_PICTURES, MOST_PICTURES] if images else [0])
