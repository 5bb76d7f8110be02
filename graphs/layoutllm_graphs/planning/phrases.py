"""The parts of a task in words: its clauses (sentences, list entries), the noun phrases and questions in them
("all the item amounts on page 2 (optional)"), and their pages and quoted strings.

Every pattern here is anchored or made of plain words, so that a text of any kind is read in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from layoutllm_graphs.planning.fields import LONGEST_FIELD, Asked, guess_type, known, one_line
from layoutllm_graphs.planning.words import ENGLISH, Language
from layoutllm_tool.cot import ExpectedType
from layoutllm_tool.documents import dates

MOST_PAGES = 20
"""Of one phrase ("pages 1 to 20")."""
LONGEST = 600
"""Characters beyond which a clause or a phrase isn't looked into: no name, and time is dear."""
MOST_WORDS = 5
"""Of a field's name, without articles and the like."""
_BULLET = re.compile(r"\s*(?:[-*•\u2013·▪◦+・]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s+")
_INLINE = re.compile(r"(?:(?<=\s)|(?<=^))\(?(\d{1,2})[.)]\s")
_END = re.compile(r"[;\n\u3002\uff01\uff1f]|(?<![.!?])[.!?]+(?=\s|$)|(?<=[\u3041-\u30fe])[?!]+")
_HEADING = re.compile(r"[^:;.!?]{1,80}[:\uff1a](?=[^.!?]*$)")
_OPEN, _SHUT = "\ue000", "\ue001"
_QUOTED = re.compile(
    r"\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|«([^»\n]{1,200})»|„([^“”\n]{1,200})[“”]"
    r"|\u300c([^\u300d\n]{1,200})\u300d|\u300e([^\u300f\n]{1,200})\u300f|(?<![\w'])'([^'\n]{1,200})'(?!\w)"
)
INSIDE = re.compile(r"[(\uff08][^()\uff08\uff09\n]{1,200}[)\uff09]")
LAST_INSIDE = re.compile(f"{INSIDE.pattern}$")
"""Parentheses at the end."""
_HALF = re.compile("[()\uff08\uff09]")
_HELD = re.compile(f"{_OPEN}(\\d+){_SHUT}")
COLONS, QUESTION_MARKS = (":", "\uff1a"), ("?", "\uff1f")
"""Narrow and wide, as Japanese has them."""
ENDS = " ,.;:!?\u3001\u3002\uff1a\uff1f"
"""What is no part of a phrase at its ends."""
LONGEST_QUESTION = 500
"""Characters, as plans have it."""
_STARTS: dict[str, ExpectedType] = {
    "when": "date", "on what date": "date", "on which date": "date", "who": "name", "which company": "name",
    "how much": "money", "how many": "number",
}  # fmt: skip
"""The type that the beginning of a question lets expect."""
_AMOUNT = re.compile(r"[\s\d.,']*\d[\s\d.,'\u2019]*[万千]?\s*")
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


def clauses_of(text: str, language: Language) -> Iterator[Clause]:
    """In order; inline enumerations ("1) vendor 2) date") are lists too."""
    numbers = [int(found.group(1)) for found in _INLINE.finditer(text)]
    if numbers[:2] == [1, 2]:
        text = _INLINE.sub(lambda found: f"\n{found.group(1)}. ", text)
    for line in text.splitlines():
        bullet = _BULLET.match(line)
        if heading := _HEADING.match(line):  # what follows is one list
            line = heading.group() + line[heading.end() :].replace(";", ",")
        for part in _sentences(line[bullet.end() :] if bullet else line, language):
            if part.text:
                yield replace(part, item=bullet is not None)


