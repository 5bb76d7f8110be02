"""The service on a real socket: many callers at once, slow and endless senders, callers that hang up."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import threading
import time
from typing import Any

import httpx
import pytest

from layoutllm_tool.commands import serve
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import LayoutLLMError, ServiceError
from layoutllm_tool.remote import RemoteReader
from layoutllm_tool.service.queries import ServiceLimits
from layoutllm_tool.testing import FakeReader, document_from_text
from scripts.service_benchmark import measure, questions, show, started
from tests.service.test_clients import spoken
from tests.services import running

CALLERS = 64


def test_sixty_four_callers_each_get_their_own_answers() -> None:
    documents = [
        document_from_text(f"Invoice no:   A-{n:03}\nTotal:        {n}.50\nOwner:   P{n}")
        for n in range(CALLERS)
    ]
    with running(FakeReader()) as address, RemoteReader(address) as reader:

        async def call(n: int) -> list[str | None]:
            asked = ["What is the total?", "What is the invoice no?", "Who is the owner?"]
            return [(await reader.aask(documents[n], question)).answer for question in asked]

        async def all_of_them() -> list[list[str | None]]:
            try:
                return await asyncio.gather(*(call(n) for n in range(CALLERS)))
            finally:
                await reader.aclose()

        found = asyncio.run(all_of_them())
    assert found == [[f"{n}.50", f"A-{n:03}", f"P{n}"] for n in range(CALLERS)]


def test_as_many_threads_and_streams_too() -> None:
    documents = [document_from_text(f"Total:   {n}.25") for n in range(CALLERS)]
    steps: list[list[str]] = [[] for _ in range(CALLERS)]
    found: list[str | None] = [None] * CALLERS
    with running(FakeReader()) as address, RemoteReader(address) as reader:

        def call(n: int) -> None:
            told = steps[n]
            found[n] = reader.ask(
                documents[n], "Total?", on_progress=lambda event: told.append(event.event)
            ).answer

        threads = [threading.Thread(target=call, args=(n,)) for n in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert found == [f"{n}.25" for n in range(CALLERS)]
    assert {tuple(told) for told in steps} == {
        ("page", "question_analysis", "relevant_area_concentration", "answer_formation")
    }


def test_more_callers_than_places_come_again_until_they_are_served() -> None:
    class Slow(FakeReader):
        async def aask(self, *args: Any, **options: Any) -> LayoutCoT:
            await asyncio.sleep(0.05)
            return await super().aask(*args, **options)

    document = document_from_text("Total:   1.25")
    with (
        running(Slow(), limits=ServiceLimits(waiting=8)) as address,
        RemoteReader(address, retries=30) as reader,
    ):
        reader.ask(document, "Total?")

        async def all_of_them() -> list[LayoutCoT]:
            return await asyncio.gather(*(reader.aask(document, f"Total {n}?") for n in range(24)))

        assert [cot.answer for cot in asyncio.run(all_of_them())] == ["1.25"] * 24


def test_headers_that_drip_or_never_end_are_cut() -> None:
    with running(FakeReader(), header_seconds=0.5) as address:
        drip = [b"GET /healthz HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 4]
        begun = time.monotonic()
        assert b" 408 " in spoken(address, *drip, pause=0.1).split(b"\r\n")[0]
        assert time.monotonic() - begun < 2
        assert b" 408 " in spoken(address).split(b"\r\n")[0]  # says nothing at all
    with running(FakeReader()) as address:
        endless = [b"GET /healthz HTTP/1.1\r\nX-A: ", *[b"a" * 16384] * 4]
        assert b" 431 " in spoken(address, *endless, pause=0.02).split(b"\r\n")[0]
        assert b" 400 " in spoken(address, b"nonsense\r\n\r\n").split(b"\r\n")[0]
        assert httpx.get(f"{address}/healthz", trust_env=False).status_code == 200


def test_bodies_that_drip_are_cut_and_large_ones_refused() -> None:
    head = b"POST /v1/documents HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n"
    limits = ServiceLimits(upload_seconds=0.5, body_bytes=100_000)
    with running(FakeReader(), limits=limits) as address:
        assert b" 408 " in spoken(address, head, b"x", b"x").split(b"\r\n")[0]
        assert (
            httpx.post(f"{address}/v1/documents", content=b"x" * 100_001, trust_env=False).status_code == 413
        )
        chunks = httpx.post(
            f"{address}/v1/documents", content=(b"x" * 9999 for _ in range(50)), trust_env=False
        )
        assert chunks.status_code == 413 and chunks.json()["kind"] == "DocumentTooLarge"
        assert httpx.get(f"{address}/readyz", trust_env=False).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_who_hangs_up_is_dropped(stream: bool) -> None:
    begun, dropped = threading.Event(), threading.Event()

    class Waiting(FakeReader):
        async def aask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
            begun.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                dropped.set()
                raise
            raise AssertionError

    with running(Waiting()) as address, RemoteReader(address) as reader:

        async def give_up() -> None:
            tell = (lambda event: None) if stream else None
            task = asyncio.create_task(
                reader.aask(document_from_text("Total:   1.25"), "Total?", on_progress=tell)
            )
            await asyncio.to_thread(begun.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(dropped.wait, 10)

        asyncio.run(give_up())


SERVE = (
    "import argparse, sys; from layoutllm_tool.commands import serve; "
    "from layoutllm_tool.testing import FakeReader, FakeOCR;"
    "p = argparse.ArgumentParser(); serve.add_to(p.add_subparsers()); o = p.parse_args();"
    "sys.exit(o.run(o, FakeReader(ocr=FakeOCR('Total:   12.50'))))"
)


def test_the_command_serves_and_its_measurement_loses_nothing() -> None:
    with started([sys.executable, "-c", SERVE, "serve", "--port", "0"]) as address:
        found = measure(address, callers=16)
    assert (found.callers, found.lost, found.differing) == (16, 0, 0)
    assert found.to_json()["times"] > 0 and "16 callers at once" in show(found)


def test_sixty_four_different_questions_are_asked() -> None:
    asked = questions([document_from_text("a"), document_from_text("b")], CALLERS)
    assert len({(document.sha256, question) for document, question in asked}) == CALLERS


def test_a_service_that_does_not_start_is_told() -> None:
    with (
        pytest.raises(ServiceError, match="did not start"),
        started([sys.executable, "-c", "raise SystemExit(3)"]),
    ):
        pass


def test_strangers_need_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAYOUTLLM_TOKEN", raising=False)
    parser = argparse.ArgumentParser()
    serve.add_to(parser.add_subparsers())
    options = parser.parse_args(["serve", "--host", "0.0.0.0"])
    with pytest.raises(ServiceError, match="LAYOUTLLM_TOKEN") as caught:
        options.run(options, FakeReader())
    assert caught.value.caller_can_fix
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = parser.parse_args(["serve", "--port", str(taken.getsockname()[1])])
        with pytest.raises(LayoutLLMError, match="listened"):
            options.run(options, FakeReader())
