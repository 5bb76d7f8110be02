"""The workflow of one document task: plan, ask, reflect, correct, and hand over what stays doubtful.

    plan -> approve? -> dispatch -> structure | question (in parallel) -> dispatch ... -> reconcile
         -> escalate? -> review? -> finish

``dispatch`` sends every question whose dependencies are answered; ``reconcile`` checks the answers against
one another (the plan's constraints) and sends back the one most at fault. ``approve`` and ``review`` wait for
a person: nodes of their own without a model call, since each resume runs pending nodes anew. A question that
fails becomes an answer with an ``error``; the others are answered. Foreign errors are bugs, and crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Overwrite, Send, interrupt

from layoutllm_graphs.computed import computed_answers
from layoutllm_graphs.context import Context, context, tool
from layoutllm_graphs.doubts import doubtful_values, sure_enough, with_doubts
from layoutllm_graphs.entry import Workflow
from layoutllm_graphs.escalation import escalate, summary, to_escalate
from layoutllm_graphs.events import PlanEvent, emit
from layoutllm_graphs.originals import with_notices
from layoutllm_graphs.planning.plan import Plan, PlannedQuestion
from layoutllm_graphs.planning.planner import plan_task, render
from layoutllm_graphs.question import build_question
from layoutllm_graphs.records import record_of
from layoutllm_graphs.reflection.criteria import check_criteria, findings_of, graded
from layoutllm_graphs.reflection.cross_field import constrained, is_open, reconcile
from layoutllm_graphs.reflection.types import QuestionResult
from layoutllm_graphs.review import Approval, ReviewDecision, asked_again, decided, reply_to, shown
from layoutllm_graphs.state import Answer, Outcome, QuestionInput, Request, Run, State
from layoutllm_graphs.structure import has_structure, node_of, structure
from layoutllm_graphs.usage import counted, counting
from layoutllm_graphs.writing import write
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.extraction.schema import is_schema
from layoutllm_tool.extraction.typed import Convention


def build_workflow() -> StateGraph[State, Context, Request, Outcome]:
    """The graph, not yet compiled: ``build_workflow().compile(checkpointer=...)``. Works sync and async."""
    graph = Workflow(State, context_schema=Context, input_schema=Request, output_schema=Outcome)
    graph.add_node("plan", plan)
    graph.add_node("approve", approve)
    graph.add_node("dispatch", dispatch, destinations=("structure", "question", "escalate", "reconcile"))
    graph.add_node("structure", structure, destinations=("question", "structured"))
    graph.add_node("structured", RunnableLambda(_structured))
    graph.add_node("question", build_question())
    graph.add_node("escalate", counted(escalate))
    graph.add_node("reconcile", counted(_reconcile))
    graph.add_node("review", RunnableLambda(review), destinations=("structure", "question", "dispatch"))
    graph.add_node("finish", counted(finish))
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", _route_after_plan, ["approve", "dispatch"])
    graph.add_edge("approve", "dispatch")
    graph.add_edge("structured", "dispatch")
    graph.add_edge("question", "dispatch")
    graph.add_edge("escalate", "dispatch")
    after = ["question", "escalate", "review", "finish"]
    graph.add_conditional_edges("reconcile", route_after_reconcile, after)
    graph.add_edge("finish", END)
    return graph


def make_graph() -> CompiledStateGraph[State, Context, Request, Outcome]:
    """For ``langgraph.json``. Without a checkpointer: the server brings one."""
    return build_workflow().compile()


def plan(state: State) -> dict[str, Any]:
    """The task as a plan. LayoutLLMError where nothing can be made of it."""
    check_criteria(context().criteria, context().judge)
    writes = context().writer is not None
    with counting() as used:
        planned = plan_task(state["task"], model=context().planner, writer=writes)
    made, notes = planned.plan.model_dump(mode="json"), list(planned.notes)
    emit(PlanEvent(event="plan", plan=made, notes=notes))
    task = state["task"]
    schema = state.get("schema") or (task if isinstance(task, dict) and is_schema(task) else None)
    begun = {"usage": Overwrite(used.usage_metadata), "found": Overwrite({}), "answers": []}
    asked = {"only_page": state.get("page"), "record_schema": schema}
    return {"plan": made, "notes": notes, **begun, **asked, **_no_criteria(state)}


def _no_criteria(state: State) -> dict[str, Any]:
    """A thread keeps what is not replaced: the results of an earlier run."""
    return {"criteria": []} if state.get("criteria") else {}


def _route_after_plan(state: State) -> str:
    return "approve" if context().approve else "dispatch"


def approve(state: State) -> dict[str, Any]:
    """Wait for a person: the plan as it is, or as they edited it."""
    value = {"kind": "plan", "plan": state["plan"], "text": render(Plan.model_validate(state["plan"]))}
    edited: Plan | None = interrupt(value, response_schema=Approval).plan
    if edited is None:
        return {}
    return {"plan": plan_task(edited, writer=context().writer is not None).plan.model_dump(mode="json")}


def dispatch(state: State) -> Command[Any]:
    """Send every unanswered question of the first stage that has one to its own graph; else go to reconcile.

    List questions come last unless another one depends on them: a known total helps to locate a column.
    """
    run = Run.of(state)
    questions = run.plan.questions
    needed = {name for question in questions for name in question.depends_on}
    last = [question.name for question in questions if question.is_list and question.name not in needed]
    stages = [[name for name in stage if name not in last] for stage in run.plan.stages()]
    for stage in (*stages, last):
        if open_ := [name for name in stage if name not in run.found]:
            needed = {other for name in open_ for other in run.plan.question(name).depends_on}
            if doubtful := to_escalate(run, needed):
                return Command(goto=[Send("escalate", run.question_input(name)) for name in doubtful])
            tried = any(has_structure(run.plan.question(name)) for name in open_)
            node = "structure" if tried else "question"  # all of a stage together: it ends at one time
            return Command(goto=[Send(node, run.question_input(name)) for name in open_])
    return Command(goto="reconcile")


def _structured(_: QuestionInput) -> dict[str, Any]:
    """Wait for the stage's questions that go on to their own graphs: ``dispatch`` sends what is open."""
    return {}


