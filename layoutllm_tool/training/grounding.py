"""Questions that somebody else wrote, held against the page: does the answer stand there, beside that key?

``problem`` says what in a question breaks a promise of ``schema.py``. Where a text stands is *not* here: see
``documents/align.py`` and ``documents/occurrences.py``. Boxes 0-1000.
"""

from __future__ import annotations

from collections.abc import Sequence

from layoutllm_tool.cot import KINDS, OPERATIONS, RELATIONS, AnswerFormation, QuestionAnalysis, Relation
from layoutllm_tool.documents.align import Place, WordIndex, joined
from layoutllm_tool.documents.geometry import Page, box_of
from layoutllm_tool.documents.occurrences import fits, nearest
from layoutllm_tool.training.keys import EDGES
from layoutllm_tool.training.schema import QA, TASKS, Instruction

Beside = tuple[Relation, Place]
"""A key's place and the relation in which the answer stands to it."""


def problem(question: QA | Instruction, page: Page) -> str:
    """What the schema promises and this question doesn't keep; "" where all is well."""
    lines = page.lines or ()
    if len(set(question.lines)) != len(question.lines):
        return "a line is named twice"
    if not all(0 <= line < len(lines) for line in question.lines):
        return "a line is not on the page"
    if not question.question.strip():
        return "the question is empty"
    if isinstance(question, Instruction):
        return "" if question.task in TASKS else "an unknown task"
    if question.analysis.kind not in KINDS or question.analysis.operation not in OPERATIONS:
        return "an unknown kind or operation"
    if question.formation.relation not in RELATIONS:
        return "an unknown relation"
    return _answer_problem(question, page)


def key_beside(text: str, relations: Sequence[Relation], answer: Place, page: Page) -> Beside | None:
    """The place of the key text nearest to the answer, with the first relation that holds between the two."""
    for key in nearest(text, page, box_of(page, answer.words)):
        for relation in relations:
            if (key.words, key.start) != (answer.words, answer.start) and fits(relation, key, answer, page):
                return relation, key
    return None


def copied(place: Place, question: str, analysis: QuestionAnalysis, key: Beside) -> QA:
    """A question whose answer is copied from the place. Step 2 names the key's line first."""
    relation, at = key
    lines = place.lines if set(at.lines) & set(place.lines) else (at.lines[0], *place.lines)
    formation = AnswerFormation(relation, at.answer.strip(EDGES))
    return QA(question, analysis, lines, formation, place.answer, place.words)


def copied_alone(place: Place, question: str, analysis: QuestionAnalysis, relation: Relation) -> QA:
    """A question whose answer is copied from the place and has no key."""
    return QA(question, analysis, place.lines, AnswerFormation(relation, ""), place.answer, place.words)


def _answer_problem(question: QA, page: Page) -> str:
    lines, words, answer = page.lines or (), question.words, question.answer
    if answer is None:
        return "" if not question.lines and not words else "no answer, and yet lines or words"
    if not question.lines or not answer.strip():
        return "an answer without text or without lines"
    if not words:
        return ""
    if not all(0 <= i < len(lines) and 0 <= j < len(lines[i].words) for i, j in words):
        return "a word is not on the page"
    if len(set(words)) != len(words) or not {i for i, _ in words} <= set(question.lines):
        return "a word is named twice or lies outside the lines"
    return "" if spans(answer, page, words) else "the answer is not what its words say"


def spans(answer: str, page: Page, words: tuple[WordIndex, ...]) -> bool:
    """Whether the answer begins in the first and ends in the last of the words."""
    text = joined(page, words)
    first, last = ((page.lines or ())[i].words[j].text for i, j in (words[0], words[-1]))
    ends = len(text) - len(last) - len(answer)
    return any(text.startswith(answer, at) and at > ends for at in range(max(len(first), 1)))
