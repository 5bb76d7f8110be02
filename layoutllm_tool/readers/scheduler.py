"""The model's thread: takes questions from a queue, reads each page once, decodes questions about the same window together."""

from __future__ import annotations

import os
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.search import as_printed
from layoutllm_tool.protocols import Progress
from layoutllm_tool.readers.outcome import as_cot, best
from layoutllm_tool.readers.query import constraints, refuse_empty

if TYPE_CHECKING:
    from layoutllm_tool.model.choosing import Chooser
    from layoutllm_tool.model.decoding import CoTDecoder, ReadWindow
    from layoutllm_tool.model.grammar import Constraints, Decoded
    from layoutllm_tool.model.page_index import PageIndex
    from layoutllm_tool.model.processing import Window
    from layoutllm_tool.model.row import Row

Loaded = tuple["CoTDecoder", dict[str, Any], "Chooser | None"]
"""A decoder, the confidence's coefficients, and what chooses among a page's candidates (None: the model's own outcome counts)."""
TOGETHER = 8
"""Rows decoded at once: a step of eight costs two steps of one; beyond, memory grows faster than speed."""
_INDICES = 64
"""Pages whose candidates' vectors are kept: some 200 kB each."""
FORK_SECONDS = 120.0
"""A fork waits so long for a worker that is computing."""


@dataclass(eq=False)
class Job:
    """One question on some pages. ``attempts`` gathers the outcome of every window."""

    document: Document
    pages: Sequence[Page]
    question: str
    correction: Correction | None = None
    previous: LayoutCoT | None = None
    on_progress: Callable[[Progress], None] | None = None
    future: Future[LayoutCoT] = field(default_factory=Future)
    attempts: list[LayoutCoT] = field(default_factory=list)
    windows: int = 0

    def report(self, event: str, **data: Any) -> None:
        if self.on_progress:
            self.on_progress(Progress(event, data))


@dataclass
class Group:
    """Jobs that ask about the same window."""

    window: Window
    key: tuple[str, int, int]
    rows: list[tuple[Job, Constraints]] = field(default_factory=list)


