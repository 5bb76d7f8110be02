"""The parts of a task in words: its clauses (sentences, list entries), the noun phrases and questions in them
("all the item amounts on page 2 (optional)"), and their pages and quoted strings.

Every pattern here is anchored or made of plain words, so that a text of any kind is read in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from layoutllm_graphs.planning.fields import LONGEST_FIELD, Asked, guess_type, known, one_line
from layoutllm_graphs.planning.words import PATTERNS, WORD_LISTS
from layoutllm_tool.cot import ExpectedType

MOST_PAGES = 20
"""Of one phrase ("pages 1 to 20")."""
_LONGEST = 600
"""Characters beyond which a phrase isn't looked into: no name, and time is dear."""
MOST_WORDS = 5
"""Of a field's name that is taken as one without asking further."""
_BULLET = re.compile(r"\s*(?:[-*•\u2013·▪◦+]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s+")
_INLINE = re.compile(r"(?:(?<=\s)|(?<=^))\(?(\d{1,2})[.)]\s")
_END = re.compile(r"[;\n]|(?<![.!?])[.!?]+(?=\s|$)")
_OPEN, _SHUT = "\ue000", "\ue001"
_QUOTED = re.compile(
    r"\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|«([^»\n]{1,200})»"
    r"|(?<![\w'])'([^'\n]{1,200})'(?!\w)"
)
_HELD = re.compile(f"{_OPEN}(\\d+){_SHUT}")

_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
_PRINTED = re.compile(
    rf"(?i)^(?:field |column |box |value of )?{_HELD.pattern}(?: fields?| columns?| box| values?)?$"
)
_STRANGE = re.compile(r"[<>=\u0250-\u1fff\u2c00-\ud7ff]|\w{31}")
"""Not Latin script, or no words."""
LONGEST_QUESTION = 500
"""Characters, as plans have it."""
_STARTS: dict[str, ExpectedType] = {
    "when": "date", "on what date": "date", "on which date": "date", "who": "name", "which company": "name",
    "how much": "money", "how many": "number",
}  # fmt: skip
"""The type that the beginning of a question lets expect."""
_NO_BRACES = str.maketrans("", "", "{}")


@dataclass(frozen=True, slots=True)
class Clause:
    text: str
    asked: bool = False
    """Ends with a question mark."""
    item: bool = False
    """An entry of a list: one thing, unless every part of it is a known field."""
    given: bool = False
    """The list was handed over as one: each entry is a field, a question or a check, whatever its words."""


def clauses_of(text: str) -> Iterator[Clause]:
    """In order; inline enumerations ("1) vendor 2) date") are lists too."""
    numbers = [int(found.group(1)) for found in _INLINE.finditer(text)]
    if numbers[:2] == [1, 2]:
        text = _INLINE.sub(lambda found: f"\n{found.group(1)}. ", text)
    for line in text.splitlines():
        bullet = _BULLET.match(line)
        for part in _sentences(line[bullet.end() :] if bullet else line):
            if part.text:
                yield replace(part, item=bullet is not None)


def _sentences(line: str) -> Iterator[Clause]:
    start = 0
    for found in _END.finditer(line):
        text = line[start : found.start()].strip()
        last = text.rsplit(maxsplit=1)[-1].lower().lstrip("(") if text else ""
        shortened = last in WORD_LISTS["abbreviations"] or len(last) == 1
        if found.group() == "." and shortened and line[found.end() :].strip():
            continue
        yield Clause(text, "?" in found.group())
        start = found.end()
    yield Clause(line[start:].strip())


def apart(clause: Clause) -> list[Clause]:
    """What is to be extracted, and what is to be checked."""
    kept = PATTERNS["aside"].sub(" ", clause.text)
    wholes = PATTERNS["and_check"].split(kept)
    parts = [part.strip() for whole in wholes for part in PATTERNS["and_verb"].split(whole)]
    return [replace(clause, text=part) for part in parts if part]


@dataclass(frozen=True, slots=True)
class Phrase:
    """What a part of a task names."""

    words: str
    """As the user wrote them, "" where nothing is left."""
    pages: tuple[int, ...] = ()
    printed: bool = False
    """In quotes: the words stand on the page just so."""
    is_list: bool = False
    required: bool = True

    @property
    def is_name(self) -> bool:
        """Whether the words are surely a field's name."""
        words = self.words.lower().split()
        plain = (
            0 < len(words) <= MOST_WORDS
            and len(self.words) <= LONGEST_FIELD
            and WORD_LISTS["not_in_names"].isdisjoint(words)
            and not _STRANGE.search(self.words)
        )
        return self.printed or known(self.words) is not None or plain

    @property
    def is_empty(self) -> bool:
        """Whether nothing in it could stand on a page: "it", "the document"."""
        if self.printed:
            return False
        common = set(self.words.lower().split()) <= WORD_LISTS["not_in_names"]
        says_nothing = common or not any(c.isalnum() for c in self.words)
        return says_nothing or bool(PATTERNS["document"].match(self.words))


