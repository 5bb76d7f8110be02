"""Other ways to look at a page: enlarged and read again, as columns and tables, as an area alone; comparing
what they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from layoutllm_tool.cot import AnswerFormation, Area, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Document, Line, Page, Word
from layoutllm_tool.documents.tables import addends, cells_under, column
from layoutllm_tool.documents.values import amount
from layoutllm_tool.errors import CorrectionError
from layoutllm_tool.ocr import TesseractEngine, recognise_page
from layoutllm_tool.ocr.reread import alternatives, reread
from layoutllm_tool.readers.agreement import compare
from layoutllm_tool.readers.crop import CropReader
from layoutllm_tool.testing import FakeOCR, FakeReader, document_from_text, page_from_text
from tests.ocr_pictures import as_page, drawn, font, needs_tesseract

if TYPE_CHECKING:
    from layoutllm_tool.protocols import Source

RECEIPT = """\
ITEM            QTY    PRICE    AMOUNT
Blue paint        3     4.00     12.00
Brush             1     2.50      2.50
Tape, wide        2     1.25      2.50
Subtotal                         17.00
GST 6%                            1.02
TOTAL                         RM 18.02
Cash                             20.00
Change                            1.98"""


def at(page: Page, text: str, nth: int = 0) -> tuple[tuple[int, int], ...]:
    """Indices of the nth line of that text, all its words."""
    line = [i for i, line in enumerate(page.lines or ()) if line.text == text][nth]
    return tuple((line, i) for i in range(len((page.lines or ())[line].words)))


def says(page: Page, words: Sequence[tuple[int, int]]) -> str:
    return " ".join((page.lines or ())[line].words[word].text for line, word in words)


# -- columns -------------------------------------------------------------------------------------------------


def test_the_column_above_a_total_and_what_adds_up_to_it() -> None:
    page = page_from_text(RECEIPT)
    total = at(page, "RM 18.02")
    assert [says(page, cell) for cell in column(page, total)] == ["12.00", "2.50", "2.50", "17.00", "1.02"]
    assert [says(page, cell) for cell in addends(page, total) or ()] == ["17.00", "1.02"]
    assert [says(page, cell) for cell in addends(page, at(page, "17.00")) or ()] == ["12.00", "2.50", "2.50"]
    assert addends(page, at(page, "1.98")) is None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["10.00", "5.00", "15.00"], ["10.00", "5.00"]),
        (["10.00", "5.00", "15.00", "0.90", "15.90"], ["15.00", "0.90"]),  # subtotal and tax
        (["10.00", "5.00", "0.90", "15.90"], ["10.00", "5.00", "0.90"]),  # items and tax
        (["8.00", "2.00", "10.00", "4.00", "1.00", "15.00"], ["10.00", "4.00", "1.00"]),
        (["1.00", "8.00", "2.00", "-1.00", "9.00"], ["8.00", "2.00", "-1.00"]),
        (["9.00", "0.00", "9.00"], ["9.00", "0.00"]),
        (["4.00", "5.00", "9.00", "0.00", "9.00"], ["4.00", "5.00"]),
        (["1.234,50", "10 .00", "1,244.50"], ["1.234,50", "10 .00"]),
        (["€ 6.200", "€ 800", "€ 7.000"], ["€ 6.200", "€ 800"]),  # no cents: whatever the mark is
        (["€1,200", "€800.50", "€2,000.50"], ["€1,200", "€800.50"]),
        (["10.00", "5.00", "15.01"], None),
        (["0.00", "0.00", "0.00"], None),
        (["5.00", "5.00"], None),
        (["15.00"], None),
    ],
)
def test_only_unbroken_runs_that_are_exact_to_the_cent_add_up(
    rows: list[str], expected: list[str] | None
) -> None:
    page = page_from_text("\n".join(f"{row:>20}" for row in rows))
    total = at(page, rows[-1], rows[:-1].count(rows[-1]))
    found = addends(page, total)
    assert (found and [says(page, cell) for cell in found]) == expected


def test_subtotals_of_groups_are_passed_over() -> None:
    rows = ["3.00", "4.00", "7.00", "5.00", "6.00", "11.00", "2.00", "2.50", "4.50", "22.50"]
    page = page_from_text("\n".join(f"{row:>20}" for row in rows))
    found = addends(page, at(page, "22.50"))
    assert [says(page, cell) for cell in found or ()] == ["3.00", "4.00", "5.00", "6.00", "2.00", "2.50"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 99_999), min_size=2, max_size=12))
def test_any_column_of_amounts_adds_up_to_its_total(cents: list[int]) -> None:
    rows = [f"{value // 100:,}.{value % 100:02}" for value in [*cents, sum(cents)]]
    page = page_from_text("\n".join(f"{row:>24}" for row in rows))
    total = ((len(rows) - 1, 0),)
    found = addends(page, total)
    assert found is not None
    assert sum(amount(says(page, cell)) or 0 for cell in found) == Decimal(sum(cents)) / 100


def test_left_aligned_columns_and_amounts_elsewhere() -> None:
    page = page_from_text("     4.00   9.99\n     3.25\n7.77\n\n     7.25")
    assert [says(page, cell) for cell in column(page, at(page, "7.25"))] == ["4.00", "3.25"]


def test_words_that_are_not_there() -> None:
    page = page_from_text(RECEIPT)
    for wrong in (((99, 0),), ((0, 99),)):
        with pytest.raises(IndexError):
            column(page, wrong)
    with pytest.raises(ValueError, match="no boxes"):
        column(page, ())
    with pytest.raises(IndexError):
        cells_under(page, 99)


def test_the_values_under_a_header() -> None:
    page = page_from_text(RECEIPT)
    assert [says(page, c) for c in cells_under(page, at(page, "PRICE")[0][0])] == ["4.00", "2.50", "1.25"]
    under = [says(page, c) for c in cells_under(page, at(page, "QTY")[0][0])]
    assert under == ["3", "1", "2"]
    apart = page_from_text("QTY    UNIT\n  1      kg\n  2      kg\n\n\n\n\n  7")
    assert [says(apart, c) for c in cells_under(apart, at(apart, "QTY")[0][0])] == ["1", "2"]
    together = page_from_text("QTY UNIT\n  1   kg\n  2   kg")
    assert [says(together, c) for c in cells_under(together, 0, words=[1])] == ["kg", "kg"]


# -- reading again -------------------------------------------------------------------------------------------


def pictured(text: str) -> tuple[Page, Word]:
    """A page with a picture of its size, as a fake engine needs no more, and its first word."""
    page = page_from_text(text)
    return replace(page, image=Image.new("L", (page.width, page.height), 255)), page.words[0]


def test_a_crop_is_enlarged_and_its_words_come_back_in_the_page_s_frame() -> None:
    page = replace(as_page(Image.new("RGB", (800, 600), "white")), lines=())
    box = Box(250, 250, 500, 300)  # pixels 200..400 x 150..180
    seen: list[tuple[int, int]] = []

    def read(image: Image.Image) -> list[Word]:
        seen.append(image.size)
        inner = Box.from_pixels(
            40, 20, image.width - 40, image.height - 20, width=image.width, height=image.height
        )
        return [Word("12.50", inner, 0.9), Word("beside", Box(0, 0, 10, 10))]

    (word,) = reread(page, box, engine=FakeOCR(read), height=60, margin=0.5)
    # Twice as large: 15 pixels above, 30 beside, and 10 pixels of border.
    assert seen == [(2 * (200 + 60) + 20, 2 * (30 + 30) + 20)]
    assert (word.text, word.confidence) == ("12.50", 0.9)
    left, top = (200 - 30) + (40 - 10) / 2, (150 - 15) + (20 - 10) / 2
    assert word.box.x0 == pytest.approx(left / 0.8, abs=0.02)
    assert word.box.y0 == pytest.approx(top / 0.6, abs=0.02)


def test_without_a_picture_there_is_nothing_to_read_again() -> None:
    page, engine = page_from_text("Total:  12.50"), FakeOCR("13.50")
    assert reread(page, Box(0, 0, 1000, 1000), engine=engine) == ()
    assert alternatives(page, at(page, "12.50"), engine=engine) == ("12.50",)
    assert engine.calls == 0


@pytest.mark.parametrize(
    "box", [Box(0, 0, 1000, 1000), Box(999.9, 999.9, 1000, 1000), Box(0, 0, 0.01, 1000), Box(5, 5, 5, 5)]
)
def test_any_box_gives_a_bounded_picture(box: Box) -> None:
    for size in ((1, 1), (4000, 3000), (5000, 20)):
        sizes: list[tuple[int, int]] = []
        page = replace(as_page(Image.new("L", size, 255)), lines=())
        engine = FakeOCR(lambda image, s=sizes: s.append(image.size) or ())  # type: ignore[misc]
        assert reread(page, box, engine=engine, height=5000) == ()
        assert all(0 < w * h < 5_000_000 for w, h in sizes)


def test_alternatives_are_distinct_and_the_page_s_own_comes_first() -> None:
    page, _ = pictured("Total:  12.50")
    readings = iter(["12.80", "12.50", ""])

    def read(image: Image.Image) -> list[Word]:
        text = next(readings)
        middle = Box(400, 400, 600, 600)
        return [Word(text, middle)] if text else []

    assert alternatives(page, at(page, "12.50"), engine=FakeOCR(read)) == ("12.50", "12.80")


@needs_tesseract
def test_small_print_misread_on_the_page_is_read_from_the_crop() -> None:
    large = Image.new("L", (2400, 600), 255)
    ImageDraw.Draw(large).text((1500, 250), "RM 1,280.65", fill=0, font=font(64))
    image = large.resize((400, 100), Image.Resampling.LANCZOS)  # letters of 8 pixels
    page = replace(as_page(image), lines=())
    words = reread(page, Box(600, 350, 1000, 700))
    assert amount(" ".join(word.text for word in words)) == Decimal("1280.65")
    assert Box(620, 400, 830, 600).covers(Box.union(word.box for word in words), 0.8)


@needs_tesseract
def test_words_read_again_stand_where_they_stood() -> None:
    image, boxes = drawn()
    page = recognise_page(as_page(image), engine=TesseractEngine())
    where = Box.from_pixels(*boxes["140.45"], width=image.width, height=image.height)
    (word,) = reread(page, Box(where.x0 - 5, where.y0 - 5, where.x1 + 5, where.y1 + 5))
    assert word.text == "140.45"
    assert word.box.iou(where) > 0.6
    assert set(alternatives(page, at(page, "140.45"))) == {"140.45"}


# -- an area alone -------------------------------------------------------------------------------------------

INVOICE = """\
Invoice no:   4711        Due date:   1 May 2024

