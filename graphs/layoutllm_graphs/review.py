"""What a reviewer is shown of a doubtful answer, and what they may decide. ``workflow`` waits for them."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from layoutllm_graphs.planning.plan import Plan
from layoutllm_graphs.reflection.types import Attempt, QuestionResult
from layoutllm_graphs.state import NOT_REFLECTED, QuestionInput, best_attempt
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


def shown(job: QuestionInput) -> dict[str, Any]:
    """The question, where its best answer stands, and what speaks against it."""
    found = job["previous_result"]
    best = best_attempt(found)
    cot = best["cot"] if best else {}
    findings = best["reflection"].get("findings", []) if best else []
    place = {name: cot.get(name) for name in ("answer", "page", "box", "area", "confidence", "steps")}
    return {
        "kind": "review", "document": job["document"], "name": job["name"], "question": job["text"], **place,
        "verdict": found["verdict"], "reasons": [finding["reason"] for finding in findings],
        "error": found["error"],
    }  # fmt: skip


def corrected(job: QuestionInput, correction: CorrectionArgs) -> QuestionInput:
    """The question, to be asked again with a person's correction. CorrectionError where it is none."""
    data = Correction.from_json(correction.model_dump()).to_json()
    return QuestionInput(**{**job, "correction": data, "by": "person"})


def decided(job: QuestionInput, decision: ReviewDecision) -> QuestionResult:
    """Where the question stands once a person has accepted the answer or written it: satisfied, by them."""
    found = job["previous_result"]
    done = QuestionResult(**{**found, "verdict": "satisfied", "by": "person", "error": None})
    if decision.accept:
        return done
    written = _written(job, decision.answer)
    attempts = [*found["attempts"], written]
    return QuestionResult(**{**done, "attempts": attempts, "best": len(attempts) - 1})


def _written(job: QuestionInput, answer: str | None) -> Attempt:
    """An attempt whose answer is a person's, with confidence 1 and no evidence."""
    before = job["previous_result"]["attempts"]
    kept = before[-1]["cot"]["analysis"] if before else {}
    analysis = QuestionAnalysis(**{"kind": "other", "operation": "extraction", "key": "", **kept})
    cot = LayoutCoT(job["text"], analysis, (), AnswerFormation("none", ""), answer, 1.0)
    return Attempt(cot=cot.to_json(), correction=None, reflection=NOT_REFLECTED)
