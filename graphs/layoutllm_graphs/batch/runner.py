"""Run a task over many documents; every result is kept in a ``Store``.

    rows of the source -> keys -> workers -> one writer: the document's row and its fields

Workers write nothing: a kill leaves documents that are whole or not there, and those in flight are begun
anew. The workers are this process (``here``), processes of this machine (``pool``), or Ray's (``ray``).
Answers that stay doubtful are marked for a person; nothing here waits for one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from layoutllm_graphs.batch.worker import BatchWorker, Settings, WorkItem, WorkResult
from layoutllm_tool.batch.inputs import BatchInput
from layoutllm_tool.batch.records import document_key
from layoutllm_tool.batch.sources import digest
from layoutllm_tool.batch.store import Input, Store
from layoutllm_tool.protocols import Reader

LOG = "errors.log"
"""In the folder of a batch: the tracebacks of unexpected errors."""
Workers = Callable[[Iterator[WorkItem]], Iterator[WorkResult]]
"""Answers documents, in any order; every one comes back."""


@dataclass(slots=True)
class BatchStats:
    """What this run did: ``seen`` of ``total`` inputs are done, those that were known already among them."""

    total: int = 0
    seen: int = 0
    answered: int = 0
    failed: int = 0
    bugs: int = 0


class Batch:
    """A source, a folder and settings. ``run`` does what is left to do."""

    def __init__(
        self, inputs: Iterable[BatchInput], folder: Path, settings: Settings, *, shard: str = "",
        retry_failed: bool = False
    ) -> None:  # fmt: skip
        """Open the store: StoreMismatch. Each shard needs a folder of its own."""
        self.inputs, self.folder, self.settings = list(inputs), folder, settings
        self.retry_failed = retry_failed
        self.store = Store.open(folder, settings.to_json() | ({"shard": shard} if shard else {}))
        self.stats = BatchStats(total=len(self.inputs))
        self._entered = 0

    def run(self, workers: Workers, on_result: Callable[[WorkResult], None] = lambda _: None) -> BatchStats:
        """Everything that is left; with ``retry_failed``, what failed before and nothing else."""
        self.store.keep_inputs([given.position for given in self.inputs])
        results = workers(self._left())
        try:
            for result in results:
                self._keep(result)
                on_result(result)
        finally:
            # Cut off, by Ctrl-C for one: what was not come to is pending, and known by its name alone.
            self.store.enter([_named(given, self._key(given, "")) for given in self.inputs[self._entered :]])
            if close := getattr(results, "close", None):
                close()
        return self.stats

    def _left(self) -> Iterator[WorkItem]:
        begun: set[str] = set()
        for given in self.inputs:
            item = self._item(given)
            self.store.enter([_named(given, item.key)])
            self._entered += 1
            if item.key not in begun and self._is_wanted(item.key):
                begun.add(item.key)
                yield item
            else:
                self.stats.seen += 1

    def _item(self, given: BatchInput) -> WorkItem:
        """Hash the document. One that can't be opened is known by its name; the worker finds the error."""
        sha256 = ""
        with suppress(Exception):  # storage libraries raise anything; a batch goes on after any row
            sha256 = "" if given.problem else digest(given.name, places=given.places)
        key = self._key(given, sha256)
        return WorkItem(key, given.name, given.page, sha256, given.problem, given.places)

    def _key(self, given: BatchInput, sha256: str) -> str:
        named = f"{given.name}\0{given.problem}".encode("utf-8", "surrogatepass")
        return document_key(sha256 or hashlib.sha256(named).hexdigest(), given.page, self.settings.to_json())

    def _is_wanted(self, key: str) -> bool:
        known = self.store.document(key)
        return (known is not None and known.status == "failed") if self.retry_failed else known is None

    def _keep(self, result: WorkResult) -> None:
        self.store.put(result.document, result.fields)
        self.stats.seen += 1
        self.stats.answered += 1
        self.stats.failed += result.document.status == "failed"
        if result.bug:
            self.stats.bugs += 1
            with (
                suppress(OSError),  # the document's row is kept: the log is there for people
                (self.folder / LOG).open("a", encoding="utf-8", errors="backslashreplace") as log,
            ):
                log.write(f"{result.document.key}\n{result.bug}\n")

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()


def _named(given: BatchInput, key: str) -> Input:
    return Input(given.position, given.name, given.page, key)


def here(reader: Reader, settings: Settings) -> Workers:
    """One worker in this process, with a reader that is there already."""
    return lambda items: map(BatchWorker(reader, settings).result, items)


def reader_identity(reader: Reader) -> dict[str, str]:
    """Of a reader that is not the package's own: its class."""
    return {"reader": f"{type(reader).__module__}.{type(reader).__qualname__}"}
