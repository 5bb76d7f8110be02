"""How fast training runs here, beside the machine's matrix multiply: ``layoutllm bench --training``.

One optimiser step's work on drawn pages, without reading data: forward and backward through the fast path
and through the model's own forward, in turn. The ceiling is a bf16 product of a training step's own shapes.
"""

from __future__ import annotations

import random
import time
from statistics import median
from typing import Any

import torch

from layoutllm_tool.training import synthetic
from layoutllm_tool.training.cost import Operations
from layoutllm_tool.training.packing import IGNORE, Packed, pack
from layoutllm_tool.training.recipe import load_recipe
from layoutllm_tool.training.run import begin
from layoutllm_tool.training.trainer import Learner, prepare

SEED = 800_000_001
"""Of the pages drawn: no training run's."""


def measure(name: str = "smol-cpu", *, pages: int = 4, repeats: int = 3) -> dict[str, Any]:
    """Rates of a recipe's last stage in one process; medians over ``repeats`` rounds through the same pages.

    A sample is a question: one instruction of the paper's counting. TFLOP/s count useful operations.
    """
    stage = load_recipe(name).stages[-1]
    model, processor = begin(load_recipe(name))
    prepare(model, stage)
    config, packed = model.config, []
    for number in range(pages):
        example, rng = synthetic.example(SEED, number), random.Random(number)
        if page := pack(example, processor, config, rng, most_questions=stage.questions):
            packed.append(page)
    learners = [Learner(model, fast=fast) for fast in (True, False)]
    rounds = [[_round(learner, packed) for learner in learners] for _ in range(repeats + 1)]
    fast, own = (median(times) for times in zip(*rounds[1:], strict=True))  # the first round warms up
    tokens, questions = sum(p.tokens for p in packed), sum(p.questions for p in packed)
    work, threads, limit = Operations.of(model, stage), torch.get_num_threads(), ceiling(config.text_config)
    tflops = sum(work.total(p.tokens, _page_tokens(p), _labels(p)) for p in packed) / fast / 1e12
    return {
        "recipe": name, "threads": threads, "pages": len(packed), "questions": questions, "tokens": tokens,
        "samples_per_second": questions / fast, "tokens_per_second_per_core": tokens / fast / threads,
        "own_forward": tokens / own / threads, "tflops": tflops, "ceiling_tflops": limit,
        "share": tflops / limit, "gain": own / fast,
    }  # fmt: skip


def _round(learner: Learner, packed: list[Packed]) -> float:
    started = time.perf_counter()
    for page in packed:
        learner(page.inputs).backward()
    learner.zero_grad(set_to_none=True)
    return time.perf_counter() - started


def _labels(packed: Packed) -> int:
    return int((packed.inputs["labels"] != IGNORE).sum())


def _page_tokens(packed: Packed) -> int:
    """What the encoder reads: text tokens, patches and CLS."""
    words = packed.inputs["page_ids"].shape[1] if "page_ids" in packed.inputs else 0
    return words + (197 if "pixel_values" in packed.inputs else 0)


def ceiling(text: Any, rows: int = 640, seconds: float = 1.0) -> float:
    """TFLOP/s of the language model's largest frozen product in bf16, ``rows`` tokens at once."""
    x = torch.randn(rows, text.hidden_size, dtype=torch.bfloat16)
    weight = torch.randn(text.intermediate_size, text.hidden_size, dtype=torch.bfloat16)
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        for _ in range(20):
            x @ weight.t()
        best = min(best, time.perf_counter() - started)
    return float(20 * 2 * rows * text.hidden_size * text.intermediate_size / best / 1e12)


def show(found: dict[str, Any]) -> str:
    return (
        "{recipe}, {pages} pages, {questions} questions, {tokens} tokens, {threads} threads: "
        "{samples_per_second:.1f} samples/s, {tokens_per_second_per_core:.0f} tokens/s a core "
        "({gain:.2f} times the model's own forward).\n"
        "{tflops:.3f} TFLOP/s of the {ceiling_tflops:.3f} that a bf16 product reaches alone: {share:.0%}."
    ).format_map(found)
