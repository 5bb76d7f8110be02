"""`layoutllm select`: what it prints is a source for `layoutllm batch`, and what it queues is reviewed like
anything that waits.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from layoutllm_graphs.batch.review import review_field
from layoutllm_graphs.batch.runner import Batch, here
from layoutllm_graphs.batch.worker import Settings
from layoutllm_graphs.review import ReviewDecision
from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.sources import open_document
from layoutllm_tool.batch.store import Store
from layoutllm_tool.cli import main
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.printable import from_cell
from layoutllm_tool.protocols import ReaderAround
from layoutllm_tool.testing import FakeReader
from tests.batch_pages import invoice

TASK = "What is the vendor? What is the total?"
SETTINGS = Settings.of(TASK, model={"reader": "fake"}, max_attempts=1, second_opinion=False)


class Judging(ReaderAround):
    """With a loss head: 0.5 for the shop of 0, 1.5 for that of 1 ..., as their totals are."""

    def ask(self, document: Any, question: str, **options: Any) -> LayoutCoT:
        cot = super().ask(document, question, **options)
        loss = next(float(word.text) for word in document.pages[0].words if word.text.endswith(".50"))
        cot.signals["predicted_loss"] = loss + ("total" in question)  # type: ignore[index]
        return cot

    def ask_many(self, document: Any, questions: Any, *, page: int | None = None) -> list[LayoutCoT]:
        return [self.ask(document, question, page=page) for question in questions]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A batch of four invoices and a file that is none."""
    source = tmp_path / 'in, "odd" \u2028 name'  # what is quoted, and what splitlines takes for an end
    source.mkdir()
    for number in range(4):
        (source / f"{number}.pdf").write_bytes(invoice(2 * number))
    (source / "corrupt.png").write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
    with Batch(batch_inputs(str(source)), tmp_path / "out", SETTINGS) as batch:
        batch.run(here(Judging(FakeReader()), SETTINGS))
    return tmp_path / "out"


def select(out: Path, *arguments: str) -> int:
    return main(["select", str(out), *arguments])


def test_the_csv_is_a_source_in_the_order_of_the_loss(
    out: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert select(out, "--top", "3") == 0
    said = capsys.readouterr()
    listed = list(csv.DictReader(said.out.splitlines(keepends=True)))
    assert list(listed[0]) == ["document", "page", "loss", "measure", "field"]
    assert [(Path(from_cell(row["document"])).name, row["loss"]) for row in listed] == [
        ("3.pdf", "7.0"),
        ("2.pdf", "5.0"),
        ("1.pdf", "3.0"),
    ]
    assert {(row["measure"], row["field"], row["page"]) for row in listed} == {
        ("predicted_loss", "total", "")
    }
    assert "3 documents" in said.err and "as predicted" in said.err
    (tmp_path / "hard.csv").write_text(said.out, encoding="utf-8")
    found = list(batch_inputs(str(tmp_path / "hard.csv")))
    assert [row.name for row in found] == [from_cell(row["document"]) for row in listed]
    assert all(open_document(row.name).pages for row in found)


def test_json_a_draw_and_a_pool_that_is_too_small(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert select(out, "--top", "9", "--json") == 0
    said = capsys.readouterr()
    listed = json.loads(said.out)
    assert [list(row) for row in listed] == [["document", "page", "loss", "measure", "field", "key"]] * 4
    assert "no more are done" in said.err
    draws = []
    for seed in "0", "0", "1":
        assert select(out, "--top", "2", "--subset", "2", "--seed", seed, "--json") == 0
        draws.append(json.loads(capsys.readouterr().out))
    assert draws[0] == draws[1] != draws[2]
    assert select(out, "--top", "2", "--random", "--json") == 0
    at_random = json.loads(capsys.readouterr().out)
    assert {row["key"] for row in at_random} == {row["key"] for row in draws[0]}


@pytest.mark.parametrize(
    "arguments",
    [[], ["--top", "0"], ["--top", "2", "--subset", "5", "--random"], ["--top", "2", "--seed", "-1"]],
)
def test_wrong_options_are_refused(out: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        select(out, *arguments)


def test_a_folder_without_a_batch_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert select(tmp_path, "--top", "1") == 2
    assert "holds no batch" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_what_is_queued_is_reviewed_field_by_field(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Satisfied answers, whose documents have no thread: each is reviewed, and the other of its document
    waits on.
    """
    assert select(out, "--top", "2", "--queue", "--json") == 0
    said = capsys.readouterr()
    assert f"4 fields wait in `layoutllm view {out}`" in said.err
    chosen = [row["key"] for row in json.loads(said.out)]
    with Store.open(out) as store:
        assert sorted({field.key for field in store.find(pending_review=True)[1]}) == sorted(chosen)

        def says(name: str, **word: Any) -> dict[str, Any]:
            fields = review_field(
                store, chosen[0], name, ReviewDecision(**word), reader=FakeReader(), opened=open_document
            )
            return {
                field.name: (field.answer["answer"], field.answer["by"], field.pending_review)
                for field in fields
            }

        assert says("total", answer="77.00") == {
            "vendor": ("Shop 6", "reader", True),
            "total": ("77.00", "person", False),
        }
        assert store.find(pending_review=True)[0] == 3
        assert says("vendor", accept=True)["vendor"] == ("Shop 6", "person", False)
        assert {field.key for field in store.find(pending_review=True)[1]} == {chosen[1]}
    assert select(out, "--top", "9", "--queue", "--json") == 0
    said = capsys.readouterr()
    assert chosen[0] not in {row["key"] for row in json.loads(said.out)}
    assert "6 fields wait" in said.err