def hold_quotes(text: str) -> tuple[str, list[str]]:
    """The text with each quoted string replaced by a mark that no splitting touches, and the strings."""
    held: list[str] = []

    def hold(found: re.Match[str]) -> str:
        inside = one_line(next(group for group in found.groups() if group is not None))
        if not any(c.isalnum() for c in inside):
            return " "
        held.append(inside)
        return f"{_OPEN}{len(held) - 1}{_SHUT}"

    return _QUOTED.sub(hold, text.replace(_OPEN, " ").replace(_SHUT, " ")), held


def release_quotes(text: str, held: Sequence[str]) -> str:
    """The marks as quoted strings again."""
    return _HELD.sub(lambda found: f'"{held[int(found.group(1))]}"', text)


def join_pages(text: str) -> str:
    """ "pages 1 and 2" as "page 1+2", which lists don't split; ranges are written out."""
    return PATTERNS["pages"].sub(_joined, text)


def _joined(found: re.Match[str]) -> str:
    first, link, last = found.groups()
    if link is None:
        return f"page {first}"
    if link in ("and", "&", ",") or not int(first) < int(last) < int(first) + MOST_PAGES:
        return f"page {first}+{last}"
    return f"page {'+'.join(map(str, range(int(first), int(last) + 1)))}"


def part_pages(text: str) -> str:
    """ "page 1+2" as people write it."""
    return re.sub(r"(?<=\bpage )\d+(?:\+\d+)+", lambda found: found.group().replace("+", " and "), text)


def take_pages(text: str) -> tuple[str, tuple[int, ...]]:
    """The text without the pages it names, and those."""
    pages = [
        page
        for numbers, ordinal in PATTERNS["page"].findall(text)
        for page in (map(int, numbers.split("+")) if numbers else (_ORDINALS[ordinal.lower()],))
    ]
    return " ".join(PATTERNS["page"].sub(" ", text).split()) if pages else text, tuple(dict.fromkeys(pages))


def phrase(text: str, held: Sequence[str], *, edges: str = ",:;.!?") -> Phrase:
    """A part of a list, or a term of a check. ``edges`` are no part of it where they stand at its ends."""
    if len(text) > _LONGEST:
        return Phrase(one_line(text))
    text, pages = take_pages(" ".join(text.split()))
    text, optional = PATTERNS["optional"].subn("", text)
    text = PATTERNS["data_type"].sub("", text.translate(_NO_BRACES))
    text, is_list = _fronted(PATTERNS["trailing_document"].sub("", text.strip(f" {edges}")))
    if printed := _PRINTED.match(text):
        words = held[int(printed.group(1))]
        return Phrase(words, pages, printed=True, is_list=is_list, required=not optional)
    words = one_line(_HELD.sub(lambda found: held[int(found.group(1))], text))
    words = words.strip(f" {edges.replace('.', '')}")
    named = words if any(c.isalnum() for c in words) else ""
    return Phrase(named, pages, is_list=is_list, required=not optional)


def _fronted(text: str) -> tuple[str, bool]:
    """The text without articles and the like at its front, and whether it asks for all of something."""
    is_list = False
    while found := PATTERNS["front_word"].match(text) or PATTERNS["all_of"].match(text):
        if not text[found.end() :].strip() or known(text):
            break
        is_list = is_list or bool(PATTERNS["all_of"].match(text) and found.re is PATTERNS["all_of"])
        text = text[found.end() :]
    return text, is_list


def read_question(text: str, written: str, held: Sequence[str]) -> tuple[Asked, tuple[int, ...]]:
    """The question and the pages that it names."""
    named = phrase(PATTERNS["what_is"].sub("", text, count=1), held)
    entry = known(named.words)
    kind = entry.type if entry else _question_type(text, named)
    if entry and entry.family == "items" and not re.search(r"amount|price|total", named.words):
        kind = "text"
    is_list = named.is_list or bool(entry and entry.is_list)
    quoted = [held[int(number)] for number in _HELD.findall(text)]
    name = quoted[0] if len(quoted) == 1 and PATTERNS["what_is"].match(text) else _short_name(named.words)
    return Asked(name, written, kind, is_list=is_list), named.pages


def _question_type(text: str, named: Phrase) -> ExpectedType:
    lower = text.lower()
    told = next((kind for start, kind in _STARTS.items() if lower.startswith(start)), None)
    asks_for_field = PATTERNS["what_is"].match(text) and named.is_name
    if told is None and (asks_for_field or lower.startswith("what's the")):
        return guess_type(named.words)
    return told or "text"


def _short_name(words: str) -> str:
    common = WORD_LISTS["not_in_short_names"]
    return " ".join([word for word in words.split() if word.lower() not in common][:6])
