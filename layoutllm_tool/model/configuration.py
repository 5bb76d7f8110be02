"""LayoutLLMConfig: one configuration class, two shapes.

``LayoutLLMConfig.paper()`` is the paper's model (LayoutLMv3-large, two projectors, a 7B Llama);
``LayoutLLMConfig.smol()`` is the one whose weights this package ships (a six-layer LayoutLMv3 beside
SmolLM2-135M-Instruct).
"""

from __future__ import annotations

from typing import Any, Literal

from transformers import AutoConfig, LayoutLMv3Config, LlamaConfig, PretrainedConfig

SPECIAL_TOKENS = ("<visual>", "<layout>", "<seg_none>", "<seg_end>")
"""Appended after the language model's vocabulary, followed by one ``<seg_i>`` a segment."""


class LayoutLLMConfig(PretrainedConfig):
    """Sizes and switches of a LayoutLLM.

    fusion: what stands at a page token's place in the prompt. "replace": its projected encoder feature
    alone (paper);
        "add": the language model's own embedding of the token plus a gated projected feature.
    area_format: how step 2 is written. "boxes": as text, 0-1000 (paper); "segments": ``<seg_i>`` tokens
    that point. visual_pool: side of the square of patches averaged to one visual token; 1 keeps all
    (paper). max_page_tokens: text tokens of one window of a page (paper section 4.1: 512). max_segments:
    lines that one window may hold. pointer_size: width of the space in which step 2 compares the question
    with the page's segments.
    """

    model_type = "layoutllm"
    sub_configs = {"encoder_config": LayoutLMv3Config, "text_config": AutoConfig}

    def __init__(
        self,
        encoder_config: dict[str, Any] | LayoutLMv3Config | None = None,
        text_config: dict[str, Any] | PretrainedConfig | None = None,
        fusion: Literal["replace", "add"] = "replace",
        area_format: Literal["boxes", "segments"] = "boxes",
        visual_pool: int = 1,
        max_page_tokens: int = 512,
        max_segments: int = 256,
        pointer_size: int = 256,
        **kwargs: Any,
    ) -> None:
        if isinstance(encoder_config, dict):
            encoder_config = LayoutLMv3Config(**encoder_config)
        if isinstance(text_config, dict):
            values = dict(text_config)
            text_config = AutoConfig.for_model(values.pop("model_type", "llama"), **values)
        self.encoder_config: Any = encoder_config or LayoutLMv3Config(max_position_embeddings=514)
        self.text_config: Any = text_config or LlamaConfig()
        self.fusion = fusion
        self.area_format = area_format
        self.visual_pool = visual_pool
        self.max_page_tokens = max_page_tokens
        self.max_segments = max_segments
        self.pointer_size = pointer_size
        super().__init__(**kwargs)
        self._check()

    def _check(self) -> None:
        side = self.patches_per_side
        if side % self.visual_pool:
            raise ValueError(f"visual_pool {self.visual_pool} does not divide the {side} patches of a side")
        if (self.fusion == "add") != (self.area_format == "segments"):
            raise ValueError('fusion "add" goes with area_format "segments", and "replace" with "boxes"')
        positions = self.encoder_config.max_position_embeddings - self.encoder_config.pad_token_id - 1
        if positions < self.max_page_tokens:
            raise ValueError(
                f"the encoder has {positions} positions for max_page_tokens {self.max_page_tokens}"
            )

    @property
    def patches_per_side(self) -> int:
        return int(self.encoder_config.input_size // self.encoder_config.patch_size)

    @property
    def visual_tokens(self) -> int:
        """CLS and the pooled patches."""
        return (self.patches_per_side // self.visual_pool) ** 2 + 1

    @property
    def vocab_size(self) -> int:
        """The language model's, without the appended special tokens."""
        return int(self.text_config.vocab_size)

    @property
    def extra_tokens(self) -> int:
        return len(SPECIAL_TOKENS) + (self.max_segments if self.area_format == "segments" else 0)

    def special_id(self, token: str) -> int:
        """The id of one of SPECIAL_TOKENS."""
        return self.vocab_size + SPECIAL_TOKENS.index(token)

    def segment_id(self, index: int) -> int:
        """The id of ``<seg_index>``."""
        return self.vocab_size + len(SPECIAL_TOKENS) + index

    @classmethod
    def paper(cls) -> LayoutLLMConfig:
        """LayoutLMv3-large and Vicuna-7B-v1.5 (paper section 4.1)."""
        encoder = LayoutLMv3Config(
            vocab_size=50265, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16,
            intermediate_size=4096,
            coordinate_size=171, shape_size=170, max_position_embeddings=514,
        )  # fmt: skip
        text = LlamaConfig(
            vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32,
            num_attention_heads=32,
            max_position_embeddings=4096, tie_word_embeddings=False,
        )  # fmt: skip
        return cls(encoder, text)

    @classmethod
    def smol(cls, text_config: PretrainedConfig | None = None) -> LayoutLLMConfig:
        """The shipped shape, beside the language model of that configuration (SmolLM2-135M-Instruct)."""
        text = text_config or LlamaConfig(
            vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
            num_attention_heads=9,
            num_key_value_heads=3, max_position_embeddings=8192, tie_word_embeddings=True, rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 100000.0}, bos_token_id=1, eos_token_id=2,
            pad_token_id=2,
        )  # fmt: skip
        # The encoder is fed the language model's own token embeddings, so its table of words is a token's
        # worth.
        encoder = LayoutLMv3Config(
            vocab_size=4, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
            intermediate_size=1536,
            coordinate_size=64, shape_size=64, max_position_embeddings=516, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        )  # fmt: skip
        return cls(encoder, text, fusion="add", area_format="segments", visual_pool=2)


AutoConfig.register("layoutllm", LayoutLLMConfig)
