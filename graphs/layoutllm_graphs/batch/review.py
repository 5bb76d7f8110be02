"""Apply a reviewer's decision to one field of a batch and re-run the cross-field checks.

The workflow's state is made from the stored results, the decision is entered as the question's outcome, and
the run goes on at dispatch, in memory. Any field can be reviewed; other pending fields stay pending. One
review at a time (the caller's lock).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from layoutllm_graphs.batch.worker import OUTPUTS, fields_of
from layoutllm_graphs.context import Context
from layoutllm_graphs.question import build_question
from layoutllm_graphs.reflection.types import Finding, QuestionResult, Reflection
from layoutllm_graphs.review import ReviewDecision, corrected, decided
from layoutllm_graphs.serde import DataSerializer, refusing_foreign
from layoutllm_graphs.state import QuestionInput, Run, check_state
from layoutllm_graphs.workflow import build_workflow
from layoutllm_tool.batch.store import Field, Input, Store, worst
from layoutllm_tool.cot import Area, Evidence
from layoutllm_tool.documents.geometry import Document, Page
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
    CorrectionError or what the reader raises where the correction can't be followed. Nothing is stored then.
    """
    field, source, done = store.field(key, name), store.input_of(key), store.document(key)
    if field is None or source is None or done is None:
        raise StoreMismatch(f"there is no field {name!r} in document {key}.", hint="Load the page again.")
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
    context = Context(tool=tool, **limits)
    state["found"][name] = _decided(state, name, decision, context, tool).to_json()
    values = _continued(state, context)
    fields = fields_of(key, values)
    verdict = worst([field.answer["verdict"] for field in fields])
    store.reviewed(key, name, decision.model_dump(mode="json"), fields, verdict, values.get("record"))
    return store.fields(key)


def attempts(store: Store, key: str, name: str) -> list[dict[str, Any]]:
    """Every attempt at a field, with its correction and reflection. StoreMismatch."""
    field, source = store.field(key, name), store.input_of(key)
    if field is None or source is None:
        return []
    with refusing_foreign():
        return list(_state(store, source)["found"][name]["attempts"])


def _continued(state: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Run the workflow from dispatch to its end."""
    graph = build_workflow().compile(checkpointer=InMemorySaver(serde=DataSerializer()))
    config: Any = {"configurable": {"thread_id": "review"}}
    graph.update_state(config, state, as_node="question")
    values: dict[str, Any] = graph.invoke(None, config, context=context, output_keys=OUTPUTS)
    return values


def _state(store: Store, source: Input) -> dict[str, Any]:
    """The state of a run that ended with the stored results. Raises what ``check_state`` raises."""
    plan, fields = store.settings["plan"], store.fields(source.key)
    state = {
        "document": source.name, "page": source.page, "task": plan, "plan": plan, "notes": [], "answers": [],
        "found": {f.name: _result_of(f.answer) if f.result is None else f.result for f in fields},
        "schema": store.settings.get("schema"),
    }  # fmt: skip
    check_state(state)
    return state


def _result_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The ``QuestionResult`` of a field that was stored without one."""
    findings = tuple(Finding("batch", "answer", reason) for reason in answer["reasons"])
    reflection = Reflection(answer["verdict"], findings).to_json()
    attempts = [{"cot": answer["cot"], "correction": None, "reflection": reflection}] if answer["cot"] else []
    kept = {name: answer[name] for name in ("verdict", "error", "by", "calls", "rows") if name in answer}
    return {"attempts": attempts, "best": 0 if attempts else None, **kept}


def _decided(
    state: Mapping[str, Any], name: str, decision: ReviewDecision, context: Context, tool: LayoutLLMTool
) -> QuestionResult:
    """Where the question stands after the decision."""
    run = Run.of(state)
    question = run.question_input(name, final=True)
    if decision.correction is None:
        found = decided(question, run.found[name], decision)
        return _placed(found, question, tool) if decision.answer is not None else found
    asked = corrected(question, decision.correction)
    read = QuestionResult.from_json(build_question().invoke(asked, context=context)["found"][name])
    if read.error:
        raise CorrectionError(read.error)
    return read


def _placed(found: QuestionResult, question: QuestionInput, tool: LayoutLLMTool) -> QuestionResult:
    """Add the answer's place, where its words stand in one place only, or in the area that was looked at."""
    *before, last = found.attempts
    areas = before[-1].cot.areas if before else ()
    pages, wanted = tool.look(question["document"], question["page"]).pages, (last.cot.answer or "").split()
    places = [evidence for page in pages for evidence in _on(page, wanted)] if wanted else []
    inside = [p for p in places if any(a.page == p.page and a.box.covers(p.box) for a in areas)]
    chosen = inside if len(inside) == 1 else places
    if len(chosen) != 1:
        return found
    place = chosen[0]
    lines = tuple(sorted({line for line, _ in place.words}))
    cot = replace(last.cot, evidence=(place,), areas=(Area(place.page, place.box, lines),))
    return found.change_best(cot=cot)


def _on(page: Page, wanted: Sequence[str]) -> Iterator[Evidence]:
    """Where these words follow one another."""
    words = [(at, i) for at, line in enumerate(page.lines or ()) for i in range(len(line.words))]
    texts = [word.text for word in page.words]
    for start in range(len(words) - len(wanted) + 1):
        stop = start + len(wanted)
        if texts[start:stop] == wanted:
            yield Evidence.of(page, words[start:stop])
