"""Pictures drawn for the tests of text recognition."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image, ImageDraw, ImageFont

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.ocr import ReadingCache
from layoutllm_tool.ocr.rapid import rapidocr_installed

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
needs_rapidocr = pytest.mark.skipif(not rapidocr_installed(), reason="rapidocr is not installed")
FONT = "DejaVuSans.ttf"

ROWS = [
    ("Invoice number:", "4711"),
    ("Date of issue:", "25 December 2018"),
    ("Customer:", "Northern Railway Company"),
    ("Description of the goods delivered this month", ""),
    ("Blue paint, three buckets", "120.50"),
    ("Delivery and handling", "19.95"),
    ("Total amount due:", "140.45"),
]


def font(size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(FONT, size)
    except OSError:
        pytest.skip(f"the font {FONT} is not installed")


def drawn() -> tuple[Image.Image, dict[str, tuple[int, ...]]]:
    """A page of keys and values, and where each of its texts stands, in pixels."""
    image = Image.new("L", (900, 640), 255)
    draw, boxes = ImageDraw.Draw(image), {}
    for i, (key, value) in enumerate(ROWS):
        for x, text in ((60, key), (560, value)):
            if text:
                draw.text((x, 60 + 70 * i), text, fill=0, font=font(24))
                boxes[text] = tuple(map(round, draw.textbbox((x, 60 + 70 * i), text, font=font(24))))
    return image, boxes


def as_page(image: Image.Image) -> Page:
    return Page(1, image.width, image.height, image=image)


def expected_text() -> list[str]:
    return [text for row in ROWS for text in row if text]


def fresh() -> ReadingCache:
    return ReadingCache()
