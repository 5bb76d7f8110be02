"""The model's thread: takes questions from a queue and decodes those on one window together."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import cachetools

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.search import as_printed
from layoutllm_tool.protocols import Progress
from layoutllm_tool.readers.forking import ForkGate, ForkSafe
from layoutllm_tool.readers.outcome import as_cot, best
from layoutllm_tool.readers.query import Query, constraints, refuse_empty

if TYPE_CHECKING:
    from layoutllm_tool.model.choosing import Chooser
    from layoutllm_tool.model.decoding import CoTDecoder, ReadWindow
    from layoutllm_tool.model.decoding_state import DecodingState
    from layoutllm_tool.model.grammar import Decoded, DecodingConstraints
    from layoutllm_tool.model.page_index import PageIndex
    from layoutllm_tool.model.processing import Window

Loaded = tuple["CoTDecoder", dict[str, Any], "Chooser | None"]
"""A decoder, the confidence's coefficients, and the chooser of candidates, if any."""
MAX_BATCH = 8
"""Rows decoded at once: a step of eight costs two steps of one; beyond, memory grows faster than speed."""
_TEXT_WINDOWS = 4
"""Windows of a question that the text model may be asked about: those with the surest answers."""
_INDICES = 64
"""Pages whose candidates' vectors are kept: some 200 kB each."""
_WINDOWS = 256
"""Pages whose windows are kept."""
_T = TypeVar("_T")


@dataclass(eq=False)
class Job:
    """One question on some pages. ``attempts`` gathers the outcome of every window, ``again`` what makes
    that of the same window with the text model asked.
    """

    query: Query
    pages: Sequence[Page]
    future: Future[LayoutCoT] = field(default_factory=Future)
    attempts: list[LayoutCoT] = field(default_factory=list)
    again: list[Callable[[], LayoutCoT]] = field(default_factory=list)
    windows: int = 0
    dropped: bool = False
    """Nobody waits for it any more: what is left of it is not decoded."""

    def emit(self, event: str, **data: Any) -> None:
        if self.query.on_progress:
            self.query.on_progress(Progress(event, data))

    def emit_analysis(self, cot: LayoutCoT) -> None:
        self.emit("question_analysis", **cot.to_json()["analysis"], text=cot.steps["question_analysis"])

    def emit_area(self, cot: LayoutCoT) -> None:
        text = cot.steps["relevant_area_concentration"]
        self.emit("relevant_area_concentration", areas=cot.to_json()["areas"], text=text)

    def emit_answer(self, cot: LayoutCoT) -> None:
        data, text = cot.to_json(), cot.steps["answer_formation"]
        outcome = {"answer": cot.answer, "confidence": data["confidence"]}
        self.emit("answer_formation", **data["formation"], **outcome, text=text)


@dataclass
class Group:
    """Jobs that ask about the same window."""

    window: Window
    key: tuple[str, int, int]
    rows: list[tuple[Job, DecodingConstraints]] = field(default_factory=list)


