"""Compare the workflow with a single call: what its checks correct, spoil and flag, and what that costs.

The same questions go through the graph twice: with one attempt each, and with the whole workflow (no language
model in either). ``disabled_checks`` leaves checks out, to measure what each of them is worth.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from layoutllm_tool.cot import AnswerFormation, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.evaluation.results import Question, ScoredAnswer, Summary, score
from layoutllm_tool.evaluation.run import Item, Tick
from layoutllm_tool.protocols import Reader

if TYPE_CHECKING:
    from layoutllm_graphs.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class WorkflowAnswer:
    """One question's answer, whether the workflow flagged it, and how often it called the tool."""

    scored: ScoredAnswer
    flagged: bool
    calls: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The single call and the workflow over the same questions, in the same order."""

    once: tuple[WorkflowAnswer, ...]
    workflow: tuple[WorkflowAnswer, ...]

    def changed(self, before: bool, after: bool) -> int:
        """Questions that were right (or wrong) at first and are right (or wrong) in the end."""
        pairs = zip(self.once, self.workflow, strict=True)
        return sum(a.scored.right == before and b.scored.right == after for a, b in pairs)

    def flagged(self, *, right: bool) -> int:
        """Right (or wrong) in the end, and flagged."""
        return sum(one.scored.right == right and one.flagged for one in self.workflow)


def ask_workflow(
    reader: Reader,
    items: Iterable[Item],
    *,
    max_attempts: int = 3,
    second_opinion: bool = True,
    disabled_checks: Collection[str] = (),
    tick: Tick | None = None,
) -> list[WorkflowAnswer]:
    """Ask every question through the workflow. LayoutLLMError where a document can't be loaded."""
    from layoutllm_graphs.context import Context
    from layoutllm_graphs.workflow import make_graph
    from layoutllm_tool.tool import LayoutLLMTool

    graph, done = make_graph(), list[WorkflowAnswer]()
    for item in items:
        document = item.load(reader)
        tool = LayoutLLMTool(reader=reader, documents={"document": document})
        context = Context(
            tool=tool,
            max_attempts=max_attempts,
            second_opinion=second_opinion,
            disabled_checks=tuple(disabled_checks),
        )
        begun = time.perf_counter()
        task = _plan(item.questions).model_dump(mode="json")
        state = graph.invoke({"document": "document", "task": task}, context=context)
        seconds = (time.perf_counter() - begun) / max(len(item.questions), 1)
        pairs = zip(item.questions, state["answers"], strict=True)
        done += [_scored(question, answer, document.pages[0], seconds) for question, answer in pairs]
        if tick:
            tick(len(item.questions))
    return done


def _plan(questions: Sequence[Question]) -> Plan:
    """The questions as they stand; their types are guessed from their words, as for any user's question."""
    from layoutllm_graphs.planning.plan import Plan
    from layoutllm_graphs.planning.planner import question_of

    found = [question_of(question.text) for question in questions]
    return Plan(questions=[q.model_copy(update={"name": f"q{n}"}) for n, q in enumerate(found, start=1)])


def _scored(question: Question, answer: Mapping[str, Any], page: Page, seconds: float) -> WorkflowAnswer:
    if answer["cot"]:
        cot = LayoutCoT.from_json(answer["cot"])
    else:
        nothing = QuestionAnalysis("other", "extraction", "")
        cot = LayoutCoT(question.text, nothing, (), AnswerFormation("none", ""), None, 0.0)
    scored = score(question, cot, page, seconds=seconds)
    return WorkflowAnswer(scored, answer["verdict"] != "satisfied", answer["calls"])


def summary(found: Sequence[WorkflowAnswer]) -> tuple[Summary, float]:
    """Means over one pass, and the mean number of calls a question."""
    return Summary.of([one.scored for one in found]), fmean(one.calls for one in found)
