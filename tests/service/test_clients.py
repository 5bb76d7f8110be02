"""The service under bad clients, on real sockets: bytes and orders of events are counted, not seconds."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from layoutllm_tool.service import transport
from layoutllm_tool.service.protocol import MOST_HEADER_BYTES, MOST_HEADERS, BoundedProtocol
from layoutllm_tool.service.queries import ServiceLimits
from layoutllm_tool.testing import FakeReader
from tests.services import running

PATIENCE = 60.0
"""Seconds after which a connection that should have been closed counts as open; far more than any takes."""
PAUSE = 0.05
BLOCK = b"x" * 65536
MOST_TAKEN = 64 * 2**20
"""Bytes that go into a closed connection: what is discarded, and what lies in the system's buffers."""


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    where = urlsplit(address)
    with socket.create_connection((where.hostname, where.port), timeout=PATIENCE) as line:
        yield line


def rest(line: socket.socket) -> bytes:
    """All that comes until the connection is closed."""
    found = b""
    try:
        while more := line.recv(65536):
            found += more
    except ConnectionError:
        pass
    return found


def spoken(address: str, *parts: bytes, pause: float = 0.0) -> bytes:
    """What comes back on a bare connection until it is closed."""
    with connected(address) as line:
        try:
            for part in parts:
                line.sendall(part)
                time.sleep(pause)
        except ConnectionError:
            pass
        return rest(line)


def endlessly(line: socket.socket, most: int, block: bytes = BLOCK) -> int:
    """Bytes that could be sent before the connection was cut; at most about ``most``."""
    sent = 0
    try:
        while sent < most:
            sent += line.send(block)
    except ConnectionError:
        pass
    return sent


def dripped(line: socket.socket) -> int:
    """Bytes that could be sent, one after another, before the connection was cut."""
    sent = 0
    try:
        while sent < PATIENCE / PAUSE:
            sent += line.send(b"x")
            time.sleep(PAUSE)
    except ConnectionError:
        pass
    return sent


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def healthy(address: str) -> bool:
    return httpx.get(f"{address}/healthz", trust_env=False, timeout=PATIENCE).status_code == 200


