"""The same field of several documents: compared, added up, the least or greatest, or missing in another one.

One plan is run on each document; what is asked over all of them is computed by ``operations``, never asked.
Tasks in words are read in English. Tables are *not* joined: a key is looked for on the pages of the other
document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from layoutllm_graphs.computed import values_of
from layoutllm_graphs.context import Context
from layoutllm_graphs.operations import Cell, Computed, Values, compute
from layoutllm_graphs.planning.plan import SEPARATOR, Condition, Operation, Plan
from layoutllm_graphs.planning.planner import plan_task
from layoutllm_graphs.state import Answer, Request
from layoutllm_graphs.workflow import make_graph
from layoutllm_tool.cot import Evidence
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.page_kinds import KINDS, kind_of
from layoutllm_tool.documents.page_layout import PageLayout
from layoutllm_tool.documents.search import find_exact
from layoutllm_tool.errors import PlanError
from layoutllm_tool.extraction.typed import Convention
from layoutllm_tool.messages import quote

AcrossKind = Literal["compare", "sum", "minimum", "maximum", "missing_in"]
_OF_ALL = (
    r"(?: (?:of|in|on|from|across|between|over) (?:all |both |each |every |these |those |the ).*)?[.?]?$"
)
_NAMED = r"(?:the |all |all the )?(?P<field>[\w .'-]{1,80}?)"
_TASKS: Mapping[AcrossKind, str] = {
    "compare": rf"compare {_NAMED}{_OF_ALL}",
    "sum": rf"(?:add up|sum(?: up)?|(?:what is|calculate) the sum of) {_NAMED}{_OF_ALL}",
    "maximum": rf"which .{{0,40}}?\b(?:highest|largest|greatest|biggest|latest|newest) {_NAMED}{_OF_ALL}",
    "minimum": rf"which .{{0,40}}?\b(?:lowest|smallest|least|earliest|oldest) {_NAMED}{_OF_ALL}",
    "missing_in": (
        r"which (?:of )?(?:the )?(?P<field>[\w -]{1,40}?) (?:are|is) (?:not|missing) (?:listed |found )?"
        r"(?:in|on|from) (?:the )?(?P<other>[\w .-]{1,80}?)"
        r"(?: by (?:their |its |the )?(?P<key>[\w -]{1,80}?))?[.?]?$"
    ),
}
_LONGEST_NAME = 120
"""Characters of a document's name in an answer."""
_EXAMPLE = (
    'For instance "compare the totals", "add up the totals", "which has the highest total" or '
    '"which invoices are not in the statement".'
)


@dataclass(frozen=True, slots=True)
class Across:
    """What is asked over documents. ``field``: its name in words; for ``missing_in`` the key, which is looked
    for on the pages of ``other``, one of the documents.
    """

    kind: AcrossKind
    field: str
    other: str = ""


@dataclass(frozen=True, slots=True)
class DocumentCell:
    """One document's value, as printed, with its place (page from 1, box 0-1000) and the answer's verdict."""

    document: str
    text: str | None
    page: int | None
    box: list[int] | None
    confidence: float
    verdict: str
    reasons: list[str]
    found: dict[str, Any] | None = None
    """Of ``missing_in``: document, page, box and text where the other document has the key."""


@dataclass(frozen=True, slots=True)
class AcrossOutcome:
    """The answer with how it was formed, and the cells it was formed from. ``reasons`` speak against it."""

    answer: str | None
    formula: str
    verdict: str
    reasons: list[str]
    cells: list[DocumentCell] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def across(documents: Sequence[str], task: str | Across, *, context: Context) -> AcrossOutcome:
    """Ask each document for the field, and compute the answer over all.

    ``documents``: names or paths that the context's tool opens, two at least. PlanError for a task that is
    not understood, and what the tool raises for a document that can't be read.
    """
    if len(documents) < 2 or len(set(documents)) < len(documents) or context.tool is None:
        raise PlanError("this takes a tool and two documents at least, none of them twice.", hint=_EXAMPLE)
    loaded = {name: context.tool.look(name) for name in documents}
    asked = read_task(task, loaded) if isinstance(task, str) else task
    if asked.kind == "missing_in" and asked.other not in loaded:
        raise PlanError(f"no document is called {quote(asked.other, 100)}.", hint=_EXAMPLE)
    plan = _plan(asked.field)
    fields = {name: _field(name, plan, loaded[name], context) for name in documents if name != asked.other}
    cells = [cell for cell, _ in fields.values()]
    if asked.kind == "missing_in":
        return _missing(cells, asked.other, loaded[asked.other])
    done = _computed(asked, plan, {name: value for name, (_, value) in fields.items()})
    reasons = [done.problem] if done.problem else []
    reasons += [f"{cell.document} is doubtful." for cell in cells if cell.verdict != "satisfied"]
    return AcrossOutcome(done.answer, done.formula, _verdict(reasons), reasons, cells)


