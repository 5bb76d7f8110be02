"""The doors of the package that a stranger's input comes through, each as a function of that input.

A door tells what became of it, or raises: errors of the package's tree are refusals, all others faults.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from layoutllm_tool.documents import Access, Limits, load_document
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.testing import FakeReader, document_from_text
from scripts.fuzzing import pdfs, pictures, texts, web
from scripts.fuzzing.outcomes import (
    ANSWERED,
    LETTER,
    LIMITS,
    LIST_SECONDS,
    PAGE_SECONDS,
    REQUEST_SECONDS,
    TASK_SECONDS,
    Fault,
    Input,
    Outcome,
    folder,
    refusal,
)


def made(kind: str, seed: int, index: int) -> Input:
    """The input of that number: always the same."""
    r = random.Random(f"{seed} {kind} {index}")
    if kind in _FILES:
        data = _FILES[kind](r)
        door = r.choices(("all", "page", "tool-file"), (5, 4, 1))[0]
        seconds = {"all": LIMITS.document_seconds, "page": PAGE_SECONDS, "tool-file": Limits().page_seconds}
        return Input(door, data, seconds[door])
    door, data = _TEXTS[kind](r)
    return Input(door, data, {"json": REQUEST_SECONDS, "rows": LIST_SECONDS, "plans": TASK_SECONDS}[kind])


def through(given: Input) -> Outcome:
    """What became of it. Raises Fault, and whatever the package raises by mistake."""
    try:
        return _DOORS[given.door](given.data)
    except LayoutLLMError as error:
        return refusal(type(error).__name__, str(error))


# -- files ---------------------------------------------------------------------------------------------------


def _load_all(data: bytes) -> Outcome:
    for page in load_document(data, limits=LIMITS).pages:
        if page.image is None or page.image.size != (page.width, page.height):
            raise Fault("a page is not as large as its picture")
    return ANSWERED


def _load_page(data: bytes) -> Outcome:
    load_document(data, limits=LIMITS, pages=[1])
    return ANSWERED


def _tool_file(data: bytes) -> Outcome:
    path = folder() / "given"
    path.write_bytes(data)
    return _called({"document": "given", "question": "What is the total?", "page": 1})


def _tool(data: bytes) -> Outcome:
    try:
        arguments = json.loads(data)
    except (ValueError, RecursionError):  # no chat client hands such a call on
        return Outcome("no JSON", deep=False)
    return _called(arguments) if isinstance(arguments, dict) else Outcome("no call", deep=False)


def _called(arguments: dict[str, Any]) -> Outcome:
    from layoutllm_tool import LayoutLLMTool

    (folder() / "letter.pdf").write_bytes(LETTER)
    tool = LayoutLLMTool(reader=FakeReader(), access=Access(roots=(folder(),)))
    message = tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": arguments})
    json.dumps(message.artifact)
    if message.status == "error":
        return refusal("ToolException", str(message.content))
    return ANSWERED


# -- batches -------------------------------------------------------------------------------------------------


def _batch(data: bytes, door: str) -> Outcome:
    """Every row ends as a row, and what is good is answered, whatever stands beside it."""
    from layoutllm_graphs.batch.runner import LOG, Batch, here
    from layoutllm_graphs.batch.worker import Settings
    from layoutllm_tool.batch.inputs import batch_inputs
    from layoutllm_tool.batch.tables import write_tables

    settings = Settings.of(["vendor"], model={"reader": "fake"}, max_attempts=1, second_opinion=False)
    with tempfile.TemporaryDirectory(dir=folder()) as name:
        source, out = Path(name) / "in", Path(name) / "out"
        source.mkdir()
        _fill(source)
        try:
            with Batch(batch_inputs(str(_source(source, data, door))), out, settings) as batch:
                tally = batch.run(here(FakeReader(), settings))
                write_tables(batch.store, out)
        except LayoutLLMError as error:
            if _is_list(data, door):
                raise Fault(f"one row ended the batch: {type(error).__name__}: {error}") from error
            raise
        if tally.bugs:
            raise Fault(f"a row failed with a bug\n{(out / LOG).read_text(errors='replace')}")
        if tally.seen != tally.total or (_is_list(data, door) and tally.failed == tally.total):
            raise Fault(
                f"a good row is missing: {tally.seen} of {tally.total} were seen, {tally.failed} failed"
            )
        return ANSWERED if tally.failed < tally.seen else Outcome("all rows failed", deep=True)


def _fill(place: Path) -> None:
    (place / "good.pdf").write_bytes(LETTER)
    (place / "good.png").write_bytes(pictures.drawn("PNG", random.Random(1)))
    (place / "broken.pdf").write_bytes(LETTER[:60])
    os.mkfifo(place / "fifo.pdf")


def _source(place: Path, data: bytes, door: str) -> Path:
    if door != "folder":
        (place / f"list.{door}").write_bytes(data)
        return place / f"list.{door}"
    for name in filter(None, data.split(b"\0")):
        Path(os.fsdecode(os.fsencode(place) + b"/" + name)).write_bytes(LETTER)
    return place


def _is_list(data: bytes, door: str) -> bool:
    """Whether it is text with a good row at its start: then no other row can be a reason to refuse it
    whole.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return door == "folder"
    return door == "folder" or data.startswith(texts.GOOD_ROWS[door])


