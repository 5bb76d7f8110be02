"""How large the loss of an outcome will be, from the states that made it: Learning Loss (Yoo & Kweon 2019)
on frozen states.

While a question is decoded, every choice is made from one state. The states of some layers are averaged
over the choices of each step of LayoutCoT (``Pool``), each layer's averages go through a layer of their own
and a ReLU, and what these leave, joined, becomes one number (``LossHead``). It ranks outcomes and has no
unit: the confidence gives it one. Training it is in ``layoutllm_tool.training.loss_head``.

K hidden layers, S steps, D width, H of the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from layoutllm_tool.errors import WeightsMismatch
from layoutllm_tool.model.grammar import Decoded, Stage
from layoutllm_tool.model.weight_files import LOSS_HEAD, WeightFiles
from layoutllm_tool.printable import printable

if TYPE_CHECKING:
    from layoutllm_tool.model.configuration import LayoutLLMConfig

STEPS = ("analysis", "area", "answer")
_STEP_OF = {
    Stage.ANALYSIS_HEAD: 0, Stage.ANALYSIS_KEY: 0, Stage.AREA: 1, Stage.FORMATION_HEAD: 2,
    Stage.FORMATION_KEY: 2, Stage.COPY: 2, Stage.FREE: 2,
}  # fmt: skip


def spread_layers(layers: int, count: int = 3) -> tuple[int, ...]:
    """Evenly spaced layers, the last one among them: (10, 20, 30) of 30."""
    return tuple(sorted({max(1, round(layers * (place + 1) / count)) for place in range(count)}))


class Pool:
    """Means of hidden states a step, for each of some rows: (K, S, D). A step without a choice of its own
    is zero.
    """

    def __init__(self, rows: int, layers: int, width: int) -> None:
        self.sums = torch.zeros(rows, layers, len(STEPS), width)
        self.counts = torch.zeros(rows, len(STEPS))

    def add(self, row: int, stage: Stage, states: Tensor) -> None:
        """The states (K, D) from which the row's choice in that stage is made."""
        step = _STEP_OF[stage]
        self.sums[row, :, step] += states.float()
        self.counts[row, step] += 1

    def means(self, row: int) -> Tensor:
        """(K, S, D)"""
        found: Tensor = self.sums[row] / self.counts[row].clamp(min=1)[None, :, None]
        return found


class LossHead(nn.Module):
    """(B, K, S, D) -> predicted loss (B); larger is worse."""

    def __init__(self, hidden_layers: Sequence[int], width: int, hidden: int = 32) -> None:
        super().__init__()
        self.hidden_layers = tuple(hidden_layers)
        self.width, self.hidden = width, hidden
        inputs = len(STEPS) * width
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU()) for _ in self.hidden_layers
        )
        self.out = nn.Linear(len(self.hidden_layers) * hidden, 1)
        # Later layers' states are hundreds of times larger: each number is brought to its own scale first.
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(len(self.hidden_layers), len(STEPS), width))
        self.register_buffer("scale", torch.ones(len(self.hidden_layers), len(STEPS), width))

    def forward(self, states: Tensor) -> Tensor:
        x = ((states - self.mean) * self.scale).clamp(-8, 8)  # B, K, S, D
        parts = [layer(x[:, number].flatten(1)) for number, layer in enumerate(self.layers)]
        found: Tensor = self.out(torch.cat(parts, dim=-1)).squeeze(-1)
        return found

    @torch.no_grad()
    def fit_scale(self, states: Tensor) -> None:
        """Mean and 1 / spread over some outcomes' states (B, K, S, D)."""
        self.mean.copy_(states.mean(0))
        self.scale.copy_(1 / states.std(0, unbiased=False).clamp(min=1e-3))


def ranking_loss(predicted: Tensor, losses: Tensor, *, margin: float = 1.0) -> Tensor:
    """Mean over all pairs of a batch (B), (B) of ``max(0, -sign(l_i - l_j) (p_i - p_j) + margin)``.

    The true losses are targets, not learned from. Pairs of equal losses say nothing and don't count;
    without any other, 0.
    """
    first, second = torch.triu_indices(len(losses), len(losses), offset=1, device=losses.device)
    order = (losses[first] - losses[second]).detach().sign()
    pairs = (margin - order * (predicted[first] - predicted[second])).clamp(min=0)[order != 0]
    return pairs.mean() if len(pairs) else predicted.sum() * 0


@dataclass(frozen=True)
class ScoredDecoding(Decoded):
    """An outcome with the states that made it and the loss that the head expects of it."""

    states: Tensor | None = None
    """(K, S, D), float32; only where they were asked for."""
    predicted_loss: float | None = None

    @classmethod
    def of(cls, decoded: Decoded, states: Tensor, head: LossHead | None, *, keep: bool) -> ScoredDecoding:
        loss = float(head(states[None])[0]) if head else None
        return cls(**vars(decoded), states=states if keep else None, predicted_loss=loss)


# -- file ----------------------------------------------------------------------------------------------------


def save_loss_head(
    head: LossHead, folder: Path, *, parts_sha256: str, facts: dict[str, str] | None = None
) -> Path:
    """Half precision, about 400 KB; belongs to the trained parts with that hash."""
    from safetensors.torch import save_file

    state = {name: tensor.detach().half().contiguous() for name, tensor in head.state_dict().items()}
    known = {
        "parts_sha256": parts_sha256,
        "hidden_layers": ",".join(map(str, head.hidden_layers)),
        "hidden": str(head.hidden),
    }
    save_file(state, folder / LOSS_HEAD, metadata=(facts or {}) | known)
    (folder / LOSS_HEAD).chmod(0o644)
    return folder / LOSS_HEAD


def load_loss_head(files: WeightFiles, config: LayoutLLMConfig) -> LossHead | None:
    """None where the folder has no head; WeightsMismatch where it belongs to other weights or is not a
    head.
    """
    if LOSS_HEAD not in files.data:
        return None
    hint = f"Train it again: python -m layoutllm_tool.training.loss_head --weights {files.folder}"
    known, state = files.tensors(LOSS_HEAD)
    if known.get("parts_sha256") != files.parts_sha256:
        raise WeightsMismatch(
            f"{LOSS_HEAD} was trained on other weights than {files.folder} holds.", hint=hint
        )
    try:
        return _made(
            known, {name: tensor.float() for name, tensor in state.items()}, config.text_config
        ).eval()
    except (KeyError, ValueError, RuntimeError) as error:
        raise WeightsMismatch(
            f"{LOSS_HEAD} is no loss head of this model: {printable(str(error)[:300])}.", hint=hint
        ) from error


def _made(known: dict[str, str], state: dict[str, Tensor], text: Any) -> LossHead:
    hidden_layers = tuple(int(layer) for layer in known["hidden_layers"].split(","))
    if (
        not hidden_layers
        or len(hidden_layers) > text.num_hidden_layers
        or not all(1 <= layer <= text.num_hidden_layers for layer in hidden_layers)
    ):
        raise ValueError(f"hidden_layers {hidden_layers} of {text.num_hidden_layers} layers")
    with torch.device("meta"):  # no memory before the sizes are known to be those of the file
        head = LossHead(hidden_layers, text.hidden_size, min(int(known["hidden"]), 4096))
    head.load_state_dict(state, assign=True)
    return head
