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
from dataclasses import replace
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessage, ToolCall, ToolMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode

from layoutllm_graphs.context import Context, checks, context, look_at_pages, page_of, tool
from layoutllm_graphs.events import QuestionEvent, emit, emit_reflection
from layoutllm_graphs.planning.plan import Constraint, PlannedQuestion
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_graphs.reflection.columns import column_of
from layoutllm_graphs.reflection.reflector import best, reflected
from layoutllm_graphs.reflection.types import Attempt, QuestionResult
from layoutllm_graphs.state import QuestionInput, QuestionOutput, QuestionState, best_attempt
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
    graph.add_node("ask", RunnableLambda(_ask, afunc=_aask))
    graph.add_node("reflect", _reflect)
    graph.add_node("crop", _crop)
    graph.add_node("enlarged", _enlarged)
    graph.add_node("vote", _vote)
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", _route_after_ask, ["reflect", END])
    graph.add_conditional_edges("reflect", _route_after_reflect, ["ask", "crop", "enlarged", END])
    graph.add_edge(["crop", "enlarged"], "vote")
    graph.add_edge("vote", END)
    return graph.compile()


def _ask(state: QuestionState) -> dict[str, Any]:
    """Call the tool through a ToolNode, which gives it its runtime. Foreign errors are bugs, and raise."""
    return _asked(state, _tool_node().invoke(_call(state)))


async def _aask(state: QuestionState) -> dict[str, Any]:
    """As ``_ask``, without a thread of its own: many questions wait in the reader together."""
    # In a thread: the package's own tool reads the working directory.
    call, node = await asyncio.to_thread(lambda: (_call(state), _tool_node()))
    return _asked(state, await node.ainvoke(call))


def _tool_node() -> ToolNode:
    return ToolNode([tool()], handle_tool_errors=_error_text)


def _error_text(error: LayoutLLMError) -> str:
    return str(error)


def _call(state: QuestionState) -> dict[str, Any]:
    name, text, attempt = state["name"], state["text"], len(_attempts(state)) + 1
    emit(QuestionEvent(event="question", name=name, question=text, attempt=attempt))
    arguments: dict[str, Any] = {"document": state["document"], "question": text, "page": page_of(state)}
    if state["correction"]:
        arguments["correction"] = state["correction"]
    call = ToolCall(name=tool().name, args=arguments, id=f"{name}-{uuid4().hex}", type="tool_call")
    return {"messages": [AIMessage("", tool_calls=[call])], PREVIOUS: _corrected(state)}


def _corrected(state: QuestionState) -> dict[str, Any] | None:
    """The attempt that the correction is of: this run's last, or the best of an earlier run."""
    attempts = state.get("attempts")
    attempt = attempts[-1] if attempts else best_attempt(state["previous_result"])
    return attempt["cot"] if attempt and attempt["cot"]["question"] == state["text"] else None


def _asked(state: QuestionState, output: Mapping[str, Any]) -> dict[str, Any]:
    message: ToolMessage = output["messages"][-1]
    calls = (state.get("calls") or state["previous_result"]["calls"]) + 1
    if message.status == "error":
        return _finished(state, _attempts(state), calls, str(message.content))
    attempt = Attempt(cot=message.artifact, correction=state["correction"], reflection={})
    return {"attempts": [*_attempts(state), attempt], "calls": calls}


def _route_after_ask(state: QuestionState) -> str:
    return END if state.get("found") else "reflect"


def _reflect(state: QuestionState) -> dict[str, Any]:
    *before, last = state["attempts"]
    given = _check_input(state, state["attempts"])
    if given.question.is_list:
        given = replace(given, cot=column_of(given))
        last = Attempt(**{**last, "cot": given.cot.to_json()})
    attempts = [*before, _reflected(state, last, given)]
    reflection = attempts[-1]["reflection"]
    if reflection["correction"] is not None:
        return {"attempts": attempts, "correction": reflection["correction"]}
    if reflection["verdict"] != "satisfied" and state["by"] == "reader" and context().second_opinion:
        return {"attempts": attempts, "correction": None}
    return _finished(state, attempts, state["calls"])


def _route_after_reflect(state: QuestionState) -> str | list[str]:
    if state.get("found"):
        return END
    return "ask" if state["correction"] else ["crop", "enlarged"]


def _check_input(state: QuestionState, attempts: Sequence[Attempt]) -> CheckInput:
    """The last attempt as the checks see it."""
    question = PlannedQuestion.model_validate(state["question"])
    others = {name: LayoutCoT.from_json(cot) for name, cot in state["others"].items()}
    constraints = [Constraint.model_validate(data) for data in state["constraints"]]
    document = look_at_pages(state)
    return CheckInput.of(attempts, question, document, others=others, constraints=constraints)


def _reflected(state: QuestionState, attempt: Attempt, given: CheckInput) -> Attempt:
    """The attempt with its reflection. A person's correction is final: it is not sent back."""
    limit = 1 if state["by"] == "person" else context().max_attempts
    done = reflected(attempt, given, checks=checks(), max_attempts=limit, judge=context().judge)
    emit_reflection(state["name"], done)
    return done


def _crop(state: QuestionState) -> dict[str, Any]:
    return {"readings": _readings(state, again=False)}


def _enlarged(state: QuestionState) -> dict[str, Any]:
    return {"readings": _readings(state, again=True)}


def _readings(state: QuestionState, *, again: bool) -> list[dict[str, Any]]:
    """Read the surroundings, with words recognised anew if ``again``. [] where they can't be read."""
    reader, first = tool().reader, _best_cot(state)
    if reader is None or not first.areas:
        return []
    document = look_at_pages(state)
    try:
        return [CropReader(reader, again=again).ask_area(document, state["text"], first).to_json()]
    except LayoutLLMError:
        return []


def _vote(state: QuestionState) -> dict[str, Any]:
    """What two readings agree on is one more attempt, reflected on like any."""
    attempts = state["attempts"]
    if (cot := _preferred(state)) is not None:
        other = Attempt(cot=cot.to_json(), correction=None, reflection={})
        given = _check_input(state, [*attempts, other])
        attempts = [*attempts, _reflected(state, other, given)]
    return _finished(state, attempts, state["calls"] + len(state["readings"]))


def _preferred(state: QuestionState) -> LayoutCoT | None:
    """The reading that two agree on; None where that is the first answer, or where no two agree."""
    first, readings = _best_cot(state), [LayoutCoT.from_json(data) for data in state["readings"]]
    if not readings or first.page is None:
        return None
    found = compare(first, readings, look_at_pages(state).page(first.page))
    return found.preferred if found.settled and found.preferred is not first else None


def _best_cot(state: QuestionState) -> LayoutCoT:
    return LayoutCoT.from_json(state["attempts"][best(state["attempts"])]["cot"])


def _finished(
    state: QuestionState, attempts: list[Attempt], calls: int, error: str | None = None
) -> dict[str, Any]:
    """The best attempt; after a person's correction the last. A correction that failed changes nothing."""
    chosen, verdict = None, "failed"
    if attempts:
        chosen = len(attempts) - 1 if state["by"] == "person" and not error else best(attempts)
        verdict = attempts[chosen]["reflection"]["verdict"]
    if verdict == "needs_revision":  # an earlier attempt, whose correction led to nothing better
        verdict = "failed"
    by = state["by"]
    result = QuestionResult(attempts=attempts, best=chosen, verdict=verdict, error=error, by=by, calls=calls)
    return {"attempts": attempts, "calls": calls, "found": {state["name"]: result}}


def _attempts(state: QuestionState) -> list[Attempt]:
    return state.get("attempts") or state["previous_result"]["attempts"]
