"""The workflow beside a single call: what its checks mend, what they spoil, what they flag, and what that costs.

The same questions go through the graph twice, with fresh readers: once with one attempt each, once with the whole loop (no language
model in either). ``without`` leaves checks out: what each of them is worth.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from layoutllm_tool.cot import AnswerFormation, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.evaluation.asking import Item, Tick
from layoutllm_tool.evaluation.rows import Question, Row, score
from layoutllm_tool.protocols import Reader

if TYPE_CHECKING:
    from graphs.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class Dealt:
    """One question after the loop: the answer as scored, whether it came out as doubtful, and how often the tool was called."""

    row: Row
    flagged: bool
    calls: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The single call and the loop over the same questions, in the same order."""

    once: tuple[Dealt, ...]
    loop: tuple[Dealt, ...]

    def changed(self, before: bool, after: bool) -> int:
        """Questions that were right (or wrong) at first and are right (or wrong) in the end."""
        pairs = zip(self.once, self.loop, strict=True)
        return sum(a.row.right == before and b.row.right == after for a, b in pairs)

    @property
    def wrong_flagged(self) -> int:
        """Wrong in the end, and marked as doubtful."""
        return sum(not dealt.row.right and dealt.flagged for dealt in self.loop)

    @property
    def right_flagged(self) -> int:
        """Right in the end, and marked all the same: a person looks at it for nothing."""
        return sum(dealt.row.right and dealt.flagged for dealt in self.loop)


def deal(
    reader: Reader,
    items: Iterable[Item],
    *,
    rounds: int = 3,
    second_look: bool = True,
    without: Collection[str] = (),
    tick: Tick | None = None,
) -> list[Dealt]:
    """Every question of every document through the workflow. LayoutLLMError where a document can't be loaded."""
    from graphs.context import Context
    from graphs.workflow import make_graph
    from layoutllm_tool.tool import LayoutLLMTool

    graph, done = make_graph(), []
    for item in items:
        document = reader.load(item.path, words=item.words() if item.words else None)
        tool = LayoutLLMTool(reader=reader, documents={"document": document})
        context = Context(tool=tool, max_attempts=rounds, second_opinion=second_look, disabled_checks=tuple(without))
        begun = time.perf_counter()
        task = plan_of(item.questions).model_dump(mode="json")
        state = graph.invoke({"document": "document", "task": task}, context=context)
        seconds = (time.perf_counter() - begun) / max(len(item.questions), 1)
        done += [
            _dealt(question, answer, document, seconds)
            for question, answer in zip(item.questions, state["answers"], strict=True)
        ]
        if tick:
            tick(len(item.questions))
    return done


def plan_of(questions: Sequence[Question]) -> Plan:
    """The questions as they stand; what they should be answered with is guessed from their words, as for any user's question."""
    from graphs.planning.plan import Plan
    from graphs.planning.planner import question_of

    return Plan(
        questions=[question_of(q.text).model_copy(update={"name": f"q{n}"}) for n, q in enumerate(questions, start=1)]
    )


def _dealt(question: Question, answer: Mapping[str, Any], document: Document, seconds: float) -> Dealt:
    nothing = QuestionAnalysis("other", "extraction", "")
    cot = (
        LayoutCoT.from_json(answer["cot"])
        if answer["cot"]
        else LayoutCoT(question.text, nothing, (), AnswerFormation("none", ""), None, 0.0)
    )
    row = score(question, cot, document.pages[0], seconds=seconds)
    return Dealt(row, answer["verdict"] != "satisfied", answer["calls"])


@dataclass(frozen=True, slots=True)
class Pass:
    """Means over one pass."""

    anls: float
    right: float
    area_hit: float | None
    calls: float
    seconds: float

    @classmethod
    def of(cls, dealt: Sequence[Dealt]) -> Pass:
        hits = [d.row.area_hit for d in dealt if d.row.area_hit is not None]
        return cls(
            anls=fmean(d.row.anls for d in dealt), right=fmean(d.row.right for d in dealt),
            area_hit=fmean(hits) if hits else None, calls=fmean(d.calls for d in dealt),
            seconds=fmean(d.row.seconds for d in dealt),
        )  # fmt: skip
