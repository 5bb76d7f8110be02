"""One contract over the reader and its fake, and over engines: the fake refuses what the real one refuses."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from layoutllm_tool import samples
from layoutllm_tool.cot import AnswerFormation, Correction, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Document, Page
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.errors import (
    CorrectionError,
    DocumentNotFound,
    DocumentUnreadable,
    LayoutLLMError,
    OCRError,
    OCRLanguageMissing,
    PageOutOfRange,
    QuestionError,
    RequestError,
)
from layoutllm_tool.ocr import RapidOCREngine, TesseractEngine
from layoutllm_tool.ocr.tesseract import tesseract_installed
from layoutllm_tool.protocols import OCREngine, Reader
from layoutllm_tool.readers.local import LayoutLLMReader
from layoutllm_tool.readers.options import ReadingOptions
from layoutllm_tool.testing import FakeOCR, FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool
from tests import tiny

TEXTS = ("Total   12.50\nVendor   ACME", "Due   5 May")
WHOLE = Box(0, 0, 1000, 1000)


@pytest.fixture(scope="module", params=["fake", "real"])
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    engine = FakeOCR("Total   12.50")
    if request.param == "fake":
        yield FakeReader({"What is scripted?": "12.50"}, ocr=engine)
    else:
        with LayoutLLMReader(model=tiny.smol(), engine=engine) as found:
            yield found


def document() -> Document:
    """Two pages with pictures and words."""
    plain = document_from_text(*TEXTS)
    return replace(plain, pages=tuple(replace(page, image=picture(page)) for page in plain.pages))


def picture(page: Page) -> Image.Image:
    return Image.new("RGB", (page.width, page.height), "white")


UNREAD = Document("scan", "0" * 64, (Page(1, 100, 100),))
OTHER = LayoutCoT(
    "What else?", QuestionAnalysis("other", "extraction", "else"), (), AnswerFormation("none", ""), None, 0.5
)
REFUSED: dict[str, tuple[type[LayoutLLMError], Any]] = {
    "an empty question": (QuestionError, lambda r: r.ask(document(), "  ")),
    "a long question": (QuestionError, lambda r: r.ask(document(), "why " * 600)),
    "one empty question of several": (QuestionError, lambda r: r.ask_many(document(), ["What?", ""])),
    "a page that is not there": (PageOutOfRange, lambda r: r.ask(document(), "What?", page=3)),
    "a page below the first": (PageOutOfRange, lambda r: r.ask_many(document(), ["What?"], page=0)),
    "a correction of a page that is not there": (
        PageOutOfRange,
        lambda r: r.ask(document(), "What?", correction=Correction("area", page=7, boxes=(WHOLE,))),
    ),
    "a correction that nothing can follow": (
        CorrectionError,
        lambda r: r.ask(document(), "What?", correction=Correction("area", boxes=(Box(0, 0, 1, 1),))),
    ),
    "a correction that leaves no line": (
        CorrectionError,
        lambda r: r.ask(document(), "What?", correction=Correction("area", page=1, avoid=(WHOLE,))),
    ),
    "an attempt at another question": (
        CorrectionError,
        lambda r: r.ask(document(), "What?", correction=Correction("answer", wrong=("5",)), previous=OTHER),
    ),
    "a page without words and picture": (OCRError, lambda r: r.ask(UNREAD, "What?")),
    "to load a page without words and picture": (OCRError, lambda r: r.load(UNREAD)),
    "a path that is not there": (DocumentNotFound, lambda r: r.load("nowhere.pdf")),
    "what is no document": (DocumentUnreadable, lambda r: r.load(5)),
    "words for a document that is none": (DocumentUnreadable, lambda r: r.load(5, words=document().pages)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_both_refuse(reader: Reader, case: str) -> None:
    kind, call = REFUSED[case]
    with pytest.raises(kind):
        call(reader)


def test_no_question_is_asked_where_one_is_refused() -> None:
    fake = FakeReader()
    with pytest.raises(QuestionError):
        fake.ask_many(document(), ["What?", ""])
    assert not fake.calls


async def test_both_refuse_the_same_async(reader: Reader) -> None:
    with pytest.raises(QuestionError):
        await reader.aask(document(), "")
    with pytest.raises(PageOutOfRange):
        await reader.aask(document(), "What?", page=9)
    with pytest.raises(QuestionError):
        async for _ in reader.astream(document(), ""):
            pass


def test_both_read_pictures_and_keep_given_words(reader: Reader) -> None:
    blank = Image.new("RGB", (300, 100), "white")
    ImageDraw.Draw(blank).text((10, 10), "Total 12.50 " * 3, "black")
    read = reader.load(Document("scan", "1" * 64, (Page(1, 300, 100, image=blank),)))
    assert [word.text for word in read.pages[0].words] == ["Total", "12.50"]
    given = document().pages[:1]
    known = reader.load(document(), words=given)
    assert known.sha256 == document().sha256 and len(known.pages) == 2
    assert reader.ask(known, "What is the total?").question == "What is the total?"


def test_an_unknown_language_is_refused_though_the_pdf_has_its_own_text() -> None:
    letter = samples.path("letter.pdf")
    for engine in (None, FakeOCR("")):
        with (
            LayoutLLMReader(languages=("xxx",), engine=engine, model=tiny.smol()) as found,
            pytest.raises(OCRLanguageMissing, match="xxx"),
        ):
            found.load(letter)
    with pytest.raises(RequestError, match="no engine 'abbyy'"):
        ReadingOptions(ocr="abbyy")
    with pytest.raises(RequestError, match="names no page"):
        ReadingOptions(pages=())


def test_one_object_of_options_for_the_tool(tmp_path: Path) -> None:
    options = ReadingOptions(pages=(2,), languages=("deu",), ocr="rapidocr", password="secret")
    tool = LayoutLLMTool(reader=FakeReader(), access=Access.anywhere(), options=options)
    assert [page.number for page in tool.look(str(samples.path("letter.pdf"))).pages] == [2]
    assert "secret" not in repr(tool) + repr(options)
    made = LayoutLLMTool(options=options)._reader()
    assert isinstance(made, LayoutLLMReader) and made.languages == ("deu",)
    assert made.engine is not None and made.engine.name == "rapidocr"


# -- engines -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "engine",
    [
        FakeOCR("Total"),
        RapidOCREngine(),
        pytest.param(
            TesseractEngine(), marks=pytest.mark.skipif(not tesseract_installed(), reason="no tesseract")
        ),
    ],
)
def test_engines_refuse_languages_they_do_not_read(engine: OCREngine) -> None:
    with pytest.raises(OCRLanguageMissing, match="xxx"):
        engine.recognise(Image.new("L", (100, 40), 255), languages=("xxx",))
