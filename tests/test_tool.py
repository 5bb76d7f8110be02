"""LayoutLLMTool by itself: the standard suites, artifacts, errors, files, concurrency."""

import asyncio
import copy
import json
import os
import pickle
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, ToolException
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from PIL import Image
from pydantic import BaseModel, ValidationError

from layoutllm_graphs.testing import call_tool
from layoutllm_tool.cot import EXPECTED_TYPES, KINDS, STEPS, Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.loading import parsed_document
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.errors import ModelError, OCRTimeout, WeightsNotFound
from layoutllm_tool.readers.caching import DocumentCache
from layoutllm_tool.testing import FakeOCR, FakeReader, document_from_text
from layoutllm_tool.tool import AskDocumentArgs, LayoutLLMTool

INVOICE = document_from_text("Invoice no:   4711\nTotal:        12.50", name="invoice.pdf")
ASK = {"document": "invoice.pdf", "question": "What is the total?"}


def make(**answers: Any) -> LayoutLLMTool:
    return LayoutLLMTool(reader=FakeReader(answers), documents={"invoice.pdf": INVOICE})


def call(tool: BaseTool, **arguments: Any) -> ToolMessage:
    message = tool.invoke({"name": tool.name, "args": arguments, "id": "1", "type": "tool_call"})
    assert isinstance(message, ToolMessage)
    return message


class _Standard:
    @property
    def tool_constructor(self) -> type[BaseTool]:
        return LayoutLLMTool

    @property
    def tool_constructor_params(self) -> dict[str, Any]:
        return {"reader": FakeReader(), "documents": {"invoice.pdf": INVOICE}}

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {**ASK, "page": 1, "correction": {"step": "area", "spatial": "bottom right"}}


class TestStandardUnit(_Standard, ToolsUnitTests):
    pass


class TestStandardIntegration(_Standard, ToolsIntegrationTests):
    pass


def test_the_artifact_is_the_whole_chain_as_plain_json() -> None:
    message = call(make(), **ASK)
    assert json.loads(json.dumps(message.artifact)) == message.artifact
    assert message.artifact["document"] == {"name": "invoice.pdf", "sha256": INVOICE.sha256}
    cot = FakeReader().ask(INVOICE, ASK["question"])
    assert LayoutCoT.from_json(message.artifact).to_json() == cot.to_json()
    assert message.status == "success"
    assert message.text.startswith('Answer: "12.50"\nWhere: page 1, box ')


async def test_sync_and_async_agree() -> None:
    tool = make()
    assert await tool.ainvoke(ASK) == tool.invoke(ASK)


def test_the_schema_a_model_sees() -> None:
    schema = make().tool_call_schema.model_json_schema()  # type: ignore[union-attr]
    assert set(schema["properties"]) == {"document", "question", "page", "correction"}
    assert schema["required"] == ["document", "question"]
    correction = schema["$defs"]["CorrectionArgs"]["properties"]
    assert set(correction) == set(Correction("area", spatial="top").to_json())
    assert correction["step"]["enum"] == list(STEPS)
    assert correction["kind"]["anyOf"][0]["enum"] == list(KINDS)
    assert correction["expected_type"]["anyOf"][0]["enum"] == list(EXPECTED_TYPES)
    described = [*schema["properties"].values(), *correction.values()]
    assert all(len(field.get("description", "")) > 20 for field in described)


def test_a_correction_reaches_the_reader() -> None:
    tool = make()
    tool.invoke(ASK)
    message = call(tool, **ASK, correction={"step": "area", "page": 1, "boxes": [[0, 0, 1000, 500]]})
    assert message.artifact["answer"] == "Invoice no:"
    assert isinstance(tool.reader, FakeReader)
    sent = tool.reader.calls[-1].correction
    assert sent and (sent.step, sent.boxes[0].as_list()) == ("area", [0, 0, 1000, 500])


