"""One question's own graph: ask, reflect, and ask again from the step that failed, until nothing speaks against the answer.

    ask -> reflect -> ask | look (second_look) | END

A subgraph for each question, so that one that needs three rounds keeps nobody waiting. The rounds are bounded, a correction that was
tried is not tried again (both by ``reflector``), and what counts in the end is the best attempt, not the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from graphs import tool_calls
from graphs.events import CheckEvent, CorrectionEvent, QuestionEvent, VerdictEvent, tell
from graphs.planning.plan import Constraint, PlannedQuestion
from graphs.reflection.columns import column_of
from graphs.reflection.reflector import best, reflect
from graphs.reflection.second_opinion import Look, build_second_look
from graphs.reflection.types import Attempt, Reflection
from graphs.state import Attempted, Context, Found, Job
from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Document


class QuestionState(Job):
    """``attempts`` are all so far; the last one's reflection is {} until it has been reflected on."""

    attempts: list[Attempted]
    calls: int
    found: dict[str, Found]


class Dealt(TypedDict):
    """What the parent gets: this question's entry of its ``found``."""

    found: dict[str, Found]


def build_question() -> CompiledStateGraph[Any, Context, Job, Dealt]:
    """Compiled: a node of the workflow. Works sync and async."""
    second = build_second_look()

    def look(state: QuestionState) -> dict[str, Any]:
        return _looked(state, second.invoke(_surroundings(state)))

    async def alook(state: QuestionState) -> dict[str, Any]:
        return await asyncio.to_thread(_looked, state, await second.ainvoke(_surroundings(state)))

    graph = StateGraph(QuestionState, context_schema=Context, input_schema=Job, output_schema=Dealt)
    graph.add_node("ask", RunnableLambda(_ask, afunc=_aask))
    graph.add_node("reflect", RunnableLambda(_reflect, afunc=_areflect))
    graph.add_node("look", RunnableLambda(look, afunc=alook))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", _after_asking, ["reflect", END])
    graph.add_conditional_edges("reflect", _after_reflecting, ["ask", "look", END])
    graph.add_edge("look", END)
    return graph.compile()


# -- ask ----------------------------------------------------------------------------------------------------------------


def _ask(state: QuestionState) -> dict[str, Any]:
    return _asked(state, tool_calls.ask(state["name"], _arguments(state)))


async def _aask(state: QuestionState) -> dict[str, Any]:
    return _asked(state, await tool_calls.aask(state["name"], _arguments(state)))


def _arguments(state: QuestionState) -> dict[str, Any]:
    question, attempt = _question(state), len(_attempts(state)) + 1
    tell(QuestionEvent(event="question", name=state["name"], question=state["text"], attempt=attempt))
    arguments = {"document": state["document"], "question": state["text"], "page": question.page or state["page"]}
    return arguments | {"correction": state["correction"]} if state["correction"] else arguments


def _asked(state: QuestionState, reply: tool_calls.Reply) -> dict[str, Any]:
    attempts, calls = _attempts(state), _calls(state) + 1
    if reply.cot is None:
        found = _settled(state, attempts, calls, error=reply.error)
        return {"attempts": attempts, "calls": calls, "found": {state["name"]: found}}
    attempt = Attempted(cot=reply.cot, correction=state["correction"], reflection={})
    return {"attempts": [*attempts, attempt], "calls": calls}


def _after_asking(state: QuestionState) -> str:
    return END if state.get("found") else "reflect"


# -- reflect ------------------------------------------------------------------------------------------------------------


def _reflect(state: QuestionState) -> dict[str, Any]:
    document = _document(state)
    state = _widened(state, document)
    reflection = _reflection(state, document)
    *before, last = state["attempts"]
    attempts = [*before, Attempted(**{**last, "reflection": reflection.to_json()})]
    report(state["name"], last["cot"], reflection)
    if reflection.correction is not None:
        return {"attempts": attempts, "correction": reflection.correction.to_json()}
    found = {"attempts": attempts, "correction": None}
    if reflection.verdict != "satisfied" and state["by"] == "reader" and tool_calls.context().second_look:
        return found
    return found | {"found": {state["name"]: _settled(state, attempts, _calls(state))}}


async def _areflect(state: QuestionState) -> dict[str, Any]:
    return await asyncio.to_thread(_reflect, state)


def _after_reflecting(state: QuestionState) -> str:
    return END if state.get("found") else "ask" if state["correction"] else "look"


def _document(state: QuestionState) -> Document:
    return tool_calls.tool().look(state["document"], _question(state).page or state["page"])


