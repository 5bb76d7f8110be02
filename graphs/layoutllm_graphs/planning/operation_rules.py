"""Clauses that ask for something computed, or for a list with columns -> steps and tables of a draft.

"The most expensive item" is the greatest of a column of the list "items". What is asked of a list that was not
named ("which of them") is asked of the last one. Computing is *not* here: see ``operations``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from layoutllm_graphs.planning.fields import ROWS, Asked, Draft, Ref, Step, ask, known, normal, same_words
from layoutllm_graphs.planning.phrases import LONGEST, Phrase, phrase, read_question, shown, without_quotes
from layoutllm_graphs.planning.plan import Condition, OperationKind
from layoutllm_graphs.planning.words import Language, RowWords, Template
from layoutllm_tool.cot import ExpectedType
from layoutllm_tool.documents.values import amount

Slots = Mapping[str, str | None]
_NUMBERS: tuple[ExpectedType, ...] = ("money", "number")


class _OtherwiseError(Exception):
    """The clause fits a sentence, but what stands in its slots does not."""


class _Listed(NamedTuple):
    """A list that a clause speaks of: a table, or what a sort or filter left of one."""

    ref: Ref
    words: RowWords | None
    condition: Condition | None = None


@dataclass(slots=True)
class OperationReader:
    """Reads the clauses of a task in one language into its draft."""

    language: Language
    held: Sequence[str]
    draft: Draft
    said: str = ""
    """The clause that is being read, for a person."""
    last_list: _Listed | None = None
    last_value: Ref | None = None
    _tables: dict[tuple[RowWords | str, int | None], int] = field(default_factory=dict)
    _explicit: set[int] = field(default_factory=set)
    """Tables whose columns the task names."""

    def read(self, forms: Sequence[str], said: str, *, only: str = "") -> bool:
        """Add what the clause asks for, in whichever of its forms fits a sentence first.

        ``only``: the one operation that it may be. False where none fits; the draft is then as it was.
        """
        self.said = said
        short = [form for form in forms if len(form) <= LONGEST]
        return any(
            self._made(template, form)
            for kind in ("operations", "tables")
            for form in short
            for template in self.language.sentences[kind]
            if only in ("", template.more.get("op"))
        )

    def fits(self, form: str) -> bool:
        """Whether the clause fits a sentence. The draft stays as it is."""
        fitted = False
        with suppress(_OtherwiseError), self._undone():
            fitted = self.read([form], form)
            raise _OtherwiseError
        return fitted

    def is_said(self, text: str) -> None:
        """Add a yes-or-no question as it was put, and whether its answer says yes."""
        written = shown(sentence(text), self.held, self.language)
        asked, pages = read_question(text, written, self.held, self.language)
        for page in pages or (None,):
            index = self.draft.add(Asked(asked.words, asked.text, "text", page, required=False))
            self._step("exists", (Ref(index),))

    def _made(self, template: Template, text: str) -> bool:
        """Whether the clause fits the sentence, and its slots what they stand for."""
        found = template.pattern.fullmatch(text)
        if not found:
            return False
        try:
            with self._undone():
                _MAKE[template.more.get("op", "table")](self, template, found.groupdict())
        except _OtherwiseError:
            return False
        return True

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """Take back what was added, where it turns out not to fit."""
        draft = self.draft
        asked, steps, tables = list(draft.asked), list(draft.steps), dict(self._tables)
        explicit, last = set(self._explicit), (self.last_list, self.last_value)
        try:
            yield
        except _OtherwiseError:
            draft.asked[:], draft.steps[:], self._tables, self._explicit = asked, steps, tables, explicit
            self.last_list, self.last_value = last
            raise

    def _count(self, template: Template, slots: Slots) -> None:
        named = self._row_phrase(slots["rows"]).words
        listed = self._rows(slots["rows"], unknown=bool(self.language.patterns["counted"].match(named)))
        self._with_columns(listed)
        distinct = bool(slots.get("distinct"))
        ref = listed.ref._replace(column=self._label(listed)) if distinct else listed.ref
        self._step("count", (ref,), listed.condition, distinct=distinct)

    def _sum(self, template: Template, slots: Slots) -> None:
        parts = self._parts(slots.get("of"))
        if not parts:
            if self.last_list is None:
                raise _OtherwiseError
            self._step("sum", (self._measure(self.last_list),))
        elif len(parts) > 1:
            self._step("sum", tuple(map(self._operand, parts)))
        else:
            ref, condition = self._column_of(parts[0])
            self._step("sum", (ref,), condition)

    def _difference(self, template: Template, slots: Slots) -> None:
        self._step("difference", (self._operand(slots["first"]), self._operand(slots["second"])))

    def _product(self, template: Template, slots: Slots) -> None:
        names = [self._name(slots["first"]).words, self._name(slots["second"]).words]
        listed = self._rows(slots["rows"], unknown=True) if slots.get("rows") else self._list_with(names)
        if listed is None:
            refs = tuple(self._operand(slots[name]) for name in ("first", "second"))
        else:
            refs = tuple(self._cells(listed, name, number=True) for name in names)
        self._step("product", refs)

    def _extreme(self, template: Template, slots: Slots) -> None:
        op, by = template.more["op"], slots.get("by")
        if template.more.get("value"):
            listed = self._rows(slots["rows"], unknown=True) if slots.get("rows") else self._any_list()
            ref = self._cells(listed, by, number=False) if by else self._measure(listed, template)
            self._step(op, (ref,), listed.condition)
            return
        if "rows" in slots:
            listed = self._rows(slots["rows"], unknown=by is not None or bool(template.more.get("any")))
        elif self.last_list:
            listed = self.last_list
        else:
            raise _OtherwiseError
        ref = self._cells(listed, by, number=True) if by else self._measure(listed, template)
        self._step(op, (ref,), listed.condition, keep=self._label(listed))

    def _sort(self, template: Template, slots: Slots) -> None:
        listed = self._rows(slots["rows"], unknown=bool(template.more.get("any")))
        self._with_columns(listed)
        by = slots.get("by")
        if by and by.lower() in self.language.lists["measures"]:
            by = None
        if any(c.isdigit() for c in by or ""):
            raise _OtherwiseError
        column = (self._cells(listed, by, number=False, any_type=True) if by else self._measure(listed, template)).column
        down = any(text for name, text in slots.items() if name.startswith("down"))
        self._listing("sort", listed, by=column, descending=down)

    def _filter(self, template: Template, slots: Slots) -> None:
        listed = self._conditioned(str(slots["where"]))
        self._with_columns(listed)
        self._listing("filter", listed)

    def _compare(self, template: Template, slots: Slots) -> None:
        comparison = template.more.get("comparison")
        first = self._operand(slots["first"]) if slots.get("first") else self._last_value()
        value = self._value(str(slots["second"]), "date" if comparison in ("before", "after") else "money")
        if comparison and value:
            self._step("compare", (first,), Condition(comparison=comparison, value=value))
            return
        condition = Condition(comparison=comparison) if comparison else None
        self._step("compare", (first, self._operand(slots["second"])), condition)

    def _exists(self, template: Template, slots: Slots) -> None:
        if said := slots.get("said"):
            if self._is_pronoun(said.split()[0]):
                raise _OtherwiseError
            self.is_said(said)
            return
        named = self._name(slots["what"])
        asked = ask(named.words, printed=named.printed, page=self._page(named))
        self._step("exists", (Ref(self.draft.find(replace(asked, required=False))),))

    def _table(self, template: Template, slots: Slots) -> None:
        listed = self._rows(slots["rows"], unknown=bool(template.more.get("any")))
        many = listed.words and self._row_phrase(slots["rows"]).words.lower() in listed.words.many
        alone = many and listed.words and not listed.words.also_fields
        if listed.condition or (template.more.get("many") and not many) or (template.more.get("alone") and not alone):
            raise _OtherwiseError
        for part in self._parts(slots["columns"]) if slots.get("columns") else ():
            self._cells(listed, part, number=False, any_type=True)
            self._explicit.add(listed.ref.index)
        self._with_columns(listed)

    def _step(
        self, op: OperationKind, of: tuple[Ref, ...], condition: Condition | None = None, **more: str | bool
    ) -> Ref:
        step = Step(op, of, self.said, condition, {key: value for key, value in more.items() if value})
        if len(of) > 1 and len(set(of)) < len(of):
            raise _OtherwiseError
        if step not in self.draft.steps:
            self.draft.steps.append(step)
        self.last_value = Ref(self.draft.steps.index(step), step=True)
        return self.last_value

    def _listing(self, op: OperationKind, listed: _Listed, **more: str | bool) -> None:
        """A sort or filter, which later clauses may speak of as the list. What is sorted is filtered first."""
        if op == "sort" and listed.condition:
            listed = _Listed(self._step("filter", (listed.ref,), listed.condition), listed.words)
        ref = self._step(op, (listed.ref,), listed.condition, **more)
        self.last_list = _Listed(ref, listed.words)

    def _rows(self, text: str | None, *, unknown: bool) -> _Listed:
        """The list of that name. ``unknown``: also one that no word list has."""
        named = self._row_phrase(text)
        if self._is_pronoun(named.words) and self.last_list:
            return self.last_list
        words = self._row_words(named.words)
        if words is None:
            for_sure = named.is_name and not named.printed and not self._is_pronoun(named.words)
            entry = known(named.words)
            if not (unknown and for_sure) or (entry and not entry.is_list) or len(self._parts(named.words)) > 1:
                return self._conditioned(text or "")
        return self._listed(named, words)

    def _listed(self, named: Phrase, words: RowWords | None) -> _Listed:
        page = self._page(named)
        many = _many(named.words, words) if words else named.words
        key = (words or normal(many), page)
        if key not in self._tables:
            self._tables[key] = self.draft.add(Asked(many, ROWS.format(many), page=page, is_list=True))
        self.last_list = _Listed(Ref(self._tables[key]), words)
        return self.last_list

    def _conditioned(self, text: str) -> _Listed:
        """Rows with a condition on one of their columns."""
        for template in self.language.sentences["conditions"]:
            found = template.pattern.fullmatch(text)
            if found and self._row_words(self._row_phrase(found["rows"]).words):
                listed = self._rows(found["rows"], unknown=False)
                return listed._replace(condition=self._condition(template, listed, found.groupdict()))
        raise _OtherwiseError

    def _condition(self, template: Template, listed: _Listed, slots: Slots) -> Condition:
        kind, by = template.more.get("type", "money"), slots.get("by")
        if quoted := slots.get("quoted"):
            column = self._cells(listed, by, number=False, any_type=True).column if by else self._label(listed)
            return Condition(column=column, comparison="contains", value=without_quotes(quoted, self.held))
        value = self._value(str(slots["value"]), kind)
        if not value:
            raise _OtherwiseError
        column = (self._cells(listed, by, number=True) if by else self._measure(listed, template)).column
        return Condition(column=column, comparison=template.more["comparison"], value=value)

    def _value(self, text: str, kind: ExpectedType) -> str:
        """The number or date that the text is; "" where it is none."""
        plain = unicodedata.normalize("NFKC", without_quotes(text, self.held)).strip()
        if kind == "date":
            return plain if any(c.isdigit() for c in plain) else ""
        bare = self.language.patterns["currency"].sub("", plain).strip()
        return bare if amount(bare) is not None else ""

    def restricts(self, words: str) -> bool:
        """Whether the words are of some rows of a list: "withdrawals in January"."""
        lower, patterns = words.lower(), self.language.patterns
        for name in (name for rows in self.language.rows for name in rows.many):
            behind = lower.startswith(f"{name} ") and patterns["restricts"].match(lower[len(name) + 1 :])
            if behind or (lower.endswith(name) and patterns["restricted"].match(lower[: -len(name)])):
                return True
        return False

    def is_main(self, text: str) -> bool:
        """Whether it names the items of a document."""
        return phrase(text, self.held, self.language).words.lower() in self.language.rows[0].many

    def _row_phrase(self, text: str | None) -> Phrase:
        named = phrase(text or "", self.held, self.language)
        if self._row_words(named.words):
            return named
        return replace(named, words=self.language.patterns["row_end"].sub("", named.words))

    def _row_words(self, words: str) -> RowWords | None:
        lower = words.lower()
        return next((rows for rows in self.language.rows if lower in (*rows.many, *rows.one)), None)

    def _any_list(self) -> _Listed:
        """The last list, or the items of a document where the task names none."""
        if self.last_list:
            return self.last_list
        words = self.language.rows[0]
        return self._listed(Phrase(words.many[0], language=self.language), words)

    def _list_with(self, names: Sequence[str]) -> _Listed | None:
        """The list that has columns of these names: the last one, or one that usually has them."""
        usual = self.language.rows[0]
        if all(any(same_words(name, column) for column in usual.columns) for name in names):
            return self._any_list()
        if self.last_list:
            columns = self.draft.asked[self._base(self.last_list.ref)].columns
            if all(any(same_words(name, column.words) for column in columns) for name in names):
                return self.last_list
        return None

    def _column_of(self, text: str) -> tuple[Ref, Condition | None]:
        """A column of values: "the quantities of all items", "all deposits over 100", "the line amounts"."""
        for template in self.language.sentences["tables"]:
            found = template.pattern.fullmatch(text)
            columns = found.groupdict().get("columns") if found else None
            if found and columns and self._row_words(self._row_phrase(found["rows"]).words):
                listed = self._rows(found["rows"], unknown=False)
                return self._cells(listed, columns, number=True), listed.condition
        named = phrase(text, self.held, self.language)
        words = self._row_words(named.words)
        if words is None and self._is_column(named):
            return Ref(self.draft.find(ask(named.words, is_list=True, page=self._page(named)))), None
        if words and named.words.lower() not in words.many:
            raise _OtherwiseError
        listed = self._rows(text, unknown=False)
        return self._measure(listed), listed.condition

    def _is_column(self, named: Phrase) -> bool:
        """Whether it is a name for many numbers."""
        entry, asked = known(named.words), ask(named.words)
        if not named.is_name or named.is_empty:
            return False
        many = asked.is_list or named.is_list or bool(self.language.patterns["counted"].match(named.words))
        return bool(entry and entry.is_list) or (many and entry is None and asked.type in _NUMBERS)

    def _operand(self, text: str | None) -> Ref:
        """One value: a field, the last value ("it"), or what another operation gives."""
        named = phrase(text or "", self.held, self.language)
        if self._is_pronoun(named.words):
            return self._last_value()
        for template in self.language.sentences["operations"]:
            if template.more["op"] in ("sum", "count") and self._made(template, named.words):
                return self._last_value()
        named = self._name(text)
        index = self.draft.find(ask(named.words, printed=named.printed, page=self._page(named)))
        asked = self.draft.asked[index]
        if asked.is_list:
            raise _OtherwiseError
        if asked.type == "text":
            self.draft.change(index, type="number")
        self.last_value = Ref(index)
        return self.last_value

    def _last_value(self) -> Ref:
        if self.last_value is None:
            raise _OtherwiseError
        return self.last_value

    def _cells(self, listed: _Listed, text: str | None, *, number: bool, any_type: bool = False) -> Ref:
        """A column by its name. ``number``: it is one, whatever its words; else only one whose words say so."""
        named = self._name(text)
        kind = ask(named.words).type
        if not number and not any_type and kind not in (*_NUMBERS, "date"):
            raise _OtherwiseError
        base = self._base(listed.ref)
        column = self.draft.with_column(base, named.words, required=any_type)
        if number and kind == "text":
            self.draft.change_column(base, column, type="number")
        return listed.ref._replace(column=column)

    def _measure(self, listed: _Listed, template: Template | None = None) -> Ref:
        """The column of amounts, or of dates: the list's own, else the one that such lists have."""
        kind = template.more.get("type", "money") if template else "money"
        base = self._base(listed.ref)
        own = [column.name for column in self.draft.asked[base].columns if column.type == kind]
        usual = [column for column in (listed.words.columns if listed.words else ()) if ask(column).type == kind]
        if not own and not usual:
            raise _OtherwiseError
        column = own[-1] if own else self.draft.with_column(base, usual[-1])
        return listed.ref._replace(column=column)

    def _label(self, listed: _Listed) -> str:
        """The column that says what a row is."""
        base = self._base(listed.ref)
        asked = self.draft.asked[base]
        own = [column.name for column in asked.columns if column.type in ("text", "name")]
        usual = [column for column in (listed.words.columns if listed.words else ()) if ask(column).type == "text"]
        return own[0] if own else self.draft.with_column(base, usual[0] if usual else asked.words)

    def _with_columns(self, listed: _Listed) -> None:
        """Give the table the columns that such lists have, unless the task names its own."""
        base = self._base(listed.ref)
        if base in self._explicit:
            return
        for column in listed.words.columns if listed.words else (self.draft.asked[base].words,):
            self.draft.with_column(base, column)

    def _base(self, ref: Ref) -> int:
        """The table that a list comes from."""
        while ref.step:
            ref = self.draft.steps[ref.index].of[0]
        return ref.index

    def _name(self, text: str | None) -> Phrase:
        """The phrase, which names one field."""
        named = phrase(text or "", self.held, self.language)
        counted = self.language.lists["numbers"].intersection(named.words.lower().split())
        alone = len(self._parts(named.words)) == 1 or known(named.words) or named.printed
        if not named.is_name or named.is_empty or counted or not alone or not any(c.isalpha() for c in named.words):
            raise _OtherwiseError
        return named

    def _page(self, named: Phrase) -> int | None:
        if len(named.pages) > 1:
            raise _OtherwiseError
        return named.pages[0] if named.pages else None

    def _parts(self, text: str | None) -> list[str]:
        return [part for part in self.language.patterns["list_and"].split(text or "") if part.strip()]

    def _is_pronoun(self, words: str) -> bool:
        return words.lower() in self.language.lists["pronouns"]


def _many(words: str, rows: RowWords) -> str:
    """The word for many of what the words say, in their case: "item" -> "items"."""
    if words.lower() in rows.many:
        return words
    many = next((one for one in rows.many if one.startswith(words.lower())), words)
    return many.capitalize() if words[:1].isupper() else many


def sentence(text: str) -> str:
    """The clause as a question."""
    return f"{text[:1].upper()}{text[1:]}".rstrip(" ?.!。？") + "?"


_MAKE: Mapping[str, Callable[[OperationReader, Template, Slots], None]] = {
    "count": OperationReader._count,
    "sum": OperationReader._sum,
    "difference": OperationReader._difference,
    "product": OperationReader._product,
    "minimum": OperationReader._extreme,
    "maximum": OperationReader._extreme,
    "sort": OperationReader._sort,
    "filter": OperationReader._filter,
    "compare": OperationReader._compare,
    "exists": OperationReader._exists,
    "table": OperationReader._table,
}
