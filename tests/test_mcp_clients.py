"""The MCP server with bad clients: odd roots, odd arguments, hanging up in the middle."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from mcp import types
from mcp.shared.memory import create_connected_server_and_client_session as connected
from PIL import Image

from layoutllm_tool.mcp_server import create_server
from layoutllm_tool.testing import FakeOCR, FakeReader
from tests.test_mcp import INVOICE, text_of

ASKED = {"document": "invoice.png", "question": "Total?"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    Image.new("L", (60, 40), 255).save(tmp_path / "in" / "invoice.png")
    return tmp_path / "in"


async def asked_with(roots: Any) -> types.CallToolResult:
    """What a call gives whose client answers with these roots, whatever they are."""

    async def list_roots(_: Any) -> Any:
        if isinstance(roots, types.ErrorData):
            return roots
        return types.ListRootsResult.model_construct(roots=roots)

    server = create_server(FakeReader(ocr=FakeOCR(INVOICE)))
    async with connected(server, list_roots_callback=cast(Any, list_roots)) as client:
        return await client.call_tool("ask_document", ASKED)


ODD = [
    "http://x/", "https://x/a", "file://host/etc", "file:", "file:relative", "relative", "../..", "", " ",
    "file:///%00", "file:///a%00b",
    "file:///" + "a" * 100_000, "file:///" + "a/" * 50_000, "file://[", "file:///nowhere/%2e%2e/nothing",
    "FILE://x", "javascript:1",
    "file:///\x1b[31m",
]  # fmt: skip


@pytest.mark.parametrize("uri", ODD)
async def test_a_root_that_is_none_is_told_in_a_line(uri: str, folder: Path) -> None:
    bad = types.Root.model_construct(uri=cast(Any, uri))
    result = await asked_with([bad])
    assert result.isError and "folder" in text_of(result) and text_of(result).isprintable()
    good = types.Root.model_construct(uri=cast(Any, folder.as_uri()))
    assert not (await asked_with([bad, good])).isError


@pytest.mark.parametrize(
    "roots",
    [None, "file:///", 5, [None], [5], ["file:///"], [{"name": "a"}], [{"uri": 5}], types.ErrorData(code=1,
    message="no")],
)  # fmt: skip
async def test_roots_that_are_none_are_told_in_a_line(roots: Any) -> None:
    result = await asked_with(roots)
    assert result.isError and "--root" in text_of(result) and text_of(result).isprintable()


async def test_a_root_is_what_it_leads_to(folder: Path) -> None:
    for uri in (f"{folder.as_uri()}/%2e%2e/in", f"{folder.parent.as_uri()}/loop"):
        result = await asked_with([types.Root.model_construct(uri=cast(Any, uri))])
        assert result.isError is uri.endswith("loop")


@pytest.mark.parametrize(
    "arguments",
    [
        {"question": "\ud800"}, {"document": "\ud800.png"}, {"document": "\0"}, {"document": "a" * 100_000},
        {"page": 10**30}, {"page": 1.5}, {"page": -1}, {"page": "one"}, {"page": [1]}, {"document": 5},
        {"document": None},
        {"correction": {"step": "area", "page": 10**30, "boxes": [[0, 0, 1, 1]]}},
        {"correction": {"step": "area", "boxes": [[float("nan")] * 4]}}, {"correction": {"step": "area",
        "boxes": [[10**400] * 4]}},
        {"correction": {"step": "analysis", "text": "\ud800"}}, {"correction": {"step": "answer",
        "wrong": ["\udfff"]}},
        {"correction": 5}, {"\ud800": 1}, {"runtime": {}}, {"x": {"y": [[]]}},
    ],
)  # fmt: skip
async def test_odd_arguments_are_told_in_text_that_can_be_sent(
    folder: Path, arguments: dict[str, Any]
) -> None:
    async with connected(create_server(FakeReader(ocr=FakeOCR(INVOICE)), roots=[folder])) as client:
        result = await client.call_tool("ask_document", ASKED | arguments)
        result.model_dump_json()
        assert (
            result.isError and "failed inside" not in text_of(result) and "Traceback" not in text_of(result)
        )
        assert not (await client.call_tool("ask_document", ASKED)).isError


SLOW = (
    "import asyncio, sys; from layoutllm_tool.testing import *; from layoutllm_tool.mcp_server import *\n"
    "class Slow(FakeReader):\n"
    "    async def aask(self, *a, **k):\n"
    "        sys.stderr.write('asked\\n'); sys.stderr.flush(); await asyncio.sleep(600)\n"
    "serve_stdio(create_server(Slow(ocr=FakeOCR('Total:   12.50'))))"
)


def line(method: str, number: int | None = None, **params: Any) -> bytes:
    said = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if number is None else {"id": number})
    return json.dumps(said).encode() + b"\n"


BEGIN = line(
    "initialize", 1, protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "a", "version": "1"}
) + line("notifications/initialized")


@pytest.mark.parametrize("how", ["input", "both"])
def test_a_client_that_hangs_up_in_the_middle_ends_the_server(folder: Path, how: str) -> None:
    call = line("tools/call", 2, name="ask_document", arguments=ASKED)
    with subprocess.Popen(
        [sys.executable, "-c", SLOW],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as server:
        assert server.stdin and server.stdout and server.stderr
        server.stdin.write(BEGIN + call)
        server.stdin.flush()
        assert server.stderr.readline() == b"asked\n"
        if how == "both":
            server.stdout.close()
        server.stdin.close()
        assert server.wait(60) == 0
        assert b"Traceback" not in server.stderr.read()


@pytest.mark.parametrize(
    "said",
    [b"nonsense\n", b"[" * 100_000 + b"\n", b"\xff\xfe\n", b"{}\n",
    b'{"jsonrpc": "2.0", "id": 5, "method": "\\ud800"}\n', b"\n" * 100,
    b'{"jsonrpc": "2.0", "id": 1e999, "method": "ping"}\n', line("tools/call", 3, name="ask_document",
    arguments=5), line("nothing", 4)],
)  # fmt: skip
async def test_messages_that_are_none_do_not_end_the_server(folder: Path, said: bytes) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SLOW,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert server.stdin and server.stdout
    server.stdin.write(BEGIN + said + line("tools/list", 9))
    while True:
        answer = json.loads(await asyncio.wait_for(server.stdout.readline(), 60))
        if answer.get("id") == 9:
            break
    assert answer["result"]["tools"][0]["name"] == "ask_document"
    server.stdin.close()
    assert await asyncio.wait_for(server.wait(), 60) == 0
