"""What a clause asks for without the words that ask for it: "please extract ... from the invoice". Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from layoutllm_graphs.planning.fields import NAMES_WITH_AND, known
from layoutllm_graphs.planning.phrases import ENDS, LAST_INSIDE, LONGEST, fronted, outside, take_pages
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
        """The text without greetings, thanks and talk around what it asks for; "" where nothing is left."""
        patterns = self.language.patterns
        for _ in range(_MOST_FRONTS if len(text) <= LONGEST else 0):
            text = text[found.end() :] if (found := patterns["greeting"].match(text)) else text
            found = patterns["thanks"].search(text)
            if found is None and not patterns["small_talk"].fullmatch(text.strip(ENDS)):
                break
            text = text[: found.start()] if found else ""
        return text if any(map(str.isalnum, text)) else ""

    def of_document(self, text: str) -> str:
        """The text without the document, where it speaks of one: "the items on this receipt"."""
        patterns = self.language.patterns
        found = list(patterns["mention"].finditer(text)) if len(text) <= LONGEST else []
        alone = len(found) == 1 and not take_pages(text, self.language)[1] and found[0].start()
        if not alone or patterns["placed"].search(text[: found[0].start()]):
            return text
        return text[: found[0].start()] + text[found[0].end() :]

    def front(self, text: str) -> tuple[str, tuple[int, ...]]:
        """What is asked for, and the pages that stand before or behind it."""
        patterns, pages, asks = self.language.patterns, tuple[int, ...](), False
        fronts = [patterns[name] for name in ("polite", "place", "title", "output_format", "head", "verb")]
        for _ in range(_MOST_FRONTS):
            found = next((match for front in fronts if (match := front.match(text))), None)
            led = patterns["leading_page"].match(text) if not pages else None
            if found and found.end() and not known(text):
                asks = asks or found.re is patterns["verb"]
                text = text[found.end() :].lstrip(" ,:\u3001\uff1a")
            elif led:
                _, pages = take_pages(text[: led.end()], self.language)
                text = text[led.end() :] if pages else text
            else:
                break
        if not pages:
            text, pages = self._closing_page(text)
        text = self.closed(text)
        return (patterns["from_document"].sub("", text) if asks and len(text) <= LONGEST else text), pages

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
            owners, heads = filter(None, owned.groups())
            return self._of_each(owners, heads)
        text = patterns["shared_head"].sub(
            lambda found: self._of_each(found["owners"], patterns["plural_head"].sub("", found["heads"])),
            text,
        )
        for _ in range(_MOST_ENDS):
            text = self._each(text)
        text = self._columns_behind(text)
        text = patterns["shared_owner"].sub(
            lambda found: "{owner} {head}{link}{owner} {more}".format(**found.groupdict()), text
        )
        return patterns["compound"].sub(
            lambda found: "{first}{tail}{link} {second}".format(**found.groupdict()), text
        )

    def _columns_behind(self, text: str) -> str:
        """ "List the items, please (name, price)" -> "List the items (name, price)"."""
        found = LAST_INSIDE.search(text)
        return f"{self.closed(text[: found.start()])} {found.group()}" if found else text

    def _each(self, text: str) -> str:
        """ "Buyer and seller (name and city each), price" -> "Buyer name, Buyer city, seller name, ...".

        The things stand in parentheses, or they are such as people have. Owners are the two before, and all
        before these that surely are people; without "each", all surely are.
        """
        patterns = self.language.patterns
        found = patterns["each_with"].search(text)
        if found is None:
            return text
        head, behind = text[: found.start()], self.closed(text[found.end() :])
        core, pages = self.front(head)
        each = bool(found["each"] is not None or found["each2"])
        owners = self._owners(core, sure=not each)
        if found["open"]:
            things, _, behind = behind.partition(")" if ")" in behind else "\uff09")
            heads = [
                part.strip() for part in patterns["list_and"].split(patterns["each_end"].sub("", things))
            ]
        else:
            heads, behind = self._attributes(behind)
        known_heads = all(patterns["attribute"].match(fronted(one, self.language)) for one in heads)
        if pages or not owners or not heads or not (known_heads or each):
            return text
        first = head.rfind(core) + owners[0].start
        named = [core[part.start : part.end] for part in owners]
        return f"{head[:first]}{self._owned(named, heads)}{behind}"

    def _owners(self, text: str, *, sure: bool) -> list[Part]:
        """The parts at the end of a list that are owners."""
        parts = list(self.parts(text))
        are = [bool(self.language.patterns["party"].match(self._bare(text, part))) for part in parts]
        last = len(parts) if sure else max(len(parts) - 2, 0)
        if not sure and len(parts) < 2:
            return []
        while last and are[last - 1]:
            last -= 1
        return parts[last:]

    def _bare(self, text: str, part: Part) -> str:
        return fronted(text[part.start : part.end].strip(ENDS), self.language)

    def _attributes(self, text: str) -> tuple[list[str], str]:
        """The things at the beginning of a list that people have, and the text behind them."""
        heads, end = list[str](), 0
        for part in self.parts(text):
            if not self.language.patterns["attribute"].match(self._bare(text, part)):
                break
            heads.append(text[part.start : part.end].strip(ENDS))
            end = part.end
        return heads, text[end:]

    def _owned(self, owners: Sequence[str], heads: Sequence[str]) -> str:
        written, bare = self.language.texts["owned"], [fronted(head, self.language) for head in heads]
        named = [fronted(owner.strip(ENDS), self.language) for owner in owners]
        return ", ".join(written.format(owner=owner, head=head) for owner in named for head in bare if head)

    def _of_each(self, owners: str, heads: str) -> str:
        """ "shipper and consignee", "name, city" -> "shipper name, shipper city, consignee name, ..."."""
        split = self.language.patterns["list_and"].split
        each = [head.strip() for head in split(heads.rstrip(ENDS)) if head.strip()]
        return self._owned([owner for owner in split(owners) if owner.strip()], each)

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
