"""Carries out a plan's operations on the values that were read: counts, sums, greatest, sorted, yes or no.

Never guesses: where a value is missing or no number, or a list is empty, the operation has a problem in place
of an answer. Reading the values is *not* here. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

from layoutllm_graphs.planning.plan import (
    POSITIONS,
    SEPARATOR,
    Comparison,
    Condition,
    Operation,
    OperationKind,
)
from layoutllm_graphs.planning.words import NEGATIVE
from layoutllm_tool.cot import Evidence
from layoutllm_tool.documents import dates
from layoutllm_tool.documents import values as amounts
from layoutllm_tool.documents.values import amount

Number = Decimal | date
_DIGITS = 60
"""Of exact results: the amounts of the longest statement, added up."""


@dataclass(frozen=True, slots=True)
class Cell:
    """An answer, or a cell of a table."""

    text: str | None
    """As printed; None where there is none."""
    value: Number | None = None
    """Its number or date, where its type is known; else the text is read as an amount where one is needed."""
    evidence: tuple[Evidence, ...] = ()
    confidence: float = 1.0
    problem: str = ""
    """Why it has no value: ambiguous, not understood."""


Values = Mapping[str, Sequence[Cell]]
"""Question -> its one answer, or all of a list. A table's columns are under "table.column", row by row."""


@dataclass(frozen=True, slots=True)
class Computed:
    """An operation's answer with how it was formed and from what, or the problem."""

    answer: str | None
    formula: str = ""
    evidence: tuple[Evidence, ...] = ()
    confidence: float = 0.0
    """The least of the cells used."""
    problem: str = ""
    """Why there is no answer, in a sentence; "" where there is one."""
    cells: Mapping[str, Sequence[Cell]] = field(default_factory=dict)
    """What later operations see: columns by name, "" for a plain value or list."""


class _CannotError(Exception):
    """The operation has no sure answer. Its text says why."""


def compute_all(operations: Sequence[Operation], values: Values) -> dict[str, Computed]:
    """By name, in their order. An operation may use the results of those before it."""
    known, done = dict(values), dict[str, Computed]()
    for operation in operations:
        made = done[operation.name] = compute(operation, known)
        known |= {f"{operation.name}.{c}" if c else operation.name: cells for c, cells in made.cells.items()}
    return done


def compute(operation: Operation, values: Values) -> Computed:
    """The operation's answer from these values. Never raises for what stands in them."""
    with localcontext(prec=_DIGITS):
        try:
            return _COMPUTE[operation.op](operation, values)
        except _CannotError as told:
            return Computed(None, problem=str(told))


def _count(operation: Operation, values: Values) -> Computed:
    rows = _Rows.of(operation, values)
    column = operation.of[0].partition(".")[2]
    used = rows.columns[column] if column else [cell for row in rows.each() for cell in row]
    if operation.distinct:
        shown = rows.columns[column] if column else next(iter(rows.columns.values()))
        texts = {" ".join(_text(cell, operation.of[0]).split()).casefold() for cell in shown}
        return _done(len(texts), f"{len(texts)} different values in {rows.said}", used)
    return _done(rows.length, f"{rows.said}", used)


def _sum(operation: Operation, values: Values) -> Computed:
    if len(operation.of) > 1:
        terms = [_one(name, values) for name in operation.of]
    else:
        rows = _Rows.of(operation, values)
        terms = rows.column(operation.of[0])
    _check_currencies(terms)
    numbers = [_amount(cell, operation.of[0]) for cell in terms]
    total = sum(numbers, Decimal())
    return _done(total, f"{' + '.join(map(plain, numbers)) or '0'} = {plain(total)}", terms)


def _difference(operation: Operation, values: Values) -> Computed:
    """Of numbers; of dates the days between them."""
    cells = [_one(name, values) for name in operation.of]
    first, second = _alike(cells, operation.of)
    if isinstance(first, date) and isinstance(second, date):
        days = abs((first - second).days)
        return _done(Decimal(days), f"{first} to {second}: {days} days", cells)
    assert isinstance(first, Decimal) and isinstance(second, Decimal)
    return _done(first - second, f"{plain(first)} - {plain(second)} = {plain(first - second)}", cells)


