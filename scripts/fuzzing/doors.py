"""The doors of the package that a stranger's input comes through, each as a function of that input.

A door gives what became of it in a few words, or raises: errors of the package's tree are refusals, all others are faults.
What a door needs (a service, a batch to review) is made once a process.
"""

from __future__ import annotations

import atexit
import io
import json
import logging
import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from layoutllm_tool.documents import Access, Limits, load_document
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.testing import FakeReader, document_from_text
from scripts.fuzzing import pdfs, pictures, texts
from tests.pdfs import make_pdf, text

PAGE_SECONDS, TASK_SECONDS, REQUEST_SECONDS, LIST_SECONDS = 3.0, 5.0, 10.0, 15.0
LIMITS = Limits(page_seconds=PAGE_SECONDS, document_seconds=2 * PAGE_SECONDS, max_pages=4)
_LETTER = make_pdf(text("Vendor: Shop", 72, 700) + text("Total: 12.50", 72, 650))
_AT_THE_HEADER = re.compile(
    r"UnidentifiedImageError|load document|not read here|no JSON|can't be read:|arguments don't fit|Input should|Extra inputs|Field required|exactly one"
)
"""What errors say of inputs that were not opened at all, or did not fit their schema."""


class Fault(Exception):
    """The package broke a promise without raising."""


@dataclass(frozen=True, slots=True)
class Input:
    """``data`` for the door of that name; the door has ``seconds``."""

    door: str
    data: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """``said``: "answered", or the class of the refusal. ``deep``: whether it got past the check of the header."""

    said: str
    deep: bool


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
        return _refused(error)


def _refused(error: LayoutLLMError) -> Outcome:
    return Outcome(type(error).__name__, not _AT_THE_HEADER.search(str(error)))


ANSWERED = Outcome("answered", deep=True)

# -- files --------------------------------------------------------------------------------------------------------------


def _load_all(data: bytes) -> Outcome:
    for page in load_document(data, limits=LIMITS).pages:
        if page.image is None or page.image.size != (page.width, page.height):
            raise Fault("a page is not as large as its picture")
    return ANSWERED


def _load_page(data: bytes) -> Outcome:
    load_document(data, limits=LIMITS, pages=[1])
    return ANSWERED


def _tool_file(data: bytes) -> Outcome:
    path = _folder() / "given"
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

    (_folder() / "letter.pdf").write_bytes(_LETTER)
    tool = LayoutLLMTool(reader=FakeReader(), access=Access(roots=(_folder(),)))
    message = tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": arguments})
    json.dumps(message.artifact)
    if message.status == "error":
        return Outcome("ToolException", not _AT_THE_HEADER.search(str(message.content)))
    return ANSWERED


@cache
def _folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


# -- HTTP ---------------------------------------------------------------------------------------------------------------


