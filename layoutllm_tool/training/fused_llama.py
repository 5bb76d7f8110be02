"""The language model's forward and backward for training adapters: transformers' Llama in fewer passes.

With the base weights frozen, most of a training step outside the matrix products is casts and elementwise
passes that autograd records one by one: LoRA's scale and sum, two dtype changes a layer, rotations, norms.
Here each of these is one operation with a hand-written backward. Equal to transformers' forward and gradients
(tested).

Covered: Llama-architecture models without biases whose own weights are frozen and whose linear layers are
plain or carry one peft LoRA adapter without dropout. Anything else goes through the model's own forward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel


def covers(language_model: PreTrainedModel) -> bool:
    """Whether ``decode`` computes what the model's own forward would."""
    decoder = language_model.get_decoder()
    if decoder.config.model_type != "llama" or decoder.config.attention_bias or decoder.config.mlp_bias:
        return False
    norms = [p for name, p in decoder.named_parameters() if "norm" in name]
    return not any(p.requires_grad for p in norms) and all(_plain(m) for m in _linears(decoder))


def decode(language_model: PreTrainedModel, embeds: Tensor, mask: Tensor, position_ids: Tensor) -> Tensor:
    """Embeddings (B, L, D), True where one may look (B, 1, L, L), positions (B, L) -> final states (B, L, D).

    Computes in the base weights' dtype, whatever autocast says.
    """
    decoder = language_model.get_decoder()
    x = embeds.to(decoder.norm.weight.dtype)
    with torch.autocast(x.device.type, enabled=False):
        cos, sin = decoder.rotary_emb(x, position_ids)  # B, L, E
        half = cos.shape[-1] // 2
        cos, sin = cos[:, None, :, :half], sin[:, None, :, :half]
        mask = torch.zeros(mask.shape, dtype=x.dtype, device=x.device).masked_fill_(~mask, -torch.inf)
        for layer in decoder.layers:
            x = x + _attend(layer.self_attn, _norm(x, layer.input_layernorm), mask, cos, sin)
            mlp, normed = layer.mlp, _norm(x, layer.post_attention_layernorm)
            gated = _run(_SwiGLU, linear(normed, mlp.gate_proj), linear(normed, mlp.up_proj))
            x = x + linear(gated, mlp.down_proj)
        return _norm(x, decoder.norm)


def linear(x: Tensor, module: Any) -> Tensor:
    """``module(x)`` for a linear layer, or for one that carries a LoRA adapter."""
    if isinstance(module, nn.Linear):
        return F.linear(x, module.weight)
    name = module.active_adapters[0]
    a, b = module.lora_A[name].weight.to(x.dtype), module.lora_B[name].weight
    return _run(_Adapted, x, module.base_layer.weight, a, (b * module.scaling[name]).to(x.dtype))


def _run(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    return function.apply(*arguments)  # type: ignore[no-any-return, no-untyped-call]


def _linears(decoder: Any) -> list[nn.Module]:
    return [m for layer in decoder.layers for part in (layer.self_attn, layer.mlp) for m in part.children()
            if isinstance(m, nn.Linear) or hasattr(m, "lora_A")]  # fmt: skip


def _plain(module: Any) -> bool:
    if isinstance(module, nn.Linear):
        return module.bias is None and not module.weight.requires_grad
    names = module.active_adapters
    return (
        len(names) == 1
        and isinstance(module.base_layer, nn.Linear)
        and not module.base_layer.weight.requires_grad
        and module.base_layer.bias is None
        and not module.use_dora.get(names[0], False)
        and isinstance(module.lora_dropout[names[0]], nn.Identity)
    )


def _attend(attention: Any, x: Tensor, mask: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    rows, length, _ = x.shape

    def heads(module: nn.Module) -> Tensor:
        return linear(x, module).view(rows, length, -1, attention.head_dim).transpose(1, 2)

    q = _run(_Rotate, heads(attention.q_proj), cos, sin)
    k, v = _run(_Rotate, heads(attention.k_proj), cos, sin), heads(attention.v_proj)
    mixed = _mix(q * attention.scaling, k, v, mask)
    return linear(mixed.transpose(1, 2).flatten(2), attention.o_proj)


def _mix(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Scaled queries (B, H, L, E), keys and values (B, G, L, E), additive mask (B, 1, L, L) -> (B, H, L, E).

    On CPU the fused attention with a mask takes three times as long as the products written out; heads that
    share a key are one long query.
    """
    if q.device.type != "cpu":
        share = q.shape[1] // k.shape[1]  # no fused kernel takes a mask and grouped heads together
        k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
    rows, heads, length, size = q.shape
    groups = k.shape[1]
    scores = q.reshape(rows, groups, -1, size) @ k.transpose(2, 3)  # B, G, share * L, L
    scores = scores.view(rows, groups, -1, length, length).add_(mask.unsqueeze(2))
    return (scores.softmax(-1).view(rows, groups, -1, length) @ v).view(rows, heads, length, size)


def _norm(x: Tensor, module: Any) -> Tensor:
    return _run(_RMSNorm, x, module.weight, module.variance_epsilon)


class _Adapted(torch.autograd.Function):
    """``x @ w.T + (x @ a.T) @ b.T`` with ``w`` frozen: the sums are done inside the matrix products."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, a: Tensor, b: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        low = flat @ a.t()
        ctx.save_for_backward(flat, low, w, a, b)
        ctx.shape = x.shape
        return torch.addmm(flat @ w.t(), low, b.t()).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, Tensor | None, Tensor | None]:
        flat, low, w, a, b = ctx.saved_tensors
        grad = grads[0].reshape(-1, w.shape[0])
        back = grad @ b
        learns = ctx.needs_input_grad
        a_grad, b_grad = back.t() @ flat if learns[2] else None, grad.t() @ low if learns[3] else None
        return torch.addmm(grad @ w, back, a).view(ctx.shape), None, a_grad, b_grad


class _Rotate(torch.autograd.Function):
    """Rotary positions on (B, H, L, E) with the cosines and sines of half the head (B, 1, L, E/2)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin, 1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turn(grads[0], cos, sin, -1.0), None, None


def _turn(x: Tensor, cos: Tensor, sin: Tensor, way: float) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    first, second = out.chunk(2, dim=-1)
    torch.mul(left, cos, out=first)
    first.addcmul_(right, sin, value=-way)
    torch.mul(right, cos, out=second)
    second.addcmul_(left, sin, value=way)
    return out


class _SwiGLU(torch.autograd.Function):
    """``silu(gate) * up``."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        return torch.ops.aten.silu_backward(grads[0] * up, gate), F.silu(gate).mul_(grads[0])


class _RMSNorm(torch.autograd.Function):
    """``weight * x / rms(x)`` with ``weight`` frozen; the mean in single precision."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        inverse = (length.square() / x.shape[-1] + eps).rsqrt()
        ctx.save_for_backward(x, weight, inverse)
        normed: Tensor = (x * inverse.to(x.dtype)).mul_(weight)
        return normed

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        x, weight, inverse = ctx.saved_tensors
        scaled = grads[0] * weight
        # d(x r)/dx with r = rms(x)^-1: r g - x r^3 mean(x g)
        share = (scaled * x).sum(-1, keepdim=True, dtype=torch.float32) / x.shape[-1] * inverse.pow(3)
        return scaled.mul_(inverse.to(x.dtype)).addcmul_(x, share.to(x.dtype), value=-1), None, None
