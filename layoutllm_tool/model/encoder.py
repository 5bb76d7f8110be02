"""LayoutLMv3 as the document encoder, with relative positions that learn."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import LayoutLMv3Model
from transformers.models.layoutlmv3.modeling_layoutlmv3 import LayoutLMv3Encoder


class _LearningPositions(LayoutLMv3Encoder):
    """transformers looks its three relative-position biases up under ``no_grad`` (a speed-up that is right
    only for weights that are trained already): from random initialisation they would never learn. Here they
    do.
    """

    def _cal_1d_pos_emb(self, position_ids: Tensor) -> Tensor:  # (B, N) -> (B, heads, N, N)
        return self._bias(self.rel_pos_bias, position_ids, self.rel_pos_bins, self.max_rel_pos)

    def _cal_2d_pos_emb(self, bbox: Tensor) -> Tensor:  # (B, N, 4) -> (B, heads, N, N)
        bins, reach = self.rel_2d_pos_bins, self.max_rel_2d_pos
        across = self._bias(self.rel_pos_x_bias, bbox[:, :, 0], bins, reach)
        return across + self._bias(self.rel_pos_y_bias, bbox[:, :, 3], bins, reach)

    def _bias(self, linear: nn.Linear, position: Tensor, bins: int, reach: int) -> Tensor:
        difference = position.unsqueeze(-2) - position.unsqueeze(-1)  # B, N, N
        bucket = self.relative_position_bucket(difference, num_buckets=bins, max_distance=reach)
        # index_select over a flat index: its backward is a plain scatter-add, far cheaper than the one of
        # fancy indexing.
        found = linear.weight.t().index_select(0, bucket.flatten())
        return found.view(*bucket.shape, -1).permute(0, 3, 1, 2).contiguous()


class DocumentEncoder(LayoutLMv3Model):
    """``LayoutLMv3Model`` (same parameters, same names, same outputs) whose relative positions receive
    gradients.
    """

    def __init__(self, config) -> None:  # type: ignore[no-untyped-def]
        super().__init__(config)
        self.encoder.__class__ = _LearningPositions


def split_features(hidden: Tensor, text_tokens: int) -> tuple[Tensor, Tensor]:
    """The encoder's output (B, T + 1 + patches, D) as text (B, T, D) and visual features (B, 1 + patches,
    D).
    """
    return hidden[:, :text_tokens], hidden[:, text_tokens:]


def pool_patches(visual: Tensor, *, side: int, pool: int) -> Tensor:
    """(B, 1 + side*side, D) -> (B, 1 + (side/pool)**2, D): CLS kept, patches averaged in squares of
    ``pool``.
    """
    if pool == 1:
        return visual
    cls, patches = visual[:, :1], visual[:, 1:]
    batch, _, width = patches.shape
    grid = patches.view(batch, side // pool, pool, side // pool, pool, width).mean(dim=(2, 4))
    return torch.cat([cls, grid.flatten(1, 2)], dim=1)
