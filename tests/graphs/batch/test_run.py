"""Batches: what fails is a row, what is killed goes on, what is doubtful waits; the same rows whoever does
the work.
"""

from __future__ import annotations

import gc
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from layoutllm_graphs.batch.pool import pool
from layoutllm_graphs.batch.review import review_field
from layoutllm_graphs.batch.runner import Batch, here
from layoutllm_graphs.batch.worker import Settings
from layoutllm_graphs.review import ReviewDecision
from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.sources import open_document
from layoutllm_tool.batch.store import Store
from layoutllm_tool.batch.tables import TIMINGS, write_tables
from layoutllm_tool.commands import batch as command
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.errors import OCRTimeout, StoreMismatch
from layoutllm_tool.protocols import ReaderAround
from layoutllm_tool.testing import FakeReader
from tests.batch_pages import TASK, Awkward, Slow, fill, invoice, without
from tests.paths import ROOT

SETTINGS = Settings.of(TASK, model={"reader": "fake"}, max_attempts=1, second_opinion=False)
_MAIN = """
import sys
from pathlib import Path
from layoutllm_graphs.batch.runner import Batch
from layoutllm_graphs.batch.pool import pool
from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.tables import write_tables
from tests.batch_pages import Slow
from tests.graphs.batch.test_run import SETTINGS

if __name__ == "__main__":
    source, out = sys.argv[1], Path(sys.argv[2])
    with Batch(batch_inputs(source), out, SETTINGS) as batch:
        batch.run(lambda items: pool(Slow, SETTINGS, items, workers=2))
        write_tables(batch.store, out)
"""


def tables(out: Path) -> tuple[list[Any], list[Any]]:
    found = [
        [json.loads(row) for row in (out / f"{name}.jsonl").read_text().splitlines()]
        for name in ("documents", "fields")
    ]
    return without(found[0], TIMINGS), found[1]


def run(
    source: Path, out: Path, *, workers: Any = None, settings: Settings = SETTINGS, **options: Any
) -> Any:
    """The tables, and what was done for them."""
    with Batch(batch_inputs(str(source)), out, settings, **options) as batch:
        tally = batch.run(workers or here(FakeReader(), settings))
        write_tables(batch.store, out)
    return tables(out), tally


