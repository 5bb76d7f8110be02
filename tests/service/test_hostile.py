"""Hostile uploads under way: honest callers are answered meanwhile, and what nobody waits for is let go."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from layoutllm_tool.documents import Limits
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.service.queries import QueryService, ServiceLimits
from layoutllm_tool.testing import FakeOCR, FakeReader
from tests.pdfs import make_pdf, text
from tests.service.test_requests import INVOICE, png
from tests.services import running

PATIENCE = 120.0


def nested_forms(wide: int = 10, deep: int = 14) -> bytes:
    """A PDF of 5 kB that takes ``wide ** deep`` steps to draw: each form draws the next one ``wide``
    times.
    """

    def form(content: str, resources: str = "") -> bytes:
        entries = f"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << {resources} >>"
        return f"<< /Length {len(content)} {entries} >>\nstream\n{content}\nendstream".encode()

    forms = [form("/F Do " * wide, f"/XObject << /F {101 + level} 0 R >>") for level in range(deep)]
    return make_pdf("/Im Do", extra=[*forms, form("0 0 m 1 1 l S")])


def honest_pdf(n: int) -> bytes:
    return make_pdf(text("Total:", 72, 700) + text(f"{n}.50", 300, 700))


class Blocking(FakeReader):
    """Reads pages of the hostile width for as long as it is told to."""

    WIDTH = 61

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.go_on, self.begun = threading.Event(), 0

    def load(self, source: Any, **options: Any) -> Document:
        if source.pages[0].width == self.WIDTH:
            self.begun += 1
            assert self.go_on.wait(PATIENCE)
        return super().load(source, **options)


@pytest.fixture
def blocking() -> Iterator[Blocking]:
    reader = Blocking(ocr=FakeOCR(INVOICE))
    yield reader
    reader.go_on.set()


async def _answered(http: httpx.AsyncClient, n: int) -> str:
    """An honest caller's upload and question."""
    reply = await http.post("/v1/documents", content=honest_pdf(n))
    assert reply.status_code == 201, reply.text
    asked = await http.post(
        "/v1/ask", json={"document": reply.json()["id"], "question": "What is the total?"}
    )
    assert asked.status_code == 200, asked.text
    return str(asked.json()["cot"]["answer"])


async def _honest_beside(
    address: str, hostile: list[bytes], after: Callable[[], None] | None = None
) -> list[int]:
    """Three honest callers are answered while the hostile uploads are under way; what those came to,
    ``after`` that.
    """
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=PATIENCE) as http:
        tasks = [asyncio.create_task(http.post("/v1/documents", content=body)) for body in hostile]
        while (await http.get("/readyz")).json()["served"] < len(hostile):
            await asyncio.sleep(0.01)
        assert await asyncio.gather(*(_answered(http, n) for n in range(3))) == ["0.50", "1.50", "2.50"]
        if after is not None:
            assert not any(task.done() for task in tasks)
            after()
        return [reply.status_code for reply in await asyncio.gather(*tasks)]


def test_honest_uploads_are_answered_beside_two_that_are_read_for_ever(blocking: Blocking) -> None:
    with running(blocking, limits=ServiceLimits(seconds=60)) as address:
        hostile = [png(Blocking.WIDTH, height) for height in (40, 41)]
        assert (
            asyncio.run(_honest_beside(address, hostile, blocking.go_on.set)) == [201, 201]
            and blocking.begun == 2
        )


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("layoutllm_tool.documents.parser_process") is None,
    reason="files are parsed in this process",
)
def test_honest_uploads_are_answered_beside_two_that_are_parsed_for_ever() -> None:
    limits = ServiceLimits(documents=Limits(max_bytes=2**20, page_seconds=20.0))
    with running(FakeReader(ocr=FakeOCR(INVOICE)), limits=limits) as address:
        found = asyncio.run(_honest_beside(address, [nested_forms(), nested_forms(11)]))
    assert set(found) <= {413, 422, 504}


async def test_what_nobody_waits_for_is_not_opened(blocking: Blocking) -> None:
    queries = QueryService(blocking, ServiceLimits(opening=2))
    tasks = [asyncio.create_task(queries.take(png(Blocking.WIDTH, 40 + n), "file")) for n in range(8)]
    while blocking.begun < 2:
        await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert queries.served == 0 and len(queries._opening) == 2
    again = asyncio.create_task(queries.take(png(Blocking.WIDTH, 47), "file"))
    await asyncio.sleep(0)
    blocking.go_on.set()
    assert (await again).pages[0].height == 47
    assert blocking.begun == 3 and len(queries.documents) == 3  # what was begun is kept for their next try
    queries.close()
