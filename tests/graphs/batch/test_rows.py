"""Tables and records in a batch: a schema's rows reach the store, the exports and the reviewer, the same
however often the batch was cut off.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from layoutllm_graphs.batch.review import attempts, review_field
from layoutllm_graphs.batch.runner import Batch, here
from layoutllm_graphs.batch.worker import Settings
from layoutllm_graphs.reflection.types import QuestionResult
from layoutllm_graphs.review import ReviewDecision, decided
from layoutllm_graphs.state import Run
from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.sources import open_document
from layoutllm_tool.batch.store import Field, Store
from layoutllm_tool.batch.tables import TIMINGS, document_rows, write_tables
from layoutllm_tool.cli import main
from layoutllm_tool.errors import StoreMismatch
from layoutllm_tool.review_app.export import export
from layoutllm_tool.testing import FakeReader
from tests.batch_pages import ORDER, items, order, without
from tests.paths import ROOT
from tests.pdfs import make_pdf, text

SETTINGS = Settings.of(ORDER, model={"reader": "fake"}, max_attempts=1, second_opinion=False)
_PROPERTIES: Any = ORDER["properties"]
NOTE = {"type": ["string", "null"], "description": "Who wrote it?"}
ASKED = Settings.of(
    {**ORDER, "properties": {**_PROPERTIES, "note": NOTE}},
    model={"reader": "fake"}, max_attempts=1, second_opinion=False,
)  # fmt: skip
"""The reader is asked for the note alone: the structure of the page has the rest."""
TABLES = ("documents", "fields", "rows")
SHOWN = "Widget A | 1 | 2.50; Widget B | 2 | 3.50; Widget C | 3 | 4.50"
"""The rows of ``order(2)`` as an answer's text."""
_MORTAL = """
import os, signal, sys
from pathlib import Path
from layoutllm_graphs.batch.runner import Batch, here
from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.testing import FakeReader
from tests.graphs.batch.test_rows import ASKED

class Mortal(FakeReader):
    def ask(self, document, question, **options):
        if "3" in [word.text for page in document.pages for word in page.words][2]:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().ask(document, question, **options)

with Batch(batch_inputs(sys.argv[1]), Path(sys.argv[2]), ASKED) as batch:
    batch.run(here(Mortal(), ASKED))
"""


def tables(out: Path) -> dict[str, list[Any]]:
    read = {name: (out / f"{name}.jsonl").read_text().splitlines() for name in TABLES}
    found = {name: [json.loads(row) for row in rows] for name, rows in read.items()}
    return found | {"documents": without(found["documents"], TIMINGS)}


