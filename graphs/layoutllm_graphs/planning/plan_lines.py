"""Plans in lines of text, as the task planner writes them (``model.task_planner``) -> drafts of plans.

    field: guest name @ page 2
    table: bookings(date, payee, amount) | where amount > 500 | sort date desc
    table: bookings | where amount > 500 | sum amount
    compute: check-out - check-in
    check: subtotal + tax = total
    exists: signature
    refuse: translate the terms # writing

The lines are a model's: words that the task does not have are believed of none of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from layoutllm_graphs.planning.fields import ROWS, Asked, Draft, Ref, Step, ask, normal, same_words
from layoutllm_graphs.planning.operation_rules import sentence
from layoutllm_graphs.planning.plan import Comparison, Condition, ConstraintKind, OperationKind
from layoutllm_graphs.planning.row_rules import NUMBERS
from layoutllm_graphs.planning.words import Language, RowWords, language_of

LONGEST_NAME = 120
MOST_NEW_WORDS = 1
"""Of a name: what "where" and "when" ask for has no word in the task."""
_LINE = re.compile(r"(field|ask|table|exists|compute|check|refuse): *(\S.*)")
_APART = re.compile(r"[\sの・]+")
_PAGE = re.compile(r" @ (?:page (\d{1,4})|(first|last) page)$")
_TABLE = re.compile(r"([^()|]+?) *(?:\((.*)\))?")
_WHERE = re.compile(r"where (.+?) (>=|<=|!=|>|<|=|not contains|contains|after|before) (.+)")
_COMPUTED = re.compile(r"(.+?) ([-+*/><]) (.+)")
_SUMMED = re.compile(r"sum (.+?)\.([^.=]+?) = (.+)")
_ORDERED = re.compile(r"(.+?) (<=|<|>=|>|=) (.+)")
_KINDS = {
    "writing": "write", "opinion": "judge", "outside": "outside", "document": "document", "action": "act",
}  # fmt: skip
_COMPARISONS: Mapping[str, Comparison] = {
    ">": ">", "<": "<", ">=": ">=", "<=": "<=", "=": "contains", "contains": "contains",
    "!=": "not contains", "not contains": "not contains", "after": "after", "before": "before",
}  # fmt: skip


class LineError(ValueError):
    """A line that is none, or that the task does not bear out."""


def draft_lines(lines: str, task: str) -> Draft:
    """The draft of what the lines say. LineError where one is no line of a plan, or has its words from
    elsewhere than the task.
    """
    reader = _LineReader(language_of(task), normal(task).replace(" ", ""), task)
    for line in filter(str.strip, lines.splitlines()):
        reader.read(line.strip())
    return reader.draft


@dataclass(slots=True)
class _Rows:
    """A table's rows, or what steps left of them. ``base``: the table's number."""

    ref: Ref
    base: int
    usual: tuple[str, ...]


@dataclass(slots=True)
class _LineReader:
    language: Language
    letters: str
    """The task's, in lower case and without blanks."""
    task: str
    draft: Draft = field(default_factory=Draft)
    tables: dict[str, int] = field(default_factory=dict)
    said: str = ""

    def read(self, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            raise LineError(f"no line of a plan: {line[:80]}")
        self.said = line
        _READ[found[1]](self, found[2])

    # -- words ---------------------------------------------------------------------------------------------

    def words(self, text: str) -> str:
        """The text, whose words the task has."""
        told = text.strip()
        if not told or len(told) > LONGEST_NAME or not any(map(str.isalpha, told)):
            raise LineError(f"no name: {told[:80]!r}")
        known = [self._is_said(word) for word in _APART.split(normal(told)) if word]
        if not any(known) or known.count(False) > MOST_NEW_WORDS:
            raise LineError(f"not the task's words: {told!r}")
        return told

    def _is_said(self, word: str) -> bool:
        """Whether the task has the word but for an ending, or its parts: "Lieferdatum" of "Liefer- und
        Rechnungsdatum".
        """
        least = word[: max(3, len(word) - 2)] if word.isascii() else word[: max(1, len(word) - 2)]
        cuts = range(3, len(word) - 2)
        return least in self.letters or any(
            word[:cut] in self.letters and word[cut:] in self.letters for cut in cuts
        )

    def field(self, text: str) -> None:
        self.draft.add(self._field(text))

    def _field(self, text: str) -> Asked:
        page, told = None, text
        if found := _PAGE.search(text):
            told = text[: found.start()]
            if found[2] == "last":
                self.draft.refuse(found[0].removeprefix(" @ "), "unknown")
            page = int(found[1]) if found[1] else 1 if found[2] == "first" else None
        return replace(ask(self.words(told), page=page), is_list=False)

    def question(self, text: str) -> None:
        self.draft.add(Asked(text, sentence(text[:500])))

    def exists(self, text: str) -> None:
        index = self.draft.find(replace(self._field(text), required=False))
        self._step("exists", (Ref(index),))

    def refuse(self, text: str) -> None:
        told, _, kind = text.rpartition(" # ")
        if normal(told or text).replace(" ", "") not in self.letters:
            raise LineError(f"the task does not say {text[:80]!r}")
        self.draft.refuse(told or text, _KINDS.get(kind.strip(), "compute"))

    # -- values --------------------------------------------------------------------------------------------

    def value(self, text: str) -> Ref:
        """One number or date."""
        index = self.draft.find(replace(ask(self.words(text)), is_list=False))
        if self.draft.asked[index].type == "text":
            self.draft.change(index, type="number")
        return Ref(index)

    def compute(self, text: str) -> None:
        found = _COMPUTED.fullmatch(text)
        if found is None:
            raise LineError(f"nothing is computed: {text[:80]}")
        if found[2] == "/":
            self.draft.refuse(self.task, "compute")
            return
        if found[2] in "+*" and f" {found[2]} " in found[3]:
            refs = tuple(self.value(part) for part in text.split(f" {found[2]} "))
        else:
            refs = (self.value(found[1]), self.value(found[3]))
        self._step(_COMPUTE[found[2]], refs)

    def check(self, text: str) -> None:
        if found := _SUMMED.fullmatch(text):
            rows = self._rows(found[1])
            column = self._column(rows, found[2], number=True)
            total = self.value(found[3]).number
            self._list_check(rows, column, total)
            return
        found = _ORDERED.fullmatch(text)
        if found is None:
            raise LineError(f"nothing is checked: {text[:80]}")
        first, sign, second = found.groups()
        if sign == "=" and " * " in first:
            product = self._step("product", tuple(self.value(part) for part in first.split(" * ")))
            self._step("compare", (product, self.value(second)), condition=Condition(comparison="="))
            return
        if sign == "=" and " - " in first:  # what is taken away and what is left are the whole
            whole, *taken = first.split(" - ")
            first, second = " + ".join([*taken, second]), whole
        terms = tuple(self.value(part).number for part in first.split(" + "))
        last = self.value(second).number
        if sign == "=" and len(terms) > 1:
            self._check("sum", terms, last)
        elif sign == "=":
            self._check("equal", (*terms, last))
        else:
            self._check("ordered", (*terms, last) if "<" in sign else (last, *terms))

    def _list_check(self, rows: _Rows, column: str, total: int) -> None:
        """That a column's numbers add up to a value."""
        ref = self._step("sum", (rows.ref._replace(column=column),))
        self._step("compare", (ref, Ref(total)), condition=Condition(comparison="="))

    def _check(self, kind: ConstraintKind, terms: tuple[int, ...], total: int | None = None) -> None:
        if len({*terms, total}) < len(terms) + 1:
            raise LineError(f"checked against itself: {self.said[:80]}")
        self.draft.checks.append((kind, terms, total))

    # -- rows ----------------------------------------------------------------------------------------------

    def table(self, text: str) -> None:
        head, *steps = (part.strip() for part in text.split(" | "))
        rows = self._rows(head)
        for step in steps:
            rows = self._row_step(rows, step)
        if not steps or not self.draft.asked[rows.base].columns:
            self._with_usual_columns(rows)

    def _rows(self, head: str) -> _Rows:
        found = _TABLE.fullmatch(head)
        if found is None:
            raise LineError(f"no table: {head[:80]}")
        known = self._row_words(found[1])
        name = found[1] if known else self.words(found[1])
        key = normal(known.many[0] if known else name)
        if key not in self.tables:
            self.tables[key] = self.draft.add(Asked(name, ROWS.format(name), is_list=True))
        rows = _Rows(Ref(self.tables[key]), self.tables[key], known.columns if known else ())
        for column in filter(str.strip, re.split(r"[,、]", found[2] or "")):
            self.draft.with_column(rows.base, self.words(column), required=True)
        return rows

    def _row_words(self, name: str) -> RowWords | None:
        lower = name.lower()
        return next((rows for rows in self.language.rows if lower in (*rows.many, *rows.one)), None)

    def _row_step(self, rows: _Rows, step: str) -> _Rows:
        """The rows that the step leaves."""
        if found := _WHERE.fullmatch(step):
            told, sign, value = found.groups()
            numbers = sign in "<>=" and any(map(str.isdigit, value))
            column = self._column(rows, told, number=numbers)
            comparison: Comparison = "=" if sign == "=" and numbers else _COMPARISONS[sign]
            condition = Condition(column=column, comparison=comparison, value=self._said(value))
            return self._left(rows, "filter", condition)
        verb, _, rest = step.partition(" ")
        if verb in ("first", "last") and rest.isdigit():
            return self._left(rows, "filter", Condition.model_validate({"comparison": verb, "value": rest}))
        if verb == "sort":
            told, _, order = rest.rpartition(" ")
            self._with_usual_columns(rows)
            column = self._column(rows, told or rest)
            return self._left(rows, "sort", None, by=column, descending=order == "desc")
        self._result(rows, verb, rest)
        return rows

    def _said(self, value: str) -> str:
        """A condition's value, which the task has."""
        if normal(value).replace(" ", "")[:-1] not in self.letters:
            raise LineError(f"the task does not say {value[:80]!r}")
        return value

    def _result(self, rows: _Rows, verb: str, rest: str) -> None:
        """One value of the rows."""
        if verb == "count":
            self._with_usual_columns(rows)
            distinct = rest.removeprefix("distinct").strip()
            ref = rows.ref._replace(column=self._column(rows, distinct)) if distinct else rows.ref
            self._step("count", (ref,), distinct=bool(distinct))
        elif verb in _RESULTS:
            column = rows.ref._replace(column=self._column(rows, rest, number=True))
            self._step(_RESULTS[verb], (column,), keep="" if verb == "sum" else self._label(rows))
        else:
            self.draft.refuse(self.task, "compute")

    def _column(self, rows: _Rows, text: str, *, number: bool = False) -> str:
        """The column of that name: one that stands there, or is added."""
        name = self.draft.with_column(rows.base, self._named(rows, text), required=True)
        column = next(c for c in self.draft.asked[rows.base].columns if c.name == name)
        if number and column.type == "text":
            self.draft.change_column(rows.base, name, type="number")
        return name

    def _named(self, rows: _Rows, text: str) -> str:
        """The column's words: the task's, or those of a usual column, which may be only of its kind."""
        own = [column.words for column in self.draft.asked[rows.base].columns]
        known = [words for words in (*own, *rows.usual) if same_words(words, text)]
        if known:
            return known[0]
        kind = ask(text).type
        alike = [
            words for words in (*own, *rows.usual) if ask(words).type == kind and kind in (*NUMBERS, "date")
        ]
        try:
            return self.words(text)
        except LineError:
            return alike[-1] if alike else text.strip()[:LONGEST_NAME]

    def _label(self, rows: _Rows) -> str:
        """The column that says what a row is."""
        own = [c.name for c in self.draft.asked[rows.base].columns if c.type in ("text", "name")]
        usual = [words for words in rows.usual if ask(words).type == "text"]
        return (
            own[0]
            if own
            else self.draft.with_column(rows.base, [*usual, self.draft.asked[rows.base].words][0])
        )

    def _with_usual_columns(self, rows: _Rows) -> None:
        if not self.draft.asked[rows.base].columns:
            for column in rows.usual or (self.draft.asked[rows.base].words,):
                self.draft.with_column(rows.base, column)

    def _left(self, rows: _Rows, op: OperationKind, condition: Condition | None, **more: str | bool) -> _Rows:
        self._with_usual_columns(rows)
        return replace(rows, ref=self._step(op, (rows.ref,), condition=condition, **more))

    def _step(
        self, op: OperationKind, of: tuple[Ref, ...], *, condition: Condition | None = None,
        **more: str | bool,
    ) -> Ref:  # fmt: skip
        step = Step(op, of, self.said, condition, {key: value for key, value in more.items() if value})
        if len(set(of)) < len(of):
            raise LineError(f"computed of itself: {self.said[:80]}")
        same = [
            n for n, old in enumerate(self.draft.steps) if replace(old, text="") == replace(step, text="")
        ]
        if not same:
            self.draft.steps.append(step)
        return Ref(same[0] if same else len(self.draft.steps) - 1, step=True)


_COMPUTE: Mapping[str, OperationKind] = {
    "-": "difference", "+": "sum", "*": "product", ">": "compare", "<": "compare",
}  # fmt: skip
_RESULTS: Mapping[str, OperationKind] = {"sum": "sum", "min": "minimum", "max": "maximum"}
_READ: Mapping[str, Callable[[_LineReader, str], None]] = {
    "field": _LineReader.field, "ask": _LineReader.question, "table": _LineReader.table,
    "exists": _LineReader.exists, "compute": _LineReader.compute, "check": _LineReader.check,
    "refuse": _LineReader.refuse,
}  # fmt: skip
