"""The text of the authors' released instructions: LayoutCoT's steps out of prose, and a question's task.

How the authors wrote the steps was published as pictures only. So the headings are looked for in several
spellings (``released_text.toml``), and what the text leaves open is found on the page. Nothing is guessed: a
text without the three steps is refused with a reason. Boxes 0-1000.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from layoutllm_tool.cot import AnswerFormation, Kind, QuestionAnalysis, Relation
from layoutllm_tool.documents.align import Place, find, similarity
from layoutllm_tool.documents.geometry import SCALE, Box, Page
from layoutllm_tool.documents.occurrences import fits, occurrences
from layoutllm_tool.training.grounding import copied, copied_alone, key_beside, problem
from layoutllm_tool.training.keys import EDGES, key_of
from layoutllm_tool.training.schema import QA, Instruction, Task

Wanted = Literal["layoutcot", "pretraining"]
"""What a stage learns from: questions with their three steps, or the seven tasks."""
MOST_LINES = 24
"""Lines that the area of a formed answer may have."""
LONGEST = 8_000
"""Characters of a question or an answer."""
_PATTERNS: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_ANSWER = re.compile(_PATTERNS["answer"], re.I)
_ABSENT, _REASONING = (re.compile(_PATTERNS[name], re.I) for name in ("absent", "reasoning"))
_STEPS = [(re.compile(step["name"], re.I), re.compile(step["number"], re.I)) for step in _PATTERNS["steps"]]
_VALUE = r" {0,3}(-?\d{1,9}(?:\.\d{1,9})?) {0,3}"
_BOX = re.compile(rf"[\[({{<]{_VALUE},{_VALUE},{_VALUE},{_VALUE}[\])}}>]")
_QUOTED = re.compile(r"[\"“”]([^\"“”\n]{1,80})[\"“”]|(?<!\w)'([^'\n]{1,80})'(?!\w)")
_HIDDEN = ("MVLM", "MPI")
"""Tasks that can't be used: what they hide is not given."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The three steps' texts and the answer as written."""

    analysis: str
    area: str
    formation: str
    answer: str


def steps_of(text: str) -> Steps | None:
    """The steps, by their names or numbers; None where one of them or the answer is missing."""
    headings: list[tuple[int, int]] = []
    for name, number in _STEPS:
        start = headings[-1][1] if headings else 0
        found = name.search(text, start) or number.search(text, start)
        if found is None:
            return None
        headings.append(found.span())
    first, second, third = headings
    rest = text[third[1] :]
    answers = list(_ANSWER.finditer(rest))
    if not answers:
        return None
    answer = rest[answers[-1].end() :].strip().split("\n")[0]
    formation = rest[: answers[-1].start()].strip()
    return Steps(text[first[1] : second[0]].strip(), text[second[1] : third[0]].strip(), formation, answer)


def question_of(question: str, text: str, page: Page) -> QA | Instruction | str:
    """A question and its answer text, mapped to the page; the reason where that can't be done."""
    if not question or not text.strip():
        return "an empty question or answer"
    if len(question) > LONGEST or len(text) > LONGEST:
        return "a question or answer that is too long"
    if not all(c.isprintable() or c.isspace() for c in question + text):
        return "a question or answer with control characters"
    if steps := steps_of(text):
        found = _qa(question, steps, page)
        return found if isinstance(found, str) else problem(found, page) or found
    task = task_of(question)
    if task in _HIDDEN:
        return "a task whose hidden words are not given"
    return Instruction(task, question, text.strip()) if task else "no LayoutCoT in the answer"


def kind_of(question: str, text: str) -> Wanted | None:
    """What ``question_of`` would make of it if it fits the page."""
    if len(text) <= LONGEST and steps_of(text):
        return "layoutcot"
    return "pretraining" if task_of(question) not in (None, *_HIDDEN) else None


def task_of(question: str) -> Task | None:
    """The pre-training task that a question belongs to by its phrasing."""
    return cast("Task | None", _first("tasks", " ".join(question.split())))


def area_of(text: str) -> Box | str:
    """Around the boxes that a text names, or why there is none."""
    found = [tuple(map(float, match.groups())) for match in _BOX.finditer(text)]
    if not found:
        return "no box in step 2"
    scale = SCALE if max(max(box) for box in found) <= 1 else 1
    try:
        return Box.union(Box(*(scale * value for value in box)) for box in found)
    except ValueError:
        return "a box in step 2 that is none"


def _qa(question: str, steps: Steps, page: Page) -> QA | str:
    answer = _bare(steps.answer)
    if not answer:
        return "no answer"
    reasoning = bool(_REASONING.search(steps.analysis))
    kind = cast(Kind, _first("kinds", steps.analysis) or "other")
    key = next(iter(_quotes(steps.analysis) or _quotes(question)), "") or question.strip(" ?")[:80]
    extraction = QuestionAnalysis(kind, "extraction", key)
    if _ABSENT.search(steps.answer):
        return QA(question, extraction, (), AnswerFormation("none", ""), None)
    area = area_of(steps.area)
    if isinstance(area, str):
        return area
    lines = page.lines_in(area)
    if not lines:
        return "no line of the page in the area"
    place = next((p for text in (answer, answer.rstrip(".")) for p in occurrences(text, page, lines)), None)
    if place and not reasoning:
        return _copied(question, extraction, steps.formation, place, page)
    if len(lines) > MOST_LINES:
        return "an area of too many lines for a formed answer"
    area_text = " ".join((page.lines or ())[i].text for i in lines)
    if not place and not reasoning and similarity(answer, area_text) >= 0.8:  # copied from another OCR
        return "the answer is written differently on the page"
    formation = AnswerFormation("none", _named_key(steps.formation, answer, page, lines))
    return QA(question, QuestionAnalysis(kind, "reasoning", key), lines, formation, answer)


def _copied(question: str, analysis: QuestionAnalysis, formation: str, place: Place, page: Page) -> QA:
    """With the key and relation that step 3 names if the page shows them, else with the page's own."""
    named = cast("Relation | None", _first("relations", formation))
    relations: tuple[Relation, ...] = (named,) if named else ("inside", "right of", "below")
    for text in _quotes(formation) if named != "top of page" else ():
        if found := key_beside(text, relations, place, page):
            return copied(place, question, analysis, found)
    if named == "top of page" and fits(named, None, place, page):
        return copied_alone(place, question, analysis, named)
    key = key_of(page, place)
    return QA(question, analysis, key.lines(place), key.formation, place.answer, place.words)


def _named_key(formation: str, answer: str, page: Page, lines: tuple[int, ...]) -> str:
    """The first text that step 3 quotes and that stands in the area."""
    for text in _quotes(formation):
        for place in find(text, page, threshold=0.85):
            if text != answer and set(place.lines) <= set(lines):
                return place.answer.strip(EDGES)
    return ""


def _first(table: str, text: str) -> str | None:
    """The name beside the first of the table's patterns that the text matches."""
    return next((name for pattern, name in _PATTERNS[table] if re.search(pattern, text, re.I)), None)


def _quotes(text: str) -> list[str]:
    return [found for a, b in _QUOTED.findall(text) if (found := (a or b).strip())]


def _bare(answer: str) -> str:
    """Without quotation marks, stars and spaces around it."""
    text = " ".join(answer.split()).strip("*` ")
    for mark in ('"', "'", "“”"):
        if len(text) > 1 and text[0] in mark and text.rstrip(".")[-1:] in mark:
            text = text.rstrip(".")[1:-1].strip()
    return text