def _widened(state: QuestionState, document: Document) -> QuestionState:
    """Where many values are asked for: the last attempt with all of them."""
    question, (*before, last) = _question(state), state["attempts"]
    if not question.many:
        return state
    cot = column_of(
        question, LayoutCoT.from_json(last["cot"]), document, others=_others(state), constraints=_constraints(state)
    )
    return {**state, "attempts": [*before, Attempted(**{**last, "cot": cot.to_json()})]}


def _reflection(state: QuestionState, document: Document) -> Reflection:
    """On the last attempt. A person's correction is the last word: it is not sent back."""
    attempts = state["attempts"]
    made = [LayoutCoT.from_json(attempt["cot"]) for attempt in attempts]
    attempt = Attempt(
        question=_question(state), cot=made[-1], document=document, earlier=tuple(made[:-1]),
        tried=tuple(Correction.from_json(a["correction"]) for a in attempts if a["correction"]),
        others=_others(state), constraints=_constraints(state),
    )  # fmt: skip
    rounds = 1 if state["by"] == "person" else tool_calls.context().rounds
    return reflect(attempt, checks=tool_calls.checks(), rounds=rounds, judge=tool_calls.context().judge)


def report(name: str, cot: dict[str, Any], reflection: Reflection) -> None:
    """The reflection as events."""
    for finding in reflection.findings:
        tell(CheckEvent(event="check", name=name, check=finding.check, step=finding.step, reason=finding.reason))
    verdict, answer, confidence = reflection.verdict, cot["answer"], cot["confidence"]
    tell(VerdictEvent(event="verdict", name=name, verdict=verdict, answer=answer, confidence=confidence))
    if (mend := reflection.correction) is not None:
        by = next((f.check for f in reflection.findings if f.correction and _alike(f.correction, mend)), "reflector")
        tell(CorrectionEvent(event="correction", name=name, by=by, correction=mend.to_json()))


def _alike(proposed: Correction, chosen: Correction) -> bool:
    """The same but for answers that were ruled out before."""
    return (
        replace(proposed, wrong=chosen.wrong) == chosen
        if proposed.step == "answer" and chosen.wrong
        else proposed == chosen
    )


# -- a second look ------------------------------------------------------------------------------------------------------


def _surroundings(state: QuestionState) -> Look:
    attempts, page = state["attempts"], _question(state).page or state["page"]
    return Look(document=state["document"], page=page, text=state["text"], cot=attempts[best_of(attempts)]["cot"])


def _looked(state: QuestionState, seen: Mapping[str, Any]) -> dict[str, Any]:
    """What two readings agree on is one more attempt, and reflected on like any."""
    attempts = state["attempts"]
    if seen["other"] is not None:
        other = Attempted(cot=seen["other"], correction=None, reflection={})
        reflection = _reflection({**state, "attempts": [*attempts, other]}, _document(state))
        report(state["name"], other["cot"], reflection)
        attempts = [*attempts, Attempted(cot=other["cot"], correction=None, reflection=reflection.to_json())]
    calls = _calls(state) + seen["looks"]
    return {"attempts": attempts, "calls": calls, "found": {state["name"]: _settled(state, attempts, calls)}}


# -- the parts ----------------------------------------------------------------------------------------------------------


def _question(state: QuestionState) -> PlannedQuestion:
    return PlannedQuestion.model_validate(state["question"])


def _attempts(state: QuestionState) -> list[Attempted]:
    known = state["known"]
    return state.get("attempts") or (known["attempts"] if known else [])


def _calls(state: QuestionState) -> int:
    known = state["known"]
    return state.get("calls") or (known["calls"] if known else 0)


def _others(state: QuestionState) -> dict[str, LayoutCoT]:
    return {name: LayoutCoT.from_json(cot) for name, cot in state["others"].items()}


def _constraints(state: QuestionState) -> list[Constraint]:
    return [Constraint.model_validate(data) for data in state["constraints"]]


def _settled(state: QuestionState, attempts: list[Attempted], calls: int, *, error: str | None = None) -> Found:
    """With the best attempt in front; a person's is always the last. A correction that failed leaves what was there."""
    chosen, verdict = None, "failed"
    if attempts:
        chosen = len(attempts) - 1 if state["by"] == "person" and not error else best_of(attempts)
        verdict = attempts[chosen]["reflection"]["verdict"]
    if verdict == "needs_revision":  # an earlier attempt, whose correction led to nothing better
        verdict = "failed"
    return Found(attempts=attempts, best=chosen, verdict=verdict, error=error, by=state["by"], calls=calls)


def best_of(attempts: Sequence[Attempted]) -> int:
    """Which of a question's attempts to keep, by index."""
    return best([(LayoutCoT.from_json(a["cot"]), Reflection.from_json(a["reflection"])) for a in attempts])
