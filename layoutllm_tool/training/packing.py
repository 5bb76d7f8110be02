"""Examples -> tensors: a page once, all its questions behind it, none seeing another.

P page tokens, L tokens in all. Every question's positions begin where the page ends, as they do when it is
asked alone, so packed training and single questions compute the same (tested).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from layoutllm_tool.model.configuration import LayoutLLMConfig
from layoutllm_tool.model.processing import LayoutLLMProcessor, Window
from layoutllm_tool.model.prompt import END_AREA, NONE_AREA, write_analysis, write_box, write_formation
from layoutllm_tool.training.schema import QA, Example, Instruction

IGNORE = -100
NOT_THERE = "not in the document"
"""What an answer without a chain says where the page does not answer."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One page (B = 1) or several (``collate``). ``inputs`` are named as
    ``LayoutLLMForConditionalGeneration.forward`` names them; ``attention_mask`` is (B, 1, L, L), True where a
    token may look."""

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
    chain: bool = True,
) -> Packed | None:
    """One window of the page with up to ``most_questions`` of the questions it answers; None where none fits.

    Segment numbers start at a random offset, so that all segment embeddings learn and none means a place.
    ``chain`` False leaves the LayoutCoT out: the question is followed by its answer alone (the paper's
    ablation).
    """
    windows = processor.windows(example.page)
    window = windows[0] if len(windows) == 1 else rng.choice(windows)
    where = {line: segment for segment, line in enumerate(window.lines)}
    fitting = [q for q in example.questions if _fits(q, where, len(windows) > 1)]
    questions = rng.sample(fitting, min(most_questions, len(fitting)))
    if not questions:
        return None
    hidden = set(example.masked)
    offset = 0
    if config.area_format == "segments":
        offset = rng.randint(0, config.max_segments - len(window.lines))
    ids, labels, blocks, positions = _page_tokens(window, config, offset, hidden)
    for number, question in enumerate(questions, start=1):
        tokens = question_tokens(question, where, processor, config, offset, window, chain=chain)
        more_ids, more_labels = tokens
        ids += more_ids
        labels += more_labels
        blocks += [number] * len(more_ids)
        positions += range(len(window.prompt), len(window.prompt) + len(more_ids))
    inputs = _encoder_inputs(window, processor, hidden, set(example.unplaced)) | {
        "input_ids": torch.tensor([ids]),
        "labels": torch.tensor([labels]),
        "position_ids": torch.tensor([positions]),
        "attention_mask": block_mask(torch.tensor(blocks)),
        "page_tokens": _padded([w is not None for w in window.words], len(ids), False),
        "segment_ids": _padded(list(window.segments), len(ids), -1),
    }
    return Packed(inputs, len(questions), len(ids))


def collate(pages: Sequence[Packed]) -> Packed:
    """Pages of one batch, padded at the right; a page without words is all padding to the encoder's text.

    Each row computes what it computes alone (tested). ValueError where some pages have a picture and others
    have none.
    """
    if len(pages) == 1:
        return pages[0]
    names = {name for page in pages for name in page.inputs}
    if any(("pixel_values" in names) != ("pixel_values" in page.inputs) for page in pages):
        raise ValueError("pages with and without a picture can't share a batch")
    rows = {name: [page.inputs.get(name) for page in pages] for name in names - _APART}
    inputs = {name: _stack(row, _FILL.get(name, 0)) for name, row in rows.items()}
    longest = inputs["input_ids"].shape[1]
    inputs["attention_mask"] = torch.cat([_square(page.inputs["attention_mask"], longest) for page in pages])
    if "pixel_values" in names:
        inputs["pixel_values"] = torch.cat([page.inputs["pixel_values"] for page in pages])
    if "page_ids" in names:
        lengths = torch.tensor([_length(page.inputs.get("page_ids")) for page in pages])
        inputs["page_mask"] = (torch.arange(int(lengths.max())) < lengths.unsqueeze(1)).long()
    return Packed(inputs, sum(page.questions for page in pages), sum(page.tokens for page in pages))


_FILL = {"labels": IGNORE, "segment_ids": -1}
_APART = {"attention_mask", "pixel_values"}


def _length(row: Tensor | None) -> int:
    return 0 if row is None else row.shape[1]


def _stack(rows: list[Tensor | None], fill: int) -> Tensor:
    """(1, N_i, ...) -> (B, N, ...); a missing row is all padding."""
    known = next(row for row in rows if row is not None)
    found = [known[0, :0] if row is None else row[0] for row in rows]
    return pad_sequence(found, batch_first=True, padding_value=fill)


def _square(mask: Tensor, size: int) -> Tensor:
    """(1, 1, L, L) -> (1, 1, size, size); padding looks at itself, so that no row of attention is empty."""
    whole = torch.eye(size, dtype=torch.bool)[None, None].clone()
    whole[:, :, : mask.shape[2], : mask.shape[3]] = mask
    return whole


def _fits(question: QA | Instruction, where: dict[int, int], several: bool) -> bool:
    """Whether the window holds all the lines. Where the page has several windows, a question without lines is
    left out: its answer, or the key that nothing answers, may stand in another one."""
    return bool(question.lines or not several) and all(line in where for line in question.lines)


def _page_tokens(
    window: Window, config: LayoutLLMConfig, offset: int, hidden: set[tuple[int, int]]
) -> tuple[list[int], list[int], list[int], list[int]]:
    first, masked = config.segment_id(0), config.special_id("<layout>")
    ids = [
        token + offset if token >= first else masked if word in hidden else token
        for token, word in zip(window.prompt, window.words, strict=True)
    ]
    return ids, [IGNORE] * len(ids), [0] * len(ids), list(range(len(ids)))


def _encoder_inputs(
    window: Window, processor: LayoutLLMProcessor, hidden: set[tuple[int, int]], unplaced: set[int]
) -> dict[str, Tensor]:
    """The page as the encoder sees it: words masked (MVLM), boxes of some lines zero (MPI)."""
    inputs = processor.page_inputs(window)
    if "page_ids" not in inputs:
        return inputs
    own = encoder_words(window, processor)
    lines = torch.tensor([[word is not None and word[0] in unplaced for word in own]])
    inputs["page_bbox"] = inputs["page_bbox"].masked_fill(lines.unsqueeze(-1), 0)
    masked = torch.tensor([[word in hidden for word in own]])
    if processor.encoder_tokenizer is None:
        inputs["masked"] = masked
    elif hidden:
        inputs["page_ids"] = inputs["page_ids"].masked_fill(masked, processor.encoder_tokenizer.mask_token_id)
    return inputs


def encoder_words(window: Window, processor: LayoutLLMProcessor) -> list[tuple[int, int] | None]:
    """The (line, word) of every encoder token (T), None for its begin and end tokens in the paper's shape."""
    if processor.encoder_tokenizer is None:
        return [word for word in window.words if word is not None]
    return list(window.words[len(window.words) - len(window.encoder_ids) :])


