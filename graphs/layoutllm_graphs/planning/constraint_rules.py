"""Sentences that say what must hold between fields -> checks: "the items add up to the total". Pure.

Strict comparisons ("before", "less than") become a plan's non-strict ones. Amounts compared with a number
that stands in the task ("the total is under 100") are *not* covered: constraints hold between answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from layoutllm_graphs.planning.owners import with_owners
from layoutllm_graphs.planning.phrases import LONGEST, Phrase, phrase
from layoutllm_graphs.planning.plan import ConstraintKind
from layoutllm_graphs.planning.words import Language, Template

_MOST_TERMS = 12


@dataclass(frozen=True, slots=True)
class Check:
    """A constraint whose terms are still phrases."""

    kind: ConstraintKind
    terms: tuple[Phrase, ...]
    total: Phrase | None = None
    strict: bool = False
    """Said as "before", not as "not after"."""


@dataclass(frozen=True, slots=True)
class CheckReader:
    """Reads the sentences of a task in one language."""

    language: Language
    held: Sequence[str]

    def read(self, text: str) -> list[Check]:
        """The checks of a sentence without its prefix, all of them or [] where a part is not understood."""
        if len(text) > LONGEST:
            return []
        found: list[Check] = []
        for part in filter(str.strip, self.language.patterns["and_that"].split(text)):
            said = self.language.patterns["inverted"].sub("", part.strip(" ,.;:!?、"), count=1)
            checks = self._one_or_two(" ".join(said.split()))
            if not checks:
                return []
            found += checks
        return found

    def _one_or_two(self, text: str) -> list[Check]:
        if whole := self._one(text):
            return [whole]
        for found in list(self.language.patterns["list_and"].finditer(text))[:_MOST_TERMS]:
            left, right = self._one(text[: found.start()]), self._one(text[found.end() :])
            if left and right:
                return [left, right]
        return []

    def _one(self, text: str) -> Check | None:
        """The first of the language's sentences that fits and has names in all its slots."""
        fitting = (
            self._check(template, found.groupdict())
            for template in self.language.sentences["checks"]
            if (found := template.pattern.fullmatch(text))
        )
        return next(filter(None, fitting), None)

    def _check(self, template: Template, slots: dict[str, str | None]) -> Check | None:
        kind: ConstraintKind = template.more["kind"]
        if slots.get("same"):
            return self._same_on_pages(str(slots["same"]), str(slots["pages"]))
        sides = [slot for name in ("first", "second", "last") if (slot := slots.get(name))]
        terms = self._names(with_owners([*self._terms(slots.get("terms")), *sides], self.language))
        total = self._names([slots["total"]]) if slots.get("total") else ()
        if kind == "sum":
            return Check("sum", terms, total[0]) if terms and total else None
        return Check(kind, terms, strict=template.more.get("strict", False)) if len(terms) > 1 else None

    def _terms(self, text: str | None) -> list[str]:
        return self.language.patterns["term_and"].split(text) if text else []

    def _same_on_pages(self, text: str, pages: str) -> Check | None:
        named = self._names([f"{text} {pages}"])
        terms = self._names([f"{text} page {page}" for one in named for page in one.pages])
        return Check("equal", terms) if len(terms) > 1 else None

    def _names(self, terms: Sequence[str | None]) -> tuple[Phrase, ...]:
        """The phrases, or () where one is none, such as "it", says more than a name, or is two."""
        whole = [term for term in terms if term and len(self._terms(term)) == 1]
        if len(whole) != len(terms) or len(terms) > _MOST_TERMS:
            return ()
        where = [self.language.patterns[name] for name in ("placed", "page")]
        placed = len(whole) > 1 and all(any(one.search(term) for one in where) for term in whole)
        found = tuple(phrase(term, self.held, self.language, placed=placed) for term in whole)
        sure = all(
            p.words and p.is_name and not p.is_empty and any(c.isalpha() for c in p.words) for p in found
        )
        return found if sure else ()
