"""What LayoutCoT may say: the stages, a correction's constraints, and the tries and token bytes that are
the same for all questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import torch

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.model.copying import TokenBytes
from layoutllm_tool.model.processing import LayoutLLMProcessor
from layoutllm_tool.model.prompt import ANALYSIS_HEADS, FORMATION_HEADS


class Stage(Enum):
    ANALYSIS_HEAD, ANALYSIS_KEY, AREA, FORMATION_HEAD, FORMATION_KEY, COPY, FREE, DONE = range(8)


@dataclass(frozen=True)
class DecodingConstraints:
    """What a correction asks of one window. Segments are window indices."""

    analysis: QuestionAnalysis | None = None
    """Step 1 is given: not decoded."""
    segments: tuple[int, ...] | None = None
    """Step 2 is given."""
    allowed: frozenset[int] | None = None
    """Step 2 may point at these only; None for all."""
    spans: Callable[[str], list[tuple[int, int]]] | None = None
    """The answer is one of these spans (character offsets) of the area's text; () of them leave it free."""
    wrong: frozenset[str] = frozenset()
    """Answers that may not come."""
    answerable: bool = False
    """"Not in the document" is ruled out: somebody said where to look."""


@dataclass(frozen=True)
class Decoded:
    """One row's outcome on one window. Log-probabilities are natural, per choice among all tokens."""

    analysis: QuestionAnalysis
    segments: tuple[int, ...]
    formation: AnswerFormation
    answer: str | None
    words: tuple[tuple[int, int], ...]
    """(line, word) of the copy; () for a formed answer and for None."""
    logprobs: dict[str, list[float]]
    """By step: "analysis", "area", "formation", "answer"; the area's are among the segments."""
    answer_outside_area: bool
    """The answer was copied from outside the area that step 2 named; its lines were added to the area."""
    none_logprob: float
    """Of "no segment answers", whatever was chosen."""
    tokens: int
    """Fed behind the question: what this attempt cost."""
    segment_logprobs: tuple[float, ...] = ()
    """Of each of the window's segments as the first of the area (S); () where step 2 was given."""
    chosen: Mapping[str, float] = field(default_factory=dict)
    """What the choice among candidates says of its own certainty (choosing.py), by signal."""


@dataclass
class Trie:
    """Token sequences to choose from, walked one token at a time."""

    children: dict[int, Trie] = field(default_factory=dict)
    leaf: int | None = None

    @classmethod
    def of(cls, sequences: Iterable[Sequence[int]]) -> Trie:
        root = cls()
        for number, sequence in enumerate(sequences):
            node = root
            for token in sequence:
                node = node.children.setdefault(token, cls())
            node.leaf = number
        return root


class Grammar:
    """What is the same for all questions: tries of the heads, the newline, the bytes of tokens. Built once
    a model.
    """

    def __init__(self, processor: LayoutLLMProcessor, *, segments: bool) -> None:
        self.processor = processor
        self.segments = segments
        self.token_bytes = TokenBytes.of(processor.tokenizer)
        self.analysis = Trie.of(processor.text_ids(head) for head in ANALYSIS_HEADS)
        self.formation = Trie.of(processor.text_ids(head) for head in FORMATION_HEADS)
        self.newline = processor.text_ids("x\n")[-1]
        self.end_area = len(processor.tokenizer) + 3
        """The token behind step 2's last segment; the segments' own follow it."""
        self.end = processor.template_ids(processor.style.end)[-1]
        # An empty key ends in " \n", which is one token in many vocabularies.
        self.line_ends = frozenset(
            i for i, text in enumerate(self.token_bytes.by_id) if text in (b"\n", b" \n")
        )
        # No other token with a line break in it, or a step could run on into the next one unseen.
        breaks = [
            i for i, text in enumerate(self.token_bytes.by_id) if b"\n" in text and i not in self.line_ends
        ]
        silent = [i for i, text in enumerate(self.token_bytes.by_id) if not text and i != self.end]
        self.never = torch.tensor(sorted({*breaks, *silent}))
        self.no_answer_bias = self.key_present_bias = 0.0
        """Added to the score of "none" in step 2, always and where the page names the key: fitted on
        development data.
        """
