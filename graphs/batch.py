"""A task over many documents: every one through the workflow, what stays doubtful parked, all of it kept in a ``Store``.

    rows of the source -> keys -> (workers: read ahead, answer) -> one writer: parked threads, then the document's row

Workers hold no file: a document's run lives in memory until it is told of, so a kill leaves documents that are whole or none, and
those in flight are begun anew. Who the workers are: this process (here), others of this machine (``batch_pool``), Ray's
(``batch_ray``). Documents never wait for a person, and nothing here asks one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver

from graphs.batch_desk import TABLES, Desk, Result, Settings, Work
from graphs.runs import checkpoints
from layoutllm_tool.batch.sources import Row, digest
from layoutllm_tool.batch.store import Identity, Input, Store
from layoutllm_tool.errors import DocumentUnreadable
from layoutllm_tool.protocols import Reader

RUNS = "runs.sqlite"
"""In the folder of a batch: the threads that wait for a person."""
LOG = "errors.log"
"""In the folder of a batch: the tracebacks of what should not have happened."""
Workers = Callable[[Iterator[Work]], Iterator[Result]]
"""Answers documents, in any order; every one comes back."""


@dataclass(slots=True)
class Tally:
    """What this run did: it is through with ``seen`` of ``total`` inputs, those that were known already among them."""

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
            if work.key not in begun and self._wanted(work.key):
                begun.add(work.key)
                yield work
            else:
                self.tally.seen += 1

    def _work(self, row: Row) -> Work:
        """Hashed here; what can't be opened is known by its name, and its error is found out by whoever opens it."""
        sha256, known = "", ""
        try:
            if row.problem:
                raise DocumentUnreadable(row.problem)
            sha256 = known = digest(row.name, places=row.places)
        except Exception:  # noqa: BLE001  of storage above all; a batch goes on after any row
            known = hashlib.sha256(f"{row.name}\0{row.problem}".encode("utf-8", "surrogatepass")).hexdigest()
        return Work(
            Identity(known, row.page, self.settings.to_json()).key, row.name, row.page, sha256, row.problem, row.places
        )

    def _wanted(self, key: str) -> bool:
        known = self.store.document(key)
        return (known is not None and known.status == "failed") if self.retry_failed else known is None

    def _keep(self, saver: SqliteSaver, result: Result) -> None:
        """The thread before the row: a kill between them leaves a thread that the next run replaces."""
        _put_thread(saver, result.done.key, result.thread)
        self.store.put(result.done, result.fields)
        self.tally.seen += 1
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
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table} WHERE thread_id = ?", (thread,))
            for row in rows.get(table, []):
                names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
                cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", row)


def here(reader: Reader, settings: Settings, *, ahead: int = 0) -> Workers:
    """Workers of this process: one, with a reader that is there already."""
    return lambda works: Desk(reader, settings).results(works, ahead=ahead)


def reader_identity(reader: Reader) -> dict[str, str]:
    """Of a reader that is not the package's own: its class."""
    return {"reader": f"{type(reader).__module__}.{type(reader).__qualname__}"}
