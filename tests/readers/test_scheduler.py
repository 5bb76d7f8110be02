"""The text model is asked about few of a long document's windows: those with the surest answers."""

from __future__ import annotations

from collections.abc import Callable

from layoutllm_tool.cot import AnswerFormation, LayoutCoT, QuestionAnalysis
from layoutllm_tool.readers.query import Query
from layoutllm_tool.readers.scheduler import Job, Worker
from layoutllm_tool.testing import document_from_text


def _cot(answer: str | None, confidence: float) -> LayoutCoT:
    analysis, formation = QuestionAnalysis("key-value", "extraction", "x"), AnswerFormation("none", "")
    return LayoutCoT("x?", analysis, (), formation, answer, confidence)


def _again(number: int, asked: list[int]) -> Callable[[], LayoutCoT]:
    def again() -> LayoutCoT:
        asked.append(number)
        return _cot(f"again {number}", 0.5 + number / 100)

    return again


def test_the_surest_windows_are_asked_again() -> None:
    document = document_from_text("x: 1")
    job = Job(Query(document, "x?"), document.pages)
    asked: list[int] = []
    job.attempts = [_cot(None, 0.9), *(_cot(f"{n}", n / 10) for n in range(1, 6)), _cot(None, 0.3)]
    job.again = [_again(number, asked) for number in range(7)]
    job.windows = 7
    worker = Worker(lambda: (None, {}, None), cache_bytes=1)  # type: ignore[arg-type, return-value]
    worker._chooser = object()  # type: ignore[assignment]
    worker._finish(job)
    assert sorted(asked) == [3, 4, 5, 6] and job.future.result().answer == "again 6"
