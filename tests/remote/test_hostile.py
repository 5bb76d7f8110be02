"""RemoteReader against a hostile service: whatever comes, one clear error, within the reader's own bounds."""

from __future__ import annotations

import gc
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from layoutllm_tool.cot import AnswerFormation, LayoutCoT, QuestionAnalysis
from layoutllm_tool.errors import LayoutLLMError, ServiceError
from layoutllm_tool.remote import RemoteReader, responses
from layoutllm_tool.schemas import error_from_json
from layoutllm_tool.testing import FakeReader, document_from_text
from tests.services import running

PATIENCE = 60.0
DOCUMENT = document_from_text("Total:   12.50")
ID = json.dumps({"id": "a" * 64, "pages": 1}).encode()
Answer = Callable[[socket.socket, bytes], None]


def request_of(line: socket.socket) -> bytes:
    """A request's line, once the whole of it has come."""
    found = b""
    while b"\r\n\r\n" not in found:
        if not (more := line.recv(65536)):
            return b""
        found += more
    head, _, body = found.partition(b"\r\n\r\n")
    size = int(
        next(
            part.split(b":")[1] for part in head.lower().split(b"\r\n") if part.startswith(b"content-length")
        )
    )
    while len(body) < size:
        body += line.recv(65536)
    return head.split(b"\r\n")[0]