def _product(operation: Operation, values: Values) -> Computed:
    """Of single values, or of lists row by row."""
    lists = [_known(name, values) for name in operation.of]
    length = max(map(len, lists))
    if any(len(cells) not in (1, length) for cells in lists):
        raise _CannotError(f"{' and '.join(operation.of)} have different numbers of rows.")
    rows = [[cells[i if len(cells) > 1 else 0] for cells in lists] for i in range(length)]
    results, formulas = [], []
    for row in rows:
        numbers = [_amount(cell, name) for cell, name in zip(row, operation.of, strict=True)]
        result = Decimal(1)
        for number in numbers:
            result *= number
        results.append(Cell(plain(result), result, *_grounds(row)))
        formulas.append(f"{' x '.join(map(plain, numbers))} = {plain(result)}")
    return _listed(results, SEPARATOR.join(formulas), {"": results}, used=[c for row in rows for c in row])


def _extreme(operation: Operation, values: Values) -> Computed:
    """The least or greatest, or the cells beside it; all of them where several are equal."""
    pick: Callable[..., Number] = max if operation.op == "maximum" else min
    named = f"{operation.op} of {', '.join(operation.of)}"
    if len(operation.of) > 1:
        cells = [_one(name, values) for name in operation.of]
        numbers = _alike(cells, operation.of)
        best = pick(numbers)
        return _done(best, f"{named}: {plain(best)}", cells)
    rows = _Rows.of(operation, values)
    cells = rows.column(operation.of[0])
    if not cells:
        raise _CannotError(f"No row of {rows.name} keeps to the condition.")
    numbers = _alike(cells, operation.of * len(cells))
    best = pick(numbers)
    formula = f"{named} over {rows.said}: {plain(best)}"
    if not operation.keep:
        return _done(best, formula, cells)
    beside = [
        cell for cell, number in zip(rows.columns[operation.keep], numbers, strict=True) if number == best
    ]
    return _listed(beside, formula, {"": beside}, used=[*cells, *beside])


def _sort(operation: Operation, values: Values) -> Computed:
    rows = _Rows.of(operation, values)
    by = operation.by or operation.of[0].partition(".")[2]
    name = f"{rows.name}.{by}" if by else rows.name
    cells = rows.column(name)
    keys = _sort_keys(cells, name)
    order = sorted(range(rows.length), key=keys.__getitem__, reverse=operation.descending)
    direction = "descending" if operation.descending else "ascending"
    return rows.at(order).shown(operation.keep, f"{rows.said} by {by or 'value'}, {direction}")


def _sort_keys(cells: Sequence[Cell], name: str) -> Sequence[Any]:
    """Numbers or dates where the column has such, else the texts. _CannotError where one is not known."""
    typed = any(cell.value is not None or cell.problem for cell in cells)
    if typed or all(_number(cell) is not None for cell in cells):
        return _alike(cells, [name] * len(cells))
    return [_text(cell, name).casefold() for cell in cells]


def _filter(operation: Operation, values: Values) -> Computed:
    rows = _Rows.of(operation, values)
    return rows.shown(operation.keep, rows.said)


def _compare(operation: Operation, values: Values) -> Computed:
    """Yes or no for a condition; else the name of the greater, or of both where they are equal."""
    cells = [_one(name, values) for name in operation.of]
    condition = operation.condition
    if condition is not None:
        holds = _holds(cells[0], operation.of[0], condition, cells[1] if len(cells) > 1 else None)
        right = condition.value or f"{operation.of[1]} ({cells[1].text})"
        said = f"{operation.of[0]} ({cells[0].text}) {condition.comparison} {right}"
        return _yes_or_no(holds, said, cells)
    first, second = _alike(cells, operation.of)
    sign = "=" if first == second else ">" if _COMPARE[">"](first, second) else "<"
    greater = {"=": operation.of, ">": operation.of[:1], "<": operation.of[1:]}[sign]
    answer = [Cell(name) for name in greater]
    return _listed(answer, f"{plain(first)} {sign} {plain(second)}", {"": answer}, used=cells)


