"""How fast training runs here, beside what the machine's matrix multiply allows: ``layoutllm bench
--training``.

One optimiser step's work on drawn pages, without reading data: forward and backward through the fast path and
through the model's own forward, in turn, in one process. The ceiling is a bf16 product of a training step's
own shapes, alone.
"""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch

from layoutllm_tool.training import factory
from layoutllm_tool.training.cost import Operations
from layoutllm_tool.training.packing import Packed, pack
from layoutllm_tool.training.recipe import Recipe, load_recipe
from layoutllm_tool.training.run import begin
from layoutllm_tool.training.trainer import Learner, prepare

SEED = 800_000_001
"""Of the pages drawn: no training run's."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Rates of one process on ``threads`` cores; TFLOP/s count useful operations (see ``cost.py``)."""

    recipe: str
    threads: int
    pages: int
    questions: int
    tokens: int
    samples_per_second: float
    """Questions a second: each is one instruction of the paper's counting."""
    tokens_per_second_per_core: float
    own_forward: float
    """The same, tokens a second a core, through the model's own forward."""
    tflops: float
    ceiling_tflops: float

    @property
    def share(self) -> float:
        """Of the ceiling, 0-1."""
        return self.tflops / self.ceiling_tflops

    @property
    def gain(self) -> float:
        """The fast path's speed over the model's own forward's."""
        return self.tokens_per_second_per_core / self.own_forward

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"share": self.share, "gain": self.gain}


def measure(name: str = "smol-cpu", *, pages: int = 4, repeats: int = 3) -> Throughput:
    """Of a recipe's last stage; medians over ``repeats`` rounds through the same pages."""
    recipe: Recipe = load_recipe(name)
    stage = recipe.stages[-1]
    model, processor = begin(recipe)
    prepare(model, stage)
    examples = (factory.example(SEED, number) for number in range(pages))
    found = [
        pack(example, processor, model.config, random.Random(number), most_questions=stage.questions)
        for number, example in enumerate(examples)
    ]
    packed = [one for one in found if one is not None]
    learners = [Learner(model, fast=fast) for fast in (True, False)]
    rounds = [[_round(learner, packed) for learner in learners] for _ in range(repeats + 1)]
    fast, own = (median(times) for times in zip(*rounds[1:], strict=True))  # the first round warms up
    tokens, questions = sum(p.tokens for p in packed), sum(p.questions for p in packed)
    work, threads = Operations.of(model, stage), torch.get_num_threads()
    flop = sum(work.total(p.tokens, _page_tokens(p), int((p.inputs["labels"] != -100).sum())) for p in packed)
    return Throughput(
        recipe=name, threads=threads, pages=len(packed), questions=questions, tokens=tokens,
        samples_per_second=questions / fast, tokens_per_second_per_core=tokens / fast / threads,
        own_forward=tokens / own / threads, tflops=flop / fast / 1e12,
        ceiling_tflops=ceiling(model.config.text_config),
    )  # fmt: skip


def _round(learner: Learner, packed: list[Packed]) -> float:
    started = time.perf_counter()
    for page in packed:
        learner(page.inputs).backward()
    learner.zero_grad(set_to_none=True)
    return time.perf_counter() - started


def _page_tokens(packed: Packed) -> int:
    """What the encoder reads: text tokens, patches and CLS."""
    words = packed.inputs["page_ids"].shape[1] if "page_ids" in packed.inputs else 0
    return words + (197 if "pixel_values" in packed.inputs else 0)


def ceiling(text: Any, rows: int = 640, seconds: float = 1.0) -> float:
    """TFLOP/s of the language model's largest frozen product in bf16, ``rows`` tokens at once, for about
    ``seconds``."""
    x = torch.randn(rows, text.hidden_size, dtype=torch.bfloat16)
    weight = torch.randn(text.intermediate_size, text.hidden_size, dtype=torch.bfloat16)
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        for _ in range(20):
            x @ weight.t()
        best = min(best, time.perf_counter() - started)
    return float(20 * 2 * rows * text.hidden_size * text.intermediate_size / best / 1e12)


def show(found: Throughput) -> str:
    return (
        f"{found.recipe}, {found.pages} pages, {found.questions} questions, {found.tokens} tokens, "
        f"{found.threads} threads: "
        f"{found.samples_per_second:.1f} samples/s, {found.tokens_per_second_per_core:.0f} tokens/s a core "
        f"({found.gain:.2f} times the model's own forward).\n"
        f"{found.tflops:.3f} TFLOP/s of the {found.ceiling_tflops:.3f} that a bf16 product reaches alone: "
        f"{found.share:.0%}."
    )
