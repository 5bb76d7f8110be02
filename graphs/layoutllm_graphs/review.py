"""What a reviewer is shown of a doubtful answer, and what they may decide. ``workflow`` waits for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from layoutllm_graphs.planning.plan import SEPARATOR, Column, Plan, PlannedQuestion
from layoutllm_graphs.reflection.types import Attempt, QuestionResult, Reflection
from layoutllm_graphs.state import QuestionInput
from layoutllm_tool.cot import AnswerFormation, Correction, LayoutCoT, QuestionAnalysis
from layoutllm_tool.tool import CorrectionArgs


class Approval(BaseModel):
    """A decision on a plan: {} carries it out as it is; ``plan`` replaces it."""

    model_config = ConfigDict(extra="forbid")

    plan: Plan | None = None


class ReviewDecision(BaseModel):
    """A decision on a doubtful answer: exactly one of the four.

    A correction is the same object that a check makes; the page is read again from its step on. An answer
    written by hand stands as it is. ``absent``: the document does not answer.
    """

    model_config = ConfigDict(extra="forbid")

    accept: bool = Field(default=False, description="The answer is right as it stands.")
    correction: CorrectionArgs | None = Field(default=None, description="Which step to correct, and how.")
    answer: str | None = Field(
        default=None, min_length=1, max_length=2000, description="The right answer, written by hand."
    )
    absent: bool = Field(default=False, description="The document does not say.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [self.accept, self.correction is not None, self.answer is not None, self.absent]
        if sum(given) != 1:
            raise ValueError("say exactly one of accept, correction, answer and absent")
        return self


def shown(question: QuestionInput, result: QuestionResult) -> dict[str, Any]:
    """The question, where its best answer stands, and what speaks against it."""
    cot = result.cot.to_json() if result.cot else {}
    place = {name: cot.get(name) for name in ("answer", "page", "box", "area", "confidence", "steps")}
    return {
        "kind": "review", "document": question["document"], "name": question["name"],
        "question": question["text"], **place, "verdict": result.verdict, "reasons": result.reasons,
        "error": result.error,
    }  # fmt: skip


def corrected(question: QuestionInput, correction: CorrectionArgs) -> QuestionInput:
    """The question, to be asked again with a person's correction. CorrectionError where it is none."""
    data = Correction.from_json(correction.model_dump()).to_json()
    return QuestionInput(**{**question, "correction": data, "by": "person"})


def decided(question: QuestionInput, result: QuestionResult, decision: ReviewDecision) -> QuestionResult:
    """Where the question stands once a person has accepted the answer or written it: satisfied, by them."""
    done = replace(result, verdict="satisfied", by="person", error=None)
    if decision.accept:
        return done
    columns = PlannedQuestion.model_validate(question["question"]).columns
    rows = _written_rows(decision.answer or "", columns, result.rows)
    return replace(done.add(_written(question["text"], done.attempts, decision.answer)), rows=rows)


def _written(text: str, before: Sequence[Attempt], answer: str | None) -> Attempt:
    """An attempt whose answer is a person's, with confidence 1 and no evidence."""
    analysis = before[-1].cot.analysis if before else QuestionAnalysis("other", "extraction", "")
    cot = LayoutCoT(text, analysis, (), AnswerFormation("none", ""), answer, 1.0)
    return Attempt(cot, reflection=Reflection("satisfied"))


def _written_rows(
    answer: str, columns: Sequence[Column], before: Sequence[Mapping[str, Any]]
) -> tuple[Mapping[str, Any], ...]:
    """A table's rows from its answer as it is shown ("Pen | 2; Ink | 1"), edited by a person.

    None where a row has neither as many cells as before nor one for each column. Where no row was added or
    removed, cells that were left as they were keep their places.
    """
    texts = [[cell.strip() for cell in row.split("|")] for row in answer.split(SEPARATOR)]
    known = before if len(before) == len(texts) else [{}] * len(texts)
    rows = [_written_row(row, columns, old) for row, old in zip(texts, known, strict=True)]
    return tuple(row for row in rows if row) if columns and answer and all(rows) else ()


def _written_row(
    texts: Sequence[str], columns: Sequence[Column], old: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    if old and len(texts) == _filled(old):
        return _rewritten(old, iter(texts))
    if len(texts) != len(columns) or any(column.columns for column in columns):
        return None
    names = ["/".join(column.path) or column.name for column in columns]
    return {name: _written_cell(text, old.get(name)) for name, text in zip(names, texts, strict=True)}


def _filled(row: Mapping[str, Any]) -> int:
    """How many cells have a text, those of rows within it among them."""
    return sum(sum(map(_filled, v)) if isinstance(v, list) else v is not None for v in row.values())


def _rewritten(row: Mapping[str, Any], texts: Iterator[str]) -> Mapping[str, Any]:
    """With other texts in the cells that have one."""
    return {
        name: [_rewritten(within, texts) for within in value]
        if isinstance(value, list)
        else value and _written_cell(next(texts), value)
        for name, value in row.items()
    }


def _written_cell(text: str, old: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if old and old["text"] == text:
        return old
    return {"text": text, "page": None, "box": None, "confidence": 1.0} if text else None
