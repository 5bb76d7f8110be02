"""LayoutLLMProcessor: pages and questions -> the tensors of LayoutLLMForConditionalGeneration.

A page becomes one or more windows of at most ``max_page_tokens`` text tokens, cut between lines and
overlapping by a few: nothing of the page is ever dropped. A window keeps, for every token, the line and
word it came from: that is how an answer finds its way back to boxes. Text from pages is tokenised with
special tokens switched off.

Over 300 lines: how a page becomes a prompt, in the order of the prompt.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import AutoProcessor, AutoTokenizer, BatchFeature, PreTrainedTokenizerBase, ProcessorMixin

from layoutllm_tool.cot import Area
from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.errors import ModelError
from layoutllm_tool.model.configuration import LayoutLLMConfig
from layoutllm_tool.model.prompt import CHATML, VICUNA, PromptStyle

OVERLAP_TOKENS = 64
"""Text tokens of the previous window that the next one repeats, so that a key and its value are seen
together.
"""

ENCODER_TOKENIZER = "encoder_tokenizer"
"""Folder of the paper shape's second tokenizer inside a saved processor."""


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch of a page's lines, tokenised. P prompt tokens, T tokens in the encoder, S lines."""

    page: Page
    lines: tuple[int, ...]
    """Segment index -> index into ``page.lines`` (S)."""
    prompt: tuple[int, ...]
    """The prompt up to the end of the page: chat head, visual placeholders, page tokens (P)."""
    segments: tuple[int, ...]
    """The segment of every prompt token, -1 outside the page's text (P)."""
    words: tuple[tuple[int, int] | None, ...]
    """The (line, word) of every prompt token, None for markers, placeholders and the chat template (P)."""
    encoder_ids: tuple[int, ...]
    """What the encoder reads (T); in the shipped shape these are the page's tokens of ``prompt``."""
    boxes: tuple[tuple[int, int, int, int], ...]
    """Box of the encoder token's word, 0-1000 (T)."""

    def area(self, segments: Sequence[int]) -> tuple[Area, ...]:
        """The area of some of its segments; () for none."""
        lines = tuple(self.lines[s] for s in segments)
        if not lines or self.page.lines is None:
            return ()
        return (Area(self.page.number, Box.union(self.page.lines[i].box for i in lines), lines),)


