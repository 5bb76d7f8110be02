"""A reviewer's decision on one field: the other pending fields stay pending, and the store is all that is
needed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layoutllm_graphs.batch.review import attempts, change_plan, review_field
from layoutllm_graphs.planning.plan import Plan, PlannedQuestion
from layoutllm_graphs.planning.planner import plan_task
from layoutllm_graphs.review import ReviewDecision
from layoutllm_tool.batch.store import DocumentResult, Field, Input, Store
from layoutllm_tool.batch.tables import write_tables
from layoutllm_tool.cot import AnswerFormation, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import DocumentUnreadable, StoreMismatch
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool
from tests.batch_pages import answered
from tests.paths import ROOT

PAGE = "ACME Ltd\nInvoice no: 4711\nDate: 2 May 2024\nTotal: 12.50"
KEY = "k" * 32
_KILLED = """
import os, signal, sys
from pathlib import Path
from typing import Any
from layoutllm_graphs.batch.review import review_field
from layoutllm_graphs.review import ReviewDecision
from layoutllm_graphs.runs import checkpoints
from layoutllm_tool.batch.store import Store
from layoutllm_tool.testing import FakeReader, document_from_text
from tests.graphs.batch.test_review import KEY, PAGE

folder, Store.reviewed = Path(sys.argv[1]), lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with Store.open(folder) as store:
    document, word = document_from_text(PAGE, name="a.png"), ReviewDecision(answer="12.50")
    review_field(store, KEY, "total", word, reader=FakeReader(), opened=lambda _: document)
"""


def doubtful(question: str, answer: str) -> LayoutCoT:
    """Said to be copied, but standing nowhere."""
    analysis = QuestionAnalysis("key-value", "extraction", "Total" if "total" in question.lower() else "Date")
    return LayoutCoT(question, analysis, (), AnswerFormation("right of", "x"), answer, 0.2)


@pytest.fixture
def parked(tmp_path: Path) -> Iterator[tuple[Store, Document, FakeReader]]:
    """A document whose date and total are doubtful: the reader's answers stand nowhere on the page."""
    document = document_from_text(PAGE, name="a.png")
    plan = plan_task(["date", "total", "invoice no"]).plan
    texts = {question.name: question.text for question in plan.questions}
    reader = FakeReader({texts["date"]: doubtful(texts["date"], "9 June 1999")})
    reader.answers[texts["total"]] = doubtful(texts["total"], "99.99")
    data = plan.model_dump(mode="json")
    with Store.open(tmp_path, {"plan": data, "max_attempts": 1}) as store:
        tool = LayoutLLMTool(reader=reader, documents={"a.png": document})
        store.enter([Input(0, "a.png", None, KEY)])
        fields = answered(KEY, "a.png", data, tool)
        store.put(DocumentResult(KEY, "done", "failed", sha256=document.sha256, pages=1), fields)
        reader.answers.clear()
        yield store, document, reader


def said(parked, name: str, reply: dict) -> dict[str, Field]:  # type: ignore[no-untyped-def, type-arg]
    store, document, reader = parked
    word = ReviewDecision.model_validate(reply)
    return {f.name: f for f in review_field(store, KEY, name, word, reader=reader, opened=lambda _: document)}


def box_of(document: Document, text: str) -> list[float]:
    box = next(line.box for line in document.pages[0].lines or () if text in line.text)
    return [box.x0, box.y0, box.x1, box.y1]


def test_one_field_is_answered_and_the_others_wait_on(parked) -> None:  # type: ignore[no-untyped-def]
    store = parked[0]
    assert {f.name for f in store.find(pending_review=True)[1]} == {"date", "total"}
    boxes = {"step": "area", "page": 1, "boxes": [box_of(parked[1], "Total")]}
    fields = said(parked, "total", {"correction": boxes})
    assert fields["total"].answer["answer"] == "12.50" and fields["total"].answer["by"] == "person"
    assert not fields["total"].pending_review and fields["date"].pending_review
    assert [f.name for f in store.find(pending_review=True)[1]] == ["date"]
    assert len(attempts(parked[0], KEY, "total")) == 2
    said(parked, "date", {"absent": True})
    assert (
        list(store.find(pending_review=True)[1]) == []
        and store.field(KEY, "total").answer["answer"] == "12.50"
    )
    assert [(r.name, r.before["answer"]) for r in store.reviews()] == [
        ("total", "99.99"),
        ("date", "9 June 1999"),
    ]