# -- tasks ---------------------------------------------------------------------------------------------------


def _task(data: bytes) -> Outcome:
    from layoutllm_graphs.planning.planner import plan_task, render

    planned = plan_task(json.loads(data))
    _printable(render(planned.plan))
    _carried_out(planned.plan)
    return ANSWERED


def _model(data: bytes) -> Outcome:
    """A chat model's plan for a task that rules don't understand: it is taken, or the rules' is."""
    from layoutllm_graphs.planning.planner import plan_task, render
    from layoutllm_graphs.testing import ScriptedChatModel, call_tool

    said = json.loads(data)
    model = ScriptedChatModel(
        turns=[call_tool("Plan", **said) if isinstance(said, dict) else json.dumps(said)]
    )
    planned = plan_task(
        "Extract vendor, and compare it with whatever seems sensible to you, as usual", model=model
    )
    _printable(render(planned.plan))
    return Outcome(f"answered by {planned.source}", deep=True)


def _printable(shown: str) -> None:
    if not all(line.isprintable() for line in shown.split("\n")):
        raise Fault("a plan is shown with control characters")


def _carried_out(plan: Any) -> None:
    """Small plans, over a page that answers some of it."""
    from layoutllm_graphs.context import Context
    from layoutllm_graphs.state import Request
    from layoutllm_graphs.workflow import build_workflow
    from layoutllm_tool import LayoutLLMTool

    if len(plan.questions) > 8:
        return
    page = document_from_text("Vendor:  Shop\nTotal:  12.50\nDate:  2 May 2024\nItems  4.00\n       8.50")
    tool = LayoutLLMTool(reader=FakeReader(), documents={"page": page})
    request = Request(document="page", task=plan.model_dump(mode="json"))
    context = Context(tool=tool, max_attempts=2, second_opinion=False)
    json.dumps(build_workflow().compile().invoke(request, context=context)["answers"])


_FILES: dict[str, Callable[[random.Random], bytes]] = {
    "pdf": pdfs.pdf, "tiff": pictures.tiff, "png": pictures.png, "webp": pictures.webp,
    "picture": pictures.other,
}  # fmt: skip
_TEXTS = {"json": texts.body, "rows": texts.listing, "plans": texts.task}
KINDS = (*_FILES, *_TEXTS)
_DOORS: dict[str, Callable[[bytes], Outcome]] = {
    "all": _load_all, "page": _load_page, "tool-file": _tool_file, "tool": _tool, "ask": web.ask,
    "pages": web.pages, "review": web.review, "jsonl": lambda data: _batch(data, "jsonl"),
    "csv": lambda data: _batch(data, "csv"), "folder": lambda data: _batch(data, "folder"), "words": _task,
    "fields": _task, "schema": _task, "plan": _task, "model": _model,
}  # fmt: skip
