"""A whole run: from a recipe to a folder of weights, stage after stage, resumable at any point.

A run's folder holds a folder a stage (``1-pretraining``, ``2-sft``) with its checkpoint and metrics,
``loss.png``, and ``recipe.json``. What the weights are written with is ``model/weights.py``.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
from layoutllm_tool.model.processing import LayoutLLMProcessor
from layoutllm_tool.training import metrics
from layoutllm_tool.training.data import Sources, fingerprint, sized, stage_examples
from layoutllm_tool.training.recipe import Recipe
from layoutllm_tool.training.sampling import Rehearsed
from layoutllm_tool.training.trainer import Trainer, make_accelerator, prepare

Report = Callable[[Trainer, dict[str, float]], None]
"""Called after every step with the stage's trainer and the step's metrics."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``finished``: False where time ran out. ``facts`` go into the weights' metadata."""

    model: LayoutLLMForConditionalGeneration
    processor: LayoutLLMProcessor
    finished: bool
    facts: dict[str, str]
    parent: Path | None = None
    """The weights that the run went on from."""


def run(
    recipe: Recipe,
    sources: Sources,
    folder: Path,
    *,
    minutes: float = math.inf,
    report: Report | None = None,
    train: bool = True,
) -> Outcome:
    """Trains what is left of the recipe; ``train`` False only loads what the folder's checkpoints hold.

    CheckpointMismatch where the folder belongs to another recipe or other data.
    """
    until = time.monotonic() + minutes * 60
    accelerator = make_accelerator()
    torch.manual_seed(recipe.seed)
    model, processor = begin(recipe)
    facts = {"recipe": recipe.name, "seed": str(recipe.seed), "start": recipe.start} | _parent(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    if accelerator.is_main_process:
        (folder / "recipe.json").write_text(json.dumps(recipe.to_json(), indent=1) + "\n")
    finished = True
    for number, stage in enumerate(recipe.stages, start=1):
        torch.manual_seed(recipe.seed + number)
        prepare(model, stage)
        model.to(accelerator.device)
        examples = stage_examples(recipe, stage, sources)
        stage = sized(stage, examples)
        data = fingerprint(examples)
        trainer = Trainer(
            model, processor, examples, stage, folder / f"{number}-{stage.name}",
            seed=recipe.seed * 101 + number, workers=recipe.workers, identity={"data_sha256": data},
            accelerator=accelerator,
        )  # fmt: skip
        if train:
            finished = trainer.run(until=until, report=partial(report, trainer) if report else None)
        else:
            finished = trainer.resume() and trainer.step >= stage.steps
        steps = f"{trainer.step} of {stage.steps} steps of {stage.pages_per_step} pages"
        facts |= {f"stage_{number}": f"{stage.name}, {steps}", f"stage_{number}_data_sha256": data}
        if isinstance(examples, Rehearsed):
            facts |= examples.reviewed.facts
        if not finished:
            break
    if accelerator.is_main_process:
        metrics.plot(sorted(folder.glob("*/metrics.csv")), folder / "loss.png")
    return Outcome(model, processor, finished, facts, _start(recipe))


def export(outcome: Outcome, folder: Path) -> None:
    """The trained parts as a weights folder (shipped shape), or the whole model and its processor (paper's
    shape).

    The parent's calibration comes along: near enough until ``layoutllm eval fit`` has made another.
    """
    if outcome.model.config.fusion == "replace":
        outcome.model.save_pretrained(folder)
        outcome.processor.save_pretrained(folder)
        return
    from layoutllm_tool.model.base import base_model
    from layoutllm_tool.model.weight_files import CALIBRATION
    from layoutllm_tool.model.weights import save_weights

    save_weights(outcome.model, folder, base=base_model(), facts=outcome.facts)
    known = outcome.parent / CALIBRATION if outcome.parent else None
    if known and known.is_file() and not (folder / CALIBRATION).exists():
        shutil.copyfile(known, folder / CALIBRATION)


def _start(recipe: Recipe) -> Path | None:
    """The folder of weights that the run goes on from; None where it begins with the base model."""
    if recipe.encoder or recipe.start == "base":
        return None
    from layoutllm_tool.model.weights import SHIPPED
    from layoutllm_tool.registry import resolve

    return resolve(None if recipe.start == "shipped" else Path(recipe.start)) or SHIPPED


def _parent(recipe: Recipe) -> dict[str, str]:
    """What the run goes on from, by its content: "shipped" means other weights after the next release."""
    from layoutllm_tool.model.weights import parts_sha256

    start = _start(recipe)
    return {"start_sha256": parts_sha256(start)} if start else {}


def begin(recipe: Recipe) -> tuple[LayoutLLMForConditionalGeneration, LayoutLLMProcessor]:
    """The model as the recipe's first stage finds it."""
    if recipe.encoder:
        return _paper_shape(recipe)
    from layoutllm_tool.model.base import base_model
    from layoutllm_tool.model.weights import load_weights

    if start := _start(recipe):
        model, processor = load_weights(start, merge=False)
        return model, processor
    base = base_model(quiet=False)
    language_model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    model = LayoutLLMForConditionalGeneration.around(language_model)
    return model, LayoutLLMProcessor.for_config(model.config, AutoTokenizer.from_pretrained(base))


def _paper_shape(recipe: Recipe) -> tuple[LayoutLLMForConditionalGeneration, LayoutLLMProcessor]:
    encoder, language_model = recipe.encoder, recipe.language_model
    model = LayoutLLMForConditionalGeneration.from_parts(encoder, language_model, dtype=torch.bfloat16)
    tokenizers = [AutoTokenizer.from_pretrained(name) for name in (language_model, encoder)]
    model.document_encoder.float()  # AdamW's small steps are lost in bfloat16
    return model, LayoutLLMProcessor.for_config(model.config, *tokenizers)
