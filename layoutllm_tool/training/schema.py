"""What every data source yields: a page and what is learned from it. Standard library only.

A ``QA`` is a question with its LayoutCoT (paper section 3.2, second stage); an ``Instruction`` is one of the
seven pre-training tasks (section 3.1), answered directly. The trainer packs many of either onto one page's
tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Page

Task = Literal["DDD", "TLR", "DLA", "TU", "MVLM", "MPI", "GLI"]

TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, slots=True)
class QA:
    """One question with its three steps.

    ``lines`` are indices into the page's lines in the order in which step 2 names them: first the line that
    holds the key (where it is another one), then the answer's lines in reading order; () where the page does
    not answer. ``words`` are the (line, word) indices the answer is copied from, () for a formed answer and
    for None. A copied answer is a substring of these words joined by spaces that begins in the first and ends
    in the last of them ("25/12/2018" of "DATE:25/12/2018").
    """

    question: str
    analysis: QuestionAnalysis
    lines: tuple[int, ...]
    formation: AnswerFormation
    answer: str | None
    words: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Instruction:
    """A pre-training instruction and its answer as text; boxes in it are ``[x0, y0, x1, y1]``, whole numbers
    0-1000.

    ``lines``, where there are any, are named before the text as step 2 names its area (segment tokens, or
    boxes of the lines in the paper's shape): "where is the figure's caption?" is answered by pointing.
    """

    task: Task
    question: str
    answer: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """One page, many questions: the trainer packs them onto the page's tokens.

    ``masked`` are (line, word) indices that the model must not see (MVLM): neither the encoder nor the
    language model is given their text. ``unplaced`` are indices of lines whose boxes are 0 at the encoder's
    input (MPI).
    """

    source: str
    """Which data source and item: "receipts/017", "factory/form/123"."""
    page: Page
    questions: tuple[QA | Instruction, ...]
    masked: tuple[tuple[int, int], ...] = ()
    unplaced: tuple[int, ...] = ()

    @property
    def qas(self) -> tuple[QA, ...]:
        """The questions with a LayoutCoT."""
        return tuple(question for question in self.questions if isinstance(question, QA))
