"""The review page's guards and its API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from layoutllm_tool.batch.store import Store
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.review_app.app import cookie_name
from layoutllm_tool.testing import FakeReader
from tests.review_page import EVIL, KEY, LINES, TOKEN, doubtful_batch
from tests.services import in_process, with_state


@pytest.fixture
def batch(tmp_path: Path) -> tuple[Path, FakeReader]:
    return doubtful_batch(tmp_path)


@pytest.fixture
async def client(batch: tuple[Path, FakeReader]) -> AsyncIterator[httpx.AsyncClient]:
    from layoutllm_tool.review_app.app import create_app

    options: Any = {"cookies": {cookie_name(TOKEN): TOKEN}, "headers": {"origin": "http://127.0.0.1"}}
    async with in_process(create_app(*batch, token=TOKEN), **options) as client:
        yield client


async def test_a_field_is_shown_and_corrected(client: httpx.AsyncClient) -> None:
    (field,) = (await client.get("/api/fields", params={"waiting": True})).json()["fields"]
    assert field["name"] == "total" and (await client.get("/api/documents")).json()["total"] == 1
    path = f"/api/documents/{KEY}/fields/total"
    assert len((await client.get(path)).json()["attempts"]) == 1
    page = (await client.get(f"/api/documents/{KEY}/pages/1")).json()
    assert [line["text"] for line in page["lines"]] == LINES
    picture = await client.get(f"/api/documents/{KEY}/pages/1.webp")
    assert picture.headers["content-type"] == "image/webp" and picture.content[8:12] == b"WEBP"
    boxes = [page["lines"][2]["box"]]
    reply = await client.post(path, json={"correction": {"step": "area", "page": 1, "boxes": boxes}})
    assert reply.status_code == 200, reply.text
    assert {f["name"]: f["answer"] for f in reply.json()["fields"]}["total"] == "12.50"
    assert (await client.get("/api/fields", params={"waiting": True})).json()["total"] == 0


async def test_what_is_queued_stands_in_the_list_until_it_is_reviewed(
    client: httpx.AsyncClient, batch: tuple[Path, FakeReader]
) -> None:
    async def names() -> list[str]:
        fields = (await client.get("/api/fields", params={"waiting": True})).json()["fields"]
        return [field["name"] for field in fields]

    with Store.open(batch[0]) as store:
        assert await names() == ["total"] and store.queue([KEY]) == 2
    assert await names() == ["total", "date"]
    reply = await client.post(f"/api/documents/{KEY}/fields/total", json={"answer": "12.50"})
    assert {field["name"]: field["waiting"] for field in reply.json()["fields"]} == {
        "total": False,
        "date": True,
    }
    assert await names() == ["date"]
    await client.post(f"/api/documents/{KEY}/fields/date", json={"accept": True})
    assert await names() == []


async def test_what_is_refused(client: httpx.AsyncClient) -> None:
    path = f"/api/documents/{KEY}/fields/total"
    answers = {
        403: [
            await client.get("/api/fields", headers={"host": "evil.example"}),
            await client.post(path, json={"accept": True}, headers={"origin": "http://evil.example"}),
            await client.get("/api/fields", params={"token": "wrong"}),
            await client.post(path, json={"accept": True}, headers={"origin": "http://["}),
        ],
        413: [await client.post(path, json={"answer": "x" * 70_000})],
        422: [
            await client.post(f"/api/documents/{KEY}/plan", json={"plan": {"questions": []}}),
            await client.post(path, json={"accept": True, "absent": True}), await client.post(path,
        json={}),
            await client.get("/api/fields", params={"offset": -1}), await client.post(path, content=b"{"),
            await client.post(path, json=[]),
        ],
        400: [
            await client.post(path, json={"correction": {"step": "area"}}),
            await client.get(f"/api/documents/{KEY}/pages/9"),
            await client.get("/api/documents/none/pages/1"),
            await client.post(path, json={"correction": {"step": "area", "page": 1, "boxes": [[9, 9, 1,
            1]]}}),
        ],
        404: [await client.get("/api/documents/none/fields/total"),
            await client.get("/api/documents/none/plan"), await client.get("/static/view.py")],
    }  # fmt: skip
    assert [[reply.status_code for reply in replies] for replies in answers.values()] == [
        [status] * len(replies) for status, replies in answers.items()
    ]
    assert all(reply.json()["message"] for replies in answers.values() for reply in replies)
    assert all(
        "default-src 'none'" in reply.headers["content-security-policy"]
        for rs in answers.values()
        for reply in rs
    )
    assert (await client.get("/api/fields", params={"waiting": True})).json()["total"] == 1


async def test_fields_are_found(client: httpx.AsyncClient) -> None:
    async def names(**wanted: Any) -> list[str]:
        found = (await client.get("/api/fields", params=wanted)).json()
        assert found["total"] >= len(found["fields"])
        return [field["name"] for field in found["fields"]]

    assert await names() == ["total", "date"]  # what waits first
    assert await names(waiting=False) == ["date"] and await names(verdict="satisfied") == ["date"]
    assert await names(text="2 MAY") == ["date"] and await names(text=EVIL[:8].upper()) == ["total", "date"]
    assert (
        await names(text="nowhere") == []
        and await names(least=0.5) == ["date"]
        and await names(most=0.3) == ["total"]
    )
    assert await names(limit=1) == ["total"] and await names(limit=1, offset=1) == ["date"]


async def test_a_cookie_of_somebody_else_does_no_harm(client: httpx.AsyncClient) -> None:
    client.cookies.clear()
    headers = {"cookie": f"a/b=1; {cookie_name(TOKEN)}={TOKEN}"}
    assert (await client.get("/api/fields", headers=headers)).status_code == 200
    assert (await client.get("/api/fields", headers={"cookie": "a/b=1"})).status_code == 403


async def test_two_runs_on_one_machine_keep_their_cookies_apart(batch: tuple[Path, FakeReader]) -> None:
    from layoutllm_tool.review_app.app import create_app

    addresses = {port: f"http://127.0.0.1:{port}" for port in ("8450", "8451")}
    async with AsyncExitStack() as stack:
        ways = {}
        for port, address in addresses.items():
            app = create_app(*batch, token=port)
            state = await stack.enter_async_context(app.router.lifespan_context(app))
            ways[address] = httpx.ASGITransport(with_state(app, state))
        browser = await stack.enter_async_context(httpx.AsyncClient(mounts=ways))
        for port, address in addresses.items():
            assert (await browser.get(address, params={"token": port})).status_code == 200
        assert [(await browser.get(f"{address}/api/fields")).status_code for address in ways] == [200, 200]
        browser.cookies.clear()
        assert [(await browser.get(f"{address}/api/fields")).status_code for address in ways] == [403, 403]


def test_an_export_that_can_not_be_written_is_told(batch: tuple[Path, FakeReader], tmp_path: Path) -> None:
    from layoutllm_tool.review_app.export import export

    with pytest.raises(LayoutLLMError, match="can't be written"):
        export(batch[0], tmp_path / "none" / "run.html")
