"""The task of a chat model, cut in windows, and its prompts.

Page text appears in prompts only as JSON strings, between marks that it can't hold. Drops nothing of a
page: what does not fit in one window comes in the next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

from layoutllm_tool.cot import KINDS, RELATIONS, Correction, ExpectedType, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.readers.query import Query, allowed_lines, refuse_empty, revised_analysis

LONGEST_SEGMENT = 2000
"""Characters; a longer line comes in several segments."""
_COST = 40
"""Characters of a segment's mark and box."""
_OVERLAP = 6
"""Segments of one window that the next one repeats, so that a key and its value are seen together."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A line of a page, or a part of a very long one."""

    page: Page
    line: int
    words: range

    @property
    def text(self) -> str:
        words = (self.page.lines or ())[self.line].words
        return " ".join(words[i].text for i in self.words)

    @property
    def box(self) -> Box:
        words = (self.page.lines or ())[self.line].words
        return Box.union(words[i].box for i in self.words)


@dataclass(frozen=True, slots=True)
class Task:
    """One question, and the steps that are given."""

    question: str
    segments: tuple[Segment, ...]
    """The only ones shown and accepted."""
    analysis: QuestionAnalysis | None = None
    """Step 1 is given."""
    fixed: bool = False
    """Step 2 is given: all the segments."""
    answerable: bool = False
    """A person said where to look, so "not in the document" is no answer."""
    expected: ExpectedType | None = None
    wrong: tuple[str, ...] = ()


def task_of(query: Query, pages: Sequence[Page]) -> Task:
    """Keeps the steps before the correction. CorrectionError where nothing lies where it says to look."""
    task, correction, previous = (
        Task(query.question, tuple(_segments(pages))),
        query.correction,
        query.previous,
    )
    if correction is None:
        return task
    kept = previous.analysis if previous else None
    if correction.step == "analysis":
        return replace(task, analysis=revised_analysis(correction, kept))
    task = (
        _in_area(task, correction, kept)
        if correction.step == "area"
        else _in_last_areas(task, correction, previous)
    )
    if not task.segments:
        raise refuse_empty(correction, query.document)
    return task


def _in_area(task: Task, correction: Correction, kept: QuestionAnalysis | None) -> Task:
    pages = {s.page.number: s.page for s in task.segments}
    lines = {number: allowed_lines(correction, kept, page) for number, page in pages.items()}
    segments = tuple(s for s in task.segments if s.line in lines[s.page.number])
    answerable = bool(correction.boxes or correction.spatial)
    return replace(
        task, analysis=kept, segments=segments, fixed=bool(correction.boxes), answerable=answerable
    )


def _in_last_areas(task: Task, correction: Correction, previous: LayoutCoT | None) -> Task:
    task = replace(task, expected=correction.expected_type, wrong=correction.wrong)
    if previous is None or not previous.areas:
        return task
    chosen = {(area.page, line) for area in previous.areas for line in area.lines}
    segments = tuple(s for s in task.segments if (s.page.number, s.line) in chosen)
    return replace(task, analysis=previous.analysis, segments=segments, fixed=True, answerable=True)


def _segments(pages: Sequence[Page]) -> Iterator[Segment]:
    for page in pages:
        for number, line in enumerate(page.lines or ()):
            start = size = 0
            for word in range(len(line.words)):
                size += len(line.words[word].text) + 1
                if size > LONGEST_SEGMENT and word > start:
                    yield Segment(page, number, range(start, word))
                    start, size = word, len(line.words[word].text) + 1
            yield Segment(page, number, range(start, len(line.words)))


