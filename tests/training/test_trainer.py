"""Packing and the training loop, on a tiny model."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.errors import CheckpointMismatch, RecipeError
from layoutllm_tool.model.decoding import CoTDecoder
from layoutllm_tool.model.grammar import DecodingConstraints
from layoutllm_tool.model.processing import Window
from layoutllm_tool.training import fused_llama
from layoutllm_tool.training.packing import IGNORE, block_mask, collate, encoder_words, pack, question_tokens
from layoutllm_tool.training.recipe import Stage
from layoutllm_tool.training.schema import QA, Example, Instruction
from layoutllm_tool.training.trainer import Learner, Trainer, prepare, rate
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
    assert segments == [
        (config.segment_id(6), config.segment_id(1)),
        (config.segment_id(7), config.segment_id(2)),
    ]
    written = [label for label in labels[prompt:] if label < config.vocab_size]
    assert (
        processor.tokenizer.decode(written)
        == "key-value extraction: total\nright of: Total\n 42.10<|im_end|>"
    )
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
    packed = [
        pack(Example("x", page, (far, NOTHING)), processor, model.config, random.Random(i)) for i in range(60)
    ]
    kept = [p for p in packed if p is not None]
    assert kept and len(kept) < len(packed)  # only where the last window was drawn
    for p in kept:
        assert model.config.special_id("<seg_none>") not in p.inputs["labels"][0].tolist()


STAGE = Stage(
    name="joint", data="documents", pages=8, pages_per_step=2, learning_rate=1e-2, fresh=True, beta2=0.98,
    lora_rank=4,
    lora_alpha=8, checkpoint_steps=2, checkpoint_seconds=0,
)  # fmt: skip


def fresh(
    folder: Path,
    stage: Stage = STAGE,
    *,
    shape: Any = tiny.smol,
    example: Example = EXAMPLE,
    workers: int = 0,
) -> Trainer:
    model, processor = shape()
    torch.manual_seed(1)
    prepare(model, stage)
    return Trainer(model, processor, lambda _: example, stage, folder, workers=workers)


def test_the_loss_falls_and_the_model_says_what_it_learned(tmp_path: Path) -> None:
    trainer = fresh(tmp_path, replace(STAGE, pages=600))
    assert trainer.run()
    assert trainer.log[-1]["loss"] < 0.2 * trainer.log[0]["loss"]
    trainer.model.language_model = trainer.model.language_model.merge_and_unload()
    decoder = CoTDecoder(trainer.model, trainer.processor)
    read = decoder.read(decoder.processor.windows(PAGE)[0])
    found = decoder.decode(read, [(qa.question, DecodingConstraints()) for qa in EXAMPLE.questions])
    assert [d.answer for d in found] == ["42.10", None, "Bob"]
    assert [d.segments for d in found] == [(1, 2), (), (3,)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path: Path, workers: int) -> None:
    whole = fresh(tmp_path / "whole")
    assert whole.run()
    first = fresh(tmp_path / "broken", workers=workers)
    batches = first._batches()
    for _ in range(3):
        first.log.append(first.train_step(batches))
        if first.step == 2:
            first.save()  # the third step is lost, as with kill -9
    second = fresh(tmp_path / "broken", workers=workers)
    assert second.run()
    assert second.step == whole.step == 4
    for name, value in whole.trainable().items():
        torch.testing.assert_close(second.trainable()[name], value, rtol=0, atol=0)
    rows = (tmp_path / "broken" / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2", "3", "4"]


def test_time_that_runs_out_ends_on_a_checkpoint(tmp_path: Path) -> None:
    assert not fresh(tmp_path).run(until=0.0)
    assert (tmp_path / "checkpoint.safetensors").exists()
    assert fresh(tmp_path).run()


def test_another_recipe_or_other_data_do_not_resume(tmp_path: Path) -> None:
    fresh(tmp_path).save()
    with pytest.raises(CheckpointMismatch, match="another recipe"):
        fresh(tmp_path, replace(STAGE, pages=10)).resume()
    trainer = fresh(tmp_path)
    trainer.identity["data_sha256"] = "0"
    with pytest.raises(CheckpointMismatch, match="other data"):
        trainer.resume()


@pytest.mark.parametrize(
    ("stage", "learns", "rests"),
    [
        ("pretraining", ("document_encoder", "visual_projector", "layout_projector"), ("language_model",)),
        ("sft", ("lora_", "visual_projector", "layout_projector"), ("document_encoder", "base_layer")),
        ("joint", ("lora_", "document_encoder", "gate", "pointer"), ("base_layer", "embed_tokens")),
    ],
)
def test_the_papers_freezing_rules(
    tmp_path: Path, stage: Any, learns: tuple[str, ...], rests: tuple[str, ...]
) -> None:
    names = set(fresh(tmp_path, replace(STAGE, name=stage)).trainable())
    assert all(any(part in name for name in names) for part in learns)
    assert not any(part in name for name in names for part in rests)


def test_without_an_adapter_the_language_model_itself_learns_in_single_precision(tmp_path: Path) -> None:
    def shape() -> tuple[Any, Any]:
        model, processor = tiny.paper()
        model.language_model.bfloat16()
        return model, processor

    trainer = fresh(tmp_path, replace(STAGE, name="sft", lora_rank=0, pages=4), shape=shape)
    names = trainer.trainable()
    assert any("q_proj" in name for name in names) and not any("document_encoder" in name for name in names)
    assert all(p.dtype == torch.float32 for p in names.values()) and not trainer.learner.fast
    before = trainer.model.language_model.lm_head.weight.clone()
    assert trainer.run() and not torch.equal(before, trainer.model.language_model.lm_head.weight)


def test_text_only_training_never_hears_of_the_layout(tmp_path: Path) -> None:
    trainer = fresh(tmp_path, replace(STAGE, features=False))
    trainer.run()
    model, page = trainer.model, trainer.processor.windows(PAGE)[0]
    features = model.encode_page(**trainer.processor.page_inputs(page))
    prompt = trainer.processor.prompt_inputs(page)
    embeds = model.embed(prompt["input_ids"], features, prompt["page_tokens"])
    moved = model.encode_page(**trainer.processor.page_inputs(tiny_moved(page)))
    assert torch.equal(embeds, model.embed(prompt["input_ids"], moved, prompt["page_tokens"]))


def tiny_moved(window: Window) -> Window:
    return replace(window, boxes=tuple((a, b, c, min(d + 99, 1000)) for a, b, c, d in window.boxes))


def test_the_rate_warms_up_and_ends_at_zero() -> None:
    stage = replace(STAGE, pages=400, warm_up=0.1)
    assert rate(stage, 0) == pytest.approx(1 / 20) and rate(stage, 20) == pytest.approx(1.0)
    assert rate(stage, 200) == pytest.approx(0.0) and rate(stage, 110) == pytest.approx(0.5)


def test_an_adapter_of_another_rank_is_refused() -> None:
    model, _ = tiny.smol()
    prepare(model, STAGE)
    with pytest.raises(RecipeError, match="has rank 4, the recipe says 8"):
        prepare(model, replace(STAGE, lora_rank=8))


# -- the fast forward ----------------------------------------------------------------------------------------


def test_the_fast_forward_computes_loss_and_gradients_of_the_models_own(tmp_path: Path) -> None:
    trainer = fresh(tmp_path)
    model = trainer.model
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    packed = pack(EXAMPLE, trainer.processor, model.config, random.Random(3))
    assert packed is not None and trainer.learner.fast
    found = {}
    for fast in (True, False):
        learner = Learner(model, fast=fast, autocast=False)
        loss = learner(packed.inputs)
        loss.backward()
        found[fast] = (
            loss.detach(),
            {n: p.grad.clone() for n, p in trainer.trainable().items() if p.grad is not None},
        )
        model.zero_grad()
    torch.testing.assert_close(found[True][0], found[False][0])
    assert found[True][1].keys() == found[False][1].keys() and any(
        "lora_A" in name for name in found[True][1]
    )
    for name, gradient in found[True][1].items():
        torch.testing.assert_close(
            gradient, found[False][1][name], rtol=1e-3, atol=1e-6 + 1e-4 * float(gradient.abs().max())
        )


def test_what_the_fast_forward_does_not_cover_goes_the_models_own_way() -> None:
    model, _ = tiny.smol()
    assert not fused_llama.covers(model.language_model)  # its own weights learn
    model.language_model.requires_grad_(False)
    assert fused_llama.covers(model.language_model)
    from peft import LoraConfig, get_peft_model

    dropped = get_peft_model(
        model.language_model, LoraConfig(r=2, lora_dropout=0.1, target_modules=["q_proj"])
    )
    assert not fused_llama.covers(dropped)


# -- batches -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [tiny.smol, tiny.paper])
def test_a_batch_computes_what_its_pages_compute_alone(shape: Any) -> None:
    model, processor = shape()
    short = Example(
        "short", tiny.page("Total 9.99"), (replace(TOTAL, lines=(0,), answer="9.99", words=((0, 1),)),)
    )
    pages = [p for e in (EXAMPLE, short) if (p := pack(e, processor, model.config, random.Random(1)))]
    counts = [int((p.inputs["labels"] != IGNORE).sum()) for p in pages]
    with torch.no_grad():
        alone = [float(model(**p.inputs).loss) * n for p, n in zip(pages, counts, strict=True)]
        together = collate(pages)
        assert together.tokens == sum(p.tokens for p in pages) and together.inputs["page_mask"].shape[0] == 2
        assert float(model(**together.inputs).loss) * sum(counts) == pytest.approx(sum(alone), rel=1e-4)


def test_a_page_without_words_shares_a_batch() -> None:
    model, processor = tiny.smol()
    blank = Example(
        "blank",
        replace(tiny.page("x"), lines=()),
        (Instruction("DLA", "Where is the figure?", "[1, 2, 3, 4]"),),
    )
    pages = [p for e in (EXAMPLE, blank) if (p := pack(e, processor, model.config, random.Random(1)))]
    counts = [int((p.inputs["labels"] != IGNORE).sum()) for p in pages]
    with torch.no_grad():
        alone = [float(model(**p.inputs).loss) * n for p, n in zip(pages, counts, strict=True)]
        assert float(model(**collate(pages).inputs).loss) * sum(counts) == pytest.approx(sum(alone), rel=1e-4)


def test_pages_with_and_without_a_picture_do_not_share_a_batch() -> None:
    model, processor = tiny.smol()
    bare = Example("bare", tiny.page("Total 9.99", image=False), (replace(TOTAL, lines=(0,)),))
    pages = [p for e in (EXAMPLE, bare) if (p := pack(e, processor, model.config, random.Random(1)))]
    with pytest.raises(ValueError, match="picture"):
        collate(pages)


# -- pre-training instructions -------------------------------------------------------------------------------


def test_an_instruction_is_answered_directly_after_the_lines_it_points_at() -> None:
    model, processor = tiny.smol()
    config, where = model.config, {line: line for line in range(4)}
    pointed = Instruction("DLA", "Where is the title?", "[0, 0, 1, 1]", (2,))
    ids, labels = question_tokens(pointed, where, processor, config, offset=1)
    prompt = len(processor.question_ids(pointed.question))
    assert ids[prompt] == config.segment_id(3) and labels[prompt : prompt + 2] == [
        config.segment_id(2),
        config.special_id("<seg_end>"),
    ]
    assert processor.tokenizer.decode(labels[prompt + 2 :]) == "[0, 0, 1, 1]<|im_end|>"


@pytest.mark.parametrize("shape", [tiny.smol, tiny.paper])
def test_masked_words_are_hidden_from_both_readers_and_unplaced_lines_stand_at_zero(shape: Any) -> None:
    model, processor = shape()
    asked = Instruction("MVLM", "What is the <mask> text content?", "42.10")
    example = Example("m", PAGE, (asked,), masked=((2, 0),), unplaced=(3,))
    packed = pack(example, processor, model.config, random.Random(0))
    assert packed is not None
    window = processor.windows(PAGE)[0]
    words = encoder_words(window, processor)
    at = [i for i, word in enumerate(words) if word == (2, 0)]
    hidden = packed.inputs["masked"][0].nonzero().flatten().tolist() if "masked" in packed.inputs else None
    if hidden is None:
        ids = packed.inputs["page_ids"][0].tolist()
        assert processor.encoder_tokenizer.mask_token_id not in (None, *processor.word_ids("42.10"))
        assert [i for i, token in enumerate(ids) if token == processor.encoder_tokenizer.mask_token_id] == at
    else:
        assert hidden == at
        spelt = processor.tokenizer.decode(
            [
                i
                for i in packed.inputs["input_ids"][0, : len(window.prompt)].tolist()
                if i < model.config.vocab_size
            ]
        )
        assert "Total" in spelt and "42.10" not in spelt
    zero = [i for i, box in enumerate(packed.inputs["page_bbox"][0].tolist()) if box == [0, 0, 0, 0]]
    assert [i for i, word in enumerate(words) if word is None or word[0] == 3] == zero
    with torch.no_grad():
        assert torch.isfinite(model(**packed.inputs).loss)


def test_without_the_chain_only_the_answer_is_learned() -> None:
    model, processor = tiny.smol()
    where = {line: line for line in range(4)}
    for qa, said in ((TOTAL, " 42.10<|im_end|>"), (NOTHING, " not in the document<|im_end|>")):
        _, labels = question_tokens(qa, where, processor, model.config, chain=False)
        assert processor.tokenizer.decode([i for i in labels if i != IGNORE]) == said


def test_the_papers_shape_writes_its_area_as_boxes() -> None:
    model, processor = tiny.paper()
    window = processor.windows(PAGE)[0]
    where = {line: line for line in range(4)}
    _, labels = question_tokens(TOTAL, where, processor, model.config, window=window)
    written = processor.tokenizer.decode([i for i in labels if i != IGNORE])
    boxes = [(PAGE.lines or ())[i].box.as_list() for i in TOTAL.lines]
    assert written == f"key-value extraction: total\n{boxes[0]}\n{boxes[1]}\nend\nright of: Total\n 42.10</s>"