def test_two_tools_on_one_reader_each_correct_their_own_attempt() -> None:
    """B asks the same question between A's attempt and A's correction, in another place."""
    page = document_from_text("Total:  10.00\n\n\n\nTotal:  99.00", name="invoice.pdf")
    reader = FakeReader()
    one, other = (LayoutLLMTool(reader=reader, documents={"invoice.pdf": page}) for _ in range(2))
    first = call(one, **ASK)
    between = call(other, **ASK)
    call(other, **ASK, correction={"step": "area", "spatial": "bottom"}, previous=between.artifact)
    call(one, **ASK, correction={"step": "answer", "wrong": ["10.00"]})
    asked = reader.calls[-1]
    assert asked.previous == LayoutCoT.from_json(first.artifact)


def test_an_attempt_that_is_passed_goes_before_the_remembered_one() -> None:
    tool = make()
    first = call(tool, **ASK)
    call(tool, **ASK, correction={"step": "area", "spatial": "top"})
    call(tool, **ASK, correction={"step": "area", "spatial": "bottom"}, previous=first.artifact)
    assert isinstance(tool.reader, FakeReader)
    assert tool.reader.calls[-1].previous == LayoutCoT.from_json(first.artifact)


def test_what_is_no_attempt_is_refused() -> None:
    message = call(make(), **ASK, correction={"step": "area", "spatial": "top"}, previous={"answer": 1})
    assert message.status == "error" and "no attempt" in str(message.content)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"question": "  "}, "Say what you want to know"),
        ({"page": 7}, "has no page 7. Pages count from 1; this document has 1"),
        ({"page": 0}, "has no page 0"),
        ({"page": "first"}, "page: Input should be a valid integer"),
        ({"document": "invoice.pd"}, 'there is no document "invoice.pd". Known: "invoice.pdf".'),
        ({"document": "/etc/passwd"}, 'Known: "invoice.pdf"'),
        ({"correction": {"step": "area"}}, "Give at least one of boxes, avoid, spatial"),
        ({"correction": {"step": "area", "text": "x"}}, "text do not belong to a correction of step 'area'"),
        ({"correction": {"step": "area", "boxes": [[5, 5, 1, 1]]}}, "0 <= x0 <= x1 <= 1000"),
        ({"correction": {"step": "area", "boxes": [[1, 2]]}}, "this is no correction"),
        (
            {"correction": {"step": "guess"}},
            "correction.step: Input should be 'analysis', 'area' or 'answer'",
        ),
        ({"correction": {"step": "area", "spatial": "north"}}, "unknown spatial words"),
        ({"file": "x"}, "file: Extra inputs are not permitted"),
    ],
)
async def test_what_an_agent_can_mend_comes_back_to_it(arguments: dict[str, Any], hint: str) -> None:
    tool = make()
    request = {"name": tool.name, "args": {**ASK, **arguments}, "id": "1", "type": "tool_call"}
    for message in (tool.invoke(request), await tool.ainvoke(request)):
        assert message.status == "error"
        assert hint in message.text
        assert message.artifact is None
    assert isinstance(tool.reader, FakeReader)
    assert tool.reader.calls == [], "refused before anything was asked"


@pytest.mark.parametrize(
    "error", [OCRTimeout("slow."), WeightsNotFound("gone."), ModelError("odd."), ValueError("bug")]
)
async def test_what_it_cannot_mend_is_raised(error: Exception) -> None:
    tool = LayoutLLMTool(reader=FakeReader({"q": error}), documents={"invoice.pdf": INVOICE})
    with pytest.raises(type(error)):
        tool.invoke({**ASK, "question": "q"})
    with pytest.raises(type(error)):
        await tool.ainvoke({**ASK, "question": "q"})


def test_a_validation_error_from_within_is_not_taken_for_the_agents() -> None:
    class Inner(BaseModel):
        number: int

    with pytest.raises(ValidationError) as caught:
        Inner.model_validate({"number": "x"})
    tool = make(q=caught.value)
    with pytest.raises(RuntimeError, match="Inner"):
        tool.invoke({**ASK, "question": "q"})
    asked = call_tool(tool.name, document="invoice.pdf", question="q")
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([tool]))  # it tells the model of argument errors, and of no other
    graph.add_edge(START, "tools")
    with pytest.raises(RuntimeError, match="by no fault of the call"):
        graph.compile().invoke({"messages": [asked]})


