"""Fields by their names: how each is asked for, what its answer looks like, and drafts of plans made of them.

The wording is what the shipped model was trained on: a field named by its meaning is asked for as ``What is
the "company" in the given document?``, one named as it is printed as ``What is the content in the "PO No."
field?``. Reading tasks is *not* here: see ``text_rules`` and ``schemas``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pydantic import ValidationError

from layoutllm_graphs.planning.plan import (
    MOST_QUESTIONS,
    Column,
    Constraint,
    ConstraintKind,
    Plan,
    PlannedQuestion,
)
from layoutllm_graphs.planning.words import PATTERNS, WORDS
from layoutllm_tool.cot import ExpectedType
from layoutllm_tool.errors import PlanError

MEANT = 'What is the "{}" in the given document?'
PRINTED = 'What is the content in the "{}" field?'
COLUMN = 'What are all the values of "{}" in the given document?'
AMOUNTS = "What are the amounts of the items in the given document?"
ROWS = 'What are the rows of "{}" in the given document?'
LONGEST_FIELD = 120
"""Characters of a field's name."""


class KnownField(NamedTuple):
    """A field that has a name of its own. Fields of a family may stand for each other in a constraint."""

    family: str
    type: ExpectedType
    asked: str = ""
    """The name to ask by; "": the one that was given."""
    is_list: bool = False


def _known_fields() -> dict[str, KnownField]:
    found = {}
    for entry in WORDS["fields"]:
        names = entry.pop("names").split(",")
        found.update({name.strip(): KnownField(**entry) for name in names})
    return found


KNOWN: Mapping[str, KnownField] = _known_fields()
NAMES_WITH_AND = tuple(name for name in KNOWN if " and " in name)
_TYPES: dict[ExpectedType, re.Pattern[str]] = {
    kind: re.compile(rf"\b(?:{words})\b".replace("\n", "")) for kind, words in WORDS["types"].items()
}


def normal(phrase: str) -> str:
    """How ``KNOWN`` spells it: lower case, "e-mail" as "email", no points, no possessives, single blanks."""
    text = re.sub(r"['\u2019]s\b", "", phrase.lower())
    text = text.replace("e-mail", "email").replace("sub-total", "subtotal")
    return " ".join(text.replace("p.o.", "po").replace("_", " ").replace(".", " ").strip(" :,").split())


def known(phrase: str) -> KnownField | None:
    """The field that goes by this name, if there is one."""
    return KNOWN.get(normal(phrase))


def guess_type(phrase: str) -> ExpectedType:
    """What the words of an unknown field let expect."""
    words = normal(phrase)
    return next((kind for kind, found in _TYPES.items() if found.search(words)), "text")


def slug(phrase: str) -> str:
    """An identifier made of the words, under 57 characters, so that a suffix still fits."""
    plain = unicodedata.normalize("NFKD", phrase).encode("ascii", "ignore").decode().lower()
    made = re.sub(r"[^a-z0-9]+", "_", plain.replace("'s ", " ")).strip("_")[:56].rstrip("_")
    return f"field_{made}" if made[:1].isdigit() else made or "field"


def one_line(text: str) -> str:
    """The text with single blanks for line breaks and for what can't be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a draft. It gets its name at the end, from ``words`` (or ``name`` as it is)."""

    words: str
    text: str
    type: ExpectedType = "text"
    page: int | None = None
    is_list: bool = False
    required: bool = True
    choices: tuple[str, ...] = ()
    name: str = ""
    path: tuple[str, ...] = ()
    columns: tuple[Asked, ...] = ()


def ask(words: str, *, printed: bool = False, is_list: bool = False, page: int | None = None) -> Asked:
    """The question for a field; ``printed``: the words stand on the page just so."""
    if printed:
        return Asked(words, PRINTED.format(words), guess_type(words), page, is_list)
    entry = known(words)
    if entry is None:
        is_list = is_list or bool(PATTERNS["plural"].search(normal(words)))
        return Asked(words, (COLUMN if is_list else MEANT).format(words), guess_type(words), page, is_list)
    if entry.family == "items":
        return Asked(words, AMOUNTS, entry.type, page, is_list=True)
    is_list = is_list or entry.is_list
    plain = words.lower() if all(word.istitle() or word.islower() for word in words.split()) else words
    text = (COLUMN if is_list else MEANT).format(entry.asked or plain)
    return Asked(words, text, entry.type, page, is_list)


