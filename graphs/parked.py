"""A person's word on a field of a batch, whenever it comes: the document's run goes on from there, the other fields wait on.

An interrupt is not resumed: LangGraph applies what a resumed node gives only once every interrupt beside it is resumed, so that one
correction would wait for the last of the fields. The word is entered as the question's own outcome, and the run goes on at dispatch;
what still waits is parked anew. So a field that nobody doubted can be reviewed too, and one whose thread is on another machine: its
thread is made from the stored answers. Whoever was killed between thread and store leaves the thread ahead: the store is what counts,
and a thread that says otherwise is made anew. One review at a time (the caller's lock); asking for reviews is *not* here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from graphs.context import Context
from graphs.question import build_question
from graphs.reflection.types import Attempt, QuestionResult
from graphs.review import Review, decided
from graphs.runs import carry_out
from graphs.serde import refusing_foreign
from graphs.state import QuestionInput, Request, check_cot, check_state, cots_in, plan_in
from graphs.workflow import build_workflow, standing
from layoutllm_tool.batch.store import Field, Input, Store, worst
from layoutllm_tool.cot import Area, Correction, Evidence, LayoutCoT
from layoutllm_tool.documents.geometry import Box, Document, Page
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.errors import CorrectionError, DocumentUnreadable, StoreMismatch
from layoutllm_tool.protocols import Reader, ReaderAround
from layoutllm_tool.tool import LayoutLLMTool

Open = Callable[[str], Document]
"""Opens a document by the name that the source has for it."""


def answer(
    store: Store, saver: BaseCheckpointSaver[Any], key: str, name: str, said: Review, *, reader: Reader, opened: Open
) -> list[Field]:
    """Carries out the word on field ``name`` of document ``key`` and gives the document's fields after it, as they are stored.

    StoreMismatch where there is no such field; DocumentError where the document is gone or another by now; CorrectionError or what
    the reader raises where the correction can't be followed: nothing is changed then, and nothing in the store by what fails later
    (settling the other fields).
    """
    field, source, done = store.field(key, name), store.input_of(key), store.document(key)
    if field is None or source is None or done is None:
        raise StoreMismatch(f"there is no field {name!r} in document {key}.", hint="Load the page again.")
    document = _same(opened(source.name), done.sha256)
    with refusing_foreign():
        following = _Following(reader, store.fields(key))
    # What is stored may name any file: the tool opens the batch's document and no other.
    tool = LayoutLLMTool(reader=following, documents={source.name: document}, access=Access(roots=()))
    settings = store.settings
    context = Context(
        tool=tool, max_attempts=settings.get("rounds", 3), second_opinion=settings.get("second_look", True), review=True
    )
    graph = build_workflow().compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": key}}
    known = _known(graph, saver, store, source)
    found = _said(known, name, said, context, tool)
    # What was answered at an earlier end is not the answer of a run that is parked anew.
    entered = {**known, "found": {**known["found"], name: found}, "answers": []}
    graph.update_state(config, entered, as_node="question")
    request = Request(document=source.name, task=known["task"], page=source.page)
    outcome = carry_out(graph, request, thread=key, context=context)
    waiting = {one.value["name"] for one in graph.get_state(config).interrupts}
    fields = [Field(key, at, a["name"], dict(a), a["name"] in waiting) for at, a in enumerate(outcome["answers"])]
    store.reviewed(key, name, said.model_dump(mode="json"), fields, worst([f.answer["verdict"] for f in fields]))
    return store.fields(key)


def attempts(saver: BaseCheckpointSaver[Any], key: str, name: str) -> list[dict[str, Any]]:
    """Everything that was tried for a field, each with what led to it and what the checks said; [] where no thread is kept."""
    graph = build_workflow().compile(checkpointer=saver)
    with refusing_foreign():
        values = graph.get_state({"configurable": {"thread_id": key}}).values
        if "found" not in values:
            return []
        check_state(values)
    found = values["found"].get(name)
    return [dict(one) for one in found["attempts"]] if found else []


def _same(document: Document, sha256: str | None) -> Document:
    if sha256 and document.sha256 != sha256:
        raise DocumentUnreadable(
            f"{document.name!r} is another document now than when it was read.", hint="Run the batch on it again."
        )
    return document


def _said(known: Mapping[str, Any], name: str, said: Review, context: Context, tool: LayoutLLMTool) -> QuestionResult:
    """Where the question stands after the word."""
    job = _job(known, name)
    if said.correction is None:
        found = decided(job, said)
        return _placed(found, job, tool) if said.answer is not None else found
    mend = Correction.from_json(_plain(said))
    asked = QuestionInput(**{**job, "correction": mend.to_json()})
    read: QuestionResult = build_question().invoke(asked, context=context)["found"][name]
    if read["error"]:
        raise CorrectionError(read["error"])
    return read


def _plain(said: Review) -> dict[str, Any]:
    assert said.correction is not None
    try:
        data = said.correction.model_dump()
        for box in (*data["boxes"], *data["avoid"]):
            Box(*box)
    except (TypeError, ValueError) as error:
        raise CorrectionError(f"that is no box: {error}.") from error
    return data


def _job(state: Mapping[str, Any], name: str) -> QuestionInput:
    plan = plan_in(state)
    question, cots = plan.question(name), cots_in(state)
    answers = {other: cot.answer for other, cot in cots.items() if cot.answer is not None}
    constraints = [c for c in plan.constraints if name in c.names]
    others = {n: cots[n].to_json() for c in constraints for n in c.names if n in cots and n != name}
    mine = cots.get(name)
    return QuestionInput(
        document=state["document"], page=state.get("page"), name=name, question=question.model_dump(mode="json"),
        text=mine.question if mine else question.filled(answers), others=others,
        constraints=[c.model_dump(mode="json") for c in constraints], correction=None, by="person",
        previous_result=state["found"][name],
    )  # fmt: skip


def _known(graph: Any, saver: BaseCheckpointSaver[Any], store: Store, source: Input) -> dict[str, Any]:
    """The thread's state where it is that of the stored answers, else one made of them, and the thread is begun anew. StoreMismatch
    where what is stored are no answers."""
    fields = store.fields(source.key)
    with suppress(StoreMismatch), refusing_foreign():
        state = dict(graph.get_state({"configurable": {"thread_id": source.key}}).values)
        if state and _agrees(state, fields, store.settings["plan"], source):
            return state
    with refusing_foreign():
        made = _made(store, fields, source)
        check_state(made)
    saver.delete_thread(source.key)
    return made


def _agrees(state: Mapping[str, Any], fields: Sequence[Field], plan: Any, source: Input) -> bool:
    check_state(state)
    same = (state["document"], state.get("page"), state["plan"]) == (source.name, source.page, plan)
    return same and standing(state) == [field.answer for field in fields]


# -- a thread that is not there -----------------------------------------------------------------------------------------


def _made(store: Store, fields: Sequence[Field], source: Input) -> dict[str, Any]:
    """The state of a run that ended with the stored answers."""
    plan = store.settings["plan"]
    found = {field.name: _found(field.answer) for field in fields}
    return {
        "document": source.name, "page": source.page, "task": plan, "plan": plan, "found": found, "notes": [], "answers": [],
    }  # fmt: skip


def _found(answer: Mapping[str, Any]) -> QuestionResult:
    findings = [
        {"check": "batch", "step": "answer", "reason": reason, "correction": None, "weight": 1.0}
        for reason in answer["reasons"]
    ]
    reflection = {"verdict": answer["verdict"], "findings": findings, "correction": None}
    tried = [Attempt(cot=answer["cot"], correction=None, reflection=reflection)] if answer["cot"] else []
    return QuestionResult(
        attempts=tried, best=0 if tried else None, verdict=answer["verdict"], error=answer["error"], by=answer["by"],
        calls=answer["calls"],
    )  # fmt: skip


# -- an answer by hand --------------------------------------------------------------------------------------------------


def _placed(found: QuestionResult, job: QuestionInput, tool: LayoutLLMTool) -> QuestionResult:
    """With its place on the page, where its words stand in one place only, or in the area that was looked at."""
    *before, last = found["attempts"]
    cot = LayoutCoT.from_json(last["cot"])
    earlier = [LayoutCoT.from_json(one["cot"]) for one in before]
    places = list(_places(tool.look(job["document"], job["page"]), cot.answer or ""))
    areas = [area for one in earlier[-1:] for area in one.areas]
    inside = [p for p in places if any(a.page == p.page and a.box.covers(p.box) for a in areas)]
    one = inside[:1] if len(inside) == 1 else places if len(places) == 1 else []
    if not one:
        return found
    lines = tuple(sorted({line for line, _ in one[0].words}))
    cot = replace(cot, evidence=tuple(one), areas=(Area(one[0].page, one[0].box, lines),))
    return QuestionResult(**{**found, "attempts": [*before, Attempt(**{**last, "cot": cot.to_json()})]})


def _places(document: Document, text: str) -> list[Evidence]:
    wanted = text.split()
    return [evidence for page in document.pages for evidence in _on(page, wanted)] if wanted else []


def _on(page: Page, wanted: Sequence[str]) -> list[Evidence]:
    words = [(at, i, word) for at, line in enumerate(page.lines or ()) for i, word in enumerate(line.words)]
    found = []
    for start in range(len(words) - len(wanted) + 1):
        run = words[start : start + len(wanted)]
        if all(word.text == one for (_, _, word), one in zip(run, wanted, strict=True)):
            box = Box.union(word.box for _, _, word in run)
            found.append(Evidence(page.number, box, " ".join(wanted), tuple((at, i) for at, i, _ in run)))
    return found


class _Following(ReaderAround):
    """The reader, which knows what came of every question before: a correction mends that, not what it would say today."""

    def __init__(self, reader: Reader, fields: Sequence[Field]) -> None:
        super().__init__(reader)
        cots = [check_cot(field.answer["cot"]) for field in fields if field.answer["cot"]]
        self._before = {cot.question: cot for cot in cots}

    def ask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        return super().ask(document, question, **self._with_previous(question, options))

    async def aask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        return await super().aask(document, question, **self._with_previous(question, options))

    def _with_previous(self, question: str, options: dict[str, Any]) -> dict[str, Any]:
        """The first correction is of the stored attempt, later ones of what followed."""
        known = self._before.pop(question, None)
        if options.get("correction") is not None and options.get("previous") is None:
            return {**options, "previous": known}
        return options
