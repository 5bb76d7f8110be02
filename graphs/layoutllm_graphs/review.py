"""What a reviewer is shown of a doubtful answer, and what they may decide. ``workflow`` waits for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from layoutllm_graphs.planning.plan import SEPARATOR, Column, Plan, PlannedQuestion
from layoutllm_graphs.reflection.types import PERSON, Attempt, Finding, QuestionResult, Reflection
from layoutllm_graphs.state import QuestionInput
from layoutllm_tool.cot import AnswerFormation, Area, Correction, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import CorrectionError
from layoutllm_tool.tool import CorrectionArgs


class Approval(BaseModel):
    """A decision on a plan: {} carries it out as it is; ``plan`` replaces it."""

    model_config = ConfigDict(extra="forbid")

    plan: Plan | None = None


class ReviewDecision(BaseModel):
    """A decision on an answer: exactly one of these.

    A correction is the same object that a check makes; the page is read again from its step on, and what is
    read then stands. An answer written by hand stands as it is. ``absent``: the document does not answer.
    What is read after ``wrong`` or ``again`` is the reader's, and may be doubtful.
    """

    model_config = ConfigDict(extra="forbid")

    accept: bool = Field(default=False, description="The answer is right as it stands.")
    correction: CorrectionArgs | None = Field(default=None, description="Which step to correct, and how.")
    answer: str | None = Field(
        default=None, min_length=1, max_length=2000, description="The right answer, written by hand."
    )
    absent: bool = Field(default=False, description="The document does not say.")
    wrong: bool = Field(default=False, description="The answer is wrong: read again, for another one.")
    again: bool = Field(default=False, description="Ask anew, as if it had not been asked.")

    @model_validator(mode="before")
    @classmethod
    def _written(cls, reply: Any) -> Any:
        """A plain text is the right answer."""
        return {"answer": reply} if isinstance(reply, str) else reply

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [self.accept, self.correction is not None, self.answer is not None, self.absent]
        if sum([*given, self.wrong, self.again]) != 1:
            raise ValueError("say exactly one of accept, correction, answer, absent, wrong and again")
        return self


def shown(question: QuestionInput, result: QuestionResult) -> dict[str, Any]:
    """The question, where its best answer stands, and what speaks against it."""
    cot = result.cot.to_json() if result.cot else {}
    place = {name: cot.get(name) for name in ("answer", "page", "box", "area", "confidence", "steps")}
    doubts = question.get("doubts", [])
    verdict = "failed" if doubts and result.verdict == "satisfied" else result.verdict
    return {
        "kind": "review", "document": question["document"], "name": question["name"],
        "question": question["text"], **place, "verdict": verdict, "reasons": [*result.reasons, *doubts],
        "error": result.error,
    }  # fmt: skip


def reply_to(question: QuestionInput, result: QuestionResult) -> Any:
    """The type of a reply: a decision that fits the question. Others are pydantic's ValidationError."""

    def fits(decision: ReviewDecision) -> ReviewDecision:
        try:
            asked_again(question, result, decision)
        except CorrectionError as error:
            raise ValueError(str(error)) from error
        return decision

    return Annotated[ReviewDecision, AfterValidator(fits)]


def asked_again(
    question: QuestionInput, result: QuestionResult, decision: ReviewDecision
) -> QuestionInput | None:
    """The question, to be read again as the decision says; None where nothing is to be read.

    CorrectionError where the correction is none, or does not fit the question.
    """
    if decision.again:
        return QuestionInput(**{**question, "previous_result": QuestionResult().to_json()})
    if decision.wrong:
        return _ruled_out(question, result)
    if decision.correction is None:
        return None
    correction = Correction.from_json(decision.correction.model_dump())
    if question["question"]["columns"] and not (correction.boxes or correction.avoid):
        raise CorrectionError("a table is read again from an area alone.", hint=_TABLE)
    return QuestionInput(**{**question, "correction": correction.to_json(), "by": "person"})


_TABLE = "Give boxes around it, or write its rows."


def _ruled_out(question: QuestionInput, result: QuestionResult) -> QuestionInput:
    """With the answers that a person refused: none of them counts again."""
    if question["question"]["columns"]:
        raise CorrectionError("a table has no other answer.", hint=_TABLE)
    if result.cot is None or result.cot.answer is None:
        hint = "Correct the area, write the answer, or ask again."
        raise CorrectionError("there is no answer that could be wrong.", hint=hint)
    finding = Finding(PERSON, "answer", "A person says that this answer is wrong.")
    reflection = Reflection("failed", (*result.reflection.findings, finding))
    result = replace(result.change_best(reflection=reflection), verdict="failed", by="reader", error=None)
    refused = [
        a.cot.answer
        for a in result.attempts
        if a.cot.answer and a.reflection and any(f.check == PERSON for f in a.reflection.findings)
    ]
    correction = Correction("answer", wrong=tuple(dict.fromkeys(refused))).to_json()
    return QuestionInput(**{**question, "correction": correction, "previous_result": result.to_json()})


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


def placed(found: QuestionResult, pages: Sequence[Page]) -> QuestionResult:
    """Add a written answer's place: where its words stand in one place only, or once in the area before."""
    *before, last = found.attempts
    areas = before[-1].cot.areas if before else ()
    wanted = (last.cot.answer or "").split()
    places = [evidence for page in pages for evidence in _on(page, wanted)] if wanted else []
    inside = [p for p in places if any(a.page == p.page and a.box.covers(p.box) for a in areas)]
    chosen = inside if len(inside) == 1 else places
    if len(chosen) != 1:
        return found
    place = chosen[0]
    lines = tuple(sorted({line for line, _ in place.words}))
    cot = replace(last.cot, evidence=(place,), areas=(Area(place.page, place.box, lines),))
    return found.change_best(cot=cot)


def _on(page: Page, wanted: Sequence[str]) -> Iterator[Evidence]:
    """Where these words follow one another."""
    words = [(at, i) for at, line in enumerate(page.lines or ()) for i in range(len(line.words))]
    texts = [word.text for word in page.words]
    for start in range(len(words) - len(wanted) + 1):
        stop = start + len(wanted)
        if texts[start:stop] == wanted:
            yield Evidence.of(page, words[start:stop])


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
    names = [column.key for column in columns]
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
