"""Recipes, runs of several stages, what they would cost, and their command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from layoutllm_tool.cli import main
from layoutllm_tool.errors import CheckpointMismatch, RecipeError
from layoutllm_tool.training import metrics, run, sampling
from layoutllm_tool.training.cost import plan
from layoutllm_tool.training.data import Sources, digest, stage_examples
from layoutllm_tool.training.pretraining.mixture import WEIGHTS, PretrainingMixture
from layoutllm_tool.training.recipe import RECIPES, Recipe, Stage, load_recipe, shares_of
from layoutllm_tool.training.sampling import LayoutCoTMixture
from tests import tiny
from tests.paths import ROOT


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_every_recipe_of_the_package_can_be_read_planned_and_written(name: str) -> None:
    recipe = load_recipe(name)
    assert Recipe.from_json(recipe.to_json()) == recipe
    found = plan(recipe)
    assert len(found.stages) == len(recipe.stages) and all(stage.memory_gib > 0 for stage in found.stages)


def test_the_papers_recipe_is_the_papers() -> None:
    pretraining, sft = load_recipe("paper-7b").stages
    assert pretraining.name == "pretraining"
    assert (pretraining.learning_rate, pretraining.weight_decay) == (1e-4, 1e-4)
    assert (sft.name, sft.learning_rate, sft.weight_decay, sft.lora_rank) == ("sft", 2e-5, 0.0, 0)
    assert pretraining.pages * pretraining.questions == 5_700_000 and sft.pages * sft.questions == 3 * 300_000
    assert {(stage.clip, stage.warm_up) for stage in (pretraining, sft)} == {(1.0, 0.03)}


def test_the_plan_of_the_papers_recipe_counts_its_parameters_and_memory() -> None:
    found = plan(load_recipe("paper-7b"))
    assert found.encoder == pytest.approx(356e6, rel=0.02) and found.language_model == pytest.approx(
        6738e6, rel=0.01
    )
    pretraining, sft = found.stages
    placeholders = 4 * 4096
    assert pretraining.learning == found.encoder + found.projectors + placeholders
    assert sft.learning == found.language_model + found.projectors + placeholders
    assert sft.optimizer_gib == pytest.approx(8 * sft.learning / 2**30)
    assert 100 < sft.memory_gib < 140 and sft.hours["one H100 80 GB"] < sft.hours["one A100 80 GB"]


def test_the_plan_counts_an_adapter_as_peft_makes_it() -> None:
    from transformers import AutoModelForCausalLM

    from layoutllm_tool.model.configuration import LayoutLLMConfig
    from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
    from layoutllm_tool.training.trainer import prepare

    recipe = load_recipe("smol-cpu")
    with torch.device("meta"):
        text = LayoutLLMConfig.smol()
        model = LayoutLLMForConditionalGeneration(text, AutoModelForCausalLM.from_config(text.text_config))
    prepare(model, replace(recipe.stages[0], features=True))
    assert plan(recipe).stages[0].learning == sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_settings_reach_the_recipe_its_stages_or_one_of_them() -> None:
    recipe = load_recipe("smoke").with_settings(
        {"seed": "7", "questions": "2", "sft.pages": "12", "start": "shipped"}
    )
    assert (recipe.seed, recipe.start) == (7, "shipped")
    assert [stage.questions for stage in recipe.stages] == [2, 2]
    assert [stage.pages for stage in recipe.stages][1] == 12 != recipe.stages[0].pages


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pags": "3"}, "no recipe has 'pags'"),
        ({"pages": "0"}, "Give at least 1"),
        ({"batch": "3"}, "no multiple"),
        ({"data": "novels"}, "unknown stage"),
        ({"pretraining.features": "false"}, "nothing to train"),
    ],
)
def test_settings_that_contradict_the_recipe_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("smoke").with_settings(settings)


def test_files_that_are_no_recipe_are_refused(tmp_path: Path) -> None:
    for text, message in (
        ("x =", "is no recipe"),
        ("seed = 1", "no stages"),
        ("[[stages]]\npage = 3", "unknown in a recipe: page"),
    ):
        (tmp_path / "r.toml").write_text(text)
        with pytest.raises(RecipeError, match=message):
            load_recipe(tmp_path / "r.toml")
    with pytest.raises(RecipeError, match=r"Known: .*smoke"):
        load_recipe("smok")


# -- runs ----------------------------------------------------------------------------------------------------

SMALL = Stage(
    data="documents",
    pages=4,
    pages_per_step=2,
    questions=3,
    learning_rate=1e-3,
    lora_rank=4,
    checkpoint_steps=1,
    checkpoint_seconds=0,
)
TWO = Recipe(
    "two",
    (replace(SMALL, name="pretraining", data="pretraining", lora_rank=0), replace(SMALL, name="sft")),
    receipts=0,
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model in place of the base model: windows of 400 tokens, so that drawn pages fit."""

    monkeypatch.setattr(run, "begin", lambda _: tiny.smol())


