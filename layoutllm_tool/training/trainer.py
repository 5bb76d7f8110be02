"""The training loop: a recipe, a stream of examples, a folder of checkpoints. Resumable to the step.

Which parts learn is the recipe's stage (``freeze_for``); the language model learns through LoRA (peft). Several processes
and mixed-precision scaling are *not* here.
"""

from __future__ import annotations

import csv
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
from layoutllm_tool.model.processing import LayoutLLMProcessor
from layoutllm_tool.training.packing import pack
from layoutllm_tool.training.schema import Example


@dataclass(frozen=True)
class Recipe:
    """What a run is made of; saved with every checkpoint, and a run made with another one refuses to resume."""

    stage: str = "joint"
    """"pretraining", "sft" (the paper's two) or "joint": encoder, projectors, pointer and adapter together."""
    pages: int = 1700
    """Pages in all; with their questions packed on them."""
    pages_per_step: int = 2
    learning_rate: float = 5e-4
    """Peak, of the adapter; the parts that start from nothing learn faster by FRESH."""
    warm_up: float = 0.03
    weight_decay: float = 1e-4
    clip: float = 1.0
    lora_rank: int = 16
    lora_alpha: int = 32
    questions: int = 8
    mask_words: float = 0.0
    seed: int = 0
    checkpoint_every: int = 40
    """Optimiser steps."""


FRESH = {
    "pointer": 2.5, "extra_embeddings": 2.5, "gate": 5.0, "mask_embedding": 2.5,
    "document_encoder": 0.4, "word_projection": 0.4, "visual_projector": 0.4, "layout_projector": 0.4,
}  # fmt: skip
"""Learning rate multiples by parameter name."""


def add_adapter(model: LayoutLLMForConditionalGeneration, recipe: Recipe) -> None:
    """LoRA on every linear layer of the language model; its own weights stay frozen."""
    from peft import LoraConfig, get_peft_model

    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    lora = LoraConfig(r=recipe.lora_rank, lora_alpha=recipe.lora_alpha, target_modules=names, task_type="CAUSAL_LM")
    model.language_model = get_peft_model(model.language_model, lora)


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = next((f for part, f in FRESH.items() if name.startswith(part)), 1.0)
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": recipe.learning_rate * factor, "weight_decay": decay}
        for (factor, decay), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def schedule(recipe: Recipe) -> Callable[[int], float]:
    """Linear warm-up, then a cosine to zero (paper section 4.1)."""
    steps = recipe.pages // recipe.pages_per_step
    warm = max(1, round(steps * recipe.warm_up))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))

    return factor


