"""One question's graph: ask, reflect, and ask again from the step that failed.

    ask -> reflect -> ask | (crop, enlarged -> vote) | END

Each question has a graph of its own, so that a slow one blocks no other. ``reflector`` bounds the attempts
and tries no correction twice. What counts in the end is the best attempt, not the last.

A doubtful answer gets a second opinion: the question is asked again of the answer's surroundings alone,
twice. ``crop`` reads the page's own words there, ``enlarged`` recognises them anew from the picture. ``vote``
lets another answer stand only where two of the three readings agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessage, ToolCall, ToolMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode

from layoutllm_graphs.context import Context, checks, context, look_at_pages, page_of, tool
from layoutllm_graphs.events import QuestionEvent, emit, emit_reflection
from layoutllm_graphs.planning.plan import Constraint, PlannedQuestion
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_graphs.reflection.columns import column_of
from layoutllm_graphs.reflection.reflector import best, reflect
from layoutllm_graphs.reflection.types import PERSON, Attempt, Finding, QuestionResult, Reflection
from layoutllm_graphs.state import QuestionInput, QuestionOutput, QuestionState
from layoutllm_graphs.usage import counted
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.readers.agreement import compare
from layoutllm_tool.readers.crop import CropReader
from layoutllm_tool.tool import PREVIOUS


def build_question() -> CompiledStateGraph[Any, Context, QuestionInput, QuestionOutput]:
    """Compiled: a node of the workflow. Works sync and async."""
    graph = StateGraph(
        QuestionState, context_schema=Context, input_schema=QuestionInput, output_schema=QuestionOutput
    )
    graph.add_node("ask", counted(_ask, _aask))
    graph.add_node("reflect", counted(_reflect))
    graph.add_node("crop", counted(partial(_read_again, again=False)))
    graph.add_node("enlarged", counted(partial(_read_again, again=True)))
    graph.add_node("vote", counted(_vote))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", _route_after_ask, ["reflect", END])
    graph.add_conditional_edges("reflect", _route_after_reflect, ["ask", "crop", "enlarged", END])
    graph.add_edge(["crop", "enlarged"], "vote")
    graph.add_edge("vote", END)
    return graph.compile()


def _ask(state: QuestionState) -> dict[str, Any]:
    """Call the tool through a ToolNode, which gives it its runtime. Foreign errors are bugs, and raise."""
    result = _result(state)
    node, call = _prepared(state, result)
    return _asked(state, result, node.invoke(call))


async def _aask(state: QuestionState) -> dict[str, Any]:
    """As ``_ask``, without a thread of its own: many questions wait in the reader together."""
    result = _result(state)
    # In a thread: the package's own tool reads the working directory.
    node, call = await asyncio.to_thread(_prepared, state, result)
    return _asked(state, result, await node.ainvoke(call))


def _result(state: QuestionState) -> QuestionResult:
    """Where the question stands: this run's last attempt counts as the best, else an earlier run's best."""
    result = QuestionResult.from_json(state["previous_result"])
    if not state.get("attempts"):
        return result
    attempts = tuple(map(Attempt.from_json, state["attempts"]))
    return replace(result, attempts=attempts, best=len(attempts) - 1, calls=state["calls"])


def _prepared(state: QuestionState, result: QuestionResult) -> tuple[ToolNode, dict[str, Any]]:
    """The node and its input: the call, and the attempt that a correction is of."""
    name, text, attempt = state["name"], state["text"], len(result.attempts) + 1
    emit(QuestionEvent(event="question", name=name, question=text, attempt=attempt))
    arguments: dict[str, Any] = {"document": state["document"], "question": text, "page": page_of(state)}
    if state["correction"]:
        arguments["correction"] = state["correction"]
    call = ToolCall(name=tool().name, args=arguments, id=f"{name}-{uuid4().hex}", type="tool_call")
    previous = result.cot.to_json() if result.cot and result.cot.question == text else None
    given = {"messages": [AIMessage("", tool_calls=[call])], PREVIOUS: previous}
    return ToolNode([tool()], handle_tool_errors=_error_text), given


def _error_text(error: LayoutLLMError) -> str:
    return str(error)


def _asked(state: QuestionState, result: QuestionResult, output: Mapping[str, Any]) -> dict[str, Any]:
    message: ToolMessage = output["messages"][-1]
    result = replace(result, calls=result.calls + 1)
    if message.status == "error":
        return _finished(state, result, str(message.content))
    asked = {"cot": message.artifact, "correction": state["correction"], "reflection": {}}
    return _update(result.add(Attempt.from_json(asked)).to_json())


def _route_after_ask(state: QuestionState) -> str:
    return END if state.get("found") else "reflect"


def _reflect(state: QuestionState) -> dict[str, Any]:
    result = _result(state)
    given = _check_input(state, result)
    if given.question.is_list:
        given = replace(given, cot=column_of(given))
        result = result.change_best(cot=given.cot, document=None)
    reflection = _reflection(state, given)
    result, correction = result.change_best(reflection=reflection), reflection.correction
    doubtful = reflection.verdict != "satisfied" and state["by"] == "reader"
    if correction is None and not (doubtful and context().second_opinion):
        return _finished(state, result)
    return _update(result.to_json(), correction=correction.to_json() if correction else None)


def _route_after_reflect(state: QuestionState) -> str | list[str]:
    if state.get("found"):
        return END
    return "ask" if state["correction"] else ["crop", "enlarged"]


def reflected(state: QuestionInput, result: QuestionResult) -> QuestionResult:
    """The result with a reflection on its best attempt."""
    return result.change_best(reflection=_reflection(state, _check_input(state, result)))


def _check_input(state: QuestionInput, result: QuestionResult) -> CheckInput:
    """The last attempt as the checks see it."""
    question = PlannedQuestion.model_validate(state["question"])
    others = {name: LayoutCoT.from_json(cot) for name, cot in state["others"].items()}
    constraints = [Constraint.model_validate(data) for data in state["constraints"]]
    document = look_at_pages(state)
    return CheckInput.of(result, question, document, others=others, constraints=constraints)


def _reflection(state: QuestionInput, given: CheckInput) -> Reflection:
    """Check the attempt. What a person corrects or a chat model reads is final: it is not sent back."""
    limit = context().max_attempts if state["by"] == "reader" else 1
    reflection = reflect(given, checks=checks(), max_attempts=limit, judge=context().judge)
    emit_reflection(given.question.name, given.cot, reflection)
    return reflection


def _read_again(state: QuestionState, *, again: bool) -> dict[str, Any]:
    """Read the surroundings, with words recognised anew if ``again``. Nothing where they can't be read."""
    reader, first, readings = tool().reader, _best_cot(_result(state)), list[dict[str, Any]]()
    if reader is not None and first.areas:
        document = look_at_pages(state)
        with suppress(LayoutLLMError):
            cot = CropReader(reader, again=again).ask_area(document, state["text"], first)
            readings.append(cot.to_json())
    return {"readings": readings}


