"""The records of reflection: attempts at a question, findings on them, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic refuses typing's on 3.11

from layoutllm_tool.cot import Correction, StepName

Verdict = Literal["satisfied", "needs_revision", "failed", "max_iterations_reached"]
"""satisfied: no finding is heavy, though marks may be there. needs_revision: a correction is worth a try.
failed: a finding is heavy and no correction is left. max_iterations_reached: one is left, but no attempt."""


class Attempt(TypedDict):
    """One attempt at a question, as plain JSON: the graph's state, the middleware and the batch keep it."""

    cot: dict[str, Any]
    correction: dict[str, Any] | None
    """The correction that led to it."""
    reflection: dict[str, Any]
    """{} until it has been reflected on."""


class QuestionResult(TypedDict):
    """Where a question stands, as plain JSON."""

    attempts: list[Attempt]
    best: int | None
    """An index of ``attempts``; without any, ``error`` says why."""
    verdict: str
    error: str | None
    by: str
    """Who decided last: "reader" or "person"."""
    calls: int
    """Calls of the tool, in all attempts."""


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
        correction = self.correction.to_json() if self.correction else None
        named = {"check": self.check, "step": self.step, "reason": self.reason}
        return {**named, "correction": correction, "weight": self.weight}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        correction = Correction.from_json(data["correction"]) if data["correction"] else None
        return cls(data["check"], data["step"], data["reason"], correction, data["weight"])


@dataclass(frozen=True, slots=True)
class Reflection:
    """All findings on an answer, and the verdict that follows."""

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    correction: Correction | None = None
    """The one to try next; only with ``needs_revision``."""

    def to_json(self) -> dict[str, Any]:
        correction = self.correction.to_json() if self.correction else None
        findings = [finding.to_json() for finding in self.findings]
        return {"verdict": self.verdict, "findings": findings, "correction": correction}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reflection:
        correction = Correction.from_json(data["correction"]) if data["correction"] else None
        return cls(data["verdict"], tuple(map(Finding.from_json, data["findings"])), correction)
