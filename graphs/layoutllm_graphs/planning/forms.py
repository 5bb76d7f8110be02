"""What a clause asks for without the words that ask for it: "please extract ... from the invoice". Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from layoutllm_graphs.planning.fields import NAMES_WITH_AND, known
from layoutllm_graphs.planning.phrases import ENDS, LONGEST, fronted, outside, take_pages
from layoutllm_graphs.planning.plan import MOST_QUESTIONS
from layoutllm_graphs.planning.words import Language
from layoutllm_tool.errors import PlanError

_JOINT = "\ue002" * len(" and ")
"""Stands for " and " where it joins no list."""
_MOST_FRONTS, _MOST_ENDS = 6, 4


class Part(NamedTuple):
    """An entry of a list, as a place in its text."""

    start: int
    end: int
    closes: bool
    """It stands behind an "and"."""


@dataclass(frozen=True, slots=True)
class Forms:
    """The forms of clauses in one language."""

    language: Language

    def asking(self, text: str) -> str:
        """The text without greetings, thanks and other talk around what it asks for; "" where it is no more."""
        patterns = self.language.patterns
        for _ in range(_MOST_FRONTS if len(text) <= LONGEST else 0):
            text = text[found.end() :] if (found := patterns["greeting"].match(text)) else text
            found = patterns["thanks"].search(text)
            if found is None and not patterns["small_talk"].fullmatch(text.strip(ENDS)):
                break
            text = text[: found.start()] if found else ""
        return text if any(map(str.isalnum, text)) else ""

    def of_document(self, text: str) -> str:
        """The text without the words for the document, where it speaks of one: "the items on this receipt"."""
        patterns = self.language.patterns
        found = list(patterns["mention"].finditer(text)) if len(text) <= LONGEST else []
        alone = len(found) == 1 and not take_pages(text, self.language)[1] and found[0].start()
        if not alone or patterns["placed"].search(text[: found[0].start()]):
            return text
        return text[: found[0].start()] + text[found[0].end() :]

    def front(self, text: str) -> tuple[str, tuple[int, ...]]:
        """What is asked for, and the pages that stand before or behind it."""
        patterns, pages = self.language.patterns, tuple[int, ...]()
        fronts = [patterns[name] for name in ("polite", "place", "title", "output_format", "head", "verb")]
        for _ in range(_MOST_FRONTS):
            found = next((match for front in fronts if (match := front.match(text))), None)
            led = patterns["leading_page"].match(text) if not pages else None
            if found and found.end() and not known(text):
                text = text[found.end() :].lstrip(" ,:\u3001\uff1a")
            elif led:
                _, pages = take_pages(text[: led.end()], self.language)
                text = text[led.end() :] if pages else text
            else:
                break
        if not pages:
            text, pages = self._closing_page(text)
        return self.closed(text), pages

    def _closing_page(self, text: str) -> tuple[str, tuple[int, ...]]:
        """The text before a page that it ends with, and that page; all of it where it names another page."""
        closing = self.language.patterns["closing_page"].search(text)
        if closing is None or take_pages(text[: closing.start()], self.language)[1]:
            return text, ()
        _, pages = take_pages(closing.group(), self.language)
        return (text[: closing.start()] if pages else text), pages

    def closed(self, text: str) -> str:
        """The text before what asks for it at its end: "please", "as a table"."""
        for _ in range(_MOST_ENDS if len(text) <= LONGEST else 0):
            found = self.language.patterns["closing"].search(text) if not known(text) else None
            if found is None or not text[: found.start()].strip():
                return text
            text = text[: found.start()].rstrip(" ,\u3001")
        return text

    def unchecked(self, text: str) -> tuple[str, bool]:
        """The text without what asks for a check, and whether it surely does."""
        patterns = self.language.patterns
        prefix, end = patterns["check"].match(text), patterns["check_end"].search(text)
        start, stop = prefix.end() if prefix else 0, end.start() if end else len(text)
        return self.closed(text[start:stop]), bool(end or patterns["surely_check"].match(text))

    def computed(self, text: str, *, but: Callable[[str], bool]) -> list[str]:
        """What a sentence for operations may be, the fullest first. ``but``: which known fields may."""
        patterns, (core, _) = self.language.patterns, self.front(text)
        begun = patterns["compute"].match(core)
        bare = core[begun.end() :] if begun else core
        ended = patterns["compute_end"].search(bare)
        forms = [text, core, *self._asserted(text), bare[: ended.start()] if ended else bare]
        forms += [patterns[name].sub("", form, count=1) for name in ("what_is", "showing") for form in forms]
        forms += [self.entry(form) for form in forms]
        return [
            form
            for form in dict.fromkeys(f.strip(ENDS) for f in forms)
            if form and (not known(form) or but(form))
        ]

    def _asserted(self, text: str) -> Iterator[str]:
        """A check without its prefix, and from the prefix's last word on: "whether"."""
        yield self.unchecked(text)[0]
        if (prefix := self.language.patterns["check"].match(text)) and (words := prefix.group().split()):
            yield f"{words[-1]} {text[prefix.end() :]}"

    def entry(self, text: str) -> str:
        """An entry of a list without articles, and without the type of its data."""
        return fronted(self.language.patterns["data_type"].sub("", text), self.language)

    def expanded(self, text: str) -> str:
        """Words that share their end in full: "start and end date"."""
        patterns = self.language.patterns
        if len(text) > LONGEST:
            return text
        if owned := patterns["owners_ahead"].match(text):
            return self._of_each(owned["owners"], owned["heads"])
        text = patterns["shared_owner"].sub(
            lambda found: "{owner} {head}{link}{owner} {more}".format(**found.groupdict()), text
        )
        return patterns["compound"].sub(
            lambda found: "{first}{tail}{link} {second}".format(**found.groupdict()), text
        )

    def _of_each(self, owners: str, heads: str) -> str:
        """ "shipper and consignee", "name, city" -> "shipper name, shipper city, consignee name, ..."."""
        split, written = self.language.patterns["list_and"].split, self.language.texts["owned"]
        named = [fronted(owner.strip(), self.language) for owner in split(owners) if owner.strip()]
        each = [head.strip() for head in split(heads.rstrip(ENDS)) if head.strip()]
        return ", ".join(written.format(owner=owner, head=head) for owner in named for head in each)

    def parts(self, text: str) -> Iterator[Part]:
        """The entries of a list."""
        masked = text
        for name in NAMES_WITH_AND:
            masked = re.sub(rf"\b{name}\b", name.replace(" and ", _JOINT), masked, flags=re.IGNORECASE)
        start, closes, count = 0, False, 0
        for found in outside(self.language.patterns["list_and"], masked):
            if text[start : found.start()].strip(" .,:"):
                count += 1
                yield Part(start, found.start(), closes)
            start, closes = found.end(), found.group().strip() not in (",", "\u3001")
            if count > 2 * MOST_QUESTIONS:
                raise PlanError(f"the task lists more than {MOST_QUESTIONS} things.", hint="Split it.")
        if text[start:].strip(" .,:"):
            yield Part(start, len(text), closes)

    def is_question(self, text: str) -> bool:
        patterns = self.language.patterns
        return bool(patterns["question"].match(text) or patterns["yes_no"].match(text))

    def is_statement(self, text: str) -> bool:
        """ "The vendor is Acme", which names a field and asks for nothing."""
        relative = self.language.patterns["relative_pronoun"].search(text)
        return bool(self.language.patterns["statement"].search(f" {text} ")) and not relative