def test_an_answer_by_hand_is_found_on_the_page(parked) -> None:  # type: ignore[no-untyped-def]
    found = said(parked, "date", {"answer": "2 May 2024"})["date"].answer
    assert (found["answer"], found["verdict"], found["by"]) == ("2 May 2024", "satisfied", "person")
    assert found["page"] == 1 and found["cot"]["grounded"]
    elsewhere = said(parked, "total", {"answer": "nowhere here"})["total"].answer
    assert elsewhere["box"] is None and elsewhere["answer"] == "nowhere here"


@pytest.mark.parametrize("known", [False, True])
def test_a_satisfied_field_and_one_without_a_full_result_are_reviewed_too(  # type: ignore[no-untyped-def]
    parked, known: bool
) -> None:
    store = parked[0]
    if not known:  # as a store of an earlier version has them
        store.put(store.document(KEY), [replace(field, result=None) for field in store.fields(KEY)])
    correction = {"step": "area", "page": 1, "boxes": [box_of(parked[1], "Date")]}
    assert said(parked, "invoice_no", {"answer": "4712"})["invoice_no"].answer["answer"] == "4712"
    fields = said(parked, "date", {"correction": correction})
    assert fields["date"].answer["answer"] == "2 May 2024" and fields["total"].pending_review
    assert said(parked, "total", {"accept": True})["total"].answer["answer"] == "99.99"
    again = said(parked, "total", {"answer": "12.50"})  # a second word on the same field
    assert again["total"].answer["answer"] == "12.50" and again["invoice_no"].answer["answer"] == "4712"


def test_another_document_under_the_same_name_is_refused(parked) -> None:  # type: ignore[no-untyped-def]
    store, _, reader = parked
    other = document_from_text("something else", name="a.png")
    with pytest.raises(DocumentUnreadable, match="another document"):
        review_field(store, KEY, "date", ReviewDecision(accept=True), reader=reader, opened=lambda _: other)
    with pytest.raises(StoreMismatch):
        review_field(
            store, KEY, "nothing", ReviewDecision(accept=True), reader=reader, opened=lambda _: other
        )
    assert store.reviews() == []


@pytest.mark.parametrize("first", ["total", "date"])
def test_killed_before_it_is_stored_nothing_was_decided(  # type: ignore[no-untyped-def]
    parked, tmp_path: Path, first: str
) -> None:
    store = parked[0]
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)], cwd=ROOT, timeout=120, check=False
    )
    assert killed.returncode == -signal.SIGKILL and store.reviews() == []
    assert [one["cot"]["answer"] for one in attempts(store, KEY, "total")] == ["99.99"]
    assert store.field(KEY, "total").answer["answer"] == "99.99"
    words: dict[str, dict[str, Any]] = {"total": {"answer": "12.50"}, "date": {"absent": True}}
    said(parked, first, words.pop(first))
    ((other, word),) = words.items()
    assert [f.name for f in store.find(pending_review=True)[1]] == [other]
    said(parked, other, word)
    assert {r.name: r.before["answer"] for r in store.reviews()} == {"date": "9 June 1999", "total": "99.99"}
    assert [one["cot"]["answer"] for one in attempts(store, KEY, "total")] == ["99.99", "12.50"]
    assert store.find(pending_review=True)[0] == 0