def head(path: str = "/v1/documents", method: str = "POST", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{n.replace('_', '-')}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


LONG, CHUNKED = {"Content_Length": str(10**12)}, {"Transfer_Encoding": "chunked"}
HERE = {"Host": "127.0.0.1"}
EARLY = {
    400: b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    401: head(**HERE, **LONG),
    403: head(Host="evil.example", **LONG),
    413: head(**HERE, **LONG, Authorization="Bearer t"),
    431: b"POST / HTTP/1.1\r\n" + b"A: b\r\n" * (MOST_HEADERS + 1),
}


@pytest.mark.parametrize("status", EARLY)
def test_who_sends_on_after_an_early_answer_is_cut_off(status: int) -> None:
    with running(FakeReader(), token="t") as address:
        with connected(address) as line:
            line.sendall(EARLY[status])
            assert endlessly(line, 8 * MOST_TAKEN) < MOST_TAKEN
        answer = spoken(address, EARLY[status], b"x")
        assert statuses(answer) == [status] and b"connection: close" in answer.lower()
        assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["message"]
        assert healthy(address)


def test_a_drip_after_an_early_answer_is_cut_off_too() -> None:
    with running(FakeReader(), token="t") as address, connected(address) as line:
        line.sendall(EARLY[401] + b"x")
        answer = b""
        while more := line.recv(65536):  # the service's half is closed at once
            answer += more
        assert statuses(answer) == [401]
        assert dripped(line) < PATIENCE / PAUSE


def test_an_early_answer_is_heard_by_a_sender_who_listens_last() -> None:
    limits = ServiceLimits(body_bytes=100_000)
    with running(FakeReader(), limits=limits) as address:
        for body in (b"x" * 5_000_000, (b"x" * 50_000 for _ in range(100))):
            reply = httpx.post(f"{address}/v1/documents", content=body, trust_env=False, timeout=PATIENCE)
            assert reply.status_code == 413 and reply.json()["kind"] == "DocumentTooLarge"
            assert reply.headers["connection"] == "close"


def test_whole_requests_keep_their_connection() -> None:
    with running(FakeReader(), token="t") as address, connected(address) as line:
        line.sendall(head("/healthz", "GET", **HERE) * 3 + head(**HERE, Content_Length="2") + b"ab")
        line.sendall(head("/healthz", "GET", **HERE, Connection="close"))
        assert statuses(rest(line)) == [200, 200, 200, 401, 200]


# -- headers -------------------------------------------------------------------------------------------------


def of_size(size: int) -> bytes:
    """A request whose line and headers take ``size`` bytes."""
    begin = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "
    return begin + b"a" * (size - len(begin) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize("piece", [1000, 4096, 65536, 70_000])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_headers_are_counted_to_the_byte(piece: int, before: int) -> None:
    """``before``: requests on the same connection, sent together with it."""
    first = head("/healthz", "GET", **HERE) * before
    with running(FakeReader()) as address:
        for size, status in ((MOST_HEADER_BYTES, 200), (MOST_HEADER_BYTES + 1, 431), (70_000, 431)):
            sent = (
                first + of_size(size) + head("/healthz", "GET", **HERE, Connection="close") * (status == 200)
            )
            parts = [sent[at : at + piece] for at in range(0, len(sent), piece)]
            expected = [200] * before + [status] + [200] * (status == 200)
            assert statuses(spoken(address, *parts)) == expected


def test_the_number_of_headers_is_bounded() -> None:
    with running(FakeReader()) as address:
        for number, status in ((MOST_HEADERS - 2, 200), (MOST_HEADERS - 1, 431)):
            sent = head("/healthz", "GET", **HERE, Connection="close")[:-2] + b"A: b\r\n" * number + b"\r\n"
            assert statuses(spoken(address, sent)) == [status]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A:" + b" " * 200_000,
        b"GET /" + b"a" * 200_000,
        b"\r\n" * 200_000,
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ],
    ids=["blanks", "a path without end", "blank lines", "a path of 100,000 characters"],
)
def test_other_ways_to_go_on_for_ever(sent: bytes) -> None:
    with running(FakeReader()) as address:
        assert statuses(spoken(address, sent)) == [431] and healthy(address)


# -- bodies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [b"1;" + b"e" * 60_000 + b"\r\nx\r\n", b"1" + b";a=b" * 100_000, b"0\r\n" + b"A: b\r\n" * 50_000,
    b"0\r\nA: " + b"b" * 200_000],
    ids=["extensions", "an extension without end", "trailers", "a trailer without end"],
)  # fmt: skip
def test_what_stands_around_a_body_is_bounded(part: bytes) -> None:
    with running(FakeReader()) as address:
        with connected(address) as line:
            line.sendall(head(**HERE, **CHUNKED))
            assert endlessly(line, 8 * MOST_TAKEN, part) < MOST_TAKEN
        assert statuses(spoken(address, head(**HERE, **CHUNKED), part * 20)) == [431] and healthy(address)


def test_chunks_of_one_byte_and_honest_trailers_are_taken() -> None:
    with running(FakeReader()) as address:
        sent = head(**HERE, **CHUNKED, Connection="close") + b"1\r\nx\r\n" * 100_000 + b"0\r\nA: b\r\n\r\n"
        assert statuses(spoken(address, sent)) == [422]


def test_trailers_are_no_headers() -> None:
    with running(FakeReader(), token="t") as address:
        sent = head(**HERE, **CHUNKED, Connection="close") + b"1\r\nx\r\n0\r\nAuthorization: Bearer t\r\n\r\n"
        assert statuses(spoken(address, sent)) == [401]