def question_tokens(
    question: QA | Instruction,
    where: dict[int, int],
    processor: LayoutLLMProcessor,
    config: LayoutLLMConfig,
    offset: int = 0,
    window: Window | None = None,
    *,
    chain: bool = True,
) -> tuple[list[int], list[int]]:
    """Ids and labels of a question and what is to be learned of it: its LayoutCoT, or its answer alone.

    A segment's label is its number in the window, without the offset. ``window`` is needed where areas are
    boxes.
    """
    prompt = list(processor.question_ids(question.question))
    ids, labels = prompt.copy(), [IGNORE] * len(prompt)

    def write(tokens: Iterable[int]) -> None:
        tokens = tuple(tokens)
        ids.extend(tokens)
        labels.extend(tokens)

    def area(lines: Iterable[int]) -> None:
        for line in dict.fromkeys(lines):
            if config.area_format == "segments":
                ids.append(config.segment_id(where[line] + offset))
                labels.append(config.segment_id(where[line]))
            else:
                assert window is not None
                write(processor.text_ids(f"{write_box((window.page.lines or ())[line].box.as_list())}\n"))
        end = (config.special_id("<seg_end>"),)
        write(end if config.area_format == "segments" else processor.text_ids(f"{END_AREA}\n"))

    end = processor.template_ids(processor.style.end)
    if isinstance(question, Instruction):
        if question.lines:
            area(question.lines)
        write((*processor.text_ids(question.answer), *end))
        return ids, labels
    answer = answer_ids(" ".join((question.answer or "").split()), processor)
    if not chain:
        write((*(answer if question.lines else processor.text_ids(f" {NOT_THERE}")), *end))
        return ids, labels
    write(processor.text_ids(write_analysis(question.analysis)))
    if not question.lines:
        none = (config.special_id("<seg_none>"),)
        write(none if config.area_format == "segments" else processor.text_ids(f"{NONE_AREA}\n"))
        return ids, labels
    area(question.lines)
    write((*processor.text_ids(write_formation(question.formation)), *answer, *end))
    return ids, labels


def answer_ids(answer: str, processor: LayoutLLMProcessor) -> tuple[int, ...]:
    """Word by word, as on the page."""
    return tuple(token for word in answer.split() for token in processor.word_ids(word))


def block_mask(blocks: Tensor) -> Tensor:
    """Blocks (L), 0 for the page -> (1, 1, L, L), True where one may look: back, at the page or own block."""
    same = blocks.unsqueeze(1) == blocks.unsqueeze(0)
    back = torch.ones(len(blocks), len(blocks), dtype=torch.bool).tril()
    return ((same | (blocks == 0).unsqueeze(0)) & back)[None, None]


def _padded(values: list[int] | list[bool], length: int, fill: int | bool) -> Tensor:
    return torch.tensor([values + [fill] * (length - len(values))])
