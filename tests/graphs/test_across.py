"""One field of several documents: computed by code, with the cells as evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from layoutllm_graphs.across import Across, AcrossOutcome, across, read_task
from layoutllm_graphs.context import Context
from layoutllm_tool.cli import main
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import DocumentNotFound, PlanError
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool
from tests.pdfs import make_pdf, text


def invoice(name: str, number: str, total: str, company: str = "Acme GmbH") -> Document:
    return document_from_text(
        f"INVOICE\nInvoice number:   {number}\nCompany:   {company}\nTotal:   {total}", name=name
    )


BANK = "Bank statement\nPaid   INV-12   99.50\nPaid   INV-1   120.00"
DOCUMENTS = {
    "a.pdf": invoice("a.pdf", "INV-1", "£120.00"),
    "b.pdf": invoice("b.pdf", "INV-2", "£99.50"),
    "c.pdf": invoice("c.pdf", "INV-12", "£99.50", "Zeta AG"),
    "bank.pdf": document_from_text(BANK, name="bank.pdf"),
    "odd.pdf": invoice("odd.pdf", "", "a lot"),
    "usd.pdf": invoice("usd.pdf", "INV-3", "USD 5.00"),
}


def asked(task: str | Across, *names: str, **more: Any) -> AcrossOutcome:
    tool = LayoutLLMTool(reader=FakeReader(), documents=DOCUMENTS)
    return across(
        [f"{name}.pdf" for name in names], task, context=Context(tool, second_opinion=False, **more)
    )


def test_totals_are_compared() -> None:
    found = asked("Compare the totals of these two invoices", "a", "b")
    assert (found.answer, found.formula, found.verdict) == ("a.pdf", "120.00 > 99.50", "satisfied")
    assert [(cell.document, cell.text, cell.page) for cell in found.cells] == [
        ("a.pdf", "£120.00", 1), ("b.pdf", "£99.50", 1),
    ]  # fmt: skip
    assert all(cell.box for cell in found.cells)


@pytest.mark.parametrize(
    ("task", "names", "answer"),
    [
        ("compare the totals", "bc", "b.pdf; c.pdf"),
        ("Compare the vendors of both documents.", "ab", "yes"),
        ("compare the vendor", "ac", "no"),
        ("compare all totals", "bac", "a.pdf, £120.00; b.pdf, £99.50; c.pdf, £99.50"),
        ("add up the totals", "abc", "319.00"),
        ("What is the sum of the totals of all invoices?", "ab", "219.50"),
        ("Which invoice has the highest total?", "bac", "a.pdf"),
        ("which has the lowest total", "ab", "b.pdf"),
    ],
)
def test_what_is_computed(task: str, names: str, answer: str) -> None:
    found = asked(task, *names)
    assert (found.answer, found.reasons) == (answer, [])


def test_what_is_missing_in_another_document_is_looked_for_by_its_key() -> None:
    found = asked("Which invoices are not in the statement?", "a", "b", "c", "bank")
    assert (found.answer, found.formula) == ("b.pdf", "2 of 3 keys stand in bank.pdf")
    places = [cell.found for cell in found.cells]
    assert places[1] is None and places[0] is not None and places[2] is not None
    assert places[0]["text"] == "INV-1" and places[0]["box"] != places[2]["box"]


def test_another_key_and_nothing_missing() -> None:
    found = asked("which invoices are missing from bank by total", "a", "b", "bank")
    assert found.answer == "none" and [cell.text for cell in found.cells] == ["£120.00", "£99.50"]


def test_a_document_without_the_key_is_not_said_to_be_missing() -> None:
    found = asked(Across("missing_in", "weight", "bank.pdf"), "a", "bank")
    assert found.answer == "none" and found.verdict == "failed" and found.reasons == ["a.pdf has no key."]


def test_what_is_no_number_or_of_another_currency_is_never_computed() -> None:
    for names in (("a", "odd"), ("a", "usd")):
        found = asked("add up the totals", *names)
        assert found.answer is None and found.verdict == "failed" and found.reasons


def test_a_doubtful_value_makes_the_answer_doubtful() -> None:
    found = asked(Across("sum", "total"), "a", "b", min_confidence=1.1)
    assert found.answer == "219.50" and found.reasons == ["a.pdf is doubtful.", "b.pdf is doubtful."]


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("What is the total?", "ab"), ("compare the totals", "a"), ("compare the totals", "aa"),
        ("which invoices are not in the ledger", "ab"), ("which letters are not in the invoice", "abc"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(task: str, names: str) -> None:
    with pytest.raises(PlanError):
        asked(task, *names)


def test_a_document_that_is_not_there_is_told() -> None:
    with pytest.raises(DocumentNotFound, match="none"):
        asked("compare the totals", "a", "none")


@pytest.mark.parametrize(
    ("task", "read"),
    [
        ("Compare the due dates of these two", Across("compare", "due date")),
        ("add up all net amounts", Across("sum", "net amount")),
        ("Which of these is the oldest contract date?", Across("minimum", "contract date")),
        ("Which orders are missing from bank.pdf?", Across("missing_in", "order number", "bank.pdf")),
    ],
)
def test_tasks_in_words(task: str, read: Across) -> None:
    assert read_task(task, DOCUMENTS) == read


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.pdf", tmp_path / "b.pdf"]
    for file, total in zip(files, ("12.50", "99.00"), strict=True):
        file.write_bytes(
            make_pdf(text("Invoice 4711 of the year", 72, 700) + text(f"Total: {total}", 72, 640))
        )
    assert main(["across", *map(str, files), "--task", "compare the totals"], reader=FakeReader()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answer"].endswith("b.pdf") and found["formula"] == "12.50 < 99.00"
    assert main(["across", *map(str, files), "--task", "compare the weight"], reader=FakeReader()) == 3
    assert "is missing" in capsys.readouterr().err