def test_every_input_is_a_row_and_every_failure_says_why(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", 5)
    (documents, fields), tally = run(source, tmp_path / "out")
    names = [Path(row["document"]).name for row in documents]
    assert names == [
        "000.pdf",
        "001.pdf",
        "003.pdf",
        "004.pdf",
        "again.pdf",
        "corrupt.png",
        "empty.pdf",
        "locked.pdf",
        "long.pdf",
        "002.pdf",
    ]
    kinds = {Path(row["document"]).stem: row["kind"] for row in documents if row["status"] == "failed"}
    assert kinds == {
        "corrupt": "DocumentUnreadable",
        "empty": "DocumentUnreadable",
        "locked": "DocumentEncrypted",
        "long": "DocumentTooLarge",
    }
    assert len(fields) == 3 * len(documents)
    assert all(row["error"] for row in fields if Path(row["document"]).stem in kinds)
    totals = [row["value"] for row in fields if row["field"] == "total" and not row["error"]]
    assert totals == ["0.50", "1.50", "3.50", "4.50", "0.50", "2.50"]
    assert (tally.answered, tally.failed, tally.bugs) == (
        9,
        4,
        0,
    )  # the content that stands there twice is read once
    waiting = [Path(row["document"]).stem for row in fields if row["waiting"]]
    assert waiting == ["001", "003"]


def test_parquet_holds_the_same_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (documents, fields), _ = run(fill(tmp_path / "in", 2), tmp_path / "out")
    assert (
        without(parquet.read_table(tmp_path / "out" / "documents.parquet").to_pylist(), TIMINGS) == documents
    )
    assert parquet.read_table(tmp_path / "out" / "fields.parquet").to_pylist() == fields


def test_again_does_nothing_and_other_settings_are_refused(tmp_path: Path) -> None:
    source, reader = fill(tmp_path / "in", 2), FakeReader()
    first, _ = run(source, tmp_path / "out")
    again, tally = run(source, tmp_path / "out", workers=here(reader, SETTINGS))
    assert again == first and tally.answered == 0 and not reader.calls
    with pytest.raises(StoreMismatch, match="max_attempts"):
        run(
            source,
            tmp_path / "out",
            settings=Settings.of(TASK, model={"reader": "fake"}, max_attempts=2, second_opinion=False),
        )


def test_a_source_that_changes(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", 2)
    run(source, tmp_path / "out")
    (source / "000.pdf").unlink()
    (source / "corrupt.png").write_bytes((source / "001.pdf").read_bytes())
    (documents, _), tally = run(source, tmp_path / "out")
    assert tally.answered == 0  # its new content is known from another file
    assert {Path(row["document"]).stem: row["status"] for row in documents}["corrupt"] == "done"
    assert not any(row["document"].endswith("000.pdf") for row in documents)


def test_what_is_pending_goes_on_with_a_decision(tmp_path: Path) -> None:
    (_, fields), _ = run(fill(tmp_path / "in", 2), tmp_path / "out")
    pending = next(row for row in fields if row["waiting"])
    decision = ReviewDecision.model_validate({"correction": {"step": "area", "spatial": "bottom"}})
    with Store.open(tmp_path / "out") as store:
        assert all(field.result for row in fields if not row["error"] for field in store.fields(row["key"]))
        found = review_field(
            store, pending["key"], pending["field"], decision, reader=FakeReader(), opened=open_document
        )
    answer = next(field.answer for field in found if field.name == pending["field"])
    assert (answer["answer"], answer["by"]) == ("Zeta", "person")


def test_failed_ones_are_done_again_and_nothing_else(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", 3)
    timeout = OCRTimeout("too slow")
    broken = FakeReader({question["text"]: timeout for question in SETTINGS.plan["questions"]})
    (documents, _), _ = run(source, tmp_path / "out", workers=here(broken, SETTINGS))
    assert {row["status"] for row in documents} == {"failed"}
    reader = FakeReader()
    (source / "new.pdf").write_bytes((source / "long.pdf").read_bytes() + b"\n")
    mended, tally = run(source, tmp_path / "out", workers=here(reader, SETTINGS), retry_failed=True)
    assert tally.answered == 7
    assert [row["status"] for row in mended[0] if row["document"].endswith("new.pdf")] == ["pending"]
    again, _ = run(source, tmp_path / "out")
    assert again == run(source, tmp_path / "fresh")[0]


def test_shards_are_the_whole(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", 6)
    whole, _ = run(source, tmp_path / "out")
    parts = []
    for i in range(3):
        with Batch(
            batch_inputs(str(source), shard=(i, 3)), tmp_path / str(i), SETTINGS, shard=f"{i + 1}/3"
        ) as batch:
            batch.run(here(FakeReader(), SETTINGS))
            write_tables(batch.store, tmp_path / str(i))
        parts.append(tables(tmp_path / str(i)))
    for n in (0, 1):
        assert sorted((row for part in parts for row in part[n]), key=lambda row: row["position"]) == whole[n]


@pytest.mark.slow
def test_processes_give_the_same_and_outlive_death_hanging_and_bugs(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", 7)
    alone, _ = run(source, tmp_path / "alone")
    same, _ = run(
        source, tmp_path / "same", workers=lambda items: pool(FakeReader, SETTINGS, items, workers=2)
    )
    assert same == alone
    rough, tally = run(
        source,
        tmp_path / "rough",
        workers=lambda items: pool(Awkward, SETTINGS, items, workers=2, seconds=4.0),
    )
    kinds = {Path(row["document"]).stem: row["kind"] for row in rough[0]}
    assert (kinds["003"], kinds["004"], kinds["005"]) == (
        "WorkerDied",
        "DocumentTimeout",
        "ZeroDivisionError",
    )
    assert tally.bugs == 1 and "ZeroDivisionError" in (tmp_path / "rough" / "errors.log").read_text()
    for row, other in zip(rough[0], alone[0], strict=True):
        assert row == other or Path(row["document"]).stem in ("003", "004", "005")
    mended, _ = run(source, tmp_path / "rough", retry_failed=True)
    assert mended == alone


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_the_same(tmp_path: Path) -> None:
    source, chance = fill(tmp_path / "in", 30), random.Random("kill")
    begin = [sys.executable, "-c", _MAIN, str(source), str(tmp_path / "killed")]
    kills = 0
    while kills < 5:
        process = subprocess.Popen(begin, cwd=ROOT)
        time.sleep(chance.uniform(1.2, 2.6))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    assert kills >= 2
    subprocess.run(begin, cwd=ROOT, check=True, timeout=120)
    whole, _ = run(source, tmp_path / "whole", workers=here(Slow(), SETTINGS))
    assert tables(tmp_path / "killed") == whole


@pytest.mark.slow
def test_what_waits_for_nothing_is_asked_together_and_the_rest_alone(tmp_path: Path) -> None:
    """Always in the same company, so that the last digits are the same."""
    (tmp_path / "a.pdf").write_bytes(invoice(1))
    together: list[list[str]] = []
    alone: list[str] = []

    class Watched(ReaderAround):
        def ask_many(self, document: Any, questions: Any, *, page: int | None = None) -> list[LayoutCoT]:
            together.append(list(questions))
            return super().ask_many(document, together[-1], page=page)

        def ask(self, document: Any, question: str, **options: Any) -> LayoutCoT:
            alone.append(question)
            return super().ask(document, question, **options)

    plan = {"questions": [{"name": "vendor", "text": "What is the vendor?"}, {"name": "total",
        "text": "What is the total?"},
                          {"name": "again", "text": "What is the total of {vendor}?"}]}  # fmt: skip
    settings = Settings.of(plan, model={"reader": "fake"}, second_opinion=False)
    with Batch(batch_inputs(str(tmp_path)), tmp_path / "out", settings) as batch:
        tally = batch.run(here(Watched(FakeReader()), settings))
        (key,) = {given.key for given in batch.store.inputs()}
        answers = [field.answer["answer"] for field in batch.store.fields(key)]
    assert (tally.answered, tally.failed) == (1, 0) and answers[:2] == ["Shop 1", "1.50"]
    assert together == [["What is the vendor?", "What is the total?"]]
    assert alone and set(alone) <= {"What is the total of Shop 1?", *together[0]}
    assert alone.count("What is the total of Shop 1?") >= 1


@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path) -> None:
    """Of a few hundred documents, not ten thousand: the graph takes some 50 ms for each."""
    import tracemalloc

    for number in range(300):
        (tmp_path / f"{number:03}.pdf").write_bytes(invoice(number))
    with Batch(batch_inputs(str(tmp_path)), tmp_path / "out", SETTINGS) as batch:
        sizes: list[int] = []

        def look(_: Any) -> None:
            if batch.stats.answered in (100, 300):  # what is only garbage is not kept
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])

        tracemalloc.start()
        batch.run(here(NoMemory(), SETTINGS), look)
        tracemalloc.stop()
    grown = sizes[1] - sizes[0]
    assert batch.stats.answered == 300 and batch.stats.failed == 0 and grown < 200 * 1_000, grown


class NoMemory(FakeReader):
    """Forgets its calls, which a FakeReader keeps for tests to look at."""

    def ask(self, document: Any, question: str, **options: Any) -> LayoutCoT:
        self.calls.clear()
        return super().ask(document, question, **options)


# -- the command ---------------------------------------------------------------------------------------------


def _main(*arguments: str, reader: Any) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    command.add_to(parser.add_subparsers(required=True))
    options = parser.parse_args(["batch", *arguments])
    return int(options.run(options, reader))


def test_the_command_and_its_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = fill(tmp_path / "in", 1)
    out = ["-o", str(tmp_path / "out"), "--task", "What is the total?"]
    assert _main(str(source), *out, reader=FakeReader()) == 3
    assert "2 done, 4 failed, 0 fields wait" in capsys.readouterr().err
    assert (
        _main(
            str(source / "000.pdf"),
            "-o",
            str(tmp_path / "one"),
            "--task",
            "What is the total?",
            reader=FakeReader(),
        )
        == 0
    )
    assert (tmp_path / "one" / "fields.jsonl").read_text().count("\n") == 1
    bug = FakeReader({"What is the total?": ZeroDivisionError("a bug")})
    assert (
        _main(
            str(source / "000.pdf"), "-o", str(tmp_path / "bug"), "--task", "What is the total?", reader=bug
        )
        == 1
    )


def test_interrupted_it_leaves_tables(tmp_path: Path) -> None:
    class Stops(FakeReader):
        def ask(self, document: Any, question: str, **options: Any) -> Any:
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().ask(document, question, **options)

    source = fill(tmp_path / "in", 4)
    with pytest.raises(KeyboardInterrupt):
        _main(str(source), "-o", str(tmp_path / "out"), "--task", "What is the total?", reader=Stops())
    documents, _ = tables(tmp_path / "out")
    assert [row["status"] for row in documents][:2] == ["done", "done"]


def test_what_was_only_handed_out_does_not_count_as_done(tmp_path: Path) -> None:
    """Whoever takes all documents at once, as Ray does, would have the progress at its end from the
    beginning.
    """
    source, seen = fill(tmp_path / "in", 3), list[int]()

    def eager(works: Any) -> Any:
        return here(FakeReader(), SETTINGS)(iter(list(works)))

    with Batch(batch_inputs(str(source)), tmp_path / "out", SETTINGS) as batch:
        batch.run(eager, lambda _: seen.append(batch.stats.seen))
        again = batch.stats.total - batch.stats.answered
        assert (
            seen == [again + n for n in range(1, batch.stats.answered + 1)] and seen[-1] == batch.stats.total
        )
