"""Change a run that has ended or waits: decide on an answer, satisfied or not, or change the plan.

What depends on the change is done again: questions that name a changed answer, columns and amounts that were
read by a constraint with it, constraints, operations, and the record. Other answers are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Overwrite, Send

from layoutllm_graphs.context import Context
from layoutllm_graphs.planning.plan import Plan
from layoutllm_graphs.reflection.types import QuestionResult
from layoutllm_graphs.review import ReviewDecision, asked_again, decided, placed
from layoutllm_graphs.state import Outcome, QuestionInput, Request, Run, check_state
from layoutllm_graphs.structure import node_of
from layoutllm_tool.errors import PlanError
from layoutllm_tool.tool import LayoutLLMTool


def amend(
    graph: CompiledStateGraph[Any, Context, Request, Outcome],
    config: RunnableConfig,
    *,
    answers: Mapping[str, ReviewDecision | Mapping[str, Any]] | None = None,
    plan: Plan | None = None,
    tool: LayoutLLMTool | None = None,
) -> Command[Any]:
    """Enter decisions on answers, by question, or another plan. Returns what carries the run on:
    ``graph.invoke(amend(graph, config, answers={"total": {"wrong": True}}), config, context=...)``.

    Questions that the new plan leaves as they were keep their answers. What waited for a person is asked for
    again where it is still doubtful. PlanError where the thread has no run, or no such question; pydantic's
    ValidationError for what is no decision; CorrectionError for a correction that does not fit. The run is
    as it was then. ``tool`` looks for a written answer on the page.
    """
    values = graph.get_state(config).values
    if not values.get("plan"):
        raise PlanError("there is no run to amend.", hint="Carry out the task first.")
    check_state(values)
    given = {name: ReviewDecision.model_validate(reply) for name, reply in (answers or {}).items()}
    command = amended(Run.of(values), given, plan, tool)
    graph.update_state(config, None, as_node="finish")  # what waits is left
    return command


def amended(
    run: Run,
    decisions: Mapping[str, ReviewDecision],
    plan: Plan | None = None,
    tool: LayoutLLMTool | None = None,
) -> Command[Any]:
    """The command that carries the run on from these decisions. Raises as ``amend`` does."""
    new = replace(run, plan=plan or run.plan)
    asked = {question.name: question for question in new.plan.questions}
    if unknown := sorted(decisions.keys() - (run.found.keys() & asked.keys())):
        known = ", ".join(name for name in asked if name in run.found)
        raise PlanError(
            f"no question with an answer is called {', '.join(unknown)}.", hint=f"Known: {known}."
        )
    same = {q.name for q in run.plan.questions if asked.get(q.name) == q}
    found = {name: result for name, result in run.found.items() if name in same or name in decisions}
    again: dict[str, QuestionInput] = {}
    for name, decision in decisions.items():
        question = new.question_input(name, final=True)
        if to_read := asked_again(question, run.found[name], decision):
            again[name] = to_read
        else:
            found[name] = decided(question, run.found[name], decision)
            if tool and decision.answer is not None:
                pages = tool.look(run.document, run.only_page).pages
                found[name] = placed(found[name], pages)
    changed = {*again, *(asked.keys() - found.keys()), *(n for n in decisions if _differs(run, found, n))}
    redone = _dependants(new, changed) - (decisions.keys() - again.keys())
    kept = {name: result.to_json() for name, result in found.items() if name not in redone}
    sends = [Send(node_of(asked[n], to_read), to_read) for n, to_read in again.items() if n not in redone]
    update = {"plan": new.plan.model_dump(mode="json"), "found": Overwrite(kept), "answers": []}
    return Command(update=update, goto=sends or "dispatch")


def _differs(run: Run, found: Mapping[str, QuestionResult], name: str) -> bool:
    before, after = run.found[name].cot, found[name].cot
    return (before and before.answer) != (after and after.answer)


def _dependants(run: Run, changed: Collection[str]) -> set[str]:
    """The questions to be asked again, since they name a changed one or were read by a constraint with it."""
    redone: set[str] = set()
    for stage in run.plan.stages():
        for name in stage:
            before = {*changed, *redone}
            if before.intersection(run.plan.question(name).depends_on):
                redone.add(name)
    return redone | set(_read_by_constraints(run, {*changed, *redone}))


def _read_by_constraints(run: Run, changed: Collection[str]) -> Iterator[str]:
    """Lists, which are found by their sum, and what was read anew because a constraint did not hold."""
    for constraint in run.plan.constraints:
        if not set(constraint.names).intersection(changed):
            continue
        for name in set(constraint.names).difference(changed).intersection(run.found):
            question, result = run.plan.question(name), run.found[name]
            is_column = question.is_list and not question.columns
            if result.by != "person" and (is_column or _was_reread(result)):
                yield name


def _was_reread(result: QuestionResult) -> bool:
    reread = result.cot is not None and "reread" in result.cot.signals
    findings = (f for a in result.attempts[:-1] if a.reflection for f in a.reflection.findings)
    return reread or any(f.check == "constraints" and f.correction for f in findings)
