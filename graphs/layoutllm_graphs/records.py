"""The typed record of a schema, from a run's answers: the value of each leaf, where it stands, and what
speaks against it. Pure.

A value that is missing though required, not understood, ambiguous, outside its enum or its bounds is None in
the record, and its field says why; the printed text is kept. The record validates against the schema where no
field is doubtful.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

from layoutllm_graphs.planning.plan import SEPARATOR
from layoutllm_graphs.state import Answer
from layoutllm_tool.extraction.schema import Leaf, RowsOf, shape_of
from layoutllm_tool.extraction.typed import Convention, Typed, typed

Path = tuple[str | int, ...]
_UNSAID = 0.75
"""Most confidence that a yes-or-no field is no since nothing says yes."""
_SATISFIED: dict[str, Any] = {"verdict": "satisfied", "reasons": []}
_NO_COLUMN = 0.7
"""Most confidence of a null in a column that was not found."""
_WHERE_EMPTY = re.compile(
    r"(?i)(?<![\w.,])(\d+),? (?:(?:is )?(?:if|when|where)\b.*\b(?:no|not|none|missing|nothing)\b|unless\b"
    r"|(?:wenn|falls)\b.*\bkein|ohne\b)"
)
"""What a description says of a value that is not printed: "1 when no quantity is printed"."""
_SIGN_OF_YES = re.compile(
    r"(?i)\b(?:true|yes|wahr|ja)\b.*\b(?:if|when|where|wenn|falls)\b|\bwhether\b|\bob\b"
)


@dataclass(frozen=True, slots=True)
class Field:
    """One leaf as it was read. ``box`` is [x0, y0, x1, y1], 0-1000 on ``page`` (1-based)."""

    path: Path
    value: Any
    text: str | None
    """As printed."""
    page: int | None
    box: list[int] | None
    confidence: float
    verdict: str
    """The answer's verdict; "failed" where the value has a problem."""
    problem: str
    """"missing", "not_understood", "ambiguous", "outside_enum", "out_of_bounds", "no_rows"; "" for none."""
    reasons: tuple[str, ...]
    by: str = "reader"
    """Who decided: "reader" or "person"."""
    within: Path = ()
    """The object that may be missing, and needs this value where it is there; () for none."""

    @property
    def pointer(self) -> str:
        return pointer(self.path)

    def to_json(self) -> dict[str, Any]:
        return {
            "value": _json(self.value), "text": self.text, "page": self.page, "box": self.box,
            "confidence": self.confidence, "verdict": self.verdict, "problem": self.problem,
            "reasons": list(self.reasons), "by": self.by,
        }  # fmt: skip


def pointer(path: Path) -> str:
    """As a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def record_of(
    schema: Mapping[str, Any],
    answers: Sequence[Answer],
    paths: Mapping[str, Sequence[str]],
    page: Convention,
    min_confidence: float = 0.0,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(record, fields by JSON pointer) as plain JSON. ``paths`` says where each question's answer belongs."""
    by_path = {tuple(paths[a["name"]]): a for a in answers if paths.get(a["name"])}
    shape = shape_of(schema)
    record: dict[str, Any] = {}
    found: list[Field] = []
    for part in shape.parts:
        answer = by_path.get(part.path)
        if isinstance(part, RowsOf):
            _put(record, part.path, [])
        for one in _rows(part, answer, page) if isinstance(part, RowsOf) else [_value(part, answer, page)]:
            if one.problem != "no_rows":
                _put(record, one.path, _json(one.value))
            found.append(one)
    fields = {one.pointer: _sure_enough(_in_half(one, record), min_confidence).to_json() for one in found}
    return _without_empty(record, shape.nullable, ()), fields


def _in_half(field: Field, record: Mapping[str, Any]) -> Field:
    """Failed where it is missing from an object that has other values."""
    if not field.within or field.value is not None or field.problem or field.by == "person":
        return field
    at: Any = record
    for step in field.within:
        at = at[step]
    if _holds_nothing(at):
        return field
    missing = Typed(None, "missing", "The document says only other parts of it.")
    reasons = (*field.reasons, missing.reason)
    return replace(field, verdict="failed", problem=missing.problem, reasons=reasons)


def _sure_enough(field: Field, least: float) -> Field:
    if field.confidence >= least or field.verdict != "satisfied" or field.by == "person":
        return field
    reason = f"The confidence is {field.confidence:.2f}, under {least:.2f}."
    return replace(field, verdict="failed", reasons=(*field.reasons, reason))


