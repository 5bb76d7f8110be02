"""Compares the plan of a task with what a person expects of it, written as words that have to occur.

``right``: everything that is expected is planned, and nothing else. ``marked``: some of it is not, but the
plan says so by a refusal, and plans nothing that is not expected. ``wrong``: else. The operation "check" is
a constraint or a comparison.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from layoutllm_graphs.planning.plan import Constraint, Operation, Plan, PlannedQuestion
from layoutllm_graphs.planning.planner import plan_task
from layoutllm_tool.errors import PlanError

_OPERATIONS = {"min": "minimum", "max": "maximum"}
_PLANNED = ("fields", "lists", "operations", "checks")


class Score(NamedTuple):
    outcome: Literal["right", "marked", "wrong"]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()


def tasks_in(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return found


def score(task: str, expected: Mapping[str, Any]) -> Score:
    """How the rules' plan of the task fares."""
    try:
        plan = plan_task(task).plan
    except PlanError as error:
        refused = _refused(str(error), expected)
        rest = [f"{kind}: {entry}" for kind in _PLANNED for entry in expected.get(kind, ())]
        return Score("marked" if refused or rest else "right", (*refused, *rest))
    return score_plan(plan, expected)


def score_plan(plan: Plan, expected: Mapping[str, Any]) -> Score:
    said = "\n".join(refusal.text for refusal in plan.refused)
    used = {name for operation in plan.operations for name in _sources(operation, plan)}
    used |= {name for constraint in plan.constraints for name in constraint.names}
    values = [_said(q) for q in plan.questions if not q.is_list]
    lists = [_said(q) for q in plan.questions if q.is_list]
    missing = [
        *_unmatched("fields", expected, values),
        *_unmatched("lists", expected, lists),
        *(f"operation {want}" for want in expected.get("operations", ()) if not _is_done(want, plan)),
        *(f"check {want}" for want in expected.get("checks", ()) if not _is_checked(want, plan)),
        *_refused(said, expected),
    ]
    wanted = [*expected.get("fields", ()), *expected.get("lists", ())]
    checks = [*expected.get("checks", ()), *(w for w in expected.get("operations", ()) if w["op"] == "check")]
    unexpected = [
        q.text
        for q in plan.questions
        if q.name not in used and not any(_has(_said(q), words) for words in wanted)
    ]
    unexpected += [f"{o.op} of {o.of}" for o in plan.operations if not _is_wanted(o, plan, expected)]
    if len(plan.constraints) > len(checks):
        unexpected += [str(constraint) for constraint in plan.constraints]
    extra = len(plan.refused) > len(expected.get("refused", ()))
    if not missing and not unexpected:
        return Score("marked" if extra else "right")
    marked = extra and not unexpected
    return Score("marked" if marked else "wrong", tuple(missing), tuple(unexpected))


def _said(question: PlannedQuestion) -> str:
    columns = (text for column in question.columns for text in (column.name, column.words))
    page = f"page {question.page}" if question.page else ""
    return " ".join((question.name.replace("_", " "), question.text, page, *columns)).lower()


def _has(text: str, words: Iterable[str]) -> bool:
    return all(word.lower() in text for word in words)


def _unmatched(kind: str, expected: Mapping[str, Any], found: Sequence[str]) -> list[str]:
    """What is expected and is asked by no question of its own."""
    left, missing = list(found), []
    for words in sorted(expected.get(kind, ()), key=len, reverse=True):
        match = next((text for text in sorted(left, key=len) if _has(text, words)), None)
        if match is None:
            missing.append(f"{kind}: {words}")
        else:
            left.remove(match)
    return missing


def _refused(said: str, expected: Mapping[str, Any]) -> list[str]:
    """An entry is the words as they stand, or a list of words."""
    entries = [[part] if isinstance(part, str) else part for part in expected.get("refused", ())]
    return [f"refused: {words}" for words in entries if not _has(said.lower(), words)]


def _sources(operation: Operation, plan: Plan) -> set[str]:
    """The questions that an operation rests on."""
    steps = {step.name: step for step in plan.operations}
    names = {reference.partition(".")[0] for reference in operation.of}
    return {source for name in names for source in (_sources(steps[name], plan) if name in steps else {name})}


def _told(operation: Operation, plan: Plan) -> str:
    """What an operation is of, in the words of its questions and columns."""
    condition = operation.condition
    told = [condition.comparison, condition.value] if condition else []
    for reference in operation.of:
        name, _, column = reference.partition(".")
        for source in _sources(operation.model_copy(update={"of": (name,)}), plan):
            question = plan.question(source)
            told += [question.name.replace("_", " "), question.text]
            shown = {column, operation.by, condition.column if condition else ""}
            told += [c.words for c in question.columns if c.name in shown]
    return " ".join(told).lower()


def _is_done(want: Mapping[str, Any], plan: Plan) -> bool:
    if want["op"] == "check" and any(_has(_named(c, plan), want["of"]) for c in plan.constraints):
        return True
    return any(
        _does(operation, want) and _has(_told(operation, plan), want["of"]) for operation in plan.operations
    )


def _named(constraint: Constraint, plan: Plan) -> str:
    return " ".join(_said(plan.question(name)) for name in constraint.names)


def _does(operation: Operation, want: Mapping[str, Any]) -> bool:
    wanted: str = want["op"]
    return ({"check": "compare"} | _OPERATIONS).get(wanted, wanted) == operation.op


def _is_wanted(operation: Operation, plan: Plan, expected: Mapping[str, Any]) -> bool:
    return any(
        _does(operation, want) and _has(_told(operation, plan), want["of"])
        for want in expected.get("operations", ())
    ) or any(_compares(operation, want, plan) for want in expected.get("checks", ()))


def _is_checked(want: Mapping[str, Any], plan: Plan) -> bool:
    """Terms that are ordered stand in the order expected."""
    for constraint in plan.constraints:
        said = [_said(plan.question(name)) for name in constraint.names]
        if constraint.kind == want["kind"] and _has(" ".join(said), want["of"]):
            pairs = zip(want["of"], said, strict=False)
            if constraint.kind != "ordered" or all(word.lower() in text for word, text in pairs):
                return True
    return any(_compares(operation, want, plan) for operation in plan.operations)


def _compares(operation: Operation, want: Mapping[str, Any], plan: Plan) -> bool:
    """Whether it answers by yes or no what the check wants."""
    pair = operation.op == "compare" and operation.condition is not None and len(operation.of) == 2
    return pair and want["kind"] in ("ordered", "equal") and _has(_told(operation, plan), want["of"])


def main() -> None:
    """Score sets of tasks: ``python -m tests.graphs.planning.task_scores FILE ...``."""
    for name in sys.argv[1:]:
        outcomes = Counter(score(entry["task"], entry["expect"]).outcome for entry in tasks_in(Path(name)))
        sys.stdout.write(f"{name}: {dict(outcomes)}\n")


if __name__ == "__main__":
    main()