def _sentences(line: str, language: Language) -> Iterator[Clause]:
    start = 0
    for found in _END.finditer(line):
        text = line[start : found.start()].strip()
        last = text.rsplit(maxsplit=1)[-1].lower().lstrip("(") if text else ""
        shortened = last in language.lists["abbreviations"] or len(last) == 1
        if found.group() == "." and shortened and line[found.end() :].strip():
            continue
        yield Clause(text, any(mark in found.group() for mark in QUESTION_MARKS))
        start = found.end()
    yield Clause(line[start:].strip())


def apart(clause: Clause, language: Language) -> list[Clause]:
    """The clauses of a sentence: what is to be extracted, checked, computed."""
    text = language.patterns["aside"].sub(" ", clause.text)
    for found in reversed([*outside(language.patterns["cut"], text)] if len(text) <= LONGEST else []):
        text = text[: found.start()] + _cut(found) + text[found.end() :]
    parts = [part.strip() for part in text.split("\n")]
    return [replace(clause, text=part) for part in parts if part]


def outside(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Where the pattern stands in the text, but for parentheses."""
    inside = [found.span() for found in INSIDE.finditer(text)]
    for found in pattern.finditer(text):
        if not any(start < found.start() < end for start, end in inside):
            yield found


def _cut(found: re.Match[str]) -> str:
    """A line break, after what is part of the clause before."""
    return "".join(kept for kept in found.groupdict().values() if kept) + "\n"


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
    language: Language = field(default=ENGLISH, repr=False, compare=False)

    @property
    def is_name(self) -> bool:
        """Whether the words are surely a field's name."""
        words = self.words.lower().split()
        lists, strong = self.language.lists, self.language.patterns["strong"]
        plain = (
            0 < len([word for word in words if word not in lists["not_in_short_names"]]) <= MOST_WORDS
            and len(self.words) <= LONGEST_FIELD
            and lists["not_in_names"].isdisjoint(words)
            and words[0] not in lists["verbs"]
            and any(c.isalpha() for c in self.words)
            and not self.language.patterns["strange"].search(self.words)
            and not strong.search(self.words)
            and not any(self.language.patterns["list_and"].search(f) for f in INSIDE.findall(self.words))
            and not _HALF.search(INSIDE.sub("", self.words))
            and not (self.language.capitals and self.words.islower())
            and not _AMOUNT.fullmatch(self.language.patterns["currency"].sub("", self.words))
            and not (self.words[0].isdigit() and dates.read(self.words))
            and not self.language.patterns["imperative"].match(self.words)
        )
        return self.printed or known(self.words) is not None or (plain and not self.is_empty)

    @property
    def is_empty(self) -> bool:
        """Whether nothing in it could stand on a page: "it", "the document"."""
        if self.printed:
            return False
        lists = self.language.lists
        little = lists["not_in_names"] | lists["not_in_short_names"]
        common = len(self.words) > 1 and set(self.words.lower().split()) <= little  # "a" may be a field
        says_nothing = common or not any(c.isalnum() for c in self.words)
        return says_nothing or bool(self.language.patterns["document"].match(self.words))


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


def without_quotes(text: str, held: Sequence[str]) -> str:
    """The marks as what stood in quotes."""
    return _HELD.sub(lambda found: held[int(found.group(1))], text)


def shown(text: str, held: Sequence[str], language: Language) -> str:
    """A part of a task as the person wrote it, in one line."""
    return one_line(release_quotes(part_pages(text, language), held))


def join_pages(text: str, language: Language) -> str:
    """ "pages 1 and 2" as "page 1+2", which lists don't split; ranges are written out."""
    return language.patterns["pages"].sub(_joined, text)


def _joined(found: re.Match[str]) -> str:
    first, both, span, last = found.groups()
    if last is None:
        return f"page {first}"
    if both or not span or not int(first) < int(last) < int(first) + MOST_PAGES:
        return f"page {first}+{last}"
    return f"page {'+'.join(map(str, range(int(first), int(last) + 1)))}"


def part_pages(text: str, language: Language) -> str:
    """ "page 1+2" as people write it."""
    written, both = language.texts["page"], language.texts["and"]
    return re.sub(
        r"(?<![a-z])page (\d+(?:\+\d+)*)",
        lambda found: written.format(found.group(1).replace("+", both)),
        text,
    )


def take_pages(text: str, language: Language) -> tuple[str, tuple[int, ...]]:
    """The text without the pages it names, and those."""
    pages = [
        page
        for numbers, ordinal in language.patterns["page"].findall(text)
        for page in (map(int, numbers.split("+")) if numbers else (_ordinal(ordinal, language),))
    ]
    left = " ".join(language.patterns["page"].sub(" ", text).split()) if pages else text
    return left, tuple(dict.fromkeys(pages))


def _ordinal(word: str, language: Language) -> int:
    return language.ordinals.index(word.lower()) + 1


def phrase(
    text: str, held: Sequence[str], language: Language, *, edges: str = ENDS, placed: bool = False
) -> Phrase:
    """A part of a list, or a term of a check. ``edges`` are no part of it where they stand at its ends.

    ``placed``: where it stands belongs to it ("on the payment slip").
    """
    if len(text) > LONGEST:
        return Phrase(one_line(text), language=language)
    patterns = language.patterns
    text, pages = take_pages(" ".join(text.split()), language)
    text, optional = patterns["optional"].subn("", text)
    text = patterns["data_type"].sub("", text.translate(_NO_BRACES))
    text = text.strip(f" {edges}")
    text, is_list = _fronted(text if placed else patterns["trailing_document"].sub("", text), language)
    if printed := _HELD.fullmatch(patterns["around_quote"].sub("", text)):
        words = held[int(printed.group(1))]
        return Phrase(words, pages, printed=True, is_list=is_list, required=not optional, language=language)
    words = one_line(without_quotes(text, held))
    words = words.strip(f" {edges.replace('.', '')}")
    named = words if any(c.isalnum() for c in words) else ""
    return Phrase(named, pages, is_list=is_list, required=not optional, language=language)


def fronted(text: str, language: Language) -> str:
    """The text without articles and the like at its front."""
    return _fronted(text, language)[0] if len(text) <= LONGEST else text


def _fronted(text: str, language: Language) -> tuple[str, bool]:
    """The text without articles and the like at its front, and whether it asks for all of something."""
    is_list = False
    front, all_of = language.patterns["front_word"], language.patterns["all_of"]
    while found := front.match(text) or all_of.match(text):
        if not text[found.end() :].strip() or known(text):
            break
        is_list = is_list or found.re is all_of
        text = text[found.end() :]
    return text, is_list


def read_question(
    text: str, written: str, held: Sequence[str], language: Language
) -> tuple[Asked, tuple[int, ...]]:
    """The question and the pages that it names."""
    what_is = language.patterns["what_is"]
    named = phrase(what_is.sub("", text, count=1), held, language)
    entry = known(named.words)
    kind = entry.type if entry else _question_type(text, named)
    if entry and entry.family == "items" and not re.search(r"amount|price|total", named.words):
        kind = "text"
    is_list = named.is_list or bool(entry and entry.is_list)
    quoted = [held[int(number)] for number in _HELD.findall(text)]
    one = len(quoted) == 1 and what_is.match(text)
    return Asked(quoted[0] if one else _short_name(named), written, kind, is_list=is_list), named.pages


def _question_type(text: str, named: Phrase) -> ExpectedType:
    lower = text.lower()
    told = next((kind for start, kind in _STARTS.items() if lower.startswith(start)), None)
    asks_for_field = named.language.patterns["what_is"].match(text) and named.is_name
    if told is None and (asks_for_field or lower.startswith("what's the")):
        return guess_type(named.words)
    return told or "text"


def _short_name(named: Phrase) -> str:
    common = named.language.lists["not_in_short_names"]
    return " ".join([word for word in named.words.split() if word.lower() not in common][:6])
