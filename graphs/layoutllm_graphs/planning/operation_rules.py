"""Clauses that ask for something computed, or for a list with columns -> steps and tables of a draft.

"The most expensive item" is the greatest of a column of the list "items". Computing is *not* here: see
``operations``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from layoutllm_graphs.planning.fields import Asked, Draft, Ref, Step, ask, known, same_words
from layoutllm_graphs.planning.phrases import ENDS, LONGEST, Phrase, phrase, read_question, shown
from layoutllm_graphs.planning.plan import Condition, OperationKind
from layoutllm_graphs.planning.row_rules import NUMBERS, Listed, OtherwiseError, RowReader, Slots
from layoutllm_graphs.planning.words import Language, Template
from layoutllm_tool.extraction.rows import roles_of

_OF_DOCUMENTS = frozenset({"total", "subtotal", "company", "customer", "invoice number", "due date"})
"""Fields that documents have once."""


@dataclass(slots=True)
class OperationReader:
    """Reads the clauses of a task in one language into its draft."""

    language: Language
    held: Sequence[str]
    draft: Draft
    said: str = ""
    """The clause that is being read, for a person."""
    last_value: Ref | None = None
    rows: RowReader = field(init=False)

    def __post_init__(self) -> None:
        self.rows = RowReader(self.language, self.held, self.draft)

    def read(self, forms: Sequence[str], said: str, *, only: Sequence[str] = ()) -> bool:
        """Add what the clause asks for, in whichever of its forms fits a sentence first.

        ``only``: the operations that it may be. False where none fits; the draft is then as it was.
        """
        self.said = said
        short = [form for form in forms if len(form) <= LONGEST]
        return any(
            self._made(template, form)
            for kind in ("operations", "tables")
            for form in short
            for template in self.language.sentences[kind]
            if not only or template.more.get("op") in only
        )

    def fits(self, form: str) -> bool:
        """Whether the clause fits a sentence. The draft stays as it is."""
        fitted = False
        with suppress(OtherwiseError), self.undone():
            fitted = self.read([form], form)
            raise OtherwiseError
        return fitted

    def are_columns(self, parts: Sequence[str], *, behind: bool = False) -> bool:
        """Whether all parts name columns that the last list usually has; it gets these then.

        ``behind``: the sentence before names the list and no more, so that half of them are enough.
        """
        listed = self.rows.last
        if listed is None or self.rows.base(listed.ref) in self.rows.explicit or len(parts) < 2:
            return False
        base = self.rows.base(listed.ref)
        named = [phrase(part, self.held, self.language) for part in parts]
        usual = [any(same_words(one.words, usual) for usual in listed.usual) for one in named]
        heads = [one or (behind and self._is_head(name)) for one, name in zip(usual, named, strict=True)]
        if not all(usual) and not (behind and 2 * sum(heads) >= len(named) and all(n.is_name for n in named)):
            return False
        used = {(ref.number, ref.column) for step in self.draft.steps for ref in step.of if not ref.step}
        kept = [c for c in self.rows.columns(listed) if (base, c.name) in used]
        self.draft.change(base, columns=tuple(kept))
        with suppress(OtherwiseError):
            self.with_columns(listed, parts)
        return True

    def _is_head(self, named: Phrase) -> bool:
        """Whether it is what columns of tables are called."""
        entry = known(named.words)
        return bool(roles_of(named.words)) and not (entry and entry.family in _OF_DOCUMENTS)

    def leave_out(self, words: str, said: str) -> None:
        """Leave out the rows of the last list whose label has these words. OtherwiseError without a list."""
        self.said, listed = said, self._last_list()
        if self.rows.row_words(words) or any(same_words(words, c.words) for c in self.rows.columns(listed)):
            return
        self.rows.with_usual_columns(listed)
        told = Condition(column=self.rows.label(listed), comparison="not contains", value=words)
        self._listing("filter", listed._replace(condition=told))

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
            with self.undone():
                _MAKE[template.more.get("op", "table")](self, template.more, found.groupdict())
        except OtherwiseError:
            return False
        return True

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Take back what was added, where it turns out not to fit."""
        draft, rows = self.draft, self.rows
        asked, steps, value = list(draft.asked), list(draft.steps), self.last_value
        before, refused = replace(rows, tables=dict(rows.tables)), list(draft.refused)
        try:
            yield
        except OtherwiseError:
            draft.asked[:], draft.steps[:], draft.refused[:] = asked, steps, refused
            self.rows, self.last_value = before, value
            raise

    def _count(self, more: Mapping[str, str], slots: Slots) -> None:
        if told := slots.get("rows"):
            counted = self.language.patterns["counted"].match(self.rows.row_phrase(told).words)
            listed = self.rows.rows(told, unknown=bool(counted))
        else:
            listed = self._last_list()
        self.rows.with_usual_columns(listed)
        distinct = bool(slots.get("distinct"))
        ref = listed.ref._replace(column=self.rows.label(listed)) if distinct else listed.ref
        self._step("count", (ref,), listed.condition, distinct=distinct)

    def _sum(self, more: Mapping[str, str], slots: Slots) -> None:
        parts, by = self.rows.parts(slots.get("of")), slots.get("by")
        if by:
            listed = self.rows.rows(slots["rows"], unknown=True)
            self._step("sum", (self.rows.number_column(listed, by),), listed.condition)
        elif not parts:
            self._step("sum", (self.rows.measure(self._last_list()),))
        elif len(parts) > 1:
            self._step("sum", tuple(map(self._operand, parts)))
        else:
            ref, condition = self._column_of(parts[0])
            self._step("sum", (ref,), condition)

    def _difference(self, more: Mapping[str, str], slots: Slots) -> None:
        """Of two values; of the last two where none are named. ``type``: dates."""
        if not slots.get("first"):
            self._step("difference", self._last_two())
            return
        refs = (self._operand(slots["first"]), self._operand(slots["second"]))
        for ref in refs if more.get("type") == "date" else ():
            if not ref.step and self.draft.asked[ref.number].type in ("number", "text"):
                self.draft.change(ref.number, type="date")
        self._step("difference", refs)

    def _last_two(self) -> tuple[Ref, Ref]:
        single = [Ref(i) for i, asked in enumerate(self.draft.asked) if not asked.is_list]
        if len(single) < 2:
            raise OtherwiseError
        return single[-2], single[-1]

    def _again(self, more: Mapping[str, str], slots: Slots) -> None:
        """More of what was found to be the greatest or least: its value, or another of its columns."""
        last = self.draft.steps[-1] if self.draft.steps else None
        if last is None or last.op not in _KINDS or not last.more.get("keep"):
            raise OtherwiseError
        listed, by = self._last_list(), slots.get("by")
        kept = {"keep": self.rows.column(listed, by).column} if by else {}
        self._step(last.op, last.of, last.condition, **kept)

    def _product(self, more: Mapping[str, str], slots: Slots) -> None:
        names = [self.rows.name(slots[side]).words for side in ("first", "second")]
        told = slots.get("rows")
        listed = self.rows.rows(told, unknown=False) if told else self.rows.list_with(names)
        refs = [self.rows.number_column(listed, name) if listed else self._operand(name) for name in names]
        self._step("product", tuple(refs))

    def _extreme(self, more: Mapping[str, str], slots: Slots) -> None:
        """The least or greatest. ``value``: the value itself is asked for, not what has it."""
        by, told = slots.get("by"), slots.get("rows")
        if more.get("value"):
            listed = self.rows.rows(told, unknown=True) if told else self.rows.last_or_main()
            if by and not (self.rows.measured(by) or self.rows.own_column(listed, self.rows.name(by).words)):
                raise OtherwiseError
        else:
            listed = self.rows.rows(told, unknown=by is not None) if told else self._last_list()
        ref = self.rows.number_column(listed, by) if by else self._measure(listed, more)
        kept = {} if more.get("value") else {"keep": self.rows.label(listed)}
        self._step(_KINDS[more["op"]], (ref,), listed.condition, **kept)

    def _sort(self, more: Mapping[str, str], slots: Slots) -> None:
        told = slots.get("rows") or slots.get("where")
        listed = self.rows.rows(told, unknown=False) if told else self._last_list()
        self.rows.with_usual_columns(listed)
        by = slots.get("by")
        if not by or by.lower() in self.language.lists["measures"]:
            ref = self._measure(listed, more)
        elif self.rows.measured(by) or any(same_words(by, c.words) for c in self.rows.columns(listed)):
            ref = self.rows.column(listed, by)
        else:
            raise OtherwiseError
        if any(map(str.isdigit, by or "")):
            raise OtherwiseError
        down = any(text for name, text in slots.items() if name.startswith("down"))
        self._listing("sort", listed, by=ref.column, descending=down)

    def _top(self, more: Mapping[str, str], slots: Slots) -> None:
        """ "The three largest payments": sorted, and then the first of them."""
        count = self.rows.counted(slots["count"] or "")
        self._sort(more, slots | {"down": "down" if more.get("down") else None})
        listed = self._last_list()
        self._listing("filter", listed._replace(condition=Condition(comparison="first", value=count)))

    def _filter(self, more: Mapping[str, str], slots: Slots) -> None:
        if count := slots.get("count"):
            told = {"comparison": more["comparison"], "value": self.rows.counted(count)}
            listed = self._last_list()._replace(condition=Condition.model_validate(told))
        else:
            listed = self.rows.conditioned(slots["where"] or "")
        self.rows.with_usual_columns(listed)
        self._listing("filter", listed)

    def _compare(self, more: Mapping[str, str], slots: Slots) -> None:
        """Of two values, or of one with what the task says."""
        comparison = more.get("comparison")
        if by := slots.get("by"):  # "of A and B, whose score is higher?"
            slots = slots | {side: self.language.texts["owned"].format(owner=slots[side], head=by)
                             for side in ("first", "second")}  # fmt: skip
        first = self._operand(slots["first"]) if slots.get("first") else self._last_value()
        value = self.rows.value(slots["second"], "date" if comparison in ("before", "after") else "money")
        told = {"comparison": comparison, "value": value if comparison else ""}
        condition = Condition.model_validate(told) if comparison else None
        second = () if told["value"] else (self._operand(slots["second"]),)
        self._step("compare", (first, *second), condition)

    def _exists(self, more: Mapping[str, str], slots: Slots) -> None:
        if said := slots.get("said"):
            if self.rows.is_pronoun(said.split()[0]) or self.language.patterns["negated"].search(said):
                raise OtherwiseError  # a no to "is it not ...?" would mean yes
            self.is_said(said)
            return
        named = self.rows.name(slots["what"])
        asked = ask(named.words, printed=named.printed, page=self.rows.page(named))
        self._step("exists", (Ref(self.draft.find(replace(asked, required=False))),))

    def _table(self, more: Mapping[str, str], slots: Slots) -> None:
        """``many``: it has to be named by a word for many; ``alone``: and by one that names no field."""
        told = self.rows.restricted(slots["rows"] or "")
        split, parts = self.language.patterns["columns_and"].split, self.rows.parts(slots.get("columns"))
        columns = [column for part in parts for column in split(part)]
        enough = columns * 2 if more.get("one") else columns
        if more.get("several") and not (told or self.rows.are_several(slots["rows"], enough)):
            raise OtherwiseError
        listed = self.rows.rows(told or slots["rows"], unknown=bool(more.get("any")))
        words = listed.words
        many = told or (words and self.rows.row_phrase(slots["rows"]).words.lower() in words.many)
        alone = many and words and not words.also_fields and not told
        if (more.get("many") and not many) or (more.get("alone") and not alone):
            raise OtherwiseError
        self.with_columns(listed, columns)
        if told:
            self._listing("filter", self.rows.conditioned(slots["rows"] or ""))

    def with_columns(self, listed: Listed, columns: Sequence[str]) -> None:
        """Give the table these columns, or else those that such lists have."""
        for part in columns:
            summed = len(columns) == 1 and self.language.patterns["summed"].match(part)
            computed = (
                summed
                or part.strip()[0].isdigit()
                or any(pattern.search(part) for _, pattern in self.language.refusals_of_questions)
            )
            if computed or (self.rows.is_total(part) and len(columns) > 1):  # "with prices and the total"
                raise OtherwiseError
            self.rows.column(listed, part)
            self.rows.explicit |= {self.rows.base(listed.ref)}
        self.rows.with_usual_columns(listed)

    def _step(
        self, op: OperationKind, of: tuple[Ref, ...], condition: Condition | None = None, **more: str | bool
    ) -> Ref:
        step = Step(op, of, self.said, condition, {key: value for key, value in more.items() if value})
        if len(set(of)) < len(of):
            raise OtherwiseError
        if step not in self.draft.steps:
            self.draft.steps.append(step)
        self.last_value = Ref(self.draft.steps.index(step), step=True)
        return self.last_value

    def _listing(self, op: OperationKind, listed: Listed, **more: str | bool) -> None:
        """A sort or filter, which later clauses may speak of. What is sorted is filtered first."""
        if op == "sort" and listed.condition:
            listed = Listed(self._step("filter", (listed.ref,), listed.condition), listed.words)
        self.rows.last = Listed(self._step(op, (listed.ref,), listed.condition, **more), listed.words)

    def _measure(self, listed: Listed, more: Mapping[str, str]) -> Ref:
        return self.rows.measure(listed, "date" if more.get("type") == "date" else "money")

    def _column_of(self, text: str) -> tuple[Ref, Condition | None]:
        """A column of values: "the quantities of all items", "all deposits over 100", "the line amounts"."""
        for template in self.language.sentences["tables"]:
            slots = found.groupdict() if (found := template.pattern.fullmatch(text)) else {}
            if slots.get("columns") and self.rows.row_words(self.rows.row_phrase(slots["rows"]).words):
                listed = self.rows.rows(slots["rows"], unknown=False)
                return self.rows.number_column(listed, slots["columns"]), listed.condition
        named = phrase(text, self.held, self.language)
        if self.rows.last and (own := self.rows.own_column(self.rows.last, named.words)):
            return own, self.rows.last.condition
        words = self.rows.row_words(named.words)
        if words is None and self._is_column(named):
            page = self.rows.page(named)
            return Ref(self.draft.find(ask(named.words, is_list=True, page=page))), None
        if words and named.words.lower() not in words.many:
            raise OtherwiseError
        listed = self.rows.rows(text, unknown=False)
        return self.rows.measure(listed), listed.condition

    def _is_column(self, named: Phrase) -> bool:
        """Whether it is a name for many numbers."""
        entry, asked = known(named.words), ask(named.words)
        if not named.is_name or named.is_empty:
            return False
        many = asked.is_list or named.is_list or bool(self.language.patterns["counted"].match(named.words))
        return bool(entry and entry.is_list) or (many and entry is None and asked.type in NUMBERS)

    def _operand(self, text: str | None) -> Ref:
        """One value: a field, the last value ("it"), or what another operation gives."""
        named = phrase(text or "", self.held, self.language)
        if self.rows.is_pronoun(named.words):
            return self._last_value()
        sentences = self.language.sentences["operations"]
        if any(self._made(t, named.words) for t in sentences if t.more["op"] in ("sum", "count")):
            return self._last_value()
        named = self.rows.name(text)
        index = self.draft.find(ask(named.words, printed=named.printed, page=self.rows.page(named)))
        if self.draft.asked[index].is_list:
            raise OtherwiseError
        if self.draft.asked[index].type == "text":
            self.draft.change(index, type="number")
        self.last_value = Ref(index)
        return self.last_value

    def _last_value(self) -> Ref:
        if self.last_value is None:
            raise OtherwiseError
        return self.last_value

    def _last_list(self) -> Listed:
        if self.rows.last is None:
            raise OtherwiseError
        return self.rows.last


def sentence(text: str) -> str:
    """The clause as a question."""
    return f"{text[:1].upper()}{text[1:]}".rstrip(ENDS) + "?"


_KINDS: Mapping[str, OperationKind] = {"minimum": "minimum", "maximum": "maximum"}
_MAKE: Mapping[str, Callable[[OperationReader, Mapping[str, str], Slots], None]] = {
    "count": OperationReader._count,
    "again": OperationReader._again,
    "sum": OperationReader._sum,
    "difference": OperationReader._difference,
    "product": OperationReader._product,
    "minimum": OperationReader._extreme,
    "maximum": OperationReader._extreme,
    "sort": OperationReader._sort,
    "top": OperationReader._top,
    "filter": OperationReader._filter,
    "compare": OperationReader._compare,
    "exists": OperationReader._exists,
    "table": OperationReader._table,
}
