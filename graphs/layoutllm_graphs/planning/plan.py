"""A document task as data: questions with types, pages and dependencies, and constraints between answers.

Plain JSON both ways (``model_dump(mode="json")``, ``Plan.model_validate``), so that a plan can be shown,
edited by a person, checkpointed and made by a language model. ``planner`` makes plans, ``workflow`` runs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from layoutllm_tool.cot import ExpectedType

MOST_QUESTIONS = 200
"""Of a plan; a language model that writes more has lost its way."""
LAST_PAGE = 10_000
"""No document has more pages."""
SEPARATOR = "; "
"""Between the values of a list question: its one answer is all of them."""
NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
Name = Annotated[str, Field(max_length=64)]
_SLOT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


ConstraintKind = Literal["sum", "equal", "ordered"]


class Column(BaseModel):
    """One column of a table that is read as rows."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME, description="A short identifier, unique in the table: 'unit_price'.")
    words: str = Field(min_length=1, max_length=500, description="What the column holds, in plain words.")
    type: ExpectedType = Field(default="text", description="What its cells must look like.")
    required: bool = Field(default=True, description="False where a row may lack it.")
    choices: list[Annotated[str, Field(max_length=500)]] = Field(
        default_factory=list, max_length=100, description="The only values allowed, if any."
    )
    path: list[Annotated[str, Field(max_length=200)]] = Field(
        default_factory=list, max_length=20, description="Its place in a row's record."
    )
    columns: list[Column] = Field(
        default_factory=list, max_length=100, description="Of rows within a row: sub-items, a group's rows."
    )


class PlannedQuestion(BaseModel):
    """One fact to find. ``{name}`` in the text stands for another question's answer, which is found first."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME, description="A short identifier, unique in the plan: 'invoice_number'.")
    text: str = Field(min_length=1, max_length=500, description="The question, in plain words.")
    type: ExpectedType = Field(default="text", description="What the answer must look like.")
    page: int | None = Field(
        default=None, ge=1, le=LAST_PAGE, description="The page to look at, counting from 1. None: all pages."
    )
    is_list: bool = Field(
        default=False,
        validation_alias=AliasChoices("is_list", "many"),  # "many" in plans that were stored before
        description="True where the answer is a column of values, such as the items' amounts.",
    )
    choices: list[Annotated[str, Field(max_length=500)]] = Field(
        default_factory=list, max_length=100, description="The only values allowed, if any."
    )
    required: bool = Field(default=True, description="False where the document may well not say.")
    columns: list[Column] = Field(
        default_factory=list, max_length=100,
        description="For a table: its columns. The answer is all rows of the table, over all pages.",
    )  # fmt: skip
    path: list[Annotated[str, Field(max_length=200)]] = Field(
        default_factory=list, max_length=20, description="Where the answer belongs in the schema's record."
    )

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The questions whose answers stand in the text."""
        return tuple(dict.fromkeys(_SLOT.findall(self.text)))

    def filled(self, answers: Mapping[str, str]) -> str:
        """The text with the answers in their places; a missing one stays as its name."""
        return _SLOT.sub(lambda found: answers.get(found.group(1), found.group(1)), self.text)


class Constraint(BaseModel):
    """What must hold between answers.

    ``sum``: the terms add up to the total, to the cent. ``equal``: all terms say the same. ``ordered``: dates
    or numbers, none before the one that stands before it in ``terms``.
    """

    model_config = ConfigDict(extra="forbid")

    kind: ConstraintKind
    terms: list[Name] = Field(min_length=1, max_length=MOST_QUESTIONS, description="Names of questions.")
    total: Name | None = Field(
        default=None, description="For kind 'sum': the name of the question that the terms add up to."
    )

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.terms, self.total) if self.total else tuple(self.terms)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind == "sum") != (self.total is not None):
            raise ValueError("a constraint has a total if, and only if, its kind is 'sum'")
        if self.kind != "sum" and len(self.terms) < 2:
            raise ValueError(f"a constraint of kind {self.kind!r} compares at least two terms")
        return self


class Plan(BaseModel):
    """What is asked of one document, in an order in which it can be asked."""

    model_config = ConfigDict(extra="forbid")

    questions: list[PlannedQuestion] = Field(min_length=1, max_length=MOST_QUESTIONS)
    constraints: list[Constraint] = Field(default_factory=list, max_length=MOST_QUESTIONS)

    @field_validator("questions")
    @classmethod
    def _names(cls, questions: list[PlannedQuestion]) -> list[PlannedQuestion]:
        names = [question.name for question in questions]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"these names are used twice: {', '.join(twice)}")
        return questions

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = {question.name for question in self.questions}
        used = {name for question in self.questions for name in question.depends_on}
        used |= {name for constraint in self.constraints for name in constraint.names}
        if unknown := sorted(used - known):
            raise ValueError(f"no question is called {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        try:
            self.stages()
        except CycleError as error:
            circle = ", ".join(map(str, error.args[1]))
            raise ValueError(f"these questions wait for one another: {circle}") from None
        return self

    def question(self, name: str) -> PlannedQuestion:
        """KeyError where there is none of that name."""
        return {question.name: question for question in self.questions}[name]

    def stages(self) -> list[list[str]]:
        """Names by when they can be asked: a stage's questions at once, stage after stage."""
        order = TopologicalSorter({question.name: question.depends_on for question in self.questions})
        order.prepare()
        found: list[list[str]] = []
        while order.is_active():
            ready = order.get_ready()
            found.append([q.name for q in self.questions if q.name in ready])
            order.done(*ready)
        return found
