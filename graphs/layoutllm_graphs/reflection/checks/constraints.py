"""Cross-field constraints: sums, equal values and orders between the answers to the plan's questions.

Of the answers of a violated constraint one is most at fault: the one whose own area has the value that would
fit; else the one that a single misread digit explains; else the least confident. Only that one gets a heavy
finding, and only when it answers the checked question; the others get a mark. A constraint is skipped while
one of its answers is missing or can't be read. What may be read in two ways is read as the pages write; a sum
that holds in one way holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from layoutllm_graphs.planning.plan import Constraint
from layoutllm_graphs.reflection.checks.context import CheckInput, area_lines, look_at, shown
from layoutllm_graphs.reflection.checks.values import amounts, misreading, to_the_cent
from layoutllm_graphs.reflection.types import Finding
from layoutllm_tool.cot import Correction, ExpectedType, LayoutCoT
from layoutllm_tool.documents.dates import Order, date_order, days
from layoutllm_tool.documents.geometry import Line
from layoutllm_tool.documents.search import plain
from layoutllm_tool.documents.values import Mark, amount, marks, readings, spans_of

_KINDS: tuple[ExpectedType, ...] = ("money", "number", "date")

Taken = Mapping[tuple[int, int], Set[str]]
"""The questions whose answers were copied from a line, by (page, line)."""
Row = Sequence[Collection[Any]]
"""What each of several answers may mean: dates or numbers."""


@dataclass(frozen=True, slots=True)
class _Notation:
    """How the pages write numbers and dates."""

    marks: tuple[Mark, ...]
    order: Order | None

    @classmethod
    def of(cls, given: CheckInput) -> _Notation:
        texts = list(given.line_texts())
        return cls(marks(texts), date_order(texts))

    @property
    def mark(self) -> Mark | None:
        return self.marks[0] if len(self.marks) == 1 else None

    def numbers(self, text: str) -> frozenset[Decimal]:
        return frozenset(readings(text, self.mark))

    def days(self, text: str) -> frozenset[date]:
        return days(text, self.order)

    def meanings(self, text: str) -> set[Any]:
        """Its letters and digits, days, an amount. Texts that share one say the same."""
        return {plain(text), *self.days(text), *self.numbers(text)}


@dataclass(frozen=True, slots=True)
class _Fault:
    """A reading that could be the wrong one."""

    name: str
    fitting: str
    """What it should say, for a person."""
    says: Callable[[str], bool]
    """Whether a text says that."""
    exact: bool = True
    """Only one value would do, so that the place where it stands speaks for itself."""


def check_constraints(given: CheckInput) -> Iterator[Finding]:
    """Every constraint that names the question. Of a list question the answer is a column joined by "; "."""
    cots = {**given.others, given.question.name: given.cot}
    by = _Notation.of(given) if given.constraints else None
    for constraint in given.constraints:
        known = {name: cot.answer for name, cot in cots.items() if name in constraint.names}
        answers = {name: answer for name, answer in known.items() if answer is not None}
        if by and given.question.name in answers and set(answers) == set(constraint.names):
            reason, faults = _JUDGES[constraint.kind](constraint, answers, by)
            if faults:
                yield _finding(given, cots, reason, faults, by)


def _finding(
    given: CheckInput, cots: Mapping[str, LayoutCoT], reason: str, faults: Sequence[_Fault], by: _Notation
) -> Finding:
    taken = _taken(cots)
    offers = {f.name: _offered(given, cots[f.name], taken, f) for f in faults}
    slips = {fault.name: _slip(cots[fault.name].answer or "", fault.fitting, by) for fault in faults}
    # The first in the plan's order at a tie.
    most = min(faults, key=lambda f: (not offers[f.name], not slips[f.name], cots[f.name].confidence))
    slip = f" ({slips[most.name]})" if slips[most.name] else ""
    reason = f"{reason} Most at fault is {most.name}: {most.fitting} would fit{slip}."
    if most.name != given.question.name:
        return Finding("constraints", "answer", reason, weight=0.3)
    if offers[most.name]:
        correction = Correction(step="answer", wrong=(given.cot.answer or "",))
        return Finding("constraints", "answer", reason, correction, weight=0.9)
    return _from_elsewhere(given, reason, most, taken)


def _from_elsewhere(given: CheckInput, reason: str, fault: _Fault, taken: Taken) -> Finding:
    """Points at the one fitting value where the pages have it just once; else a person has to look."""
    lines = ((page, i, line) for page in given.pages for i, line in enumerate(page.lines or ()))
    free = [(page, i, line) for page, i, line in lines if _free(taken, (page.number, i), fault)]
    found = [(page, i) for page, i, line in free if _says(line, fault)]
    if fault.exact and len(found) == 1 and not given.question.is_list:
        page, line = found[0]
        return Finding("constraints", "area", reason, look_at(page, (line,)), weight=0.6)
    return Finding("constraints", "answer", reason, weight=0.6)


def _taken(cots: Mapping[str, LayoutCoT]) -> Taken:
    found: dict[tuple[int, int], set[str]] = defaultdict(set)
    for name, cot in cots.items():
        for evidence in cot.evidence:
            for line, _ in evidence.words:
                found[evidence.page, line].add(name)
    return found


def _free(taken: Taken, at: tuple[int, int], fault: _Fault) -> bool:
    """Whether no other answer was copied from the line: another field's value may fit and be wrong."""
    return at not in taken or taken[at] <= {fault.name}


