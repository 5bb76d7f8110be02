"""Awkward files: each must give an answer, "not in the document" or a clear error of our tree, never a crash or a hang.

The reader lives in a child process, so that a file that kills or stops it is a row in the table and not the end of the run.
At most the first two pages of a file are read, and one question is asked on the first.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from layoutllm_tool.documents import Access, Document, load_document
from layoutllm_tool.documents.geometry import Box, Line, Page, Word
from layoutllm_tool.errors import LayoutLLMError, PageOutOfRange
from layoutllm_tool.protocols import Reader

QUESTION = "What is the title of this document?"
PAGES, PAGE_SECONDS = 2, 60.0
_START_SECONDS = 300.0
"""For imports, the base model's first download and its conversion: no file's fault."""

Kind = Literal["answer", "none", "error", "crash", "time-out"]
Factory = Callable[[], Reader]
"""Makes the reader in the child: a picklable function or class."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. ``detail`` is the answer, or the error's class, message and hint."""

    file: str
    kind: Kind
    detail: str
    seconds: float
    pages: int = 0

    @property
    def failed(self) -> bool:
        return self.kind in ("crash", "time-out")


def examine(files: Iterable[Path], factory: Factory, *, page_seconds: float = PAGE_SECONDS) -> Iterator[Outcome]:
    """One outcome a file, in their order. RuntimeError where not even the reader's start succeeds."""
    child: _Child | None = None
    try:
        for file in files:
            child = child or _Child(factory)
            outcome = child.ask(file, page_seconds)
            if outcome.failed:
                child.stop()
                child = None
            yield outcome
    finally:
        if child is not None:
            child.stop()


class _Child:
    """A process with a reader in it. Messages back: ("pages", n) once a file is opened, then (kind, detail)."""

    def __init__(self, factory: Factory) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, factory), daemon=True)
        self.process.start()
        theirs.close()
        ready, detail = self._hear(_START_SECONDS) or ("time-out", f"not ready after {_START_SECONDS:.0f} s")
        if ready != "ready":
            self.stop()
            raise RuntimeError(f"the reader could not be started: {detail}")

    def ask(self, file: Path, page_seconds: float) -> Outcome:
        begun, pages, limit = time.perf_counter(), 0, page_seconds
        self.pipe.send(str(file))
        while True:
            left = limit - (time.perf_counter() - begun)
            heard = self._hear(max(left, 0.0))
            if heard is None:
                return Outcome(file.name, "time-out", f"over {limit:.0f} s", time.perf_counter() - begun, pages)
            kind, detail = heard
            if kind != "pages":
                return Outcome(file.name, kind, str(detail), time.perf_counter() - begun, pages)
            pages = int(detail)
            limit = page_seconds * max(pages, 1)

    def _hear(self, seconds: float) -> tuple[Any, Any] | None:
        """The next message; None after that time. A process that is gone has crashed."""
        try:
            return self.pipe.recv() if self.pipe.poll(seconds) else None
        except (EOFError, ConnectionResetError):
            self.process.join(5)
            return "crash", f"the process died (exit code {self.process.exitcode})"

    def stop(self) -> None:
        self.process.kill()
        self.process.join(5)
        self.pipe.close()


# -- in the child -------------------------------------------------------------------------------------------------------


def _serve(pipe: Connection, factory: Factory) -> None:
    reader = _started(pipe, factory)
    while reader is not None:
        with suppress(EOFError):
            file = pipe.recv()
            pipe.send(_examined(pipe, reader, Path(file)))
            continue
        return


def _started(pipe: Connection, factory: Factory) -> Reader | None:
    """The reader, asked once, so that the model's loading is not counted as the first file's."""
    try:
        reader = factory()
        word = Word("ready", Box(100, 100, 200, 120))
        page = Page(1, 100, 100, (Line((word,)),), text_source="given")
        reader.ask(Document("start", "start", (page,)), QUESTION)
    except Exception as error:  # noqa: BLE001  said to the parent, which raises
        pipe.send(("crash", f"{type(error).__name__}: {error}"))
        return None
    pipe.send(("ready", ""))
    return reader


def _examined(pipe: Connection, reader: Reader, file: Path) -> tuple[Kind, str]:
    try:
        opened = first_pages(file)
        pipe.send(("pages", len(opened.pages)))
        document = reader.load(opened)
        cot = reader.ask(document, QUESTION, page=document.pages[0].number)
    except LayoutLLMError as error:
        return "error", f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001  a crash is what this command looks for
        return "crash", f"{type(error).__name__}: {error}"
    return ("none", "") if cot.answer is None else ("answer", cot.answer)


def first_pages(file: Path, count: int = PAGES) -> Document:
    """The first pages of a file, fewer where it has fewer. Raises DocumentError."""
    for last in range(count, 1, -1):
        with suppress(PageOutOfRange):
            return load_document(file, pages=range(1, last + 1), access=Access.anywhere())
    return load_document(file, pages=(1,), access=Access.anywhere())
