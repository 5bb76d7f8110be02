"""A batch's workers as processes of this machine, each with a reader of its own (pebble; extra ``batch``).

A document that kills its process, or takes too long, becomes a failed row. Memory is not limited.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool

from layoutllm_graphs.batch.worker import (
    BatchWorker,
    MakeReader,
    Settings,
    WorkItem,
    WorkResult,
    failed_result,
)
from layoutllm_tool.errors import DocumentTimeout, LayoutLLMError, WorkerDied

_Running = dict["Future[WorkResult]", WorkItem]


def pool(
    make_reader: MakeReader,
    settings: Settings,
    items: Iterator[WorkItem],
    *,
    workers: int = 1,
    seconds: float = 300.0,
) -> Iterator[WorkResult]:
    """Every document's result, in whatever order they end; ``seconds`` bounds each.

    ``make_reader`` is pickled: a module's function or class. LayoutLLMError where no worker can be started.
    """
    try:
        from pebble import ProcessPool
    except ImportError as error:
        raise LayoutLLMError(
            "batches need a package more.", hint="pip install 'layoutllm-tool[batch]'"
        ) from error
    threads = max(1, (os.cpu_count() or 1) // workers)
    processes = ProcessPool(
        workers, initializer=_start, initargs=(make_reader, settings, threads),
        context=multiprocessing.get_context("spawn"),
    )  # fmt: skip
    running: _Running = {}
    try:
        for item in items:
            running[processes.schedule(_result, args=(item,), timeout=seconds)] = item
            if len(running) > workers:  # one more than can run, so that nobody waits for the source
                yield from _finished(running, seconds)
        while running:
            yield from _finished(running, seconds)
    finally:
        processes.stop()  # type: ignore[no-untyped-call]
        processes.join()


def _finished(running: _Running, seconds: float) -> Iterator[WorkResult]:
    """Wait for at least one document. LayoutLLMError where the workers can't begin."""
    from pebble import ProcessExpired

    for future in wait(running, return_when=FIRST_COMPLETED).done:
        item = running.pop(future)
        try:
            yield future.result()
        except TimeoutError:
            error = DocumentTimeout(f"it took longer than {seconds:g} seconds.", hint="Raise --seconds.")
            yield failed_result(item, error, seconds=seconds)
        except ProcessExpired as error:
            message = f"the process that read it died (exit code {error.exitcode})."
            yield failed_result(item, WorkerDied(message, hint="Out of memory? Try --workers 1."))
        except BrokenProcessPool as error:
            hint = "Is there enough memory? Their own words are on stderr."
            raise LayoutLLMError("no worker can be started.", hint=hint) from error


_worker: BatchWorker | LayoutLLMError


def _start(make_reader: MakeReader, settings: Settings, threads: int) -> None:
    """Make the process's reader. An error of the package is kept for the first document, which raises it."""
    global _worker
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    try:
        _worker = BatchWorker(make_reader(), settings)
    except LayoutLLMError as error:
        _worker = error


def _result(item: WorkItem) -> WorkResult:
    if isinstance(_worker, LayoutLLMError):
        raise _worker
    return _worker.result(item)