class Worker(ForkSafe):
    """Owns the decoder. Starts its daemon thread at the first question."""

    def __init__(self, load: Callable[[], Loaded], *, cache_bytes: int) -> None:
        """Calls ``load`` in its own thread."""
        super().__init__()
        self._load = load
        self._closed = self._forked = False
        self._cache_bytes = max(cache_bytes, 1)
        self._decoder: CoTDecoder | None = None
        self._coefficients: dict[str, Any] = {}
        self._chooser: Chooser | None = None
        self._indices: cachetools.LRUCache[tuple[str, int], PageIndex] = cachetools.LRUCache(_INDICES)
        self._begin()

    def _begin(self) -> None:
        self._queue: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._gate = ForkGate()
        self._windows: cachetools.LRUCache[tuple[str, int, int], list[Window]] = cachetools.LRUCache(_WINDOWS)
        self._read: cachetools.LRUCache[tuple[str, int, int], ReadWindow] = cachetools.LRUCache(
            self._cache_bytes, getsizeof=self._size
        )

    def _size(self, read: ReadWindow) -> int:
        """Bytes. A window larger than the cache fills it alone."""
        return min(max(read.cache.bytes, 1), self._cache_bytes)

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
        """Keep the loaded model. Thread, lock, queue and its questions belong to the parent.

        Compute on one thread: OpenMP's threads did not come along and would be waited for for ever.
        """
        self._forked = True
        self._begin()

    def _run(self) -> None:
        if self._forked and self._decoder is not None:
            import torch

            torch.set_num_threads(1)
        while True:
            batch = self._queue.get()
            if batch is None:
                return
            # Decode together what was asked while the last batch was decoded.
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
        except BaseException as error:  # else the callers would wait for ever
            _fail(jobs, error)
            return
        for group in groups:
            rows = [(job, limits) for job, limits in group.rows if not (job.future.done() or job.dropped)]
            for start in range(0, len(rows), MAX_BATCH):
                with self._gate.computing():
                    self._decode(group, rows[start : start + MAX_BATCH], decoder)
        _fail([job for job in jobs if job.dropped], CancelledError())

    def _loaded(self) -> CoTDecoder:
        decoder, self._coefficients, self._chooser = self._load()
        for name in ("no_answer_bias", "key_present_bias"):
            setattr(decoder.grammar, name, float(self._coefficients.get(name, 0.0)))
        return decoder

    def _grouped(self, jobs: Sequence[Job], decoder: CoTDecoder) -> list[Group]:
        groups: dict[tuple[str, int, int], Group] = {}
        for job in jobs:
            try:
                wanted = self._wanted(job, decoder)
            except Exception as error:
                _fail([job], error)
                continue
            job.windows = len(wanted)
            for key, window, limits in wanted:
                groups.setdefault(key, Group(window, key)).rows.append((job, limits))
        return list(groups.values())

    def _wanted(
        self, job: Job, decoder: CoTDecoder
    ) -> list[tuple[tuple[str, int, int], Window, DecodingConstraints]]:
        query, found = job.query, []
        for page in job.pages:
            words = hash((page.text_source, page.lines))
            key = (query.document.sha256, page.number, words)
            windows = _cached(self._windows, key, partial(decoder.processor.windows, page))
            for number, window in enumerate(windows):
                limits = constraints(query, window)
                if limits is not None:
                    found.append(((f"{query.document.sha256}/{page.number}", words, number), window, limits))
        if not found and query.correction is not None:
            raise refuse_empty(query.correction, query.document)
        return found

    def _decode(self, group: Group, rows: list[tuple[Job, DecodingConstraints]], decoder: CoTDecoder) -> None:
        jobs = [job for job, _ in rows]
        try:
            read = _cached(self._read, group.key, lambda: decoder.read(group.window))
            for job in jobs:
                job.emit("page", page=group.window.page.number)

            def on_stage(number: int, row: DecodingState) -> None:
                if all(job.dropped for job in jobs):
                    raise CancelledError
                if jobs[number].windows == 1 and self._chooser is None:
                    _emit_step(jobs[number], group.window, row)

            asked = [self._asked(job, group.window) for job in jobs]
            limits = [limits for _, limits in rows]
            outcomes = decoder.decode(read, list(zip(asked, limits, strict=True)), on_stage)
        except Exception as error:
            _fail(jobs, error)
            return
        for (job, limit), question, decoded in zip(rows, asked, outcomes, strict=True):
            try:
                outcome = partial(self._outcome, group, job, question, limit, decoded)
                job.attempts.append(outcome(text=job.windows <= _TEXT_WINDOWS))
                job.again.append(partial(outcome, text=True))
                if len(job.attempts) == job.windows:
                    self._finish(job)
            except Exception as error:
                _fail([job], error)

    def _asked(self, job: Job, window: Window) -> str:
        """The question as the model sees it: with a chooser, in the page's capitals."""
        question = job.query.question
        return question if self._chooser is None else as_printed(question, window.page.text)

    def _outcome(
        self, group: Group, job: Job, asked: str, limits: DecodingConstraints, decoded: Decoded, *, text: bool
    ) -> LayoutCoT:
        """The chooser's pick among the page's candidates; without a chooser, the decoder's outcome.
        ``text`` lets the chooser ask the text model.
        """
        chooser, correction = self._chooser, job.query.correction
        if chooser is not None:
            index = _cached(self._indices, group.key[:2], lambda: chooser.index(group.window.page))
            forced = correction is not None and correction.step == "analysis"
            decoded = chooser.choose(index, asked, decoded, group.window, limits, forced=forced, text=text)
        return as_cot(job.query.question, group.window, decoded, self._coefficients)

    def _finish(self, job: Job) -> None:
        if job.windows > _TEXT_WINDOWS and self._chooser is not None:
            order = sorted(range(job.windows), key=lambda n: _promise(job.attempts[n]), reverse=True)
            for number in order[:_TEXT_WINDOWS]:
                job.attempts[number] = job.again[number]()
        cot = best(job.attempts)
        if job.windows > 1 or self._chooser is not None:
            job.emit_analysis(cot)
            job.emit_area(cot)
        job.emit_answer(cot)
        job.future.set_result(cot)


def _cached(cache: cachetools.LRUCache[Any, _T], key: Any, make: Callable[[], _T]) -> _T:
    found = cache.get(key)
    if found is None:
        found = cache[key] = make()
    return found


def _promise(cot: LayoutCoT) -> float:
    """How likely the window is to hold the answer."""
    return cot.confidence if cot.answer is not None else 1.0 - cot.confidence


def _fail(jobs: Sequence[Job], error: BaseException) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(error)


def _emit_step(job: Job, window: Window, row: DecodingState) -> None:
    """A step that has just been finished, while the next one is decoded. ``_finish`` emits the last step."""
    from layoutllm_tool.model.grammar import Stage

    if row.analysis is None or row.stage not in (Stage.AREA, Stage.FORMATION_HEAD, Stage.DONE):
        return
    areas = window.area(row.area)
    so_far = LayoutCoT(job.query.question, row.analysis, areas, row.formation, None, 0.0)
    if row.stage is Stage.AREA:
        job.emit_analysis(so_far)
    elif row.stage is Stage.FORMATION_HEAD or not row.area:
        job.emit_area(so_far)
