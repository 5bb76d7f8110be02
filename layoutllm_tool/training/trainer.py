"""One stage of training: a stream of examples, a folder of checkpoints. Resumable to the step.

Which parts learn is the stage's name (``freeze_for``). accelerate spreads a step's pages over the processes
it was launched with; on one CPU or GPU it does nothing. What the pages are is *not* here: see ``data.py``;
nor are whole runs of several stages: see ``run.py``.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.optim import AdamW
from torch.utils.data import DataLoader, Dataset

from layoutllm_tool.errors import CheckpointMismatch, RecipeError, TrainingError
from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
from layoutllm_tool.model.processing import LayoutLLMProcessor
from layoutllm_tool.training import fused_llama, metrics
from layoutllm_tool.training.packing import Packed, collate, pack
from layoutllm_tool.training.recipe import FRESH, Stage
from layoutllm_tool.training.schema import Example

Report = Callable[[dict[str, float]], None]
"""Called after every step with its metrics."""
PAGE_INPUTS = ("pixel_values", "page_ids", "page_bbox", "page_mask", "masked")
ADAPTED = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""The language model's linear layers."""


def prepare(model: LayoutLLMForConditionalGeneration, stage: Stage) -> None:
    """Freeze what the stage leaves alone, and add the language model's adapter where it has one."""
    if stage.lora_rank and stage.name != "pretraining" and not hasattr(model.language_model, "peft_config"):
        from peft import LoraConfig, get_peft_model

        shape = {"r": stage.lora_rank, "lora_alpha": stage.lora_alpha}
        adapter = LoraConfig(target_modules=ADAPTED, task_type="CAUSAL_LM", **shape)
        model.language_model = get_peft_model(model.language_model, adapter)
    model.freeze_for(stage.name)
    adapted = hasattr(model.language_model, "peft_config")
    if stage.name == "joint" and not adapted:
        raise RecipeError('the stage "joint" trains through an adapter.', hint="Give lora_rank, or use sft.")
    if adapted and stage.name != "pretraining":
        (rank,) = {config.r for config in model.language_model.peft_config.values()}
        if rank != stage.lora_rank:
            reason = f"the weights' adapter has rank {rank}, the recipe says {stage.lora_rank}."
            raise RecipeError(reason, hint=f"Set lora_rank={rank}.")
        for name, parameter in model.language_model.named_parameters():
            parameter.requires_grad_("lora_" in name)
    elif stage.name == "sft":
        model.language_model.float()  # AdamW's small steps are lost in bfloat16
    if not stage.features:
        without_features(model)


def without_features(model: LayoutLLMForConditionalGeneration) -> None:
    """The text-only model of the ablation: encoder features add nothing, visual tokens are zero, for good."""
    for part in ("document_encoder", "visual_projector", "layout_projector", "word_projection"):
        getattr(model, part).requires_grad_(False)
    with torch.no_grad():
        for parameter in (model.gate, *model.visual_projector[2].parameters()):
            parameter.zero_()
    model.gate.requires_grad_(False)


class Learner(nn.Module):
    """A batch in, its loss out, through ``fused_llama`` where that covers the language model."""

    def __init__(
        self, model: LayoutLLMForConditionalGeneration, *, fast: bool | None = None, autocast: bool = True
    ) -> None:
        super().__init__()
        self.model, self.autocast = model, autocast
        self.fast = fused_llama.covers(model.language_model) if fast is None else fast

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        device = inputs["input_ids"].device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.autocast):
            if not self.fast:
                return self.model(**inputs, use_cache=False).loss  # type: ignore[no-any-return]
            page = {name: inputs.get(name) for name in PAGE_INPUTS}
            has_page = page["pixel_values"] is not None or page["page_ids"] is not None
            features = self.model.encode_page(**page) if has_page else None
            embeds = self.model.embed(inputs["input_ids"], features, inputs["page_tokens"])
            mask, positions = inputs["attention_mask"], inputs["position_ids"]
            hidden = fused_llama.decode(self.model.language_model, embeds, mask, positions)
            return self.model.loss(hidden, inputs["labels"], inputs["segment_ids"])