def _exists(operation: Operation, values: Values) -> Computed:
    """Whether there is a value, and not one that says no ("unpaid", "not signed")."""
    name = operation.of[0]
    inside = [cell for cells in _within(name, values).values() for cell in cells]
    said = [cell for cell in inside if cell.text and not NEGATIVE.match(cell.text.strip())]
    formula = f"{name}: {said[0].text}" if said else f"{name}: nothing that says so"
    return _yes_or_no(bool(said), formula, said or inside)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The first operand's rows that keep to the condition: columns of equal length, "" for a plain list."""

    name: str
    columns: Mapping[str, list[Cell]]
    said: str = ""

    @classmethod
    def of(cls, operation: Operation, values: Values) -> _Rows:
        """_CannotError where there are none at all, or the columns are of different lengths."""
        name = operation.of[0].partition(".")[0]
        found = _within(name, values)
        columns = {column: cells for column, cells in found.items() if column} or found
        if not columns or not any(columns.values()):
            raise _CannotError(f"{name} has no values.")
        if len({len(cells) for cells in columns.values()}) > 1:
            raise _CannotError(f"The columns of {name} have different lengths.")
        every = cls(name, columns)
        every = cls(name, columns, f"{every.length} {'rows' if every.length != 1 else 'row'}")
        return every._keeping(operation.condition) if operation.condition else every

    @property
    def length(self) -> int:
        return len(next(iter(self.columns.values())))

    def each(self) -> Iterable[tuple[Cell, ...]]:
        return zip(*self.columns.values(), strict=True)

    def column(self, operand: str) -> list[Cell]:
        """_CannotError where there is no such column."""
        column = operand.partition(".")[2]
        if column not in self.columns:
            raise _CannotError(f"{operand} has no values.")
        return self.columns[column]

    def at(self, order: Sequence[int]) -> _Rows:
        return _Rows(
            self.name, {c: [cells[i] for i in order] for c, cells in self.columns.items()}, self.said
        )

    def _keeping(self, condition: Condition) -> _Rows:
        if condition.comparison in POSITIONS:
            return self._at_the(condition.comparison, int(condition.value))
        name = f"{self.name}.{condition.column}" if condition.column else self.name
        cells = self.column(name)
        kept = self.at([i for i, cell in enumerate(cells) if _holds(cell, name, condition)])
        where = f"{condition.column or 'the value'} {condition.comparison} {condition.value}"
        return _Rows(kept.name, kept.columns, f"{kept.length} of {self.length} rows where {where}")

    def _at_the(self, end: str, count: int) -> _Rows:
        order = range(self.length)
        kept = self.at(list(order[:count] if end == "first" else order[-count:]))
        return _Rows(kept.name, kept.columns, f"the {end} {kept.length} of {self.length} rows")

    def shown(self, keep: str, formula: str) -> Computed:
        """A list of the kept column, or of whole rows, in this order."""
        used = [cell for row in self.each() for cell in row]
        lines = [[cell] for cell in self.columns[keep]] if keep else [list(row) for row in self.each()]
        texts = [Cell(", ".join(cell.text for cell in line if cell.text)) for line in lines]
        return _listed(texts, formula, self.columns, used=used)


def _holds(cell: Cell, name: str, condition: Condition, other: Cell | None = None) -> bool:
    """Whether the cell keeps to the condition: compared with its value, or with the other cell."""
    if condition.comparison in ("contains", "not contains"):
        within = condition.value.casefold() in _text(cell, name).casefold()
        return within == (condition.comparison == "contains")
    against = other or Cell(condition.value, _as_date(condition.value) or _read(condition.value))
    if condition.comparison == "=" and (against.value is None or _number(cell) is None):
        return _text(cell, name).casefold() == _text(against, name).casefold()
    left, right = _alike([cell, against], [name, condition.value or "the other"])
    return _COMPARE[condition.comparison](left, right)


def _as_date(text: str) -> date | None:
    """None where it has two readings."""
    read = dates.read(text)
    return read.value if read else None


def _within(name: str, values: Values) -> dict[str, list[Cell]]:
    """The columns of what goes by the name, "" for what it is itself."""
    inside = (key for key in values if key == name or key.startswith(f"{name}."))
    return {key[len(name) + 1 :]: list(values[key]) for key in inside}


