"""Parses a chat model's reply and locates its answer on the page, or says what is wrong. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from layoutllm_tool.cot import (
    KINDS,
    OPERATIONS,
    RELATIONS,
    AnswerFormation,
    Area,
    Evidence,
    LayoutCoT,
    QuestionAnalysis,
)
from layoutllm_tool.documents.align import Place, find
from layoutllm_tool.documents.geometry import Page, box_of
from layoutllm_tool.documents.occurrences import fits, nearest, occurrences
from layoutllm_tool.documents.search import key_of
from layoutllm_tool.documents.values import spans_of
from layoutllm_tool.readers.chat_prompts import Segment, Task
from layoutllm_tool.readers.confidence import confidence, page_signals
from layoutllm_tool.readers.replies import object_of

ANSWERED = {
    "bias": -0.6, "grounded": 1.6, "first_place": 0.8, "any_place": 0.5, "relation": 0.3, "typed": 0.6,
    "key_share": 0.6,
    "key_lines": -0.3, "label": -1.0, "is_key": -1.5, "cut": -0.8, "answer_outside_area": -1.0,
    "mistyped": -1.5,
}  # fmt: skip
"""Weights of an answer's signals, set by hand."""
NOTHING = {"bias": 1.0, "named": -2.0, "key_share": -1.5, "pressed": -1.5}
"""Weights of "not in the document"; ``pressed``: a person said where to look."""
MOST, FORMED, UNGROUNDED = 0.9, 0.5, 0.2
"""Highest confidence of an answer, of a formed one, of one that was said to be copied and can't be found."""
_LONGEST = {"key": 200, "key_text": 200, "answer": 2000}
_MOST_SEGMENTS = 64
_ALIKE, _ELSEWHERE = 0.85, 0.9
"""Least similarity of an answer and its place in the named segments, and in others."""
_NONE_WORDS = frozenset(
    [
        "",
        "null",
        "none",
        "na",
        "notfound",
        "notgiven",
        "notmentioned",
        "notspecified",
        "notinthedocument",
        "unknown",
    ]
)


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """The outcome, if there is one, and what the model should correct ("" for nothing)."""

    cot: LayoutCoT | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """See ``confidence.Outcome``."""

    analysis: QuestionAnalysis
    formation: AnswerFormation
    answer: str | None
    words: tuple[tuple[int, int], ...] = ()
    answer_outside_area: bool = False


def parse_reply(text: str, task: Task) -> ParsedReply:
    """The reply as a LayoutCoT over the task's segments."""
    data = object_of(text)
    if data is None:
        return ParsedReply(None, "there is no JSON object in it")
    if problem := _form_problem(data, task):
        return ParsedReply(None, problem)
    analysis = task.analysis or QuestionAnalysis(data["kind"], data["operation"], _line(data.get("key")))
    answer = _line(data.get("answer"))
    chosen = (
        list(task.segments) if task.fixed else [task.segments[n - 1] for n in dict.fromkeys(data["segments"])]
    )
    if data.get("answer") is None or not answer:
        problem = (
            "somebody looked at the page, and the answer is among these segments" if task.answerable else ""
        )
        return ParsedReply(nothing(task, analysis), problem)
    if not chosen:
        return ParsedReply(None, "an answer needs the segments that it follows from")
    outcome = _Outcome(analysis, AnswerFormation(data["relation"], _line(data.get("key_text"))), answer)
    locate = _formed if analysis.operation == "reasoning" else _copied
    return _within_limits(locate(task, outcome, chosen), task, analysis)


def _form_problem(data: Mapping[str, Any], task: Task) -> str:
    """What is wrong with the reply's form."""
    known = [("relation", RELATIONS)] + (
        [("kind", KINDS), ("operation", OPERATIONS)] if task.analysis is None else []
    )
    for name, values in known:
        if data.get(name) not in values and not (name == "relation" and data.get("answer") is None):
            return f'"{name}" is none of {", ".join(values)}'
    for name, most in _LONGEST.items():
        value = data.get(name)
        if not isinstance(value, str | None) and not (name == "answer" and _is_number(value)):
            return f'"{name}" is no string'
        if len(str(value)) > most:
            return f'"{name}" has more than {most} characters'
    return "" if task.fixed else _segment_problem(data.get("segments"), len(task.segments))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _segment_problem(numbers: Any, count: int) -> str:
    if not isinstance(numbers, list) or not all(
        isinstance(n, int) and not isinstance(n, bool) for n in numbers
    ):
        return '"segments" is no list of numbers'
    if len(numbers) > _MOST_SEGMENTS:
        return f'"segments" names more than {_MOST_SEGMENTS}'
    alien = [n for n in numbers if not 1 <= n <= count]
    return f"there is no segment {alien[0]}, they run from 1 to {count}" if alien else ""


def _line(value: Any) -> str:
    text = " ".join(str("" if value is None else value).split())
    return text.encode(errors="replace").decode()  # half a surrogate pair can be stored nowhere