@dataclass(slots=True)
class Draft:
    """A plan in the making: questions without names yet, constraints by index, what was not understood."""

    asked: list[Asked] = field(default_factory=list)
    checks: list[tuple[ConstraintKind, tuple[int, ...], int | None]] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    """Parts of the task that no rule covers."""
    notes: list[str] = field(default_factory=list)

    def add(self, new: Asked) -> int:
        """Its index. The same field of the same page is asked for once."""
        for index, old in enumerate(self.asked):
            same = old.page == new.page and old.text.lower() == new.text.lower()
            if same and slug(old.words) == slug(new.words):
                return index
        if len(self.asked) == MOST_QUESTIONS:
            raise PlanError(f"the task asks for more than {MOST_QUESTIONS} things.", hint="Split it.")
        self.asked.append(new)
        return len(self.asked) - 1

    def find(self, new: Asked) -> int:
        """The question that a check speaks of: of the same name, else of the same family, else a new one."""
        near = [i for i, old in enumerate(self.asked) if new.page in (None, old.page)]
        same = [i for i in near if slug(self.asked[i].words) == slug(new.words)]
        entry = known(new.words)
        kin = [i for i in near if entry and (k := known(self.asked[i].words)) and k.family == entry.family]
        found = same or kin
        return min(found, key=lambda i: self.asked[i].page is not None) if found else self.add(new)

    def change(self, index: int, **values: object) -> None:
        self.asked[index] = replace(self.asked[index], **values)  # type: ignore[arg-type]

    def plan(self) -> Plan:
        """PlanError where the questions make no plan."""
        names = self._names()
        try:
            questions = [_planned(item, name) for item, name in zip(self.asked, names, strict=True)]
            return Plan(questions=_slots_checked(questions), constraints=[*self._constraints(names)])
        except ValidationError as error:
            reason = f"the task makes no plan: {first_error(error)}."
            raise PlanError(reason, hint="Say it in fewer words.") from error

    def _constraints(self, names: list[str]) -> Iterable[Constraint]:
        for kind, terms, total in dict.fromkeys(self.checks):
            named = None if total is None else names[total]
            yield Constraint(kind=kind, terms=[names[i] for i in terms], total=named)

    def _names(self) -> list[str]:
        bases = [item.name or slug(item.words) for item in self.asked]
        names: list[str] = []
        for item, base in zip(self.asked, bases, strict=True):
            paged = item.page is not None and bases.count(base) > 1
            names.append(_unused(f"{base[:54]}_page_{item.page}" if paged else base, names))
        return names


def first_error(error: ValidationError) -> str:
    """What pydantic holds against it first, in one line."""
    worst = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, worst["loc"]))
    return one_line(f"{where}: {worst['msg']}" if where else worst["msg"])[:200]


def _unused(name: str, used: list[str]) -> str:
    tries = (name, *(f"{name[:59]}_{n}" for n in range(2, len(used) + 3)))
    return next(made for made in tries if made not in used)


def _planned(item: Asked, name: str) -> PlannedQuestion:
    kept = ("text", "type", "page", "is_list", "required", "choices", "path")
    own = {part: getattr(item, part) for part in kept}
    return PlannedQuestion(name=name, columns=[*map(_column, item.columns)], **own)


def _column(item: Asked) -> Column:
    return Column(
        name=item.name, words=item.words, type=item.type, required=item.required, choices=list(item.choices),
        path=list(item.path), columns=[*map(_column, item.columns)],
    )  # fmt: skip


def _slots_checked(questions: list[PlannedQuestion]) -> list[PlannedQuestion]:
    """Braces that name no question, or make a circle, become parentheses: they are the user's own."""
    try:
        Plan(questions=questions)
    except ValidationError:
        table = str.maketrans("{}", "()")
        return [q.model_copy(update={"text": q.text.translate(table)}) for q in questions]
    return questions
