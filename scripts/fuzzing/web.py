"""The service on a real socket and the review page in process, as doors. What they need is made once a
process.
"""

from __future__ import annotations

import atexit
import io
import logging
import re
from contextlib import ExitStack
from functools import cache
from typing import Any

from layoutllm_tool.testing import FakeReader
from scripts.fuzzing import texts
from scripts.fuzzing.outcomes import (
    ANSWERED,
    LETTER,
    LIMITS,
    REQUEST_SECONDS,
    Fault,
    Outcome,
    folder,
    refusal,
)

_ADDRESS = "http://127.0.0.1"


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

    from layoutllm_tool.service.queries import ServiceLimits
    from tests.services import running

    stack = ExitStack()
    address = stack.enter_context(
        running(FakeReader(), limits=ServiceLimits(seconds=REQUEST_SECONDS, memory=2**26, documents=LIMITS))
    )
    client = stack.enter_context(httpx.Client(base_url=address, timeout=60))
    atexit.register(stack.close)
    return client, client.post("/v1/documents", content=LETTER).json()["id"]


@cache
def _review_page() -> Any:
    from starlette.testclient import TestClient

    from layoutllm_tool.review_app.app import cookie_name, create_app
    from tests.review_page import TOKEN, doubtful_batch

    app, stack = create_app(*doubtful_batch(folder()), token=TOKEN), ExitStack()
    client = TestClient(app, _ADDRESS, raise_server_exceptions=False, cookies={cookie_name(TOKEN): TOKEN})
    client.headers["origin"] = _ADDRESS
    atexit.register(stack.close)
    return stack.enter_context(client)


def _posted(client: Any, path: str, data: bytes, kind: str) -> Outcome:
    log = _log()
    log.seek(0), log.truncate()
    reply = client.post(path, content=data, headers={"content-type": kind})
    if reply.status_code >= 500 and reply.status_code != 503:
        cause = _last_call(log.getvalue())
        raise Fault(f"status {reply.status_code} by {cause}: {reply.text[:300]}\n{log.getvalue()}")
    if reply.status_code >= 400 and not reply.json()["message"]:
        raise Fault(f"status {reply.status_code} says nothing")
    if reply.status_code < 400:
        return ANSWERED
    return refusal(f"status {reply.status_code}", reply.text)


def _last_call(log: str) -> str:
    """The innermost function in a traceback, and what it raised."""
    calls = re.findall(r'File ".*?([^/"]+)", line \d+, in (\S+)', log)
    errors = re.findall(r"^(\w+)(?:: |$)", log, re.MULTILINE)
    return f"{'/'.join(calls[-1])} {errors[-1]}" if calls and errors else "nobody"


def ask(data: bytes) -> Outcome:
    client, document = _service()
    return _posted(
        client, "/v1/ask", data.replace(texts.DOCUMENT.encode(), document.encode()), "application/json"
    )


def pages(data: bytes) -> Outcome:
    return _posted(_service()[0], "/v1/documents", data, "application/vnd.layoutllm.pages+json")


def review(data: bytes) -> Outcome:
    return _posted(_review_page(), f"/api/documents/{'a' * 32}/fields/total", data, "application/json")