def run(source: Path, out: Path, settings: Settings = SETTINGS) -> dict[str, list[Any]]:
    with Batch(batch_inputs(str(source)), out, settings) as batch:
        batch.run(here(FakeReader(), settings))
        write_tables(batch.store, out)
    return tables(out)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Five orders, one of them with an amount that is no number, and one that is no document."""
    (tmp_path / "in").mkdir()
    for number in range(1, 6):
        (tmp_path / "in" / f"{number}.pdf").write_bytes(order(number, damaged=number == 4))
    (tmp_path / "in" / "broken.pdf").write_bytes(b"nothing")
    return tmp_path / "in"


def test_a_documents_record_its_rows_and_each_cell(source: Path, tmp_path: Path) -> None:
    found = run(source, tmp_path / "out")
    records = {Path(row["document"]).stem: row["record"] for row in found["documents"]}
    assert records["2"] == {"vendor": "Shop 2", "total": 10.5, "items": items(2)}
    assert [item["amount"] for item in records["4"]["items"]] == [4.5, None, 6.5]
    assert records["broken"] is None
    by = {(Path(row["document"]).stem, row["field"]): row for row in found["fields"]}
    assert by["2", "vendor"]["rows"] is None and by["broken", "items"]["rows"] is None
    assert by["2", "items"]["value"] == SHOWN and len(by["2", "items"]["rows"]) == 3
    cell = by["2", "items"]["rows"][1]["amount"]
    assert (cell["text"], cell["page"]) == ("3.50", 1) and len(cell["box"]) == 4 and cell["confidence"] > 0.5
    mine = [row for row in found["rows"] if Path(row["document"]).stem == "2"]
    assert [(row["row"], row["column"], row["text"], row["value"]) for row in mine[3:6]] == [
        (1, "description", "Widget B", "Widget B"), (1, "quantity", "2", "2"), (1, "amount", "3.50", "3.5"),
    ]  # fmt: skip
    assert {name: mine[5][name] for name in cell} == cell and mine[5]["field"] == "items"
    assert len(found["rows"]) == 5 * 3 * 3


def test_a_value_that_the_record_lacks_makes_its_field_wait(source: Path, tmp_path: Path) -> None:
    found = run(source, tmp_path / "out")
    pending = [row for row in found["fields"] if row["waiting"]]
    assert [(Path(row["document"]).stem, row["field"], row["verdict"]) for row in pending] == [
        ("4", "items", "failed")
    ]
    assert pending[0]["reasons"] == ["/items/1/amount: '1.5.0' is not understood as a number."]
    assert [row["verdict"] for row in found["documents"] if row["waiting"]] == ["failed"]
    assert [row["value"] for row in found["rows"] if row["text"] == "1.5.0"] == [None]


def test_the_reader_is_asked_only_for_what_the_structure_leaves_open(source: Path, tmp_path: Path) -> None:
    reader = FakeReader()
    with Batch(batch_inputs(str(source)), tmp_path / "out", ASKED) as batch:
        batch.run(here(reader, ASKED))
    assert [call.question for call in reader.calls] == ["Who wrote it?"] * 5


def test_a_value_beside_its_printed_label_is_not_asked_for(tmp_path: Path) -> None:
    lines = [("Invoice No:", 72, 700), ("4711", 200, 700), ("Total:", 72, 560), ("3.50", 200, 560)]
    (tmp_path / "a.pdf").write_bytes(make_pdf("".join(text(words, x, y) for words, x, y in lines)))
    schema = {"properties": {name: {"type": "string"} for name in ("total", "invoice_number")}}
    settings, reader = Settings.of(schema, model={"reader": "fake"}, second_opinion=False), FakeReader()
    with Batch(batch_inputs(str(tmp_path / "a.pdf")), tmp_path / "out", settings) as batch:
        batch.run(here(reader, settings))
        (done,) = document_rows(batch.store)
    assert done["record"] == {"total": "3.50", "invoice_number": "4711"} and not reader.calls


def test_parquet_holds_the_same_and_its_columns_are_the_documented_ones(source: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    found = run(source, tmp_path / "out")
    page = (ROOT / "docs" / "batches.md").read_text()
    for name in TABLES:
        read = parquet.read_table(tmp_path / "out" / f"{name}.parquet")
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert [part.strip(" `") for part in line.split("|")[3].split(",")] == read.column_names
        rows = read.to_pylist()
        if name == "documents":
            rows = [{**row, "record": json.loads(row["record"] or "null")} for row in without(rows, TIMINGS)]
        assert rows == found[name]
    kind = parquet.read_schema(tmp_path / "out" / "fields.parquet").field("rows").type.value_type
    assert [field.name for field in kind] == ["description", "quantity", "amount"]
    assert [field.name for field in kind.field("amount").type] == ["text", "page", "box", "confidence"]


def test_ctrl_c_leaves_a_row_for_every_input(source: Path, tmp_path: Path) -> None:
    class Stops(FakeReader):
        def load(self, source: Any, **options: Any) -> Any:
            raise KeyboardInterrupt

    inputs = list(batch_inputs(str(source)))
    with Batch(inputs, tmp_path / "out", SETTINGS) as batch:
        with pytest.raises(KeyboardInterrupt):
            batch.run(here(Stops(), SETTINGS))
        rows = list(document_rows(batch.store))
    assert [row["document"] for row in rows] == [given.name for given in inputs]
    assert {row["status"] for row in rows} == {"pending"}


def test_interrupted_and_continued_the_rows_are_the_same(source: Path, tmp_path: Path) -> None:
    class Stops(FakeReader):
        def ask(self, document: Any, question: str, **options: Any) -> Any:
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().ask(document, question, **options)

    with (
        Batch(batch_inputs(str(source)), tmp_path / "cut", ASKED) as batch,
        pytest.raises(KeyboardInterrupt),
    ):
        batch.run(here(Stops(), ASKED))
    with Store.open(tmp_path / "cut") as store:
        assert store.statuses() == {"done": 2}
    assert run(source, tmp_path / "cut", ASKED) == run(source, tmp_path / "whole", ASKED)


@pytest.mark.slow
def test_killed_and_continued_the_rows_are_the_same(source: Path, tmp_path: Path) -> None:
    begin = [sys.executable, "-c", _MORTAL, str(source), str(tmp_path / "killed")]
    killed = subprocess.run(begin, cwd=ROOT, check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    with Store.open(tmp_path / "killed") as store:
        assert store.statuses() == {"done": 2}
    assert run(source, tmp_path / "killed", ASKED) == run(source, tmp_path / "whole", ASKED)


# -- review --------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A batch of ``order(2)`` alone."""
    (tmp_path / "2.pdf").write_bytes(order(2))
    run(tmp_path / "2.pdf", tmp_path / "out")
    with Store.open(tmp_path / "out") as store:
        yield store


