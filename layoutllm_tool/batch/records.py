"""The rows of a batch's store: inputs, documents, fields, and the decisions of reviewers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Status = Literal["done", "failed"]
_VERDICTS = ("failed", "grader_error", "max_iterations_reached", "needs_revision", "satisfied")
_ANSWER = {
    "question",
    "answer",
    "page",
    "box",
    "cot",
    "confidence",
    "verdict",
    "reasons",
    "by",
    "calls",
    "error",
}
"""The keys of every answer (``layoutllm_graphs.state.Answer``)."""
_CELL = {"text", "page", "box", "confidence"}


def document_key(sha256: str, page: int | None, settings: Mapping[str, Any]) -> str:
    """Hash what a document's answers depend on: its bytes, the page (1-based, None for all), the settings."""
    known = json.dumps([sha256, page, settings], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(known.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Input:
    """One row of the source, in its order."""

    position: int
    name: str
    """The path or URL as the source has it."""
    page: int | None
    key: str


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """A document's row. ``verdict`` is the worst of its fields'."""

    key: str
    status: Status
    verdict: str | None = None
    error: str | None = None
    """What went wrong and what to do, where it failed."""
    kind: str | None = None
    """The error's class."""
    retryable: bool = False
    sha256: str | None = None
    pages: int | None = None
    seconds: float = 0.0
    at: str = ""
    """UTC, ISO 8601."""
    rotated_pages: list[int] | None = None
    """Pages rotated or deskewed before they were read; boxes fit the rotated picture. None: not known."""
    record: dict[str, Any] | None = None
    """What the document says, as the task's JSON Schema has it. None where the task has none."""
    plan: dict[str, Any] | None = None
    """Of this document, where a person has changed it. None: the batch's."""
    notices: list[dict[str, Any]] | None = None
    """How pages were read (``Document.notices``). None: not known."""


@dataclass(frozen=True, slots=True)
class Field:
    """One question's outcome in one document."""

    key: str
    position: int
    """Of the question in the plan, from 0."""
    name: str
    answer: dict[str, Any]
    """``layoutllm_graphs.state.Answer`` as JSON."""
    pending_review: bool
    """It stayed doubtful, or was queued for a person."""
    result: dict[str, Any] | None = None
    """A ``QuestionResult``: every attempt, with its corrections and findings. None: not stored."""


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    """A decision on a field (``layoutllm_graphs.review.ReviewDecision``), the answer before and after it."""

    number: int
    key: str
    name: str
    decision: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    at: str

    @property
    def is_final(self) -> bool:
        """Whether an answer stands after it: a correction's outcome may still be doubtful."""
        return (
            self.after.get("by") == "person"
            and self.after.get("verdict") == "satisfied"
            and bool(self.after.get("cot"))
        )


def worst(verdicts: Sequence[str]) -> str:
    """The verdict of a whole document: that of its most doubtful field."""
    return min(verdicts, key=_VERDICTS.index, default="satisfied")


def check_statuses(found: Iterable[Any]) -> None:
    """ValueError for a status that no batch writes."""
    if unknown := sorted(str(status)[:40] for status in found if status not in get_args(Status)):
        raise ValueError(f"unknown status {unknown[0]!r}")


def field_of(row: tuple[Any, ...]) -> Field:
    """A row of the table ``fields``. Raises whatever decoding it raises."""
    key, position, name, text, pending, result = row
    answer = json.loads(text)
    if missing := _ANSWER - answer.keys():
        raise LookupError(f"an answer without {min(missing)}")
    _check_rows(answer.get("rows") or [])
    return Field(key, position, name, answer, bool(pending), json.loads(result or "null"))


def _check_rows(rows: Iterable[Mapping[str, Any]]) -> None:
    for value in (value for row in rows for value in row.values()):
        if isinstance(value, list):  # rows within the row
            _check_rows(value)
        elif value is not None and (missing := _CELL - value.keys()):
            raise LookupError(f"a table's cell without {min(missing)}")


def document_of(row: tuple[Any, ...]) -> DocumentResult:
    """A row of the table ``documents``. Raises whatever decoding it raises."""
    document = DocumentResult(*row)
    check_statuses([document.status])
    rotated, record, plan, notices = (json.loads(text or "null") for text in row[-4:])
    kept = {"rotated_pages": rotated, "record": record, "plan": plan, "notices": notices}
    return replace(document, retryable=bool(document.retryable), **kept)


def review_of(row: tuple[Any, ...]) -> ReviewRecord:
    """A row of the table ``reviews``. Raises whatever decoding it raises."""
    number, key, name, decision, before, after, at = row
    return ReviewRecord(number, key, name, json.loads(decision), json.loads(before), json.loads(after), at)


def to_json(data: Any) -> str:
    """JSON text; a lone surrogate is escaped."""
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
