"""The typed record of a schema, from a run's answers: the value of each leaf, where it stands, and what
speaks against it. Pure.

A value that is missing though required, not understood, ambiguous, outside its enum or its bounds is None in
the record, and its field says why; the printed text is kept. The record validates against the schema where no
field is doubtful.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from layoutllm_graphs.planning.plan import SEPARATOR
from layoutllm_graphs.state import Answer
from layoutllm_tool.extraction.schema import Leaf, RowsOf, parts_of
from layoutllm_tool.extraction.typed import Convention, Typed, typed

Path = tuple[str | int, ...]
_SIGN_OF_YES = re.compile(r"(?i)\b(?:true|yes|wahr|ja)\b.*\b(?:if|when|where|wenn|falls)\b|\bwhether\b|\bob\b")


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

    @property
    def pointer(self) -> str:
        """As a JSON pointer (RFC 6901)."""
        return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in self.path)

    def to_json(self) -> dict[str, Any]:
        return {
            "value": _json(self.value), "text": self.text, "page": self.page, "box": self.box,
            "confidence": self.confidence, "verdict": self.verdict, "problem": self.problem,
            "reasons": list(self.reasons),
        }  # fmt: skip


def record_of(
    schema: Mapping[str, Any], answers: Sequence[Answer], paths: Mapping[str, Sequence[str]], page: Convention
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(record, fields by JSON pointer) as plain JSON. ``paths`` says where each question's answer belongs."""
    by_path = {tuple(paths[a["name"]]): a for a in answers if paths.get(a["name"])}
    record: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for part in parts_of(schema):
        answer = by_path.get(part.path)
        found = list(_rows(part, answer, page) if isinstance(part, RowsOf) else [_value(part, answer, page)])
        if isinstance(part, RowsOf):
            _put(record, part.path, [])
        for one in found:
            if one.problem != "no_rows":
                _put(record, one.path, _json(one.value))
            fields[one.pointer] = one.to_json()
    return record, fields


def _value(leaf: Leaf, answer: Answer | None, page: Convention) -> Field:
    if answer is None:
        return _field(leaf, leaf.path, None, Typed(None, "missing", "It was not asked for."))
    found = typed(leaf, answer["answer"], page)
    if leaf.kind == "boolean" and answer["answer"] is None and not answer["error"]:
        found = _absent(leaf)
    return _field(leaf, leaf.path, answer, found)


def _absent(leaf: Leaf) -> Typed:
    """A yes-or-no field that nothing on the page answers: no, where its description names a sign of yes."""
    if _SIGN_OF_YES.search(leaf.description):
        return Typed(False)
    return Typed(None, "missing", "The document does not say it.") if leaf.required else Typed()


def _field(leaf: Leaf, path: Path, answer: Mapping[str, Any] | None, found: Typed) -> Field:
    if answer is None:
        return Field(path, None, None, None, None, 0.0, "failed", found.problem, (found.reason,))
    verdict = "failed" if found.problem and answer["by"] != "person" else answer["verdict"]
    reasons = (*answer["reasons"], *([found.reason] if found.reason else ()))
    return Field(
        path, found.value, answer["answer"], answer["page"], answer["box"], answer["confidence"] or 0.0, verdict,
        found.problem, reasons,
    )  # fmt: skip


def _rows(part: RowsOf, answer: Answer | None, page: Convention) -> Iterator[Field]:
    if answer is None or not answer["rows"]:
        yield from _no_rows(part, answer)
        return
    for number, row in enumerate(answer["rows"]):
        for leaf in part.columns:
            cell = row.get("/".join(leaf.path))
            shown = {**answer, "answer": None, "page": None, "box": None} | (cell or {})
            optional = leaf if cell or leaf.required else replace(leaf, required=False)
            yield _field(optional, (*part.path, number, *leaf.path), shown, typed(optional, shown["answer"], page))


def _no_rows(part: RowsOf, answer: Answer | None) -> Iterator[Field]:
    """An empty array is a finding: required, or where the page has tables, none of which has the columns."""
    if answer is not None and answer["verdict"] == "satisfied" and not part.required:
        return
    reasons = tuple(answer["reasons"]) if answer else ("It was not asked for.",)
    yield Field(part.path, None, None, None, None, 0.0, "failed", "no_rows", reasons)


def _put(record: dict[str, Any], path: Path, value: Any) -> None:
    """Into nested objects and arrays, made as they are needed."""
    at: Any = record
    for step, following in zip(path[:-1], path[1:], strict=True):
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


def list_values(answer: Answer) -> list[str]:
    """The values of a list answer."""
    return answer["answer"].split(SEPARATOR) if answer["answer"] else []
