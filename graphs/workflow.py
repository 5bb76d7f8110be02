"""The workflow of one document task: plan, ask, reflect, mend, and hand over what stays doubtful.

    plan -> approve? -> dispatch -> question (a graph of its own, side by side) -> dispatch ... -> settle -> review? -> finish

``dispatch`` sends every question whose needs are met; ``settle`` holds the answers against one another (the plan's constraints) and
sends back the one most at fault. ``approve`` and ``review`` wait for a person: nodes of their own without a model call, since each
resume runs pending nodes anew. A question that fails becomes an answer with an ``error``; the others are answered. Errors that are
not the package's own are bugs, and crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Overwrite, Send, interrupt

from graphs import tool_calls
from graphs.events import PlanEvent, tell
from graphs.planning.plan import Plan, PlannedQuestion
from graphs.planning.planner import Planned, aplan_task, plan_task, render
from graphs.question import build_question
from graphs.reflection.cross_field import asettle, constrained, settle
from graphs.review import Approval, Review, decided, read_reply, shown
from graphs.state import Answer, Context, Found, Job, Outcome, Request, State, correction_in, cots_in, plan_in
from layoutllm_tool.cot import Correction, LayoutCoT


def build_workflow() -> StateGraph[State, Context, Request, Outcome]:
    """The graph, not yet compiled: ``build_workflow().compile(checkpointer=...)``. Works sync and async."""
    graph = StateGraph(State, context_schema=Context, input_schema=Request, output_schema=Outcome)
    graph.add_node("plan", RunnableLambda(plan, afunc=aplan))
    graph.add_node("approve", approve)
    graph.add_node("dispatch", dispatch, destinations=("question", "settle"))
    graph.add_node("question", build_question())
    graph.add_node("settle", RunnableLambda(settle, afunc=asettle))
    graph.add_node("review", RunnableLambda(review), destinations=("question", "dispatch"))
    graph.add_node("finish", finish)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", _to_approve, ["approve", "dispatch"])
    graph.add_edge("approve", "dispatch")
    graph.add_edge("question", "dispatch")
    graph.add_conditional_edges("settle", _to_mend, ["question", "review", "finish"])
    graph.add_edge("finish", END)
    return graph


def make_graph() -> CompiledStateGraph[State, Context, Request, Outcome]:
    """For ``langgraph.json``. Without a checkpointer: the server brings one."""
    return build_workflow().compile()


# -- plan ---------------------------------------------------------------------------------------------------------------


def plan(state: State) -> dict[str, Any]:
    """The task as a plan. LayoutLLMError where nothing can be made of it."""
    return _planned(plan_task(state["task"], model=tool_calls.context().planner))


async def aplan(state: State) -> dict[str, Any]:
    return _planned(await aplan_task(state["task"], model=tool_calls.context().planner))


def _planned(planned: Planned) -> dict[str, Any]:
    found = planned.plan.model_dump(mode="json")
    tell(PlanEvent(event="plan", plan=found, notes=list(planned.notes)))
    return {"plan": found, "notes": list(planned.notes), "found": Overwrite({}), "answers": []}


def _to_approve(state: State) -> str:
    return "approve" if tool_calls.context().approve else "dispatch"


def approve(state: State) -> dict[str, Any]:
    """Waits for a person: the plan as it is, or as they edited it."""
    value = {"kind": "plan", "plan": state["plan"], "text": render(plan_in(state))}
    edited = read_reply(Approval, interrupt(value, response_schema=Approval)).plan
    return {"plan": edited.model_dump(mode="json")} if edited else {}


# -- ask ----------------------------------------------------------------------------------------------------------------


def dispatch(state: State) -> Command[Any]:
    """Every question that can be asked now, each to a graph of its own; none left: on to settle."""
    plan, found = plan_in(state), state["found"]
    # A column is easier to find once the total that it adds up to is known: it comes last, unless another question needs it.
    needed = {name for question in plan.questions for name in question.needs}
    last = [question.name for question in plan.questions if question.many and question.name not in needed]
    waves = [[name for name in wave if name not in last] for wave in plan.waves()]
    for wave in (*waves, last):
        if waiting := [name for name in wave if name not in found]:
            cots = cots_in(state)
            return Command(goto=[Send("question", _job(state, plan, cots, name)) for name in waiting])
    return Command(goto="settle")


def _job(state: State, plan: Plan, cots: Mapping[str, LayoutCoT], name: str, *, settling: bool = False) -> Job:
    """With the answers that its text waits for. Its constraints, and the answers they speak of, only once all are in, or where the
    question is for a column, which is found by them."""
    question = plan.question(name)
    answers = {other: cot.answer for other, cot in cots.items() if cot.answer is not None}
    constraints = [c for c in plan.constraints if name in c.names] if settling or question.many else []
    others = {n: cots[n].to_json() for c in constraints for n in c.names if n in cots and n != name}
    return Job(
        document=state["document"], page=state.get("page"), name=name, question=question.model_dump(mode="json"),
        text=question.filled(answers), others=others, constraints=[c.model_dump(mode="json") for c in constraints],
        correction=None, by="reader", known=state["found"].get(name),
    )  # fmt: skip


# -- settle ------------------------------------------------------------------------------------------------------------


def _to_mend(state: State) -> list[Send] | str:
    """The questions that a constraint sends back, or what a person should see, or the end."""
    plan, cots, found = plan_in(state), cots_in(state), state["found"]
    mends = {name: mend for name in constrained(state) if (mend := correction_in(found[name]))}
    if mends:
        jobs = {name: _job(state, plan, cots, name, settling=True) for name in mends}
        return [Send("question", {**jobs[name], "correction": mend}) for name, mend in mends.items()]
    doubtful = [name for name in found if _doubtful(found[name])] if tool_calls.context().review else []
    return [Send("review", _job(state, plan, cots, name)) for name in doubtful] or "finish"


def _doubtful(found: Found) -> bool:
    return found["verdict"] != "satisfied" and found["by"] != "person"


# -- a person -----------------------------------------------------------------------------------------------------------


def review(job: Job) -> Command[Any]:
    """Waits for a person's word on one doubtful answer: accepted, corrected (read again from that step), or written by hand."""
    said = read_reply(Review, interrupt(shown(job), response_schema=Review))
    if said.correction is not None:
        correction = Correction.from_json(said.correction.model_dump()).to_json()
        return Command(goto=[Send("question", {**job, "correction": correction, "by": "person"})])
    return Command(update={"found": {job["name"]: decided(job, said)}}, goto="dispatch")


# -- the end ------------------------------------------------------------------------------------------------------------


def finish(state: State) -> dict[str, Any]:
    """The answers in the order of the plan."""
    return {"answers": standing(state)}


def standing(state: Mapping[str, Any]) -> list[Answer]:
    """The answers that there are so far, in the order of the plan; none before there is one."""
    questions = plan_in(state).questions if state.get("plan") else []
    return [
        _answer(question, state["found"][question.name]) for question in questions if question.name in state["found"]
    ]


def _answer(question: PlannedQuestion, found: Found) -> Answer:
    best = found["attempts"][found["best"]] if found["best"] is not None else None
    cot = best["cot"] if best else {}
    reasons = [finding["reason"] for finding in best["reflection"]["findings"]] if best else []
    error = found["error"] if best is None else None
    if best and found["error"]:  # of a correction that could not be followed: the answer before it stands
        reasons.append(found["error"])
    return Answer(
        name=question.name, question=cot.get("question", question.text), answer=cot.get("answer"), page=cot.get("page"),
        box=cot.get("box"), confidence=cot.get("confidence"), verdict=found["verdict"], reasons=reasons, by=found["by"],
        calls=found["calls"], error=error, cot=cot or None,
    )  # fmt: skip
