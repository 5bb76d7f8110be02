"""The public fakes: users' tests stand on them, so they must be right themselves."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Box, Document, Page
from layoutllm_tool.errors import (
    CorrectionError,
    OCRLanguageMissing,
    OCRTimeout,
    PageOutOfRange,
    QuestionError,
)
from layoutllm_tool.protocols import OCREngine, Progress, Reader
from layoutllm_tool.testing import FakeOCR, FakeReader, document_from_text, page_from_text

INVOICE = """\
ACME Ltd                    INVOICE

Invoice no:  4711           Due date
Date: 2024-01-05            2024-02-05

Terms: 30 days
Net          10.00
Total        12.50 EUR
"""
RECEIPT = "Shop\nTotal   99.00\nVAT\n\nThank you"


@pytest.fixture
def document() -> Document:
    return document_from_text(INVOICE, RECEIPT, name="two.pdf")


def test_page_from_text_lays_out_rows_and_gaps() -> None:
    page = page_from_text("Total   12.50 EUR\n\n  x")
    assert (page.width, page.height) == (170, 60)
    assert [line.text for line in page.lines or ()] == ["Total", "12.50 EUR", "x"]
    assert page.words[1].box.to_pixels(170, 60) == (80, 0, 130, 20)
    assert page.words[3].box.to_pixels(170, 60) == (20, 40, 30, 60)


def test_page_from_no_text_is_blank() -> None:
    assert page_from_text("").lines == ()


def test_documents_from_other_texts_have_other_hashes() -> None:
    assert document_from_text("a", "b").sha256 == document_from_text("a", "b", name="x").sha256
    assert document_from_text("a", "b").sha256 != document_from_text("ab").sha256


def test_the_fakes_implement_the_protocols(document: Document) -> None:
    reader: Reader = FakeReader()
    engine: OCREngine = FakeOCR("Total")
    assert isinstance(reader, Reader)
    assert engine.name == "fake"


@pytest.mark.parametrize(
    ("question", "answer", "relation"),
    [
        ("What is the invoice no?", "4711", "right of"),
        ("What is the due date?", "2024-02-05", "below"),
        ("What are the terms?", "30 days", "inside"),
        ("What is the total?", "12.50 EUR", "right of"),
        ("Who is the king of France?", None, "none"),
    ],
)
def test_looks_up_what_the_page_says(
    document: Document, question: str, answer: str | None, relation: str
) -> None:
    cot = FakeReader().ask(document, question)
    assert (cot.answer, cot.formation.relation) == (answer, relation)
    assert LayoutCoT.from_json(json.loads(json.dumps(cot.to_json()))).answer == answer
    if answer:
        evidence = cot.evidence[0]
        lines = document.pages[0].lines or ()
        words = [lines[line].words[word] for line, word in evidence.words]
        assert " ".join(word.text for word in words) == answer
        assert evidence.box == Box.union(word.box for word in words)
        assert cot.areas[0].box.covers(evidence.box, 1.0)


def test_a_page_restricts_the_search(document: Document) -> None:
    reader = FakeReader()
    assert reader.ask(document, "What is the total?", page=2).answer == "99.00"
    assert reader.ask(document, "What is the invoice no?", page=2).answer is None
    with pytest.raises(PageOutOfRange, match="no page 3"):
        reader.ask(document, "What is the total?", page=3)


def test_an_empty_question_is_refused(document: Document) -> None:
    with pytest.raises(QuestionError):
        FakeReader().ask(document, " \n")


class TestCorrections:
    QUESTION = "What is the total?"

    @pytest.mark.parametrize(
        ("correction", "answer"),
        [
            (Correction("analysis", text="Net"), "10.00"),
            (Correction("area", page=2, boxes=(Box(0, 0, 1000, 1000),)), "99.00"),
            (Correction("area", page=2, boxes=(Box(0, 700, 1000, 1000),)), "Thank you"),
            (Correction("area", page=1, boxes=(Box(0, 0, 500, 200),)), "ACME Ltd"),
            (Correction("area", spatial="last"), "99.00"),
            (Correction("area", spatial="top right"), "99.00"),
            (Correction("area", spatial="bottom left"), "12.50 EUR"),
            (Correction("answer", wrong=("12.50 EUR",), expected_type="money"), "12.50"),
            (Correction("answer", expected_type="email"), None),
        ],
    )
    def test_mend_the_attempt_they_are_of(
        self, document: Document, correction: Correction, answer: str | None
    ) -> None:
        reader = FakeReader()
        before = reader.ask(document, self.QUESTION)
        after = reader.ask(document, self.QUESTION, correction=correction, previous=before)
        assert after.answer == answer
        if correction.step == "area":
            assert after.analysis == before.analysis
        if correction.step == "answer":
            assert (after.analysis, after.areas) == (before.analysis, before.areas)

    def test_need_no_attempt_before(self, document: Document) -> None:
        assert (
            FakeReader().ask(document, self.QUESTION, correction=Correction("area", spatial="last")).answer
            == "99.00"
        )

    def test_of_another_question_are_refused(self, document: Document) -> None:
        reader = FakeReader()
        other = reader.ask(document, "What is the date?")
        with pytest.raises(CorrectionError):
            reader.ask(document, self.QUESTION, correction=Correction("area", spatial="last"), previous=other)

    def test_must_name_a_page_that_exists(self, document: Document) -> None:
        with pytest.raises(PageOutOfRange):
            FakeReader().ask(
                document, self.QUESTION, correction=Correction("area", page=9, boxes=(Box(0, 0, 9, 9),))
            )


class TestScripts:
    def test_answers_are_grounded_where_the_page_has_them(self, document: Document) -> None:
        reader = FakeReader({"a?": "10.00", "b?": "nowhere", "c?": None})
        found, formed, absent = reader.ask_many(document, ["a?", "b?", "c?"])
        assert (found.answer, found.grounded, found.page) == ("10.00", True, 1)
        assert (formed.answer, formed.grounded, formed.analysis.operation) == ("nowhere", False, "reasoning")
        assert absent.answer is None

    def test_lists_are_played_attempt_by_attempt(self, document: Document) -> None:
        reader = FakeReader({"a?": ["wrong", OCRTimeout("slow."), "right"]})
        assert reader.ask(document, "a?").answer == "wrong"
        with pytest.raises(OCRTimeout):
            reader.ask(document, "a?")
        assert [reader.ask(document, "a?").answer for _ in range(2)] == ["right", "right"]

    def test_whole_chains_come_back_as_they_are(self, document: Document) -> None:
        cot = FakeReader().ask(document, "What is the total?")
        assert FakeReader({"x": cot}).ask(document, "x") is cot


def test_calls_are_recorded(document: Document) -> None:
    reader = FakeReader()
    correction = Correction("area", spatial="last")
    reader.ask(document, "total?", page=1)
    reader.ask(document, "total?", correction=correction)
    assert [(c.document, c.question, c.page, c.correction) for c in reader.calls] == [
        ("two.pdf", "total?", 1, None),
        ("two.pdf", "total?", None, correction),
    ]


def test_progress_is_the_pages_and_the_three_steps(document: Document) -> None:
    seen: list[Progress] = []
    cot = FakeReader().ask(document, "What is the total?", on_progress=seen.append)
    assert [p.event for p in seen] == ["page", "page", *cot.steps]
    assert [p.data["text"] for p in seen[2:]] == list(cot.steps.values())
    assert json.loads(json.dumps([p.data for p in seen])) == [p.data for p in seen]


async def test_async_is_the_same_and_the_stream_ends_with_the_whole_chain(document: Document) -> None:
    reader = FakeReader()
    cot = await reader.aask(document, "What is the total?")
    assert cot == reader.ask(document, "What is the total?")
    *_, last = [progress async for progress in reader.astream(document, "What is the total?")]
    assert last.event == "answer_formation"
    assert LayoutCoT.from_json(last.data).answer == cot.answer


def test_many_threads_get_what_one_gets(document: Document) -> None:
    reader = FakeReader({"a?": [str(i) for i in range(64)]})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: reader.ask(document, "a?").answer, range(64)))
    assert sorted(map(int, filter(None, answers))) == list(range(64))
    assert len(reader.calls) == 64


class TestLoading:
    def test_documents_with_words_stay_as_they_are(self, document: Document) -> None:
        assert FakeReader().load(document) == document

    def test_pages_can_be_handed_in(self) -> None:
        blank = Image.new("RGB", (40, 20), "white")
        assert FakeReader().load(blank, words=[page_from_text("Total 5")]).page(1).text == "Total 5"

    def test_pictures_are_read_by_the_engine_that_is_given(self) -> None:
        engine = FakeOCR("Total    5.00\nNet      4.00")
        document = FakeReader(ocr=engine).load(Image.new("RGB", (400, 200), "white"))
        assert engine.calls == 1
        assert document.page(1).text_source == "fake"
        assert FakeReader().ask(document, "What is the total?").answer == "5.00"

    def test_pictures_without_an_engine_are_blank_and_say_so(self) -> None:
        page = FakeReader().load(Image.new("RGB", (400, 200), "white")).page(1)
        assert page.lines == ()
        assert "not read" in page.notices[-1].text


def test_the_engine_knows_its_languages_and_reads_by_picture() -> None:
    engine = FakeOCR(
        lambda image: page_from_text("wide" if image.width > 5 else "narrow").words, languages=["jpn"]
    )
    assert [engine.recognise(Image.new("L", (w, 1)), languages=["jpn"])[0].text for w in (9, 2)] == [
        "wide",
        "narrow",
    ]
    with pytest.raises(OCRLanguageMissing, match="eng"):
        engine.recognise(Image.new("L", (9, 9)))


def test_pages_round_trip(document: Document) -> None:
    assert Page.from_json(document.pages[0].to_json()) == document.pages[0]
