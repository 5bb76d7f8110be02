"""The loss head: the ranking loss by hand, states that cost and change nothing, training, and its file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.errors import RecipeError, WeightsMismatch
from layoutllm_tool.model.decoding import CoTDecoder
from layoutllm_tool.model.grammar import Decoded, DecodingConstraints, Stage
from layoutllm_tool.model.loss_head import (
    LossHead,
    Pool,
    ScoredDecoding,
    load_loss_head,
    ranking_loss,
    save_loss_head,
    spread_layers,
)
from layoutllm_tool.model.weight_files import ADAPTER, LOSS_HEAD, PARTS, WeightFiles
from layoutllm_tool.training import loss_head as training
from layoutllm_tool.training.schema import QA, Example
from tests import tiny

PAGE = "ACME Trading Ltd        Invoice 12-7\nTotal         42.10\nVendor: ACME            Vendor: Other"
QUESTIONS = ["What is the total?", "Who is the vendor?", "And the IBAN?"]
LIMITS = DecodingConstraints(answerable=True)


def test_ranking_loss_by_hand() -> None:
    losses = torch.tensor([0.0, 1.0, 1.0])
    # Pairs (0, 1) and (0, 2) count, (1, 2) is a tie: max(0, 0.5 - 2 + 1) = 0 and max(0, 0.5 - 0.2 + 1) = 1.3.
    assert ranking_loss(torch.tensor([0.5, 2.0, 0.2]), losses).item() == pytest.approx(0.65)
    # Margin 0.1: max(0, 0.5 - 2 + 0.1) = 0 and max(0, 0.5 - 0.2 + 0.1) = 0.4.
    assert ranking_loss(torch.tensor([0.5, 2.0, 0.2]), losses, margin=0.1).item() == pytest.approx(0.2)


def test_the_larger_loss_is_pushed_up_and_the_targets_learn_nothing() -> None:
    predicted = torch.zeros(2, requires_grad=True)
    losses = torch.tensor([0.9, 0.1], requires_grad=True)
    ranking_loss(predicted, losses).backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None and predicted.grad.tolist() == [-1.0, 1.0]
    assert losses.grad is None


def test_ties_alone_give_no_loss_and_no_gradient() -> None:
    predicted = torch.tensor([3.0, -1.0], requires_grad=True)
    found = ranking_loss(predicted, torch.tensor([0.5, 0.5]))
    found.backward()  # type: ignore[no-untyped-call]
    assert found.item() == 0 and predicted.grad is not None and not predicted.grad.any()


@pytest.mark.parametrize(("layers", "hidden_layers"), [(30, (10, 20, 30)), (3, (1, 2, 3)), (1, (1,))])
def test_hidden_layers_are_spread_and_end_with_the_last_layer(
    layers: int, hidden_layers: tuple[int, ...]
) -> None:
    assert spread_layers(layers) == hidden_layers


def test_the_pool_averages_by_step() -> None:
    pool = Pool(2, 1, 2)
    pool.add(1, Stage.ANALYSIS_HEAD, torch.tensor([[1.0, 2.0]]))
    pool.add(1, Stage.ANALYSIS_KEY, torch.tensor([[3.0, 6.0]]))
    pool.add(1, Stage.COPY, torch.tensor([[5.0, 5.0]]))
    assert pool.means(1).tolist() == [[[2.0, 4.0], [0.0, 0.0], [5.0, 5.0]]]
    assert not pool.means(0).any()


# -- decoding ------------------------------------------------------------------------------------------------


def decoded(decoder: CoTDecoder, questions: list[str]) -> list[Decoded]:
    read = decoder.read(decoder.processor.windows(tiny.page(PAGE))[0])
    return decoder.decode(read, [(question, LIMITS) for question in questions])


@pytest.mark.parametrize("make", [tiny.smol, tiny.paper])
def test_hidden_layers_do_not_change_what_is_decoded(make) -> None:  # type: ignore[no-untyped-def]
    plain = decoded(CoTDecoder(*make()), QUESTIONS)
    kept = decoded(CoTDecoder(*make(), hidden_layers=(1, 3)), QUESTIONS)
    for without, beside in zip(plain, kept, strict=True):
        assert (
            isinstance(beside, ScoredDecoding) and beside.states is not None and beside.predicted_loss is None
        )
        assert beside.states.shape == (2, 3, 32)
        assert all(getattr(beside, name) == value for name, value in vars(without).items())


@pytest.mark.parametrize("make", [tiny.smol, tiny.paper])
def test_hidden_states_of_a_batch_are_those_of_each_alone(make) -> None:  # type: ignore[no-untyped-def]
    decoder = CoTDecoder(*make(), hidden_layers=(1, 2, 3))
    for question, together in zip(QUESTIONS, decoded(decoder, QUESTIONS), strict=True):
        alone = decoded(decoder, [question])[0]
        assert isinstance(together, ScoredDecoding) and isinstance(alone, ScoredDecoding)
        assert together.states is not None and together.states[:, 0].any()
        torch.testing.assert_close(together.states, alone.states, atol=1e-3, rtol=1e-3)


def test_a_model_with_a_head_says_what_it_expects() -> None:
    model, processor = tiny.smol()
    plain = decoded(CoTDecoder(model, processor, hidden_layers=(1, 3)), QUESTIONS)
    states = [found.states for found in plain]  # type: ignore[attr-defined]
    torch.manual_seed(1)
    model.loss_head = LossHead((1, 3), 32, 4)
    for found, seen in zip(decoded(CoTDecoder(model, processor), QUESTIONS), states, strict=True):
        assert isinstance(found, ScoredDecoding) and found.states is None
        assert found.predicted_loss == pytest.approx(model.loss_head(seen[None]).item(), abs=1e-5)


# -- training ------------------------------------------------------------------------------------------------


def outcomes(count: int = 400) -> training.Outcomes:
    """The loss is one direction of the second layer's area states, which stand among noise of all sizes."""
    generator = torch.Generator().manual_seed(3)
    states = torch.randn(count, 2, 3, 8, generator=generator) * torch.tensor([1.0, 100.0])[:, None, None]
    losses = torch.sigmoid(states[:, 1, 1, 2] / 50)
    return training.Outcomes(tuple(f"page-{i // 8}" for i in range(count)), states, losses)


