"""A lean Llama: one page's keys and values kept once, any number of questions decoded behind it, together.

transformers' ``generate`` spends most of a small model's time outside the matrix products. This runs the
same arithmetic with fused projections, products in the numbers that suit the CPU (numerics.py), and a cache
that shares the page among all rows. Equal to the model's own forward (tested).

B rows (questions), T new tokens, D width, H heads, G key/value heads, E head size, P page tokens, C suffix
capacity. Covered: Llama-architecture language models, and Qwen2, which adds biases to queries, keys and
values. Training and sampling are *not* here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from layoutllm_tool.errors import ModelError
from layoutllm_tool.model.numerics import FEW_ROWS, DynamicInt8, Linear, Numerics, as_loaded, product


def keep_to_thread_limit() -> None:
    """Not more threads than OMP_THREAD_LIMIT allows: with more, oneDNN leaves a part of each product
    undone, silently.
    """
    limit = os.environ.get("OMP_THREAD_LIMIT", "")
    if limit.isdecimal() and 0 < int(limit) < torch.get_num_threads():
        torch.set_num_threads(int(limit))


class RMSNorm:
    """Root-mean-square norm over the last dimension."""

    def __init__(self, norm: nn.Module, eps: float, dtype: torch.dtype) -> None:
        self.weight: Tensor = norm.weight.detach().to(dtype)  # type: ignore[operator]
        self.twice, self.eps = self.weight.repeat(2), eps

    def __call__(self, x: Tensor) -> Tensor:
        width = x.shape[-1]
        if x.numel() > FEW_ROWS * width:
            return F.rms_norm(x, (width,), self.weight, self.eps)
        # x beside -x has the mean 0 and x's mean square: layer norm is one kernel where rms norm is eight.
        return F.layer_norm(torch.cat([x, -x], dim=-1), (2 * width,), self.twice, None, self.eps)[..., :width]


@dataclass
class Layer:
    qkv: Linear | DynamicInt8
    out: Linear | DynamicInt8
    gate_up: Linear | DynamicInt8
    down: Linear | DynamicInt8
    norm_in: RMSNorm
    norm_post: RMSNorm
    qkv_bias: Tensor | None = None


@dataclass
class PrefixCache:
    """Keys and values of one prefilled page: (1, G, P, E) a layer. Read-only: every question shares it."""

    keys: list[Tensor]
    values: list[Tensor]

    @property
    def length(self) -> int:
        return self.keys[0].shape[2]

    @property
    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (*self.keys, *self.values))


@dataclass
class SuffixCache:
    """What B rows have written behind the page: (B, G, C, E) a layer, ``lengths`` (B) of it in use."""

    keys: list[Tensor]
    values: list[Tensor]
    lengths: list[int] = field(default_factory=list)

    def select(self, rows: list[int]) -> SuffixCache:
        """Only these rows: the others are done."""
        return SuffixCache(
            [k[rows] for k in self.keys], [v[rows] for v in self.values], [self.lengths[r] for r in rows]
        )


class LlamaEngine:
    """Built from a LlamaForCausalLM whose adapters are merged. Not thread-safe: one caller at a time.

    ``numerics`` is that of the weights as they were loaded where it is not given; ``choose`` follows the
    CPU. ``int8`` allows weights of 8 bits. ``stored`` keeps products that were made before, by name.
    """

    def __init__(
        self,
        language_model: PreTrainedModel,
        *,
        int8: bool = True,
        numerics: Numerics | None = None,
        stored: Callable[[str, Tensor], DynamicInt8] | None = None,
    ) -> None:
        config, decoder = language_model.config, language_model.get_decoder()
        if config.model_type not in ("llama", "qwen2"):
            raise ModelError(
                f"the lean engine decodes Llama-architecture models and Qwen2, not {config.model_type!r}.",
                hint="Use model.generate() for this one.",
            )
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.size = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.numerics = numerics or as_loaded(decoder.embed_tokens.weight.dtype)
        self.dtype = self.numerics.dtype

        def make(layer: str, part: str, weight: Tensor) -> Linear | DynamicInt8:
            return stored(layer + part, weight) if stored else product(weight, self.numerics, int8=int8)

        self.layers = [
            self._layer(layer, partial(make, f"{number}."), config.rms_norm_eps)
            for number, layer in enumerate(decoder.layers)
        ]
        self.norm = RMSNorm(decoder.norm, config.rms_norm_eps, self.dtype)
        self.head = make("", "head", language_model.lm_head.weight)
        positions = torch.arange(config.max_position_embeddings)
        cos, sin = decoder.rotary_emb(torch.zeros(1, 1, dtype=torch.float32), positions.unsqueeze(0))
        half = sin.shape[-1] // 2
        signed = torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)  # see _rotate
        self.cos, self.sin = cos[0].to(self.dtype), signed.to(self.dtype)  # positions, E

    def _layer(self, layer: Any, make: Callable[[str, Tensor], Linear | DynamicInt8], eps: float) -> Layer:
        attention, mlp = layer.self_attn, layer.mlp
        parts = (attention.q_proj, attention.k_proj, attention.v_proj)
        qkv = torch.cat([part.weight for part in parts])
        biased = parts[0].bias is not None
        return Layer(
            qkv=make("qkv", qkv),
            out=make("out", attention.o_proj.weight),
            gate_up=make("gate_up", torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight])),
            down=make("down", mlp.down_proj.weight),
            norm_in=RMSNorm(layer.input_layernorm, eps, self.dtype),
            norm_post=RMSNorm(layer.post_attention_layernorm, eps, self.dtype),
            qkv_bias=torch.cat([part.bias for part in parts]).detach().to(self.dtype) if biased else None,
        )

    # -- prefill and steps -----------------------------------------------------------------------------------

    @torch.inference_mode()
    def prefill(self, embeds: Tensor) -> tuple[Tensor, PrefixCache]:
        """Page embeddings (1, P, D) -> final states (1, P, D) and the cache to ask questions on."""
        x = embeds.to(self.dtype)
        cos, sin = self.cos[: x.shape[1]], self.sin[: x.shape[1]]
        cache = PrefixCache([], [])
        for layer in self.layers:
            q, k, v = self._project(layer, x, cos, sin)
            # Copies: as views they would keep the queries and all of the joint product alive, five times
            # their own size.
            cache.keys.append(k.contiguous())
            cache.values.append(v.contiguous())
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            x = self._finish(layer, x, mixed)
        return self.norm(x), cache

    def new_suffix(self, rows: int, capacity: int) -> SuffixCache:
        def empty() -> list[Tensor]:
            return [
                torch.zeros(rows, self.groups, capacity, self.size, dtype=self.dtype) for _ in self.layers
            ]

        return SuffixCache(empty(), empty(), [0] * rows)

    def step(self, embeds: Tensor, page: PrefixCache, suffix: SuffixCache, counts: list[int]) -> Tensor:
        """New tokens (B, T, D), of which row b's first ``counts[b]`` are real -> final states (B, T, D).

        The suffix grows by the real ones; the padding's entries are overwritten by what comes next and
        never seen.
        """
        return self.step_with_layers(embeds, page, suffix, counts, ())[0]

    @torch.inference_mode()
    def step_with_layers(
        self,
        embeds: Tensor,
        page: PrefixCache,
        suffix: SuffixCache,
        counts: list[int],
        hidden_layers: Collection[int],
    ) -> tuple[Tensor, list[Tensor]]:
        """As ``step``, and beside it what the layers in ``hidden_layers`` (1 is the first) leave, (B, T, D)
        each, before any norm.

        Costs nothing: the states are kept, not copied.
        """
        x = embeds.to(self.dtype)
        rows, new, _ = x.shape
        begin = torch.tensor(suffix.lengths)
        slots = begin.unsqueeze(1) + torch.arange(new)  # B, T
        capacity = suffix.keys[0].shape[2]
        if int(slots.max()) >= capacity:
            raise ModelError(
                f"a question and its answer need {int(slots.max()) + 1} tokens, the suffix holds {capacity}."
            )
        cos, sin = self.cos[page.length + slots], self.sin[page.length + slots]  # B, T, E
        used = int(slots.max()) + 1
        # One row's suffix may be longer than another's: what lies behind a token's own slot is masked.
        behind = torch.arange(used).view(1, 1, -1) > slots.unsqueeze(-1)  # B, T, used
        share = self.heads // self.groups
        mask = None
        if bool(behind.any()):
            zeros = torch.zeros(behind.shape, dtype=self.dtype).masked_fill(behind, -torch.inf)
            mask = zeros[:, None].expand(rows, share, new, used).reshape(rows, 1, share * new, used)
        index = torch.arange(rows).unsqueeze(1).expand(rows, new)
        # Rows that are equally long, one row above all, are written as a block: an indexed write costs ten
        # times as much.
        block = slice(suffix.lengths[0], used) if len(set(suffix.lengths)) == 1 else None
        kept: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            q, k, v = self._project(layer, x, cos.unsqueeze(1), sin.unsqueeze(1))
            if block:
                suffix.keys[number][:, :, block], suffix.values[number][:, :, block] = k, v
            else:
                suffix.keys[number][index, :, slots] = k.transpose(1, 2)
                suffix.values[number][index, :, slots] = v.transpose(1, 2)
            mixed = self._attend(
                q, page.keys[number], page.values[number],
                suffix.keys[number][:, :, :used], suffix.values[number][:, :, :used], mask,
            )  # fmt: skip
            x = self._finish(layer, x, mixed)
            if number + 1 in hidden_layers:
                kept.append(x)
        suffix.lengths = [length + count for length, count in zip(suffix.lengths, counts, strict=True)]
        return self.norm(x), kept

    def logits(self, hidden: Tensor) -> Tensor:
        """Final states (..., D) -> (..., vocabulary)."""
        return self.head(hidden)

    # -- parts -----------------------------------------------------------------------------------------------

    def _project(self, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, new, _ = x.shape
        joint = layer.qkv(layer.norm_in(x))
        if layer.qkv_bias is not None:
            joint = joint + layer.qkv_bias
        joint = joint.view(rows, new, -1, self.size).transpose(1, 2)
        turning, v = torch.split(joint, [self.heads + self.groups, self.groups], dim=1)  # B, heads, T, E
        q, k = torch.split(_rotate(turning, cos, sin), [self.heads, self.groups], dim=1)
        return q, k, v

    def _attend(
        self, q: Tensor, page_k: Tensor, page_v: Tensor, tail_k: Tensor, tail_v: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Softmax over page and suffix together, without ever copying the page once a row. -> (B, H, T, E)

        Two fused attentions, each with its logarithm of the sum of exponentials, are weighed into one: exact.
        """
        rows, heads, new, size = q.shape
        share = heads // self.groups
        grouped = q.reshape(rows, self.groups, share * new, size)
        # All rows' and all sharing heads' queries against the one page, as if they were one long query: (1,
        # G, N, E).
        flat = grouped.transpose(0, 1).reshape(1, self.groups, rows * share * new, size)
        on_page, page_sum = _fused_attention(flat, page_k, page_v)
        on_page = on_page.view(self.groups, rows, share * new, size).transpose(0, 1)
        page_sum = page_sum.view(self.groups, rows, share * new).transpose(0, 1)
        on_tail, tail_sum = _fused_attention(grouped, tail_k, tail_v, attn_mask=mask)
        weight = torch.sigmoid(page_sum - tail_sum).unsqueeze(-1).to(q.dtype)
        return torch.lerp(on_tail, on_page, weight).reshape(rows, heads, new, size)

    def _finish(self, layer: Layer, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + layer.out(mixed.transpose(1, 2).flatten(2))
        gate, up = layer.gate_up(layer.norm_post(x)).chunk(2, dim=-1)
        return x + layer.down(F.silu(gate) * up)


_fused_attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""(output, log of the sum of exponentials); what ``scaled_dot_product_attention`` runs on CPU, which keeps
the sum to itself.
"""


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions; the first half of ``sin`` carries the minus that belongs to the second half of
    ``x``.
    """
    left, right = x.chunk(2, dim=-1)
    return torch.addcmul(x * cos, torch.cat([right, left], dim=-1), sin)