def _reconcile(state: State) -> dict[str, Any]:
    """Grade the criteria and run the cross-field constraints: their findings join each reflection."""
    if not context().criteria:
        return reconcile(state)
    answers = {answer["name"]: answer for answer in standing(state)}
    results = graded(context().criteria, list(answers.values()), _pages(state), context().judge)
    return {**reconcile(state, lambda name: findings_of(results, answers[name])), "criteria": results}


def route_after_reconcile(state: State) -> list[Send] | str:
    """The questions that constraints or criteria send back, those for a chat model, a person, or the end."""
    run = Run.of(state)
    named = {name for result in state.get("criteria", []) for name in result["answers"]}
    names = [*constrained(run), *(name for name in run.found if name in named and is_open(run.found[name]))]
    corrections = {name: run.found[name].next_correction for name in dict.fromkeys(names)}
    again = [
        Send("question", {**run.question_input(name, final=True), "correction": correction.to_json()})
        for name, correction in corrections.items()
        if correction
    ]
    if again:
        return again
    if context().escalate:
        values = doubtful_values(run.plan, _values(state, _convention(state)))
        if left := to_escalate(run, run.found, values):
            return [Send("escalate", run.question_input(name, final=True)) for name in left]
    if not context().review:
        return "finish"
    doubtful = _to_review(state, run)
    asked = [Send("review", {**run.question_input(name), "doubts": more}) for name, more in doubtful.items()]
    return asked or "finish"


