"""Ask every file of a folder one question: python -m scripts.robustness DIR

Each must give an answer, "not in the document" or a clear error of the package, never a crash or a hang. The
reader runs in a child process, so that a file that kills or stops it is one row of the table. At most the
first two pages of a file are read, and one question is asked on the first.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pebble import ProcessExpired, ProcessPool
from rich.console import Console

from layoutllm_tool.documents import Access, Document, load_document
from layoutllm_tool.documents.geometry import Box, Line, Page, Word
from layoutllm_tool.errors import LayoutLLMError, PageOutOfRange
from layoutllm_tool.evaluation.command import make_reader
from layoutllm_tool.evaluation.report import progress, table
from layoutllm_tool.protocols import Reader

QUESTION = "What is the title of this document?"
PAGES, PAGE_SECONDS = 2, 60.0
START_SECONDS = 300.0
"""For imports, the base model's first download and its conversion: no file's fault."""

Kind = Literal["answer", "none", "error", "crash", "time-out"]
Factory = Callable[[], Reader]
"""Makes the reader in the child: a picklable function or class."""
_reader: Reader | None = None
"""The child's."""


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


def main(arguments: Sequence[str] | None = None, *, factory: Factory | None = None) -> int:
    """1 where a file crashed the reader or made it hang."""
    parser = argparse.ArgumentParser("robustness", description="Every file: an answer or a clear error.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="trained ones (default: as shipped)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every file and its outcome here")
    options = parser.parse_args(arguments)
    files = sorted(path for path in options.folder.iterdir() if path.is_file())
    outcomes = []
    with progress("Reading", len(files)) as tick:
        for outcome in examine(files, factory or partial(make_reader, options.weights)):
            outcomes.append(outcome)
            tick(1)
    rows = [(o.file, o.kind, o.detail, str(o.pages), f"{o.seconds:.1f}") for o in outcomes]
    Console().print(table("Files", ("file", "outcome", "detail", "pages", "s"), rows))
    if options.json:
        data = json.dumps([asdict(outcome) for outcome in outcomes], indent=1, ensure_ascii=False)
        options.json.write_text(data, encoding="utf-8")
    return int(any(outcome.failed for outcome in outcomes))


def examine(files: Sequence[Path], factory: Factory, page_seconds: float = PAGE_SECONDS) -> Iterator[Outcome]:
    """One outcome a file, in their order. RuntimeError where the reader can't be started."""
    with ProcessPool(max_workers=1, context=multiprocessing.get_context("spawn")) as pool:
        for file in files:
            if problem := pool.schedule(_start, (factory,), timeout=START_SECONDS).result():
                raise RuntimeError(f"the reader could not be started: {problem}")
            begun = time.perf_counter()
            try:
                yield pool.schedule(_examine, (file, page_seconds), timeout=page_seconds * PAGES).result()
            except TimeoutError:
                yield Outcome(file.name, "time-out", "was stopped", time.perf_counter() - begun)
            except ProcessExpired as error:
                detail = f"the process died (exit code {error.exitcode})"
                yield Outcome(file.name, "crash", detail, time.perf_counter() - begun)


# -- in the child --------------------------------------------------------------------------------------------


def _start(factory: Factory) -> str:
    """Make the reader and ask it once: loading the model counts for no file. Gives "" or what went wrong."""
    global _reader
    if _reader is not None:
        return ""
    try:
        reader = factory()
        page = Page(1, 100, 100, (Line((Word("ready", Box(100, 100, 200, 120)),)),), text_source="given")
        reader.ask(Document("start", "start", (page,)), QUESTION)
    except Exception as error:  # noqa: BLE001  told to the parent, which raises
        return f"{type(error).__name__}: {error}"
    _reader = reader
    return ""


def _examine(file: Path, page_seconds: float) -> Outcome:
    assert _reader is not None
    begun, pages = time.perf_counter(), 0
    kind: Kind = "none"
    try:
        opened = first_pages(file)
        pages = len(opened.pages)
        document = _reader.load(opened)
        answer = _reader.ask(document, QUESTION, page=document.pages[0].number).answer
        kind, detail = ("none", "") if answer is None else ("answer", answer)
    except LayoutLLMError as error:
        kind, detail = "error", f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001  a crash is what this looks for
        kind, detail = "crash", f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - begun
    if seconds > page_seconds * max(pages, 1) and kind != "crash":
        kind = "time-out"
    return Outcome(file.name, kind, detail, seconds, pages)


def first_pages(file: Path, count: int = PAGES) -> Document:
    """The first pages of a file, fewer where it has fewer. DocumentError."""
    for last in range(count, 1, -1):
        with suppress(PageOutOfRange):
            return load_document(file, pages=range(1, last + 1), access=Access.anywhere())
    return load_document(file, pages=(1,), access=Access.anywhere())


if __name__ == "__main__":
    sys.exit(main())
