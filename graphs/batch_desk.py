"""What a worker of a batch does: opens one document after another, reads ahead, answers, and says what became of it.

A document's run lives in memory here. Nothing is written: the result holds the parked thread of a document that waits for a person, and
whoever gathers results (``batch``) keeps it. Plain data in and out, so that a desk can stand in another process or on another machine.
"""

from __future__ import annotations

import base64
import queue
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from dataclasses import field as default
from typing import Any

from graphs.context import Context
from graphs.planning.plan import Plan
from graphs.planning.planner import plan_task
from graphs.runs import carry_out
from graphs.serde import DataSaver
from graphs.state import Answer, Request
from graphs.workflow import build_workflow
from layoutllm_tool.batch.sources import ANYWHERE, Places, asked_pages, open_document
from layoutllm_tool.batch.store import Done, Field, worst
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import DocumentUnreadable, LayoutLLMError
from layoutllm_tool.protocols import Reader, ReaderAround
from layoutllm_tool.tool import LayoutLLMTool

MakeReader = Callable[[], Reader]
TABLES = ("checkpoints", "writes")
"""The checkpointer's, which hold a parked thread."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the answers of a batch depend on, beside the documents. ``Settings.of(task, ...)`` plans the task, once."""

    plan: dict[str, Any]
    model: Mapping[str, str]
    """Which reader: its class, and the hashes of its weights."""
    rounds: int = 3
    second_look: bool = True
    languages: tuple[str, ...] = ("eng",)
    version: str = ""
    """The package's: answers of two versions don't mix, since checks and planning change with it."""

    @classmethod
    def of(cls, task: Any, *, model: Mapping[str, str], **options: Any) -> Settings:
        """PlanError where no plan can be made of the task."""
        return cls(plan=plan_task(task).plan.model_dump(mode="json"), model=model, **options)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"languages": list(self.languages), "model": dict(self.model)}


