"""Training on the authors' released data: any page at any time, one kind of question a stage."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from layoutllm_tool.cli import main
from layoutllm_tool.errors import RecipeError
from layoutllm_tool.training import run
from layoutllm_tool.training.data import Sources, fingerprint, stage_examples
from layoutllm_tool.training.recipe import Stage, load_recipe
from layoutllm_tool.training.released import Released, ReleasedPages
from layoutllm_tool.training.schema import QA, Instruction
from tests import tiny
from tests.training.test_released import LINES, cot, data, item

TASK = item("A form with a number, a date and a total.", "Describe the document.")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAYOUTLLM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def pages(folder: Path, count: int = 5, *, broken: tuple[int, ...] = ()) -> Released:
    """As many pictures, a LayoutCoT and a description each; the OCR of the broken ones is missing."""
    items: list[dict[str, Any]] = []
    for number in range(count):
        name = f"RVL_CDIP/p{number}.png"
        items += [item(cot(), f"What is the grand total of {number}?", name), {**TASK, "image": name}]
    found = data(folder, items, picture=False)
    for number in set(range(count)) - set(broken):
        path = folder / f"LayoutLLM_data/sft_data/ocr_results/RVL_CDIP/p{number}.png.json"
        path.write_text(json.dumps({"width": 800, "height": 1000, "lines": LINES}))
    return found


def names(found: ReleasedPages, count: int) -> list[str]:
    return [found(index).source for index in range(count)]


def test_a_stage_gets_its_own_kind_of_question(tmp_path: Path) -> None:
    source = pages(tmp_path)
    questions = {
        kind: [q for i in range(5) for q in ReleasedPages.read([source], kind)(i).questions]
        for kind in ("layoutcot", "pretraining")
    }
    assert len(questions["layoutcot"]) == 5 and all(isinstance(q, QA) for q in questions["layoutcot"])
    assert len(questions["pretraining"]) == 5
    assert all(isinstance(q, Instruction) and q.task == "DDD" for q in questions["pretraining"])


def test_it_is_what_reading_the_file_through_gives(tmp_path: Path) -> None:
    """The fast path, by offset, beside the slow one."""
    source = pages(tmp_path)
    slow = {example.source: [q for q in example.questions if isinstance(q, QA)] for example in source}
    found = ReleasedPages.read([source], "layoutcot")
    assert {found(i).source: list(found(i).questions) for i in range(5)} == slow


def test_every_pass_holds_each_page_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    found = ReleasedPages.read([pages(tmp_path, 7)], "layoutcot", seed=3)
    first, second = names(found, 7), [found(i).source for i in range(7, 14)]
    assert sorted(first) == sorted(second) and len(set(first)) == 7 and first != second
    assert names(pickle.loads(pickle.dumps(found)), 7) == first
    assert names(ReleasedPages.read([found.files[0]], "layoutcot", seed=4), 7) != first


def test_a_page_of_no_use_gives_its_turn_to_another(tmp_path: Path) -> None:
    found = ReleasedPages.read([pages(tmp_path, 6, broken=(1, 4))], "layoutcot")
    seen = names(found, 12)
    assert set(seen) == {f"released/sft/p{n}.png" for n in (0, 2, 3, 5)} and names(found, 12) == seen


def test_where_no_page_can_be_used_it_says_why(tmp_path: Path) -> None:
    found = ReleasedPages.read([pages(tmp_path, 3, broken=(0, 1, 2))], "layoutcot")
    with pytest.raises(RecipeError, match=r"no OCR result.*--released-boxes"):
        found(0)


def test_files_without_the_wanted_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"sft\.json: nothing for the data 'pretraining'.*instructions for pre-training"
    ):
        ReleasedPages.read([data(tmp_path, [item(cot())])], "pretraining")


def test_the_index_is_made_once_and_anew_where_it_or_the_file_changed(tmp_path: Path, home: Path) -> None:
    source = pages(tmp_path)
    first = ReleasedPages.read([source], "layoutcot")
    made = {path: path.stat().st_mtime_ns for path in (home / "released").iterdir()}
    assert len(made) == 1 and ReleasedPages.read([source], "layoutcot").digest == first.digest
    assert {path: path.stat().st_mtime_ns for path in made} == made
    first.index.write_bytes(b"cut off")
    assert ReleasedPages.read([source], "layoutcot")(0) == first(0)
    (tmp_path / "more").mkdir()
    assert ReleasedPages.read([pages(tmp_path / "more", 6)], "layoutcot").digest != first.digest
    assert len(list((home / "released").iterdir())) == 2


def test_stages_take_their_pages_from_it(tmp_path: Path) -> None:
    recipe, sources = load_recipe("paper-7b"), Sources(released=(pages(tmp_path),))
    stages = Stage("pretraining", "pretraining"), Stage("sft", "layoutcot"), Stage("joint", "documents")
    for stage in stages:
        examples = stage_examples(recipe, stage, sources)
        assert isinstance(examples, ReleasedPages) and fingerprint(examples) == examples.digest
        assert examples.wanted == ("pretraining" if stage.data == "pretraining" else "layoutcot")


def test_the_command_trains_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = pages(tmp_path)
    monkeypatch.setattr(run, "begin", lambda _: tiny.smol())
    monkeypatch.setattr(run, "export", lambda outcome, _: seen.append(outcome))
    seen: list[run.Outcome] = []
    settings = ["pages=4", "pages_per_step=2", "batch=1", "workers=0", "questions=2"]
    told = ["train", "--recipe", "smoke", "--out", str(tmp_path / "run")]
    told += ["--released", str(source.instructions), "--released-folder", str(tmp_path)]
    told += [flag for setting in settings for flag in ("--set", setting)]
    assert main(told) == 0, capsys.readouterr().err
    expected = {kind: ReleasedPages.read([source], kind).digest for kind in ("pretraining", "layoutcot")}
    assert seen[0].finished and seen[0].facts["stage_1_data_sha256"] == expected["pretraining"]
    assert seen[0].facts["stage_2_data_sha256"] == expected["layoutcot"]