_COMPARE: Mapping[Comparison, Callable[..., bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
    "before": lambda a, b: a < b,
    "after": lambda a, b: a > b,
}


def _known(name: str, values: Values) -> Sequence[Cell]:
    if not values.get(name):
        raise _CannotError(f"{name} has no values.")
    return values[name]


def _one(name: str, values: Values) -> Cell:
    """The operand's only value. _CannotError where it has several."""
    cells = _known(name, values)
    if len(cells) > 1:
        raise _CannotError(f"{name} has {len(cells)} values, and one is needed.")
    return cells[0]


def _text(cell: Cell, name: str) -> str:
    if not cell.text:
        raise _CannotError(f"A value of {name} is missing.")
    return cell.text


def _number(cell: Cell) -> Number | None:
    """Its value, or the amount that its text says; None where it has none that is sure."""
    if cell.value is not None or cell.problem:
        return cell.value
    return _read(cell.text or "")


def _read(text: str) -> Decimal | None:
    """The amount; a whole number without decimals."""
    number = amount(text)
    whole = number is not None and number.as_tuple().exponent == -1 and number == number.to_integral_value()
    return number.to_integral_value() if number is not None and whole else number


def _amount(cell: Cell, name: str) -> Decimal:
    number = _alike([cell], [name])[0]
    if not isinstance(number, Decimal):
        raise _CannotError(f"{cell.text!r} of {name} is no number.")
    return number


def _alike(cells: Sequence[Cell], names: Sequence[str]) -> list[Number]:
    """Their values, all numbers or all dates. _CannotError else, and for amounts in several currencies."""
    _check_currencies(cells)
    found = []
    for cell, name in zip(cells, names, strict=True):
        text, number = _text(cell, name), _number(cell)
        if number is None:
            raise _CannotError(f"{text!r} of {name} {cell.problem or 'is not understood as a number'}.")
        found.append(number)
    if len({isinstance(number, date) for number in found}) > 1:
        raise _CannotError(f"{' and '.join(dict.fromkeys(names))} are partly numbers and partly dates.")
    return found


def _check_currencies(cells: Iterable[Cell]) -> None:
    """Raise _CannotError where two differ; a dollar sign is any dollar's."""
    read = [amounts.read(cell.text) for cell in cells if cell.text]
    names = sorted({one.currency for one in read if one and one.currency})
    if len(names) > 1 and not (len(names) == 2 and "$" in names and all(n[-1] in "$D" for n in names)):
        raise _CannotError(f"The amounts are in {' and '.join(names)}.")


def plain(number: Number | int) -> str:
    """ "279.00", "2024-03-18"."""
    return f"{number:f}" if isinstance(number, Decimal) else str(number)


def _grounds(cells: Iterable[Cell]) -> tuple[tuple[Evidence, ...], float]:
    """Evidence and least confidence of what was used."""
    used = list(cells)
    evidence = dict.fromkeys(one for cell in used for one in cell.evidence)
    return tuple(evidence), min((cell.confidence for cell in used), default=0.0)


def _done(number: Number | int, formula: str, used: Iterable[Cell]) -> Computed:
    evidence, confidence = _grounds(used)
    value = Decimal(number) if isinstance(number, int) else number
    cell = Cell(plain(value), value, evidence, confidence)
    return Computed(cell.text, formula, evidence, confidence, cells={"": [cell]})


def _yes_or_no(holds: bool, formula: str, used: Iterable[Cell]) -> Computed:
    evidence, confidence = _grounds(used)
    answer = "yes" if holds else "no"
    cell = Cell(answer, None, evidence, confidence)
    return Computed(answer, formula, evidence, confidence, cells={"": [cell]})


def _listed(
    shown: Sequence[Cell], formula: str, cells: Mapping[str, Sequence[Cell]], *, used: Iterable[Cell]
) -> Computed:
    """The texts joined. _CannotError where one is missing."""
    answer = SEPARATOR.join(_text(cell, "the answer") for cell in shown)
    return Computed(answer, formula, *_grounds(used), cells=cells)


_COMPUTE: Mapping[OperationKind, Callable[[Operation, Values], Computed]] = {
    "count": _count,
    "sum": _sum,
    "difference": _difference,
    "product": _product,
    "minimum": _extreme,
    "maximum": _extreme,
    "sort": _sort,
    "filter": _filter,
    "compare": _compare,
    "exists": _exists,
}