def windows(task: Task, room: int, most_pages: int | None = None) -> list[Task]:
    """Tasks of about ``room`` characters and ``most_pages`` pages each at most. Never cuts a given step 2."""
    if task.fixed or not task.segments:
        return [task]
    found: list[Task] = []
    start, segments = 0, task.segments
    while start < len(segments):
        stop, size, pages = start, 0, set[int]()
        while stop < len(segments) and (stop == start or size + _size(segments[stop]) <= room):
            pages.add(segments[stop].page.number)
            if most_pages is not None and len(pages) > most_pages:
                break
            size += _size(segments[stop])
            stop += 1
        found.append(replace(task, segments=segments[start:stop]))
        if stop == len(segments):
            break
        start = max(stop - _OVERLAP, start + 1) if segments[stop].page is segments[stop - 1].page else stop
    return found


def _size(segment: Segment) -> int:
    return len(segment.text) + _COST


Block = dict[str, Any]
"""A content block as LangChain has it."""
Messages = list[tuple[str, str | list[Block]]]

_SYSTEM = Template((Path(__file__).parent / "chat_system.txt").read_text("utf-8").strip())
_FIXED = {"kinds": ", ".join(KINDS), "relations": ", ".join(RELATIONS)}
SYSTEM = _SYSTEM.substitute(_FIXED, source="from its text alone", pictures="")
"""Tells the model its task, and that the page is data."""
SEEING = _SYSTEM.substitute(
    _FIXED, source="from its text and its pictures",
    pictures=" So are the pictures before the marks. They show the same pages: a number on red stands left of"
    " the segment that has it.",
)  # fmt: skip
"""The same for a model that is shown pictures."""


def messages(task: Task, pictures: Sequence[Block] = ()) -> Messages:
    """The conversation that asks for the missing steps; pictures come before the text."""
    text = f"{quoted(task)}\n\n{_asked(task)}"
    if not pictures:
        return [("system", SYSTEM), ("human", text)]
    return [("system", SEEING), ("human", [*pictures, {"type": "text", "text": text}])]


def again(before: Messages, reply: str, problem: str) -> Messages:
    """The conversation with the reply and what was wrong with it."""
    retry = f"That can't be used: {problem}. Send the whole JSON object again, corrected."
    return [*before, ("ai", reply or "-"), ("human", retry)]


def quoted(task: Task) -> str:
    """The segments, numbered from 1."""
    rows: list[str] = []
    page = None
    for number, segment in enumerate(task.segments, start=1):
        if segment.page.number != page:
            page = segment.page.number
            rows.append(f"page {page}")
        rows.append(f"<seg_{number}> {segment.box.as_list()} {_string(segment.text)}")
    text = "\n".join(rows)
    mark = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]  # a text can't hold its own hash
    return f"<document {mark}>\n{text}\n</document {mark}>"


def _asked(task: Task) -> str:
    return "\n".join([f"Question: {_string(task.question)}", *_given(task), *_limits(task)])


def _given(task: Task) -> list[str]:
    """The steps that are given."""
    given = []
    if task.analysis is not None:
        one = task.analysis
        given.append(
            f'Step 1 is settled, repeat it: "kind": {_string(one.kind)}, '
            f'"operation": {_string(one.operation)}, '
            f'"key": {_string(one.key)}.'
        )
    if task.fixed:
        given.append(
            f"Step 2 is settled: the answer follows from the segments above, "
            f"all {len(task.segments)} of them."
        )
    elif task.answerable:
        given.append("Somebody looked at the page: the answer is among the segments above.")
    return given


def _limits(task: Task) -> list[str]:
    limits = []
    if task.expected is not None:
        limits.append(f"The answer looks like this: {task.expected}.")
    if task.wrong:
        limits.append(
            f"These answers were wrong, don't give them again: {', '.join(map(_string, task.wrong))}."
        )
    return limits


def _string(text: str) -> str:
    """A JSON string on one row, with nothing invisible in it."""
    row = "".join(c if c.isprintable() else " " for c in text)
    return (
        json.dumps(row, ensure_ascii=False)
        .replace("<seg_", "\\u003cseg_")
        .replace("<document ", "\\u003cdocument ")
    )
