"""Answers against one another: what the plan's constraints say of them, and the misread amount that a second reading mends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from graphs import tool_calls
from graphs.question import report
from graphs.reflection.checks.constraints import constraints
from graphs.reflection.checks.grounding import grounding
from graphs.reflection.reflector import decide, reflect
from graphs.reflection.rereading import mend_sum
from graphs.reflection.types import Attempt, Reflection
from graphs.state import Attempted, Found, State, correction_in, cots_in, plan_in
from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import LayoutLLMError


def settle(state: State) -> dict[str, Any]:
    """Answers against one another: what the plan's constraints say of each joins its reflection. A sum that does not hold, and for
    which no correction is left, has its amounts read again."""
    held = {name: found for name in constrained(state) if (found := _held(state, name)) is not None}
    after: State = {**state, "found": {**state["found"], **held}}
    if not any(correction_in(after["found"][name]) for name in constrained(after)):
        held |= _read_again(after)
    return {"found": held}


def _read_again(state: State) -> dict[str, Found]:
    plan, cots = plan_in(state), cots_in(state)
    mended: dict[str, Found] = {}
    for constraint in plan.constraints:
        if constraint.kind != "sum" or not all(
            name in cots and _standing(state["found"][name]) for name in constraint.names
        ):
            continue
        document = _document(state, constraint.names)
        if document and (found := mend_sum(constraint, cots, document)):
            name, cot = found
            cots[name] = cot
            mended[name] = _with_attempt(state, name, cots, document)
    return mended


def _with_attempt(state: State, name: str, cots: Mapping[str, LayoutCoT], document: Document) -> Found:
    """What was read again stands: the sum speaks for it. Among the page's words it does not: those were misread."""
    found, cot = state["found"][name], cots[name]
    attempt = _attempt(state, name, cots, document)
    checks = [check for check in tool_calls.checks() if check is not grounding]
    reflection = reflect(attempt, checks=checks, rounds=tool_calls.context().rounds)
    report(name, cot.to_json(), reflection)
    attempts = [*found["attempts"], Attempted(cot=cot.to_json(), correction=None, reflection=reflection.to_json())]
    return Found(**{**found, "attempts": attempts, "best": len(attempts) - 1, "verdict": reflection.verdict})


async def asettle(state: State) -> dict[str, Any]:
    return await asyncio.to_thread(settle, state)


def constrained(state: State) -> list[str]:
    """Questions that constraints name, whose answers came from the reader without an error."""
    plan, found = plan_in(state), state["found"]
    named = {name for constraint in plan.constraints for name in constraint.names}
    return [q.name for q in plan.questions if q.name in named and _standing(found[q.name])]


def _standing(found: Found) -> bool:
    return found["best"] is not None and found["error"] is None and found["by"] == "reader"


def _held(state: State, name: str) -> Found | None:
    """The question's entry with what the constraints say of its best attempt beside what is known; None where nothing changes."""
    found, cots = state["found"][name], cots_in(state)
    document = _document(state, [name])
    if document is None:
        return None
    attempts, best = found["attempts"], found["best"] or 0
    known = Reflection.from_json(attempts[best]["reflection"])
    attempt = _attempt(state, name, cots, document)
    findings = [finding for finding in known.findings if finding.check != constraints.__name__]
    findings += constraints(attempt) if constraints in tool_calls.checks() else ()
    reflection = decide(attempt, findings, rounds=tool_calls.context().rounds)
    if reflection == known:
        return None
    report(name, attempts[best]["cot"], reflection)
    said = reflection.to_json()
    changed = [Attempted(**{**a, "reflection": said}) if i == best else a for i, a in enumerate(attempts)]
    return Found(**{**found, "attempts": changed, "verdict": reflection.verdict})


def _document(state: State, names: Sequence[str]) -> Document | None:
    """The pages that these questions look at: the one they all name, else all."""
    pages = {plan_in(state).question(name).page or state.get("page") for name in names}
    try:
        return tool_calls.tool().look(state["document"], pages.pop() if len(pages) == 1 else None)
    except LayoutLLMError:
        return None


def _attempt(state: State, name: str, cots: Mapping[str, LayoutCoT], document: Document) -> Attempt:
    """The question's present answer beside the others."""
    plan, found = plan_in(state), state["found"][name]
    return Attempt(
        question=plan.question(name), cot=cots[name], document=document,
        earlier=tuple(LayoutCoT.from_json(a["cot"]) for i, a in enumerate(found["attempts"]) if i != found["best"]),
        tried=tuple(Correction.from_json(a["correction"]) for a in found["attempts"] if a["correction"]),
        others={other: known for other, known in cots.items() if other != name},
        constraints=[c for c in plan.constraints if name in c.names],
    )  # fmt: skip
