"""LayoutCoT decoding: any number of questions on one page at once, with the lean engine.

A ``Row`` (row.py) is one question: a small machine that takes the model's state, chooses tokens, and says what to feed next. Tokens
that can't be otherwise are fed together with the next choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from layoutllm_tool.model.engine import LlamaEngine, PageCache, Tail
from layoutllm_tool.model.grammar import Constraints, Decoded, Grammar
from layoutllm_tool.model.loss_head import Judged, LossHead, Pool
from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
from layoutllm_tool.model.processing import LayoutLLMProcessor, Window
from layoutllm_tool.model.row import AREA_SEGMENTS, COPY_TOKENS, KEY_TOKENS, Row


@dataclass
class ReadWindow:
    """A window the model has read: its shared cache and its segments' keys (1, S, pointer)."""

    window: Window
    cache: PageCache
    segment_keys: Tensor | None


class CoTDecoder:
    """Reads windows and answers questions on them with the lean engine. Not thread-safe.

    A model that carries a ``loss_head`` has its outcomes ``Judged``. ``taps`` keeps the states of these layers (1 is the first)
    with every outcome: what such a head is trained on.
    """

    def __init__(
        self,
        model: LayoutLLMForConditionalGeneration,
        processor: LayoutLLMProcessor,
        *,
        int8: bool = True,
        taps: Sequence[int] = (),
    ) -> None:
        self.model, self.processor = model.eval(), processor
        head = getattr(model, "loss_head", None)
        self.loss_head: LossHead | None = None if taps else head
        self.keep_states = bool(taps)
        self.taps = tuple(taps) or (head.taps if head else ())
        self.engine = LlamaEngine(model.language_model, int8=int8)
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
        questions: Sequence[tuple[str, Constraints]],
        on_stage: Callable[[int, Row], None] | None = None,
    ) -> list[Decoded]:
        """All questions together on the one page; ``on_stage(number, row)`` is called whenever a row enters a new stage."""
        rows = [Row(self.grammar, read.window, question, limits) for question, limits in questions]
        if not rows:
            return []
        capacity = max(len(row.pending) for row in rows) + 2 * KEY_TOKENS + COPY_TOKENS + 24 * AREA_SEGMENTS
        tail = self.engine.new_tail(len(rows), capacity)
        pool = Pool(len(rows), len(self.taps), self.model.config.text_config.hidden_size)
        active = list(range(len(rows)))
        while active:
            states, tapped = self._feed(rows, active, read, tail)
            for place, number in enumerate(active):
                row, before = rows[number], rows[number].stage
                if self.taps:
                    pool.add(number, before, tapped[place])
                row.advance(states[place], self._vocabulary, lambda h: self._segments(h, read))
                if on_stage and row.stage is not before:
                    on_stage(number, row)
            still = [number for number in active if not rows[number].done]
            if len(still) < len(active):
                tail = tail.select([active.index(number) for number in still])
                active = still
        return [self._result(row, pool.means(number)) for number, row in enumerate(rows)]

    def _result(self, row: Row, states: Tensor) -> Decoded:
        decoded = row.result()
        return Judged.of(decoded, states, self.loss_head, keep=self.keep_states) if self.taps else decoded

    def _feed(self, rows: list[Row], active: list[int], read: ReadWindow, tail: Tail) -> tuple[Tensor, Tensor]:
        """Everything pending -> the state behind each row's last token (active, D), and the tapped ones (active, K, D)."""
        counts = [len(rows[number].pending) for number in active]
        ids = torch.zeros(len(active), max(counts), dtype=torch.long)
        for place, number in enumerate(active):
            ids[place, : counts[place]] = torch.tensor(rows[number].pending)
            rows[number].pending = []
        embeds = self.model.embed(ids, None, None)
        last = torch.arange(len(active)), torch.tensor(counts) - 1
        if not self.taps:
            return self.engine.step(embeds, read.cache, tail, counts)[last], embeds.new_empty(len(active), 0)
        hidden, tapped = self.engine.step_tapped(embeds, read.cache, tail, counts, self.taps)
        return hidden[last], torch.stack([states[last] for states in tapped], dim=1)

    def _vocabulary(self, hidden: Tensor) -> Tensor:
        return self.engine.logits(hidden.unsqueeze(0))[0].float().log_softmax(-1)

    def _segments(self, hidden: Tensor, read: ReadWindow) -> Tensor:
        assert read.segment_keys is not None
        scores: Tensor = self.model.pointer(hidden.float()[None, None], read.segment_keys)[0, 0]
        return scores
