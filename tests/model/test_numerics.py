"""Which numbers are chosen on which CPU, and how near the products come to exact ones."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from layoutllm_tool.model import numerics
from layoutllm_tool.model.decoding import CoTDecoder
from layoutllm_tool.model.grammar import DecodingConstraints
from layoutllm_tool.model.numerics import (
    FEW_ROWS,
    DynamicInt8,
    FewRowsInt8,
    Linear,
    Numerics,
    choose,
    native,
    product,
)
from tests import tiny

EIGHT_BIT = pytest.mark.skipif(
    torch.backends.quantized.engine not in ("x86", "fbgemm"), reason="torch has no 8-bit products here"
)
ZEN4 = {"architecture": "x86_64", "avx2": True, "avx512_bw": True, "avx512_vnni": True, "avx512_bf16": True}
SAPPHIRE = ZEN4 | {"amx_tile": True, "amx_bf16": True}
LAPTOP = {"architecture": "x86_64", "avx2": True}


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Act as a CPU with these abilities, under this limit of oneDNN."""

    def act(abilities: dict[str, Any], limit: str = "") -> None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
        native.cache_clear()

    yield act
    native.cache_clear()


def error(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found.float() - exact).norm() / exact.norm())


@EIGHT_BIT
@pytest.mark.parametrize(
    ("abilities", "limit", "fast", "exact"),
    [
        (SAPPHIRE, "", "bf16", "bf16"),
        (SAPPHIRE, "AVX512_CORE_BF16", "bf16", "bf16"),
        (SAPPHIRE, "AVX512_CORE_VNNI", "int8", "fp32"),
        (ZEN4, "", "bf16", "bf16"),
        (ZEN4, "AVX2", "int8", "fp32"),
        (LAPTOP, "", "int8", "fp32"),
    ],
)
def test_numbers_follow_the_cpu(
    cpu: Any, abilities: dict[str, Any], limit: str, fast: str, exact: str
) -> None:
    cpu(abilities, limit)
    assert choose(torch.bfloat16) == fast
    assert choose(torch.bfloat16, int8=False) == exact
    assert choose(torch.float32) is Numerics.FP32  # loaded to be exact


@EIGHT_BIT
@pytest.mark.parametrize(("abilities", "expected"), [(ZEN4, "bf16"), (LAPTOP, "int8")])
def test_the_decoder_answers_in_the_numbers_of_the_cpu(
    cpu: Any, abilities: dict[str, Any], expected: str
) -> None:
    cpu(abilities)
    model, processor = tiny.smol()
    model.language_model.to(torch.bfloat16)
    decoder = CoTDecoder(model, processor)
    assert decoder.engine.numerics == expected
    read = decoder.read(processor.windows(tiny.page())[0])
    assert decoder.decode(read, [("What is the total?", DecodingConstraints(answerable=True))])[0].answer


def test_without_8_bit_products_nothing_is_promised_of_them(
    cpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numerics, "has_eight_bit_products", lambda: False)
    cpu(LAPTOP)
    assert choose(torch.bfloat16) is Numerics.FP32


def test_a_torch_that_tells_nothing(cpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu(ZEN4)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert not native() and numerics.cpu().startswith("x86_64")


def test_the_cpu_is_named_with_its_abilities(cpu: Any) -> None:
    cpu(ZEN4 | {"cpu_name": "Some CPU"}, "AVX2")
    assert numerics.cpu() == "Some CPU (avx2)"


@EIGHT_BIT
@pytest.mark.parametrize("rows", [1, 3, 64])
def test_8_bit_products_are_close(rows: int) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(96, 64), torch.randn(1, rows, 64)
    found = DynamicInt8(weight)(x)
    assert found.shape == (1, rows, 96) and error(found, x @ weight.T) < 0.03


@EIGHT_BIT
def test_a_row_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(96, 64), torch.randn(5, 64)
    x[2] *= 1000
    x[3] = 0
    linear = DynamicInt8(weight)
    together = linear(x)
    assert all(torch.equal(together[row], linear(x[row : row + 1])[0]) for row in range(5))
    assert not together[3].any()


@EIGHT_BIT
def test_an_outlier_is_spread_over_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """One column sixty times the others: with a scale a row alone, the others would be rounded to almost
    nothing.
    """
    torch.manual_seed(0)
    weight, x = torch.randn(96, 64), torch.randn(8, 64)
    weight[:, 5] /= 60
    x[:, 5] *= 60
    exact = x @ weight.T
    turned = error(DynamicInt8(weight)(x), exact)
    monkeypatch.setattr(numerics, "_turned", lambda values: values)
    assert turned < 0.6 * error(DynamicInt8(weight)(x), exact)


@EIGHT_BIT
@pytest.mark.parametrize("width", [48, 7, 12])
def test_any_width(width: int) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(10, width), torch.randn(4, width)
    assert error(DynamicInt8(weight)(x), x @ weight.T) < 0.04


@EIGHT_BIT
@pytest.mark.parametrize("most", ["", "AVX2"])
def test_old_cpus_do_not_overflow(most: str) -> None:
    """Large numbers of one sign, on this CPU and on one without VNNI: sums of pairs leave 16 bits if
    nothing is done.
    """
    script = (
        "import torch\nfrom layoutllm_tool.model.numerics import DynamicInt8\n"
        "weight, x = torch.zeros(16, 64), torch.zeros(2, 64)\n"
        "weight[:, ::16] = x[:, ::16] = 1  # turned: all alike\n"
        "exact = x @ weight.T\nprint(float((DynamicInt8(weight)(x) - exact).norm() / exact.norm()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"FBGEMM_ENABLE_INSTRUCTIONS": most},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 0.03


@pytest.mark.parametrize("rows", [1, FEW_ROWS, FEW_ROWS + 1])
def test_bf16_reads_8_bit_weights_for_few_rows_only(rows: int) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(96, 64).bfloat16(), torch.randn(1, rows, 64).bfloat16()
    found = product(weight, Numerics.BF16)(x)
    assert error(found, x.float() @ weight.float().T) < 0.02
    if rows > FEW_ROWS:
        torch.testing.assert_close(found, torch.nn.functional.linear(x, weight))


@EIGHT_BIT
def test_one_copy_of_a_weight() -> None:
    weight = torch.randn(32, 32).bfloat16()
    assert not any(
        isinstance(kept, torch.Tensor) and kept.numel() == weight.numel()
        for kept in vars(product(weight, Numerics.INT8)).values()
    )
    assert type(product(weight, Numerics.BF16, int8=False)) is Linear
    assert type(product(weight, Numerics.BF16)) is FewRowsInt8
    assert product(weight, Numerics.FP32)(torch.ones(1, 32)).dtype == torch.float32