def _to_review(state: State, run: Run) -> dict[str, list[str]]:
    """What a person has to decide on, with the reasons that the record adds to the answer's own."""
    least = context().min_confidence
    _, fields = (state.get("record_schema") and _values(state, _convention(state))) or ({}, {})
    found = {}
    for answer in standing(state, least):
        after = with_doubts(answer, run.plan.question(answer["name"]).path, fields)
        if after["verdict"] != "satisfied" and after["by"] != "person":
            found[answer["name"]] = after["reasons"][len(answer["reasons"]) :]
    return found


def review(question: QuestionInput) -> Command[Any]:
    """Wait for a person's decision on a doubtful answer: accepted, written, or read again."""
    result = QuestionResult.from_json(question["previous_result"])
    value = shown(question, sure_enough(result, context().min_confidence))
    decision: ReviewDecision = interrupt(value, response_schema=reply_to(question, result))
    if again := asked_again(question, result, decision):
        asked = PlannedQuestion.model_validate(question["question"])
        return Command(goto=[Send(node_of(asked, again), again)])
    done = decided(question, result, decision)
    return Command(update={"found": {question["name"]: done.to_json()}}, goto="dispatch")


@with_notices
def finish(state: State) -> dict[str, Any]:
    """The answers in the order of the plan, those computed from them, the record where there is a schema."""
    least, run = context().min_confidence, Run.of(state)
    page = _convention(state) if run.plan.operations or state.get("record_schema") else Convention()
    answers = [*standing(state, least), *computed_answers(run.plan, standing(state), page, least)]
    update: dict[str, Any] = {"answers": [*answers, *_written(run.plan, state)]}
    # A thread keeps what is not replaced: of an earlier task with a schema, or with a chat model.
    values = _values(state, page) or (({}, {}) if state.get("record") else None)
    if values:
        update["record"], update["fields"] = values
    if context().escalate or state.get("escalation"):
        update["escalation"] = summary(run, doubtful_values(run.plan, values)) if context().escalate else None
    return update


def _values(state: State, page: Convention) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The record and its fields, where there is a schema."""
    schema, least = state.get("record_schema"), context().min_confidence
    if schema is None:
        return None
    paths = {question.name: question.path for question in Run.of(state).plan.questions}
    # Of a table each cell has to be sure, and not the answer as a whole.
    return record_of(schema, standing(state), paths, page, least)


def _written(plan: Plan, state: State) -> list[Answer]:
    """What the chat model writes, after everything else."""
    model = context().writer
    pages = _pages(state) if plan.writing and model else ()
    return [write(model, asked, pages) for asked in plan.writing] if model else []


def _convention(state: State) -> Convention:
    """How the document writes numbers and dates; unknown where it can't be read."""
    pages = _pages(state)
    return Convention.of(pages) if pages else Convention()


def _pages(state: State) -> tuple[Page, ...]:
    """() where the document can't be read."""
    try:
        return tool().look(state["document"], state.get("only_page")).pages
    except LayoutLLMError:
        return ()


def standing(state: Mapping[str, Any], least: float = 0.0) -> list[Answer]:
    """The answers that there are so far, in the order of the plan; none before there is one.

    Those that are less sure than ``least`` are doubtful.
    """
    if not state.get("plan"):
        return []
    run = Run.of(state)
    answered = [question for question in run.plan.questions if question.name in run.found]
    return [_answer(question, sure_enough(run.found[question.name], least)) for question in answered]


def _answer(question: PlannedQuestion, result: QuestionResult) -> Answer:
    best, reasons, error = result.best_attempt, result.reasons, result.error
    cot = best.to_json()["cot"] if best else {}
    if best and error:  # of a correction that could not be followed: the answer before it stands
        reasons, error = [*reasons, error], None
    answer = Answer(
        name=question.name, question=cot.get("question", question.text), answer=cot.get("answer"),
        page=cot.get("page"), box=cot.get("box"), confidence=cot.get("confidence"),
        verdict=result.verdict, reasons=reasons, by=result.by, calls=result.calls, error=error,
        cot=cot or None,
    )  # fmt: skip
    if question.columns:
        answer["rows"] = [dict(row) for row in result.rows]
    return answer
