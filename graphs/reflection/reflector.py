"""Decides what findings mean: is the answer good, which correction comes next, which attempt is kept. No model needed.

Outside evidence mends answers, thinking again does not: every finding comes from a check against the page (``checks``). A chat
model may be asked for its opinion too (``judge``), which only ever marks. Asking again is the workflow's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from graphs.reflection.checks import CHECKS, Check
from graphs.reflection.judge import ajudged, judged
from graphs.reflection.types import Attempt, Finding, Reflection
from layoutllm_tool.cot import STEPS, Correction, LayoutCoT

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

MOST_ROUNDS = 3
"""Attempts at one question, the first among them; more are not worth their time."""
HEAVY = 0.5
"""A finding of this weight speaks against an answer; a lighter one marks it."""
WORTH_A_TRY = 0.3
"""A mark of this weight may have its correction tried once something heavy speaks against the answer; a lighter one is a guess."""


def reflect(
    attempt: Attempt,
    *,
    checks: Iterable[Check] = CHECKS,
    rounds: int = MOST_ROUNDS,
    judge: BaseChatModel | None = None,
) -> Reflection:
    """What the checks find, the verdict, and the correction to try next.

    ``rounds`` is how many attempts the question may get in all, this one and the earlier ones among them; more than three count
    as three. Pure without a judge; its failures are notes of weight 0.
    """
    findings = [finding for check in checks for finding in check(attempt)]
    return decide(attempt, findings + (judged(judge, attempt) if judge else []), rounds=rounds)


async def areflect(
    attempt: Attempt,
    *,
    checks: Iterable[Check] = CHECKS,
    rounds: int = MOST_ROUNDS,
    judge: BaseChatModel | None = None,
) -> Reflection:
    """As ``reflect``, without blocking the event loop: the checks run in a thread, the judge is awaited."""
    findings = await asyncio.to_thread(lambda: [finding for check in checks for finding in check(attempt)])
    return decide(attempt, findings + (await ajudged(judge, attempt) if judge else []), rounds=rounds)


def decide(attempt: Attempt, findings: Sequence[Finding], *, rounds: int = MOST_ROUNDS) -> Reflection:
    """The verdict on findings that are known already.

    Nothing heavy: satisfied. Else the heaviest correction that is new, at a tie the earliest step's; a mark's correction counts
    here too, since something heavier speaks against the answer. An answer that came back a second time is not asked for again.
    """
    found = tuple(findings)
    if not any(finding.weight >= HEAVY for finding in found):
        return Reflection("satisfied", found)
    left = [] if _came_back(attempt) else list(_new(attempt, found))
    if not left:
        return Reflection("failed", found)
    if len(attempt.earlier) + 1 >= min(rounds, MOST_ROUNDS):
        return Reflection("max_iterations_reached", found)
    _, mend = min(left, key=lambda pair: (-pair[0], STEPS.index(pair[1].step)))
    return Reflection("needs_revision", found, mend)


def _came_back(attempt: Attempt) -> bool:
    return any(_outcome(earlier) == _outcome(attempt.cot) for earlier in attempt.earlier)


def _outcome(cot: LayoutCoT) -> tuple[object, ...]:
    return cot.answer, cot.areas, tuple((e.page, e.words) for e in cot.evidence)


def _new(attempt: Attempt, findings: Iterable[Finding]) -> Iterator[tuple[float, Correction]]:
    for finding in findings:
        if finding.correction and finding.weight >= WORTH_A_TRY:
            mend = _with_memory(finding.correction, attempt)
            if mend not in attempt.tried and finding.correction not in attempt.tried and not _leads_back(mend, attempt):
                yield finding.weight, mend


def _with_memory(correction: Correction, attempt: Attempt) -> Correction:
    """What was ruled out once stays ruled out: an answer's second correction would else bring the first one's wrong answer."""
    if correction.step != "answer":
        return correction
    before = [text for tried in attempt.tried for text in tried.wrong]
    return replace(correction, wrong=tuple(dict.fromkeys((*before, *correction.wrong))))


def _leads_back(correction: Correction, attempt: Attempt) -> bool:
    """Whether an earlier attempt already took its answer from where the correction points."""
    return bool(correction.boxes) and any(
        earlier.evidence
        and all(
            correction.page in (None, e.page) and any(box.covers(e.box) for box in correction.boxes)
            for e in earlier.evidence
        )
        for earlier in attempt.earlier
    )


Tried = tuple[LayoutCoT, Reflection]
"""An answer and what the checks said of it."""


def best(attempts: Sequence[Tried]) -> int:
    """Which attempt to keep, by index: the one that the least speaks against, the earlier at a tie.

    Where two have as much against them, a later one needs lighter marks or more confidence, and not less of either. A grounded
    answer never gives way to one that no page says, nor "not in the document" to an answer that is not satisfactory. ValueError where
    there are no attempts.
    """
    if not attempts:
        raise ValueError("no attempts to choose from: reflect on at least one answer first")
    kept = 0
    for index in range(1, len(attempts)):
        if _may_replace(attempts[kept], attempts[index]) and _is_better(attempts[index], attempts[kept]):
            kept = index
    return kept


def _is_better(other: Tried, kept: Tried) -> bool:
    (heavy, marks), (kept_heavy, kept_marks) = _against(other[1]), _against(kept[1])
    if heavy != kept_heavy:
        return heavy < kept_heavy
    mine, its = (-marks, other[0].confidence), (-kept_marks, kept[0].confidence)
    return mine != its and mine[0] >= its[0] and mine[1] >= its[1]


def _may_replace(kept: Tried, other: Tried) -> bool:
    if _grounded(*kept) and not _grounded(*other):
        return False
    return kept[0].answer is not None or other[0].answer is None or other[1].verdict == "satisfied"


def _grounded(cot: LayoutCoT, reflection: Reflection) -> bool:
    """Evidence that the page does not bear out is none."""
    return cot.grounded and not any(f.check == "grounding" and f.weight >= 1 for f in reflection.findings)


def _against(reflection: Reflection) -> tuple[float, float]:
    """The weight of what speaks against an answer, and of what only marks it. Rounded: sums of floats are no ties."""
    weights = [finding.weight for finding in reflection.findings]
    return round(sum(w for w in weights if w >= HEAVY), 6), round(sum(w for w in weights if w < HEAVY), 6)
