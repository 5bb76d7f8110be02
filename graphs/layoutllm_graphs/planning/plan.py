"""A document task as data: questions with types, pages and dependencies, constraints between answers, what is
computed from them, and the parts of the task that are refused.

Plain JSON both ways (``model_dump(mode="json")``, ``Plan.model_validate``), so that a plan can be shown,
edited by a person, checkpointed and made by a language model. ``planner`` makes plans, ``workflow`` runs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Literal, Self, get_args

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
CONSTRAINTS: tuple[ConstraintKind, ...] = get_args(ConstraintKind)
OperationKind = Literal[
    "count", "sum", "difference", "product", "minimum", "maximum", "sort", "filter", "compare", "exists"
]
Comparison = Literal[
    "<", "<=", "=", ">=", ">", "contains", "not contains", "before", "after", "first", "last"
]
POSITIONS = frozenset({"first", "last"})
"""They leave so many rows, and look at no column."""
_ARITY: dict[OperationKind, tuple[int, int]] = {
    "count": (1, 1), "sum": (1, MOST_QUESTIONS), "difference": (2, 2), "product": (2, MOST_QUESTIONS),
    "minimum": (1, MOST_QUESTIONS), "maximum": (1, MOST_QUESTIONS), "sort": (1, 1), "filter": (1, 1),
    "compare": (1, 2), "exists": (1, 1),
}  # fmt: skip
"""The least and the most operands."""
_OF_ROWS = frozenset({"count", "sort", "filter", "exists"})
"""What takes a whole table."""


class Misnamed(ValueError):
    """Names that keep a plan from being one. ``names``: of the questions or operations to look at."""

    def __init__(self, message: str, *names: str) -> None:
        super().__init__(message)
        self.names = names


class Column(BaseModel):
    """One column of a table that is read as rows."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME, description="A short identifier, unique in the table: 'unit_price'.")
    words: str = Field(min_length=1, max_length=500, description="What the column holds, in plain words.")
    description: str = Field(default="", max_length=1000, description="The schema's own sentence about it.")
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

    @property
    def key(self) -> str:
        """What its cell goes by in a row."""
        return "/".join(self.path) or self.name


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