def parameters(outcome: run.Outcome) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in outcome.model.named_parameters()}


def test_two_stages_follow_each_other_and_each_trains_its_own_part(small: None, tmp_path: Path) -> None:
    before = dict(tiny.smol()[0].named_parameters())
    first = parameters(run.run(replace(TWO, stages=TWO.stages[:1]), Sources(), tmp_path / "first"))
    both = run.run(TWO, Sources(), tmp_path / "both")
    after = parameters(both)
    encoder = [n for n in first if n.startswith("document_encoder.") and "query.weight" in n]
    assert encoder and not any(torch.equal(first[n], before[n]) for n in encoder)  # stage 1 trained it
    assert all(torch.equal(after[n], first[n]) for n in encoder)  # stage 2 left it alone
    assert any("lora_B" in n and bool(value.any()) for n, value in after.items())
    assert both.finished and both.facts["stage_2"] == "sft, 2 of 2 steps of 2 pages"
    assert len(both.facts["stage_1_data_sha256"]) == 64
    assert json.loads((tmp_path / "both" / "recipe.json").read_text())["name"] == "two"
    assert (tmp_path / "both" / "loss.png").stat().st_size > 1000


def test_a_run_stopped_between_or_within_stages_ends_as_an_unbroken_one(small: None, tmp_path: Path) -> None:
    whole = parameters(run.run(TWO, Sources(), tmp_path / "whole"))
    for _ in range(9):
        outcome = run.run(TWO, Sources(), tmp_path / "broken", minutes=0.0003)
        if outcome.finished:
            break
    outcome = run.run(TWO, Sources(), tmp_path / "broken")
    assert outcome.finished
    for name, value in parameters(outcome).items():
        torch.testing.assert_close(value, whole[name], rtol=0, atol=0)


def test_a_folder_of_another_recipe_is_refused(small: None, tmp_path: Path) -> None:
    run.run(TWO, Sources(), tmp_path)
    with pytest.raises(CheckpointMismatch, match="another recipe"):
        run.run(TWO.with_settings({"seed": "5"}), Sources(), tmp_path)


def test_the_data_hash_is_of_the_content() -> None:
    recipe = replace(TWO, seed=3)
    same = [digest(stage_examples(recipe, recipe.stages[1], Sources()), 2) for _ in range(2)]
    other = digest(stage_examples(replace(recipe, seed=4), recipe.stages[1], Sources()), 2)
    assert same[0] == same[1] != other


def test_receipts_that_are_not_there_are_missed_by_name() -> None:
    with pytest.raises(RecipeError, match=r"folder `receipts`"):
        stage_examples(replace(TWO, receipts=0.5), SMALL, Sources())


def test_a_recipe_says_how_often_a_source_is_drawn_from() -> None:
    recipe = load_recipe("paper-7b").with_settings({
        "sft.weights": "{html = 0, mrc = 0}", "pretraining.weights": "{drawn = 1, receipts = 0}",
        "pretraining.levels": "[1, 2, 2]", "receipts": "0.0",
    })  # fmt: skip
    first, second = (stage_examples(recipe, stage, Sources()) for stage in recipe.stages)
    assert isinstance(first, PretrainingMixture) and isinstance(second, LayoutCoTMixture)
    assert first.levels == (1, 2, 2) and (first.shares["drawn"], first.shares["papers"]) == (1, 0.25)
    assert second.shares == {"html": 0, "documents": 4.5, "mrc": 0}
    assert second(0).source.startswith("factory/")


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"sft.weights": "{htm = 1}"}, "Known: html, documents, mrc"), ({"pretraining.weights": "{html = 1}"},
    "Known: drawn, papers")],
)  # fmt: skip
def test_sources_that_a_mixture_does_not_have_are_named(settings: dict[str, str], message: str) -> None:
    (stage,) = (stage for stage in load_recipe("paper-7b").with_settings(settings).stages if stage.weights)
    with pytest.raises(RecipeError, match=message):
        shares_of(sampling.WEIGHTS if stage.data == "layoutcot" else WEIGHTS, stage.weights)


