"""LayoutLLM (paper section 3.1): document encoder -> two projectors -> language model. Read top to bottom.

B batch, L prompt tokens, T page tokens in the encoder, V visual tokens, S segments, D width of the language
model.

The prompt holds one placeholder ``<visual>`` for every visual token. In the paper's shape it holds
``<layout>`` for every page token, and the projected feature replaces it; in the shipped shape it holds the
page's own tokens (``<layout>`` for a masked one), to whose embeddings the gated feature is added, and a
``<seg_i>`` before every line. Decoding LayoutCoT is *not* here: decoding.py.

Over 300 lines: one model, one file, as in transformers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.generation.utils import ALL_CACHE_NAMES
from transformers.modeling_outputs import ModelOutput

from layoutllm_tool.model.configuration import SPECIAL_TOKENS, LayoutLLMConfig
from layoutllm_tool.model.encoder import DocumentEncoder, pool_patches, split_features

CACHE = "cache" if "cache" in ALL_CACHE_NAMES else "past_key_values"
"""What this transformers calls keys and values in outputs and arguments: the name changed with 5.24."""


@dataclass
class PageFeatures(ModelOutput):
    """What the encoder and projectors make of a page: (B, V, D) or None without an image, (B, T, D) or None
    without words.
    """

    visual: Tensor | None = None
    text: Tensor | None = None


@dataclass
class LayoutLLMOutput(ModelOutput):
    """``logits`` (B, kept, vocabulary + extra tokens); ``segment_keys`` (B, S, pointer) go on to the next
    step.

    Keys and values stand under the name that this transformers knows (``CACHE``); the other one stays None.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    cache: Any = None
    past_key_values: Any = None
    segment_keys: Tensor | None = None