def decide(store: Store, name: str, **decision: Any) -> tuple[Field, Any]:
    """The field and the document's record after the decision."""
    (source,) = store.inputs()
    word = ReviewDecision.model_validate(decision)
    after = review_field(store, source.key, name, word, reader=FakeReader(), opened=open_document)
    document = store.document(source.key)
    return next(field for field in after if field.name == name), document.record if document else None


def test_an_accepted_table_keeps_its_rows_and_another_field_changes_the_record(store: Store) -> None:
    field, record = decide(store, "items", accept=True)
    assert field.answer["by"] == "person" and field.answer["answer"] == SHOWN and record["items"] == items(2)
    field, record = decide(store, "total", answer="99.00")
    assert record == {"vendor": "Shop 2", "total": 99, "items": items(2)} and not field.pending_review
    assert [one.name for one in store.reviews()] == ["items", "total"]
    assert [one.name for one in store.decisions()] == ["total"]  # nothing to train on for a table


def test_a_table_corrected_by_hand_changes_its_rows(store: Store) -> None:
    before = store.fields(next(store.inputs()).key)[2].answer["rows"]
    field, record = decide(store, "items", answer=SHOWN.replace("3.50", "3.99"))
    assert [item["amount"] for item in record["items"]] == [2.5, 3.99, 4.5]
    rows = field.answer["rows"]
    assert rows[1]["amount"] == {"text": "3.99", "page": None, "box": None, "confidence": 1.0}
    rows[1]["amount"] = before[1]["amount"]
    assert rows == before  # all other cells keep their places


@pytest.mark.parametrize(
    ("decision", "amounts"),
    [
        ({"answer": "Widget A | | 2.50;Widget D | 7 | 1.00"}, None),
        ({"answer": "Widget A |  | 2.50; Widget D | 7 | 1.00"}, [2.5, 1]),
        ({"answer": "three widgets"}, None),
        ({"absent": True}, None),
        ({"correction": {"step": "area", "page": 1, "boxes": [[0, 900, 1000, 1000]]}}, None),
    ],
)
def test_rows_are_those_of_the_answer_that_stands(
    store: Store, decision: dict[str, Any], amounts: list[float] | None
) -> None:
    field, record = decide(store, "items", **decision)
    assert [item["amount"] for item in record["items"]] == (amounts or [])
    assert len(field.answer["rows"]) == len(amounts or []) and not field.pending_review


