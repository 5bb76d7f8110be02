"""recognise_page with real tesseract on pictures drawn here: words, boxes, turned and skewed pages, blank
ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from layoutllm_tool.documents.geometry import SCALE, Box, Line, Page, Word
from layoutllm_tool.errors import OCRError
from layoutllm_tool.ocr import TesseractEngine, recognise_page
from layoutllm_tool.ocr.deskew import is_blank, levelled, skew
from layoutllm_tool.testing import FakeOCR
from tests.ocr_pictures import as_page, drawn, expected_text, font, fresh, needs_tesseract

ONCE = TesseractEngine(psms=(6,))
"""Half the time of the default, and enough for a clean page."""


@needs_tesseract
def test_words_boxes_and_order_are_right() -> None:
    image, boxes = drawn()
    page = recognise_page(as_page(image), cache=fresh())
    assert [line.text for line in page.lines or ()] == expected_text()
    assert page.text_source == "rapidocr"
    assert page.notices == ()
    for line in page.lines or ():
        found = line.box.to_pixels(page.width, page.height)
        assert found == pytest.approx(boxes[line.text], abs=8)
    assert all(word.confidence is not None and 0.5 < word.confidence <= 1 for word in page.words)


@needs_tesseract
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_page_is_turned_back_with_its_picture(degrees: int) -> None:
    image, boxes = drawn()
    turned = image.rotate(degrees, expand=True)
    page = recognise_page(as_page(turned), cache=fresh())
    assert (page.width, page.height) == image.size
    assert page.image is not None
    assert page.image.tobytes() == image.tobytes()
    assert [line.text for line in page.lines or ()] == expected_text()
    assert (page.lines or ())[-1].box.to_pixels(page.width, page.height) == pytest.approx(
        boxes["140.45"], abs=5
    )
    assert f"turned by {degrees} degrees clockwise" in page.notices[0].text


@needs_tesseract
@pytest.mark.parametrize("degrees", [-7, 4])
def test_a_skewed_page_is_levelled_with_its_picture(degrees: int) -> None:
    image, boxes = drawn()
    page = recognise_page(as_page(image.rotate(degrees, expand=True, fillcolor=255)), cache=fresh())
    assert [line.text for line in page.lines or ()] == expected_text()
    assert page.image is not None
    assert (page.width, page.height) == page.image.size
    assert f"{abs(degrees)}.0 degrees askew" in page.notices[0].text
    box = (page.lines or ())[-1].box
    x0, y0, x1, y1 = boxes["140.45"]
    assert (box.height * page.height / SCALE, box.width * page.width / SCALE) == pytest.approx(
        (y1 - y0, x1 - x0), abs=6
    )


@needs_tesseract
@pytest.mark.parametrize("mode", ["RGBA", "1"])
def test_every_kind_of_picture_is_read(mode: str) -> None:
    image, _ = drawn()
    assert "4711" in recognise_page(as_page(image.convert(mode)), engine=ONCE, cache=fresh()).text


@needs_tesseract
def test_light_letters_on_a_dark_page_are_read() -> None:
    image, _ = drawn()
    page = recognise_page(as_page(image.point(lambda value: 255 - value)), cache=fresh())
    assert [line.text for line in page.lines or ()] == expected_text()


def test_a_blank_page_has_no_lines_and_costs_no_recognition() -> None:
    engine = FakeOCR("never read")
    for shade in (255, 128, 0):
        page = recognise_page(as_page(Image.new("L", (400, 600), shade)), engine=engine)
        assert page.lines == ()
    assert engine.calls == 0


def test_two_small_letters_are_not_blank() -> None:
    image = Image.new("L", (1240, 1754), 255)
    assert is_blank(image)
    ImageDraw.Draw(image).text((600, 800), "Hi", font=font(20), fill=0)
    assert not is_blank(image)


def test_specks_that_read_as_letters_are_no_text() -> None:
    noise = [
        Word("a", Box(10, 10, 20, 20), 0.3),
        Word("", Box(0, 0, 5, 5), 0.9),
        Word("x", Box(0, 0, 9, 9), -1.0),
    ]
    page = recognise_page(as_page(drawn()[0]), engine=FakeOCR(noise))
    assert page.lines == ()
    assert [notice.code for notice in page.notices] == ["illegible"]


def test_an_icon_that_reads_as_a_mark_on_its_head_is_no_text() -> None:
    answers = iter([[Word("x", Box(1, 1, 20, 20), 0.4)], [], [], [Word("&", Box(1, 1, 20, 20), 0.9)], []])
    page = recognise_page(as_page(drawn()[0]), engine=FakeOCR(lambda image: next(answers)))
    assert page.lines == ()
    assert (page.width, page.height) == drawn()[0].size
    assert [notice.code for notice in page.notices] == ["illegible"]


def test_what_was_read_already_is_kept() -> None:
    known = (Line((Word("known", Box(1, 1, 2, 2)),)),)
    page = Page(1, 10, 10, lines=known, image=drawn()[0], text_source="pdf")
    assert recognise_page(page, engine=FakeOCR("other")) is page
    with pytest.raises(OCRError, match="neither words nor a picture"):
        recognise_page(Page(3, 10, 10))


def cjk(*texts: str, gap: float = 2) -> list[Word]:
    words, x = [], 100.0
    for text in texts:
        words.append(Word(text, Box(x, 100, x + 20 * len(text), 120), 0.9))
        x += 20 * len(text) + gap
    return words


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (cjk("請求", "書", "番号"), ["請求書番号"]),
        (cjk("発行", "日", "2024", "年", "3", "月"), ["発行日2024年3月"]),
        (cjk("株式会社", "山田", gap=24), ["株式会社 山田"]),
        (cjk("お客様。", "担当", gap=11), ["お客様。担当"]),
        (cjk("合計", "1,200", gap=12), ["合計 1,200"]),
        (cjk("영수증", "번호", gap=6), ["영수증 번호"]),
        (cjk("Total", "amount", gap=4), ["Total amount"]),
    ],
)
def test_japanese_is_joined_where_no_space_is_seen(words: list[Word], lines: list[str]) -> None:
    square = drawn()[0].resize((800, 800))
    page = recognise_page(as_page(square), engine=FakeOCR(words))
    assert [line.text for line in page.lines or ()] == lines
    assert Box.union(word.box for word in page.words) == Box.union(word.box for word in words)


@pytest.mark.parametrize("degrees", [-9.0, -2.3, 1.6, 8.4])
def test_skew_is_measured_to_a_few_tenths(degrees: float) -> None:
    image, _ = drawn()
    turned = image.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    assert skew(turned) == pytest.approx(degrees, abs=0.2)
    assert abs(skew(levelled(turned, skew(turned)))) <= 0.2


def test_a_level_page_and_a_plain_gradient_have_no_skew() -> None:
    assert skew(drawn()[0]) == 0.0
    assert skew(Image.linear_gradient("L").resize((500, 700))) == 0.0


@needs_tesseract
def test_faint_print_inside_a_black_border_is_read() -> None:
    image, _ = drawn()
    faint = image.convert("L").point(
        lambda value: 215 + value * 40 // 255
    )  # dark grey on white becomes almost white
    bordered = Image.new("L", (image.width + 80, image.height + 80), 0)
    bordered.paste(faint, (40, 40))
    page = recognise_page(as_page(bordered), engine=ONCE, cache=fresh())
    assert set(expected_text()) <= {line.text for line in page.lines or ()}


def test_contrast_is_evened_the_same_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    from layoutllm_tool.ocr import contrast

    rng = np.random.default_rng(3)
    image = Image.fromarray(rng.integers(0, 255, (300, 170), dtype=np.uint8))
    whole = contrast.even(image)
    real = contrast._ratio
    sizes: list[int] = []

    def counted(dark: Any, around: Any) -> Any:
        sizes.append(dark.size)
        return real(dark, around)

    monkeypatch.setattr(contrast, "_ratio", counted)
    monkeypatch.setattr(contrast, "_SAMPLE", 4000)
    banded = contrast.even(image)
    assert max(sizes) <= 4000 + 170
    difference = np.abs(np.asarray(whole, dtype=int) - np.asarray(banded, dtype=int))
    assert difference.max() <= 12  # the percentiles are of every n-th row
