"""What every data source yields: a page and questions about it whose LayoutCoT is known. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Page


@dataclass(frozen=True, slots=True)
class QA:
    """One question with its three steps.

    ``lines`` are indices into the page's lines in the order in which step 2 names them: first the line that holds the
    key (where it is another one), then the answer's lines in reading order; () where the page does not answer.
    ``words`` are the (line, word) indices the answer is copied from, () for a formed answer and for None. A copied
    answer is a substring of these words joined by spaces that begins in the first and ends in the last of them
    ("25/12/2018" of "DATE:25/12/2018").
    """

    question: str
    analysis: QuestionAnalysis
    lines: tuple[int, ...]
    formation: AnswerFormation
    answer: str | None
    words: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """One page, many questions: the trainer packs them onto the page's tokens."""

    source: str
    """Which data source and item: "receipts/017", "factory/form/123"."""
    page: Page
    questions: tuple[QA, ...]
