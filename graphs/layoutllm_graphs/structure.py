"""Answers that a page's structure gives without the model: rows of a table, ticked boxes, a printed mark.

A node of the workflow, before a question's own graph: what the structure does not answer is asked there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langgraph.types import Command, Send

from layoutllm_graphs.context import look_at_pages, page_of
from layoutllm_graphs.events import QuestionEvent, emit, emit_reflection
from layoutllm_graphs.planning.plan import Column, PlannedQuestion
from layoutllm_graphs.reflection.types import Attempt, Finding, QuestionResult, Reflection, Verdict
from layoutllm_graphs.state import QuestionInput
from layoutllm_tool.cot import AnswerFormation, Correction, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.extraction import singles
from layoutllm_tool.extraction.labels import printed_label
from layoutllm_tool.extraction.marks import all_ticked, printed_currency, printed_mark, ticked
from layoutllm_tool.extraction.meaning import similarity
from layoutllm_tool.extraction.row_cells import Array
from layoutllm_tool.extraction.rows import Wanted
from layoutllm_tool.extraction.statements import printed_choice, said
from layoutllm_tool.extraction.tables import MOST_ROWS, rows_of

_QUOTED = re.compile(
    r"[\"\u201c\u201e]([^\"\u201c\u201d\u201e]{2,40})[\"\u201d\u201c]|\b([A-Z\u00c4\u00d6\u00dc]{4,})\b"
)
_THAT_IS = ", that is: "
"""Before a schema's description, in a question."""
_SURE_ABSENT = 0.85
"""Confidence that a mark which the question spells is not on the page."""


def has_structure(question: PlannedQuestion) -> bool:
    """Whether it is tried here first: tables, and a schema's fields, whose labels and ticks are looked up."""
    return bool(question.columns or question.path)


def node_of(question: PlannedQuestion, asked: QuestionInput) -> str:
    """The node that reads it. A correction of anything but a table is for the model."""
    first = question.columns or (has_structure(question) and asked["correction"] is None)
    return "structure" if first else "question"


def structure(state: QuestionInput) -> Command[Any]:
    """The question's result, or the question handed on to its own graph."""
    question = PlannedQuestion.model_validate(state["question"])
    if not has_structure(question):
        return Command(goto=[Send("question", state)])
    result = _result(question, state)
    if result is None:
        return Command(goto=[Send("question", _by_label(question, state))])
    attempt = len(result.attempts)
    emit(QuestionEvent(event="question", name=question.name, question=state["text"], attempt=attempt))
    if result.cot:
        emit_reflection(question.name, result.cot, result.reflection)
    return Command(update={"found": {question.name: result.to_json()}}, goto=[Send("structured", state)])


def _result(question: PlannedQuestion, state: QuestionInput) -> QuestionResult | None:
    try:
        document = _pages(state)
    except LayoutLLMError as error:
        return QuestionResult(error=str(error), calls=1) if question.columns else None
    if question.columns and state["correction"]:
        return _table_in_area(question, document, state)
    if question.columns:
        return _table(question, document)
    cot = found(question, document)
    return _answered(cot, Reflection("satisfied")) if cot else None


def found(question: PlannedQuestion, document: Document) -> LayoutCoT | None:
    """A single value, or the boxes that are ticked; None where the structure does not decide."""
    text, choices = question.text, question.choices
    if question.is_list:
        return all_ticked(document, text, _words(question), choices) if choices else None
    told = text.rpartition(_THAT_IS)[2].rstrip("?") if _THAT_IS in text else ""
    wanted = singles.Wanted(text, tuple(question.path), question.type, question.required, told)
    if not choices:
        return singles.single(document, wanted, similarity)
    cot = ticked(document, text, _words(question), choices, similarity) or _mark(question, document)
    if cot or set(choices) == {"yes", "no"}:
        return cot or said(document, text, question.path, similarity)
    return singles.labelled_choice(document, wanted, choices) or (
        printed_currency(document, text, choices)
        if "currency" in question.path[-1].lower()
        else printed_choice(document, text, choices)
    )


def _pages(state: QuestionInput) -> Document:
    """With the one page alone that the question is restricted to. LayoutLLMError."""
    document, number = look_at_pages(state), page_of(state)
    return document if number is None else replace(document, pages=(document.page(number),))


def _by_label(question: PlannedQuestion, state: QuestionInput) -> QuestionInput:
    """The question by the label that the page prints for the field, where it is known."""
    try:
        label = printed_label(_pages(state), question.path)
    except LayoutLLMError:
        return state
    return QuestionInput(**{**state, "text": f'What is the "{label}"?'}) if label else state


