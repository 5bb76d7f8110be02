"""The literal text around page and question, and the wire form of LayoutCoT. Pure, no torch.

What the model writes after the question, in both shapes (one line a step, then the answer; ``area`` is
tokens, not text):

    key-value extraction: invoice number
    <seg_4><seg_5><seg_end>
    right of: Invoice No.
     INV-2041

A question that the page does not answer ends after ``<seg_none>``. In the paper's shape the area is text:
``[x0, y0, x1, y1]`` a line, then ``end``.
"""

from __future__ import annotations

from dataclasses import dataclass

from layoutllm_tool.cot import KINDS, OPERATIONS, RELATIONS, AnswerFormation, QuestionAnalysis

ANALYSIS_HEADS = tuple(f"{kind} {operation}:" for kind in KINDS for operation in OPERATIONS)
"""How step 1 may begin; the key information follows after a blank, up to the end of the line."""
FORMATION_HEADS = (*(f"{relation}:" for relation in RELATIONS if relation != "none"), "none:")
"""How step 3 may begin; the key text follows."""
NONE_AREA, END_AREA = "none", "end"
"""The paper's shape writes these words where the shipped one has ``<seg_none>`` and ``<seg_end>``."""


@dataclass(frozen=True, slots=True)
class PromptStyle:
    """The chat template's words: ``head`` page ``before_question`` question ``before_answer`` answer
    ``end``.
    """

    head: str = "USER: "
    before_question: str = "\n"
    before_answer: str = " ASSISTANT: "
    end: str = "</s>"


CHATML = PromptStyle("<|im_start|>user\n", "\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>")
"""SmolLM2's template, without its system message: it says nothing about documents and costs tokens on every
page.
"""
VICUNA = PromptStyle()


def write_analysis(analysis: QuestionAnalysis) -> str:
    return f"{analysis.kind} {analysis.operation}: {_one_line(analysis.key)}\n"


def read_analysis(text: str) -> QuestionAnalysis:
    """From the model's own line; what does not parse counts as a key-value extraction of the whole text."""
    head, _, key = text.partition(":")
    kind, _, operation = head.strip().rpartition(" ")
    if kind in KINDS and operation in OPERATIONS:
        return QuestionAnalysis(kind, operation, key.strip())
    return QuestionAnalysis("key-value", "extraction", text.strip())


def write_formation(formation: AnswerFormation) -> str:
    return f"{formation.relation}: {_one_line(formation.key)}\n"


def read_formation(text: str) -> AnswerFormation:
    relation, _, key = text.partition(":")
    if relation.strip() in RELATIONS:
        return AnswerFormation(relation.strip(), key.strip())  # type: ignore[arg-type]
    return AnswerFormation("none", text.strip())


def write_box(box: list[int]) -> str:
    """The paper's shape: a line's box as text."""
    return f"[{', '.join(map(str, box))}]"


def _one_line(text: str) -> str:
    return " ".join(text.split())
