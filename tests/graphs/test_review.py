"""What a person is asked about and may decide, of records and of tables; what a thread forgets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import ValidationError

from layoutllm_graphs.context import Context
from layoutllm_graphs.doubts import doubts
from layoutllm_graphs.serde import DataSerializer
from layoutllm_graphs.workflow import build_workflow
from layoutllm_tool.documents import Access, load_document
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool
from tests.batch_pages import ORDER, items, order

THREAD: Any = {"configurable": {"thread_id": "1"}}


class Waiting:
    """A run of the order's schema with reviews, up to its first interrupts."""

    def __init__(self, folder: Path, *, damaged: bool = False, schema: dict[str, Any] = ORDER) -> None:
        file = folder / "a.pdf"
        file.write_bytes(order(4, damaged=damaged))
        self.document = load_document(file, access=Access.anywhere())
        self.reader = FakeReader()
        tool = LayoutLLMTool(reader=self.reader, documents={"a.pdf": self.document})
        self.graph = build_workflow().compile(checkpointer=InMemorySaver(serde=DataSerializer()))
        self.context = Context(tool=tool, review=True, second_opinion=False)
        self.state: dict[str, Any] = {}
        self.go_on({"document": "a.pdf", "task": schema})

    def go_on(self, given: Any) -> dict[str, Any]:
        self.state = self.graph.invoke(given, THREAD, context=self.context)
        return self.state

    @property
    def shown(self) -> dict[str, dict[str, Any]]:
        return {one.value["name"]: one.value for one in self.state.get("__interrupt__", ())}

    def reply(self, **replies: Any) -> dict[str, Any]:
        ids = {one.value["name"]: one.id for one in self.state["__interrupt__"]}
        return self.go_on(Command(resume={ids[name]: reply for name, reply in replies.items()}))


def test_a_doubtful_value_of_the_record_is_asked_about(tmp_path: Path) -> None:
    run = Waiting(tmp_path, damaged=True)
    (shown,) = run.shown.values()
    assert (shown["name"], shown["verdict"]) == ("items", "failed")
    assert shown["reasons"] == ["/items/1/amount: '1.5.0' is not understood as a number."]
    state = run.reply(items={"answer": shown["answer"].replace("1.5.0", "5.50")})
    assert state["record"]["items"] == items(4) and not doubts(state)  # type: ignore[arg-type]


def test_a_doubtful_value_that_a_person_accepts_is_not_asked_about_again(tmp_path: Path) -> None:
    run = Waiting(tmp_path, damaged=True)
    state = run.reply(items={"accept": True})
    assert "__interrupt__" not in state and state["record"]["items"][1]["amount"] is None
    assert list(doubts(state)) == ["/items/1/amount"]  # type: ignore[arg-type]


def test_a_tables_correction_reads_the_table_again_from_there(tmp_path: Path) -> None:
    run = Waiting(tmp_path, damaged=True)
    asked = len(run.reader.calls)
    words = [word for word in run.document.pages[0].words if word.text in ("Description", "A", "4.50")]
    top, bottom = words[0].box.y0, max(word.box.y1 for word in words)
    with pytest.raises(ValidationError, match="from an area alone"):
        run.reply(items={"correction": {"step": "analysis", "text": "Parts"}})
    area = {"step": "area", "page": 1, "boxes": [[0, top - 2, 1000, bottom + 2]]}
    state = run.reply(items={"correction": area})
    answer = next(one for one in state["answers"] if one["name"] == "items")
    assert state["record"]["items"] == items(4)[:1] and len(run.reader.calls) == asked
    assert (answer["by"], answer["verdict"]) == ("person", "satisfied")
    page = run.document.pages[0]
    for place in answer["cot"]["evidence"]:
        found = [(page.lines or ())[line].words[word].text for line, word in place["words"]]
        assert " ".join(found) == place["text"]


def test_accepting_a_table_gives_it_no_column(tmp_path: Path) -> None:
    order_schema: dict[str, Any] = ORDER
    item = order_schema["properties"]["items"]["items"]
    wider = {**item, "required": ["description", "sku"], "properties": {
        **item["properties"], "sku": {"type": "string", "description": "stock keeping unit"},
    }}  # fmt: skip
    schema = {
        **ORDER,
        "properties": {**order_schema["properties"], "items": {"type": "array", "items": wider}},
    }
    run = Waiting(tmp_path, schema=schema)
    state = run.reply(**{name: {"accept": True} for name in run.shown})
    assert "__interrupt__" not in state
    field = state["fields"]["/items/0/sku"]
    assert (field["value"], field["verdict"], field["problem"]) == (None, "failed", "missing")
    assert "/items/0/sku" in doubts(state)  # type: ignore[arg-type]


def test_a_new_request_inherits_neither_page_nor_schema() -> None:
    document = document_from_text("Total:  12.50", "Total:  99.00", name="a.pdf")
    context = Context(tool=LayoutLLMTool(reader=FakeReader(), documents={"a.pdf": document}))
    graph = build_workflow().compile(checkpointer=InMemorySaver(serde=DataSerializer()))
    schema = {"type": "object", "properties": {"total": {"type": "number"}}}
    question = {"name": "total", "text": "What is the total?", "type": "money", "path": ["total"]}
    first: Any = {"document": "a.pdf", "task": {"questions": [question]}, "page": 2, "schema": schema}
    state = graph.invoke(first, THREAD, context=context)
    assert state["record"] == {"total": 99}
    state = graph.invoke({"document": "a.pdf", "task": ["What is the total?"]}, THREAD, context=context)
    assert [answer["page"] for answer in state["answers"]] == [1] and state["record"] == {}


def test_a_table_has_its_verdict_among_the_events(tmp_path: Path) -> None:
    run = Waiting(tmp_path)
    given: Any = {"document": "a.pdf", "task": ORDER}
    events: list[Any] = list(
        run.graph.stream(given, THREAD, context=run.context, stream_mode="custom", subgraphs=True)
    )
    told = [event for _, event in events if event["event"] == "verdict" and event["name"] == "items"]
    assert [event["verdict"] for event in told] == ["satisfied"] and json.dumps(told)