def _vote(state: QuestionState) -> dict[str, Any]:
    """What two readings agree on is one more attempt, reflected on like any."""
    result, readings = _result(state), [LayoutCoT.from_json(data) for data in state["readings"]]
    result, first = replace(result, calls=result.calls + len(readings)), _best_cot(result)
    if readings and first.page is not None:
        found = compare(first, readings, look_at_pages(state).page(first.page))
        if found.settled and found.preferred is not first:
            result = result.add(Attempt(found.preferred))
            result = reflected(state, result)
    return _finished(state, result)


def _best_cot(result: QuestionResult) -> LayoutCoT:
    return result.attempts[best(result.attempts)].cot


def _finished(state: QuestionState, result: QuestionResult, error: str | None = None) -> dict[str, Any]:
    """The best attempt; after a person's correction the last. A correction that failed changes nothing."""
    attempts, by, before = _as_said(result.attempts), state["by"], state["previous_result"]
    result = replace(result, attempts=attempts)
    if len(attempts) > len(before["attempts"]):
        last = by == "person" and not error
        result = replace(result, best=len(attempts) - 1 if last else best(attempts))
    if result.best != before["best"]:  # rows belong to the answer that they were read for
        result = replace(result, rows=())
    elif by == "reader":  # the answer before stands, whoever gave it
        by = before["by"]
    verdict = result.reflection.verdict
    if verdict == "needs_revision":  # an earlier attempt, whose correction led to nothing better
        verdict = "failed"
    data = replace(result, verdict=verdict, error=error, by=by).to_json()
    return _update(data, found={state["name"]: data})


def _as_said(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """With a person's word against an answer on every attempt that gives it again."""
    wrong = {a.cot.answer: f for a in attempts for f in _findings(a) if f.check == PERSON}
    return tuple(
        replace(a, reflection=Reflection("failed", (*_findings(a), wrong[a.cot.answer])))
        if a.cot.answer in wrong and not any(f.check == PERSON for f in _findings(a))
        else a
        for a in attempts
    )


def _findings(attempt: Attempt) -> tuple[Finding, ...]:
    return attempt.reflection.findings if attempt.reflection else ()


def _update(data: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Update the question's state from its encoded result."""
    return {"attempts": data["attempts"], "calls": data["calls"], **more}