@cache
def _log() -> io.StringIO:
    """What the package logs as errors: the tracebacks behind a status of 500."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setLevel(logging.ERROR)
    logging.getLogger("layoutllm_tool").addHandler(handler)
    return stream


@cache
def _service() -> tuple[Any, str]:
    """A client of a service on a real socket, and the id of a document that it has."""
    import httpx

    from layoutllm_tool.web.desk import ServiceLimits
    from tests.services import running

    stack = ExitStack()
    address = stack.enter_context(
        running(FakeReader(), limits=ServiceLimits(seconds=REQUEST_SECONDS, memory=2**26, documents=LIMITS))
    )
    client = stack.enter_context(httpx.Client(base_url=address, timeout=60))
    atexit.register(stack.close)
    return client, client.post("/v1/documents", content=_LETTER).json()["id"]


@cache
def _review_page() -> Any:
    from starlette.testclient import TestClient

    from layoutllm_tool.web.view import cookie_name, create_app
    from tests.review_page import TOKEN, doubtful_batch

    app, stack = create_app(*doubtful_batch(_folder()), token=TOKEN), ExitStack()
    client = TestClient(app, "http://127.0.0.1", raise_server_exceptions=False, cookies={cookie_name(TOKEN): TOKEN}, headers={"origin": "http://127.0.0.1"})  # fmt: skip
    atexit.register(stack.close)
    return stack.enter_context(client)


def _posted(client: Any, path: str, data: bytes, kind: str) -> Outcome:
    log = _log()
    log.seek(0), log.truncate()
    reply = client.post(path, content=data, headers={"content-type": kind})
    if reply.status_code >= 500 and reply.status_code != 503:
        raise Fault(f"status {reply.status_code} by {_last_call(log.getvalue())}: {reply.text[:300]}\n{log.getvalue()}")
    if reply.status_code >= 400 and not reply.json()["message"]:
        raise Fault(f"status {reply.status_code} says nothing")
    return ANSWERED if reply.status_code < 400 else Outcome(f"status {reply.status_code}", not _AT_THE_HEADER.search(reply.text))  # fmt: skip


def _last_call(log: str) -> str:
    """The innermost function in a traceback, and what it raised."""
    calls, errors = re.findall(r'File ".*?([^/"]+)", line \d+, in (\S+)', log), re.findall(r"^(\w+)(?:: |$)", log, re.M)
    return f"{'/'.join(calls[-1])} {errors[-1]}" if calls and errors else "nobody"


def _ask(data: bytes) -> Outcome:
    client, document = _service()
    return _posted(client, "/v1/ask", data.replace(texts.DOCUMENT.encode(), document.encode()), "application/json")


def _pages(data: bytes) -> Outcome:
    return _posted(_service()[0], "/v1/documents", data, "application/vnd.layoutllm.pages+json")


def _review(data: bytes) -> Outcome:
    return _posted(_review_page(), f"/api/documents/{'a' * 32}/fields/total", data, "application/json")


# -- batches ------------------------------------------------------------------------------------------------------------


def _batch(data: bytes, door: str) -> Outcome:
    """Every row ends as a row, and what is good is answered, whatever stands beside it."""
    from graphs.batch import LOG, Batch, here
    from graphs.batch_desk import Settings
    from layoutllm_tool.batch.sources import rows
    from layoutllm_tool.batch.tables import write_tables

    settings = Settings.of(["vendor"], model={"reader": "fake"}, rounds=1, second_look=False)
    with tempfile.TemporaryDirectory(dir=_folder()) as name:
        source, out = Path(name) / "in", Path(name) / "out"
        source.mkdir()
        _fill(source)
        try:
            with Batch(rows(str(_source(source, data, door))), out, settings) as batch:
                tally = batch.run(here(FakeReader(), settings))
                write_tables(batch.store, out)
        except LayoutLLMError as error:
            if _is_list(data, door):
                raise Fault(f"one row ended the batch: {type(error).__name__}: {error}") from error
            raise
        if tally.bugs:
            raise Fault(f"a row failed with a bug\n{(out / LOG).read_text(errors='replace')}")
        if tally.seen != tally.total or (_is_list(data, door) and tally.failed == tally.total):
            raise Fault(f"a good row is missing: {tally.seen} of {tally.total} were seen, {tally.failed} failed")
        return ANSWERED if tally.failed < tally.seen else Outcome("all rows failed", deep=True)


def _fill(folder: Path) -> None:
    (folder / "good.pdf").write_bytes(_LETTER)
    (folder / "good.png").write_bytes(pictures.drawn("PNG", random.Random(1)))
    (folder / "broken.pdf").write_bytes(_LETTER[:60])
    os.mkfifo(folder / "fifo.pdf")


def _source(folder: Path, data: bytes, door: str) -> Path:
    if door != "folder":
        (folder / f"list.{door}").write_bytes(data)
        return folder / f"list.{door}"
    for name in filter(None, data.split(b"\0")):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(_LETTER)
    return folder


def _is_list(data: bytes, door: str) -> bool:
    """Whether it is text with a good row at its start: then no other row can be a reason to refuse it whole."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return door == "folder"
    return door == "folder" or data.startswith(texts.GOOD_ROWS[door])


# -- tasks --------------------------------------------------------------------------------------------------------------


def _task(data: bytes) -> Outcome:
    from graphs.planner import plan_task, render

    planned = plan_task(json.loads(data))
    _printable(render(planned.plan))
    _carried_out(planned.plan)
    return ANSWERED


def _model(data: bytes) -> Outcome:
    """A chat model's plan for a task that rules don't understand: it is taken, or the rules' is."""
    from graphs.planner import plan_task, render
    from graphs.testing import ScriptedChatModel, call_tool

    said = json.loads(data)
    model = ScriptedChatModel(turns=[call_tool("Plan", **said) if isinstance(said, dict) else json.dumps(said)])
    planned = plan_task("Extract vendor, and compare it with whatever seems sensible to you, as usual", model=model)
    _printable(render(planned.plan))
    return Outcome(f"answered by {planned.source}", deep=True)


def _printable(shown: str) -> None:
    if not all(line.isprintable() for line in shown.split("\n")):
        raise Fault("a plan is shown with control characters")


def _carried_out(plan: Any) -> None:
    """Small plans, over a page that answers some of it."""
    from graphs.state import Context, Request
    from graphs.workflow import build_workflow
    from layoutllm_tool import LayoutLLMTool

    if len(plan.questions) > 8:
        return
    page = document_from_text("Vendor:  Shop\nTotal:  12.50\nDate:  2 May 2024\nItems  4.00\n       8.50")
    tool = LayoutLLMTool(reader=FakeReader(), documents={"page": page})
    request = Request(document="page", task=plan.model_dump(mode="json"))
    context = Context(tool=tool, rounds=2, second_look=False)
    json.dumps(build_workflow().compile().invoke(request, context=context)["answers"])


_FILES: dict[str, Callable[[random.Random], bytes]] = {
    "pdf": pdfs.pdf, "tiff": pictures.tiff, "png": pictures.png, "webp": pictures.webp, "picture": pictures.other,
}  # fmt: skip
_TEXTS = {"json": texts.body, "rows": texts.listing, "plans": texts.task}
KINDS = (*_FILES, *_TEXTS)
_DOORS: dict[str, Callable[[bytes], Outcome]] = {
    "all": _load_all, "page": _load_page, "tool-file": _tool_file, "tool": _tool, "ask": _ask, "pages": _pages, "review": _review,
    "jsonl": lambda data: _batch(data, "jsonl"), "csv": lambda data: _batch(data, "csv"), "folder": lambda data: _batch(data, "folder"),
    "words": _task, "fields": _task, "schema": _task, "plan": _task, "model": _model,
}  # fmt: skip
