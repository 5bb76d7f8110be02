"""The languages of the rules that read tasks in words: patterns, word lists and sentences, from TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, NamedTuple

_SLOT = re.compile(r"\{(\w+)\}")
_LONGEST_SLOT = 120


class Template(NamedTuple):
    """A sentence with slots, which are the pattern's groups, and what it stands for."""

    pattern: re.Pattern[str]
    more: Mapping[str, Any]


class RowWords(NamedTuple):
    """What a list of things in rows is called, and the columns that such a list has."""

    many: tuple[str, ...]
    one: tuple[str, ...]
    columns: tuple[str, ...]
    also_fields: bool = False
    """Without "all" or "every" the words name a field."""


@dataclass(frozen=True, slots=True)
class Language:
    patterns: Mapping[str, re.Pattern[str]]
    lists: Mapping[str, frozenset[str]]
    sentences: Mapping[str, tuple[Template, ...]]
    """By kind: checks, operations, tables, conditions."""
    refusals: tuple[tuple[str, re.Pattern[str]], ...]
    """(reason, what is refused for it)"""
    refusals_of_questions: tuple[tuple[str, re.Pattern[str]], ...]
    rows: tuple[RowWords, ...]
    types: Mapping[str, re.Pattern[str]]
    fields: tuple[Mapping[str, Any], ...]
    texts: Mapping[str, str]
    ordinals: tuple[str, ...]
    """Of pages, from the first on."""
    cardinals: tuple[str, ...]
    """From one on."""
    common: frozenset[str]
    """Words that ask for something, or say where it stands, and are no part of it."""
    told: frozenset[str]
    """Words of the sentences for operations, tables and checks."""
    capitals: bool = False
    """Nouns have capitals in the text."""

    @property
    def spaced(self) -> bool:
        """Whether blanks stand between words."""
        return self.texts.get("blanks") != "none"

    def content_of(self, text: str) -> list[str]:
        return _content(self.patterns["content"], text)


def _words(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text("utf-8"))


def _one_line_each(says: str) -> list[str]:
    """Its sentences: an indented line goes on with the line before."""
    return re.sub(r"\n +", "", says).splitlines()


class _Parts:
    """Patterns with the parts that they name put in."""

    def __init__(self, parts: Mapping[str, str]) -> None:
        self.parts: dict[str, str] = {}
        for name, text in parts.items():
            self.parts[name] = self.filled(text)

    def filled(self, text: str) -> str:
        text = text.replace("\n", "")
        return re.sub(r"%(\w+)%", lambda found: self.parts.get(found.group(1), found.group()), text)

    def pattern(self, text: str) -> re.Pattern[str]:
        return re.compile(self.filled(text), re.IGNORECASE)

    def templates(self, entries: list[dict[str, Any]]) -> Iterator[Template]:
        for entry in entries:
            more = {key: value for key, value in entry.items() if key != "says"}
            for line in filter(None, map(str.strip, _one_line_each(entry["says"]))):
                slotted = _SLOT.sub(rf"(?P<\1>.{{1,{_LONGEST_SLOT}}}?)", self.filled(line))
                yield Template(re.compile(slotted, re.IGNORECASE), more)


def _rows(entries: list[dict[str, Any]]) -> Iterator[RowWords]:
    for entry in entries:
        for group in entry["names"].split(";"):
            many, one = (_listed(words) for words in group.split("/"))
            columns = tuple(name.strip() for name in entry["columns"].split(","))
            yield RowWords(many, one, columns, entry.get("also_fields", False))


def _listed(names: str) -> tuple[str, ...]:
    return tuple(" ".join(name.split()).lower() for name in names.split(","))


def _content(pattern: re.Pattern[str], text: str) -> list[str]:
    """The words of a text that carry meaning, in lower case."""
    return [found.group() for found in pattern.finditer(text.casefold())]


