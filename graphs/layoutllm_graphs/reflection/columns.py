"""Answers to list questions: the reader points at one place, the page's columns give the rest. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from layoutllm_graphs.planning.plan import SEPARATOR, PlannedQuestion
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_graphs.reflection.checks.values import amounts
from layoutllm_tool.cot import AnswerFormation, Area, Evidence, LayoutCoT
from layoutllm_tool.documents.align import joined
from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.documents.line_items import read_tables
from layoutllm_tool.documents.tables import Indices, addends, cells_under, column
from layoutllm_tool.documents.values import Mark, amount, marks, spans_of


def column_of(given: CheckInput) -> LayoutCoT:
    """The answer with all the values of its column, joined by "; ", each with its evidence.

    Amounts that should add up to a known total are those of the total's column that do; where none do, all of
    it that other answers did not take. Else the column of the table, or under the header, that the reader
    pointed at. Nothing found: ``cot`` as it is.
    """
    cot, others = given.cot, given.others
    pages = {page.number for page in given.document.pages}  # a question that names its page sees no other
    for constraint in given.constraints:
        total = others.get(constraint.total or "")
        named = given.question.name in constraint.terms
        if named and total is not None and total.evidence and total.page in pages:
            page = given.document.page(total.evidence[0].page)
            terms = [others[name] for name in constraint.terms if name in others]
            return _with(cot, page, _adding_up(page, total, terms, others.values()))
    if not cot.evidence:
        return cot
    page = given.document.page(cot.evidence[0].page)
    cells = [cell for cell in _beside(page, cot.evidence[0].words) if _fits(given.question, page, cell)]
    return _with(cot, page, cells)


def _adding_up(
    page: Page, total: LayoutCoT, terms: Collection[LayoutCoT], others: Iterable[LayoutCoT]
) -> Sequence[Indices]:
    """The run of the total's column that makes the sum hold, or one amount; else all that is not taken."""
    words = total.evidence[0].words
    taken = {word for cot in others for e in cot.evidence if e.page == page.number for word in e.words}
    by = marks(line.text for line in page.lines or ())
    for mark in by:
        wanted = _wanted(total, terms, mark)
        if run := addends(page, words, wanted=wanted, mark=mark, taken=taken):
            return run
    cells = [cell for cell in column(page, words) if not taken.intersection(cell)]
    wanted = _wanted(total, terms, by[0])
    return [cell for cell in cells if amount(joined(page, cell), by[0]) == wanted][:1] or cells


def _wanted(total: LayoutCoT, terms: Iterable[LayoutCoT], mark: Mark) -> Decimal:
    """What the known terms leave of the total."""
    known = [value for cot in terms for value in amounts(cot.answer or "", mark) or ()]
    return (amount(total.answer or "", mark) or Decimal()) - sum(known, Decimal())


def _beside(page: Page, words: Sequence[tuple[int, int]]) -> list[Indices]:
    """The cells of a table's column that has these words, or has them for its head; else those below."""
    for table in read_tables([page]):
        for row in (*table.rows, table.head):
            for index, cell in enumerate(row.cells if row else ()):
                if set(cell) & set(words):
                    return [row.cells[index] for row in table.rows if row.cells[index]]
    line = words[0][0]
    return [tuple(words), *cells_under(page, line, [word for at, word in words if at == line])]


def _fits(question: PlannedQuestion, page: Page, cell: Indices) -> bool:
    """Of the type that is expected: a header above amounts is none of them."""
    return question.type in ("text", "address") or bool(spans_of(question.type, joined(page, cell)))


def _with(cot: LayoutCoT, page: Page, cells: Sequence[Indices]) -> LayoutCoT:
    if not cells:
        return cot
    evidence = tuple(Evidence.of(page, cell) for cell in cells)
    lines = tuple(sorted({line for cell in cells for line, _ in cell}))
    area = Area(page.number, Box.union(e.box for e in evidence), lines)
    formation = AnswerFormation("inside", "") if cot.formation.relation == "none" else cot.formation
    answer = SEPARATOR.join(e.text for e in evidence)
    return replace(cot, answer=answer, evidence=evidence, areas=(area,), formation=formation)
