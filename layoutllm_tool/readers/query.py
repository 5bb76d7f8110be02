"""A question with its options, checked; a correction as constraints of the decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from layoutllm_tool.cot import Correction, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.spatial import lines_at
from layoutllm_tool.documents.values import spans_of
from layoutllm_tool.errors import CorrectionError, QuestionError
from layoutllm_tool.protocols import Progress

if TYPE_CHECKING:
    from layoutllm_tool.model.grammar import DecodingConstraints
    from layoutllm_tool.model.processing import Window

LONGEST_QUESTION = 2000
"""Characters. The paper's limit is 2048 instruction tokens."""


def check_question(question: str) -> None:
    """QuestionError where it is empty or too long."""
    if not question.strip():
        raise QuestionError(
            "the question is empty.", hint='Ask something, for instance "What is the total?".'
        )
    if len(question) > LONGEST_QUESTION:
        raise QuestionError(
            f"the question has {len(question)} characters.", hint=f"At most {LONGEST_QUESTION}."
        )


@dataclass(frozen=True, slots=True)
class Query:
    """What ``Reader.ask`` is called with. QuestionError; CorrectionError for another question's attempt."""

    document: Document
    question: str
    page: int | None = None
    correction: Correction | None = None
    previous: LayoutCoT | None = None
    on_progress: Callable[[Progress], None] | None = None

    def __post_init__(self) -> None:
        check_question(self.question)
        if self.correction and self.previous and self.previous.question != self.question:
            raise CorrectionError(
                "the previous attempt is of another question.", hint="Ask that question again."
            )

    def pages(self) -> tuple[Page, ...]:
        """The pages to look at. PageOutOfRange."""
        pages = self.document.pages if self.page is None else (self.document.page(self.page),)
        if self.correction is not None and self.correction.page is not None:
            return (self.document.page(self.correction.page),)
        return pages


def constraints(query: Query, window: Window) -> DecodingConstraints | None:
    """What the query's correction asks of one window; None where the window has nothing of it.

    A correction without a previous attempt has nothing to keep: the steps before it are decoded.
    """
    from layoutllm_tool.model.grammar import DecodingConstraints

    correction, previous = query.correction, query.previous
    if correction is None:
        return DecodingConstraints()
    kept = previous.analysis if previous else None
    match correction.step:
        case "analysis":
            return DecodingConstraints(analysis=revised_analysis(correction, kept))
        case "area":
            return _area_constraints(correction, kept, window)
        case _:
            return _answer_constraints(correction, previous, window)


def revised_analysis(correction: Correction, kept: QuestionAnalysis | None) -> QuestionAnalysis:
    """The analysis with what the correction replaces."""
    before = kept or QuestionAnalysis("key-value", "extraction", "")
    return QuestionAnalysis(correction.kind or before.kind, before.operation, correction.text or before.key)


def allowed_lines(correction: Correction, kept: QuestionAnalysis | None, page: Page) -> set[int]:
    """Indices of the page's lines that a correction of the area leaves.

    Boxes say exactly where to look. Boxes to avoid and spatial words leave a choice among the rest.
    """
    if correction.page not in (None, page.number):
        return set()
    if correction.boxes:
        return {line for box in correction.boxes for line in page.lines_in(box)}
    lines = set(range(len(page.lines or ())))
    if correction.spatial:
        lines &= lines_at(page, correction.spatial, kept.key if kept else "")
    return lines - {line for box in correction.avoid for line in page.lines_in(box)}


def _area_constraints(
    correction: Correction, kept: QuestionAnalysis | None, window: Window
) -> DecodingConstraints | None:
    from layoutllm_tool.model.grammar import DecodingConstraints

    segment_of = {line: segment for segment, line in enumerate(window.lines)}
    lines = sorted(allowed_lines(correction, kept, window.page))
    segments = tuple(segment_of[line] for line in lines if line in segment_of)
    if not segments:
        return None
    if correction.boxes:
        return DecodingConstraints(analysis=kept, segments=segments, answerable=True)
    # Boxes to avoid leave "not in the document" possible.
    return DecodingConstraints(
        analysis=kept, allowed=frozenset(segments), answerable=bool(correction.spatial)
    )


def _answer_constraints(
    correction: Correction, previous: LayoutCoT | None, window: Window
) -> DecodingConstraints | None:
    from layoutllm_tool.model.grammar import DecodingConstraints

    expected = correction.expected_type
    spans = partial(spans_of, expected) if expected else None
    wrong = frozenset(w.strip().lower() for w in correction.wrong)
    if previous is None or not previous.areas:
        return DecodingConstraints(spans=spans, wrong=wrong)
    segment_of = {line: segment for segment, line in enumerate(window.lines)}
    lines = [line for area in previous.areas if area.page == window.page.number for line in area.lines]
    chosen = tuple(segment_of[line] for line in lines if line in segment_of)
    if not chosen:
        return None
    return DecodingConstraints(
        analysis=previous.analysis, segments=chosen, spans=spans, wrong=wrong, answerable=True
    )


def refuse_empty(correction: Correction, document: Document) -> CorrectionError:
    """For a correction that no window of the document can follow."""
    asked = f"page {correction.page}" if correction.page else f"{document.name!r}"
    return CorrectionError(
        f"nothing on {asked} lies where the correction of step {correction.step!r} says to look.",
        hint="Boxes are [x0, y0, x1, y1] from 0 to 1000 on the page, and must cover at least half of a line.",
    )
