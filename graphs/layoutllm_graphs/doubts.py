"""What is doubtful in a run's outcome: answers, and values of its record. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from layoutllm_graphs.planning.plan import Plan
from layoutllm_graphs.reflection.types import Finding, QuestionResult
from layoutllm_graphs.state import Answer, Outcome

MOST_REASONS = 5
"""Of a record's values that an answer carries beside its own; a count stands for the rest."""


def sure_enough(result: QuestionResult, least: float) -> QuestionResult:
    """Failed, with a finding, where an answer is less sure than ``least`` (0-1). A person's word stands."""
    cot = result.cot
    if result.verdict != "satisfied" or result.by == "person" or cot is None or cot.confidence >= least:
        return result
    finding = Finding("confidence", "answer", f"The confidence is {cot.confidence:.2f}, under {least:.2f}.")
    reflection = result.reflection
    found = replace(reflection, verdict="failed", findings=(*reflection.findings, finding))
    return replace(result.change_best(reflection=found), verdict="failed")


def doubts(outcome: Outcome) -> dict[str, list[str]]:
    """Name -> reasons: of each doubtful value of the record, by JSON pointer, of each doubtful answer
    without such a value, of each criterion that is not satisfied, and of what the plan refuses.
    """
    fields = outcome.get("fields") or {}
    found = _doubtful(fields, "/")
    paths = {question["name"]: question["path"] for question in outcome["plan"].get("questions", [])}
    for answer in outcome["answers"]:
        path = paths.get(answer["name"], ())
        if answer["verdict"] != "satisfied" and not _doubtful(fields, _within(path)):
            found[answer["name"]] = [answer["error"]] if answer["error"] else answer["reasons"]
    unmet = [one for one in outcome.get("criteria", []) if one["verdict"] != "satisfied"]
    found |= {one["name"]: [f"{one['verdict']}: {one['reason']}"] for one in unmet}
    return found | {one["text"]: [one["reason"]] for one in outcome["plan"].get("refused", [])}


def doubtful_values(plan: Plan, values: tuple[Any, Mapping[str, Mapping[str, Any]]] | None) -> set[str]:
    """Names of the questions of which a value is doubtful. ``values``: the record, and its fields."""
    fields = values[1] if values else {}
    return {question.name for question in plan.questions if _doubtful(fields, _within(question.path))}


def with_doubts(answer: Answer, path: Sequence[str], fields: Mapping[str, Mapping[str, Any]]) -> Answer:
    """The answer, failed where a value that the record has of it is doubtful. ``path``: its question's."""
    within = _within(path)
    found = _doubtful(fields, within)
    if not found or answer["by"] == "person":
        return answer
    every = [(f"{at}/", why) for at, reasons in found.items() for why in reasons]
    new = [(at, why) for at, why in every if why not in answer["reasons"]]
    more = [why if at == within else f"{at[:-1]}: {why}" for at, why in new]
    if len(more) > MOST_REASONS:
        more[MOST_REASONS:] = [f"{len(more) - MOST_REASONS} more values are doubtful."]
    verdict = "failed" if answer["verdict"] == "satisfied" else answer["verdict"]
    return {**answer, "verdict": verdict, "reasons": [*answer["reasons"], *more]}


def _doubtful(fields: Mapping[str, Mapping[str, Any]], within: str) -> dict[str, list[str]]:
    """Pointer -> reasons, of the fields within."""
    return {
        at: list(field["reasons"])
        for at, field in fields.items()
        if field["verdict"] != "satisfied" and within and f"{at}/".startswith(within)
    }


def _within(path: Sequence[str]) -> str:
    """What the JSON pointers at the path and below it begin with; "" for a question without a path."""
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in path) + "/" if path else ""