def parameter_groups(model: nn.Module, stage: Stage) -> list[dict[str, Any]]:
    """Groups of one rate and decay each; vectors (biases, norms, gates) do not decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            fresh = FRESH.items() if stage.fresh else ()
            factor = next((f for part, f in fresh if name.startswith(part)), 1.0)
            decay = stage.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": stage.learning_rate * factor, "weight_decay": decay, "factor": factor}
        for (factor, decay), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def rate(stage: Stage, step: int) -> float:
    """Share of the peak rate at a step: linear warm-up, then a cosine to zero (paper section 4.1)."""
    warm = max(1, round(stage.steps * stage.warm_up))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, stage.steps - warm))))


class _Batches(Dataset[Packed]):
    """The micro-batches of one process. Pages without questions are replaced by later ones."""

    def __init__(self, trainer: Trainer, first: int) -> None:
        self.at, self.stage, self.seed = trainer.examples, trainer.stage, trainer.seed
        self.processor, self.config = trainer.processor, trainer.model.config
        self.world, self.rank, self.first = trainer.world, trainer.rank, first

    def __len__(self) -> int:
        return int(self.stage.pages // self.stage.batch // self.world) - self.first

    def __getitem__(self, number: int) -> Packed:
        begin = ((number + self.first) * self.world + self.rank) * self.stage.batch
        return collate([self._page(index) for index in range(begin, begin + self.stage.batch)])

    def _page(self, index: int) -> Packed:
        for attempt in range(20):
            # Seeded by the page, not by the run's history: a resumed run draws what an unbroken one drew.
            rng, place = random.Random(f"{self.seed}/{index}/{attempt}"), index + attempt * self.stage.pages
            packed = pack(
                self.at(place), self.processor, self.config, rng,
                most_questions=self.stage.questions, chain=self.stage.chain,
            )  # fmt: skip
            if packed is not None:
                return packed
        raise TrainingError(f"page {index} and the 19 tried in its place have nothing to ask.")


class Trainer:
    """``examples(index)`` gives the index-th page of the stage, always the same one: resuming is exact.

    ``identity`` names recipe and data: a checkpoint of another identity is refused.
    """

    def __init__(
        self,
        model: LayoutLLMForConditionalGeneration,
        processor: LayoutLLMProcessor,
        examples: Callable[[int], Example],
        stage: Stage,
        folder: Path,
        *,
        seed: int = 0,
        workers: int = 0,
        identity: dict[str, Any] | None = None,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.model, self.processor, self.examples = model, processor, examples
        self.stage, self.folder, self.seed, self.workers = stage, folder, seed, workers
        self.identity = {"stage": asdict(stage), "seed": seed, **(identity or {})}
        self.accelerator = accelerator or make_accelerator()
        self.world, self.rank = self.accelerator.num_processes, self.accelerator.process_index
        if (stage.pages_per_step // stage.batch) % self.world:
            pages = f"{stage.pages_per_step} pages a step in batches of {stage.batch}"
            raise RecipeError(f"{pages} do not spread over {self.world} processes.")
        self.learner = self.accelerator.prepare_model(Learner(model))
        self.optimizer = AdamW(parameter_groups(model, stage), betas=(0.9, stage.beta2), fused=True)
        self.step = 0
        self.log: list[dict[str, float]] = []

    def run(self, *, until: float = math.inf, report: Report | None = None) -> bool:
        """Train to the stage's end (True) or to ``until`` (``time.monotonic``); end on a checkpoint."""
        self.resume()
        batches, saved_step, saved_at = self._batches(), self.step, time.monotonic()
        while self.step < self.stage.steps and time.monotonic() < until:
            row = self.train_step(batches)
            self.log.append(row)
            if report:
                report(row)
            waited = time.monotonic() - saved_at >= self.stage.checkpoint_seconds
            if waited and self.step - saved_step >= self.stage.checkpoint_steps:
                self.save()
                saved_step, saved_at = self.step, time.monotonic()
        self.save()
        return self.step >= self.stage.steps

    def _batches(self) -> Iterator[Packed]:
        done = self.step * self.stage.pages_per_step // self.stage.batch // self.world
        context = "fork" if self.workers else None
        loader = DataLoader(
            _Batches(self, done), batch_size=None, num_workers=self.workers, multiprocessing_context=context,
            prefetch_factor=8 if self.workers else None,
        )  # fmt: skip
        return iter(loader)

    def train_step(self, batches: Iterator[Packed]) -> dict[str, float]:
        """One optimiser step over ``pages_per_step`` pages; what it cost and how it went."""
        started = time.perf_counter()
        self.learner.train()
        torch.manual_seed(self.seed * 1_000_003 + self.step)  # dropout, where the encoder has any
        for group in self.optimizer.param_groups:
            group["lr"] = self.stage.learning_rate * group["factor"] * rate(self.stage, self.step)
        count = self.stage.pages_per_step // self.stage.batch // self.world
        loss, tokens, questions = torch.zeros((), device=self.accelerator.device), 0, 0
        for number in range(count):
            packed = next(batches)
            inputs = {name: value.to(self.accelerator.device) for name, value in packed.inputs.items()}
            last = number == count - 1
            with nullcontext() if last else self.accelerator.no_sync(self.learner):
                share = self.learner(inputs) / count
                self.accelerator.backward(share)
            loss += share.detach()
            tokens, questions = tokens + packed.tokens, questions + packed.questions
        # Group by group: the gate's gradient, a sum over all page tokens, must not shrink the others'.
        groups = self.optimizer.param_groups
        norm = max(nn.utils.clip_grad_norm_(group["params"], self.stage.clip) for group in groups)
        if not math.isfinite(float(norm)):
            hint = "Lower the learning rate."
            raise TrainingError(f"the gradient at step {self.step + 1} is not finite.", hint=hint)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return {
            "step": self.step,
            "loss": float(self.accelerator.reduce(loss, "mean")),
            "grad_norm": float(norm),
            "lr": float(self.optimizer.param_groups[-1]["lr"]),
            "questions": questions * self.world,
            "tokens": tokens * self.world,
            "seconds": time.perf_counter() - started,
        }

    # -- checkpoints -----------------------------------------------------------

    def trainable(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def save(self) -> None:
        """Write beside the last one and rename: a kill leaves the old or the new one whole."""
        from safetensors.torch import save_file

        self.accelerator.wait_for_everyone()
        if not self.accelerator.is_main_process:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {f"model.{name}": p.detach().cpu().contiguous() for name, p in self.trainable().items()}
        for number, slot in self.optimizer.state_dict()["state"].items():
            for key, value in slot.items():
                state[f"optimizer.{number}.{key}"] = torch.as_tensor(value).cpu().contiguous()
        metadata = {"step": str(self.step), "identity": json.dumps(self.identity, sort_keys=True)}
        partial = self.folder / "checkpoint.partial"
        save_file(state, partial, metadata=metadata)
        partial.replace(self.folder / "checkpoint.safetensors")
        metrics.append(self.folder / "metrics.csv", self.log)

    def resume(self) -> bool:
        """Continue from the folder's checkpoint; False without one. CheckpointMismatch for another run's."""
        from safetensors import safe_open

        path = self.folder / "checkpoint.safetensors"
        if not path.exists():
            return False
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            if json.loads(metadata["identity"]) != json.loads(json.dumps(self.identity)):
                reason = f"{self.folder} was made with another recipe or other data: {metadata['identity']}."
                hint = "Choose another folder, or the recipe it was made with."
                raise CheckpointMismatch(reason, hint=hint)
            state: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        with torch.no_grad():
            for name, parameter in self.trainable().items():
                parameter.copy_(state[f"model.{name}"])
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            if name.startswith("optimizer."):
                _, number, key = name.split(".")
                slots.setdefault(int(number), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        self.step = int(metadata["step"])
        return True


def make_accelerator() -> Accelerator:
    """Whatever accelerate was launched with; parts that a batch does not use may have no gradient."""
    return Accelerator(kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)])