class Projector(nn.Sequential):
    """Linear-GELU-Linear, as in LLaVA-1.5 (the paper names an MLP and gives neither depth nor activation)."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(nn.Linear(width_in, width_out), nn.GELU(), nn.Linear(width_out, width_out))


class SegmentPointer(nn.Module):
    """Step 2 as a choice among the page's segments: scores (B, N, S) between prompt states and segments.

    A segment's key is made of the language model's states at its marker and over its words, so it knows the
    line's text, what stands before it and, through the features, its place. Two learned keys stand for
    "none" and "end".
    """

    def __init__(self, config: LayoutLLMConfig) -> None:
        super().__init__()
        width, size = config.text_config.hidden_size, config.pointer_size
        self.query = nn.Linear(width, size, bias=False)
        self.marker = nn.Linear(width, size, bias=False)
        self.content = nn.Linear(width, size, bias=False)
        self.learned = nn.Parameter(torch.zeros(2, size))
        self.temperature = nn.Parameter(torch.tensor(math.log(10.0)))

    def keys(self, hidden: Tensor, segment_ids: Tensor, segments: int) -> Tensor:
        """States (B, L, D) and the segment of every token (B, L), -1 for none -> (B, S, pointer)."""
        one_hot = F.one_hot(segment_ids + 1, segments + 1)[..., 1:].to(hidden.dtype)  # B, L, S
        first = one_hot * (one_hot.cumsum(1) == 1)  # the marker is a segment's first token
        count = one_hot.sum(1).clamp(min=1).unsqueeze(-1)  # B, S, 1
        mean = one_hot.transpose(1, 2) @ hidden / count
        keys: Tensor = self.marker(first.transpose(1, 2) @ hidden) + self.content(mean)
        return keys

    def forward(self, hidden: Tensor, keys: Tensor) -> Tensor:
        """(B, N, D) and (B, S, pointer) -> (B, N, 2 + S): none, end, then the segments."""
        learned = self.learned.to(keys.dtype).expand(keys.shape[0], -1, -1)
        every = F.normalize(torch.cat([learned, keys], dim=1).float(), dim=-1)
        query = F.normalize(self.query(hidden).float(), dim=-1)
        return query @ every.transpose(1, 2) * self.temperature.float().exp()


class LayoutLLMPreTrainedModel(PreTrainedModel):
    config_class = LayoutLLMConfig
    base_model_prefix = "model"
    _supports_sdpa = True
    _no_split_modules = ["LlamaDecoderLayer", "LayoutLMv3Layer"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, SegmentPointer):
            nn.init.normal_(module.learned, std=0.02)


class LayoutLLMForConditionalGeneration(LayoutLLMPreTrainedModel, GenerationMixin):
    """The whole model. ``freeze_for("pretraining" | "sft")`` applies the paper's freezing rules."""

    def __init__(self, config: LayoutLLMConfig, language_model: PreTrainedModel | None = None) -> None:
        """``language_model`` is used where it is given; otherwise one is made at random from
        ``config.text_config``.
        """
        super().__init__(config)
        text, encoder = config.text_config, config.encoder_config
        self.document_encoder = DocumentEncoder(encoder)
        self.visual_projector = Projector(encoder.hidden_size, text.hidden_size)
        self.layout_projector = Projector(encoder.hidden_size, text.hidden_size)
        self.language_model = (
            AutoModelForCausalLM.from_config(text) if language_model is None else language_model
        )
        self.extra_embeddings = nn.Embedding(config.extra_tokens, text.hidden_size)
        if config.fusion == "add":
            # A little open: shut, neither gate nor features learn (measured: below 0.03 after 160 steps,
            # see LOG.md).
            self.gate = nn.Parameter(torch.full((), 0.3))
            self.word_projection = nn.Linear(text.hidden_size, encoder.hidden_size)
            self.mask_embedding = nn.Parameter(torch.zeros(encoder.hidden_size))
        if config.area_format == "segments":
            self.pointer = SegmentPointer(config)
        self.post_init()

    # -- parts -----------------------------------------------------------------------------------------------

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()  # type: ignore[no-any-return]

    def freeze_for(self, stage: str) -> None:
        """ "pretraining": encoder and projectors train, the LLM does not; "sft": LLM and projectors train,
        the encoder does not (paper section 3.3); "joint": all but the LLM's own weights, for an adapter on
        it.
        """
        trains = {"pretraining": (True, False), "sft": (False, True), "joint": (True, False)}
        if stage not in trains:
            raise ValueError(f"unknown stage {stage!r}; use one of {', '.join(trains)}")
        encoder, llm = trains[stage]
        self.requires_grad_(True)
        self.document_encoder.requires_grad_(encoder)
        self.language_model.requires_grad_(llm)
        if hasattr(self, "word_projection"):
            self.word_projection.requires_grad_(encoder)

    def encode_page(
        self,
        pixel_values: Tensor | None = None,
        page_ids: Tensor | None = None,
        page_bbox: Tensor | None = None,
        page_mask: Tensor | None = None,
        masked: Tensor | None = None,
    ) -> PageFeatures:
        """Pixels (B, 3, H, W), tokens (B, T), boxes (B, T, 4) 0-1000, 1 for real tokens (B, T) -> projected
        features.

        ``masked`` (B, T) hides words at the encoder's input (MVLM). Either pixels or tokens may be missing,
        not both.
        """
        if pixel_values is None and page_ids is None:
            raise ValueError("a page needs pixel_values, page_ids or both")
        inputs: dict[str, Tensor | None] = {"pixel_values": pixel_values}
        if page_ids is not None:
            inputs |= {"bbox": page_bbox, "attention_mask": page_mask} | self._encoder_words(page_ids, masked)
        length = 0 if page_ids is None else page_ids.shape[1]
        hidden = self.document_encoder(**inputs).last_hidden_state
        text, visual = split_features(hidden, length)
        features = PageFeatures(text=self.layout_projector(text) if length else None)
        if pixel_values is not None:
            pooled = pool_patches(visual, side=self.config.patches_per_side, pool=self.config.visual_pool)
            features.visual = self.visual_projector(pooled)
        return features

    def _encoder_words(self, page_ids: Tensor, masked: Tensor | None) -> dict[str, Tensor]:
        if self.config.fusion == "replace":
            return {"input_ids": page_ids}
        words = self.get_input_embeddings()(page_ids).to(self.word_projection.weight.dtype)
        embeds = self.word_projection(words * 8)  # SmolLM2's embeddings are small beside the encoder's own
        if masked is not None:
            embeds = torch.where(masked.unsqueeze(-1), self.mask_embedding.to(embeds.dtype), embeds)
        # transformers reads batch, length and padding off input_ids even where inputs_embeds carry the words.
        pad = self.config.encoder_config.pad_token_id
        return {"inputs_embeds": embeds, "input_ids": torch.full_like(page_ids, 3 if pad != 3 else 0)}

    def embed(self, input_ids: Tensor, features: PageFeatures | None, page_tokens: Tensor | None) -> Tensor:
        """Prompt ids (B, L) -> (B, L, D), with the page's features in their places.

        ``page_tokens`` (B, L) is True where the page's own text tokens stand (shape "add"). Counts that do
        not match raise.
        """
        extra = input_ids >= self.config.vocab_size
        base = self.get_input_embeddings()(input_ids.masked_fill(extra, 0))
        special = self.extra_embeddings((input_ids - self.config.vocab_size).clamp(min=0)).to(base.dtype)
        embeds = torch.where(extra.unsqueeze(-1), special, base)
        if features is None:
            return embeds
        if features.visual is not None:
            embeds = _put(embeds, input_ids == self.config.special_id("<visual>"), features.visual, "visual")
        if features.text is None:
            return embeds
        if self.config.fusion == "replace":
            return _put(embeds, input_ids == self.config.special_id("<layout>"), features.text, "page")
        if page_tokens is None:
            raise ValueError(
                'page_tokens is needed where features are added to the page\'s own tokens (fusion "add")'
            )
        return embeds + _put(
            torch.zeros_like(embeds), page_tokens, features.text * torch.tanh(self.gate), "page"
        )

    # -- forward ---------------------------------------------------------------------------------------------

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: Any = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        pixel_values: Tensor | None = None,
        page_ids: Tensor | None = None,
        page_bbox: Tensor | None = None,
        page_mask: Tensor | None = None,
        page_tokens: Tensor | None = None,
        masked: Tensor | None = None,
        segment_ids: Tensor | None = None,
        segment_keys: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> LayoutLLMOutput:
        """``labels`` (B, L), -100 where nothing is to be learned, hold ids of text or of ``<seg_...>``
        tokens.

        A text label is learned against the vocabulary, a segment label against the page's segments only:
        decoding always knows which of the two comes next. ``segment_ids`` (B, L): the line of every page
        token, -1 elsewhere.
        """
        if inputs_embeds is None:
            if input_ids is None:
                raise ValueError("input_ids or inputs_embeds is needed")
            has_page = pixel_values is not None or page_ids is not None
            features = (
                self.encode_page(pixel_values, page_ids, page_bbox, page_mask, masked) if has_page else None
            )
            inputs_embeds = self.embed(input_ids, features, page_tokens)
        decoder = self.language_model.get_decoder()
        output = decoder(
            inputs_embeds=inputs_embeds.to(next(decoder.parameters()).dtype),
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=use_cache,
            **{CACHE: past_key_values if cache is None else cache},
        )
        hidden = output.last_hidden_state  # B, L, D
        if labels is not None:
            return LayoutLLMOutput(loss=self.loss(hidden, labels, segment_ids))
        if segment_ids is not None and self.config.area_format == "segments":
            segment_keys = self.pointer.keys(hidden, segment_ids, int(segment_ids.max()) + 1)
        kept = hidden[:, -logits_to_keep:] if isinstance(logits_to_keep, int) else hidden[:, logits_to_keep]
        return LayoutLLMOutput(
            logits=self._logits(kept, segment_keys),
            segment_keys=segment_keys,
            **{CACHE: output.get(CACHE)},
        )

    def _logits(self, hidden: Tensor, segment_keys: Tensor | None) -> Tensor:
        """(B, N, D) -> (B, N, vocabulary + extra tokens); placeholders and segments that do not exist get
        -inf.
        """
        text = self.language_model.lm_head(hidden)
        extra = text.new_full((*text.shape[:-1], self.config.extra_tokens), -torch.inf)
        if segment_keys is not None:
            first = SPECIAL_TOKENS.index("<seg_none>")
            scores = self.pointer(hidden, segment_keys).to(text.dtype)
            extra[..., first : first + scores.shape[-1]] = scores
        return torch.cat([text, extra], dim=-1)

    def loss(self, hidden: Tensor, labels: Tensor, segment_ids: Tensor | None) -> Tensor:
        """Final states (B, L, D), labels and segment ids (B, L) as ``forward`` takes them -> mean cross
        entropy.

        Only the labelled positions' logits are ever computed; a row's pointer chooses among its own
        segments alone.
        """
        shifted = F.pad(labels[:, 1:], (0, 1), value=-100)  # position t predicts label t + 1
        is_text = (shifted >= 0) & (shifted < self.config.vocab_size)
        losses = [
            F.cross_entropy(
                self.language_model.lm_head(hidden[is_text]).float(), shifted[is_text], reduction="sum"
            )
        ]
        is_segment = shifted >= self.config.vocab_size
        if segment_ids is not None and self.config.area_format == "segments" and bool(is_segment.any()):
            count = segment_ids.amax(1) + 1  # B
            keys = self.pointer.keys(hidden, segment_ids, int(count.max()))
            absent = torch.arange(keys.shape[1], device=keys.device) >= count.unsqueeze(1)  # B, S
            absent = F.pad(absent, (2, 0), value=False).unsqueeze(1)  # B, 1, 2 + S
            scores = self.pointer(hidden, keys).masked_fill(absent, -torch.inf)[is_segment]  # N, 2 + S
            target = shifted[is_segment] - self.config.special_id("<seg_none>")
            losses.append(F.cross_entropy(scores, target, reduction="sum"))
        loss: Tensor = torch.stack(losses).sum() / (is_text | is_segment).sum().clamp(min=1)
        return loss

    # -- generate --------------------------------------------------------------------------------------------

    def prepare_inputs_for_generation(self, input_ids: Tensor, **kwargs: Any) -> dict[str, Any]:
        """The page is encoded with the prompt; later steps find it in the cache."""
        page = {
            name: kwargs.pop(name, None)
            for name in ("pixel_values", "page_ids", "page_bbox", "page_mask", "page_tokens", "segment_ids")
        }
        segment_keys = kwargs.pop("segment_keys", None)
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(input_ids, **kwargs)
        cache = kwargs.get(CACHE)
        first = cache is None or cache.get_seq_length() == 0
        return inputs | (page if first else {"segment_keys": segment_keys})

    def _update_model_kwargs_for_generation(
        self, outputs: Any, model_kwargs: dict[str, Any], **kwargs: Any
    ) -> Any:
        model_kwargs["segment_keys"] = outputs.segment_keys
        return super()._update_model_kwargs_for_generation(outputs, model_kwargs, **kwargs)

    @classmethod
    def around(cls, language_model: PreTrainedModel) -> LayoutLLMForConditionalGeneration:
        """The shipped shape around a language model: everything else at random, ready for training."""
        config = LayoutLLMConfig.smol(language_model.config)
        model = cls(config, language_model)
        # Segment markers as long as the language model's own embeddings: neither unheard nor shouting.
        spread = float(language_model.get_input_embeddings().weight.detach().float().std())
        nn.init.normal_(model.extra_embeddings.weight, std=spread)
        # transformers starts both at zero, and a LayerNorm over an all-zero CLS sends back gradients of 1e5.
        nn.init.normal_(model.document_encoder.cls_token, std=0.02)
        nn.init.normal_(model.document_encoder.pos_embed, std=0.02)
        return model

    @classmethod
    def from_parts(
        cls, encoder: str, language_model: str, **kwargs: Any
    ) -> LayoutLLMForConditionalGeneration:
        """The paper's shape from two checkpoints (hub names or folders, safetensors only): projectors start
        at random.

        For instance ``from_parts("microsoft/layoutlmv3-large", "lmsys/vicuna-7b-v1.5")``.
        """
        llm = AutoModelForCausalLM.from_pretrained(language_model, use_safetensors=True, **kwargs)
        document_encoder = DocumentEncoder.from_pretrained(encoder, use_safetensors=True, **kwargs)
        reads = document_encoder.config
        positions = reads.max_position_embeddings - reads.pad_token_id - 1
        model = cls(LayoutLLMConfig(reads, llm.config, max_page_tokens=min(512, positions)), llm)
        model.document_encoder = document_encoder
        return model


def _put(embeds: Tensor, places: Tensor, features: Tensor, what: str) -> Tensor:
    """Features (B, N, D) into the True places of (B, L); N is counted per row and must match."""
    counts = places.sum(1)
    if bool((counts > features.shape[1]).any()) or int(counts.max()) != features.shape[1]:
        raise ValueError(
            f"the prompt has {counts.tolist()} {what} tokens for {features.shape[1]} {what} features"
        )
    real = torch.arange(features.shape[1], device=counts.device) < counts.unsqueeze(1)  # right-padded rows
    return embeds.masked_scatter(places.unsqueeze(-1), features[real].to(embeds.dtype))


AutoModel.register(LayoutLLMConfig, LayoutLLMForConditionalGeneration)
AutoModelForCausalLM.register(LayoutLLMConfig, LayoutLLMForConditionalGeneration)