def _offered(given: CheckInput, cot: LayoutCoT, taken: Taken, fault: _Fault) -> bool:
    """Whether a reading's own area has a text that would satisfy the constraint."""
    pages = {page.number: page for page in given.document.pages if page.lines is not None}
    area = [at for at in area_lines(cot, pages.values()) if _free(taken, at, fault)]
    return any(_says((pages[page].lines or ())[line], fault) for page, line in area)


def _says(line: Line, fault: _Fault) -> bool:
    spans = [line.text[a:b] for kind in _KINDS for a, b in spans_of(kind, line.text)]
    return any(fault.says(text) for text in (line.text, *(word.text for word in line.words), *spans))


def _slip(answer: str, fitting: str, by: _Notation) -> str:
    read, meant = amount(answer, by.mark), amount(fitting, by.mark)
    return misreading(read, meant) if read is not None and meant is not None else ""


def _sum(constraint: Constraint, answers: Mapping[str, str], by: _Notation) -> tuple[str, list[_Fault]]:
    judged = [_sum_by(constraint, answers, mark) for mark in by.marks]
    return next((found for found in judged if not found[1]), judged[0])


def _sum_by(constraint: Constraint, answers: Mapping[str, str], mark: Mark) -> tuple[str, list[_Fault]]:
    read = {name: amounts(answer, mark) for name, answer in answers.items()}
    parts = {name: sum(values, Decimal()) for name, values in read.items() if values is not None}
    total = constraint.total or ""
    if len(parts) < len(read) or len(read[total] or ()) != 1:
        return "", []
    whole = sum((parts[name] for name in constraint.terms), Decimal())
    missing = parts[total] - whole
    if to_the_cent(missing) == 0:
        return "", []
    reason = f"{' + '.join(constraint.terms)} is {whole}, not {parts[total]} as {total} says."
    single = [name for name in constraint.terms if len(read[name] or ()) == 1]
    fits = {total: whole} | {name: parts[name] + missing / constraint.terms.count(name) for name in single}
    several = [name for name in constraint.terms if name not in single]
    faults = [_amount_fault(name, fits[name], mark) for name in constraint.names if name in fits]
    return reason, faults + [_Fault(name, f"{parts[name] + missing} in all", _never) for name in several]


def _amount_fault(name: str, fitting: Decimal, mark: Mark) -> _Fault:
    meant = to_the_cent(fitting)

    def says(text: str) -> bool:
        value = amount(text, mark)
        return value is not None and to_the_cent(value) == meant

    return _Fault(name, str(meant), says)


def _never(text: str) -> bool:
    return False


def _equal(constraint: Constraint, answers: Mapping[str, str], by: _Notation) -> tuple[str, list[_Fault]]:
    """What most terms say is right; where none has a majority each may be wrong, by what another says."""
    names = list(dict.fromkeys(constraint.terms))
    read = {name: by.meanings(answers[name]) for name in names}
    agreeing = {name: {other for other in names if read[name] & read[other]} for name in names}
    most = max(names, key=lambda name: len(agreeing[name]))
    if len(agreeing[most]) == len(names):
        return "", []
    reason = f"{', '.join(names)} should say the same, but say {_first_few(names, answers)}."
    if 2 * len(agreeing[most]) > len(names):
        return reason, [_equal_fault(name, answers[most], by) for name in names if name not in agreeing[most]]
    differing = {name: next(other for other in names if other not in agreeing[name]) for name in names}
    return reason, [_equal_fault(name, answers[other], by) for name, other in differing.items()]


def _first_few(names: Sequence[str], answers: Mapping[str, str]) -> str:
    return ", ".join(shown(answers[name]) for name in names[:4])


def _equal_fault(name: str, fitting: str, by: _Notation) -> _Fault:
    meant = by.meanings(fitting)
    return _Fault(name, shown(fitting), lambda text: bool(by.meanings(text) & meant))


def _ordered(constraint: Constraint, answers: Mapping[str, str], by: _Notation) -> tuple[str, list[_Fault]]:
    for read in (by.days, by.numbers):
        row: Row = [read(answers[name]) for name in constraint.terms]
        if all(row):
            return _out_of_order(constraint.terms, answers, row, read)
    return "", []


def _out_of_order(
    names: Sequence[str], answers: Mapping[str, str], row: Row, read: Callable[[str], Collection[Any]]
) -> tuple[str, list[_Fault]]:
    if _can_rise(row):
        return "", []
    faults: list[_Fault] = []
    for at, name in enumerate(names):
        if _can_rise([*row[:at], *row[at + 1 :]]):
            neighbour = shown(answers[names[at - 1 if at else at + 1]])
            fitting = f"something not {'before' if at else 'after'} {neighbour}"

            def fits(text: str, at: int = at) -> bool:
                other = read(text)
                return bool(other) and _can_rise([*row[:at], other, *row[at + 1 :]])

            faults.append(_Fault(name, fitting, fits, exact=False))
    reason = f"{', '.join(names)} should come in this order, but say {_first_few(names, answers)}."
    unknown = "something earlier or later"
    return reason, faults or [_Fault(name, unknown, _never, exact=False) for name in names]


def _can_rise(row: Row) -> bool:
    """Whether a choice among each one's meanings never falls: the least that is possible, each time."""
    least = None
    for meanings in row:
        possible = [meaning for meaning in meanings if least is None or meaning >= least]
        if not possible:
            return False
        least = min(possible)
    return True


_JUDGES = {"sum": _sum, "equal": _equal, "ordered": _ordered}
