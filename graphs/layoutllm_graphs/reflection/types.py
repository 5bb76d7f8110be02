"""The records of reflection: attempts at a question, findings on them, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from layoutllm_tool.cot import Correction, LayoutCoT, StepName

CHAT_MODEL = "chat model"
"""Who decided, where an escalated answer is the chat model's."""
Verdict = Literal["satisfied", "needs_revision", "failed", "max_iterations_reached", "grader_error"]
"""satisfied: no finding is heavy, though marks may be there. needs_revision: a correction is worth a try.
failed: a finding is heavy and no correction is left. max_iterations_reached: one is left, but no attempt.
grader_error: nothing speaks against it, but a check of the caller's could not be carried out."""
GRADER_ERROR = "grader_error"
"""The name of the finding, which weighs nothing, that makes that verdict."""

PERSON = "person"
"""In place of a check's name: a person says that the answer is wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check finds wrong with an answer."""

    check: str
    step: StepName
    """The step that went wrong."""
    reason: str
    """For a person; text from the page is quoted."""
    correction: Correction | None = None
    """What might correct it; None where the check knows of nothing."""
    weight: float = 1.0
    """0-1. Under 0.5 the finding marks an answer and never undoes a satisfied verdict."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"correction": _encoded(self.correction)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        correction = _correction(data["correction"])
        return cls(data["check"], data["step"], data["reason"], correction, data["weight"])


@dataclass(frozen=True, slots=True)
class Reflection:
    """All findings on an answer, and the verdict that follows."""

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    correction: Correction | None = None
    """The one to try next; only with ``needs_revision``."""

    def to_json(self) -> dict[str, Any]:
        findings = [finding.to_json() for finding in self.findings]
        return {"verdict": self.verdict, "findings": findings, "correction": _encoded(self.correction)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reflection:
        findings = tuple(map(Finding.from_json, data["findings"]))
        return cls(data["verdict"], findings, _correction(data["correction"]))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a question."""

    cot: LayoutCoT
    correction: Correction | None = None
    """The correction that led to it."""
    reflection: Reflection | None = None
    """None until it has been reflected on."""
    document: Mapping[str, str] | None = None
    """The document's name and hash as the tool gave them; None where no call of the tool answered."""

    def to_json(self) -> dict[str, Any]:
        cot = self.cot.to_json() | ({"document": self.document} if self.document else {})
        reflection = self.reflection.to_json() if self.reflection else {}
        return {"cot": cot, "correction": _encoded(self.correction), "reflection": reflection}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Attempt:
        cot, reflection = data["cot"], data["reflection"]
        reflected = Reflection.from_json(reflection) if reflection else None
        return cls(LayoutCoT.from_json(cot), _correction(data["correction"]), reflected, cot.get("document"))


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """Where a question stands; as it begins, without attempts."""

    attempts: tuple[Attempt, ...] = ()
    best: int | None = None
    """An index of ``attempts``; without any, ``error`` says why."""
    verdict: Verdict = "failed"
    error: str | None = None
    by: str = "reader"
    """Who decided last: "reader", "person", or CHAT_MODEL, where an escalated answer is that one's."""
    calls: int = 0
    """Calls of the tool, in all attempts."""
    escalated: bool = False
    """Whether a chat model was asked what stayed doubtful."""
    rows: tuple[Mapping[str, Any], ...] = ()
    """Of a table: a row each, as JSON; a cell (text, page, box, confidence) or None by column."""

    @property
    def best_attempt(self) -> Attempt | None:
        """The attempt that is kept, if there is one."""
        return None if self.best is None else self.attempts[self.best]

    @property
    def cot(self) -> LayoutCoT | None:
        """The best attempt's LayoutCoT."""
        return self.best_attempt.cot if self.best_attempt else None

    @property
    def reflection(self) -> Reflection:
        """The best attempt's; "failed" without findings where there is none."""
        return (self.best_attempt and self.best_attempt.reflection) or Reflection("failed")

    @property
    def next_correction(self) -> Correction | None:
        """What the best attempt's reflection would try next."""
        return self.reflection.correction

    @property
    def reasons(self) -> list[str]:
        """What speaks against the best attempt."""
        return [finding.reason for finding in self.reflection.findings]

    @property
    def needs_review(self) -> bool:
        return self.verdict != "satisfied" and self.by != "person"

    def add(self, attempt: Attempt) -> QuestionResult:
        """Add an attempt, and make it the best."""
        return replace(self, attempts=(*self.attempts, attempt), best=len(self.attempts))

    def change_best(self, **changes: Any) -> QuestionResult:
        """Change fields of the best attempt."""
        attempts = (replace(a, **changes) if i == self.best else a for i, a in enumerate(self.attempts))
        return replace(self, attempts=tuple(attempts))

    def to_json(self) -> dict[str, Any]:
        attempts = [attempt.to_json() for attempt in self.attempts]
        stands = {"attempts": attempts, "best": self.best, "verdict": self.verdict}
        told = {"error": self.error, "by": self.by, "calls": self.calls}
        known: dict[str, Any] = {"rows": list(self.rows), "escalated": self.escalated}
        return {**stands, **told, **{name: value for name, value in known.items() if value}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> QuestionResult:
        attempts = tuple(map(Attempt.from_json, data["attempts"]))
        told = data["verdict"], data["error"], data["by"], data["calls"]
        return cls(attempts, data["best"], *told, data.get("escalated", False), tuple(data.get("rows", ())))


def _encoded(correction: Correction | None) -> dict[str, Any] | None:
    return correction.to_json() if correction else None


def _correction(data: Mapping[str, Any] | None) -> Correction | None:
    return Correction.from_json(data) if data else None
