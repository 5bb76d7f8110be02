"""The reader on a tiny model: caching, batching, windows, pages, corrections, events. Real OCR in the slow
tests elsewhere.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PIL import Image

from layoutllm_tool.cot import Correction, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Document
from layoutllm_tool.errors import CorrectionError, PageOutOfRange, QuestionError
from layoutllm_tool.protocols import Progress, Reader
from layoutllm_tool.readers.local import LayoutLLMReader
from layoutllm_tool.testing import FakeOCR
from tests import tiny

TEXT = """
ACME Trading Ltd        Invoice 12-7
Total         42.10
Vendor: ACME            Vendor: Other
"""
QUESTIONS = ["What is the total?", "Who is the vendor?", "What is the IBAN?"]


@pytest.fixture(scope="module")
def reader() -> Iterator[LayoutLLMReader]:
    with LayoutLLMReader(model=tiny.smol()) as found:
        yield found


def document(*texts: str) -> Document:
    pages = tuple(replace(tiny.page(text), number=i) for i, text in enumerate(texts, start=1))
    return Document("doc", f"sha-{hash(texts)}", pages)


def plain(cot: LayoutCoT) -> tuple[object, ...]:
    return cot.analysis, cot.areas, cot.formation, cot.answer, cot.evidence


def test_it_is_a_reader(reader: LayoutLLMReader) -> None:
    assert isinstance(reader, Reader)


def test_many_at_once_equal_one_by_one(reader: LayoutLLMReader) -> None:
    page = document(TEXT)
    together = reader.ask_many(page, QUESTIONS)
    assert [cot.question for cot in together] == QUESTIONS
    for question, cot in zip(QUESTIONS, together, strict=True):
        assert plain(cot) == plain(reader.ask(page, question))


def test_a_fresh_reader_answers_as_a_warm_one(reader: LayoutLLMReader) -> None:
    page = document(TEXT)
    reader.ask(page, QUESTIONS[0])
    with LayoutLLMReader(model=tiny.smol()) as fresh:
        assert plain(fresh.ask(page, QUESTIONS[1])) == plain(reader.ask(page, QUESTIONS[1]))


def test_a_page_is_read_once_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    from layoutllm_tool.model.decoding import CoTDecoder

    reads: list[object] = []
    read = CoTDecoder.read

    def counted(self: CoTDecoder, window):  # type: ignore[no-untyped-def]
        reads.append(window)
        return read(self, window)

    monkeypatch.setattr(CoTDecoder, "read", counted)
    with LayoutLLMReader(model=tiny.smol()) as found:
        page = document(TEXT)
        found.ask_many(page, QUESTIONS)
        found.ask(page, "Once more?")
        found.ask(page, QUESTIONS[0], correction=Correction("area", boxes=(Box(0, 0, 1000, 1000),)))
    assert len(reads) == 1


def test_a_small_budget_forgets_pages_and_changes_nothing() -> None:
    first, second = document(TEXT), document("Other page\nTotal 1.00")
    with (
        LayoutLLMReader(model=tiny.smol(), cache_bytes=1) as poor,
        LayoutLLMReader(model=tiny.smol()) as rich,
    ):
        for page in (first, second, first):
            assert plain(poor.ask(page, QUESTIONS[0])) == plain(rich.ask(page, QUESTIONS[0]))


def test_threads_and_tasks_get_their_own_answers(reader: LayoutLLMReader) -> None:
    pages = [document(TEXT), document("Vendor: B\nTotal  9.99")]
    expected = {(i, q): plain(reader.ask(page, q)) for i, page in enumerate(pages) for q in QUESTIONS}
    found: dict[tuple[int, str], object] = {}

    def ask(i: int, question: str) -> None:
        found[i, question] = plain(reader.ask(pages[i], question))

    threads = [threading.Thread(target=ask, args=key) for key in expected for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


async def test_concurrent_tasks(reader: LayoutLLMReader) -> None:
    page = document(TEXT)
    together = await asyncio.gather(*(reader.aask(page, question) for question in QUESTIONS))
    assert [plain(cot) for cot in together] == [plain(reader.ask(page, question)) for question in QUESTIONS]


async def test_the_stream_tells_the_three_steps_in_order(reader: LayoutLLMReader) -> None:
    for texts in ((TEXT,), (TEXT, TEXT + "\nmore")):
        page = document(*texts)
        events = [event async for event in reader.astream(page, QUESTIONS[0])]
        names = [event.event for event in events]
        assert names[: len(texts)] == ["page"] * len(texts)
        assert names[len(texts) :] == ["question_analysis", "relevant_area_concentration", "answer_formation"]
        assert LayoutCoT.from_json(events[-1].data).answer == reader.ask(page, QUESTIONS[0]).answer


def test_windows_and_pages_are_all_asked_and_named(reader: LayoutLLMReader) -> None:
    long = "\n".join(f"row {i} holds {i}" for i in range(30))
    seen: list[Progress] = []
    cot = reader.ask(document(long, TEXT), QUESTIONS[0], on_progress=seen.append)
    assert [e.data["page"] for e in seen if e.event == "page"].count(2) == 1
    assert len([e for e in seen if e.event == "page"]) > 2
    if cot.answer is not None:
        assert cot.page in (1, 2) and cot.areas[0].page == cot.page


def test_only_the_page_asked_for(reader: LayoutLLMReader) -> None:
    cot = reader.ask(document("first page", TEXT), QUESTIONS[0], page=2)
    assert cot.page in (2, None)
    with pytest.raises(PageOutOfRange, match="no page 3"):
        reader.ask(document("a", "b"), QUESTIONS[0], page=3)


def test_a_box_makes_the_reader_look_there(reader: LayoutLLMReader) -> None:
    page = document(TEXT)
    first = reader.ask(page, "Who is the vendor?")
    line = (page.pages[0].lines or ())[-1]
    here = Correction("area", boxes=(line.box,))
    mended = reader.ask(page, "Who is the vendor?", correction=here, previous=first)
    assert mended.analysis == first.analysis  # kept from the first attempt
    assert [area.lines for area in mended.areas] == [(len(page.pages[0].lines or ()) - 1,)]
    assert all(word[0] == mended.areas[0].lines[0] for e in mended.evidence for word in e.words)


def test_two_interleaved_runs_each_mend_their_own_attempt(reader: LayoutLLMReader) -> None:
    page, question = document(TEXT), "Who is the vendor?"
    first = reader.ask(page, question)
    other = replace(first, analysis=QuestionAnalysis("table", "extraction", "total"))
    everywhere = Correction("area", boxes=(Box(0, 0, 1000, 1000),))
    for previous in (first, other, None, other, first):
        mended = reader.ask(page, question, correction=everywhere, previous=previous)
        assert mended.analysis == (previous or first).analysis


def test_spatial_words_and_boxes_to_avoid_restrict_the_area(reader: LayoutLLMReader) -> None:
    page = document(TEXT)
    lines = page.pages[0].lines or ()
    right = reader.ask(page, "Who is the vendor?", correction=Correction("area", spatial="right"))
    assert all(lines[i].box.center[0] >= 500 for area in right.areas for i in area.lines)
    avoided = reader.ask(
        page, "Who is the vendor?", correction=Correction("area", avoid=(Box(0, 0, 1000, 500),))
    )
    assert all(lines[i].box.center[1] > 400 for area in avoided.areas for i in area.lines)


def test_an_analysis_given_is_the_analysis_used(reader: LayoutLLMReader) -> None:
    mended = reader.ask(
        document(TEXT), "Who?", correction=Correction("analysis", text="vendor", kind="table")
    )
    assert (mended.analysis.kind, mended.analysis.key) == ("table", "vendor")


def test_an_answer_of_a_type_that_is_not_the_wrong_one(reader: LayoutLLMReader) -> None:
    page = document(TEXT)
    everywhere = Correction("area", boxes=(Box(0, 0, 1000, 1000),))
    looked = reader.ask(page, "How much?", correction=everywhere)
    looked = replace(looked, analysis=QuestionAnalysis("key-value", "extraction", "total"))
    typed = Correction("answer", expected_type="money")
    assert reader.ask(page, "How much?", correction=typed, previous=looked).answer == "42.10"
    never = Correction("answer", expected_type="money", wrong=("42.10",))
    assert reader.ask(page, "How much?", correction=never, previous=looked).answer is None


def test_a_correction_that_points_at_nothing_says_so(reader: LayoutLLMReader) -> None:
    with pytest.raises(CorrectionError, match="cover at least half of a line"):
        reader.ask(document(TEXT), "Who?", correction=Correction("area", boxes=(Box(990, 990, 1000, 1000),)))


def test_bad_questions_are_refused_before_anything_is_asked(reader: LayoutLLMReader) -> None:
    with pytest.raises(QuestionError, match="empty"):
        reader.ask_many(document(TEXT), ["fine?", "  "])
    with pytest.raises(QuestionError, match="2000"):
        reader.ask(document(TEXT), "x" * 3000)


def test_a_failing_model_reaches_every_caller() -> None:
    found = LayoutLLMReader(weights=__import__("pathlib").Path("/nonexistent"))
    for _ in range(2):
        with pytest.raises(Exception, match="lacks config"):
            found.ask(document(TEXT), "Who?")
    found.close()
    with pytest.raises(RuntimeError, match="closed"):
        found.ask(document(TEXT), "Who?")


def test_ocr_runs_once_a_page(tmp_path) -> None:  # type: ignore[no-untyped-def]
    class Counting(FakeOCR):
        calls = 0

        def recognise(self, image, *, languages=("eng",)):  # type: ignore[no-untyped-def]
            Counting.calls += 1
            return super().recognise(image, languages=languages)

    words = [word for line in tiny.page(TEXT).lines or () for word in line.words]
    Image.effect_noise((200, 200), 80).save(tmp_path / "page.png")
    with LayoutLLMReader(model=tiny.smol(), engine=Counting(words)) as found:
        loaded = found.load(tmp_path / "page.png")
        before = Counting.calls
        again = found.load(tmp_path / "page.png")
    assert loaded.pages[0].lines == again.pages[0].lines and Counting.calls == before > 0


def test_words_handed_in_replace_recognition() -> None:
    given = tiny.page(TEXT)
    assert given.image is not None
    with LayoutLLMReader(model=tiny.smol(), engine=FakeOCR([])) as found:
        loaded = found.load(given.image, words=[given])
    assert loaded.pages[0].lines == given.lines and loaded.pages[0].image is not None


async def test_a_cancelled_question_is_decoded_no_further_and_the_next_one_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of twenty pages, those that are left when its caller goes are not read."""
    from layoutllm_tool.model.decoding import CoTDecoder

    read, pages, begun = CoTDecoder.read, list[int](), asyncio.Event()
    loop = asyncio.get_running_loop()

    def counted(self: CoTDecoder, window):  # type: ignore[no-untyped-def]
        pages.append(window.page.number)
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.1)  # as a real page takes
        return read(self, window)

    monkeypatch.setattr(CoTDecoder, "read", counted)
    long, short = document(*(f"{TEXT}\nPage {n}" for n in range(20))), document(TEXT)
    with LayoutLLMReader(model=tiny.smol()) as found:
        asking = asyncio.create_task(found.aask(long, QUESTIONS[0]))
        await begun.wait()
        asking.cancel()
        since = time.monotonic()
        answer = await found.aask(short, QUESTIONS[0])
        assert time.monotonic() - since < 2 and len(pages) < 8
        with pytest.raises(asyncio.CancelledError):
            await asking
    with LayoutLLMReader(model=tiny.smol()) as fresh:
        assert plain(fresh.ask(short, QUESTIONS[0])) == plain(answer)