def read_task(text: str, documents: Mapping[str, Document]) -> Across:
    """The task in words. PlanError where it is none that is understood, or names no document."""
    for kind, pattern in _TASKS.items():
        if found := re.match(pattern, " ".join(text[:500].split()), re.IGNORECASE):
            if kind != "missing_in":
                return Across(kind, _singular(found["field"]))
            key = found["key"] or f"{_singular(found['field'])} number"
            return Across(kind, key, _called(found["other"], documents))
    raise PlanError(f"{quote(text, 200)} is no task over several documents.", hint=_EXAMPLE)


def _called(words: str, documents: Mapping[str, Document]) -> str:
    """The one document of that name or kind."""
    wanted = words.casefold()
    named = [name for name in documents if wanted in name.casefold()]
    kind = wanted.replace(" ", "_")
    of_kind = [name for name, one in documents.items() if kind_of(one.pages, KINDS) == kind]
    found = named if len(named) == 1 else of_kind
    if len(found) != 1:
        reason = f"{len(found) or 'none'} of the documents may be {quote(words, 80)}."
        raise PlanError(reason, hint="Name the file.")
    return found[0]


def _singular(words: str) -> str:
    last = words.strip()
    return last[:-1] if last.endswith("s") and not last.endswith("ss") else last


def _plan(words: str) -> Plan:
    plan = plan_task([words]).plan
    if len(plan.questions) != 1 or plan.questions[0].is_list or plan.questions[0].columns:
        raise PlanError(f"{quote(words, 100)} is no single field.", hint=_EXAMPLE)
    return plan


def _field(name: str, plan: Plan, document: Document, context: Context) -> tuple[DocumentCell, Cell]:
    request = Request(document=name, task=plan.model_dump(mode="json"))
    alone = replace(context, approve=False, review=False)
    answer: Answer = make_graph().invoke(request, context=alone)["answers"][0]
    (cell,) = values_of(plan, answer, Convention.of(document.pages))[answer["name"]]
    reasons = [answer["error"]] if answer["error"] else answer["reasons"]
    place = answer["page"], answer["box"], answer["confidence"] or 0.0
    return DocumentCell(name, answer["answer"], *place, answer["verdict"], reasons), cell


def _computed(asked: Across, plan: Plan, cells: Mapping[str, Cell]) -> Computed:
    """``operations`` on a table of the documents; of two that are compared, on the two values."""
    names = [name if len(name) <= _LONGEST_NAME else f"...{name[-_LONGEST_NAME:]}" for name in cells]
    values: Values = {"documents.document": [*map(Cell, names)], "documents.value": list(cells.values())}
    operation: dict[str, Any] = {"op": asked.kind, "of": ("documents.value",)}
    if asked.kind in ("maximum", "minimum"):
        operation["keep"] = "document"
    elif asked.kind == "compare" and len(names) > 2:
        operation = {"op": "sort", "of": ("documents",), "by": "value", "descending": True}
    elif asked.kind == "compare":
        ordered = plan.questions[0].type in ("money", "number", "date")
        same = None if ordered else Condition(comparison="=")
        values = {name: [cell] for name, cell in zip(names, cells.values(), strict=True)}
        operation = {"op": "compare", "of": tuple(names), "condition": same}
    return compute(Operation(name="across", **operation), values)


def _missing(cells: Sequence[DocumentCell], other: str, document: Document) -> AcrossOutcome:
    """The documents whose key stands nowhere in the other one; doubtful where a document has no sure key."""
    layouts = [PageLayout(page) for page in document.pages]
    held = [replace(cell, found=_place(cell.text, other, layouts)) for cell in cells]
    missing = [cell.document for cell in held if cell.text and not cell.found]
    reasons = [f"{cell.document} has no key." for cell in held if not cell.text]
    reasons += [f"{cell.document} is doubtful." for cell in held if cell.text and cell.verdict != "satisfied"]
    there = sum(cell.found is not None for cell in held)
    formula = f"{there} of {len(held)} keys stand in {other}"
    return AcrossOutcome(SEPARATOR.join(missing) or "none", formula, _verdict(reasons), reasons, held)


def _place(key: str | None, other: str, layouts: Sequence[PageLayout]) -> dict[str, Any] | None:
    """Where the key stands first, letter by letter."""
    for layout in layouts if key else ():
        if matches := find_exact(layout, key or ""):
            found = Evidence.of(layout.page, [word.id for word in matches[0].words])
            return {"document": other, "page": found.page, "box": found.box.as_list(), "text": found.text}
    return None


def _verdict(reasons: Sequence[str]) -> str:
    return "failed" if reasons else "satisfied"
