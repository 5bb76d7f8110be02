"""A task over many documents: every one through the workflow, what stays doubtful parked, all of it kept in a ``Store``.

    rows of the source -> keys -> (workers: read ahead, answer) -> one writer: parked threads, then the document's row

Workers hold no file: a document's run lives in memory until it is told of, so a kill leaves documents that are whole or none, and
those in flight are begun anew. Who the workers are: this process (here), others of this machine (``batch_pool``), Ray's
(``batch_ray``). Documents never wait for a person, and nothing here asks one.
"""

from __future__ import annotations

import base64
import hashlib
import queue
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from dataclasses import field as default
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver

from graphs.planner import plan_task
from graphs.runs import carry_out, checkpoints
from graphs.state import Answer, Context, Request
from graphs.workflow import build_workflow
from layoutllm_tool.batch.sources import Row, digest, open_document
from layoutllm_tool.batch.store import Done, Field, Identity, Input, Store, worst
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import DocumentUnreadable, LayoutLLMError
from layoutllm_tool.protocols import Reader
from layoutllm_tool.tool import LayoutLLMTool

RUNS = "runs.sqlite"
"""In the folder of a batch: the threads that wait for a person."""
LOG = "errors.log"
"""In the folder of a batch: the tracebacks of what should not have happened."""
MakeReader = Callable[[], Reader]
_TABLES = ("checkpoints", "writes")


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


