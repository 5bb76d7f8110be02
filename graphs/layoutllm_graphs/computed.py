"""The answers of a plan's operations, from the answers that were read. Pure.

What an operation needs and the document lacks is a problem in a sentence, never a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from decimal import Decimal
from typing import Any

from layoutllm_graphs.operations import Cell, Computed, compute_all
from layoutllm_graphs.planning.plan import Operation, Plan
from layoutllm_graphs.state import Answer
from layoutllm_tool.cot import AnswerFormation, Area, Evidence, ExpectedType, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents import dates
from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.extraction.schema import Leaf
from layoutllm_tool.extraction.typed import Convention, typed


def computed_answers(
    plan: Plan, answers: Sequence[Answer], page: Convention, least: float = 0.0
) -> list[Answer]:
    """One for each operation, in their order. Evidence are the cells that it was computed from.

    What is computed from a doubtful answer is doubtful, as is what is less sure than ``least``.
    """
    values: dict[str, Sequence[Cell]] = {}
    for answer in answers:
        values |= values_of(plan, answer, page)
    done = compute_all(plan.operations, values)
    doubtful = {answer["name"] for answer in answers if answer["verdict"] != "satisfied"}
    found: list[Answer] = []
    for operation in plan.operations:
        against = _doubts(operation, done[operation.name], doubtful, least)
        found.append(_answer(operation, done[operation.name], against))
        doubtful |= {operation.name} if against else set()
    return found


def _doubts(operation: Operation, done: Computed, doubtful: Set[str], least: float) -> list[str]:
    """What speaks against the operation's answer."""
    if done.problem:
        return [done.problem]
    operands = dict.fromkeys(operand.partition(".")[0] for operand in operation.of)
    found = [f"{name} is doubtful." for name in operands if name in doubtful]
    if done.confidence < least:
        found.append(f"The confidence is {done.confidence:.2f}, under {least:.2f}.")
    return found


def values_of(plan: Plan, answer: Answer, page: Convention) -> dict[str, Sequence[Cell]]:
    """By question, and by "table.column"."""
    question = plan.question(answer["name"])
    if not question.columns:
        return {question.name: list(_cells(answer, question.type, question.is_list, page))}
    return {
        f"{question.name}.{column.name}": [
            _cell((row.get(column.key) or {}), column.type, page)
            for row in answer.get("rows", [])
        ]
        for column in question.columns if not column.columns
    }  # fmt: skip


def _cells(answer: Answer, kind: ExpectedType, is_list: bool, page: Convention) -> Iterator[Cell]:
    """A list's values, each with its evidence; else the one answer."""
    cot = answer["cot"] or {}
    evidence = cot.get("evidence", [])
    if is_list:
        for place in evidence:
            yield _cell({**place, "confidence": answer["confidence"]}, kind, page)
        return
    place = evidence[0] if evidence else {}
    text = {"text": answer["answer"], "confidence": answer["confidence"]}
    yield _cell({**place, **text}, kind, page)


def _cell(data: Mapping[str, Any], kind: ExpectedType, page: Convention) -> Cell:
    text, sure = data.get("text"), data.get("confidence", 1.0) or 0.0
    if not text:
        return Cell(None, confidence=sure)
    box = data.get("box")
    words = tuple((line, word) for line, word in data.get("words", ()))
    evidence = (Evidence(data["page"], Box(*box), text, words),) if box else ()
    value, problem = _value(text, kind, page)
    return Cell(text, value, evidence, sure, problem)


def _value(text: str, kind: ExpectedType, page: Convention) -> tuple[Any, str]:
    if kind == "date":
        read = dates.read(text, page.date_order)
        if read is None:
            return None, "is not understood as a date"
        return read.value, "" if read.value else "has two readings"
    if kind not in ("money", "number"):
        return None, ""
    found = typed(Leaf(("value",), "number"), text, page)
    return (found.value if isinstance(found.value, Decimal) else None), found.reason.rstrip(".")


def _answer(operation: Operation, done: Computed, against: list[str]) -> Answer:
    analysis = QuestionAnalysis("table", "reasoning", ", ".join(operation.of))
    areas = tuple(
        Area(number, Box.union(e.box for e in done.evidence if e.page == number), ())
        for number in sorted({e.page for e in done.evidence})
    )
    question = operation.text or operation.name
    formed = AnswerFormation("none", done.formula)
    cot = LayoutCoT(question, analysis, areas, formed, done.answer, done.confidence, done.evidence)
    data = cot.to_json()
    return Answer(
        name=operation.name, question=question, answer=done.answer, page=data["page"], box=data["box"],
        confidence=done.confidence, verdict="failed" if against else "satisfied",
        reasons=against, by="reader", calls=0, error=None, cot=data,
    )  # fmt: skip
