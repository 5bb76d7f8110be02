"""What is asked of the model: the question, what a correction leaves open, and the segments that are offered, in windows.

Nothing of a page is dropped without a word: what doesn't fit in one window comes in the next, lines that share a border in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from layoutllm_tool.cot import Correction, ExpectedType, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Document, Page
from layoutllm_tool.documents.spatial import lines_at
from layoutllm_tool.readers.query import refuse_empty

LONGEST_SEGMENT = 2000
"""Characters; a longer line comes in several segments."""
_COST = 40
"""Characters of a segment's mark and box."""
_OVERLAP = 6
"""Segments of the window before that the next one repeats: a key and its value are seen together."""


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
    """One question with what is given already."""

    question: str
    segments: tuple[Segment, ...]
    """On offer: others are neither shown nor accepted."""
    analysis: QuestionAnalysis | None = None
    """Step 1 is given."""
    fixed: bool = False
    """Step 2 is given: all the segments."""
    answerable: bool = False
    """Somebody said where to look: "not in the document" is no answer to that."""
    expected: ExpectedType | None = None
    wrong: tuple[str, ...] = ()


def task_of(
    document: Document,
    pages: Sequence[Page],
    question: str,
    correction: Correction | None,
    previous: LayoutCoT | None,
) -> Task:
    """The steps before the correction are kept. CorrectionError where nothing lies where it says to look."""
    kept = previous.analysis if previous else None
    plain = Task(question, tuple(_segments(pages)))
    if correction is None:
        return plain
    match correction.step:
        case "analysis":
            before = kept or QuestionAnalysis("key-value", "extraction", "")
            mended = QuestionAnalysis(correction.kind or before.kind, before.operation, correction.text or before.key)
            return replace(plain, analysis=mended)
        case "area":
            task = _look_at(plain, correction, kept)
        case _:
            task = _answer_again(plain, correction, previous)
    if not task.segments:
        raise refuse_empty(correction, document)
    return task


def _look_at(task: Task, correction: Correction, kept: QuestionAnalysis | None) -> Task:
    """Boxes say exactly where to look; boxes to avoid and spatial words leave the choice among what remains."""
    here = [s for s in task.segments if correction.page in (None, s.page.number)]
    if correction.boxes:
        inside = [s for s in here if any(s.line in s.page.lines_in(box) for box in correction.boxes)]
        return replace(task, analysis=kept, segments=tuple(inside), fixed=True, answerable=True)
    if correction.spatial:
        key = kept.key if kept else ""
        found = {s.page.number: lines_at(s.page, correction.spatial, key) for s in here}
        here = [s for s in here if s.line in found[s.page.number]]
    kept_out = [s for s in here if not any(s.line in s.page.lines_in(box) for box in correction.avoid)]
    return replace(task, analysis=kept, segments=tuple(kept_out), answerable=bool(correction.spatial))


def _answer_again(task: Task, correction: Correction, previous: LayoutCoT | None) -> Task:
    again = replace(task, expected=correction.expected_type, wrong=correction.wrong)
    if previous is None or not previous.areas:
        return again
    chosen = {(area.page, line) for area in previous.areas for line in area.lines}
    segments = tuple(s for s in task.segments if (s.page.number, s.line) in chosen)
    return replace(again, analysis=previous.analysis, segments=segments, fixed=True, answerable=True)


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


def windows(task: Task, room: int) -> list[Task]:
    """The task in pieces of at most about ``room`` characters each; a given step 2 is never cut."""
    if task.fixed or not task.segments:
        return [task]
    found: list[Task] = []
    start, segments = 0, task.segments
    while start < len(segments):
        stop, size = start, 0
        while stop < len(segments) and (stop == start or size + _size(segments[stop]) <= room):
            size += _size(segments[stop])
            stop += 1
        found.append(replace(task, segments=segments[start:stop]))
        if stop == len(segments):
            break
        start = max(stop - _OVERLAP, start + 1) if segments[stop].page is segments[stop - 1].page else stop
    return found


def _size(segment: Segment) -> int:
    return len(segment.text) + _COST