def test_training_learns_an_order_that_holds_for_other_documents() -> None:
    data = outcomes()
    recipe = training.Recipe(steps=150, rate=3e-3, dropout=0.0)
    predicted = training.held_out(data, (1, 2), recipe)
    assert training.ranked(predicted, data.losses) > 0.8
    shuffled = data.losses[torch.randperm(len(data.losses), generator=torch.Generator().manual_seed(0))]
    noise = training.held_out(training.Outcomes(data.documents, data.states, shuffled), (1, 2), recipe)
    assert 0.4 < training.ranked(noise, shuffled) < 0.6  # no document stands on both sides


def test_training_is_the_same_again_and_leaves_the_random_state_alone() -> None:
    data = outcomes(40)
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    first, second = (training.train(data, (1, 2), training.Recipe(steps=5)) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])


def test_ranked_by_hand() -> None:
    # Pairs of unequal loss: (0, 1) in order, (0, 2) not, a tie of losses (1, 2) not counted.
    assert training.ranked(torch.tensor([0.1, 0.4, 0.0]), torch.tensor([0.0, 1.0, 1.0])) == 0.5
    assert math.isnan(training.ranked(torch.zeros(2), torch.ones(2)))


@pytest.mark.parametrize(
    ("answer", "gold", "loss"),
    [("42.10", "42.10 ", 0.0), (None, None, 0.0), (None, "a", 1.0), ("a", None, 1.0), ("ab", "cd", 1.0),
    ("abcd", "abxx", 0.5)],
)  # fmt: skip
def test_the_loss_of_an_outcome(answer: str | None, gold: str | None, loss: float) -> None:
    assert training.loss_of(answer, gold) == pytest.approx(loss)


def example(text: str) -> Example:
    made = QuestionAnalysis("key-value", "extraction", "total")
    asked = QA("What is the total?", made, (1, 2), AnswerFormation("right of", "Total"), "42.10", ((2, 0),))
    return Example("drawn/1", tiny.page(text), (asked,))


def test_collecting_asks_what_fits_a_window_and_says_when_nothing_did() -> None:
    decoder = CoTDecoder(*tiny.smol(), hidden_layers=(2, 3))
    found = training.collect(
        decoder, [example(PAGE), example("\n".join(f"line {i} of many" for i in range(40)))]
    )
    assert found.documents == ("drawn/1",) and found.states.shape == (1, 2, 3, 32)
    assert 0 <= found.losses.item() <= 1
    with pytest.raises(RecipeError, match="no questions"):
        training.collect(decoder, [])


def test_documents_of_one_kind_cannot_be_held_out() -> None:
    data = outcomes(8)
    with pytest.raises(RecipeError, match="one document"):
        training.held_out(data, (1, 2))


# -- file ----------------------------------------------------------------------------------------------------


def files(folder: Path) -> WeightFiles:
    """Weights of no content, and the head that lies in the folder."""
    head = folder / LOSS_HEAD
    return WeightFiles(
        folder, {PARTS: b"", ADAPTER: b""} | ({LOSS_HEAD: head.read_bytes()} if head.exists() else {})
    )


def test_a_saved_head_is_the_loaded_one(tmp_path: Path) -> None:
    torch.manual_seed(2)
    head = LossHead((1, 3), 32, 4)
    head.fit_scale(torch.randn(20, 2, 3, 32) * 3 + 1)
    states = torch.randn(5, 2, 3, 32)
    path = save_loss_head(head, tmp_path, parts_sha256=files(tmp_path).parts_sha256, facts={"outcomes": "20"})
    loaded = load_loss_head(files(tmp_path), tiny.smol()[0].config)
    assert loaded is not None and loaded.hidden_layers == (1, 3) and path.stat().st_size < 10_000
    torch.testing.assert_close(loaded(states), head(states), atol=2e-2, rtol=2e-2)


def test_a_head_of_the_shipped_size_is_small(tmp_path: Path) -> None:
    path = save_loss_head(LossHead((10, 20, 30), 576), tmp_path, parts_sha256="ab")
    assert path.stat().st_size < 1_000_000


def test_a_head_of_other_weights_or_of_another_shape_is_refused(tmp_path: Path) -> None:
    config = tiny.smol()[0].config
    assert load_loss_head(files(tmp_path), config) is None
    save_loss_head(LossHead((1, 3), 32, 4), tmp_path, parts_sha256="cd")
    with pytest.raises(WeightsMismatch, match="other weights"):
        load_loss_head(files(tmp_path), config)
    for wrong in (LossHead((1, 30), 32, 4), LossHead((1, 3), 16, 4)):
        save_loss_head(wrong, tmp_path, parts_sha256=files(tmp_path).parts_sha256)
        with pytest.raises(WeightsMismatch, match="no loss head"):
            load_loss_head(files(tmp_path), config)
    (tmp_path / LOSS_HEAD).write_bytes(b"not a head")
    with pytest.raises(WeightsMismatch, match="no safetensors file"):
        load_loss_head(files(tmp_path), config)