@contextmanager
def service(answer: Answer) -> Iterator[str]:
    """A server that takes uploads as it should, and answers questions with ``answer``."""

    def serve(line: socket.socket) -> None:
        try:
            while said := request_of(line):
                if b"/v1/documents" in said:
                    line.sendall(whole(ID, 201))
                else:
                    answer(line, said)
                    return
        except OSError:
            pass
        finally:
            line.close()

    def accept() -> None:
        try:
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def whole(body: bytes, status: int = 200, kind: str = "application/json", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def endless(head: bytes, part: bytes, pause: float = 0.0) -> Answer:
    def answer(line: socket.socket, _: bytes) -> None:
        line.sendall(head)
        while True:
            line.sendall(part)
            time.sleep(pause)

    return answer


def fixed(sent: bytes) -> Answer:
    return lambda line, _: line.sendall(sent)


OPEN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
DRIPS = {
    "no answer": endless(b"", b"", 0.05),
    "the status": endless(b"HTTP/1.1 200 ", b"O", 0.05),
    "headers": endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", 0.05),
    "a body": endless(OPEN, b" ", 0.05),
    "a stream": endless(STREAM, b": waiting\n\n", 0.05),
    "informational answers": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", DRIPS)
def test_a_drip_ends_with_the_deadline(name: str, stream: bool) -> None:
    with service(DRIPS[name]) as address, RemoteReader(address, timeout=0.5, retries=0) as remote:
        begun = time.monotonic()
        with pytest.raises(ServiceError):
            remote.ask(DOCUMENT, "Total?", on_progress=(lambda _: None) if stream else None)
        assert time.monotonic() - begun < PATIENCE  # not for ever; how busy the machine is does not count


FLOODS = {
    "a body": endless(OPEN, b" " * 65536),
    "a text": endless(OPEN + b'{"cot": "', b"a" * 65536),
    "a line of a stream": endless(STREAM, b"a" * 65536),
    "lines of a stream": endless(STREAM, b"data: a\n" * 8192),
    "events": endless(STREAM, b'event: page\ndata: {"page": 1}\n\n' * 2048),
    "an error": endless(b"HTTP/1.1 503 X\r\n\r\n", b"a" * 65536),
    "headers": endless(b"HTTP/1.1 200 OK\r\na: ", b"a" * 65536),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", FLOODS)
def test_an_answer_without_end_is_left(name: str, stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "MOST_JSON_BYTES", 4 * 2**20)
    with service(FLOODS[name]) as address, RemoteReader(address, timeout=PATIENCE, retries=0) as remote:
        with pytest.raises(ServiceError) as caught:
            remote.ask(DOCUMENT, "Total?", on_progress=(lambda _: None) if stream else None)
        assert "too long" not in caught.value.message


COT = LayoutCoT(
    "Total?", QuestionAnalysis("other", "extraction", "Total"), (), AnswerFormation("none", ""), "12.50", 1.0
).to_json()
NONSENSE: dict[str, Any] = {
    "no object": [], "no attempt": {}, "a text": {"cot": "a"},
    "an answer that is none": {"cot": COT | {"answer": {"a": 1}}},
    "a number as answer": {"cot": COT | {"answer": 5}},
    "a long answer": {"cot": COT | {"answer": "a" * 200_000}},
    "confidence as text": {"cot": COT | {"confidence": "high"}},
    "confidence 7": {"cot": COT | {"confidence": 7}},
    "no number": {"cot": COT | {"confidence": float("nan")}},
    "half a character": {"cot": COT | {"answer": "\ud800"}},
    "an unknown kind": {"cot": COT | {"analysis": {"kind": "x", "operation": "extraction", "key": ""}}},
    "a box that ends first": {"cot": COT | {"areas": [{"page": 1, "box": [9, 9, 1, 1], "lines": []}]}},
    "a page 10**30": {"cot": COT | {"areas": [{"page": 10**30, "box": [1, 1, 9, 9], "lines": []}]}},
    "many areas": {"cot": COT | {"areas": [{"page": 1, "box": [1, 1, 9, 9], "lines": []}] * 5000}},
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_told_as_such(name: str, stream: bool) -> None:
    body = json.dumps(NONSENSE[name]).encode()
    sent = (
        whole(b"event: result\ndata: " + body + b"\n\n", kind="text/event-stream") if stream else whole(body)
    )
    with (
        service(fixed(sent)) as address,
        RemoteReader(address, retries=0) as remote,
        pytest.raises(ServiceError),
    ):
        remote.ask(DOCUMENT, "Total?", on_progress=(lambda _: None) if stream else None)


@pytest.mark.parametrize(
    "sent",
    [
        whole(b"[" * 1_000_000), whole(b'{"cot": ' + b"9" * 1_000_000 + b"}"), whole(b"\xff"),
        whole(gzip.compress(bytes(10**7)), more="content-encoding: gzip\r\n"),
        whole(b"", 302, more="location: file:///etc/passwd\r\n"), whole(b"", 307,
        more="location: http://127.0.0.1:1/\r\n"), b"nonsense\r\n\r\n",
        whole(b"{}", 503, more=f"retry-after: {'9' * 5000}\r\n"), whole(b"", 204), whole(b"event: result\n\n",
        kind="text/event-stream"), b"",
    ],
)  # fmt: skip
def test_odd_answers_are_one_error(sent: bytes) -> None:
    with service(fixed(sent)) as address, RemoteReader(address, retries=0) as remote:
        with pytest.raises(ServiceError) as caught:
            remote.ask(DOCUMENT, "Total?")
        assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "data",
    [{"message": "a", "missing": 5}, {"message": "a", "missing": {}}, {"message": "a", "missing": [5]},
    {"message": "a\x1b[2J\u202e"}, {"message": "a", "hint": [1]}, {"message": "a" * 10**6, "kind": ["x"]}],
)  # fmt: skip
def test_errors_of_the_service_are_data(data: Any) -> None:
    error = error_from_json(data)
    assert isinstance(error, LayoutLLMError) and str(error).isprintable() and len(str(error)) < 4000
    assert error.missing == []  # type: ignore[attr-defined]


def test_huge_answers_take_little_memory() -> None:
    pytest.importorskip("resource")
    code = (
        "import resource, sys\n"
        "from layoutllm_tool.errors import ServiceError\n"
        "from layoutllm_tool.remote import RemoteReader\n"
        "from layoutllm_tool.testing import document_from_text\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1_200_000_000, 1_200_000_000))\n"
        "try: RemoteReader(sys.argv[1], retries=0).ask(document_from_text('Total: 1'), 'Total?')\n"
        "except ServiceError as error: print(error)"
    )
    for name in ("a body", "a text", "lines of a stream"):
        with service(FLOODS[name]) as address:
            run = subprocess.run(
                [sys.executable, "-c", code, address], capture_output=True, text=True, timeout=300
            )
        assert "more than" in run.stdout, run.stderr[-2000:]
    with service(fixed(whole(b"[" + b"1," * 15_000_000 + b"1]"))) as address:
        run = subprocess.run(
            [sys.executable, "-c", code, address], capture_output=True, text=True, timeout=300
        )
    assert "status 200" in run.stdout, run.stderr[-2000:]


def test_events_are_told_in_the_callers_thread_and_its_errors_hang_up() -> None:
    with running(FakeReader()) as address, RemoteReader(address) as remote:
        seen: list[threading.Thread] = []
        remote.ask(DOCUMENT, "Total?", on_progress=lambda _: seen.append(threading.current_thread()))
        assert set(seen) == {threading.current_thread()}

        def fail(_: Any) -> None:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            remote.ask(DOCUMENT, "Total?", on_progress=fail)
        assert remote.ask(DOCUMENT, "Total?").answer == "12.50"


def own_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "layoutllm-remote"}


@pytest.mark.parametrize("closed", [True, False])
def test_no_thread_is_left(closed: bool) -> None:
    before = own_threads()
    with running(FakeReader()) as address:
        remote = RemoteReader(address)
        assert remote.ask(DOCUMENT, "Total?").answer == "12.50"
        (thread,) = own_threads() - before
        if closed:
            remote.close()
            assert remote.ask(DOCUMENT, "Total?").answer == "12.50"
            remote.close()
        del remote
        gc.collect()
        thread.join(PATIENCE)
    assert not own_threads() - before


def test_closing_ends_who_waits() -> None:
    asked = threading.Event()

    def answer(line: socket.socket, _: bytes) -> None:
        asked.set()
        line.recv(1)

    with service(answer) as address:
        remote = RemoteReader(address, timeout=PATIENCE, retries=0)

        def close() -> None:
            asked.wait(PATIENCE)
            remote.close()

        closing = threading.Thread(target=close)
        closing.start()
        with pytest.raises(ServiceError) as caught:
            remote.ask(DOCUMENT, "Total?")
        closing.join(PATIENCE)
        assert "too long" not in caught.value.message


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_asks_for_itself() -> None:
    with running(FakeReader()) as address, RemoteReader(address) as remote:
        assert remote.ask(DOCUMENT, "Total?").answer == "12.50"
        child = os.fork()
        if child == 0:
            try:
                right = remote.ask(DOCUMENT, "Total?").answer == "12.50"
                remote.close()
                os._exit(0 if right else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert remote.ask(DOCUMENT, "Total?").answer == "12.50"