def test_drawn_pages_and_receipts_have_no_weights() -> None:
    with pytest.raises(RecipeError, match="'documents' has no weights"):
        Stage(data="documents", weights={"html": 1.0})


def test_metrics_of_steps_trained_again_are_replaced(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    metrics.append(file, [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 3, "loss": 9.0}])
    metrics.append(file, [{"step": 3, "loss": 1.0}, {"step": 4, "loss": 0.5}])
    losses = {row["step"]: row["loss"] for row in metrics.read(file)}
    assert losses == {1: 3.0, 2: 2.0, 3: 1.0, 4: 0.5}
    assert metrics.smooth([1.0, float("nan"), 1.0]) == pytest.approx([1.0, 1.0, 1.0])


# -- the command ---------------------------------------------------------------------------------------------


def test_the_command_plans(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--recipe", "paper-7b", "--plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"] == "paper-7b"
    assert main(["train", "--recipe", "paper-7b", "--plan"]) == 0
    assert "one H100 80 GB" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--recipe", "none"], "is no recipe"),
        (["--recipe", "smoke"], "Give --out"),
        (["--recipe", "smoke", "--set", "pages"], "KEY=VALUE"),
    ):
        assert main(["train", *arguments]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(1800)  # three minutes of two free cores, of which others may have one
def test_the_smoke_recipe_survives_being_killed(tmp_path: Path) -> None:
    """The real command on the real base model, killed with -9 while it trains, ends with the weights of an
    unkilled run.
    """
    options = "-W ignore -m layoutllm_tool train --recipe smoke --set pages=8"
    command = [sys.executable, *options.split()]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, env=environment)
    running = subprocess.Popen([*command, "--out", str(tmp_path / "killed")], env=environment)
    checkpoint = tmp_path / "killed" / "1-pretraining" / "checkpoint.safetensors"
    while not checkpoint.exists() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    subprocess.run([*command, "--out", str(tmp_path / "killed")], check=True, env=environment)
    for name in ("parts.safetensors", "adapter/adapter_model.safetensors"):
        # Tensor by tensor: safetensors writes a file's metadata in no fixed order.
        whole, killed = (load_file(tmp_path / run / "weights" / name) for run in ("whole", "killed"))
        assert whole.keys() == killed.keys()
        assert all(torch.equal(value, killed[key]) for key, value in whole.items())


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """Through accelerate and gloo: the mean of two processes' gradients is the gradient of their pages
    together.
    """
    script = ROOT / "tests" / "training" / "train_tiny.py"
    launch = (
        "-m accelerate.commands.launch --cpu --num_processes 2 --num_machines 1 --mixed_precision no "
        "--dynamo_backend no --main_process_port 29571"
    )
    python = [sys.executable, "-W", "ignore"]
    alone = [*python, str(script), str(tmp_path / "one")]
    many = [*python, *launch.split(), str(script), str(tmp_path / "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    for command in (alone, many):
        subprocess.run(command, check=True, env=environment, timeout=240)
    one, two = (load_file(tmp_path / n / "checkpoint.safetensors") for n in ("one", "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        if name.startswith("model."):
            torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


def test_settings_that_need_one_another_are_taken_together() -> None:
    recipe = load_recipe("smol-gpu").with_settings({"pages_per_step": "4", "batch": "2"})
    assert {(stage.pages_per_step, stage.batch) for stage in recipe.stages} == {(4, 2)}
    with pytest.raises(RecipeError, match="no multiple"):
        load_recipe("smol-gpu").with_settings({"pages_per_step": "3", "batch": "2"})
