"""Documents and their questions through a reader: timed, scored, the baseline asked beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.evaluation.rows import Question, Row, score
from layoutllm_tool.protocols import Reader

Seen = Callable[[str, Document], None]
"""Called with the questions' name of a document and the document as it was read."""
Tick = Callable[[int], None]
"""Called with the number of questions that have just been dealt with."""


class Baseline(Protocol):
    """Anything that answers from a page's plain text."""

    def ask(self, page_text: str, question: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Item:
    """One document to ask about: where its picture is (or the document itself), its questions, and what gives its words where
    they are known."""

    path: Path | Document
    questions: tuple[Question, ...]
    words: Callable[[], Sequence[Page]] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Scored questions, seconds that loading (text recognition above all) took a document, and what was refused."""

    rows: tuple[Row, ...]
    load_seconds: tuple[float, ...]
    refused: tuple[str, ...]
    """Documents or questions that raised an error of our tree; their questions score 0 in ``rows``."""


def ask_all(
    reader: Reader,
    items: Iterable[Item],
    *,
    baseline: Baseline | None = None,
    tick: Tick | None = None,
    seen: Seen | None = None,
) -> Outcome:
    """Every question of every item, a document's questions asked together. Only errors of our own tree are caught."""
    rows: list[Row] = []
    loads: list[float] = []
    refused: list[str] = []
    for item in items:
        try:
            begun = time.perf_counter()
            document = reader.load(item.path, words=item.words() if item.words else None)
            loads.append(time.perf_counter() - begun)
            if seen and item.questions:
                seen(item.questions[0].document, document)
            rows += _ask(reader, document, item.questions, baseline)
        except LayoutLLMError as error:
            refused.append(f"{item.path.name}: {type(error).__name__}: {error}")
            rows += [_refused(question) for question in item.questions]
        if tick:
            tick(len(item.questions))
    return Outcome(tuple(rows), tuple(loads), tuple(refused))


def _ask(reader: Reader, document: Document, questions: Sequence[Question], baseline: Baseline | None) -> list[Row]:
    begun = time.perf_counter()
    answers = reader.ask_many(document, [question.text for question in questions])
    seconds = (time.perf_counter() - begun) / max(len(questions), 1)
    page = document.pages[0]
    seen = {one.number: one for one in document.pages}
    # Of several pages, the one that was answered from: where else the gold may stand, no set says.
    rows = [
        score(q, cot, seen.get(cot.page or page.number, page), seconds=seconds)
        for q, cot in zip(questions, answers, strict=True)
    ]
    return [_with_baseline(row, page, baseline) for row in rows] if baseline else rows


def _with_baseline(row: Row, page: Page, baseline: Baseline) -> Row:
    from layoutllm_tool.evaluation.metrics import anls

    begun = time.perf_counter()
    said = baseline.ask(page.text, row.question)
    seconds = time.perf_counter() - begun
    return replace(
        row, baseline=said, baseline_anls=anls(said, row.gold) if row.gold else 0.0, baseline_seconds=seconds
    )


def _refused(question: Question) -> Row:
    asked = bool(question.gold)
    return Row(
        question.document, question.field, question.text, question.gold, None, 0.0, 0.0, False, 0.0, 0.0,
        area_hit=False if asked else None, iou=0.0 if asked else None, failed=True,
        rouge=0.0 if asked and question.measure == "rouge" else None,
    )  # fmt: skip