class LayoutLLMProcessor(ProcessorMixin):
    """Image processor, the language model's tokenizer, and in the paper's shape the encoder's own one."""

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        max_page_tokens: int = 512,
        max_segments: int = 256,
        visual_tokens: int = 197,
        prompt_style: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.max_page_tokens = max_page_tokens
        self.max_segments = max_segments
        self.visual_tokens = visual_tokens
        self.prompt_style = prompt_style or asdict(CHATML)
        super().__init__(image_processor, tokenizer)
        self._encoder_tokenizer: Any = None
        self._cached: dict[str, tuple[int, ...]] = {}

    @classmethod
    def for_config(
        cls, config: LayoutLLMConfig, tokenizer: PreTrainedTokenizerBase, encoder_tokenizer: Any = None
    ) -> LayoutLLMProcessor:
        """With transformers' Pillow-backed LayoutLMv3 image processor, which needs no torchvision."""
        from transformers.models.layoutlmv3.image_processing_pil_layoutlmv3 import LayoutLMv3ImageProcessorPil

        if (config.area_format == "boxes") != (encoder_tokenizer is not None):
            raise ValueError("the paper's shape needs the encoder's tokenizer, the shipped shape takes none")
        side = config.encoder_config.input_size
        images = LayoutLMv3ImageProcessorPil(apply_ocr=False, size={"height": side, "width": side})
        processor = cls(
            images, tokenizer, max_page_tokens=config.max_page_tokens, max_segments=config.max_segments,
            visual_tokens=config.visual_tokens, prompt_style=asdict(VICUNA if encoder_tokenizer else CHATML),
        )  # fmt: skip
        processor._encoder_tokenizer = encoder_tokenizer
        return processor

    # transformers knows one tokenizer a processor, so the encoder's own one is kept in a folder beside it.

    @property
    def encoder_tokenizer(self) -> Any:
        """The encoder's tokenizer in the paper's shape, None where it reads the language model's tokens."""
        return self._encoder_tokenizer

    def save_pretrained(
        self, save_directory: str | Path, push_to_hub: bool = False, **kwargs: Any
    ) -> list[str]:
        written = super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)
        if self._encoder_tokenizer is not None:
            self._encoder_tokenizer.save_pretrained(Path(save_directory) / ENCODER_TOKENIZER)
        return list(written or [])

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> LayoutLLMProcessor:
        processor = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        if (folder := Path(pretrained_model_name_or_path) / ENCODER_TOKENIZER).is_dir():
            processor._encoder_tokenizer = AutoTokenizer.from_pretrained(folder)
        return cast(LayoutLLMProcessor, processor)

    def to_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {
            k: v
            for k, v in super().to_dict(*args, **kwargs).items()
            if not k.startswith("_") or k == "_auto_class"
        }

    # -- text ------------------------------------------------------------------------------------------------

    @property
    def style(self) -> PromptStyle:
        return PromptStyle(**self.prompt_style)

    @property
    def _first_extra(self) -> int:
        return len(self.tokenizer)

    def template_ids(self, text: str) -> tuple[int, ...]:
        """Our own text, special tokens included: the chat template. Never for text of others."""
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def text_ids(self, text: str) -> tuple[int, ...]:
        """Anybody's text: ``<|im_end|>`` in it stays nine harmless characters."""
        return tuple(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def word_ids(self, word: str) -> tuple[int, ...]:
        """A page's word with a blank before it: the same tokens wherever the word stands, on the page or in
        the answer.
        """
        if (found := self._cached.get(word)) is None:
            if len(self._cached) > 50_000:
                self._cached.clear()
            found = self._cached[word] = self.text_ids(f" {word}")
        return found

    def question_ids(self, question: str) -> tuple[int, ...]:
        """Question with the template around it, up to where the model starts to write."""
        style = self.style
        return (
            *self.template_ids(style.before_question),
            *self.text_ids(" ".join(question.split())),
            *self.template_ids(style.before_answer),
        )

    # -- pages -----------------------------------------------------------------------------------------------

    def windows(self, page: Page) -> list[Window]:
        """At least one, also for a blank page. ModelError before text recognition."""
        if page.lines is None:
            raise ModelError(
                f"page {page.number} has not been read yet.", hint="Run text recognition on it first."
            )
        pieces = list(self._pieces(page))
        if self.encoder_tokenizer is not None:
            return [self._paper_window(page, part) for part in self._parts(pieces)]
        return [self._window(page, part) for part in self._parts(pieces)]

    def _pieces(self, page: Page) -> Iterator[_Piece]:
        """Lines as tokens; a line that exceeds a whole window comes in several pieces."""
        limit = self._room
        for index, line in enumerate(page.lines or ()):
            current = _Piece(index)
            for number, word in enumerate(line.words):
                ids = (
                    self._encoder_word(word.text)
                    if self.encoder_tokenizer is not None
                    else self.word_ids(word.text)
                )
                box = cast(tuple[int, int, int, int], tuple(word.box.as_list()))
                for token in ids:
                    if len(current.ids) == limit:
                        yield current
                        current = _Piece(index)
                    current.add(token, (index, number), box)
            if current.ids:
                yield current

    @property
    def _room(self) -> int:
        return self.max_page_tokens - (2 if self.encoder_tokenizer is not None else 0)

    def _parts(self, pieces: list[_Piece]) -> Iterator[list[_Piece]]:
        if not pieces:
            yield []
            return
        start = 0
        while True:
            sizes = itertools.accumulate(len(piece.ids) for piece in pieces[start:])
            count = sum(1 for size in itertools.islice(sizes, self.max_segments) if size <= self._room)
            stop = start + count
            yield pieces[start:stop]
            if stop >= len(pieces):
                return
            back, repeated = stop, 0
            while back - 1 > start and repeated + len(pieces[back - 1].ids) <= OVERLAP_TOKENS:
                back -= 1
                repeated += len(pieces[back].ids)
            start = back

    def _window(self, page: Page, part: list[_Piece]) -> Window:
        """Shipped shape: ``<seg_i>`` and the line's tokens, line after line."""
        prompt, segments, words = self._head(page)
        for segment, piece in enumerate(part):
            prompt += [self._first_extra + 4 + segment, *piece.ids]
            segments += [segment] * (1 + len(piece.ids))
            words += [None, *piece.words]
        return Window(
            page, tuple(p.line for p in part), tuple(prompt), tuple(segments), tuple(words),
            tuple(i for p in part for i in p.ids), tuple(b for p in part for b in p.boxes),
        )  # fmt: skip

    def _paper_window(self, page: Page, part: list[_Piece]) -> Window:
        """Paper's shape: a ``<layout>`` placeholder for every encoder token, its begin and end tokens
        included.
        """
        prompt, segments, words = self._head(page)
        encoder = self.encoder_tokenizer
        ids = [encoder.bos_token_id, *(i for p in part for i in p.ids), encoder.eos_token_id]
        prompt += [self._first_extra + 1] * len(ids)
        segments += [-1, *(s for s, p in enumerate(part) for _ in p.ids), -1]
        words += [None, *(w for p in part for w in p.words), None]
        edge = (0, 0, 0, 0)
        return Window(
            page, tuple(p.line for p in part), tuple(prompt), tuple(segments), tuple(words),
            tuple(ids), (edge, *(b for p in part for b in p.boxes), edge),
        )  # fmt: skip

    def _head(self, page: Page) -> tuple[list[int], list[int], list[tuple[int, int] | None]]:
        prompt = list(self.template_ids(self.style.head))
        if page.image is not None:
            prompt += [self._first_extra] * self.visual_tokens
        return prompt, [-1] * len(prompt), [None] * len(prompt)

    def _encoder_word(self, word: str) -> tuple[int, ...]:
        ids = self.encoder_tokenizer.backend_tokenizer.encode(f" {word}", add_special_tokens=False).ids
        return tuple(ids)

    # -- tensors ---------------------------------------------------------------------------------------------

    def page_inputs(self, window: Window) -> dict[str, Tensor]:
        """What ``encode_page`` takes, batch of one: pixel_values, page_ids, page_bbox (each where there is
        any).
        """
        inputs = {}
        if window.page.image is not None:
            picture = self.image_processor(window.page.image.convert("RGB"), return_tensors="pt")
            inputs["pixel_values"] = picture["pixel_values"]
        if window.encoder_ids:
            inputs["page_ids"] = torch.tensor([window.encoder_ids])
            inputs["page_bbox"] = torch.tensor([window.boxes])
        return inputs

    def prompt_inputs(self, window: Window) -> dict[str, Tensor]:
        """input_ids, page_tokens and segment_ids of the page's part of the prompt, batch of one (1, P)."""
        return {
            "input_ids": torch.tensor([window.prompt]),
            "page_tokens": torch.tensor([[word is not None for word in window.words]]),
            "segment_ids": torch.tensor([window.segments]),
        }

    def __call__(self, page: Page | None = None, question: str = "", **kwargs: Any) -> BatchFeature:
        """One page and one question, batch of one, for ``model(**inputs)`` and ``model.generate(**inputs)``.

        ValueError where the page needs more than one window: ask them one by one, or use the Reader, which
        does.
        """
        if page is None:
            raise ValueError("a page is needed")
        windows = self.windows(page)
        if len(windows) > 1:
            raise ValueError(
                f"page {page.number} needs {len(windows)} windows; use processor.windows(page) or a Reader"
            )
        inputs = self.page_inputs(windows[0]) | self.prompt_inputs(windows[0])
        tail = torch.tensor([self.question_ids(question)])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], tail], dim=1)
        inputs["page_tokens"] = torch.cat(
            [inputs["page_tokens"], torch.zeros_like(tail, dtype=torch.bool)], dim=1
        )
        inputs["segment_ids"] = torch.cat([inputs["segment_ids"], torch.full_like(tail, -1)], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if "pixel_values" not in inputs and "page_ids" not in inputs:
            raise ValueError(f"page {page.number} has neither words nor a picture")
        return BatchFeature(inputs)


class _Piece:
    """Tokens of one line (or of a part of an overlong one) while windows are being made."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.ids: list[int] = []
        self.words: list[tuple[int, int]] = []
        self.boxes: list[tuple[int, int, int, int]] = []

    def add(self, token: int, word: tuple[int, int], box: tuple[int, int, int, int]) -> None:
        self.ids.append(token)
        self.words.append(word)
        self.boxes.append(box)


AutoProcessor.register(LayoutLLMConfig, LayoutLLMProcessor)