class Worker:
    """Owns the decoder. Starts its thread at the first question; daemonic, so that it never keeps a process alive."""

    def __init__(self, load: Callable[[], Loaded], *, cache_bytes: int) -> None:
        """``load`` is called in the worker's own thread."""
        self._load = load
        self._queue: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = self._forked = False
        self._pages = PageStore(cache_bytes)
        self._decoder: CoTDecoder | None = None
        self._coefficients: dict[str, Any] = {}
        self._chooser: Chooser | None = None
        self._indices: OrderedDict[tuple[str, int], PageIndex] = OrderedDict()
        self._gate = ForkGate()
        _WORKERS.add(self)

    def submit(self, jobs: list[Job]) -> None:
        """RuntimeError once closed."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the reader is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="layoutllm-reader", daemon=True)
                self._thread.start()
            self._queue.put(jobs)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            thread = self._thread
            self._queue.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def after_fork(self) -> None:
        """In a forked process: thread, lock and queue are gone or belong to the parent, and so do the questions in it.

        The model is there already, and is kept; it computes on one thread, since OpenMP's threads did not come along
        and would be waited for for ever.
        """
        self._queue, self._lock, self._thread = queue.SimpleQueue(), threading.Lock(), None
        self._pages, self._forked = PageStore(self._pages.most_bytes), True
        self._gate = ForkGate()

    def _run(self) -> None:
        if self._forked and self._decoder is not None:
            import torch

            torch.set_num_threads(1)
        while True:
            batch = self._queue.get()
            if batch is None:
                return
            # Whoever asked while the last batch was decoded is decoded together now.
            last = False
            while not self._queue.empty():
                more = self._queue.get()
                last = last or more is None
                batch = batch + (more or [])
            self._serve([job for job in batch if job.future.set_running_or_notify_cancel()])
            if last:
                return

    def _serve(self, jobs: list[Job]) -> None:
        try:
            with self._gate.computing():
                decoder = self._decoder = self._decoder or self._loaded()
                groups = self._grouped(jobs, decoder)
        except BaseException as error:  # every caller must hear of it, or they wait for ever
            _fail(jobs, error)
            return
        for group in groups:
            rows = [(job, limits) for job, limits in group.rows if not job.future.done()]
            for start in range(0, len(rows), TOGETHER):
                with self._gate.computing():
                    self._decode(group, rows[start : start + TOGETHER], decoder)

    def _loaded(self) -> CoTDecoder:
        decoder, self._coefficients, self._chooser = self._load()
        for name in ("none_bias", "named_bias"):
            setattr(decoder.grammar, name, float(self._coefficients.get(name, 0.0)))
        return decoder

    def _grouped(self, jobs: Sequence[Job], decoder: CoTDecoder) -> list[Group]:
        groups: OrderedDict[tuple[str, int, int], Group] = OrderedDict()
        for job in jobs:
            try:
                wanted = list(self._wanted(job, decoder))
            except Exception as error:
                _fail([job], error)
                continue
            job.windows = len(wanted)
            for key, window, limits in wanted:
                groups.setdefault(key, Group(window, key)).rows.append((job, limits))
        return list(groups.values())

    def _wanted(self, job: Job, decoder: CoTDecoder) -> list[tuple[tuple[str, int, int], Window, Constraints]]:
        found = []
        for page in job.pages:
            words = hash((page.text_source, page.lines))
            for number, window in enumerate(
                self._pages.windows((job.document.sha256, page.number, words), page, decoder)
            ):
                limits = constraints(job.correction, job.previous, window)
                if limits is not None:
                    found.append(((f"{job.document.sha256}/{page.number}", words, number), window, limits))
        if not found and job.correction is not None:
            raise refuse_empty(job.correction, job.document)
        return found

    def _decode(self, group: Group, rows: list[tuple[Job, Constraints]], decoder: CoTDecoder) -> None:
        jobs = [job for job, _ in rows]
        try:
            read = self._pages.read(group.key, group.window, decoder)
            for job in jobs:
                job.report("page", page=group.window.page.number)

            def on_stage(number: int, row: Row) -> None:
                if jobs[number].windows == 1 and self._chooser is None:
                    report_step(jobs[number], group.window, row)

            asked = [self._asked(job, group.window) for job in jobs]
            outcomes = decoder.decode(read, list(zip(asked, [limits for _, limits in rows], strict=True)), on_stage)
        except Exception as error:
            _fail(jobs, error)
            return
        for (job, limits), question, decoded in zip(rows, asked, outcomes, strict=True):
            try:
                chosen = self._chosen(group, job, question, limits, decoded)
                job.attempts.append(as_cot(job.question, group.window, chosen, self._coefficients))
            except Exception as error:
                _fail([job], error)
                continue
            if len(job.attempts) == job.windows:
                self._finish(job)

    def _asked(self, job: Job, window: Window) -> str:
        """The question as the model and the choice see it: with heads, its capitals change nothing."""
        return job.question if self._chooser is None else as_printed(job.question, window.page.text)

    def _chosen(self, group: Group, job: Job, asked: str, limits: Constraints, decoded: Decoded) -> Decoded:
        """What candidates of the page make of the model's outcome; without heads, that outcome."""
        if self._chooser is None:
            return decoded
        key = group.key[:2]
        if key not in self._indices:
            self._indices[key] = self._chooser.index(group.window.page)
            while len(self._indices) > _INDICES:
                self._indices.popitem(last=False)
        self._indices.move_to_end(key)
        forced = job.correction is not None and job.correction.step == "analysis"
        return self._chooser.choose(self._indices[key], asked, decoded, group.window, limits, forced=forced)

    def _finish(self, job: Job) -> None:
        cot = best(job.attempts)
        try:
            if job.windows > 1 or self._chooser is not None:
                report_analysis(job, cot)
                report_area(job, cot)
            data = cot.to_json()
            job.report(
                "answer_formation", **data["formation"], answer=cot.answer, confidence=data["confidence"],
                text=cot.steps["answer_formation"],
            )  # fmt: skip
        except Exception as error:
            _fail([job], error)
            return
        job.future.set_result(cot)


