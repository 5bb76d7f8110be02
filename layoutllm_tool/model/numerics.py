"""In which numbers a product is computed, chosen from what the CPU can do.

bfloat16 products are emulated on CPUs without AMX or avx512_bf16, several times slower than float32 ones.
Every x86 CPU multiplies 8-bit integers fast. So: bfloat16 where the CPU has it, 8-bit weights and
activations (FBGEMM, in torch) on every other x86 CPU, else float32. The choice depends on the CPU alone,
never on a stopwatch: answers are reproducible.
"""

from __future__ import annotations

import math
import os
import platform
import warnings
from enum import StrEnum
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

FEW_ROWS = 4
"""Rows (tokens times questions) that cost little more than one: a product of so few waits for its weights."""

_linear = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
"""(x, scale, zero point, packed weight) -> float32 product of x, rounded to 8 bits, with the 8-bit weight.
FBGEMM or oneDNN.
"""


class Numerics(StrEnum):
    """How the language model's products are computed. The weights it was loaded with are bfloat16."""

    INT8 = "int8"
    """8-bit weights (a scale an output channel) and activations (a scale a row); everything else in
    float32.
    """
    BF16 = "bf16"
    """bfloat16; with 8-bit weights for a few rows, where the engine is allowed to."""
    FP32 = "fp32"

    @property
    def dtype(self) -> torch.dtype:
        """Of activations, keys and values."""
        return torch.bfloat16 if self is Numerics.BF16 else torch.float32


def as_loaded(loaded: torch.dtype) -> Numerics:
    """The numbers of the weights themselves, whatever the CPU."""
    return Numerics.BF16 if loaded == torch.bfloat16 else Numerics.FP32


def choose(loaded: torch.dtype, *, int8: bool = True) -> Numerics:
    """The fastest numbers on this CPU for weights of dtype ``loaded``; ``int8`` allows weights of 8 bits.

    Weights that were loaded in float32 stay exact.
    """
    if loaded != torch.bfloat16:
        return Numerics.FP32
    if native() & {"amx", "bf16"}:
        return Numerics.BF16
    return Numerics.INT8 if int8 and has_eight_bit_products() else Numerics.FP32


def has_eight_bit_products() -> bool:
    """Whether this torch multiplies through FBGEMM, as it does on x86."""
    return torch.backends.quantized.engine in ("x86", "fbgemm")


