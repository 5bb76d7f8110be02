"""Ask a reader the questions of documents, time and score the answers, and ask a baseline beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.evaluation.metrics import anls
from layoutllm_tool.evaluation.results import Question, ScoredAnswer, score
from layoutllm_tool.protocols import Reader

_T = TypeVar("_T")
Seen = Callable[[str, Document], None]
"""Called with the questions' name of a document and the document as it was read."""
Tick = Callable[[int], None]
"""Called with the number of questions that were just answered."""


class Baseline(Protocol):
    """Anything that answers from a page's plain text."""

    def ask(self, page_text: str, question: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Item:
    """A document (its path, or itself), its questions, and what gives its words where they are known."""

    path: Path | Document
    questions: tuple[Question, ...]
    words: Callable[[], Sequence[Page]] | None = None

    def load(self, reader: Reader) -> Document:
        return reader.load(self.path, words=self.words() if self.words else None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Scored answers, and the seconds that loading (text recognition above all) took each document."""

    answers: tuple[ScoredAnswer, ...]
    load_seconds: tuple[float, ...]
    errors: tuple[str, ...]
    """Of documents or questions that raised one of the package's errors; their answers score 0."""


def ask_all(
    reader: Reader,
    items: Iterable[Item],
    *,
    baseline: Baseline | None = None,
    tick: Tick | None = None,
    seen: Seen | None = None,
) -> Outcome:
    """Ask every question, those of a document together. Only the package's own errors are caught."""
    answers: list[ScoredAnswer] = []
    loads: list[float] = []
    errors: list[str] = []
    for item in items:
        try:
            begun = time.perf_counter()
            document = item.load(reader)
            loads.append(time.perf_counter() - begun)
            if seen and item.questions:
                seen(item.questions[0].document, document)
            answers += _ask(reader, document, item.questions, baseline)
        except LayoutLLMError as error:
            errors.append(f"{item.path.name}: {type(error).__name__}: {error}")
            answers += [_failed(question) for question in item.questions]
        if tick:
            tick(len(item.questions))
    return Outcome(tuple(answers), tuple(loads), tuple(errors))


def _ask(
    reader: Reader, document: Document, questions: Sequence[Question], baseline: Baseline | None
) -> list[ScoredAnswer]:
    begun = time.perf_counter()
    found = reader.ask_many(document, [question.text for question in questions])
    seconds = (time.perf_counter() - begun) / max(len(questions), 1)
    page = document.pages[0]
    pages = {one.number: one for one in document.pages}
    # Of several pages, the one that was answered from: no set says where else the gold may stand.
    answers = [
        score(q, cot, pages.get(cot.page or page.number, page), seconds=seconds)
        for q, cot in zip(questions, found, strict=True)
    ]
    return [_with_baseline(one, page, baseline) for one in answers] if baseline else answers


def _with_baseline(scored: ScoredAnswer, page: Page, baseline: Baseline) -> ScoredAnswer:
    begun = time.perf_counter()
    answer = baseline.ask(page.text, scored.question)
    seconds = time.perf_counter() - begun
    value = anls(answer, scored.gold) if scored.gold else 0.0
    return replace(scored, baseline=answer, baseline_anls=value, baseline_seconds=seconds)


def _failed(question: Question) -> ScoredAnswer:
    asked = bool(question.gold)
    return ScoredAnswer(
        question.document, question.field, question.text, question.gold, None, 0.0, 0.0, False, 0.0, 0.0,
        area_hit=False if asked else None, iou=0.0 if asked else None, failed=True,
        rouge=0.0 if asked and question.measure == "rouge" else None,
    )  # fmt: skip


def spread(things: Sequence[_T], limit: int | None) -> Sequence[_T]:
    """At most ``limit`` of them, evenly spaced."""
    if limit is None or limit >= len(things):
        return things
    return [things[i * len(things) // limit] for i in range(max(limit, 0))]