class ForkGate:
    """Keeps computing and forking apart: a process that is forked in the middle inherits locks of torch, OpenMP and
    the import system that are held by a thread it does not have, and waits for them for ever."""

    def __init__(self) -> None:
        self._turn, self._busy = threading.RLock(), threading.RLock()

    @contextmanager
    def computing(self) -> Iterator[None]:
        with self._turn:  # not ahead of a fork that waits
            pass
        with self._busy:
            yield

    def close(self) -> None:
        """Waits for the end of what is computed, at most FORK_SECONDS; what comes next waits for ``open``."""
        self._turn.acquire()
        self._closed = self._busy.acquire(timeout=FORK_SECONDS)

    def open(self) -> None:
        if self._closed:
            self._busy.release()
        self._turn.release()


_WORKERS: WeakSet[Worker] = WeakSet()
_fork_lock = threading.RLock()
_at_gate: list[Worker] = []
"""Workers whose gates the fork under way has closed."""


def _before_fork() -> None:
    _fork_lock.acquire()
    _at_gate[:] = list(_WORKERS)
    for worker in _at_gate:
        worker._gate.close()


def _after_fork_in_parent() -> None:
    for worker in _at_gate:
        worker._gate.open()
    _at_gate.clear()
    _fork_lock.release()


def _after_fork_in_child() -> None:
    global _fork_lock
    _fork_lock = threading.RLock()
    _at_gate.clear()
    for worker in list(_WORKERS):
        worker.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


class PageStore:
    """Windows of pages and what the model made of them: least recently used first out, within a budget of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._windows: OrderedDict[tuple[str, int, int], list[Window]] = OrderedDict()
        self._read: OrderedDict[tuple[str, int, int], ReadWindow] = OrderedDict()

    def windows(self, key: tuple[str, int, int], page: Page, decoder: CoTDecoder) -> list[Window]:
        if key not in self._windows:
            self._windows[key] = decoder.processor.windows(page)
            while len(self._windows) > 256:
                self._windows.popitem(last=False)
        self._windows.move_to_end(key)
        return self._windows[key]

    def read(self, key: tuple[str, int, int], window: Window, decoder: CoTDecoder) -> ReadWindow:
        if key not in self._read:
            self._read[key] = decoder.read(window)
            while len(self._read) > 1 and sum(r.cache.bytes for r in self._read.values()) > self.most_bytes:
                self._read.popitem(last=False)
        self._read.move_to_end(key)
        return self._read[key]


def _fail(jobs: Sequence[Job], error: BaseException) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(error)


def report_step(job: Job, window: Window, row: Row) -> None:
    """A step that has just been finished, while the next one is being decoded. The last step is reported by ``_finish``."""
    from layoutllm_tool.model.grammar import Stage

    if row.analysis is None or row.stage not in (Stage.AREA, Stage.HEAD_3, Stage.DONE):
        return
    areas = window.area(row.area)
    so_far = LayoutCoT(job.question, row.analysis, areas, row.formation, None, 0.0)
    if row.stage is Stage.AREA:
        report_analysis(job, so_far)
    elif row.stage is Stage.HEAD_3 or not row.area:
        report_area(job, so_far)


def report_analysis(job: Job, cot: LayoutCoT) -> None:
    job.report("question_analysis", **cot.to_json()["analysis"], text=cot.steps["question_analysis"])


def report_area(job: Job, cot: LayoutCoT) -> None:
    job.report(
        "relevant_area_concentration", areas=cot.to_json()["areas"], text=cot.steps["relevant_area_concentration"]
    )
