"""Tiny models of both shapes with random weights, and the tokenizers they need: real classes, made in
milliseconds.
"""

from __future__ import annotations

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LayoutLMv3Config, LlamaConfig, PreTrainedTokenizerFast

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.model.configuration import LayoutLLMConfig
from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
from layoutllm_tool.model.processing import LayoutLLMProcessor
from layoutllm_tool.testing import page_from_text

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def tokenizer(special: list[str] = SPECIAL, **names: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE with a few merges: every text is spelt, digits one by one."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*special, *alphabet])}
    merges = [("t", "o"), ("Ġ", "to"), ("a", "l"), ("Ġ", "1"), ("Ġ", "Ċ")]
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = decoders.ByteLevel()
    names = names or {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


def encoder_config(**values: int) -> LayoutLMv3Config:
    sizes = {
        "vocab_size": 400, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 32,
        "coordinate_size": 4, "shape_size": 4, "max_position_embeddings": 130, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0, "input_size": 64, "patch_size": 16, "pad_token_id": 1,
    }  # fmt: skip
    return LayoutLMv3Config(**(sizes | values))


def text_config(words: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=words, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )  # fmt: skip


def smol(seed: int = 0) -> tuple[LayoutLLMForConditionalGeneration, LayoutLLMProcessor]:
    """The shipped shape, tiny: fusion by addition, segment tokens, 16 patches pooled to 4, windows of 96
    tokens.
    """
    torch.manual_seed(seed)
    words = tokenizer()
    config = LayoutLLMConfig(
        encoder_config(vocab_size=4), text_config(len(words)), fusion="add", area_format="segments",
        visual_pool=2,
        max_page_tokens=96, max_segments=24, pointer_size=16,
    )  # fmt: skip
    model = LayoutLLMForConditionalGeneration(config).eval()
    with torch.no_grad():
        model.gate.fill_(0.5)
        for parameter in model.parameters():  # spread out, so that random answers are not all alike
            parameter.mul_(3)
    return model, LayoutLLMProcessor.for_config(config, words)


def paper(seed: int = 0) -> tuple[LayoutLLMForConditionalGeneration, LayoutLLMProcessor]:
    """The paper's shape, tiny: features replace placeholders, areas are boxes as text."""
    torch.manual_seed(seed)
    words = tokenizer()
    reader = tokenizer(
        ["<s>", "<pad>", "</s>", "<mask>"],
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        mask_token="<mask>",
    )
    config = LayoutLLMConfig(encoder_config(), text_config(len(words)), max_page_tokens=96)
    model = LayoutLLMForConditionalGeneration(config).eval()
    return model, LayoutLLMProcessor.for_config(config, words, reader)


def page(text: str = "Invoice  12-7\nVendor: ACME\nTotal   42.10", *, image: bool = True) -> Page:
    from dataclasses import replace

    found = page_from_text(text)
    return replace(found, image=Image.linear_gradient("L").resize((80, 100)) if image else None)
