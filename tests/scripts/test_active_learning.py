"""DeepForm as a set, active learning from pool to plot, and a batch measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from layoutllm_tool.errors import DocumentNotFound, RecipeError
from layoutllm_tool.evaluation.command import main
from layoutllm_tool.evaluation.datasets import deepform, sample
from layoutllm_tool.protocols import Reader
from layoutllm_tool.testing import FakeReader
from layoutllm_tool.training import run
from layoutllm_tool.training.recipe import Recipe
from scripts import active_learning, batch_benchmark
from tests import tiny
from tests.batch_pages import fill
from tests.pdfs import make_pdf, text


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten orders, one of two pages; a FakeReader finds the advertiser and misses the dates."""
    folder = tmp_path / "ads"
    (folder / "pdf").mkdir(parents=True)
    rows = []
    for number in range(10):
        values = {
            "Contract number:": f"77{number}",
            "Advertiser:": f"Party {number}",
            "Flight:": f"0{number}/02/20",
            "Gross amount:": f"${number}50.00",
        }
        lines = [(key, value, 700 - 50 * place) for place, (key, value) in enumerate(values.items())]
        pages = ["".join(text(key, 72, y) + text(value, 260, y) for key, value, y in lines)]
        pages += [text("Terms", 72, 700)] if number == 3 else []
        (folder / "pdf" / f"{number}.pdf").write_bytes(make_pdf(*pages))
        names = ("contract_num", "advertiser", "flight_from", "gross_amount")
        label = dict(zip(names, values.values(), strict=True))
        rows.append({"file": f"{number}.pdf", **label, "flight_to": None, "pages": len(pages)})
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_split_does_not_depend_on_the_other_documents(data: Path) -> None:
    rows = deepform.labels(data)
    pool, held = active_learning.split(rows, 4, seed=1)
    assert len(pool) == 6 and len(held) == 4 and not {r["file"] for r in pool} & {r["file"] for r in held}
    assert active_learning.split(rows[::-1], 4, seed=1) == (pool, held)
    assert active_learning.split([r for r in rows if r in held], 4, seed=1)[1] == held
    assert active_learning.split(rows, 4, seed=2)[1] != held


def test_long_documents_can_be_left_out(data: Path, tmp_path: Path) -> None:
    plan = active_learning.Plan(data, tmp_path, held=4, most_pages=1)
    assert "3.pdf" not in {row["file"] for part in active_learning.documents(plan) for row in part}


def test_questions_are_asked_of_labelled_fields_alone(data: Path) -> None:
    items = deepform.items(data)
    assert len(items) == 10 and all(len(item.questions) == 4 for item in items)
    gold = {q.field: q.gold for q in items[0].questions}
    assert gold["gross amount"] == ("$050.00", "050.00") and gold["contract number"] == ("770",)
    assert sum(len(item.questions) for item in sample(items, 6, 0, "ads")) == 6
    with pytest.raises(DocumentNotFound, match="there is no file"):
        deepform.labels(data / "pdf")


def test_deepform_is_a_set_of_the_command(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    console = Console(file=(tmp_path / "said").open("w"), width=120)
    arguments = ["deepform", "--data", str(data), "--json", str(out)]
    assert main(arguments, make=lambda _: FakeReader(), console=console) == 0
    found = json.loads(out.read_text())
    assert found["summary"]["all"]["questions"] == 40 and found["summary"]["advertiser"]["anls"] == 1.0


def test_active_learning_goes_from_the_pool_to_the_plot_and_is_resumed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader and the trained model are fakes. Choice, reviews, examples, recipe and scores are real."""
    trained: list[list[str]] = []

    def begin(_: Recipe) -> object:
        return tiny.smol()

    def export(outcome: run.Outcome, folder: Path) -> None:
        folder.mkdir(parents=True)
        trained.append(sorted(outcome.facts))

    monkeypatch.setattr(run, "begin", begin)
    monkeypatch.setattr(run, "export", export)

    def make(weights: Path | None) -> Reader:
        return Taught() if weights else FakeReader()

    recipe = ("rehearsal=0", "workers=0", "lora_rank=4", "passes=1", "start='base'")
    arguments = ["--data", str(data), "--out", str(tmp_path / "out")]
    arguments += ["--sizes", "1,3", "--held", "4", "--pool", "6"]
    arguments += [part for setting in recipe for part in ("--set", setting)]
    assert active_learning.main(arguments, make=make) == 0
    points = json.loads((tmp_path / "out" / "active_learning.json").read_text())
    hows = [(p["how"], p["reviewed"]) for p in points]
    assert hows[:3] == [("start", 0), ("predicted loss", 1), ("predicted loss", 3)]
    assert hows[3:] == [("random", 1), ("random", 3)]
    assert all(p["questions"] == 16 for p in points)
    start, *others = points
    assert all(p["anls"] > start["anls"] for p in others) and [p["pages"] for p in others] == [1, 3, 1, 3]
    assert (tmp_path / "out" / "active_learning.png").stat().st_size > 5000 and len(trained) == 4
    reviewed = json.loads((tmp_path / "out" / "random-003" / "taught.json").read_text())
    assert reviewed == {"pages": "3", "left_out": "nothing"}
    assert active_learning.main(arguments, make=make) == 0
    assert len(trained) == 4 and json.loads((tmp_path / "out" / "active_learning.json").read_text()) == points
    # Held-out documents of another split would have been trained on: such a folder is refused.
    with pytest.raises(RecipeError, match="another seed"):
        active_learning.main([*arguments, "--seed", "1"], make=make)


class Taught(FakeReader):
    """Knows where the flight begins."""

    def ask(self, document, question, **options):  # type: ignore[no-untyped-def]
        return super().ask(document, question.replace("flight start date", "flight"), **options)


@pytest.mark.parametrize("text", ["", "0,3", "x"])
def test_sizes_that_are_no_numbers_are_refused(text: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        active_learning.main(["--data", str(data), "--out", str(tmp_path), "--sizes", text])


@pytest.mark.slow
def test_a_batch_is_measured_killed_and_compared(tmp_path: Path) -> None:
    """The real command with the shipped weights, on documents of which four fail."""
    source = fill(tmp_path / "in", 4)
    plan = batch_benchmark.Plan(
        str(source), "What is the vendor? What is the total?", tmp_path / "out", alone=2, kills=2, workers=1
    )
    said: list[str] = []

    def make() -> Reader:
        from layoutllm_tool.readers.local import LayoutLLMReader

        return LayoutLLMReader()

    found = batch_benchmark.measure(plan, make, said.append)
    assert (found.documents, found.failed, found.rows) == (9, 4, 9 + 18)
    assert found.same_after_kills == found.rows and found.same_through_ray is None
    assert found.batch_per_minute > 0 and found.alone_per_minute > 0
    assert len(json.loads((tmp_path / "out" / "kills.json").read_text())) == found.kills
    with pytest.raises(RecipeError, match="another task"):
        batch_benchmark.measure(replace(plan, task="What is the total?"), make, said.append)
    # A row that came out otherwise is seen.
    rows = batch_benchmark._rows(tmp_path / "out" / "whole")
    assert batch_benchmark._same(rows, [*rows[:-1], {**rows[-1], "value": "other"}]) == len(rows) - 1