Ship to:      Anna Berg
Total:        99.00


Goods
Blue paint    12.50
Brush          2.50
Total:        15.00


Thank you"""


def second_total(document: Document) -> LayoutCoT:
    page = document.page(1)
    words = at(page, "15.00")
    key = at(page, "Total:", 1)[0][0]
    lines = page.lines or ()
    area = Area(1, Box.union([lines[key].box, lines[words[0][0]].box]), (key, words[0][0]))
    evidence = Evidence(1, lines[words[0][0]].box, "15.00", words)
    analysis = QuestionAnalysis("key-value", "extraction", "Total")
    return LayoutCoT(
        "What is the total?",
        analysis,
        (area,),
        AnswerFormation("right of", "Total:"),
        "15.00",
        0.6,
        (evidence,),
    )


def test_an_area_alone_answers_in_the_page_s_own_words_and_frame() -> None:
    document = document_from_text(INVOICE)
    reader = FakeReader()
    first = second_total(document)
    assert reader.ask(document, first.question).answer == "99.00"  # the page's first total distracts
    found = CropReader(reader, margin=2.0).ask_area(document, first.question, first)
    assert (found.answer, found.page) == ("15.00", 1)
    assert found.evidence[0] == first.evidence[0]
    assert (found.areas[0].lines, found.areas[0].box) == (first.areas[0].lines, first.areas[0].box)
    assert (found.signals["cropped"], found.signals["reread"]) == (1.0, 0.0)


class Seen(FakeReader):
    """Remembers the pages it was asked about."""

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        assert isinstance(source, Document)
        self.pages, self.source = tuple(words or ()), source
        return super().load(source, words=words)


def test_the_part_is_a_page_of_the_same_number_with_its_own_picture_and_key() -> None:
    document = document_from_text("nothing", INVOICE)
    page = replace(
        document.page(2), image=Image.new("L", (document.page(2).width, document.page(2).height), 200)
    )
    document = replace(document, pages=(document.page(1), page))
    whole = document_from_text(INVOICE)
    first = second_total(whole)
    first = replace(
        first,
        areas=tuple(replace(area, page=2) for area in first.areas),
        evidence=tuple(replace(evidence, page=2) for evidence in first.evidence),
    )
    reader = Seen()
    found = CropReader(reader, margin=1.0).ask_area(document, first.question, first)
    (part,) = reader.pages
    assert part.number == found.page == 2
    assert part.text == "Brush\n2.50\nTotal:\n15.00"
    assert part.image is not None and part.image.size == (part.width, part.height)
    assert part.height < page.height / 2
    assert reader.source.sha256 != document.sha256
    assert CropReader(reader, margin=9.0).ask_area(document, first.question, first).answer == "99.00"
    assert reader.pages[0].text.startswith("Ship to:") or reader.pages[0].text.startswith("Invoice")


def test_an_answer_that_points_nowhere_has_no_area_to_look_at() -> None:
    document = document_from_text(INVOICE)
    nowhere = replace(second_total(document), areas=(), evidence=(), answer=None)
    with pytest.raises(CorrectionError, match="no area"):
        CropReader(FakeReader()).ask_area(document, "What is the total?", nowhere)


def test_not_in_the_area_is_an_answer() -> None:
    document = document_from_text(INVOICE)
    found = CropReader(FakeReader(), margin=1.0).ask_area(
        document, "What is the due date?", second_total(document)
    )
    assert found.answer is None and found.evidence == ()


def test_words_read_anew_say_what_was_read_and_where_on_the_page() -> None:
    whole = document_from_text(INVOICE)
    page = replace(whole.page(1), image=Image.new("L", (whole.page(1).width, whole.page(1).height), 255))
    document = replace(whole, pages=(page,))
    first = second_total(whole)
    lines = page.lines or ()

    def read(image: Image.Image) -> list[Word]:
        # The area with its margin, as it is cropped: the key and the value, which now ends in 8.
        return [Word("Total:", Box(100, 450, 400, 550)), Word("15.08", Box(620, 450, 900, 550))]

    found = CropReader(FakeReader(), margin=0.0, again=True, engine=FakeOCR(read)).ask_area(
        document, first.question, first
    )
    assert (found.answer, found.evidence[0].text) == ("15.08", "15.08")
    assert found.signals["reread"] == 1.0
    assert lines[first.evidence[0].words[0][0]].box.intersection(found.evidence[0].box) > 0
    assert {line for line, _ in found.evidence[0].words} <= {first.evidence[0].words[0][0]}


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 12), st.integers(0, 13))
def test_whatever_is_cut_out_words_and_boxes_are_the_page_s(margin: float, index: int) -> None:
    document = document_from_text(INVOICE)
    page = document.page(1)
    lines = page.lines or ()
    line = index % len(lines)
    area = Area(1, lines[line].box, (line,))
    first = replace(second_total(document), areas=(area,), evidence=())
    for question in ("Where is the total?", "Who is to ship to?", "Blue paint?"):
        found = CropReader(FakeReader(), margin=margin).ask_area(document, question, first)
        for evidence in found.evidence:
            assert says(page, evidence.words) == evidence.text
            assert evidence.box == Box.union(lines[i].words[j].box for i, j in evidence.words)
        for looked in found.areas:
            assert looked.box == Box.union(lines[i].box for i in looked.lines)


# -- comparing -----------------------------------------------------------------------------------------------

SHEET = page_from_text(RECEIPT)


def reading(answer: str | None, box: Box | None = None, page: int = 1) -> LayoutCoT:
    evidence = (Evidence(page, box, answer or "", ()),) if box else ()
    analysis = QuestionAnalysis("key-value", "extraction", "total")
    return LayoutCoT("What is the total?", analysis, (), AnswerFormation("none", ""), answer, 0.5, evidence)


HERE, THERE = Box(700, 700, 900, 800), Box(100, 100, 300, 200)


@pytest.mark.parametrize(
    ("readings", "preferred", "agreement"),
    [
        ([reading("1", HERE)], 0, 1.0),
        ([reading("1", HERE), reading("2", THERE)], 0, 0.5),
        (
            [reading("1", HERE), reading("2", THERE), reading(" 2. ", HERE)],
            2,
            1.0,
        ),  # the place of one, the text of another
        ([reading("1", HERE), reading("2", THERE), reading("2.", THERE)], 1, 2 / 3),
        ([reading("1"), reading("2", THERE)], 1, 0.5),
        ([reading("1"), reading("1"), reading("2", THERE)], 2, 1 / 3),
        ([reading(None), reading("2", THERE)], 0, 0.5),
        ([reading("2", THERE), reading(None), reading(None)], 1, 2 / 3),
        ([reading("18.02", HERE), reading("RM18 02", Box(705, 700, 905, 800))], 0, 1.0),
        ([reading("1", HERE), reading("2", HERE, page=2), reading("2", THERE)], 1, 2 / 3),
        ([reading("-"), reading("/"), reading("\uff21", HERE), reading("a", THERE)], 2, 0.5),
    ],
)
def test_the_reading_to_prefer(readings: list[LayoutCoT], preferred: int, agreement: float) -> None:
    found = compare(readings[0], readings[1:], SHEET)
    assert found.preferred is readings[preferred]
    assert found.agreement == pytest.approx(agreement)


def test_one_reading_settles_nothing() -> None:
    assert not compare(reading("1", HERE), [], SHEET).settled
    assert compare(reading("1", HERE), [reading("1", HERE)], SHEET).settled
    assert not compare(reading("1"), [reading("2", HERE)], SHEET).settled


def test_a_line_of_given_words_is_kept_whole() -> None:
    line = Line((Word("Total", Box(0, 0, 100, 50)), Word("9.00", Box(200, 0, 300, 50))))
    page = Page(1, 1000, 1000, (line,))
    assert [says(page, c) for c in column(page, ((0, 1),))] == []
