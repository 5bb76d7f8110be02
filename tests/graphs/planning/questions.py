"""Planned questions and constraints as the tests of the planner write them."""

from typing import Any

from layoutllm_graphs.planning.plan import Column, Constraint, PlannedQuestion


def meant(name: str, words: str, kind: str = "text", **more: Any) -> PlannedQuestion:
    return PlannedQuestion(
        name=name,
        text=f'What is the "{words}" in the given document?',
        type=kind,  # type: ignore[arg-type]
        **more,
    )


def printed(name: str, words: str, kind: str = "text") -> PlannedQuestion:
    return put(name, f'What is the content in the "{words}" field?', kind)


def column(name: str, words: str, kind: str = "text", **more: Any) -> PlannedQuestion:
    text = f'What are all the values of "{words}" in the given document?'
    return PlannedQuestion(name=name, text=text, type=kind, is_list=True, **more)  # type: ignore[arg-type]


def table(name: str, words: str, **columns: Any) -> PlannedQuestion:
    """A question for rows: the columns' names and types."""
    text = f'What are the rows of "{words}" in the given document?'
    named = [Column(name=c, words=c.replace("_", " "), type=kind) for c, kind in columns.items()]
    return PlannedQuestion(name=name, text=text, is_list=True, columns=named)


def put(name: str, text: str, kind: str = "text", **more: Any) -> PlannedQuestion:
    return PlannedQuestion(name=name, text=text, type=kind, **more)  # type: ignore[arg-type]


def items(name: str = "items") -> PlannedQuestion:
    return put(name, "What are the amounts of the items in the given document?", "money", is_list=True)


def adds_up(*terms: str, to: str = "total") -> Constraint:
    return Constraint(kind="sum", terms=list(terms), total=to)


def same(*terms: str) -> Constraint:
    return Constraint(kind="equal", terms=list(terms), total=None)


def ordered(*terms: str) -> Constraint:
    return Constraint(kind="ordered", terms=list(terms), total=None)


VENDOR = meant("vendor", "company", "name")
NUMBER = meant("invoice_number", "invoice number")
DATE = meant("date", "date", "date")
DUE = meant("due_date", "due date", "date")
TOTAL = meant("total", "total", "money")
SUBTOTAL = meant("subtotal", "subtotal", "money")
TAX = meant("tax", "tax", "money")
PAGES = [
    TOTAL.model_copy(update={"name": "total_page_1", "page": 1}),
    TOTAL.model_copy(update={"name": "total_page_2", "page": 2}),
]
