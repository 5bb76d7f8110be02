"""Phrases that name a list of things in rows, or a column of it -> tables of a draft, with their columns.

What is asked of a list that is not named ("which of them") is asked of the last one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from layoutllm_graphs.planning.fields import ROWS, Asked, Draft, Ref, ask, known, normal, same_words
from layoutllm_graphs.planning.phrases import Phrase, phrase, without_quotes
from layoutllm_graphs.planning.plan import POSITIONS, Condition
from layoutllm_graphs.planning.words import Language, RowWords, Template
from layoutllm_tool.cot import ExpectedType
from layoutllm_tool.documents.values import amount

Slots = dict[str, str | None]
NUMBERS: tuple[ExpectedType, ...] = ("money", "number")


class OtherwiseError(Exception):
    """The clause fits a sentence, but what stands in its slots does not."""


class Listed(NamedTuple):
    """A list that a clause speaks of: a table, or what a sort or filter left of one."""

    ref: Ref
    words: RowWords | None
    """The word list that it stands in."""
    condition: Condition | None = None

    @property
    def usual(self) -> tuple[str, ...]:
        """The columns that such lists have."""
        return self.words.columns if self.words else ()


@dataclass(slots=True)
class RowReader:
    """Reads the lists of a task in one language into its draft. OtherwiseError where a phrase is none."""

    language: Language
    held: Sequence[str]
    draft: Draft
    last: Listed | None = None
    tables: dict[tuple[RowWords | str, int | None], int] = field(default_factory=dict)
    explicit: frozenset[int] = frozenset()
    """Tables whose columns the task names."""

    def rows(self, text: str | None, *, unknown: bool) -> Listed:
        """The list of that name. ``unknown``: also one that no word list has."""
        named = self.row_phrase(text)
        if self.is_pronoun(named.words) and self.last:
            return self.last
        words = self.row_words(named.words)
        if words is None and not (unknown and self._is_unknown_list(named)):
            return self.conditioned(text or "")
        return self._table(named, words)

    def _is_unknown_list(self, named: Phrase) -> bool:
        entry = known(named.words)
        one = len(self.parts(named.words)) == 1 and not named.printed and not self.is_pronoun(named.words)
        return named.is_name and one and (entry is None or entry.is_list)

    def _table(self, named: Phrase, words: RowWords | None) -> Listed:
        page = self.page(named)
        many = _many(named.words, words) if words else named.words
        key = (words or normal(many).removesuffix("s"), page)
        if key not in self.tables:
            table = Asked(many, ROWS.format(many), page=page, is_list=True)
            field = self._field_of(many, page)
            self.tables[key] = self.draft.add(table) if field is None else field
        self.last = Listed(Ref(self.tables[key]), words)
        return self.last

    def _field_of(self, many: str, page: int | None) -> int | None:
        """The question that was planned for a field of this name and turns out to be a list, now a table."""
        for index, old in enumerate(self.draft.asked):
            plain = normal(old.words).removesuffix("s") == normal(many).removesuffix("s")
            if plain and old.page == page and not old.columns and not known(old.words):
                self.draft.change(index, text=ROWS.format(old.words), is_list=True, type="text")
                return index
        return None

    def last_or_main(self) -> Listed:
        """The last list, or the items of a document where the task names none."""
        words = self.language.rows[0]
        return self.last or self._table(Phrase(words.many[0], language=self.language), words)

    def list_with(self, names: Sequence[str]) -> Listed | None:
        """The list that has columns of these names: one that usually has them, or the last one."""

        def all_in(columns: Sequence[str]) -> bool:
            return all(any(same_words(name, column) for column in columns) for name in names)

        if all_in(self.language.rows[0].columns):
            return self.last_or_main()
        own = [column.words for column in self.columns(self.last)] if self.last else []
        return self.last if all_in(own) else None

    def conditioned(self, text: str) -> Listed:
        """Rows with a condition on one of their columns: "deposits over 100"."""
        for template in self.language.sentences["conditions"]:
            found = template.pattern.fullmatch(text)
            if found and self._is_list(found["rows"]):
                listed = self.rows(found["rows"], unknown=False)
                with suppress(OtherwiseError):
                    return listed._replace(condition=self._condition(template, listed, found.groupdict()))
        raise OtherwiseError

    def _is_list(self, text: str) -> bool:
        """Whether it is a word for rows, or for the last list."""
        words = self.row_phrase(text).words
        return self.row_words(words) is not None or bool(self.last and self.is_pronoun(words))

    def restricted(self, text: str) -> str:
        """The list in "deposits over 100"; "" where the text has no condition."""
        if self.row_words(self.row_phrase(text).words):
            return ""
        found = (template.pattern.fullmatch(text) for template in self.language.sentences["conditions"])
        return next((f["rows"] for f in found if f and self.row_words(self.row_phrase(f["rows"]).words)), "")

    def _condition(self, template: Template, listed: Listed, slots: Slots) -> Condition:
        by, comparison = slots.get("by"), template.more["comparison"]
        if comparison in POSITIONS:
            return Condition(comparison=comparison, value=self.counted(slots.get("count") or "1"))
        if left_out := slots.get("but"):
            column, words = self.label(listed), self.name(left_out).words
            pronouns = self.language.lists["pronouns"].intersection(words.lower().split())
            if pronouns or self.language.patterns["restricts"].search(words.lower()):  # "those in March"
                raise OtherwiseError
            return Condition(column=column, comparison=comparison, value=words)
        if quoted := slots.get("quoted"):
            column = self.column(listed, by).column if by else self.label(listed)
            return Condition(column=column, comparison=comparison, value=without_quotes(quoted, self.held))
        kind: ExpectedType = template.more.get("type", "money")
        value = self.value(slots["value"], kind)
        if not value:
            raise OtherwiseError
        ref = self.number_column(listed, by) if by else self.measure(listed, kind)
        return Condition(column=ref.column, comparison=comparison, value=value)

    def counted(self, text: str) -> str:
        """How many: "2" for "two"."""
        plain = unicodedata.normalize("NFKC", text).lower()
        numbers = self.language.cardinals
        counted = str(numbers.index(plain) + 1) if plain in numbers else plain
        if not re.fullmatch(r"[1-9]\d{0,2}", counted):
            raise OtherwiseError
        return counted

    def value(self, text: str | None, kind: ExpectedType) -> str:
        """The number or date that the text is; "" where it is none."""
        plain = unicodedata.normalize("NFKC", without_quotes(text or "", self.held)).strip()
        if kind == "date":
            more = self.language.patterns["restricts"].search(plain.lower())
            return plain if any(c.isdigit() for c in plain) and not more else ""
        bare = self.language.patterns["currency"].sub("", plain).strip()
        if (thousands := re.fullmatch(r"(\d{1,4})(万|千)", bare)) and self.language.texts.get("myriads"):
            bare = thousands[1] + ("0000" if thousands[2] == "万" else "000")
        if any(c.isalpha() for c in bare):
            return ""
        if amount(bare) is not None:
            return bare
        number = amount(bare, "," if self.language.texts.get("decimal_mark") == "," else ".")
        return "" if number is None else f"{number:f}"

    def column(self, listed: Listed, text: str | None) -> Ref:
        """A column by its name, or by a part of it that no other has: "hours" of "hours worked"."""
        words = self._column_words(text)
        near = [c.name for c in self.columns(listed) if words.lower() in c.words.lower().split()]
        name = (
            near[0] if len(near) == 1 else self.draft.with_column(self.base(listed.ref), words, required=True)
        )
        return listed.ref._replace(column=name)

    def own_column(self, listed: Listed, words: str) -> Ref | None:
        """The list's column of these words, but for their number."""
        plain = normal(words).removesuffix("s")
        names = [c.name for c in self.columns(listed) if normal(c.words).removesuffix("s") == plain]
        return listed.ref._replace(column=names[0]) if len(names) == 1 else None

    def _column_words(self, text: str | None) -> str:
        """A column's name, which may be a question's word, too: "who is responsible", "from"."""
        asked = self.language.patterns["column"].fullmatch((text or "").strip())
        return asked.group() if asked else self.name(text).words

    def number_column(self, listed: Listed, text: str | None) -> Ref:
        """A column by its name, that holds numbers or dates whatever its words."""
        ref, base = self.column(listed, text), self.base(listed.ref)
        if ask(self.name(text).words).type == "text":
            self.draft.change_column(base, ref.column, type="number")
        return ref

    def is_total(self, text: str) -> bool:
        """Whether it names a field of the whole document, with its article: no column."""
        entry = known(phrase(text, self.held, self.language).words)
        fronted = self.language.patterns["front_word"].match(text)
        return bool(fronted and entry and entry.family in ("total", "subtotal", "tax"))

    def measured(self, text: str | None) -> bool:
        """Whether the words say that it is a number or a date."""
        return ask(self.name(text).words).type in (*NUMBERS, "date")

    def measure(self, listed: Listed, kind: ExpectedType = "money") -> Ref:
        """The column of amounts, or of dates: the list's own, else the one that such lists have."""
        own = [column.name for column in self.columns(listed) if column.type == kind]
        usual = [column for column in listed.usual if ask(column).type == kind]
        if not own and not usual:
            raise OtherwiseError
        column = own[-1] if own else self.draft.with_column(self.base(listed.ref), usual[-1])
        return listed.ref._replace(column=column)

    def label(self, listed: Listed) -> str:
        """The column that says what a row is."""
        base = self.base(listed.ref)
        own = [column.name for column in self.columns(listed) if column.type in ("text", "name")]
        usual = [column for column in listed.usual if ask(column).type == "text"]
        return own[0] if own else self.draft.with_column(base, [*usual, self.draft.asked[base].words][0])

    def with_usual_columns(self, listed: Listed) -> None:
        """Give the table the columns that such lists have, unless the task names its own."""
        base = self.base(listed.ref)
        if base not in self.explicit:
            for column in listed.usual or (self.draft.asked[base].words,):
                self.draft.with_column(base, column)

    def columns(self, listed: Listed) -> tuple[Asked, ...]:
        return self.draft.asked[self.base(listed.ref)].columns

    def base(self, ref: Ref) -> int:
        """The table that a list comes from."""
        while ref.step:
            ref = self.draft.steps[ref.number].of[0]
        return ref.number

    def restricts(self, words: str) -> bool:
        """Whether the words are of some rows of a list: "withdrawals in January"."""
        lower, patterns = words.lower(), self.language.patterns
        for name in (name for rows in self.language.rows for name in rows.many):
            behind = lower.startswith(f"{name} ") and patterns["restricts"].match(lower[len(name) + 1 :])
            if behind or (lower.endswith(name) and patterns["restricted"].match(lower[: -len(name)])):
                return True
        return False

    def are_several(self, text: str | None, columns: Sequence[str]) -> bool:
        """Whether it surely is a list: a word for many things of which two or more are asked, no owner."""
        words = self.row_phrase(text).words
        patterns = self.language.patterns
        if (rows := self.row_words(words)) and words.lower() in rows.many:
            return True
        plain = not (
            rows or known(words) or patterns["party"].match(words) or patterns["attribute"].match(words)
        )
        return plain and len(columns) > 1 and bool(patterns["many"].search(words))

    def are_many(self, text: str) -> bool:
        """Whether it begins with a word for many rows."""
        words = [text.lower(), text.lower().split(maxsplit=1)[0]]
        return any(word in rows.many for rows in self.language.rows for word in words)

    def is_main(self, text: str) -> bool:
        """Whether it names the items of a document."""
        return phrase(text, self.held, self.language).words.lower() in self.language.rows[0].many

    def row_phrase(self, text: str | None) -> Phrase:
        """The phrase, without what says that the rows stand in the document."""
        named = phrase(text or "", self.held, self.language)
        if self.row_words(named.words):
            return named
        return replace(named, words=self.language.patterns["row_end"].sub("", named.words))

    def row_words(self, words: str) -> RowWords | None:
        lower = words.lower()
        return next((rows for rows in self.language.rows if lower in (*rows.many, *rows.one)), None)

    def name(self, text: str | None) -> Phrase:
        """The phrase, which names one field."""
        named = phrase(text or "", self.held, self.language)
        counted = self.language.lists["numbers"].intersection(named.words.lower().split())
        one = len(self.parts(named.words)) == 1 or known(named.words) or named.printed
        if (
            not named.is_name
            or named.is_empty
            or counted
            or not one
            or (":" in named.words and not named.printed)
            or not any(map(str.isalpha, named.words))
        ):
            raise OtherwiseError
        return named

    def page(self, named: Phrase) -> int | None:
        if len(named.pages) > 1:
            raise OtherwiseError
        return named.pages[0] if named.pages else None

    def parts(self, text: str | None) -> list[str]:
        return [part for part in self.language.patterns["list_and"].split(text or "") if part.strip()]

    def is_pronoun(self, words: str) -> bool:
        return words.lower() in self.language.lists["pronouns"]


def _many(words: str, rows: RowWords) -> str:
    """The word for many of what the words say, in their case: "item" -> "items"."""
    if words.lower() in rows.many:
        return words
    many = next((one for one in rows.many if one.startswith(words.lower())), words)
    return many.capitalize() if words[:1].isupper() else many
