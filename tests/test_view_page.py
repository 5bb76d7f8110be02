"""The review page: its guards, its API, and the page itself in Chromium."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw

from graphs.planner import plan_task
from graphs.runs import carry_out, checkpoints
from graphs.state import Context, Request
from graphs.workflow import build_workflow
from layoutllm_tool.batch.store import Done, Field, Input, Store
from layoutllm_tool.cot import AnswerFormation, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents import Access, load_document
from layoutllm_tool.documents.geometry import Box, Word
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.testing import FakeOCR, FakeReader
from layoutllm_tool.tool import LayoutLLMTool
from layoutllm_tool.web.view import cookie_name

KEY, TOKEN = "a" * 32, "secret"
EVIL = "<img src=x onerror=window.bad=1>"
LINES = ["ACME Ltd", "Date: 2 May 2024", "Total: 12.50", f"Note: {EVIL}"]
CHROMIUM = Path("/usr/bin/chromium")


def words(_: Any) -> list[Word]:
    return [
        Word(text, Box(100 + 130 * i, 100 + 100 * row, 220 + 130 * i, 140 + 100 * row), 1.0)
        for row, line in enumerate(LINES)
        for i, text in enumerate(line.split())
    ]


@pytest.fixture
def batch(tmp_path: Path) -> tuple[Path, FakeReader]:
    """One drawn page, whose total is doubtful."""
    file = tmp_path / f"{EVIL.replace('/', '')}.png"
    image = Image.new("RGB", (700, 900), "white")
    for row, line in enumerate(LINES):
        ImageDraw.Draw(image).text((70, 90 + 90 * row), line, fill="black", font_size=26)
    image.save(file)
    folder, plan = tmp_path / "out", plan_task(["total", "date"]).plan.model_dump(mode="json")
    text = next(q["text"] for q in plan["questions"] if q["name"] == "total")
    analysis = QuestionAnalysis("key-value", "extraction", "Total")
    wrong = LayoutCoT(text, analysis, (), AnswerFormation("right of", "x"), EVIL + " 99", 0.2)
    reader = FakeReader({text: wrong}, ocr=FakeOCR(words))
    document = load_document(file, access=Access.anywhere())
    with Store.open(folder, {"plan": plan, "rounds": 1}) as store, checkpoints(folder / "runs.sqlite") as saver:
        graph = build_workflow().compile(checkpointer=saver)
        tool = LayoutLLMTool(reader=reader, documents={str(file): document})
        context = Context(tool=tool, rounds=1, second_look=False, review=True)
        outcome = carry_out(graph, Request(document=str(file), task=plan), thread=KEY, context=context)
        waiting = {i.value["name"] for i in graph.get_state({"configurable": {"thread_id": KEY}}).interrupts}
        store.enter([Input(0, str(file), None, KEY)])
        fields = [Field(KEY, i, a["name"], dict(a), a["name"] in waiting) for i, a in enumerate(outcome["answers"])]
        store.put(Done(KEY, "done", "failed", sha256=document.sha256, pages=1), fields)
    reader.answers.clear()
    return folder, reader


@pytest.fixture
async def client(batch: tuple[Path, FakeReader]) -> AsyncIterator[httpx.AsyncClient]:
    from layoutllm_tool.web.view import create_app

    app = create_app(*batch, token=TOKEN)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1", cookies={cookie_name(TOKEN): TOKEN},
            headers={"origin": "http://127.0.0.1"},
        ) as client,
    ):  # fmt: skip
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
    assert {field["name"]: field["waiting"] for field in reply.json()["fields"]} == {"total": False, "date": True}
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
        422: [await client.post(path, json={"accept": True, "absent": True}), await client.post(path, json={}),
            await client.get("/api/fields", params={"offset": -1}), await client.post(path, content=b"{"),
            await client.post(path, json=[]),
        ],
        400: [
            await client.get(f"/api/documents/{KEY}/pages/9"), await client.get("/api/documents/none/pages/1"),
            await client.post(path, json={"correction": {"step": "area", "page": 1, "boxes": [[9, 9, 1, 1]]}}),
        ],
        404: [await client.get("/api/documents/none/fields/total"), await client.get("/static/view.py")],
    }  # fmt: skip
    assert [[reply.status_code for reply in replies] for replies in answers.values()] == [
        [status] * len(replies) for status, replies in answers.items()
    ]
    assert all(reply.json()["message"] for replies in answers.values() for reply in replies)
    assert all(
        "default-src 'none'" in reply.headers["content-security-policy"] for rs in answers.values() for reply in rs
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
        await names(text="nowhere") == [] and await names(least=0.5) == ["date"] and await names(most=0.3) == ["total"]
    )
    assert await names(limit=1) == ["total"] and await names(limit=1, offset=1) == ["date"]


async def test_a_cookie_of_somebody_else_does_no_harm(client: httpx.AsyncClient) -> None:
    client.cookies.clear()
    headers = {"cookie": f"a/b=1; {cookie_name(TOKEN)}={TOKEN}"}
    assert (await client.get("/api/fields", headers=headers)).status_code == 200
    assert (await client.get("/api/fields", headers={"cookie": "a/b=1"})).status_code == 403


async def test_two_runs_on_one_machine_keep_their_cookies_apart(batch: tuple[Path, FakeReader]) -> None:
    from layoutllm_tool.web.view import create_app

    apps = {f"http://127.0.0.1:{port}": create_app(*batch, token=str(port)) for port in (8450, 8451)}
    first, second = apps.values()
    ways = {address: httpx.ASGITransport(app=app) for address, app in apps.items()}
    async with (
        first.router.lifespan_context(first), second.router.lifespan_context(second),
        httpx.AsyncClient(mounts=ways) as browser,
    ):  # fmt: skip
        for address, app in apps.items():
            assert (await browser.get(address, params={"token": app.state.token})).status_code == 200
        assert [(await browser.get(f"{address}/api/fields")).status_code for address in apps] == [200, 200]
        browser.cookies.clear()
        assert [(await browser.get(f"{address}/api/fields")).status_code for address in apps] == [403, 403]


def test_an_export_that_can_not_be_written_is_told(batch: tuple[Path, FakeReader], tmp_path: Path) -> None:
    from layoutllm_tool.web.export import export

    with pytest.raises(LayoutLLMError, match="can't be written"):
        export(batch[0], tmp_path / "none" / "run.html")


@pytest.fixture
def address(batch: tuple[Path, FakeReader]) -> Iterator[str]:
    import uvicorn

    from layoutllm_tool.web.view import create_app

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(*batch, token=TOKEN), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/?token={TOKEN}"
    server.should_exit = True
    thread.join(20)
    listening.close()


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")
@pytest.mark.timeout(120)
def test_in_a_browser_another_box_gives_the_right_answer(address: str, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(address)
        expect = sync_api.expect
        expect(page.locator("#answer")).to_have_text(EVIL + " 99")
        expect(page.locator(".line")).to_have_count(len(LINES))
        page.screenshot(path=str(tmp_path / "doubtful.png"))
        page.keyboard.press("b")
        sheet = page.locator("#marks").bounding_box()
        assert sheet
        at = [
            (sheet["x"] + x * sheet["width"], sheet["y"] + y * sheet["height"]) for x, y in ((0.08, 0.29), (0.6, 0.35))
        ]
        page.mouse.move(*at[0])
        page.mouse.down()
        page.mouse.move(*at[1], steps=4)
        page.mouse.up()
        expect(page.locator(".drawn")).to_have_count(1)
        page.keyboard.press("Enter")
        expect(page.locator("#status")).to_have_text("total: 12.50")
        page.keyboard.press("2")
        expect(page.locator("#fields li")).to_have_count(2)
        page.keyboard.press("u")
        expect(page.locator("#answer")).to_have_text("12.50")
        expect(page.locator("rect.answer")).to_have_count(1)
        page.screenshot(path=str(tmp_path / "corrected.png"))
        assert page.evaluate("window.bad") is None and "token" not in page.url
        browser.close()


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")
@pytest.mark.timeout(120)
def test_the_next_key_never_hits_the_field_just_reviewed(address: str, batch: tuple[Path, FakeReader]) -> None:
    """A reviewed field is sorted anew, as sure: what was at its place is another field."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page, expect = browser.new_page(), sync_api.expect
        page.goto(address)
        page.keyboard.press("2")
        expect(page.locator("#fields li b")).to_have_text(["total", "date"])
        expect(page.locator("body")).to_have_attribute("aria-busy", "false")
        expect(page.locator("#answer")).to_have_text(EVIL + " 99")
        page.keyboard.press("e")
        page.locator("#written").fill("77.00")
        page.keyboard.press("Enter")
        expect(page.locator("#status")).to_have_text("total: 77.00")
        expect(page.locator("#answer")).to_have_text("2 May 2024")
        page.keyboard.press("x")
        expect(page.locator("#status")).to_have_text("date: not in the document")
        expect(page.locator("#question")).to_have_text("Nothing left here.")
        page.keyboard.press("x")  # nothing is open: nothing happens
        page.wait_for_timeout(300)
        browser.close()
    with Store.open(batch[0]) as store:
        assert [(one.name, one.after["answer"]) for one in store.reviews()] == [("total", "77.00"), ("date", None)]


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")
@pytest.mark.timeout(120)
def test_a_long_list_comes_in_parts(address: str, batch: tuple[Path, FakeReader]) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with Store.open(batch[0]) as store:
        whole, done = store.fields(KEY), store.document(KEY)
        assert done is not None
        many = [replace(whole[1], name=f"date {n:03}", position=n + 2, waiting=False) for n in range(230)]
        store.put(done, [*whole, *many])
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page, expect = browser.new_page(), sync_api.expect
        page.goto(address)
        page.keyboard.press("2")
        expect(page.locator("#count")).to_have_text("232 fields")
        expect(page.locator("#more")).to_have_text("32 more")
        page.locator("#field-199").click()
        expect(page.locator("body")).to_have_attribute("aria-busy", "false")
        page.keyboard.press("j")
        expect(page.locator("#fields li")).to_have_count(232)
        expect(page.locator("#field-200")).to_have_attribute("aria-selected", "true")
        browser.close()


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")
@pytest.mark.timeout(120)
def test_the_exported_file_shows_the_same_without_a_server(batch: tuple[Path, FakeReader], tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    import argparse

    from layoutllm_tool.commands import view

    parser, file = argparse.ArgumentParser(), tmp_path / "run.html"
    view.add_to(parser.add_subparsers())
    options = parser.parse_args(["view", str(batch[0]), "--export", str(file)])
    assert options.run(options, None) == 0
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(file.as_uri())
        sync_api.expect(page.locator("#fields li")).to_have_count(2)
        page.keyboard.press("1")
        sync_api.expect(page.locator("#answer")).to_have_text(EVIL + " 99")
        assert page.evaluate("document.getElementById('picture').naturalWidth") > 100
        assert page.evaluate("window.bad") is None
        page.keyboard.press("a")
        sync_api.expect(page.locator("#status")).to_contain_text("copy to read")
        browser.close()