_COMMON = (
    "polite", "place", "verb", "head", "output_format", "closing", "compute", "compute_end", "showing",
    "what_is", "front_word", "all_of", "trailing_document", "around_quote", "check", "surely_check",
    "check_end", "task_verb", "row_end", "optional", "no_field", "question", "yes_no", "list_and", "cut",
    "page", "elliptic", "supposing", "nothing", "indirect_question", "leading_page", "closing_page",
    "currency",
)  # fmt: skip


def _literals(sources: Iterable[str], content: re.Pattern[str]) -> frozenset[str]:
    """The words that stand in patterns, also without a last letter that may be left out."""
    plain = [re.sub(r"\\[a-zA-Z]|\(\?P<\w+>|\{\w+\}|\(\?<?[:=!]", " ", source) for source in sources]
    plain += [re.sub(r"\[(\w)(\w)\]", choice, source) for source in plain for choice in (r"\1", r"\2")]
    shorter = [re.sub(r"[\w ]\?", "", source) for source in plain]
    fuller = [source.replace("?", "") for source in plain]
    return frozenset(word for text in (*plain, *shorter, *fuller) for word in _content(content, text))


def _language(words: dict[str, Any]) -> Language:
    parts = _Parts(words["parts"])
    patterns = {name: parts.pattern(text) for name, text in words["patterns"].items()}
    kinds = ("checks", "operations", "tables", "conditions")
    said = [parts.filled(entry["says"]) for kind in kinds for entry in words[kind]]
    said += [entry["names"] for entry in words["rows"]]
    common = [patterns[name].pattern for name in _COMMON if name in patterns]
    common += [parts.parts[name] for name in ("doc", "any_doc", "this_doc") if name in parts.parts]
    listed = [
        words["lists"]["not_in_short_names"],
        words["lists"]["pronouns"],
        words["lists"].get("common", ""),
    ]
    return Language(
        patterns=patterns,
        lists={name: frozenset(text.split()) for name, text in words["lists"].items()},
        sentences={kind: tuple(parts.templates(words[kind])) for kind in kinds},
        refusals=tuple((why, parts.pattern(text)) for why, text in words["refusals"].items()),
        refusals_of_questions=tuple(
            (why, parts.pattern(text)) for why, text in words["refusals_of_questions"].items()
        ),
        rows=tuple(_rows(words["rows"])),
        types={kind: parts.pattern(rf"\b(?:{text})\b") for kind, text in words["types"].items()},
        fields=tuple(words["fields"]),
        texts=words["texts"],
        ordinals=tuple(words["lists"]["ordinals"].split()),
        common=_literals([*common, *listed], patterns["content"]),
        told=_literals([*said, words["lists"]["ordinals"], words["texts"]["cardinals"]], patterns["content"]),
        cardinals=tuple(words["texts"]["cardinals"].split()),
    )


_ENGLISH = _words("words.toml")
REASONS: Mapping[str, str] = _ENGLISH["reasons"]
"""Why a part of a task is refused, in a sentence."""
ENGLISH = _language(_ENGLISH)
_OTHERS = tuple(_language(_words(name)) for name in ("words.ja.toml", "words.de.toml"))
LANGUAGES = (ENGLISH, *_OTHERS)
NEGATIVE = re.compile(
    "|".join(language.patterns["negative"].pattern for language in LANGUAGES), re.IGNORECASE
)
"""An answer that begins so says no."""


def language_of(text: str) -> Language:
    """The language that the text has marks of; English where it has none."""
    sample = text[:_LONGEST_SAMPLE]
    found = next((one for one in _OTHERS if one.patterns["marks"].search(sample)), ENGLISH)
    nouns = found.texts.get("nouns") == "with capitals" and _CAPITAL.search(sample)
    return replace(found, capitals=True) if nouns else found


_LONGEST_SAMPLE = 600
_CAPITAL = re.compile(r"[a-zäöüß,] [A-ZÄÖÜ][a-zäöüß]")
