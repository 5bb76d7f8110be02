"""The model: both shapes, parity with its parts, freezing, saving, generate."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoProcessor, LayoutLMv3Model

from layoutllm_tool.model.configuration import LayoutLLMConfig
from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
from layoutllm_tool.model.processing import LayoutLLMProcessor
from tests import tiny


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_paper_shape_has_its_published_sizes() -> None:
    with torch.device("meta"):
        model = LayoutLLMForConditionalGeneration(LayoutLLMConfig.paper())
    count = {name: parameters(part) for name, part in model.named_children()}
    print(f"paper shape: {parameters(model) / 1e9:.3f}B parameters {count}")
    assert count["language_model"] == 6_738_415_616  # Llama-2-7B and Vicuna-7B-v1.5
    assert 350e6 < count["document_encoder"] < 375e6  # LayoutLMv3-large: 368M with its heads
    projector = 1024 * 4096 + 4096 + 4096 * 4096 + 4096
    assert count["visual_projector"] == count["layout_projector"] == projector
    assert model.config.visual_tokens == 197 and model.config.max_page_tokens == 512


def test_the_shipped_shape_stands_around_smollm2() -> None:
    with torch.device("meta"):
        model = LayoutLLMForConditionalGeneration(LayoutLLMConfig.smol())
    assert parameters(model.language_model) == 134_515_008
    assert model.config.visual_tokens == 50 and model.config.area_format == "segments"


def test_the_paper_shape_equals_its_parts_called_by_hand() -> None:
    model, processor = tiny.paper()
    page = tiny.page()
    inputs = processor(page, "What is the total?")
    with torch.no_grad():
        logits = model(**inputs).logits
        hidden = model.document_encoder(
            input_ids=inputs["page_ids"], bbox=inputs["page_bbox"], pixel_values=inputs["pixel_values"]
        ).last_hidden_state
        length = inputs["page_ids"].shape[1]
        h_t, h_v = model.layout_projector(hidden[:, :length]), model.visual_projector(hidden[:, length:])
        head = len(processor.template_ids(processor.style.head))
        words = model.get_input_embeddings()
        ids = inputs["input_ids"]
        tail = head + h_v.shape[1] + h_t.shape[1]
        embeds = torch.cat([words(ids[:, :head]), h_v, h_t, words(ids[:, tail:])], dim=1)
        by_hand = model.language_model(inputs_embeds=embeds).logits
    torch.testing.assert_close(logits[..., : model.config.vocab_size], by_hand)


def test_with_its_gate_shut_the_shipped_shape_reads_plain_text() -> None:
    model, processor = tiny.smol()
    inputs = processor(tiny.page(image=False), "What is the total?")
    with torch.no_grad():
        model.gate.zero_()
        shut = model(**inputs).logits
        plain = model(input_ids=inputs["input_ids"], segment_ids=inputs["segment_ids"]).logits
        model.gate.fill_(0.5)
        opened = model(**inputs).logits
    torch.testing.assert_close(shut, plain)
    assert not torch.allclose(opened, plain)


def test_learned_relative_positions_learn_and_equal_transformers_own() -> None:
    model, _ = tiny.smol()
    encoder = model.document_encoder
    own = LayoutLMv3Model(encoder.config).eval()
    own.load_state_dict(encoder.state_dict())
    inputs = {
        "input_ids": torch.full((1, 5), 3),
        "bbox": torch.tensor([[[i * 9, 5, i * 9 + 8, 20 + i] for i in range(5)]]),
        "pixel_values": torch.rand(1, 3, 64, 64),
    }
    output = encoder(**inputs).last_hidden_state
    torch.testing.assert_close(output, own(**inputs).last_hidden_state)
    output.square().mean().backward()
    for name in ("rel_pos_bias", "rel_pos_x_bias", "rel_pos_y_bias"):
        gradient = getattr(encoder.encoder, name).weight.grad
        assert gradient is not None and gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("stage", "encoder", "llm"), [("pretraining", True, False), ("sft", False, True), ("joint", True, False)]
)
def test_freezing_follows_the_stage(stage: str, encoder: bool, llm: bool) -> None:
    model, _ = tiny.smol()
    model.freeze_for(stage)
    assert all(p.requires_grad is encoder for p in model.document_encoder.parameters())
    assert all(p.requires_grad is llm for p in model.language_model.parameters())
    projectors = [*model.visual_projector.parameters(), *model.layout_projector.parameters()]
    assert all(p.requires_grad for p in projectors)
    with pytest.raises(ValueError, match="unknown stage"):
        model.freeze_for("nonsense")


@pytest.mark.parametrize("make", [tiny.smol, tiny.paper])
def test_saved_equals_loaded_through_the_auto_classes(make, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model, processor = make()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), LayoutLLMConfig)
    again = AutoModel.from_pretrained(tmp_path).eval()
    reader = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(again, LayoutLLMForConditionalGeneration) and isinstance(reader, LayoutLLMProcessor)
    inputs, same = processor(tiny.page(), "Who?"), reader(tiny.page(), "Who?")
    assert inputs["input_ids"].tolist() == same["input_ids"].tolist()
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs).logits, again(**same).logits)


@pytest.mark.parametrize("make", [tiny.smol, tiny.paper])
def test_generate_equals_a_loop_of_whole_forwards(make) -> None:  # type: ignore[no-untyped-def]
    model, processor = make()
    inputs = processor(tiny.page(), "What is the total?")
    made = model.generate(**inputs, max_new_tokens=6, min_new_tokens=6, do_sample=False)[
        0, inputs["input_ids"].shape[1] :
    ]
    ids, grown = inputs["input_ids"], dict(inputs)
    for token in made.tolist():
        with torch.no_grad():
            logits = model(**grown).logits[0, -1]
        logits[model.generation_config.eos_token_id] = -torch.inf  # as min_new_tokens does
        assert int(logits.argmax()) == token
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
        grown |= {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "page_tokens": torch.cat([grown["page_tokens"], torch.tensor([[False]])], dim=1),
            "segment_ids": torch.cat([grown["segment_ids"], torch.tensor([[-1]])], dim=1),
        }


def test_counts_that_do_not_match_are_named() -> None:
    model, processor = tiny.paper()
    inputs = processor(tiny.page(), "Who?")
    inputs["page_ids"], inputs["page_bbox"] = inputs["page_ids"][:, :-2], inputs["page_bbox"][:, :-2]
    with pytest.raises(ValueError, match=r"page tokens for \d+ page features"):
        model(**inputs)


def test_pages_without_words_and_without_picture() -> None:
    for make in (tiny.smol, tiny.paper):
        model, processor = make()
        with torch.no_grad():
            assert model(**processor(tiny.page(image=False), "Who?")).logits.isfinite().any()
            assert model(**processor(tiny.page(""), "Who?")).logits.isfinite().any()


def test_a_configuration_that_contradicts_itself_says_so() -> None:
    with pytest.raises(ValueError, match="visual_pool"):
        LayoutLLMConfig(visual_pool=3)
    with pytest.raises(ValueError, match="fusion"):
        LayoutLLMConfig(fusion="add", area_format="boxes")
    with pytest.raises(ValueError, match="positions"):
        LayoutLLMConfig(tiny.encoder_config(), max_page_tokens=500)


def test_from_parts_joins_two_checkpoints(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model, _ = tiny.paper()
    model.document_encoder.save_pretrained(tmp_path / "encoder")
    model.language_model.save_pretrained(tmp_path / "llm")
    joined = LayoutLLMForConditionalGeneration.from_parts(str(tmp_path / "encoder"), str(tmp_path / "llm"))
    torch.testing.assert_close(joined.language_model.state_dict(), model.language_model.state_dict())
    torch.testing.assert_close(joined.document_encoder.state_dict(), model.document_encoder.state_dict())
    assert joined.config.fusion == "replace" and joined.visual_projector.state_dict()["0.weight"].std() > 0