@dataclass(frozen=True, slots=True)
class Work:
    """One document to be answered."""

    key: str
    name: str
    page: int | None
    sha256: str
    problem: str = ""
    """Why nothing can be opened, where that is known already."""
    places: Places = ANYWHERE

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Work:
        roots, schemes = data["places"]["roots"], data["places"]["schemes"]
        places = Places(None if roots is None else tuple(roots), tuple(schemes))
        return cls(**{**data, "places": places})


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one document; plain data, so that it can come from another process or machine."""

    done: Done
    fields: list[Field] = default(default_factory=list)
    thread: dict[str, list[dict[str, Any]]] = default(default_factory=dict)
    """The rows of the checkpoints of a document that waits for a person, by table; bytes in them."""
    bug: str | None = None
    """A traceback, where it failed otherwise than by an error of the package's tree."""

    def to_json(self) -> dict[str, Any]:
        """Bytes in base64."""
        thread = {table: [_packed(row) for row in rows] for table, rows in self.thread.items()}
        return {
            "done": asdict(self.done), "fields": [asdict(field) for field in self.fields], "thread": thread, "bug": self.bug,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        thread = {table: [_unpacked(row) for row in rows] for table, rows in data["thread"].items()}
        return cls(Done(**data["done"]), [Field(**field) for field in data["fields"]], thread, data["bug"])


def _packed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {n: {"b64": base64.b64encode(v).decode()} if isinstance(v, bytes) else v for n, v in row.items()}


def _unpacked(row: Mapping[str, Any]) -> dict[str, Any]:
    return {n: base64.b64decode(v["b64"]) if isinstance(v, dict) else v for n, v in row.items()}


def failed(work: Work, error: BaseException, *, seconds: float = 0.0) -> Result:
    """The row of a document that could not be answered."""
    known = isinstance(error, LayoutLLMError)
    bug = None if known else "".join(traceback.format_exception(error))
    done = Done(
        work.key, "failed", verdict="failed", error=str(error) or type(error).__name__, kind=type(error).__name__,
        retryable=error.retryable if isinstance(error, LayoutLLMError) else True, sha256=work.sha256 or None,
        seconds=round(seconds, 3),
    )  # fmt: skip
    return Result(done, bug=bug)


# -- one document after another -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Opened:
    work: Work
    document: Document | None
    error: Exception | None
    seconds: float
    turned: list[int] = default(default_factory=list)


class Desk:
    """One reader and one graph, for one document after another. Not for several threads."""

    def __init__(self, reader: Reader, settings: Settings) -> None:
        self._reader, self._settings = reader, settings
        self._saver = DataSaver(sqlite3.connect(":memory:", check_same_thread=False))
        self._graph = build_workflow().compile(checkpointer=self._saver)

    def results(self, works: Iterable[Work], *, ahead: int = 0) -> Iterator[Result]:
        """In order. While one document is answered, the next ``ahead`` are opened and read (text recognition) by a thread."""
        opened = (self._open(work) for work in works) if ahead < 1 else _ahead(self._open, works, ahead)
        for one in opened:
            yield self._answer(one)

    def _open(self, work: Work) -> _Opened:
        begun = time.monotonic()
        try:
            if work.problem:
                raise DocumentUnreadable(work.problem + ".")
            pages = asked_pages(self._settings.plan, work.page)
            lying = open_document(work.name, pages=pages, places=work.places)
            if work.sha256 and lying.sha256 != work.sha256:
                raise DocumentUnreadable(
                    f"{work.name!r} changed while it was read.", hint="Run the same command again."
                )
            document = self._reader.load(lying)
        except Exception as error:  # noqa: BLE001  becomes the document's row, and is told apart there
            return _Opened(work, None, error, time.monotonic() - begun)
        return _Opened(work, document, None, time.monotonic() - begun, _turned(lying, document))

    def _answer(self, opened: _Opened) -> Result:
        work, begun = opened.work, time.monotonic()
        if opened.document is None:
            assert opened.error is not None
            return failed(work, opened.error, seconds=opened.seconds)
        try:
            return self._carried_out(opened, opened.document)
        except Exception as error:  # noqa: BLE001  a batch of ten thousand does not die of one; the log keeps the traceback
            return failed(work, error, seconds=opened.seconds + time.monotonic() - begun)
        finally:
            self._saver.delete_thread(work.key)

    def _carried_out(self, opened: _Opened, document: Document) -> Result:
        begun, given, work = time.monotonic(), self._settings, opened.work
        tool = LayoutLLMTool(reader=_InOrder(self._reader, given.plan, work.page), documents={work.name: document})
        context = Context(tool=tool, max_attempts=given.rounds, second_opinion=given.second_look, review=True)
        request = Request(document=work.name, task=given.plan, page=work.page)
        outcome = carry_out(self._graph, request, thread=work.key, context=context, concurrency=1)
        interrupts = self._graph.get_state({"configurable": {"thread_id": work.key}}).interrupts
        waiting = {interrupt.value["name"] for interrupt in interrupts}
        fields = fields_of(work.key, outcome["answers"], waiting)
        done = replace(
            _done(work, outcome["answers"], len(document.pages), opened.seconds + time.monotonic() - begun),
            turned=opened.turned,
        )
        return Result(done, fields, _rows_of(self._saver.conn, work.key) if waiting else {})


class _InOrder(ReaderAround):
    """Asks a plan's questions that wait for nothing together, once, in the plan's order; everything else alone.

    A model's last digits depend on what is decoded beside, and what comes side by side depends on the clock. So one node at a time, and
    the same company always: a document's row is the same whoever answers it, and however often the batch was killed.
    """

    def __init__(self, reader: Reader, plan: Mapping[str, Any], page: int | None) -> None:
        super().__init__(reader)
        self._open: dict[int | None, list[str]] = {}
        for question in Plan.model_validate(plan).questions:
            if not question.depends_on:
                self._open.setdefault(question.page or page, []).append(question.text)
        self._known: dict[tuple[str, int | None, str], LayoutCoT] = {}

    def ask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        page = options.get("page")
        if options.get("correction") is None and question in self._open.get(page, ()):
            texts = self._open.pop(page)
            with suppress(LayoutLLMError):  # of one of them: each is then asked alone, and told of its own
                cots = self.reader.ask_many(document, texts, page=page)
                self._known |= {(document.sha256, page, text): cot for text, cot in zip(texts, cots, strict=True)}
        known = self._known.pop((document.sha256, page, question), None)
        return known or super().ask(document, question, **options)


def _turned(lying: Document, read: Document) -> list[int]:
    """The pages whose picture is another since they were read."""

    def other(a: Any, b: Any) -> bool:
        return a is not b and (a is None or b is None or a.size != b.size or a.tobytes() != b.tobytes())

    return [now.number for was, now in zip(lying.pages, read.pages, strict=False) if other(was.image, now.image)]


def fields_of(key: str, answers: Iterable[Answer], waiting: Iterable[str]) -> list[Field]:
    """A run's answers as the store keeps them."""
    parked = set(waiting)
    return [
        Field(key, position, answer["name"], dict(answer), answer["name"] in parked)
        for position, answer in enumerate(answers)
    ]


def _done(work: Work, answers: list[Answer], pages: int, seconds: float) -> Done:
    """Failed, and worth another try, where no question at all could be asked."""
    errors = [answer["error"] for answer in answers if answer["error"]]
    hopeless = bool(errors) and len(errors) == len(answers)
    return Done(
        work.key, "failed" if hopeless else "done", verdict=worst([answer["verdict"] for answer in answers]),
        error=errors[0] if hopeless else None, kind="LayoutLLMError" if hopeless else None, retryable=hopeless,
        sha256=work.sha256, pages=pages, seconds=round(seconds, 3),
    )  # fmt: skip


def _ahead(open_one: Callable[[Work], _Opened], works: Iterable[Work], ahead: int) -> Iterator[_Opened]:
    """Opened by a thread of their own, never more than ``ahead`` that nobody has taken."""
    opened: queue.Queue[_Opened | BaseException | None] = queue.Queue()
    room, over = threading.Semaphore(ahead), threading.Event()

    def fill() -> None:
        try:
            for work in works:
                room.acquire()
                if over.is_set():
                    return
                opened.put(open_one(work))
            opened.put(None)
        except BaseException as error:  # noqa: BLE001  the source's, and raised where it is read
            opened.put(error)

    threading.Thread(target=fill, name="layoutllm-batch-ahead", daemon=True).start()
    try:
        while (one := opened.get()) is not None:
            room.release()
            if isinstance(one, BaseException):
                raise one
            yield one
    finally:
        over.set()
        room.release()


def _rows_of(connection: sqlite3.Connection, thread: str) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for table in TABLES:
        cursor = connection.execute(f"SELECT * FROM {table} WHERE thread_id = ?", (thread,))
        names = [column[0] for column in cursor.description]
        found[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found
