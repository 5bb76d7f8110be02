"""Fields by their names: how each is asked for, what its answer looks like, and drafts of plans made of them.

The wording is what the shipped model was trained on: a field named by its meaning is asked for as ``What is
the "company" in the given document?``, one named as it is printed as ``What is the content in the "PO No."
field?``. Reading tasks is *not* here: see ``text_rules`` and ``schemas``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, cast

from pydantic import ValidationError

from layoutllm_graphs.planning.plan import (
    MOST_QUESTIONS,
    Column,
    Condition,
    Constraint,
    ConstraintKind,
    Operation,
    OperationKind,
    Plan,
    PlannedQuestion,
    Refusal,
)
from layoutllm_graphs.planning.words import ENGLISH, LANGUAGES, REASONS
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
    lowered: bool = False
    """Whether it is asked for in lower case: English ones."""


def _known_fields() -> dict[str, KnownField]:
    found: dict[str, KnownField] = {}
    for entry in (entry for language in LANGUAGES for entry in language.fields):
        told = {key: value for key, value in entry.items() if key != "names"}
        known = KnownField(**told, lowered=entry in ENGLISH.fields)
        for name in entry["names"].split(","):
            found.setdefault(name.strip().lower(), known)
    return found


KNOWN: Mapping[str, KnownField] = _known_fields()
NAMES_WITH_AND = tuple(name for name in KNOWN if " and " in name)


def normal(phrase: str) -> str:
    """How ``KNOWN`` spells it: lower case, "e-mail" as "email", no points, no possessives, single blanks."""
    text = re.sub(r"['\u2019]s\b", "", phrase.lower())
    text = text.replace("e-mail", "email").replace("sub-total", "subtotal")
    return " ".join(text.replace("p.o.", "po").replace("_", " ").replace(".", " ").strip(" :,").split())


def known(phrase: str) -> KnownField | None:
    """The field that goes by this name, if there is one."""
    return KNOWN.get(normal(phrase)) if len(phrase) <= LONGEST_FIELD else None


def names_like(phrase: str) -> list[str]:
    """The names of the fields that may stand for it in a constraint."""
    entry = known(phrase)
    return [name for name, other in KNOWN.items() if entry and other.family == entry.family]


def guess_type(phrase: str) -> ExpectedType:
    """What the words of an unknown field let expect."""
    words = normal(phrase)
    kinds = (kind for language in LANGUAGES for kind, found in language.types.items() if found.search(words))
    return cast("ExpectedType", next(kinds, "text"))


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
    description: str = ""


def ask(words: str, *, printed: bool = False, is_list: bool = False, page: int | None = None) -> Asked:
    """The question for a field; ``printed``: the words stand on the page just so."""
    if printed:
        return Asked(words, PRINTED.format(words), guess_type(words), page, is_list)
    entry = known(words)
    if entry is None:
        plural = any(language.patterns["plural"].search(normal(words)) for language in LANGUAGES)
        is_list = is_list or plural
        return Asked(words, (COLUMN if is_list else MEANT).format(words), guess_type(words), page, is_list)
    if entry.family == "items":
        return Asked(words, AMOUNTS, entry.type, page, is_list=True)
    is_list = is_list or entry.is_list
    plain = entry.lowered and all(word.istitle() or word.islower() for word in words.split())
    text = (COLUMN if is_list else MEANT).format(entry.asked or (words.lower() if plain else words))
    return Asked(words, text, entry.type, page, is_list)


class Ref(NamedTuple):
    """What an operation is of: a question of the draft or an earlier step, or a column of either."""

    number: int
    column: str = ""
    step: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """An operation whose operands have no names yet. ``more``: the rest of an ``Operation``."""

    op: OperationKind
    of: tuple[Ref, ...]
    text: str
    condition: Condition | None = None
    more: Mapping[str, str | bool] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """A plan in the making: questions without names yet, constraints and operations by index, refusals."""

    asked: list[Asked] = field(default_factory=list)
    checks: list[tuple[ConstraintKind, tuple[int, ...], int | None]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, text: str, reason: str = "unknown") -> None:
        """Leave a part of the task out, for one of the reasons in ``words.toml``."""
        refusal = Refusal(text=text[:4_000], reason=REASONS[reason])
        if refusal not in self.refused and len(self.refused) < MOST_QUESTIONS:
            self.refused.append(refusal)

    def with_column(self, index: int, words: str, *, required: bool = False) -> str:
        """Add a column to the question's, where it has none of these words, and return its name."""
        columns = self.asked[index].columns
        found = next((column.name for column in columns if same_words(column.words, words)), None)
        if found is not None:
            return found
        name = _unused(_identifier(words, f"column_{len(columns) + 1}"), [column.name for column in columns])
        column = Asked(words, "", ask(words).type, name=name, required=required)
        self.change(index, columns=(*columns, column))
        return name

    def change_column(self, index: int, name: str, **values: object) -> None:
        changed = [replace(c, **values) if c.name == name else c for c in self.asked[index].columns]  # type: ignore[arg-type]
        self.change(index, columns=tuple(changed))

    def add(self, new: Asked) -> int:
        """Its index. The same field of the same page is asked for once."""
        for index, old in enumerate(self.asked):
            same = old.page == new.page and old.text.lower() == new.text.lower()
            if same and same_words(old.words, new.words):
                return index
        if len(self.asked) == MOST_QUESTIONS:
            raise PlanError(f"the task asks for more than {MOST_QUESTIONS} things.", hint="Split it.")
        self.asked.append(new)
        return len(self.asked) - 1

    def find(self, new: Asked) -> int:
        """The question that a check speaks of: of the same name, else of the same family, else a new one."""
        near = [i for i, old in enumerate(self.asked) if new.page in (None, old.page) and not old.columns]
        same = [i for i in near if same_words(self.asked[i].words, new.words)]
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
            return Plan(
                questions=_slots_checked(questions), constraints=[*self._constraints(names)],
                operations=self._operations(names), refused=self.refused,
            )  # fmt: skip
        except ValidationError as error:
            reason = f"the task makes no plan: {first_error(error)}."
            raise PlanError(reason, hint="Say it in fewer words.") from error

    def _constraints(self, names: list[str]) -> Iterable[Constraint]:
        for kind, terms, total in dict.fromkeys(self.checks):
            named = None if total is None else names[total]
            yield Constraint(kind=kind, terms=[names[i] for i in terms], total=named)

    def _operations(self, names: Sequence[str]) -> list[Operation]:
        made: list[Operation] = []
        for step in self.steps:
            sources = [made[ref.number].name if ref.step else names[ref.number] for ref in step.of]
            of = [f"{n}.{ref.column}" if ref.column else n for n, ref in zip(sources, step.of, strict=True)]
            base = slug(f"{step.op} {' '.join(name.replace('.', ' ') for name in of)}")
            name = _unused(base, [*names, *(operation.name for operation in made)])
            made.append(
                Operation(name=name, op=step.op, of=tuple(of), condition=step.condition, text=step.text[:500],
                          **step.more)  # type: ignore[arg-type]
            )  # fmt: skip
        return made

    def _names(self) -> list[str]:
        bases = [i.name or _identifier(i.words, "rows" if i.columns else "field") for i in self.asked]
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


