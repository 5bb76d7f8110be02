"""JSON Schemas -> drafts of plans: a question for each value, and one with columns for each array.

How a schema is read is in ``layoutllm_tool.extraction.schema``; here its parts are put into words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from layoutllm_graphs.planning.fields import (
    LONGEST_FIELD,
    ROWS,
    Asked,
    Draft,
    guess_type,
    known,
    one_line,
    slug,
)
from layoutllm_graphs.planning.plan import NAME
from layoutllm_tool.cot import ExpectedType
from layoutllm_tool.extraction.schema import Leaf, RowsOf, shape_of

_LONGEST_HINT = 200
_FORMATS: dict[str, ExpectedType] = {
    "date": "date", "date-time": "date", "email": "email", "idn-email": "email",
    "phone": "phone", "tel": "phone",
}  # fmt: skip


def draft_schema(schema: Mapping[str, Any]) -> Draft:
    """One question for each part. PlanError where no question can be made of one."""
    draft = Draft()
    for part in shape_of(schema).parts:
        draft.asked.append(_rows(part) if isinstance(part, RowsOf) else _value(part))
    return draft


def _rows(part: RowsOf) -> Asked:
    """An array of values is a list question; one of objects has columns."""
    words, text = _wording(part)
    if len(part.columns) == 1 and not part.columns[0].path:
        leaf = part.columns[0]
        kind, choices = _type(leaf, words), _choices(leaf)
        return Asked(
            words, text, "text" if choices else kind, is_list=True,
            required=part.required, choices=choices, name=_name(part.path), path=part.path,
        )  # fmt: skip
    columns = (*map(_value, part.columns), *map(_rows, part.inner))
    return Asked(
        words, " ".join((ROWS.format(words), part.description[:_LONGEST_HINT])).strip(), is_list=True,
        required=part.required, name=_name(part.path),
        path=part.path, columns=columns, description=part.description,
    )  # fmt: skip


def _value(leaf: Leaf) -> Asked:
    words, text = _wording(leaf)
    choices = _choices(leaf)
    return Asked(
        words, text, "text" if choices else _type(leaf, words), required=leaf.required, choices=choices,
        name=_name(leaf.path), path=leaf.path, description=leaf.description,
    )  # fmt: skip


def _type(leaf: Leaf, words: str) -> ExpectedType:
    if told := _FORMATS.get(leaf.format):
        return told
    own = spaced(leaf.path[-1]) if leaf.path else words
    entry = known(own) or known(words)
    guessed = entry.type if entry else guess_type(own)
    if leaf.kind == "string":
        return guessed
    return "money" if guessed == "money" else "number"


def _choices(leaf: Leaf) -> tuple[str, ...]:
    if leaf.kind == "boolean":
        return ("yes", "no")
    return tuple(dict.fromkeys(one_line(str(value)[:200]) for value in leaf.choices))


def _wording(part: Leaf | RowsOf) -> tuple[str, str]:
    """The part's words and its question: from the description, else a title, else the names."""
    words = words_of(part)
    return words, _asked_for(part, words)


def words_of(part: Leaf | RowsOf) -> str:
    """What the part is called: its title where a person wrote one, else its names."""
    names = [spaced(name) for name in part.path]
    if not names:
        return part.title or part.description[:LONGEST_FIELD]
    made = part.title.replace(" ", "").lower() == part.path[-1].replace("_", "").lower()  # pydantic's own
    own = names[-1] if made or not part.title else part.title
    inside = [name for name in names[:-1] if name.lower() not in own.lower()]
    return " ".join((*inside, own))[:LONGEST_FIELD]


def _asked_for(part: Leaf | RowsOf, words: str) -> str:
    """As people ask: the model was trained on that, and what is quoted it takes for printed."""
    told = part.description.rstrip(".")[:_LONGEST_HINT]
    if told.endswith("?"):
        return told
    if isinstance(part, Leaf) and part.kind == "boolean":
        return f"{told or f'Is it {words}'}?"
    if isinstance(part, Leaf) and (party := _of_sender(part)):
        return party
    many = isinstance(part, RowsOf)
    asked = f"What {'are' if many else 'is'} the {words}"
    return f"{asked}, that is: {told}?" if told else f"{asked}?"


def _of_sender(leaf: Leaf) -> str:
    """The model's own wording for the company that issued the document, and its address; else ""."""
    names = [spaced(name) for name in leaf.path]
    sender = known(names[0])
    if sender is None or sender.family != "company":
        return ""
    if len(names) == 1 or names[-1] == "name":
        return "Which company issued this document?"
    return "What is the seller's address?" if names[-1] == "address" else ""


def _name(path: tuple[str, ...]) -> str:
    """The property's own name where it is an identifier, so that results fit the schema."""
    joined = "_".join(path)
    return joined if re.fullmatch(NAME, joined) and len(joined) < 57 else slug(" ".join(path))


def spaced(name: str) -> str:
    """ "invoiceNumber", "invoice_number" -> "invoice number"."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name) if name.isidentifier() else name
    words = one_line(parts.replace("_", " "))
    return words.lower() if name.isidentifier() and not name.isupper() else words
