"""What reflection says of one answer: findings, each naming the step at fault, and a verdict. The checks are ``reflector``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from graphs.planning.plan import Constraint, PlannedQuestion
from layoutllm_tool.cot import Correction, LayoutCoT, StepName
from layoutllm_tool.documents.geometry import Document

Verdict = Literal["satisfied", "needs_revision", "failed", "max_iterations_reached"]
"""satisfied: nothing heavy speaks against the answer, though marks may be there. needs_revision: a correction is worth a try. failed: something speaks against it
and no correction is left. max_iterations_reached: one is left, but the rounds are used up."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One answer and all that may be held against it. Nothing here is changed by a check."""

    question: PlannedQuestion
    cot: LayoutCoT
    document: Document
    """With its words; pixels only where a check looks at them."""
    earlier: tuple[LayoutCoT, ...] = ()
    """Attempts at the same question before this one, first to last."""
    tried: tuple[Correction, ...] = ()
    """The corrections that led from each attempt to the next."""
    others: Mapping[str, LayoutCoT] = field(default_factory=dict)
    """The present answers of the plan's other questions, by name."""
    constraints: Sequence[Constraint] = ()
    """Those of the plan that name this question."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check holds against an answer."""

    check: str
    step: StepName
    """Where it went wrong."""
    reason: str
    """For a person; text from the page is quoted."""
    correction: Correction | None = None
    """What might mend it; None where the check knows of nothing."""
    weight: float = 1.0
    """0-1: how much it should count. Under 0.5 it marks an answer and never undoes a satisfied verdict."""

    def to_json(self) -> dict[str, Any]:
        mend = self.correction.to_json() if self.correction else None
        return {
            "check": self.check,
            "step": self.step,
            "reason": self.reason,
            "correction": mend,
            "weight": self.weight,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        mend = Correction.from_json(data["correction"]) if data["correction"] else None
        return cls(data["check"], data["step"], data["reason"], mend, data["weight"])


@dataclass(frozen=True, slots=True)
class Reflection:
    """All findings, and what follows from them."""

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    correction: Correction | None = None
    """The one to try next; only with ``needs_revision``."""

    def to_json(self) -> dict[str, Any]:
        mend = self.correction.to_json() if self.correction else None
        return {"verdict": self.verdict, "findings": [f.to_json() for f in self.findings], "correction": mend}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reflection:
        mend = Correction.from_json(data["correction"]) if data["correction"] else None
        return cls(data["verdict"], tuple(map(Finding.from_json, data["findings"])), mend)