def test_without_handling_the_exception_carries_the_cause() -> None:
    tool = make()
    tool.handle_tool_error = False
    with pytest.raises(ToolException, match="no page 7") as caught:
        tool.invoke({**ASK, "page": 7})
    assert caught.value.__cause__ is not None


def test_a_forged_runtime_does_nothing() -> None:
    assert call(make(), **ASK, runtime={"stream_writer": "x"}).status == "success"


def test_signals_can_be_left_out() -> None:
    tool = LayoutLLMTool(reader=FakeReader(), documents={"invoice.pdf": INVOICE}, include_signals=False)
    artifact = call(tool, **ASK).artifact
    assert "signals" not in artifact and "signals" in call(make(), **ASK).artifact
    assert LayoutCoT.from_json(artifact).answer == "12.50"


def test_it_is_warmed_up_by_a_question_of_its_own() -> None:
    reader = FakeReader()
    LayoutLLMTool(reader=reader).warm_up()
    assert [asked.document for asked in reader.calls] == ["warm-up"]


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="acces"):
        LayoutLLMTool(acces=Access())  # type: ignore[call-arg]


def test_only_readers_are_readers() -> None:
    with pytest.raises(ValidationError, match="Reader"):
        LayoutLLMTool(reader="no reader")  # type: ignore[arg-type]


def test_the_default_reader_is_built_once_at_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[FakeReader] = []

    def default_reader() -> FakeReader:
        built.append(FakeReader())
        return built[-1]

    module = types.ModuleType("layoutllm_tool.readers.local")
    module.default_reader = default_reader  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "layoutllm_tool.readers.local", module)
    tool = LayoutLLMTool(documents={"invoice.pdf": INVOICE})
    assert built == []
    assert [call(tool, **ASK).artifact["answer"] for _ in range(2)] == ["12.50", "12.50"]
    assert len(built) == 1


