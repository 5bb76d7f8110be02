"""The lean engine computes what transformers computes."""

from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from layoutllm_tool.errors import ModelError
from layoutllm_tool.model.llama_engine import LlamaEngine
from layoutllm_tool.model.numerics import Numerics, has_eight_bit_products
from tests import tiny


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(tiny.text_config(50)).eval()


def whole(model: LlamaForCausalLM, embeds: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        hidden: torch.Tensor = model.model(inputs_embeds=embeds).last_hidden_state
    return hidden


def test_prefill_equals_the_models_forward(llama: LlamaForCausalLM) -> None:
    page = torch.randn(1, 20, 32)
    hidden, cache = LlamaEngine(llama).prefill(page)
    torch.testing.assert_close(hidden, whole(llama, page), atol=1e-5, rtol=1e-5)
    assert cache.length == 20 and cache.bytes == 3 * 2 * 20 * 2 * 8 * 4
    kept = sum(tensor.untyped_storage().nbytes() for tensor in (*cache.keys, *cache.values))
    assert kept == cache.bytes  # nothing else is kept alive by it


def test_ragged_rows_on_a_shared_page_equal_each_row_alone(llama: LlamaForCausalLM) -> None:
    engine = LlamaEngine(llama)
    page, rows = torch.randn(1, 20, 32), torch.randn(2, 7, 32)
    _, cache = engine.prefill(page)
    suffix = engine.new_suffix(2, 30)
    # Row 0 goes on by 4, 3; row 1 by 2, then 3: the padding of its first step must leave no trace.
    first = engine.step(rows[:, :4], cache, suffix, [4, 2])
    second = engine.step(torch.stack([rows[0, 4:7], rows[1, 2:5]]), cache, suffix, [3, 3])
    for row, parts in ((0, [first[0], second[0]]), (1, [first[1, :2], second[1]])):
        expected = whole(llama, torch.cat([page, rows[row : row + 1]], dim=1))[
            0, 20 : 20 + suffix.lengths[row]
        ]
        torch.testing.assert_close(torch.cat(parts), expected, atol=1e-5, rtol=1e-5)


def test_rows_that_are_done_leave_without_changing_the_others(llama: LlamaForCausalLM) -> None:
    engine = LlamaEngine(llama)
    page, rows = torch.randn(1, 9, 32), torch.randn(3, 4, 32)
    _, cache = engine.prefill(page)
    suffix = engine.new_suffix(3, 10)
    engine.step(rows[:, :2], cache, suffix, [2, 2, 2])
    after = engine.step(rows[1:2, 2:], cache, suffix.select([1]), [2])
    expected = whole(llama, torch.cat([page, rows[1:2]], dim=1))[:, -2:]
    torch.testing.assert_close(after, expected, atol=1e-5, rtol=1e-5)


def test_hidden_layers_are_those_of_the_models_forward(llama: LlamaForCausalLM) -> None:
    engine = LlamaEngine(llama)
    page, row = torch.randn(1, 9, 32), torch.randn(1, 4, 32)
    _, cache = engine.prefill(page)
    plain = engine.step(row, cache, engine.new_suffix(1, 10), [4])
    last, kept = engine.step_with_layers(row, cache, engine.new_suffix(1, 10), [4], (1, 2))
    with torch.no_grad():
        states = llama.model(
            inputs_embeds=torch.cat([page, row], dim=1), output_hidden_states=True
        ).hidden_states
    assert torch.equal(last, plain) and len(kept) == 2
    for layer, found in zip((1, 2), kept, strict=True):
        torch.testing.assert_close(found, states[layer][:, -4:], atol=1e-5, rtol=1e-5)


def test_a_full_suffix_is_refused(llama: LlamaForCausalLM) -> None:
    engine = LlamaEngine(llama)
    _, cache = engine.prefill(torch.randn(1, 3, 32))
    with pytest.raises(ModelError, match="the suffix holds 4"):
        engine.step(torch.randn(1, 5, 32), cache, engine.new_suffix(1, 4), [5])


@pytest.mark.skipif(not has_eight_bit_products(), reason="torch has no 8-bit products here")
def test_8_bit_numbers_stay_near_the_exact_ones_and_rows_alone_equal_rows_together(
    llama: LlamaForCausalLM,
) -> None:
    engine = LlamaEngine(llama, numerics=Numerics.INT8)
    page, rows = torch.randn(1, 20, 32), torch.randn(3, 4, 32)
    hidden, cache = engine.prefill(page)
    exact = whole(llama, page)
    assert (hidden - exact).norm() < 0.05 * exact.norm()
    together = engine.step(rows, cache, engine.new_suffix(3, 10), [4] * 3)
    for row in range(3):
        alone = engine.step(rows[row : row + 1], cache, engine.new_suffix(1, 10), [4])
        torch.testing.assert_close(together[row], alone[0], atol=1e-2, rtol=1e-2)


def test_other_architectures_are_named() -> None:
    other = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=10))
    with pytest.raises(ModelError, match="gpt2"):
        LlamaEngine(other)