@cache
def native() -> frozenset[str]:
    """What the CPU and oneDNN compute without emulation: of amx, bf16, vnni, avx512, avx2.
    ONEDNN_MAX_CPU_ISA is respected.
    """
    found = _abilities()
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    free = limit in ("", "ALL", "DEFAULT")
    arm = (
        not found["architecture"].startswith(("x86", "amd64"))
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    has = {
        "amx": found.get("amx_bf16") and found.get("amx_tile") and (free or "AMX" in limit),
        "bf16": arm or (found.get("avx512_bf16") and (free or limit.endswith(("BF16", "FP16", "AMX")))),
        "vnni": (found.get("avx512_vnni") or found.get("avx_vnni")) and (free or limit not in _BEFORE_VNNI),
        "avx512": found.get("avx512_bw") and (free or "AVX512" in limit),
        "avx2": found.get("avx2") and (free or "AVX2" in limit or "AVX512" in limit),
    }
    return frozenset(name for name, here in has.items() if here)


def _abilities() -> dict[str, Any]:
    """As torch tells them; a version that does not tell leaves the kind of CPU."""
    tell = getattr(torch.cpu, "get_capabilities", None)
    return tell() if tell else {"architecture": platform.machine().lower()}


_BEFORE_VNNI = ("SSE41", "AVX", "AVX2", "AVX512_CORE")


def cpu() -> str:
    """The CPU's name and abilities, for the head of a table of figures."""
    found = _abilities()
    name = found.get("cpu_name") or found["architecture"]
    return f"{name} ({', '.join(sorted(native())) or 'no vector units known'})"


# -- products ------------------------------------------------------------------------------------------------


class Linear:
    """``x @ weight.T`` for a weight (out, in): (..., in) -> (..., out), in the weight's dtype."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight.detach().contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


class FewRowsInt8(Linear):
    """bfloat16, with an int8 copy of the weight for up to FEW_ROWS rows: half the bytes to wait for."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        scale = self.weight.float().abs().amax(dim=1).clamp(min=1e-8) / 127
        rounded = (self.weight.float() / scale.unsqueeze(1)).round().to(torch.int8)
        self.packed = rounded.contiguous(), scale.to(self.weight.dtype)

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.numel() // x.shape[-1]
        if rows > FEW_ROWS:
            return super().__call__(x)
        flat: Tensor = torch._weight_int8pack_mm(x.reshape(rows, -1), *self.packed)
        return flat.view(*x.shape[:-1], -1)


class DynamicInt8:
    """8-bit weight and activations, float32 in and out. The weight is kept in 8 bits only.

    Inputs are turned by a Hadamard matrix in blocks of up to 16 columns, the weight with them, which
    changes nothing but spreads an outlier over its block. Then every row is divided by its own largest
    magnitude: one row's outlier costs no other row its precision, and a row's result does not depend on its
    neighbours, to the last bit.
    """

    def __init__(self, weight: Tensor) -> None:
        self._set(*self.rounded(weight))

    @staticmethod
    def rounded(weight: Tensor) -> tuple[Tensor, Tensor]:
        """A weight (out, in), turned, in int8, and the scale of each row (out)."""
        turned = _turned(weight.detach().float())
        scale = turned.abs().amax(dim=1).clamp(min=1e-8) / 127
        return (turned / scale[:, None]).round().to(torch.int8), scale

    @classmethod
    def of_rounded(cls, rounded: Tensor, scale: Tensor) -> DynamicInt8:
        """From what ``rounded`` made of a weight."""
        made = cls.__new__(cls)
        made._set(rounded, scale)
        return made

    def _set(self, rounded: Tensor, scale: Tensor) -> None:
        self.packed = _packed(rounded, scale)
        self.half = 63 if _saturates() else 127

    def __call__(self, x: Tensor) -> Tensor:
        x = _turned(x)
        largest = x.abs().amax(dim=-1, keepdim=True).clamp_min_(1e-12)
        product: Tensor = _linear(x.div_(largest), 1 / self.half, self.half + 1, self.packed)
        return product.mul_(largest)


def _turned(x: Tensor) -> Tensor:
    """Every block of up to 16 columns multiplied by a Hadamard matrix."""
    turn = _hadamard(math.gcd(x.shape[-1], 16))
    return (x.reshape(-1, len(turn)) @ turn).view(x.shape)


@cache
def _hadamard(size: int) -> Tensor:
    """An orthogonal, symmetric matrix of +-1 / sqrt(size); ``size`` is a power of two."""
    if size == 1:
        return torch.ones(1, 1)
    half = _hadamard(size // 2) / math.sqrt(2)
    return torch.cat([torch.cat([half, half], dim=1), torch.cat([half, -half], dim=1)])


def _packed(rounded: Tensor, scale: Tensor) -> torch.ScriptObject:
    """An int8 weight (out, in) with one scale an output channel, in the order the kernel wants."""
    with warnings.catch_warnings():  # torch means to move these to another package
        warnings.simplefilter("ignore", UserWarning)
        # The zero points must be whole numbers: with others the kernel reads memory that is not its own.
        zeros = torch.zeros(len(scale), dtype=torch.long)
        weight = torch._make_per_channel_quantized_tensor(rounded, scale, zeros, 0)
    packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(weight, None)
    return packed


@cache
def _saturates() -> bool:
    """Without VNNI, sums of two products are kept in 16 bits: 8-bit activations overflow there, 7-bit ones
    do not.
    """
    ones = torch.full((8, 64), 127, dtype=torch.int8), torch.full((8,), 1 / 127)
    found = _linear(torch.ones(1, 64), 1 / 127, 128, _packed(*ones))
    return not torch.allclose(found, torch.full((1, 8), 64.0), rtol=1e-3)


def product(weight: Tensor, numerics: Numerics, *, int8: bool = True) -> Linear | DynamicInt8:
    """The product with ``weight`` (out, in), computed so."""
    if numerics is Numerics.INT8:
        return DynamicInt8(weight)
    weight = weight.to(numerics.dtype)
    return FewRowsInt8(weight) if int8 and numerics is Numerics.BF16 else Linear(weight)