def _without_empty(value: Any, nullable: Collection[tuple[str, ...]], at: tuple[str, ...]) -> Any:
    """None in place of an object that may be null and holds nothing."""
    if isinstance(value, list):
        return [_without_empty(item, nullable, at) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {name: _without_empty(item, nullable, (*at, name)) for name, item in value.items()}
    return None if at in nullable and _holds_nothing(inner) else inner


def _holds_nothing(value: Any) -> bool:
    return value in (None, []) or (isinstance(value, dict) and all(map(_holds_nothing, value.values())))


def _value(leaf: Leaf, answer: Answer | None, page: Convention) -> Field:
    if answer is None:
        return _field(leaf, leaf.path, None, Typed(None, "missing", "It was not asked for."))
    if answer["error"]:
        return _field(leaf, leaf.path, answer, Typed(None, "missing", answer["error"]))
    found = typed(leaf, answer["answer"], page)
    if leaf.kind == "boolean" and answer["answer"] is None:
        sure = min(answer["confidence"] or 0.0, _UNSAID)
        return replace(_field(leaf, leaf.path, {**answer, **_SATISFIED}, _absent(leaf)), confidence=sure)
    return _field(leaf, leaf.path, answer, found)


def _absent(leaf: Leaf) -> Typed:
    """A yes-or-no field that nothing on the page answers: no, where a sign of yes is described or one of the
    two is required.
    """
    if leaf.required or _SIGN_OF_YES.search(leaf.description):
        return Typed(False, reason="Nothing on the page says so.")
    return Typed()


def _field(leaf: Leaf, path: Path, answer: Mapping[str, Any] | None, found: Typed) -> Field:
    if answer is None:
        return Field(path, None, None, None, None, 0.0, "failed", found.problem, (found.reason,))
    told = answer["by"] == "person" and found.problem == "missing"  # a person says that it is absent
    verdict = "failed" if found.problem and not told else answer["verdict"]
    reasons = (*answer["reasons"], *([found.reason] if found.reason else ()))
    return Field(
        path, found.value, answer["answer"], answer["page"], answer["box"], answer["confidence"] or 0.0,
        verdict, found.problem, reasons, answer["by"],
        (*path[: len(path) - len(leaf.path)], *leaf.within) if leaf.within else (),
    )  # fmt: skip


def _rows(part: RowsOf, answer: Answer | None, page: Convention) -> Iterator[Field]:
    if len(part.columns) == 1 and not part.columns[0].path:
        yield from _listed(part, answer, page)
        return
    rows = answer.get("rows") if answer else None
    if answer is None or not rows:
        yield from _no_rows(part, answer)
        return
    there = {name for row in rows for name, cell in row.items() if cell}
    for number, row in enumerate(rows):
        for one in _cells(part, (*part.path, number), row, answer, page):
            missing = one.text is None and "/".join(map(str, one.path[len(part.path) + 1 :])) not in there
            yield _of_no_column(one) if missing else one


def _of_no_column(field: Field) -> Field:
    """A cell of a column that no row has. A person who accepts the rows says nothing of such a column."""
    sure = min(field.confidence, _NO_COLUMN)
    return replace(field, confidence=sure, verdict="failed" if field.problem else field.verdict)


def _cells(
    part: RowsOf, at: Path, row: Mapping[str, Any], answer: Answer, page: Convention
) -> Iterator[Field]:
    """A row's leaves, and those of the rows within it."""
    unsigned = " positive" if "positiv" in part.description.lower() else ""
    replaced = {name for cell in row.values() if isinstance(cell, dict) for name in cell.get("instead", ())}
    for leaf in (replace(leaf, description=leaf.description + unsigned) for leaf in part.columns):
        cell = row.get("/".join(leaf.path))
        place = cell or {"page": None, "box": None}
        shown = {**answer, **place, "answer": cell["text"] if cell else None}
        if "/".join(leaf.path) in replaced:
            leaf = replace(leaf, description="")
        yield _of_cell(leaf, (*at, *leaf.path), shown, cell, page)
    for inner in part.inner:
        rows = row.get("/".join(inner.path)) or []
        if not rows:
            yield Field(
                (*at, *inner.path), [], None, None, None, answer["confidence"] or 0.0, "satisfied", "", ()
            )
        for number, within in enumerate(rows):
            yield from _cells(inner, (*at, *inner.path, number), within, answer, page)


def _of_cell(
    leaf: Leaf, path: Path, shown: Mapping[str, Any], cell: Mapping[str, Any] | None, page: Convention
) -> Field:
    """A row's leaf. A column of debits says the sign; the description may say what an empty cell means."""
    if cell is None and (implied := _WHERE_EMPTY.search(leaf.description)):
        found = _field(leaf, path, shown, typed(leaf, implied[1], page))
        return replace(found, confidence=min(found.confidence, _UNSAID))
    text = f"{shown['answer']} DR" if cell and cell.get("negative") else shown["answer"]
    return _field(leaf, path, shown, typed(leaf, text, page))


def _listed(part: RowsOf, answer: Answer | None, page: Convention) -> Iterator[Field]:
    """An array of values, from a list question: its values, each with its own evidence."""
    if answer is None or not answer["answer"]:
        yield from _no_rows(part, answer)
        return
    places = (answer["cot"] or {}).get("evidence", [])
    texts = [place["text"] for place in places] or answer["answer"].split(SEPARATOR)
    for number, text in enumerate(texts):
        place = places[number] if places else answer
        box = [round(edge) for edge in place["box"]] if place["box"] else None
        shown = {**answer, "answer": text, "page": place["page"], "box": box}
        yield _field(part.columns[0], (*part.path, number), shown, typed(part.columns[0], text, page))


def _no_rows(part: RowsOf, answer: Answer | None) -> Iterator[Field]:
    """An empty array is a finding: required, or where the page has tables, none of which has the columns."""
    if answer is not None and answer["verdict"] == "satisfied" and not part.required:
        return
    reasons = tuple(answer["reasons"]) if answer else ("It was not asked for.",)
    yield Field(part.path, None, None, None, None, 0.0, "failed", "no_rows", reasons)


def _put(record: dict[str, Any], path: Path, value: Any) -> None:
    """Into nested objects and arrays, made as they are needed."""
    at: Any = record
    for step, following in pairwise(path):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(at, list) and isinstance(step, int):
            at.extend({} for _ in range(step + 1 - len(at)))
            at = at[step]
        else:
            at = at.setdefault(step, empty)
    last = path[-1] if path else ""
    if isinstance(at, list) and isinstance(last, int):
        at.append(value)
    else:
        at[last] = value


def _json(value: Any) -> Any:
    """A decimal as the number that JSON has."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