def notes_of(refused: Iterable[Refusal]) -> tuple[str, ...]:
    """What a person should know about the parts of a task that are left out."""
    return tuple(f'Left out: "{one.text[:200]}". {one.reason}' for one in refused)


def _identifier(words: str, other: str) -> str:
    """A name made of the words' Latin letters; without any, of the known field's family; else ``other``."""
    made, entry = slug(words), known(words)
    if made != "field":
        return made
    return slug(entry.family) if entry else other


def same_words(one: str, other: str) -> bool:
    """Whether two names are the same, whatever their case and punctuation."""
    slugs = {slug(one), slug(other)}
    return normal(one) == normal(other) or (len(slugs) == 1 and "field" not in slugs)


def _unused(name: str, used: Sequence[str]) -> str:
    tries = (name, *(f"{name[:59]}_{n}" for n in range(2, len(used) + 3)))
    return next(made for made in tries if made not in used)


def _planned(item: Asked, name: str) -> PlannedQuestion:
    kept = ("text", "type", "page", "is_list", "required", "choices", "path")
    own = {part: getattr(item, part) for part in kept}
    return PlannedQuestion(name=name, columns=[*map(_column, item.columns)], **own)


def _column(item: Asked) -> Column:
    return Column(
        name=item.name, words=item.words, description=item.description, type=item.type,
        required=item.required, choices=list(item.choices), path=list(item.path),
        columns=[*map(_column, item.columns)],
    )  # fmt: skip


def _slots_checked(questions: list[PlannedQuestion]) -> list[PlannedQuestion]:
    """Braces that name no question, or make a circle, become parentheses: they are the user's own."""
    try:
        Plan(questions=questions)
    except ValidationError:
        table = str.maketrans("{}", "()")
        return [q.model_copy(update={"text": q.text.translate(table)}) for q in questions]
    return questions
