"""What a recipe needs before it runs: parameters, memory, arithmetic, hours. Estimates from shapes.

Arithmetic: 2 operations a weight and token forward, 2 more to pass gradients through, 2 more where weights
learn; attention and the output layer on labelled tokens are counted too. Memory: weights, gradients, AdamW's
two moments, and what a layer keeps for its backward: about 34 bytes a value of the hidden state in 16 bits
(Korthikanti et al. 2022, without the attention matrix). What learns is kept in single precision. Measured
throughput: see ``throughput.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from layoutllm_tool.model.configuration import LayoutLLMConfig
from layoutllm_tool.training.recipe import Recipe, Stage

if TYPE_CHECKING:
    from rich.table import Table

DEVICES: Mapping[str, tuple[float, float, float]] = {
    "2 CPU cores": (0.15, 16, 0.0),
    "one A100 80 GB": (125.0, 80, 2.0),
    "one H100 80 GB": (350.0, 80, 3.0),
}
"""TFLOP/s that training reaches in bf16 (about 40 % of the card's), GiB, US dollars an hour (list price)."""
PAGE_TOKENS, QUESTION_TOKENS, LABELLED = 300, 55, 0.6
"""Tokens of a page and a question, share of the latter labelled: means over the documents mixture."""
PAPER_PAGE, PAPER_QUESTION = 512 + 197, 200
GIB = 2**30
_HEADINGS = (
    "stage", "pages", "steps", "M tokens", "M learning", "GiB", "of it optimiser", "activations", "EFLOP",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StagePlan:
    """Of one stage: parameters, GiB on one device that holds everything, and operations in all."""

    name: str
    pages: int
    steps: int
    tokens: int
    learning: int
    weights_gib: float
    gradients_gib: float
    optimizer_gib: float
    activations_gib: float
    exaflop: float
    hours: dict[str, float]
    dollars: dict[str, float]

    @property
    def memory_gib(self) -> float:
        return self.weights_gib + self.gradients_gib + self.optimizer_gib + self.activations_gib


@dataclass(frozen=True, slots=True)
class Plan:
    recipe: str
    encoder: int
    projectors: int
    language_model: int
    stages: tuple[StagePlan, ...]


def plan(recipe: Recipe) -> Plan:
    """Nothing is loaded or downloaded: the paper's shape is taken for any recipe that names an encoder."""
    from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration

    config = LayoutLLMConfig.paper() if recipe.encoder else LayoutLLMConfig.smol()
    with torch.device("meta"):
        model = LayoutLLMForConditionalGeneration(config)
    projectors = _count(model.visual_projector) + _count(model.layout_projector)
    stages = tuple(_stage(model, config, stage) for stage in recipe.stages)
    return Plan(recipe.name, _count(model.document_encoder), projectors, _count(model.language_model), stages)


@dataclass(frozen=True, slots=True)
class Operations:
    """Operations that one page with its questions costs, forward and backward."""

    token: float
    """A token of the language model: its linear layers."""
    pair: float
    """Two tokens that attention compares."""
    label: float
    """A labelled token: the output layer."""
    page_token: float
    """A token of the encoder."""

    @classmethod
    def of(cls, model: Any, stage: Stage) -> Operations:
        text, encoder = model.config.text_config, _count(model.document_encoder)
        width, layers = text.hidden_size, text.num_hidden_layers
        head = getattr(text, "head_dim", None) or width // text.num_attention_heads
        values = 2 * text.num_key_value_heads * head
        linear = width * (2 * width + values + 3 * text.intermediate_size) * layers
        own = 6 if stage.name == "sft" and not stage.lora_rank else 4  # 6: its own weights learn
        page_token = (2 if stage.name == "sft" else 6) * encoder
        return cls(own * linear, 4 * 2 * width * layers, own * width * text.vocab_size, page_token)

    def total(self, tokens: int, page_tokens: int, labels: float) -> float:
        own = self.token * tokens + self.pair * tokens**2 + self.label * labels
        return own + self.page_token * page_tokens


def _stage(model: Any, config: LayoutLLMConfig, stage: Stage) -> StagePlan:
    paper = config.fusion == "replace"
    page, question = (PAPER_PAGE, PAPER_QUESTION) if paper else (PAGE_TOKENS, QUESTION_TOKENS)
    asked = question * stage.questions
    adapter = _adapter(model.language_model, stage.lora_rank) if stage.name != "pretraining" else 0
    model.freeze_for(stage.name)
    if adapter:
        model.language_model.requires_grad_(False)
    learning = adapter + sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = _count(model.language_model) + _count(model.document_encoder)
    text = config.text_config
    kept = 34 * stage.batch * (page + asked) * text.hidden_size * text.num_hidden_layers
    flop = stage.pages * Operations.of(model, stage).total(page + asked, page, asked * LABELLED)
    hours = {name: flop / (speed * 1e12) / 3600 for name, (speed, _, _) in DEVICES.items()}
    return StagePlan(
        name=stage.name, pages=stage.pages, steps=stage.steps, tokens=stage.pages * (page + asked),
        learning=learning, weights_gib=(2 * frozen + 2 * learning) / GIB, gradients_gib=4 * learning / GIB,
        optimizer_gib=8 * learning / GIB, activations_gib=kept / GIB, exaflop=flop / 1e18, hours=hours,
        dollars={name: hours[name] * price for name, (_, _, price) in DEVICES.items() if price},
    )  # fmt: skip


def _adapter(language_model: nn.Module, rank: int) -> int:
    """Parameters of a LoRA adapter of this rank."""
    from layoutllm_tool.training.trainer import ADAPTED

    linears = [m for name, m in language_model.named_modules() if name.rpartition(".")[2] in ADAPTED]
    return sum(rank * (int(m.in_features) + int(m.out_features)) for m in linears)


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def show(found: Plan) -> None:
    """Two tables on standard output."""
    from rich.console import Console

    console = Console()
    console.print(
        f"{found.recipe}: encoder {found.encoder / 1e6:,.1f} M, projectors {found.projectors / 1e6:,.1f} M, "
        f"language model {found.language_model / 1e6:,.1f} M parameters."
    )
    stages = [
        (
            s.name, f"{s.pages:,}", f"{s.steps:,}", f"{s.tokens / 1e6:,.1f}", f"{s.learning / 1e6:,.1f}",
            f"{s.memory_gib:.1f}", f"{s.optimizer_gib:.1f}", f"{s.activations_gib:.1f}", f"{s.exaflop:,.3f}",
        )
        for s in found.stages
    ]  # fmt: skip
    console.print(_table(_HEADINGS, stages))
    need = max(stage.memory_gib for stage in found.stages)
    devices = []
    for name, (_, memory, price) in DEVICES.items():
        hours = sum(stage.hours[name] for stage in found.stages)
        fits = "yes" if need < memory else f"no: {math.ceil(need / memory)} of them, sharded"
        devices.append((name, f"{hours:,.2f}", f"{hours * price:,.0f}" if price else "-", fits))
    console.print(_table(("device", "hours", "dollars", "fits"), devices))


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table
