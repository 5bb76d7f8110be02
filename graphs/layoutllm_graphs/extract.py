"""``extract``: a document and a schema -> a typed record, with the place and the doubts of every value."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from layoutllm_graphs.context import Context
from layoutllm_graphs.planning.planner import schema_of
from layoutllm_graphs.records import pointer
from layoutllm_graphs.state import Escalation, Request
from layoutllm_graphs.usage import Usage
from layoutllm_graphs.workflow import make_graph
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.protocols import Reader
from layoutllm_tool.readers.caching import hand_in
from layoutllm_tool.tool import LayoutLLMTool

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Extraction(Generic[Model]):
    """``record`` fits the schema where nothing is doubtful; what is missing or not understood is None.

    ``fields``: by JSON pointer (``/items/0/amount``) value, printed text, page (1-based), box (0-1000),
    confidence, verdict, problem and reasons.
    """

    record: dict[str, Any]
    fields: dict[str, dict[str, Any]]
    notes: tuple[str, ...]
    model: type[Model] | None = None
    escalation: Escalation | None = None
    """Which values a chat model was asked, where ``Context(escalate=...)`` has one."""
    usage: Usage = field(default_factory=dict)
    """Tokens of chat models, by model."""

    @property
    def doubtful(self) -> dict[str, list[str]]:
        """Pointer -> reasons, of all fields that are not satisfied, and of what else keeps the record from
        being an instance (a UUID that is none, too few items).
        """
        found = {at: f["reasons"] for at, f in self.fields.items() if f["verdict"] != "satisfied"}
        for place, told in self._broken():
            if not any(f"{at}/".startswith(f"{pointer(place)}/") for at in found):
                found[pointer(place)] = [told]
        return found

    @property
    def instance(self) -> Model | None:
        """The pydantic instance; None where the record does not validate (``errors`` says why)."""
        try:
            return self._validated() if self.model else None
        except ValidationError:
            return None

    @property
    def errors(self) -> list[str]:
        """What keeps the record from being an instance."""
        return [f"{'/'.join(map(str, place))}: {told}" for place, told in self._broken()]

    def _broken(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Where the record is no instance, and why."""
        try:
            _ = self._validated() if self.model else None
        except ValidationError as error:
            return [(e["loc"], e["msg"]) for e in error.errors(include_url=False)]
        return []

    def _validated(self) -> Model | None:
        """The model's own default stands where the document says nothing, and nothing speaks against that."""
        assert self.model is not None
        try:
            return self.model.model_validate(self.record)
        except ValidationError as error:
            paths = [e["loc"] for e in error.errors(include_url=False) if e["input"] is None]
        record = copy.deepcopy(self.record)
        for path in paths:
            if self.fields.get(pointer(path), {}).get("verdict") == "satisfied":
                _leave_out(record, path)
        return self.model.model_validate(record)


def _leave_out(record: Any, path: Sequence[str | int]) -> None:
    """What stands at the path, where it does."""
    *above, last = path
    for step in above:
        record = record[step]
    if isinstance(record, dict):
        record.pop(last, None)


def extract(
    document: str | bytes | Mapping[str, Any] | Document,
    schema: type[Model] | Mapping[str, Any],
    *,
    reader: Reader | None = None,
    page: int | None = None,
    context: Context | None = None,
) -> Extraction[Model]:
    """Read the record that a pydantic model or a JSON Schema describes.

    ``document``: a path under the working directory, content as the graph takes it, or a loaded Document.
    ``context`` sets the tool, limits and ``min_confidence``; without one there is no second opinion, which
    changed none of 370 values and costs two calls for each that is doubtful. ``reader`` is a shorthand for a
    tool of its own. PlanError for a schema that is not covered, DocumentError and OCRError as the tool
    raises them.
    """
    model = schema if isinstance(schema, type) else None
    task = dict(schema_of(schema) if isinstance(schema, type) else schema)
    name = document.name if isinstance(document, Document) else hand_in(document)
    given = {name: document} if isinstance(document, Document) else {}
    tool = LayoutLLMTool(reader=reader, documents=given)
    context = context or Context(tool=tool, second_opinion=False)
    outcome = make_graph().invoke(Request(document=name, task=task, page=page), context=context)
    return Extraction(
        outcome["record"], outcome["fields"], tuple(outcome["notes"]), model,
        outcome.get("escalation"), outcome.get("usage", {}),
    )  # fmt: skip
