"""The text of the authors' released instructions: LayoutCoT's three steps out of prose, and which task a question is.

How the authors wrote the steps was published as pictures only, so the headings are looked for in several spellings and
whatever the text leaves open is found on the page. Nothing is guessed: a text without the three steps is refused with
a reason. Reading files is *not* here, see ``released.py``. Standard library and ``align`` only; boxes 0-1000.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from layoutllm_tool.cot import AnswerFormation, Kind, QuestionAnalysis, Relation
from layoutllm_tool.documents.geometry import SCALE, Box, Page
from layoutllm_tool.training.align import Place, box_of, find, similarity
from layoutllm_tool.training.grounding import fits, key_places, named, occurrences, problem
from layoutllm_tool.training.keys import EDGES, key_of
from layoutllm_tool.training.schema import QA, Instruction, Task

MOST_LINES = 24
"""Lines that the area of a formed answer may have."""
Wanted = Literal["layoutcot", "pretraining"]
"""What a stage learns from: questions with their three steps, or the seven tasks."""
LONGEST = 8_000
"""Characters of a question or an answer. The patterns below have bounded repeats: strangers write these texts."""
_STEP = r"(?:^|\n)[ \t#*>-]{{0,9}}(?:step ?{n} ?[:.)-]? ?)?[*(]{{0,3}}(?:{name})[)*]{{0,3}} ?(?:[:.\n]|\*\*)"
_HEADINGS = (
    (r"question analysis|question type", "1"),
    (r"relevant area(?: concentration)?|area concentration", "2"),
    (r"answer formation|answer reasoning", "3"),
)
_NUMBERED = r"(?:^|\n)[ \t#*>-]{{0,9}}step ?{n}\b[*)]{{0,3}} ?[:.)-]?"
_ANSWER = re.compile(
    r"(?:^|[\n.;,])[ \t#*>-]{0,9}(?:so|thus|therefore|hence|finally)?,? ?(?:the )?(?:final |correct )?answer(?: to the question)?[*]{0,2} ?(?:is|:|=)[*]{0,2} ?(?:: ?)?",
    re.I,
)
_VALUE = r" {0,3}(-?\d{1,9}(?:\.\d{1,9})?) {0,3}"
_BOX = re.compile(rf"[\[({{<]{_VALUE},{_VALUE},{_VALUE},{_VALUE}[\])}}>]")
_QUOTED = re.compile(r"[\"“”]([^\"“”\n]{1,80})[\"“”]|(?<!\w)'([^'\n]{1,80})'(?!\w)")
_ABSENT = re.compile(r"\b(?:not (?:in|mentioned|given|found|specified|provided|stated|present)|no answer|cannot be (?:found|determined|answered)|unanswerable)\b", re.I)  # fmt: skip
_REASONS = re.compile(r"\breason|\binfer|\bcalculat|\bcomput|\bcompar|\bcount|\bsumm", re.I)
_KINDS: tuple[tuple[str, Kind], ...] = (
    (r"\btable|\btabular", "table"), (r"key[- ]?value|\bform\b|\bfield", "key-value"), (r"\btitle|\bheading|\bheader", "title"),
    (r"\blist\b|bullet", "list"), (r"\bparagraph|\bpassage|\bsentence|plain text", "paragraph"),
)  # fmt: skip
_RELATIONS: tuple[tuple[str, Relation], ...] = (
    (r"right (?:side )?of|to the right|next to|beside|followed by", "right of"), (r"\bbelow|\bunder|\bbeneath", "below"),
    (r"top of", "top of page"), (r"\binside|\bwithin the same|same line|same text", "inside"),
)  # fmt: skip
_TASKS: tuple[tuple[str, Task], ...] = (
    (r"<mask>|\[mask\]|masked", "MVLM"),
    (r"original b(?:ounding )?box|bbox(?:es)? set to 0", "MPI"),
    (r"direction and distance|distance (?:from|between)", "GLI"),
    (r"number of (?:rows|columns)|how many (?:rows|columns)|values? in the (?:column|row)|\bcells?\b|table structure", "TU"),
    (r"document layout type|layout type|where can we find the|where is the (?:figure|table|title|caption|list)|layout analysis", "DLA"),
    (r"text and (?:its )?layout|reconstruct|transcribe|\bocr\b", "TLR"),
    (r"describe|description|caption|summari[sz]e|what does (?:this|the) (?:document|image|page) show", "DDD"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Steps:
    """The three steps' texts and the answer as written."""

    analysis: str
    area: str
    formation: str
    answer: str


def steps_of(text: str) -> Steps | None:
    """The steps, by their names or numbers; None where one of them or the answer is not there."""
    cuts: list[tuple[int, int]] = []
    for name, number in _HEADINGS:
        start = cuts[-1][1] if cuts else 0
        pattern = re.compile(_STEP.format(name=name, n=number), re.I)
        found = pattern.search(text, start) or re.compile(_NUMBERED.format(n=number), re.I).search(text, start)
        if found is None:
            return None
        cuts.append(found.span())
    first, second, third = cuts
    rest = text[third[1] :]
    said = list(_ANSWER.finditer(rest))
    if not said:
        return None
    answer = rest[said[-1].end() :].strip().split("\n")[0]
    formation = rest[: said[-1].start()]
    return Steps(text[first[1] : second[0]].strip(), text[second[1] : third[0]].strip(), formation.strip(), answer)


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
    if task := task_of(question):
        return Instruction(task, question, text.strip()) if task not in ("MVLM", "MPI") else "a task whose hidden words are not given"  # fmt: skip
    return "no LayoutCoT in the answer"