def _copied(task: Task, claimed: _Outcome, chosen: Sequence[Segment]) -> ParsedReply:
    """Located in the chosen segments, else in others, which join the area; else formed, with low
    confidence.
    """
    answer = claimed.answer or ""
    for segments, least, answer_outside_area in ((chosen, _ALIKE, False), (task.segments, _ELSEWHERE, True)):
        if found := _located(answer, claimed.formation, segments, least):
            page, place = found
            areas = _areas(
                [*chosen, *(Segment(page, line, range(0)) for line in place.lines if answer_outside_area)]
            )
            relation = "inside" if claimed.formation.relation == "none" else claimed.formation.relation
            formation = replace(claimed.formation, relation=relation)
            outcome = _Outcome(claimed.analysis, formation, place.answer, place.words, answer_outside_area)
            return ParsedReply(_answered(task, outcome, areas, page))
    if "".join(c for c in answer.lower() if c.isalnum()) in _NONE_WORDS:
        return ParsedReply(nothing(task, claimed.analysis))
    formed = _formed(
        task, replace(claimed, analysis=replace(claimed.analysis, operation="reasoning")), chosen, UNGROUNDED
    )
    quoted = json.dumps(answer[:80])
    return replace(formed, problem=f"the answer {quoted} does not stand in these segments letter for letter")


def _formed(task: Task, claimed: _Outcome, chosen: Sequence[Segment], most: float = FORMED) -> ParsedReply:
    """An abstractive answer: it has an area but no evidence."""
    formation = AnswerFormation("none", claimed.formation.key or claimed.analysis.key)
    outcome = replace(claimed, formation=formation)
    return ParsedReply(_answered(task, outcome, _areas(chosen), chosen[0].page, most))


def _answered(
    task: Task, outcome: _Outcome, areas: tuple[Area, ...], page: Page, most: float = MOST
) -> LayoutCoT:
    found = page_signals(page, outcome, areas)
    sure = min(MOST * confidence(ANSWERED, found), most)
    evidence = (Evidence.of(page, outcome.words),) if outcome.words else ()
    analysis, formation = outcome.analysis, outcome.formation
    return LayoutCoT(task.question, analysis, areas, formation, outcome.answer, sure, evidence, found)


def nothing(task: Task, analysis: QuestionAnalysis | None = None) -> LayoutCoT:
    """Not in the document, by these segments."""
    analysis = (
        analysis or task.analysis or QuestionAnalysis("other", "extraction", key_of(task.question)[:200])
    )
    outcome = _Outcome(analysis, AnswerFormation("none", ""), None)
    pages = {segment.page.number: segment.page for segment in task.segments}
    found = [page_signals(page, outcome, ()) for page in pages.values()]
    signals = max(found, key=lambda one: one["key_share"], default={"named": 0.0, "key_share": 0.0})
    signals = signals | {"pressed": float(task.answerable)}
    sure = MOST * confidence(NOTHING, signals)
    return LayoutCoT(task.question, analysis, (), outcome.formation, None, sure, (), signals)


def _within_limits(parsed: ParsedReply, task: Task, analysis: QuestionAnalysis) -> ParsedReply:
    """Refuse an answer that was wrong before; lower the confidence of one of another type than expected."""
    cot = parsed.cot
    if cot is None or cot.answer is None:
        return parsed
    if cot.answer.strip().lower() in {wrong.strip().lower() for wrong in task.wrong}:
        refused = nothing(replace(task, answerable=True), analysis)
        return ParsedReply(refused, f"{json.dumps(cot.answer)} was said to be wrong")
    if task.expected in (None, "text", "address") or spans_of(task.expected, cot.answer):
        return parsed
    signals = {**cot.signals, "mistyped": 1.0}
    sure = min(cot.confidence, MOST * confidence(ANSWERED, signals))
    less_sure = replace(cot, signals=signals, confidence=sure)
    return ParsedReply(less_sure, f"the answer must look like this: {task.expected}")


def _located(
    answer: str, formation: AnswerFormation, segments: Sequence[Segment], least: float
) -> tuple[Page, Place] | None:
    """Letter for letter, else with a similarity of at least ``least``."""
    for page, lines in _by_page(segments):
        if places := list(occurrences(answer, page, lines)):
            return page, _fitting(places, formation, page)
    for page, lines in _by_page(segments):
        for place in find(answer, page, threshold=least):
            if set(place.lines) <= set(lines):
                return page, place
    return None


def _fitting(places: Sequence[Place], formation: AnswerFormation, page: Page) -> Place:
    """The first place with the relation to the key that the model gave, else the first."""
    if len(places) == 1:
        return places[0]
    for place in places:
        keys = nearest(formation.key, page, box_of(page, place.words)) if formation.key else []
        if keys and fits(formation.relation, keys[0], place, page):
            return place
    return places[0]


def _by_page(segments: Sequence[Segment]) -> Iterator[tuple[Page, list[int]]]:
    """Lines in the order in which they were named, page by page."""
    pages: dict[int, tuple[Page, list[int]]] = {}
    for segment in segments:
        lines = pages.setdefault(segment.page.number, (segment.page, []))[1]
        if segment.line not in lines:
            lines.append(segment.line)
    yield from pages.values()


def _areas(segments: Sequence[Segment]) -> tuple[Area, ...]:
    return tuple(Area.of(page, lines) for page, lines in _by_page(segments))
