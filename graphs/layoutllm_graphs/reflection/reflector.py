"""Decides what findings mean: the verdict, the correction to try next, the attempt to keep. No model needed.

Every finding that corrects an answer comes from a check against the page (``checks``). A chat model's opinion
(``judge``) only ever marks. The question's graph and the middleware ask again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from langchain_core.language_models import BaseChatModel

from layoutllm_graphs.reflection.checks import CHECKS, Check
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_graphs.reflection.judge import judged
from layoutllm_graphs.reflection.types import GRADER_ERROR, PERSON, Attempt, Finding, Reflection
from layoutllm_tool.cot import STEPS, Correction, LayoutCoT

MAX_ATTEMPTS = 3
"""Attempts at one question, the first among them; more are not worth their time."""
HEAVY = 0.5
"""A finding of this weight speaks against an answer; a lighter one marks it."""
WORTH_A_TRY = 0.3
"""A mark of this weight may have its correction tried once a finding is heavy; a lighter one is a guess."""


def reflect(
    given: CheckInput,
    *,
    checks: Mapping[str, Check] = CHECKS,
    max_attempts: int = MAX_ATTEMPTS,
    judge: BaseChatModel | None = None,
) -> Reflection:
    """Run the checks and decide on their findings.

    ``max_attempts`` counts all attempts at the question, this one and the earlier ones; more than three count
    as three. Pure without a judge, whose failures are notes of weight 0.
    """
    findings = [finding for name, check in checks.items() for finding in _found(name, check, given)]
    return decide(given, findings + (judged(judge, given) if judge else []), max_attempts=max_attempts)


def _found(name: str, check: Check, given: CheckInput) -> list[Finding]:
    """What the check finds; of a caller's check that raises, that it could not be carried out."""
    try:
        return list(check(given))
    except Exception as error:
        if CHECKS.get(name) is check:
            raise
        reason = f"The check {name} could not be carried out: {type(error).__name__}."
        return [Finding(GRADER_ERROR, "answer", reason, weight=0.0)]


def decide(given: CheckInput, findings: Sequence[Finding], *, max_attempts: int = MAX_ATTEMPTS) -> Reflection:
    """The verdict on findings that are known already.

    No heavy finding: satisfied. Else the heaviest correction that is new, at a tie the earliest step's; a
    mark's correction counts here too. An answer that came back a second time is not asked for again.
    """
    found = tuple(findings)
    if not any(finding.weight >= HEAVY for finding in found):
        unchecked = any(finding.check == GRADER_ERROR for finding in found)
        return Reflection("grader_error" if unchecked else "satisfied", found)
    left = [] if _came_back(given) else list(_new_corrections(given, found))
    if not left:
        return Reflection("failed", found)
    if len(given.earlier) + 1 >= min(max_attempts, MAX_ATTEMPTS):
        return Reflection("max_iterations_reached", found)
    _, correction = min(left, key=lambda pair: (-pair[0], STEPS.index(pair[1].step)))
    return Reflection("needs_revision", found, correction)


def _came_back(given: CheckInput) -> bool:
    return any(_outcome(earlier) == _outcome(given.cot) for earlier in given.earlier)


def _outcome(cot: LayoutCoT) -> tuple[object, ...]:
    return cot.answer, cot.areas, tuple((e.page, e.words) for e in cot.evidence)


def _new_corrections(given: CheckInput, findings: Sequence[Finding]) -> Iterator[tuple[float, Correction]]:
    """(weight, correction) of what was not tried before."""
    for finding in findings:
        if finding.correction is None or finding.weight < WORTH_A_TRY:
            continue
        correction = _with_memory(finding.correction, given)
        known = correction in given.tried or finding.correction in given.tried
        if not known and not _leads_back(correction, given):
            yield finding.weight, correction


def _with_memory(correction: Correction, given: CheckInput) -> Correction:
    """The correction with the answers ruled out before: else the first wrong answer could come back."""
    if correction.step != "answer":
        return correction
    before = [text for tried in given.tried for text in tried.wrong]
    return replace(correction, wrong=tuple(dict.fromkeys((*before, *correction.wrong))))


def _leads_back(correction: Correction, given: CheckInput) -> bool:
    """Whether an earlier attempt already took its answer from where the correction points."""
    return bool(correction.boxes) and any(
        earlier.evidence
        and all(
            correction.page in (None, e.page) and any(box.covers(e.box) for box in correction.boxes)
            for e in earlier.evidence
        )
        for earlier in given.earlier
    )


def best(attempts: Sequence[Attempt]) -> int:
    """Which attempt to keep, by index: the one with the least against it, the earlier at a tie.

    Where two have as much against them, a later one needs lighter marks or more confidence, and not less of
    either. A grounded answer never gives way to one that no page says, nor "not in the document" to an answer
    that is not satisfactory. ValueError where there are no attempts.
    """
    if not attempts:
        raise ValueError("no attempts to choose from: reflect on at least one answer first")
    rated = list(map(_Rated, attempts))
    kept = 0
    for index in range(1, len(rated)):
        if rated[index].may_replace(rated[kept]) and rated[index].is_better_than(rated[kept]):
            kept = index
    return kept


class _Rated:
    """An answer and how much its findings weigh."""

    def __init__(self, attempt: Attempt) -> None:
        reflection = attempt.reflection or Reflection("failed")
        self.cot, self.satisfied = attempt.cot, reflection.verdict == "satisfied"
        weights = [finding.weight for finding in reflection.findings]
        # Rounded: sums of floats are no ties.
        self.heavy = round(sum(w for w in weights if w >= HEAVY), 6)
        self.marks = round(sum(w for w in weights if w < HEAVY), 6)
        # Evidence that the page does not bear out is none, nor is that of an answer which a person refused.
        refuted = any(f.check in ("grounding", PERSON) and f.weight >= 1 for f in reflection.findings)
        self.grounded = self.cot.grounded and not refuted

    def may_replace(self, kept: _Rated) -> bool:
        if kept.grounded and not self.grounded:
            return False
        return kept.cot.answer is not None or self.cot.answer is None or self.satisfied

    def is_better_than(self, kept: _Rated) -> bool:
        if self.heavy != kept.heavy:
            return self.heavy < kept.heavy
        mine, its = (-self.marks, self.cot.confidence), (-kept.marks, kept.cot.confidence)
        return mine != its and mine[0] >= its[0] and mine[1] >= its[1]