def kind_of(question: str, text: str) -> Wanted | None:
    """What ``question_of`` would make of it if it fits the page: a QA, an Instruction or neither."""
    if len(text) <= LONGEST and steps_of(text):
        return "layoutcot"
    return "pretraining" if task_of(question) not in (None, "MVLM", "MPI") else None


def task_of(question: str) -> Task | None:
    """The pre-training task that a question belongs to by its phrasing."""
    text = " ".join(question.split())
    return next((task for pattern, task in _TASKS if re.search(pattern, text, re.I)), None)


def area_of(text: str) -> Box | str:
    """Around the boxes that a text names, or why there is none."""
    found = [tuple(map(float, match.groups())) for match in _BOX.finditer(text)]
    if not found:
        return "no box in step 2"
    if max(max(box) for box in found) <= 1:
        found = [tuple(SCALE * value for value in box) for box in found]
    try:
        return Box.union(Box(*box) for box in found)
    except ValueError:
        return "a box in step 2 that is none"


def _qa(question: str, steps: Steps, page: Page) -> QA | str:
    answer = _bare(steps.answer)
    kind = _kind(steps.analysis)
    key = next(iter(_quotes(steps.analysis) or _quotes(question)), "") or question.strip(" ?")[:80]
    if not answer or _ABSENT.search(steps.answer):
        return QA(question, QuestionAnalysis(kind, "extraction", key), (), AnswerFormation("none", ""), None) if answer else "no answer"  # fmt: skip
    area = area_of(steps.area)
    if isinstance(area, str):
        return area
    lines = page.lines_in(area)
    if not lines:
        return "no line of the page in the area"
    place = next((p for text in (_bare(steps.answer), answer.rstrip(".")) for p in occurrences(text, page, lines)), None)  # fmt: skip
    if place is not None and not _REASONS.search(steps.analysis):
        return _copied(question, QuestionAnalysis(kind, "extraction", key), steps.formation, place, page)
    if len(lines) > MOST_LINES:
        return "an area of too many lines for a formed answer"
    if place is None and not _REASONS.search(steps.analysis) and _like(answer, page, lines):
        return "the answer is written differently on the page"
    beside = _named_key(steps.formation, answer, page, lines)
    return QA(question, QuestionAnalysis(kind, "reasoning", key), lines, AnswerFormation("none", beside), answer)


def _copied(question: str, analysis: QuestionAnalysis, formation: str, place: Place, page: Page) -> QA:
    """With the key and relation that step 3 names where the page shows them, else with those the page itself suggests."""
    said = next((relation for pattern, relation in _RELATIONS if re.search(pattern, formation, re.I)), None)
    for text in _quotes(formation):
        for key in key_places(text, page, box_of(page, place.words)):
            relations: tuple[Relation, ...] = (said,) if said else ("inside", "right of", "below")
            for relation in relations:
                other = (key.words, key.start) != (place.words, place.start)
                if relation != "top of page" and other and fits(relation, key, place, page):
                    beside = AnswerFormation(relation, key.answer.strip(EDGES))
                    return QA(question, analysis, named(key, place), beside, place.answer, place.words)
    if said == "top of page" and fits(said, None, place, page):
        return QA(question, analysis, place.lines, AnswerFormation(said, ""), place.answer, place.words)
    own = key_of(page, place)
    lines = place.lines if own.line is None or own.line in place.lines else (own.line, *place.lines)
    return QA(question, analysis, lines, own.formation, place.answer, place.words)


def _like(answer: str, page: Page, lines: tuple[int, ...]) -> bool:
    """Whether the answer stands in the lines nearly so: it was copied from another reading of the page."""
    return similarity(answer, " ".join((page.lines or ())[i].text for i in lines)) >= 0.8


def _named_key(formation: str, answer: str, page: Page, lines: tuple[int, ...]) -> str:
    """The first text that step 3 quotes and that stands in the area."""
    for text in _quotes(formation):
        for place in find(text, page, threshold=0.85):
            if text != answer and set(place.lines) <= set(lines):
                return place.answer.strip(EDGES)
    return ""


def _kind(text: str) -> Kind:
    return next((kind for pattern, kind in _KINDS if re.search(pattern, text, re.I)), "other")


def _quotes(text: str) -> list[str]:
    return [found for a, b in _QUOTED.findall(text) if (found := (a or b).strip())]


def _bare(answer: str) -> str:
    """Without quotation marks, stars and spaces around it."""
    text = " ".join(answer.split()).strip("*` ")
    for mark in ('"', "'", "“”"):
        if len(text) > 1 and text[0] in mark and text.rstrip(".")[-1:] in mark:
            text = text.rstrip(".")[1:-1].strip()
    return text
