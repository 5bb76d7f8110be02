"""The MCP server with the protocol's own client: in memory with a FakeReader, and once over stdio as a
client starts it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.shared.memory import create_connected_server_and_client_session as connected
from PIL import Image

from layoutllm_graphs.extract_tool import ExtractDocumentArgs, ExtractDocumentTool
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.errors import DocumentNotAllowed, OCRNotInstalled
from layoutllm_tool.mcp_server import create_server
from layoutllm_tool.testing import FakeOCR, FakeReader
from layoutllm_tool.tool import AskDocumentArgs, LayoutLLMTool

INVOICE = "Invoice no:   4711\nTotal:        12.50\n\nTotal:        99.00"
START = (
    "import argparse, sys; from layoutllm_tool.commands import mcp; p = argparse.ArgumentParser();"
    "mcp.add_to(p.add_subparsers()); o = p.parse_args(); sys.exit(o.run(o, None))"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    Image.new("L", (60, 40), 255).save(tmp_path / "in" / "invoice.png")
    Image.new("L", (60, 40), 255).save(tmp_path / "outside.png")
    return tmp_path / "in"


def reader(answers: Any = None) -> FakeReader:
    return FakeReader(answers, ocr=FakeOCR(INVOICE))


def text_of(result: types.CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, types.TextContent)
    return block.text


async def test_the_schema_is_the_tools_own(folder: Path) -> None:
    async with connected(create_server(reader(), roots=[folder])) as client:
        (tool,) = (await client.list_tools()).tools
    assert tool.name == "ask_document" and tool.annotations and tool.annotations.readOnlyHint
    known = AskDocumentArgs.model_json_schema()["properties"]
    assert set(tool.inputSchema["properties"]) == set(known) - {"previous", "runtime"}
    assert tool.inputSchema["required"] == ["document", "question"]
    assert tool.inputSchema["properties"]["page"] == known["page"]


async def test_an_answer_as_text_for_the_model_and_as_data_for_programs(folder: Path) -> None:
    steps: list[tuple[float, str | None]] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        steps.append((progress, message))

    async with connected(create_server(reader(), roots=[folder])) as client:
        asked = {"document": "invoice.png", "question": "What is the total?"}
        result = await client.call_tool("ask_document", asked, progress_callback=tell)
        await asyncio.sleep(0.05)
    assert not result.isError and text_of(result).startswith('Answer: "12.50"')
    cot = LayoutCoT.from_json(result.structuredContent or {})
    assert (cot.answer, cot.page) == ("12.50", 1) and (result.structuredContent or {})["document"][
        "name"
    ] == "invoice.png"
    assert [number for number, _ in steps] == [1, 2, 3, 4]
    assert [str(message).split(":")[0] for _, message in steps] == [
        "page", "question_analysis", "relevant_area_concentration", "answer_formation",
    ]  # fmt: skip


async def test_a_correction_mends_the_last_attempt(folder: Path) -> None:
    async with connected(create_server(reader(), roots=[folder])) as client:
        asked: dict[str, Any] = {"document": "invoice.png", "question": "What is the total?"}
        first = await client.call_tool("ask_document", asked)
        box = (first.structuredContent or {})["areas"][0]["box"]
        mend = {"step": "area", "page": 1, "avoid": [box]}
        second = await client.call_tool("ask_document", asked | {"correction": mend})
    assert (second.structuredContent or {})["answer"] == "99.00"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"document": "nothing.png", "question": "Total?"}, "no file"),
        ({"document": "../outside.png", "question": "Total?"}, "outside the folders"),
        ({"document": "/etc/passwd", "question": "Total?"}, "outside the folders"),
        ({"document": "https://example.org/a.pdf", "question": "Total?"}, "URLs are turned off"),
        ({"document": "invoice.png", "question": " "}, "empty"),
        ({"document": "invoice.png", "question": "Total?", "page": 7}, "no page 7"),
        ({"document": "invoice.png"}, "question: Field required"),
        ({"document": "invoice.png", "question": "Total?", "colour": "red"}, "colour"),
        ({"document": "invoice.png", "question": "Total?", "runtime": {}}, "runtime"),
        ({"document": "invoice.png", "question": "Total?", "correction": {"step": "area"}}, "says nothing"),
    ],
)
async def test_what_the_model_can_mend_is_an_error_result(
    folder: Path, arguments: dict[str, Any], said: str
) -> None:
    async with connected(create_server(reader(), roots=[folder])) as client:
        result = await client.call_tool("ask_document", arguments)
        assert result.isError and said in text_of(result) and "Traceback" not in text_of(result)
        fine = await client.call_tool("ask_document", {"document": "invoice.png", "question": "Invoice no?"})
        assert not fine.isError


async def test_what_nobody_can_mend_here_is_told_too(folder: Path) -> None:
    broken = reader(
        {"Total?": OCRNotInstalled("no engine.", hint="Install one."), "Tax?": RuntimeError("secret")}
    )
    async with connected(create_server(broken, roots=[folder])) as client:
        known = await client.call_tool("ask_document", {"document": "invoice.png", "question": "Total?"})
        assert known.isError and text_of(known) == "no engine. Install one."
        bug = await client.call_tool("ask_document", {"document": "invoice.png", "question": "Tax?"})
        assert bug.isError and "secret" not in text_of(bug) and "log" in text_of(bug)
        other = await client.call_tool("delete_everything", {})
        assert other.isError and "ask_document" in text_of(other)


async def test_without_roots_the_clients_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    declared = [types.Root(uri=folder.as_uri())]  # type: ignore[arg-type]

    async def roots(context: Any) -> types.ListRootsResult | types.ErrorData:
        return types.ListRootsResult(roots=declared)

    async with connected(create_server(reader()), list_roots_callback=roots) as client:
        asked = {"document": "invoice.png", "question": "Total?"}
        assert not (await client.call_tool("ask_document", asked)).isError
        outside = await client.call_tool("ask_document", asked | {"document": "outside.png"})
        assert outside.isError
        declared[:] = []
        assert "allows no folder" in text_of(await client.call_tool("ask_document", asked))
        declared[:] = [types.Root(uri=folder.parent.as_uri())]  # type: ignore[arg-type]
        assert not (await client.call_tool("ask_document", asked | {"document": "outside.png"})).isError


async def test_given_roots_are_not_widened_by_a_client(folder: Path) -> None:
    async def everything(context: Any) -> types.ListRootsResult | types.ErrorData:
        return types.ListRootsResult(roots=[types.Root(uri="file:///")])  # type: ignore[arg-type]

    async with connected(create_server(reader(), roots=[folder]), list_roots_callback=everything) as client:
        asked = {"document": str(folder.parent / "outside.png"), "question": "Total?"}
        assert (await client.call_tool("ask_document", asked)).isError


async def test_many_calls_at_once_keep_apart(folder: Path) -> None:
    for n in range(16):
        Image.new("L", (60 + n, 40), 255).save(folder / f"{n}.png")
    own = FakeReader(ocr=FakeOCR(lambda image: FakeOCR(f"Total:   {image.width}.50").recognise(image)))
    async with connected(create_server(own, roots=[folder])) as client:
        calls = (
            client.call_tool("ask_document", {"document": f"{n}.png", "question": "Total?"})
            for n in range(16)
        )
        found = [(result.structuredContent or {})["answer"] for result in await asyncio.gather(*calls)]
    assert found == [f"{60 + n}.50" for n in range(16)]


def test_roots_are_folders(tmp_path: Path) -> None:
    with pytest.raises(DocumentNotAllowed):
        create_server(reader(), roots=[tmp_path / "nothing"])


async def test_over_stdio_as_a_client_starts_it(folder: Path) -> None:
    start = StdioServerParameters(command=sys.executable, args=["-c", START, "mcp", "--root", str(folder)])
    async with stdio_client(start) as (read, write), ClientSession(read, write) as client:
        begun = await client.initialize()
        assert begun.serverInfo.name == "layoutllm"
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names == ["ask_document", "extract_document"]
        result = await client.call_tool("ask_document", {"document": "nothing.png", "question": "Total?"})
        assert result.isError and "no file" in text_of(result)


async def test_what_is_printed_does_not_get_between_messages(folder: Path) -> None:
    code = (
        "import os, sys; from layoutllm_tool.testing import *; from layoutllm_tool.mcp_server import *\n"
        "class Loud(FakeReader):\n"
        "    def load(self, *a, **k):\n"
        "        print('loud'); os.system('echo louder'); os.write(1, b'loudest'); "
        "assert not sys.stdin.read()\n"
        "        return super().load(*a, **k)\n"
        "serve_stdio(create_server(Loud(ocr=FakeOCR('Total:   12.50'))))"
    )
    start = StdioServerParameters(command=sys.executable, args=["-c", code], cwd=folder)
    async with stdio_client(start) as (read, write), ClientSession(read, write) as client:
        await client.initialize()
        for _ in range(2):
            result = await client.call_tool("ask_document", {"document": "invoice.png", "question": "Total?"})
            assert (result.structuredContent or {})["answer"] == "12.50"


async def test_the_working_directory_must_not_be_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    async with connected(create_server(reader())) as client:
        result = await client.call_tool("ask_document", {"document": "etc/passwd", "question": "Total?"})
        assert result.isError and "--root" in text_of(result)


# -- records -----------------------------------------------------------------------------------------------

RECORD: dict[str, Any] = {
    "document": "invoice.png",
    "json_schema": {
        "type": "object", "required": ["total", "vendor"],
        "properties": {"total": {"type": "number"}, "vendor": {"type": "string"}},
    },
}  # fmt: skip


def extract(tool: LayoutLLMTool) -> ExtractDocumentTool:
    return ExtractDocumentTool(tool=tool)


async def test_a_record_as_text_for_the_model_and_as_data_for_programs(folder: Path) -> None:
    asked: list[str | None] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        asked.append(message)

    async with connected(create_server(reader(), roots=[folder], extract=extract)) as client:
        _, tool = (await client.list_tools()).tools
        known = ExtractDocumentArgs.model_json_schema()["properties"]
        assert set(tool.inputSchema["properties"]) == set(known) - {"runtime"}
        assert tool.outputSchema and set(tool.outputSchema["required"]) >= {"record", "fields"}
        result = await client.call_tool("extract_document", RECORD, progress_callback=tell)
        await asyncio.sleep(0.05)
    found = result.structuredContent or {}
    assert not result.isError and '{"total": 12.5, "vendor": null}' in text_of(result).splitlines()[0]
    assert found["record"] == {"total": 12.5, "vendor": None}
    assert found["fields"]["/total"]["text"] == "12.50" and found["document"]["name"] == "invoice.png"
    assert "question: What is the total?" in asked


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"document": "nothing.png"}, "no file"),
        ({"document": "../outside.png"}, "outside the folders"),
        ({"page": 7}, "no page 7"),
        ({"json_schema": {}}, "no JSON Schema of an object"),
        ({"json_schema": {"type": "object", "properties": {"a": {"type": "file"}}}}, "of type 'file'"),
        ({"json_schema": "total"}, "valid dictionary"),
        ({"json_schema": {"description": "\ud800"}}, "lone surrogate"),
        ({"colour": "red"}, "colour"),
        ({"runtime": {}}, "runtime"),
    ],
)
async def test_of_a_record_too_what_the_model_can_mend_is_an_error_result(
    folder: Path, arguments: dict[str, Any], said: str
) -> None:
    async with connected(create_server(reader(), roots=[folder], extract=extract)) as client:
        result = await client.call_tool("extract_document", RECORD | arguments)
        assert result.isError and said in text_of(result) and text_of(result).isprintable()
        assert not (await client.call_tool("extract_document", RECORD)).isError


async def test_records_too_are_of_documents_under_the_clients_roots(folder: Path) -> None:
    async def roots(context: Any) -> types.ListRootsResult | types.ErrorData:
        return types.ListRootsResult(roots=[types.Root(uri=folder.as_uri())])  # type: ignore[arg-type]

    async with connected(create_server(reader(), extract=extract), list_roots_callback=roots) as client:
        assert not (await client.call_tool("extract_document", RECORD)).isError
        outside = RECORD | {"document": str(folder.parent / "outside.png")}
        assert (await client.call_tool("extract_document", outside)).isError


async def test_what_nobody_can_mend_of_a_record_is_told_too(folder: Path) -> None:
    broken = reader({"What is the total?": OCRNotInstalled("no engine.", hint="Install one.")})
    async with connected(create_server(broken, roots=[folder], extract=extract)) as client:
        result = await client.call_tool("extract_document", RECORD)
        assert result.isError and text_of(result) == "no engine. Install one."
    async with connected(create_server(reader(), roots=[folder])) as client:
        result = await client.call_tool("extract_document", RECORD)
        assert result.isError and text_of(result).endswith("Call ask_document.")