class Condition(BaseModel):
    """What a row's cell, or an answer, must be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: Name = Field(default="", description="A column of the table. Empty: the operand itself.")
    comparison: Comparison
    value: str = Field(
        default="", max_length=200,
        description="A number, a date or a text; how many for 'first' and 'last'. Empty: the second operand.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if self.comparison in POSITIONS and (self.column or not re.fullmatch(r"[1-9]\d{0,3}", self.value)):
            raise ValueError(f"{self.comparison!r} takes a number of rows and no column")
        return self


class Operation(BaseModel):
    """What is computed from answers. ``operations.compute`` carries it out.

    ``sort`` and ``filter`` of a table give a table of the same columns, which later operations may name.
    ``compare`` gives the name of the greater of two, or yes or no where it has a condition. ``exists`` gives
    yes or no. A ``condition`` leaves the rows that keep to it to any operation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME, description="A short identifier, unique in the plan.")
    op: OperationKind
    of: tuple[Annotated[str, Field(max_length=130)], ...] = Field(
        min_length=1, max_length=MOST_QUESTIONS,
        description="Names of questions or of earlier operations, or 'table.column'.",
    )  # fmt: skip
    by: Name = Field(default="", description="For 'sort': the column of the table to sort by.")
    keep: Name = Field(default="", description="The column whose cell is the answer: the item's description.")
    condition: Condition | None = Field(default=None, description="For 'filter' and 'compare'.")
    descending: bool = Field(default=False, description="For 'sort': the greatest first.")
    distinct: bool = Field(default=False, description="For 'count': equal values count once.")
    text: str = Field(default="", max_length=500, description="The part of the task that asks for it.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        least, most = _ARITY[self.op]
        if not least <= len(self.of) <= most:
            raise ValueError(f"{self.op!r} takes {least} to {most} operands, not {len(self.of)}")
        if self.op == "filter" and (self.condition is None or not self.condition.value):
            raise ValueError("'filter' needs a condition with a value")
        if self.op == "compare" and self.condition and self.condition.comparison in POSITIONS:
            raise ValueError("'compare' looks at one value, not at rows")
        if self.op == "compare" and len(self.of) == 1 and not (self.condition and self.condition.value):
            raise ValueError("'compare' needs two operands, or a condition with a value")
        return self


class Refusal(BaseModel):
    """A part of the task that is not done."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(min_length=1, max_length=4_000, description="That part, word for word.")
    reason: str = Field(min_length=1, max_length=300, description="What it would need, in one sentence.")


class Writing(BaseModel):
    """A part of the task that a chat model writes, where the run has one to write."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME, description="A short identifier, unique in the plan.")
    text: str = Field(min_length=1, max_length=4_000, description="That part, word for word.")


class Plan(BaseModel):
    """What is asked of one document, in an order in which it can be asked."""

    model_config = ConfigDict(extra="forbid")

    questions: list[PlannedQuestion] = Field(max_length=MOST_QUESTIONS)
    constraints: list[Constraint] = Field(default_factory=list, max_length=MOST_QUESTIONS)
    operations: list[Operation] = Field(default_factory=list, max_length=MOST_QUESTIONS)
    refused: list[Refusal] = Field(default_factory=list, max_length=MOST_QUESTIONS)
    writing: list[Writing] = Field(
        default_factory=list, max_length=MOST_QUESTIONS, description="Leave empty: it goes to refused."
    )

    @field_validator("questions")
    @classmethod
    def _names(cls, questions: list[PlannedQuestion]) -> list[PlannedQuestion]:
        names = [question.name for question in questions]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise Misnamed(f"these names are used twice: {', '.join(twice)}", *twice)
        by_path: dict[tuple[str, ...], str] = {}
        for question in questions:
            path = tuple(question.path)
            if path and (other := by_path.setdefault(path, question.name)) != question.name:
                where = "/".join(path)
                raise Misnamed(f"{other} and {question.name} have one path: {where}", other, question.name)
            _check_columns(question.columns, question.name)
        return questions

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = {question.name for question in self.questions}
        used = {name for question in self.questions for name in question.depends_on}
        used |= {name for constraint in self.constraints for name in constraint.names}
        if unknown := sorted(used - known):
            raise Misnamed(
                f"no question is called {', '.join(unknown)}; known: {', '.join(sorted(known))}", *unknown
            )
        try:
            self.stages()
        except CycleError as error:
            circle = list(map(str, error.args[1]))
            told = f"these questions wait for one another: {', '.join(circle)}"
            raise Misnamed(told, *dict.fromkeys(circle)) from None
        if not self.questions and not self.refused and not self.writing:
            raise ValueError("a plan asks at least 1 item, or refuses one")
        return self

    @model_validator(mode="after")
    def _computable(self) -> Self:
        columns = {q.name: [c.name for c in q.columns if not c.columns] for q in self.questions}
        for operation in self.operations:
            if operation.name in columns:
                raise Misnamed(f"this name is used twice: {operation.name}", operation.name)
            for operand in operation.of:
                _check_operand(operand, operation, columns)
            source = columns[operation.of[0].partition(".")[0]]
            condition = operation.condition.column if operation.condition else ""
            for column in filter(None, (operation.by, operation.keep, condition)):
                if column not in source:
                    told = f"operation {operation.name}: {operation.of[0]} has no column {column}"
                    raise Misnamed(told, operation.name)
            columns[operation.name] = source if operation.op in ("sort", "filter") else []
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


def _check_columns(columns: list[Column], table: str) -> None:
    """Misnamed where two columns of a row go by the same key."""
    keys = [column.key for column in columns]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise Misnamed(f"{table} has these columns twice: {', '.join(twice)}", table)
    for column in columns:
        _check_columns(column.columns, table)


def _check_operand(operand: str, operation: Operation, columns: Mapping[str, list[str]]) -> None:
    """Misnamed where no question or earlier operation goes by the name, or it has no such column."""
    name, dot, column = operand.partition(".")
    if name not in columns:
        raise Misnamed(f"operation {operation.name}: nothing before it is called {name}", operation.name)
    if dot and column not in columns[name]:
        raise Misnamed(f"operation {operation.name}: {name} has no column {column}", operation.name)
    if not dot and columns[name] and operation.op not in _OF_ROWS:
        raise Misnamed(f"operation {operation.name}: say which column of {name}", operation.name)
