"""Answer one document of a batch: open it, run the workflow in memory, return its row and its fields.

Writes nothing. Plain data goes in and out, so a worker can run in another process or on another machine.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from dataclasses import field as default
from typing import Any

from layoutllm_graphs.chat_models import chat_model
from layoutllm_graphs.context import Context
from layoutllm_graphs.doubts import with_doubts
from layoutllm_graphs.planning.plan import Plan, PlannedQuestion
from layoutllm_graphs.planning.planner import plan_task, schema_of
from layoutllm_graphs.state import Answer, Request
from layoutllm_graphs.structure import found
from layoutllm_graphs.workflow import build_workflow
from layoutllm_tool.batch.sources import ANYWHERE, Places, asked_pages, open_document
from layoutllm_tool.batch.store import DocumentResult, Field, worst
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import DocumentUnreadable, LayoutLLMError
from layoutllm_tool.extraction.labels import printed_label
from layoutllm_tool.extraction.schema import is_schema
from layoutllm_tool.protocols import Reader, ReaderAround
from layoutllm_tool.tool import LayoutLLMTool

MakeReader = Callable[[], Reader]
OUTPUTS = ("plan", "answers", "notes", "found", "record", "fields", "notices")
"""Of the workflow's state: ``found`` has every attempt."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a batch's answers depend on, beside the documents. ``Settings.of(task, ...)`` plans the task."""

    plan: dict[str, Any]
    model: Mapping[str, str]
    """Which reader: its class, and the hashes of its weights."""
    max_attempts: int = 3
    second_opinion: bool = True
    languages: tuple[str, ...] = ("eng",)
    version: str = ""
    """The package's: checks and planning differ between versions, so their answers are not mixed."""
    schema: dict[str, Any] | None = None
    """The JSON Schema of the record, where the task is one."""
    min_confidence: float = 0.0
    escalate: str = ""
    """The name of a chat model for what stays doubtful (``chat_models``)."""
    max_escalations: int = 10

    @classmethod
    def of(
        cls, task: Any, *, model: Mapping[str, str], schema: dict[str, Any] | None = None, **options: Any
    ) -> Settings:
        """PlanError where no plan can be made of the task. ``schema``: of the record, where it is a plan."""
        plan = plan_task(task).plan.model_dump(mode="json")
        data = schema_of(task) if isinstance(task, type) else task
        if isinstance(data, Mapping) and is_schema(data):
            schema = dict(data)
        return cls(plan=plan, model=model, schema=schema, **options)

    def to_json(self) -> dict[str, Any]:
        data = asdict(self) | {"languages": list(self.languages), "model": dict(self.model)}
        unused = () if self.escalate else ("escalate", "max_escalations")
        return {name: value for name, value in data.items() if name not in unused}


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One document to be answered."""

    key: str
    name: str
    page: int | None
    sha256: str
    problem: str = ""
    """Why nothing can be opened, where that is known already."""
    places: Places = ANYWHERE

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WorkItem:
        roots, schemes = data["places"]["roots"], data["places"]["schemes"]
        places = Places(None if roots is None else tuple(roots), tuple(schemes))
        return cls(**{**data, "places": places})


@dataclass(frozen=True, slots=True)
class WorkResult:
    """What became of one document; plain data."""

    document: DocumentResult
    fields: list[Field] = default(default_factory=list)
    bug: str | None = None
    """A traceback, where it failed otherwise than by an error of the package's tree."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WorkResult:
        fields = [Field(**field) for field in data["fields"]]
        return cls(DocumentResult(**data["document"]), fields, data["bug"])


def failed_result(item: WorkItem, error: BaseException, *, seconds: float = 0.0) -> WorkResult:
    """The row of a document that could not be answered."""
    known = isinstance(error, LayoutLLMError)
    bug = None if known else "".join(traceback.format_exception(error))
    document = DocumentResult(
        item.key, "failed", verdict="failed", error=str(error) or type(error).__name__,
        kind=type(error).__name__,
        retryable=error.retryable if isinstance(error, LayoutLLMError) else True, sha256=item.sha256 or None,
        seconds=round(seconds, 3),
    )  # fmt: skip
    return WorkResult(document, bug=bug)