def _table(question: PlannedQuestion, document: Document, *, named: bool = False) -> QuestionResult:
    """``named``: somebody said which table it is."""
    array = _array(question.name, question.columns)
    cot, rows = rows_of(document, question.text, array, similarity)
    findings = _findings(question, rows, named=named or cot.signals.get("table_named", 1.0) == 1.0)
    verdict: Verdict = "failed" if any(finding.weight >= 0.5 for finding in findings) else "satisfied"
    result = _answered(cot, Reflection(verdict, tuple(findings)))
    return replace(result, verdict=verdict, rows=tuple(rows))


def _table_in_area(question: PlannedQuestion, document: Document, state: QuestionInput) -> QuestionResult:
    """The table as it is read from where a person's correction points, after the attempts before."""
    assert state["correction"]
    correction = Correction.from_json(state["correction"])
    parts = [_part(page, correction) for page in document.pages if correction.page in (None, page.number)]
    kept = {page.number: lines for page, lines in parts}
    read = _table(question, replace(document, pages=tuple(page for page, _ in parts)), named=True)
    cot = read.attempts[0].cot
    evidence = tuple(
        replace(e, words=tuple((kept[e.page][line], word) for line, word in e.words)) for e in cot.evidence
    )
    areas = tuple(replace(a, lines=tuple(kept[a.page][line] for line in a.lines)) for a in cot.areas)
    cot = replace(cot, evidence=evidence, areas=areas)
    attempt = replace(read.attempts[0], cot=cot, correction=correction)
    before = QuestionResult.from_json(state["previous_result"])
    return replace(before.add(attempt), verdict=read.verdict, rows=read.rows, by=state["by"], error=None)


def _part(page: Page, correction: Correction) -> tuple[Page, list[int]]:
    """The page with the lines that are to be looked at, and their indices."""
    kept = [
        (at, line)
        for at, line in enumerate(page.lines or ())
        if (not correction.boxes or any(box.covers(line.box) for box in correction.boxes))
        and not any(box.covers(line.box) for box in correction.avoid)
    ]
    return replace(page, lines=tuple(line for _, line in kept)), [at for at, _ in kept]


def _array(name: str, columns: Sequence[Column]) -> Array:
    """By the columns' places in the record."""
    own = {
        c.key: Wanted(
            (c.words, c.name.replace("_", " ")), c.type, tuple(c.choices), c.required, c.description
        )
        for c in columns if not c.columns
    }  # fmt: skip
    inner = {c.key: _array(c.name, c.columns) for c in columns if c.columns}
    return Array(name.replace("_", " "), own, inner)


def _findings(question: PlannedQuestion, rows: Sequence[Mapping[str, Any]], *, named: bool) -> list[Finding]:
    """What is missing: the table, a required column in all rows or in some."""
    if not rows:
        weight = 0.6 if question.required else 0.3
        return [Finding("rows", "area", "No table with these columns was found.", weight=weight)]
    found = []
    if len(rows) >= MOST_ROWS:
        cut = f"Only the first {MOST_ROWS} rows were read."
        found.append(Finding("rows", "area", cut, weight=0.6))
    if not named:
        unsaid = f"Nothing on the page says that this table is {question.name!r}."
        found.append(Finding("rows", "area", unsaid, weight=0.6))
    for column in question.columns:
        missing = [i for i, row in enumerate(rows, start=1) if row.get(column.key) is None]
        if len(missing) == len(rows):
            weight = 0.6 if column.required else 0.2
            found.append(Finding("rows", "area", f"No column was found for {column.words!r}.", weight=weight))
        elif missing and column.required:
            where = ", ".join(map(str, missing[:5]))
            found.append(Finding("rows", "answer", f"{column.words!r} is empty in row {where}.", weight=0.3))
    return found


def _mark(question: PlannedQuestion, document: Document) -> LayoutCoT | None:
    """Of a yes-or-no question that spells what would be printed ("PAID"): whether it is."""
    spelt = [a or b for a, b in _QUOTED.findall(question.text)]
    if set(question.choices) != {"yes", "no"} or not spelt:
        return None
    for mark in spelt:
        if found := printed_mark(document, question.text, mark):
            return found
    nothing = AnswerFormation("none", ""), None, _SURE_ABSENT
    return LayoutCoT(question.text, QuestionAnalysis("title", "extraction", spelt[0]), (), *nothing)


def _answered(cot: LayoutCoT, reflection: Reflection) -> QuestionResult:
    return QuestionResult((Attempt(cot, reflection=reflection),), 0, reflection.verdict)


def _words(question: PlannedQuestion) -> str:
    """The field's words: the last names of its path."""
    return " ".join(question.path[-1:]).replace("_", " ")
