"""Examples -> tensors: a page once, all its questions behind it, none seeing another.

P page tokens, L tokens in all. Every question's positions begin where the page ends, as they do when it is asked alone, so
packed training and single questions compute the same (tested).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from layoutllm_tool.model.configuration import LayoutLLMConfig
from layoutllm_tool.model.processing import LayoutLLMProcessor, Window
from layoutllm_tool.model.prompt import write_analysis, write_formation
from layoutllm_tool.training.schema import QA, Example

IGNORE = -100


@dataclass(frozen=True, slots=True)
class Packed:
    """Batch of one. ``inputs`` go to ``LayoutLLMForConditionalGeneration.forward``; ``questions`` were kept."""

    inputs: dict[str, Tensor]
    questions: int
    tokens: int


def pack(
    example: Example,
    processor: LayoutLLMProcessor,
    config: LayoutLLMConfig,
    rng: random.Random,
    *,
    most_questions: int = 8,
    mask_words: float = 0.0,
) -> Packed | None:
    """One window of the page with up to ``most_questions`` of the questions it answers; None where none fits.

    Segment numbers start at a random offset, so that all segment embeddings learn and none means a place.
    ``mask_words`` is the share of page tokens hidden from the encoder (not from the language model).
    """
    windows = processor.windows(example.page)
    window = windows[0] if len(windows) == 1 else rng.choice(windows)
    where = {line: segment for segment, line in enumerate(window.lines)}
    # A question whose answer lies in another window is not "not in the document": it is left out.
    fitting = [qa for qa in example.questions if all(line in where for line in qa.lines)]
    if len(windows) > 1:
        fitting = [qa for qa in fitting if qa.lines]
    questions = rng.sample(fitting, min(most_questions, len(fitting)))
    if not questions:
        return None
    offset = rng.randint(0, config.max_segments - len(window.lines))
    ids, labels, blocks, positions = _page_tokens(window, config, offset)
    for number, qa in enumerate(questions, start=1):
        more_ids, more_labels = question_tokens(qa, where, processor, config, offset)
        ids += more_ids
        labels += more_labels
        blocks += [number] * len(more_ids)
        positions += range(len(window.prompt), len(window.prompt) + len(more_ids))
    inputs = processor.page_inputs(window) | {
        "input_ids": torch.tensor([ids]),
        "labels": torch.tensor([labels]),
        "position_ids": torch.tensor([positions]),
        "attention_mask": block_mask(torch.tensor(blocks)),
        "page_tokens": _padded([w is not None for w in window.words], len(ids), False),
        "segment_ids": _padded(list(window.segments), len(ids), -1),
    }
    if mask_words and "page_ids" in inputs:
        inputs["masked"] = torch.tensor([[rng.random() < mask_words for _ in window.encoder_ids]])
    return Packed(inputs, len(questions), len(ids))


def _page_tokens(
    window: Window, config: LayoutLLMConfig, offset: int
) -> tuple[list[int], list[int], list[int], list[int]]:
    first = config.segment_id(0)
    ids = [token + offset if token >= first else token for token in window.prompt]
    return ids, [IGNORE] * len(ids), [0] * len(ids), list(range(len(ids)))


def question_tokens(
    qa: QA, where: dict[int, int], processor: LayoutLLMProcessor, config: LayoutLLMConfig, offset: int = 0
) -> tuple[list[int], list[int]]:
    """Ids and labels of a question and its LayoutCoT. A segment's label is its number in the window, without the offset."""
    prompt = list(processor.question_ids(qa.question))
    ids, labels = prompt.copy(), [IGNORE] * len(prompt)

    def write(tokens: tuple[int, ...]) -> None:
        ids.extend(tokens)
        labels.extend(tokens)

    write(processor.text_ids(write_analysis(qa.analysis)))
    if not qa.lines:
        write((config.special_id("<seg_none>"),))
        return ids, labels
    for line in dict.fromkeys(qa.lines):
        ids.append(config.segment_id(where[line] + offset))
        labels.append(config.segment_id(where[line]))
    write((config.special_id("<seg_end>"),))
    write(processor.text_ids(write_formation(qa.formation)))
    answer = " ".join((qa.answer or "").split())
    write((*answer_ids(answer, processor), *processor.template_ids(processor.style.end)))
    return ids, labels


def answer_ids(answer: str, processor: LayoutLLMProcessor) -> tuple[int, ...]:
    """Word by word, as on the page."""
    return tuple(token for word in answer.split() for token in processor.word_ids(word))


def block_mask(blocks: Tensor) -> Tensor:
    """Blocks (L), 0 for the page -> (1, 1, L, L), True where a token may look: back, at the page or at its own question."""
    same = blocks.unsqueeze(1) == blocks.unsqueeze(0)
    back = torch.ones(len(blocks), len(blocks), dtype=torch.bool).tril()
    return ((same | (blocks == 0).unsqueeze(0)) & back)[None, None]


def _padded(values: list[int] | list[bool], length: int, fill: int | bool) -> Tensor:
    return torch.tensor([values + [fill] * (length - len(values))])