class BatchWorker:
    """One reader and one graph, for one document after another. Not for several threads."""

    def __init__(self, reader: Reader, settings: Settings) -> None:
        self._reader, self._settings = reader, settings
        self._graph = build_workflow().compile()
        self._model = chat_model(settings.escalate) if settings.escalate else None

    def result(self, item: WorkItem) -> WorkResult:
        """Every error becomes the document's row: a batch of ten thousand goes on after one that fails."""
        begun = time.monotonic()
        try:
            as_scanned = self._open(item)
            document = self._reader.load(as_scanned)
            values = self._answered(item, document)
        except Exception as error:  # noqa: BLE001  the log keeps the traceback
            return failed_result(item, error, seconds=time.monotonic() - begun)
        fields, seconds = fields_of(item.key, values), time.monotonic() - begun
        row = _document_result(item, fields, values.get("record"), as_scanned, document, seconds)
        return WorkResult(row, fields)

    def _open(self, item: WorkItem) -> Document:
        if item.problem:
            raise DocumentUnreadable(item.problem + ".")
        pages = asked_pages(self._settings.plan, item.page)
        document = open_document(item.name, pages=pages, places=item.places)
        if item.sha256 and document.sha256 != item.sha256:
            raise DocumentUnreadable(
                f"{item.name!r} changed while it was read.", hint="Run the same command again."
            )
        return document

    def _answered(self, item: WorkItem, document: Document) -> dict[str, Any]:
        given = self._settings
        tool = LayoutLLMTool(
            reader=_InOrder(self._reader, given.plan, item.page), documents={item.name: document}
        )
        context = Context(
            tool=tool, max_attempts=given.max_attempts, second_opinion=given.second_opinion,
            min_confidence=given.min_confidence, escalate=self._model,
            max_escalations=given.max_escalations,
        )  # fmt: skip
        request = Request(document=item.name, task=given.plan, page=item.page, schema=given.schema)
        values: dict[str, Any] = self._graph.invoke(
            request, {"max_concurrency": 1}, context=context, output_keys=OUTPUTS
        )
        return values


class _InOrder(ReaderAround):
    """Asks the questions that depend on no other together, once, in the plan's order; everything else alone.

    A model's last digits depend on what is decoded in the same batch, and that would depend on the clock.
    With one node at a time and fixed groups, a document's row is the same whoever answers it, however often
    the batch was killed.
    """

    def __init__(self, reader: Reader, plan: Mapping[str, Any], page: int | None) -> None:
        super().__init__(reader)
        self._open: dict[int | None, list[PlannedQuestion]] = {}
        for question in Plan.model_validate(plan).questions:
            if not question.depends_on:
                self._open.setdefault(question.page or page, []).append(question)
        self._known: dict[tuple[str, int | None, str], LayoutCoT] = {}

    def ask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        page = options.get("page")
        together = self._open.get(page, ())
        if options.get("correction") is None and question in [one.text for one in together]:
            texts = [one.text for one in self._open.pop(page) if not _is_asked_otherwise(one, document)]
            with suppress(LayoutLLMError):  # of one of them: each is then asked alone, and told of its own
                cots = self.reader.ask_many(document, texts, page=page)
                self._known |= {
                    (document.sha256, page, text): cot for text, cot in zip(texts, cots, strict=True)
                }
        known = self._known.pop((document.sha256, page, question), None)
        return known or super().ask(document, question, **options)


def _is_asked_otherwise(question: PlannedQuestion, document: Document) -> bool:
    """Whether the page's structure may answer it, or the page's own label is asked for (``structure``)."""
    if not question.path or question.columns or question.choices:
        return bool(question.columns or question.path)
    return found(question, document) is not None or bool(printed_label(document, question.path))


def fields_of(key: str, values: Mapping[str, Any]) -> list[Field]:
    """A run's answers as the store keeps them, each with its full result. ``values``: of ``OUTPUTS``.

    What is doubtful, or has a doubtful value in the record, waits for a person.
    """
    paths = {question["name"]: question["path"] for question in values["plan"]["questions"]}
    fields = values.get("fields") or {}
    answers = [with_doubts(a, paths.get(a["name"], ()), fields) for a in values["answers"]]
    return [
        Field(key, position, a["name"], dict(a), _is_pending(a), values["found"].get(a["name"]))
        for position, a in enumerate(answers)
    ]


def _is_pending(answer: Answer) -> bool:
    return answer["verdict"] != "satisfied" and answer["by"] != "person"


def _rotated_pages(as_scanned: Document, read: Document) -> list[int]:
    """The pages whose picture changed when they were read."""

    def differs(a: Any, b: Any) -> bool:
        return a is not b and (a is None or b is None or a.size != b.size or a.tobytes() != b.tobytes())

    pairs = zip(as_scanned.pages, read.pages, strict=False)
    return [after.number for before, after in pairs if differs(before.image, after.image)]


def _document_result(
    item: WorkItem, fields: list[Field], record: dict[str, Any] | None, as_scanned: Document, read: Document,
    seconds: float,
) -> DocumentResult:  # fmt: skip
    """Failed, without a record and worth another try, where no question at all could be asked."""
    answers = [field.answer for field in fields]
    errors = [answer["error"] for answer in answers if answer["error"]]
    hopeless = bool(errors) and len(errors) == len(answers)
    return DocumentResult(
        item.key, "failed" if hopeless else "done", verdict=worst([answer["verdict"] for answer in answers]),
        error=errors[0] if hopeless else None, kind="LayoutLLMError" if hopeless else None,
        retryable=hopeless,
        sha256=item.sha256, pages=len(read.pages), seconds=round(seconds, 3),
        rotated_pages=_rotated_pages(as_scanned, read), record=None if hopeless else record,
        notices=read.notices,
    )  # fmt: skip
