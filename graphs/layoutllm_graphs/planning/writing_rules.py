"""Which refused parts of a task a chat model may write: summaries, explanations, translations, kinds."""

from __future__ import annotations

from layoutllm_graphs.planning.fields import slug
from layoutllm_graphs.planning.plan import MOST_QUESTIONS, Plan, Refusal, Writing
from layoutllm_graphs.planning.words import LANGUAGES, REASONS

_KINDS = ("write", "explain", "translate", "classify")


def with_writing(plan: Plan) -> Plan:
    """The plan with what a chat model may write moved from what is refused."""
    names = [*(question.name for question in plan.questions), *(one.name for one in plan.operations)]
    writing = list(plan.writing)
    for refusal in filter(is_written, plan.refused[: MOST_QUESTIONS - len(writing)]):
        used = [*names, *(one.name for one in writing)]
        base = slug(refusal.text)[:40].rstrip("_")
        tries = (base, *(f"{base}_{number}" for number in range(2, len(used) + 3)))
        writing.append(Writing(name=next(name for name in tries if name not in used), text=refusal.text))
    moved = {one.text for one in writing}
    refused = [refusal for refusal in plan.refused if refusal.text not in moved]
    return plan.model_copy(update={"writing": writing, "refused": refused})


def without_writing(plan: Plan) -> Plan:
    """The plan with what a chat model would write refused."""
    if not plan.writing:
        return plan
    refused = [Refusal(text=one.text, reason=REASONS["write"]) for one in plan.writing]
    return plan.model_copy(update={"writing": [], "refused": [*plan.refused, *refused][:MOST_QUESTIONS]})


def is_written(refusal: Refusal) -> bool:
    """By its reason, or, where that is a chat model's own, by its words."""
    if refusal.reason in REASONS.values():
        return refusal.reason in (REASONS[kind] for kind in _KINDS)
    patterns = (pattern for language in LANGUAGES for kind, pattern in language.refusals if kind in _KINDS)
    return any(pattern.search(refusal.text) for pattern in patterns)
