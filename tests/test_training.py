"""Packing and the training loop, on a tiny model."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.model.decoding import CoTDecoder
from layoutllm_tool.model.grammar import Constraints
from layoutllm_tool.training.packing import IGNORE, block_mask, pack, question_tokens
from layoutllm_tool.training.schema import QA, Example
from layoutllm_tool.training.trainer import Recipe, Trainer, add_adapter, schedule
from tests import tiny

PAGE = tiny.page("ACME Ltd\nTotal         42.10\nVendor: Bob")
ANALYSIS = QuestionAnalysis("key-value", "extraction", "total")
TOTAL = QA("What is the total?", ANALYSIS, (1, 2), AnswerFormation("right of", "Total"), "42.10", ((2, 0),))
NOTHING = QA("And the IBAN?", ANALYSIS, (), AnswerFormation("none", ""), None)
VENDOR = QA("Who?", ANALYSIS, (3,), AnswerFormation("inside", "Vendor"), "Bob", ((3, 1),))
EXAMPLE = Example("test/1", PAGE, (TOTAL, NOTHING, VENDOR))


def test_labels_are_the_answers_tokens_and_nothing_else() -> None:
    model, processor = tiny.smol()
    config = model.config
    where = {line: line for line in range(4)}
    ids, labels = question_tokens(TOTAL, where, processor, config, offset=5)
    prompt = len(processor.question_ids(TOTAL.question))
    assert labels[:prompt] == [IGNORE] * prompt and all(label != IGNORE for label in labels[prompt:])
    segments = [(i, label) for i, label in zip(ids, labels, strict=True) if label >= config.segment_id(0)]
    # The input carries the random offset, the label the segment's own number.
    assert segments == [(config.segment_id(6), config.segment_id(1)), (config.segment_id(7), config.segment_id(2))]
    written = [label for label in labels[prompt:] if label < config.vocab_size]
    assert processor.tokenizer.decode(written) == "key-value extraction: total\nright of: Total\n 42.10<|im_end|>"
    assert config.special_id("<seg_end>") in labels
    _, refused = question_tokens(NOTHING, where, processor, config)
    assert refused[-1] == config.special_id("<seg_none>")


def test_no_question_sees_another() -> None:
    mask = block_mask(torch.tensor([0, 0, 1, 1, 2]))[0, 0].int().tolist()
    assert mask == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]


def test_packed_losses_equal_questions_alone() -> None:
    model, processor = tiny.smol()
    packed = pack(EXAMPLE, processor, model.config, random.Random(1))
    assert packed is not None and packed.questions == 3
    total, count = 0.0, 0
    with torch.no_grad():
        together = float(model(**packed.inputs).loss)
        for qa in EXAMPLE.questions:
            # The same seed draws the same offset of segment numbers: it is drawn after the questions are.
            for seed in range(200):
                alone = pack(Example("one", PAGE, (qa,)), processor, model.config, random.Random(seed))
                assert alone is not None
                if _offset(alone, model) == _offset(packed, model):
                    break
            assert alone is not None
            labels = int((alone.inputs["labels"] != IGNORE).sum())
            total += float(model(**alone.inputs).loss) * labels
            count += labels
    assert together == pytest.approx(total / count, rel=1e-4)


def _offset(packed, model) -> int:  # type: ignore[no-untyped-def]
    ids = packed.inputs["input_ids"]
    return int(ids[ids >= model.config.segment_id(0)].min())


def test_a_question_answered_in_another_window_is_left_out_not_denied() -> None:
    model, processor = tiny.smol()
    page = tiny.page("\n".join(f"line {i} of many" for i in range(40)))
    far = QA("Q?", ANALYSIS, (39,), AnswerFormation("inside", ""), "39", ((39, 1),))
    packed = [pack(Example("x", page, (far, NOTHING)), processor, model.config, random.Random(i)) for i in range(60)]
    kept = [p for p in packed if p is not None]
    assert kept and len(kept) < len(packed)  # only where the last window was drawn
    for p in kept:
        assert model.config.special_id("<seg_none>") not in p.inputs["labels"][0].tolist()


def fresh(folder: Path, pages: int = 8) -> Trainer:
    model, processor = tiny.smol()
    recipe = Recipe(pages=pages, pages_per_step=2, learning_rate=1e-2, lora_rank=4, lora_alpha=8, checkpoint_every=2)
    torch.manual_seed(1)
    model.freeze_for(recipe.stage)
    add_adapter(model, recipe)
    return Trainer(model, processor, lambda _: EXAMPLE, recipe, folder)


def test_the_loss_falls_and_the_model_says_what_it_learned(tmp_path: Path) -> None:
    trainer = fresh(tmp_path, pages=600)
    trainer.run()
    assert trainer.log[-1]["loss"] < 0.2 * trainer.log[0]["loss"]
    trainer.model.language_model = trainer.model.language_model.merge_and_unload()
    decoder = CoTDecoder(trainer.model, trainer.processor)
    read = decoder.read(decoder.processor.windows(PAGE)[0])
    found = decoder.decode(read, [(qa.question, Constraints()) for qa in EXAMPLE.questions])
    assert [d.answer for d in found] == ["42.10", None, "Bob"]
    assert [d.segments for d in found] == [(1, 2), (), (3,)]


def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole = fresh(tmp_path / "whole")
    whole.run()
    first = fresh(tmp_path / "broken")
    first.resume()
    for _ in range(3):
        first.log.append(first.train_step())
        if first.step == 2:
            first.save()  # the third step is lost, as with kill -9
    second = fresh(tmp_path / "broken")
    second.run()
    assert second.step == whole.step == 4
    for name, value in whole.trainable().items():
        torch.testing.assert_close(second.trainable()[name], value)
    rows = (tmp_path / "broken" / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2", "3", "4"]


def test_another_recipe_does_not_resume(tmp_path: Path) -> None:
    fresh(tmp_path).save()
    with pytest.raises(ValueError, match="another recipe"):
        fresh(tmp_path, pages=10).resume()


def test_the_language_models_own_weights_stay(tmp_path: Path) -> None:
    trainer = fresh(tmp_path)
    names = set(trainer.trainable())
    assert all("lora_" in name for name in names if name.startswith("language_model."))
    assert any(name.startswith("document_encoder.") for name in names) and "gate" in names


def test_the_schedule_warms_up_and_ends_at_zero() -> None:
    factor = schedule(Recipe(pages=400, pages_per_step=2, warm_up=0.1))
    assert factor(0) == pytest.approx(1 / 20) and factor(20) == pytest.approx(1.0)
    assert factor(200) == pytest.approx(0.0) and factor(110) == pytest.approx(0.5)