def test_what_fails_after_the_word_is_as_if_it_was_never_said(  # type: ignore[no-untyped-def]
    parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = parked[0]
    correction = {"correction": {"step": "area", "page": 1, "boxes": [box_of(parked[1], "Total")]}}
    with monkeypatch.context() as patched:
        patched.setattr(Store, "reviewed", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
        with pytest.raises(OSError, match="full"):
            said(parked, "total", correction)
    assert {f.name for f in store.find(pending_review=True)[1]} == {"date", "total"} and store.reviews() == []
    fields = said(parked, "total", correction)
    assert (fields["total"].answer["answer"], fields["total"].answer["calls"]) == ("12.50", 2)
    assert len(attempts(parked[0], KEY, "total")) == 2 and fields["date"].pending_review


def test_a_queued_field_waits_on_while_others_are_reviewed(parked) -> None:  # type: ignore[no-untyped-def]
    store = parked[0]
    assert not store.field(KEY, "invoice_no").pending_review and store.queue([KEY]) == 3
    fields = said(
        parked, "total", {"correction": {"step": "area", "page": 1, "boxes": [box_of(parked[1], "Total")]}}
    )
    assert [name for name, field in fields.items() if field.pending_review] == ["date", "invoice_no"]
    fields = said(parked, "date", {"answer": "2 May 2024"})
    assert [name for name, field in fields.items() if field.pending_review] == ["invoice_no"]
    fields = said(parked, "invoice_no", {"accept": True})
    assert not any(field.pending_review for field in fields.values()) and len(store.reviews()) == 3
    assert {field.answer["by"] for field in fields.values()} == {"person"}


def test_a_word_after_the_end_counts_where_it_makes_others_doubtful(tmp_path: Path) -> None:
    """The run had ended, with answers; the sum no longer holds after the decision."""
    document = document_from_text("Subtotal:  10.00\nTax:  2.00\nTotal:  12.00", name="a.png")
    plan = plan_task("Extract subtotal, tax and total; check that subtotal plus tax equals the total").plan
    data, reader = plan.model_dump(mode="json"), FakeReader()
    with Store.open(tmp_path, {"plan": data, "max_attempts": 1}) as store:
        tool = LayoutLLMTool(reader=reader, documents={"a.png": document})
        found = answered(KEY, "a.png", data, tool)
        assert {field.answer["verdict"] for field in found} == {"satisfied"}
        store.enter([Input(0, "a.png", None, KEY)])
        store.put(DocumentResult(KEY, "done", sha256=document.sha256, pages=1), found)
        given = ReviewDecision(answer="99.00")
        fields = {
            f.name: f
            for f in review_field(store, KEY, "total", given, reader=reader, opened=lambda _: document)
        }
        assert (fields["total"].answer["answer"], fields["total"].answer["by"]) == ("99.00", "person")
        assert any(field.pending_review for field in fields.values()) and not fields["total"].pending_review


def test_another_plan_of_one_document_is_kept_and_exported(parked, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    store, document, reader = parked
    said(parked, "total", {"answer": "12.50"})
    plan = Plan.model_validate(store.plan(KEY))
    asked = [PlannedQuestion(name="number", text="What is the invoice no?"), *plan.questions[1:2]]
    reader.calls.clear()
    fields = change_plan(store, KEY, Plan(questions=asked), reader=reader, opened=lambda _: document)
    assert [(f.name, f.answer["answer"], f.answer["by"]) for f in fields] == [
        ("number", "4711", "reader"), ("total", "12.50", "person"),
    ]  # fmt: skip
    assert [call.question for call in reader.calls] == ["What is the invoice no?"]
    assert [q["name"] for q in store.plan(KEY)["questions"]] == ["number", "total"]
    assert len(store.settings["plan"]["questions"]) == 3 and len(store.reviews()) == 1
    write_tables(store, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "fields.jsonl").read_text().splitlines()]
    assert [(row["field"], row["value"]) for row in rows] == [("number", "4711"), ("total", "12.50")]
    again = said(parked, "number", {"again": True})
    assert again["number"].answer["answer"] == "4711" and again["total"].answer["by"] == "person"
    with pytest.raises(StoreMismatch, match="no field 'date'"):
        review_field(store, KEY, "date", ReviewDecision(again=True), reader=reader, opened=lambda _: document)