def test_copies_and_pickles_work() -> None:
    assert copy.deepcopy(LayoutLLMTool()).name == LayoutLLMTool().name
    tool = pickle.loads(pickle.dumps(LayoutLLMTool(attach_image=True)))
    assert tool.attach_image
    assert issubclass(type(tool.args_schema), type) and tool.args_schema is AskDocumentArgs


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "in").mkdir()
        Image.new("RGB", (400, 200), "white").save(tmp_path / "in" / "scan.png")
        Image.new("RGB", (400, 200), "red").save(tmp_path / "secret.png")
        (tmp_path / "in" / "notes.txt").write_text("no picture")
        os.symlink(tmp_path / "secret.png", tmp_path / "in" / "link.png")
        return tmp_path

    @pytest.fixture
    def tool(self, folder: Path) -> LayoutLLMTool:
        reader = FakeReader(ocr=FakeOCR("Total    5.00\nNet      4.00"))
        return LayoutLLMTool(reader=reader, access=Access(roots=(folder / "in",)))

    def test_a_file_under_the_roots_is_answered(self, tool: LayoutLLMTool, folder: Path) -> None:
        for name in ("scan.png", str(folder / "in" / "scan.png")):
            assert call(tool, document=name, question="What is the total?").artifact["answer"] == "5.00"

    @pytest.mark.parametrize(
        ("name", "page", "hint"),
        [
            ("../secret.png", None, "outside"),
            ("link.png", None, "outside"),
            ("/etc/passwd", None, "outside"),
            ("missing.png", None, "no file 'missing.png'"),
            ("notes.txt", None, "plain text"),
            ("scan.png", 2, "has no page 2"),
            ("https://example.com/a.png", None, "URLs are turned off"),
            ("data:image/png;base64,AAAA", None, "not read here"),
            ("a\0b", None, "outside"),
        ],
    )
    def test_others_are_refused(self, tool: LayoutLLMTool, name: str, page: int | None, hint: str) -> None:
        message = call(tool, document=name, question="What is the total?", page=page)
        assert message.status == "error"
        assert hint in message.text

    def test_the_default_is_the_working_directory(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder / "in")
        tool = LayoutLLMTool(reader=FakeReader({"q": "a"}))
        assert call(tool, document="scan.png", question="q").status == "success"
        assert call(tool, document="../secret.png", question="q").status == "error"

    def test_a_picture_is_attached_on_request(self, tool: LayoutLLMTool) -> None:
        tool.attach_image = True
        blocks = call(tool, document="scan.png", question="What is the total?").content
        assert [block["type"] for block in blocks if isinstance(block, dict)] == ["text", "image"]

    def test_a_file_is_opened_once_until_it_changes(
        self, tool: LayoutLLMTool, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = _count_opening(monkeypatch)

        def ask() -> str:
            return str(call(tool, document="scan.png", question="q").artifact["document"]["sha256"])

        first = [ask(), ask()]
        assert (len(opened), len(set(first))) == (1, 1)
        Image.new("RGB", (410, 200), "white").save(folder / "in" / "scan.png")
        assert ask() != first[0]
        assert len(opened) == 2

    async def test_many_at_once_open_it_once(
        self, tool: LayoutLLMTool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = _count_opening(monkeypatch)
        asked = [tool.ainvoke({"document": "scan.png", "question": f"total {i}?"}) for i in range(8)]
        contents = await asyncio.gather(*asked)
        assert all(content.startswith('Answer: "5.00"') for content in contents)
        assert len(opened) == 1


def _count_opening(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    opened: list[str] = []

    def counting(name: str, data: bytes, **options: Any) -> Document:
        opened.append(name)
        return parsed_document(name, data, **options)

    monkeypatch.setattr("layoutllm_tool.documents.loading.parsed_document", counting)
    return opened


def test_the_document_cache_forgets_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        Image.new("L", (9, 9)).save(tmp_path / f"{name}.png")
    opened = _count_opening(monkeypatch)
    kept = DocumentCache(size=2)
    for name in "abcbca":
        kept.open(f"{name}.png", access=Access(roots=(tmp_path,)))
    assert opened == ["a.png", "b.png", "c.png", "a.png"]


class _Meeting(FakeReader):
    """Answers only once ``size`` questions are waiting together, and reports from a thread of its own."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.waiting, self.open = size, 0, asyncio.Event()
        self.loaded_on: set[int] = set()

    def load(self, source: Any, **options: Any) -> Document:
        self.loaded_on.add(threading.get_ident())
        return super().load(source, **options)

    async def aask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        self.waiting += 1
        if self.waiting == self.size:
            self.open.set()
        await asyncio.wait_for(self.open.wait(), 5)
        return await asyncio.to_thread(super().ask, document, question, **options)


async def test_concurrent_calls_meet_in_the_reader() -> None:
    reader = _Meeting(size=20)
    tool = LayoutLLMTool(reader=reader, documents={"invoice.pdf": INVOICE})
    contents = await asyncio.gather(*[tool.ainvoke(ASK) for _ in range(20)])
    assert len(set(contents)) == 1
    assert threading.get_ident() not in reader.loaded_on, "loading blocks, and must not block the event loop"


class _Runtime:
    tool_call_id = "7"

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.threads: set[int] = set()

    def stream_writer(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.threads.add(threading.get_ident())


async def test_progress_from_other_threads_is_written_on_the_loop_and_in_time() -> None:
    runtime, reader = _Runtime(), _Meeting(size=1)
    tool = LayoutLLMTool(reader=reader, documents={"invoice.pdf": INVOICE})
    await tool.ainvoke({**ASK, "runtime": runtime})
    cot = FakeReader().ask(INVOICE, ASK["question"])
    assert [event["event"] for event in runtime.events] == ["page", *cot.steps]
    assert {event["tool_call_id"] for event in runtime.events} == {"7"}
    assert runtime.threads == {threading.get_ident()}


def test_progress_is_plain_json() -> None:
    runtime = _Runtime()
    make().invoke({**ASK, "runtime": runtime})
    assert json.loads(json.dumps(runtime.events)) == runtime.events