class Trainer:
    """``examples(index)`` gives the index-th page of the run, always the same one: that is what makes resuming exact."""

    def __init__(
        self,
        model: LayoutLLMForConditionalGeneration,
        processor: LayoutLLMProcessor,
        examples: Callable[[int], Example],
        recipe: Recipe,
        folder: Path,
    ) -> None:
        self.model, self.processor, self.examples, self.recipe, self.folder = model, processor, examples, recipe, folder
        self.optimizer = AdamW(parameter_groups(model, recipe), betas=(0.9, 0.98), fused=True)
        self.scheduler = LambdaLR(self.optimizer, schedule(recipe))
        self.step = 0
        self.log: list[dict[str, float]] = []

    @property
    def steps(self) -> int:
        return self.recipe.pages // self.recipe.pages_per_step

    def run(self, *, until: float = math.inf, report: Callable[[dict[str, float]], None] | None = None) -> None:
        """To the recipe's end, or to the step during which ``until`` (``time.monotonic``) passes. Ends on a checkpoint."""
        self.resume()
        while self.step < self.steps and time.monotonic() < until:
            row = self.train_step()
            self.log.append(row)
            if report:
                report(row)
            if self.step % self.recipe.checkpoint_every == 0:
                self.save()
        self.save()

    def train_step(self) -> dict[str, float]:
        started = time.perf_counter()
        self.model.train()
        losses, tokens, questions = [], 0, 0
        first = self.step * self.recipe.pages_per_step
        for index in range(first, first + self.recipe.pages_per_step):
            # Seeded by the page, not by the run's history: a resumed run draws what an unbroken one drew.
            rng = random.Random(f"{self.recipe.seed}/{index}")
            packed = pack(
                self.examples(index), self.processor, self.model.config, rng,
                most_questions=self.recipe.questions, mask_words=self.recipe.mask_words,
            )  # fmt: skip
            if packed is None:
                continue
            with torch.autocast("cpu", torch.bfloat16):
                loss = self.model(**packed.inputs, use_cache=False).loss
            (loss / self.recipe.pages_per_step).backward()
            losses.append(float(loss.detach()))
            tokens += packed.tokens
            questions += packed.questions
        # Clipped group by group: the gate's gradient, a sum over all page tokens, must not shrink everybody else's.
        norm = max(nn.utils.clip_grad_norm_(g["params"], self.recipe.clip) for g in self.optimizer.param_groups)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.scheduler.step()
        self.step += 1
        return {
            "step": self.step,
            "loss": sum(losses) / max(1, len(losses)),
            "grad_norm": float(norm),
            "lr": float(self.scheduler.get_last_lr()[0]),
            "questions": questions,
            "tokens": tokens,
            "seconds": time.perf_counter() - started,
        }

    # -- checkpoints ------------------------------------------------------------------------------------------------

    def trainable(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def save(self) -> None:
        """Written beside the last one and renamed over it: a kill leaves the old or the new, never half of one."""
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        state = {f"model.{name}": p.detach().contiguous() for name, p in self.trainable().items()}
        slots = self.optimizer.state_dict()
        for number, slot in slots["state"].items():
            for key, value in slot.items():
                state[f"optimizer.{number}.{key}"] = torch.as_tensor(value).contiguous()
        metadata = {"step": str(self.step), "recipe": json.dumps(asdict(self.recipe))}
        partial = self.folder / "checkpoint.partial"
        save_file(state, partial, metadata=metadata)
        partial.replace(self.folder / "checkpoint.safetensors")
        self._write_log()

    def _write_log(self) -> None:
        path = self.folder / "metrics.csv"
        rows: list[dict[str, Any]] = list(self.log)
        if path.exists():
            with path.open(newline="") as file:
                kept: list[dict[str, Any]] = [
                    row for row in csv.DictReader(file) if int(row["step"]) < (rows[0]["step"] if rows else math.inf)
                ]
            rows = kept + rows
        if rows:
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[-1]))
                writer.writeheader()
                writer.writerows(rows)

    def resume(self) -> bool:
        """Continue from the folder's checkpoint; False where there is none. ValueError if its recipe is another."""
        from safetensors import safe_open

        path = self.folder / "checkpoint.safetensors"
        if not path.exists():
            return False
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            if json.loads(metadata["recipe"]) != asdict(self.recipe):
                raise ValueError(
                    f"{self.folder} was made with another recipe: {metadata['recipe']}; choose another folder"
                )
            state: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        with torch.no_grad():
            for name, parameter in self.trainable().items():
                parameter.copy_(state[f"model.{name}"])
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            if name.startswith("optimizer."):
                _, number, key = name.split(".")
                slots.setdefault(int(number), {})[key] = value
        self.optimizer.load_state_dict({"state": slots, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.step = int(metadata["step"])
        # Set rather than stepped to: the scheduler warns when it is stepped before the optimiser.
        self.scheduler.last_epoch = self.step
        factor = schedule(self.recipe)(self.step)
        for group, peak in zip(self.optimizer.param_groups, self.scheduler.base_lrs, strict=True):
            group["lr"] = peak * factor
        return True


def cycle(make: Callable[[int], Iterator[Example]], length: int) -> Callable[[int], Example]:
    """Random access to a source that yields ``length`` examples an epoch, another seed each epoch."""
    epochs: dict[int, list[Example]] = {}

    def at(index: int) -> Example:
        epoch, place = divmod(index, length)
        if epoch not in epochs:
            epochs.clear()
            epochs[epoch] = list(make(epoch))
        return epochs[epoch][place]

    return at