ODD = {
    "both lengths": head(**HERE, **CHUNKED, Content_Length="3") + b"0\r\n\r\n",
    "two lengths": EARLY[400],
    "a signed length": head(**HERE, Content_Length="+3") + b"abc",
    "a length of 30 digits": head(**HERE, Content_Length="9" * 30),
    "chunked twice": head(**HERE, Transfer_Encoding="chunked, chunked") + b"0\r\n\r\n",
    "a chunk of minus one": head(**HERE, **CHUNKED) + b"-1\r\n\r\n",
    "a chunk of 30 digits": head(**HERE, **CHUNKED) + b"f" * 30 + b"\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nA: b\r\n c\r\n\r\n",
    "a blank before the colon": b"GET /healthz HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
    "a NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nA: \0\r\n\r\n",
    "a NUL in the path": head("/healthz%00", "GET", **HERE, Connection="close"),
    "a path that is no UTF-8": head("/v1/documents/%ff%fe", "GET", **HERE, Connection="close"),
    "bytes in the path": b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    "TRACE": head("/healthz", "TRACE", **HERE, Connection="close"),
    "OPTIONS *": head("*", "OPTIONS", **HERE, Connection="close"),
    "CONNECT": head("evil.example:443", "CONNECT", **HERE),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100),
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/9.9": b"GET /healthz HTTP/9.9\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "another host": head("http://evil.example/healthz", "GET", Host="evil.example", Connection="close"),
    "no host": head("/healthz", "GET", Connection="close"),
    "a websocket": head("/healthz", "GET", **HERE, Connection="Upgrade", Upgrade="websocket",
    Sec_WebSocket_Version="13"),
    "an upgrade with a body": head(**HERE, Connection="Upgrade", Upgrade="h2c",
    Content_Length="26") + head("/", "GET"),
    "requests without end": head("/v1/nothing", "GET", **HERE) * 2000,
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_requests_get_an_error_or_a_close(name: str) -> None:
    with running(FakeReader()) as address:
        found = statuses(spoken(address, ODD[name]))
        assert all(400 <= status < 500 for status in found) and len(found) <= 20
        assert found or name == "HTTP/0.9"
        assert healthy(address)


def test_unusual_requests_that_are_fine() -> None:
    with running(FakeReader()) as address:
        for sent in (
            head("http://127.0.0.1/healthz", "GET", **HERE, Connection="close"),
            head("/healthz", "GET", **HERE, Range="bytes=0-1", Connection="close"),
            b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
        ):
            assert statuses(spoken(address, sent)) == [200]
        with connected(address) as line:
            line.sendall(head(**HERE, Content_Length="3", Expect="100-continue", Connection="close"))
            assert line.recv(100).startswith(b"HTTP/1.1 100 ")
            line.sendall(b"abc")
            assert statuses(rest(line)) == [422]


# -- connections ---------------------------------------------------------------------------------------------


def test_a_new_connection_takes_an_idle_ones_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "most_connections", 20)
    with running(FakeReader()) as address:
        where = urlsplit(address)
        idle = [socket.create_connection((where.hostname, where.port), timeout=PATIENCE) for _ in range(100)]
        assert all(healthy(address) for _ in range(30))
        closed = 0
        for line in idle:
            line.setblocking(False)
            try:
                closed += line.recv(1) == b""
            except BlockingIOError:
                pass
            except ConnectionError:
                closed += 1
            line.close()
        assert closed >= 80


def test_who_does_not_take_the_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 64 * 2**20

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]}
            )
            await send({"type": "http.response.body", "body": bytes(size)})

    monkeypatch.setattr("tests.services.create_service", lambda *_, **__: app)
    cut = threading.Event()

    class Impatient(transport.BoundedTransport):
        stall_seconds = 1.0

        def abort(self) -> None:
            super().abort()
            cut.set()

    monkeypatch.setattr(BoundedProtocol, "transport_class", Impatient)
    with running(FakeReader()) as address:
        for wish in ("keep-alive", "close"):
            cut.clear()
            with connected(address) as line:
                line.sendall(head("/", "GET", Connection=wish))
                assert line.recv(10) and cut.wait(PATIENCE)
                assert len(rest(line)) < size
            cut.clear()
            with connected(address) as line:
                line.sendall(head("/", "GET", Connection=wish))
                got = 0
                while got < size:
                    got += len(line.recv(2**20))
                assert not cut.is_set()
