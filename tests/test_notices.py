"""How a page was read, and the place on the file's own page, at every door: of a photo that was turned."""

import asyncio
import base64
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from PIL import Image

from layoutllm_graphs import ExtractDocumentTool
from layoutllm_graphs.batch.runner import Batch, here, reader_identity
from layoutllm_graphs.batch.worker import Settings
from layoutllm_graphs.context import Context
from layoutllm_graphs.workflow import make_graph
from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.tables import write_tables
from layoutllm_tool.cli import main
from layoutllm_tool.documents.geometry import Document, Notice, Page
from layoutllm_tool.documents.original import Original
from layoutllm_tool.service import schemas
from layoutllm_tool.service.queries import QueryService, ServiceLimits
from layoutllm_tool.testing import FakeReader, page_from_text
from layoutllm_tool.tool import LayoutLLMTool

QUESTION = "What is the total?"
NOTICE = {"page": 1, "code": "turned", "text": "The page was turned by 90 degrees."}


class Turning(FakeReader):
    """Finds every picture lying on its side: 130 x 40 pixels upright, 40 x 130 as sent."""

    def load(self, source: Any, *, words: Any = None) -> Document:
        document = super().load(source, words=words)
        read = page_from_text("Total:  12.50")
        notice = Notice("turned", NOTICE["text"])  # type: ignore[arg-type]
        page = Page(
            1, read.width, read.height, read.lines, text_source="fake", notices=(notice,),
            original=Original(read.height, read.width, turn=90),
        )  # fmt: skip
        return Document(document.name, document.sha256, (page,))


def checked(original: Any) -> None:
    """The value stands right of its key: below it, on the page as sent, from the left edge to the right."""
    assert original["page_size"] == [20, 130] and original["box"] == [0, 0, 1000, 385]
    assert len(original["quad"]) == 4 and original["area"] == [0, 0, 1000, 1000]
    a, b, c, d, e, f = original["transform"]
    assert (a, b, c, d, e, f) == (0, 1, 0, -1, 0, 1000)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (40, 130), 255).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "photo.png").write_bytes(png())
    return tmp_path / "photo.png"


def test_on_the_command_line(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(photo), QUESTION, "--json"], reader=Turning()) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["notices"] == [NOTICE]
    checked(found["original"])


def test_in_the_tool(photo: Path) -> None:
    tool = LayoutLLMTool(reader=Turning())
    args = {"document": photo.read_bytes(), "question": QUESTION}
    message = tool.invoke({"name": tool.name, "args": args, "id": "1", "type": "tool_call"})
    assert isinstance(message, ToolMessage)
    assert message.artifact["notices"] == [NOTICE]
    assert f"Note: page 1: {NOTICE['text']}" in str(message.content).split("\n")
    checked(message.artifact["original"])


def test_in_a_record(photo: Path) -> None:
    tool = ExtractDocumentTool(
        {"type": "object", "properties": {"total": {"type": "number"}}}, reader=Turning()
    )
    args = {"document": photo.read_bytes()}
    message = tool.invoke({"name": tool.name, "args": args, "id": "1", "type": "tool_call"})
    assert message.artifact["notices"] == [NOTICE] and NOTICE["text"] in message.content
    assert message.artifact["pages"] == [
        {"page": 1, "page_size": [20, 130], "transform": [0, 1, 0, -1, 0, 1000]}
    ]


def test_in_the_workflow(photo: Path) -> None:
    context = Context(tool=LayoutLLMTool(reader=Turning()), second_opinion=False)
    request: Any = {"document": photo.read_bytes(), "task": QUESTION}
    outcome = make_graph().invoke(request, context=context)
    assert outcome["notices"] == [NOTICE]
    checked(outcome["answers"][0]["original"])


async def test_over_http() -> None:
    queries = QueryService(Turning(), ServiceLimits())
    asked = schemas.AskIn(data=base64.b64encode(png()).decode(), question=QUESTION)
    found = await asyncio.wait_for(queries.ask(asked), 30)
    queries.close()
    assert found["notices"] == [NOTICE]
    checked(found["original"])


def test_in_a_batch(photo: Path, tmp_path: Path) -> None:
    reader = Turning()
    settings = Settings.of(QUESTION, model=reader_identity(reader), second_opinion=False)
    inputs: Iterable[Any] = batch_inputs(str(photo))
    with Batch(inputs, tmp_path / "out", settings) as batch:
        batch.run(here(reader, settings))
        write_tables(batch.store, tmp_path / "out")
    document, field = (
        json.loads((tmp_path / "out" / f"{name}.jsonl").read_text()) for name in ("documents", "fields")
    )
    assert document["notices"] == [NOTICE]
    assert field["original_box"] == [0, 0, 1000, 385] and field["original_transform"][1] == 1
    if parquet := pytest.importorskip("pyarrow.parquet"):
        rows = parquet.read_table(tmp_path / "out" / "documents.parquet").to_pylist()
        assert rows[0]["notices"] == [NOTICE]
