"""Questions that somebody else wrote, held against the page: does the answer stand there, beside that key?

``problem`` says what in a question breaks a promise of ``schema.py``. Where a value stands that was read with
mistakes is *not* here: see ``align.py``. Standard library and ``align`` only; boxes 0-1000.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from layoutllm_tool.cot import KINDS, OPERATIONS, RELATIONS, AnswerFormation, QuestionAnalysis, Relation
from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.training.align import Place, WordIndex, box_of, find, joined
from layoutllm_tool.training.keys import EDGES
from layoutllm_tool.training.schema import QA, TASKS, Instruction

Beside = tuple[Relation, Place]
"""A key's place and the relation in which the answer stands to it."""
TOP = 350.0
"""What begins above this may be called the top of the page."""


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


def occurrences(answer: str, page: Page, lines: Iterable[int]) -> Iterator[Place]:
    """Where the answer stands letter for letter in these lines' words, not inside a longer word or number."""
    order = sorted(set(lines))
    words = [(i, j) for i in order for j in range(len((page.lines or ())[i].words))]
    text, starts = joined(page, tuple(words)), []
    at = 0
    for i, j in words:
        starts.append(at)
        at += len((page.lines or ())[i].words[j].text) + 1
    begin = text.find(answer) if answer.strip() else -1
    while begin >= 0:
        if not _cuts(text, begin) and not _cuts(text, begin + len(answer)):
            yield _place(words, starts, begin, answer)
        begin = text.find(answer, begin + 1)


def key_places(key: str, page: Page, near: Box) -> list[Place]:
    """Where the key text stands, misread or not; the nearest to ``near`` first."""
    x, y = near.center

    def distance(place: Place) -> float:
        box = box_of(page, place.words)
        return abs(min(max(x, box.x0), box.x1) - x) + 2 * abs(min(max(y, box.y0), box.y1) - y)

    return sorted(find(key, page, threshold=0.85), key=distance)


def fits(relation: Relation, key: Place | None, answer: Place, page: Page) -> bool:
    """Whether the answer stands to its key as the relation says, or alone if there is no key."""
    box = box_of(page, answer.words)
    if relation == "none":
        return False
    if relation == "top of page":
        return box.y0 < TOP
    if key is None:
        return relation == "inside"
    if relation == "inside":
        return bool(set(key.lines) & set(answer.lines))
    other = box_of(page, key.words)
    shared = min(box.y1, other.y1) - max(box.y0, other.y0)
    row = shared >= 0.3 * min(box.height, other.height)
    if relation == "right of":
        return row and box.center[0] > other.center[0]
    return not row and box.center[1] > other.center[1]


def key_beside(text: str, relations: Sequence[Relation], answer: Place, page: Page) -> Beside | None:
    """The place of the key text nearest to the answer, with the first relation that holds between the two."""
    for key in key_places(text, page, box_of(page, answer.words)):
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
    return "" if _spans(answer, page, words) else "the answer is not what its words say"


def _spans(answer: str, page: Page, words: tuple[WordIndex, ...]) -> bool:
    """Whether the answer begins in the first and ends in the last of the words."""
    text = joined(page, words)
    first, last = ((page.lines or ())[i].words[j].text for i, j in (words[0], words[-1]))
    ends = len(text) - len(last) - len(answer)
    return any(text.startswith(answer, at) and at > ends for at in range(max(len(first), 1)))


def _place(words: list[WordIndex], starts: list[int], begin: int, answer: str) -> Place:
    end = begin + len(answer)
    ends = [*starts[1:], end + 1]
    inside = [k for k in range(len(words)) if starts[k] < end and ends[k] - 1 > begin]
    return Place(tuple(words[k] for k in inside), answer, 1.0, begin - starts[inside[0]])


def _cuts(text: str, at: int) -> bool:
    """Whether a border at this character would cut a word or a number in two."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if before.isalnum() and after.isalnum():
        return before.isdigit() == after.isdigit()
    if after.isdigit() and before in ".," and at > 1:
        return text[at - 2].isdigit()
    return before.isdigit() and after in ".," and text[at + 1 : at + 2].isdigit()
