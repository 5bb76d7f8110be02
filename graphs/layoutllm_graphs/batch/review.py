"""Apply a reviewer's decision to one field of a batch, or another plan to one of its documents.

The workflow's state is made from the stored results, and the run is amended and goes on in memory
(``amend``): what depends on the change is done again. Any question can be reviewed; other pending fields stay
pending. One review at a time (the caller's lock).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from layoutllm_graphs.amend import amend
from layoutllm_graphs.batch.worker import OUTPUTS, fields_of
from layoutllm_graphs.context import Context
from layoutllm_graphs.planning.plan import Plan
from layoutllm_graphs.reflection.types import Finding, Reflection
from layoutllm_graphs.review import ReviewDecision
from layoutllm_graphs.serde import DataSerializer, refusing_foreign
from layoutllm_graphs.state import check_state
from layoutllm_graphs.workflow import build_workflow
from layoutllm_tool.batch.store import Field, Input, Store, worst
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.errors import CorrectionError, DocumentUnreadable, StoreMismatch
from layoutllm_tool.protocols import Reader
from layoutllm_tool.tool import LayoutLLMTool

Open = Callable[[str], Document]
"""Opens a document by the name that the source has for it."""


def review_field(
    store: Store, key: str, name: str, decision: ReviewDecision, *, reader: Reader, opened: Open
) -> list[Field]:
    """Apply the decision to field ``name`` of document ``key``; return the fields as they are stored then.

    StoreMismatch where there is no such field; DocumentError where the document is gone or another by now;
    CorrectionError or what the reader raises where the correction can't be followed; PlanError for a field
    that is computed. Nothing is stored then.
    """
    if store.field(key, name) is None:
        raise _missing(f"field {name!r} in document {key}")
    values = _amended(store, key, reader, opened, answers={name: decision})
    if error := values["found"][name]["error"]:
        raise CorrectionError(error)
    fields, verdict = _stood(key, values)
    store.reviewed(key, name, decision.model_dump(mode="json"), fields, verdict, values.get("record"))
    return store.fields(key)


def change_plan(store: Store, key: str, plan: Plan, *, reader: Reader, opened: Open) -> list[Field]:
    """Carry out another plan on document ``key``, and keep the answers that it leaves as they were.

    Raises as ``review_field`` does.
    """
    values = _amended(store, key, reader, opened, plan=plan)
    fields, verdict = _stood(key, values)
    store.replanned(key, values["plan"], fields, verdict, values.get("record"))
    return store.fields(key)


def _missing(what: str) -> StoreMismatch:
    return StoreMismatch(f"there is no {what}.", hint="Load the page again.")


def _stood(key: str, values: Mapping[str, Any]) -> tuple[list[Field], str]:
    fields = fields_of(key, values)
    return fields, worst([field.answer["verdict"] for field in fields])


def _amended(store: Store, key: str, reader: Reader, opened: Open, **changes: Any) -> dict[str, Any]:
    """Run the workflow on from the document's stored results, in memory."""
    source, done = store.input_of(key), store.document(key)
    if source is None or done is None:
        raise _missing(f"document {key}")
    document = opened(source.name)
    if done.sha256 and document.sha256 != done.sha256:
        raise DocumentUnreadable(
            f"{document.name!r} is another document now than when it was read.",
            hint="Run the batch on it again.",
        )
    with refusing_foreign():
        state = _state(store, source)
    # What is stored may name any file: the tool opens the batch's document and no other.
    tool = LayoutLLMTool(reader=reader, documents={source.name: document}, access=Access(roots=()))
    settings = store.settings
    names = ("max_attempts", "second_opinion", "min_confidence")
    limits = {name: settings[name] for name in names if name in settings}
    graph = build_workflow().compile(checkpointer=InMemorySaver(serde=DataSerializer()))
    config: Any = {"configurable": {"thread_id": "review"}}
    graph.update_state(config, state, as_node="finish")
    command = amend(graph, config, tool=tool, **changes)
    context = Context(tool=tool, **limits)
    values: dict[str, Any] = graph.invoke(command, config, context=context, output_keys=OUTPUTS)
    return values


def attempts(store: Store, key: str, name: str) -> list[dict[str, Any]]:
    """Every attempt at a field, with its correction and reflection. StoreMismatch."""
    field, source = store.field(key, name), store.input_of(key)
    if field is None or source is None:
        return []
    with refusing_foreign():
        found = _state(store, source)["found"]
        return list(found[name]["attempts"]) if name in found else []


def _state(store: Store, source: Input) -> dict[str, Any]:
    """The state of a run that ended with the stored results. Raises what ``check_state`` raises."""
    plan, fields = store.plan(source.key), store.fields(source.key)
    asked = {question["name"] for question in plan["questions"]}
    state: dict[str, Any] = {
        "document": source.name, "only_page": source.page, "task": plan, "plan": plan, "notes": [],
        "answers": [], "found": {f.name: _result_of(f) for f in fields if f.name in asked},
        "record_schema": store.settings.get("schema"),
    }  # fmt: skip
    check_state(state)
    return state


def _result_of(field: Field) -> dict[str, Any]:
    """The field's ``QuestionResult``; made of its answer where it was stored without one."""
    if field.result is not None:
        return field.result
    answer = field.answer
    findings = tuple(Finding("batch", "answer", reason) for reason in answer["reasons"])
    reflection = Reflection(answer["verdict"], findings).to_json()
    attempts = [{"cot": answer["cot"], "correction": None, "reflection": reflection}] if answer["cot"] else []
    kept: dict[str, Any] = {
        name: answer[name] for name in ("verdict", "error", "by", "calls", "rows") if name in answer
    }
    return {"attempts": attempts, "best": 0 if attempts else None, **kept}