def _cell(text: str) -> dict[str, Any]:
    return {"text": text, "page": 1, "box": [1, 2, 3, 4], "confidence": 0.9}


PARTS = [{"label": _cell("A")}, {"label": _cell("B")}]
WITHIN: dict[str, Any] = {"name": _cell("Pen"), "note": None, "parts": PARTS}


@pytest.mark.parametrize(
    ("written", "names", "labels"),
    [
        ("Pen | A | B; Ink", ["Pen", "Ink"], [["A", "B"], []]),
        ("Pens | A | C; Ink", ["Pens", "Ink"], [["A", "C"], []]),
        ("Pen | | B; Ink", ["Pen", "Ink"], [[None, "B"], []]),
        ("Pen | A; Ink", [], []),
        ("Pen | A | B", [], []),
        ("Pen | A | B; Ink; Cap", [], []),
    ],
)
def test_a_row_with_rows_within_is_written_as_it_is_shown(
    written: str, names: list[str], labels: list[list[str]]
) -> None:
    columns = [
        {"name": "name", "words": "name", "path": ["name"]}, {"name": "note", "words": "note"},
        {"name": "parts", "words": "parts", "columns": [{"name": "label", "words": "label"}]},
    ]  # fmt: skip
    plan = {"questions": [{"name": "t", "text": "What are the rows?", "columns": columns}]}
    before: Any = (WITHIN, {"name": _cell("Ink"), "note": None, "parts": []})
    run = Run.of({"document": "a", "plan": plan, "found": {"t": QuestionResult(rows=before).to_json()}})
    word = ReviewDecision(answer=written)
    rows = decided(run.question_input("t"), run.found["t"], word).rows
    assert [row["name"]["text"] for row in rows] == names and not any(row["note"] for row in rows)
    found = [[one["label"] and one["label"]["text"] for one in row["parts"]] for row in rows]
    assert found == labels
    if labels and labels[0][1] == "B":
        assert rows[0]["parts"][1] == WITHIN["parts"][1]  # where it stands on the page


def test_the_exported_page_shows_a_tables_text(store: Store, tmp_path: Path) -> None:
    assert export(tmp_path / "out", tmp_path / "run.html", FakeReader) == []
    assert SHOWN in (tmp_path / "run.html").read_text()


def test_rows_of_another_shape_are_refused(store: Store) -> None:
    (source,) = store.inputs()
    (field,) = [field for field in store.fields(source.key) if field.name == "items"]
    assert field.result
    field.result["rows"][0]["amount"] = {"text": 7}
    document = store.document(source.key)
    assert document
    store.put(document, [field])
    with pytest.raises(StoreMismatch):
        attempts(store, source.key, "items")


# -- how sure ------------------------------------------------------------------------------------------------


def test_what_is_less_sure_than_asked_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "2.pdf").write_bytes(order(2))
    (tmp_path / "schema.json").write_text(json.dumps(ORDER))
    command = ["batch", str(tmp_path / "2.pdf"), "--schema", str(tmp_path / "schema.json"), "-o"]
    assert main([*command, str(tmp_path / "a")], reader=FakeReader()) == 0
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*command, str(tmp_path / "b"), "--min-confidence", "0.97"], reader=FakeReader()) == 3
    *doubts, end = capsys.readouterr().err.splitlines()
    assert doubts[-1].startswith(
        f"layoutllm: {tmp_path / '2.pdf'}: items: The confidence is 0.95, under 0.97."
    )
    assert len(doubts) == 3 and "3 fields wait" in end
    with Store.open(tmp_path / "b") as store:
        _, record = decide(store, "vendor", accept=True)
        assert record["items"] == items(2) and store.find(pending_review=True)[0] == 2
        decide(store, "total", accept=True)
        decide(store, "items", accept=True)
        assert store.find(pending_review=True)[0] == 0
