"""A question, what the language model came to, and an option: one possible answer with what speaks for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from layoutllm_tool.documents.page_layout import Run, WordId
from layoutllm_tool.documents.search import key_of, plain
from layoutllm_tool.model.page_index import Array, PageIndex, text_of

if TYPE_CHECKING:
    from layoutllm_tool.model.grammar import Decoded

SOURCES = ("quoted", "analysis", "words")
"""Where a key's text comes from: the question's quotation marks, the language model, the question's own
words.
"""
QUOTED = re.compile(r"""["“”«»„]([^"“”«»„]{1,200})["“”«»„]""")


@dataclass
class Option:
    """One possible answer: words, or none. ``evidence`` says what speaks for it."""

    words: Run
    key: Run = ()
    side: str = ""
    evidence: dict[str, float] = field(default_factory=dict)
    pair: Array | None = None
    """The pair head's features of key and words."""
    cell: str = ""
    """The labels of the row and the column that meet there."""
    before: str = ""
    """Words of its sentence before it."""

    @property
    def none(self) -> bool:
        return not self.words

    @property
    def ids(self) -> frozenset[WordId]:
        return frozenset(word.id for word in self.words)

    @property
    def text(self) -> str:
        return text_of(self.words)

    @property
    def told(self) -> str:
        """With what stands for it on the page: its key, its row and column, or the words before it."""
        about = text_of(self.key) if "meaning_p" in self.evidence or "quoted_p" in self.evidence else ""
        return f"{about or self.cell or text_of(self.key) or self.before} {self.text}".strip()


@dataclass(frozen=True)
class Outcome:
    """What the language model came to on a page by itself: the part of ``Decoded`` that is weighed."""

    key: str
    words: tuple[WordId, ...]
    answer: str | None
    lines: tuple[int, ...]
    line_logprobs: dict[int, float]
    none_logprob: float
    answer_logprob: float

    @classmethod
    def of(cls, decoded: Decoded, lines: Sequence[int]) -> Outcome:
        """``lines`` are the window's: segment -> line of the page."""
        scores: dict[int, float] = {}
        for line, value in zip(lines, decoded.segment_logprobs, strict=False):
            scores[line] = max(value, scores.get(line, -30.0))
        return cls(
            decoded.analysis.key, decoded.words, decoded.answer, tuple(lines[s] for s in decoded.segments),
            scores,
            decoded.none_logprob, sum(decoded.logprobs.get("answer", ())),
        )  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A question with what is known of it before its options: its vector (384), likeness to segments (S)
    and sentences.
    """

    text: str
    quoted: str
    words: frozenset[str]
    """Of content, plain."""
    query: Array | None
    likeness: Array | None
    sentence_likeness: Array | None

    @property
    def numbers(self) -> frozenset[str]:
        return frozenset(word for word in self.words if any(map(str.isdigit, word)))

    @classmethod
    def of(cls, question: str, index: PageIndex, query: Array | None) -> Asked:
        content = frozenset(plain(word) for word in key_of(unquoted(question)).split()) - {""}
        known = query is not None and index.vectors is not None and index.sentence_vectors is not None
        likeness = index.vectors @ query if known else None  # type: ignore[operator]
        sentences = index.sentence_vectors @ query if known else None  # type: ignore[operator]
        return cls(question, " ".join(QUOTED.findall(question)), content, query, likeness, sentences)


def unquoted(question: str) -> str:
    return QUOTED.sub(r"\1", question)


Found = dict[frozenset[WordId], Option]
"""Options by their words."""


def option_of(found: Found, words: Run, key: Run = (), side: str = "") -> Option:
    return found.setdefault(frozenset(word.id for word in words), Option(words, key, side))


def merge(one: Option, other: Option) -> None:
    """The evidence of both."""
    for name, value in other.evidence.items():
        one.evidence[name] = max(value, one.evidence.get(name, value))
    one.pair = other.pair if one.pair is None else one.pair
    one.key, one.side = one.key or other.key, one.side or other.side


def own_words(index: PageIndex, outcome: Outcome) -> Run:
    """What the language model answered, on the page; () where it did not."""
    return (
        tuple(index.layout.by_id[i] for i in outcome.words if i in index.layout.by_id)
        if outcome.answer
        else ()
    )