class Desk:
    """One reader and one graph, for one document after another. Not for several threads."""

    def __init__(self, reader: Reader, settings: Settings) -> None:
        self._reader, self._settings = reader, settings
        self._saver = SqliteSaver(sqlite3.connect(":memory:", check_same_thread=False))
        self._graph = build_workflow().compile(checkpointer=self._saver)

    def results(self, works: Iterable[Work], *, ahead: int = 1) -> Iterator[Result]:
        """In order. While one document is answered, the next ``ahead`` are opened and read (text recognition) by a thread."""
        opened = (self._open(work) for work in works) if ahead < 1 else _ahead(self._open, works, ahead)
        for one in opened:
            yield self._answer(one)

    def _open(self, work: Work) -> _Opened:
        begun = time.monotonic()
        try:
            document = open_document(work.name, pages=self._pages(work))
            if work.sha256 and document.sha256 != work.sha256:
                raise DocumentUnreadable(
                    f"{work.name!r} changed while it was read.", hint="Run the same command again."
                )
            document = self._reader.load(document)
        except Exception as error:  # noqa: BLE001  becomes the document's row, and is told apart there
            return _Opened(work, None, error, time.monotonic() - begun)
        return _Opened(work, document, None, time.monotonic() - begun)

    def _pages(self, work: Work) -> list[int] | None:
        """Those that are asked about; all, where a question names none."""
        asked = {question.get("page") or work.page for question in self._settings.plan["questions"]}
        numbers = sorted(number for number in asked if number is not None)
        return None if None in asked else numbers

    def _answer(self, opened: _Opened) -> Result:
        work, begun = opened.work, time.monotonic()
        if opened.document is None:
            assert opened.error is not None
            return failed(work, opened.error, seconds=opened.seconds)
        try:
            return self._carried_out(work, opened.document, opened.seconds)
        except Exception as error:  # noqa: BLE001  a batch of ten thousand does not die of one; the log keeps the traceback
            return failed(work, error, seconds=opened.seconds + time.monotonic() - begun)
        finally:
            self._saver.delete_thread(work.key)

    def _carried_out(self, work: Work, document: Document, opening: float) -> Result:
        begun, given = time.monotonic(), self._settings
        tool = LayoutLLMTool(reader=self._reader, documents={work.name: document})
        context = Context(tool=tool, rounds=given.rounds, second_look=given.second_look, review=True)
        request = Request(document=work.name, task=given.plan, page=work.page)
        outcome = carry_out(self._graph, request, thread=work.key, context=context)
        interrupts = self._graph.get_state({"configurable": {"thread_id": work.key}}).interrupts
        waiting = {interrupt.value["name"] for interrupt in interrupts}
        fields = fields_of(work.key, outcome["answers"], waiting)
        done = _done(work, outcome["answers"], len(document.pages), opening + time.monotonic() - begun)
        return Result(done, fields, _rows_of(self._saver.conn, work.key) if waiting else {})


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
    for table in _TABLES:
        cursor = connection.execute(f"SELECT * FROM {table} WHERE thread_id = ?", (thread,))
        names = [column[0] for column in cursor.description]
        found[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


# -- the batch ----------------------------------------------------------------------------------------------------------


Workers = Callable[[Iterator[Work]], Iterator[Result]]
"""Answers documents, in any order; every one comes back."""


@dataclass(slots=True)
class Tally:
    """What this run did: ``seen`` of ``total`` inputs, those that were known already among them."""

    total: int = 0
    seen: int = 0
    answered: int = 0
    failed: int = 0
    bugs: int = 0


class Batch:
    """A source, a folder and settings. ``run`` does what is left to do."""

    def __init__(
        self, rows: Iterable[Row], folder: Path, settings: Settings, *, shard: str = "", retry_failed: bool = False
    ) -> None:
        """The store is opened: StoreMismatch. A shard's folder is that shard's alone."""
        self.rows, self.folder, self.settings, self.retry_failed = list(rows), folder, settings, retry_failed
        self.store = Store.open(folder, settings.to_json() | ({"shard": shard} if shard else {}))
        self.tally = Tally(total=len(self.rows))

    def run(self, workers: Workers, on_result: Callable[[Result], None] = lambda _: None) -> Tally:
        """Everything that is left; with ``retry_failed``, what failed before and nothing else."""
        self.store.keep_inputs([row.position for row in self.rows])
        with checkpoints(self.folder / RUNS) as saver:
            assert isinstance(saver, SqliteSaver)
            saver.setup()
            results = workers(self._left())
            try:
                for result in results:
                    self._keep(saver, result)
                    on_result(result)
            finally:
                if close := getattr(results, "close", None):
                    close()
        return self.tally

    def _left(self) -> Iterator[Work]:
        begun: set[str] = set()
        for row in self.rows:
            work = self._work(row)
            self.store.enter([Input(row.position, row.name, row.page, work.key)])
            self.tally.seen += 1
            if work.key not in begun and self._wanted(work.key):
                begun.add(work.key)
                yield work

    def _work(self, row: Row) -> Work:
        """Hashed here; what can't be opened is known by its name, and its error is found out by whoever opens it."""
        sha256, known = "", ""
        try:
            sha256 = known = digest(row.name)
        except LayoutLLMError:
            known = hashlib.sha256(row.name.encode("utf-8", "surrogatepass")).hexdigest()
        return Work(Identity(known, row.page, self.settings.to_json()).key, row.name, row.page, sha256)

    def _wanted(self, key: str) -> bool:
        known = self.store.document(key)
        return (known is not None and known.status == "failed") if self.retry_failed else known is None

    def _keep(self, saver: SqliteSaver, result: Result) -> None:
        """The thread before the row: a kill between them leaves a thread that the next run replaces."""
        _put_thread(saver, result.done.key, result.thread)
        self.store.put(result.done, result.fields)
        self.tally.answered += 1
        self.tally.failed += result.done.status == "failed"
        if result.bug:
            self.tally.bugs += 1
            with (self.folder / LOG).open("a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(f"{result.done.key}\n{result.bug}\n")

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _put_thread(saver: SqliteSaver, thread: str, rows: Mapping[str, list[dict[str, Any]]]) -> None:
    with saver.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(f"DELETE FROM {table} WHERE thread_id = ?", (thread,))
            for row in rows.get(table, []):
                names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
                cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", row)


def here(reader: Reader, settings: Settings, *, ahead: int = 1) -> Workers:
    """Workers of this process: one, with a reader that is there already."""
    return lambda works: Desk(reader, settings).results(works, ahead=ahead)


def reader_identity(reader: Reader) -> dict[str, str]:
    """Of a reader that is not the package's own: its class."""
    return {"reader": f"{type(reader).__module__}.{type(reader).__qualname__}"}
