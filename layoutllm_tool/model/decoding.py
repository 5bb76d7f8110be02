"""LayoutCoT decoding: any number of questions on one page at once, with the lean engine.

A ``DecodingState`` (decoding_state.py) is one question: a small machine that takes the model's state,
chooses tokens, and says what to feed next. Tokens that can't be otherwise are fed together with the next
choice, and so are likely ones (speculative.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from layoutllm_tool.model.decoding_state import AREA_SEGMENTS, COPY_TOKENS, KEY_TOKENS, DecodingState
from layoutllm_tool.model.grammar import Decoded, DecodingConstraints, Grammar
from layoutllm_tool.model.llama_engine import LlamaEngine, PrefixCache, SuffixCache
from layoutllm_tool.model.loss_head import LossHead, Pool, ScoredDecoding
from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
from layoutllm_tool.model.numerics import choose
from layoutllm_tool.model.processing import LayoutLLMProcessor, Window
from layoutllm_tool.model.speculative import MAX_DRAFT, draft_tokens


@dataclass
class ReadWindow:
    """A window the model has read: its shared cache and its segments' keys (1, S, pointer)."""

    window: Window
    cache: PrefixCache
    segment_keys: Tensor | None


class CoTDecoder:
    """Reads windows and answers questions on them with the lean engine. Not thread-safe.

    A model that carries a ``loss_head`` has its outcomes ``ScoredDecoding``. ``hidden_layers`` keeps the
    states of these layers (1 is the first) with every outcome: what such a head is trained on. ``draft`` says
    what may follow a row's pending tokens: it saves steps and changes no outcome; None to do without.
    """

    def __init__(
        self,
        model: LayoutLLMForConditionalGeneration,
        processor: LayoutLLMProcessor,
        *,
        int8: bool = True,
        hidden_layers: Sequence[int] = (),
        draft: Callable[[DecodingState], list[int]] | None = draft_tokens,
    ) -> None:
        self.model, self.processor = model.eval(), processor
        head = getattr(model, "loss_head", None)
        self.loss_head: LossHead | None = None if hidden_layers else head
        self.keep_states = bool(hidden_layers)
        self.hidden_layers = tuple(hidden_layers) or (head.hidden_layers if head else ())
        self.draft = draft or (lambda row: [])
        weight = model.language_model.get_input_embeddings().weight
        numerics = choose(weight.dtype, int8=int8) if weight.device.type == "cpu" else None
        self.engine = LlamaEngine(model.language_model, int8=int8, numerics=numerics)
        self.grammar = Grammar(processor, segments=model.config.area_format == "segments")

    @torch.inference_mode()
    def read(self, window: Window) -> ReadWindow:
        """Encode and prefill: the cost that a page pays once."""
        page, prompt = self.processor.page_inputs(window), self.processor.prompt_inputs(window)
        features = self.model.encode_page(**page) if page else None
        embeds = self.model.embed(prompt["input_ids"], features, prompt["page_tokens"])
        hidden, cache = self.engine.prefill(embeds)
        keys = None
        if self.grammar.segments:
            keys = self.model.pointer.keys(hidden.float(), prompt["segment_ids"], len(window.lines))
        return ReadWindow(window, cache, keys)

    @torch.inference_mode()
    def decode(
        self,
        read: ReadWindow,
        questions: Sequence[tuple[str, DecodingConstraints]],
        on_stage: Callable[[int, DecodingState], None] | None = None,
    ) -> list[Decoded]:
        """All questions together on the one page; ``on_stage(number, row)`` is called whenever a row enters
        a new stage.
        """
        rows = [DecodingState(self.grammar, read.window, question, limits) for question, limits in questions]
        if not rows:
            return []
        capacity = (
            max(len(row.pending) for row in rows)
            + 2 * KEY_TOKENS
            + COPY_TOKENS
            + 24 * AREA_SEGMENTS
            + MAX_DRAFT
        )
        suffix = self.engine.new_suffix(len(rows), capacity)
        pool = Pool(len(rows), len(self.hidden_layers), self.model.config.text_config.hidden_size)
        active = list(range(len(rows)))
        while active:
            drafts = [self.draft(rows[number]) for number in active]
            for place, states in enumerate(self._feed([rows[n] for n in active], drafts, read, suffix)):
                number, taken = active[place], 0
                row = rows[number]
                while not (row.done or row.pending):
                    before = row.stage
                    if self.hidden_layers:
                        pool.add(number, before, states.layers_at(taken))
                    row.advance(partial(states.vocabulary, taken), partial(states.segments, taken))
                    if on_stage and row.stage is not before:
                        on_stage(number, row)
                    taken += row.accept_draft(drafts[place][taken:])
                suffix.lengths[place] += taken
            still = [number for number in active if not rows[number].done]
            if len(still) < len(active):
                suffix = suffix.select([active.index(number) for number in still])
                active = still
        return [self._result(row, pool.means(number)) for number, row in enumerate(rows)]

    def _result(self, row: DecodingState, states: Tensor) -> Decoded:
        decoded = row.result()
        return (
            ScoredDecoding.of(decoded, states, self.loss_head, keep=self.keep_states)
            if self.hidden_layers
            else decoded
        )

    def _feed(
        self,
        rows: Sequence[DecodingState],
        drafts: Sequence[list[int]],
        read: ReadWindow,
        suffix: SuffixCache,
    ) -> list[_States]:
        """All that is pending and the drafts behind it. The suffix grows by what was pending."""
        counts = [len(row.pending) for row in rows]
        fed = [row.pending + draft for row, draft in zip(rows, drafts, strict=True)]
        ids = torch.zeros(len(rows), max(map(len, fed)), dtype=torch.long)
        for place, (row, tokens) in enumerate(zip(rows, fed, strict=True)):
            ids[place, : len(tokens)] = torch.tensor(tokens)
            row.pending = []
        embeds = self.model.embed(ids, None, None)
        layers: list[Tensor] = []
        if self.hidden_layers:
            hidden, layers = self.engine.step_with_layers(
                embeds, read.cache, suffix, counts, self.hidden_layers
            )
        else:
            hidden = self.engine.step(embeds, read.cache, suffix, counts)
        return [
            _States(
                self,
                read,
                hidden[place, start : len(tokens)],
                [layer[place, start : len(tokens)] for layer in layers],
            )
            for place, (start, tokens) in enumerate(zip([count - 1 for count in counts], fed, strict=True))
        ]


class _States:
    """Behind a row's last pending token and behind each drafted token: what the model says there. Computed
    once, and only if asked.
    """

    def __init__(self, decoder: CoTDecoder, read: ReadWindow, hidden: Tensor, layers: list[Tensor]) -> None:
        self._decoder, self._read, self._hidden, self._layers = decoder, read, hidden, layers

    @cached_property
    def _logprobs(self) -> Tensor:
        return self._decoder.engine.logits(self._hidden).float().log_softmax(-1)

    def vocabulary(self, place: int) -> Tensor:
        """Log-probabilities (V)."""
        return self._logprobs[place]

    def segments(self, place: int) -> Tensor:
        """Scores of none, end and the window's segments."""
        assert self._read.segment_keys is not None
        scores: Tensor = self._decoder.model.pointer(
            self._hidden[place].float()[None, None], self._read.segment_keys
        )[0, 0]
        return scores

    def layers_at(self, place: int) -> Tensor:
        """(K, D)"""
        return torch.stack([layer[place] for layer in self._layers])
