"""What a run is given: content becomes a hash; what is no request or reply is refused before any work."""

import base64
import io
import os
import time
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from PIL import Image

from layoutllm_graphs.context import Context
from layoutllm_graphs.extract import extract
from layoutllm_graphs.workflow import build_workflow, make_graph
from layoutllm_tool.errors import DocumentError, DocumentNotFound, LayoutLLMError, RequestError
from layoutllm_tool.readers import caching
from layoutllm_tool.testing import FakeOCR, FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool

THREAD: Any = {"configurable": {"thread_id": "one"}}
PAGE = document_from_text("Name:  Lucia", name="letter.pdf")
TASK = "Extract the total"


def png(megabytes: float) -> bytes:
    """A picture that can't be compressed, of about that size."""
    side = int((megabytes * 1e6 / 3) ** 0.5)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def reading() -> Context:
    tool = LayoutLLMTool(reader=FakeReader(ocr=FakeOCR("Total:  12.50")))
    return Context(tool=tool, second_opinion=False)


def kept(saver: InMemorySaver) -> int:
    blobs = sum(len(data) for _, data in saver.blobs.values())
    writes = sum(len(write[2][1]) for by_task in saver.writes.values() for write in by_task.values())
    spaces = (space for thread in saver.storage.values() for space in thread.values())
    return blobs + writes + sum(len(stored[0][1]) for space in spaces for stored in space.values())


@pytest.mark.parametrize(
    "given",
    [
        lambda data: data,
        bytearray,
        text,
        lambda data: f"data:image/png;base64,{text(data)}",
        lambda data: {"type": "image", "base64": text(data), "mime_type": "image/png"},
        lambda data: {"type": "file", "source_type": "base64", "data": text(data)},
        lambda data: {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text(data)}"}},
        lambda data: {"type": "document", "source": {"type": "base64", "data": text(data)}},
        lambda data: [{"type": "text", "text": "Here:"}, {"type": "image", "base64": text(data)}],
    ],
)
def test_content_is_a_document_at_both_doors(given: Any) -> None:
    document, context = given(png(0.01)), reading()
    answers = make_graph().invoke({"document": document, "task": TASK}, context=context)["answers"]
    assert [answer["answer"] for answer in answers] == ["12.50"]
    assert context.tool is not None
    called = context.tool.invoke({"document": document, "question": "What is the total?"})
    assert called.startswith('Answer: "12.50"')


def test_a_record_of_content() -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}}
    assert extract(png(0.01), schema, context=reading()).record == {"total": 12.5}


def test_checkpoints_hold_the_hash_of_a_large_document() -> None:
    saver = InMemorySaver()
    graph = build_workflow().compile(checkpointer=saver)
    state = graph.invoke({"document": text(png(16)), "task": TASK}, THREAD, context=reading())
    assert state["answers"][0]["answer"] == "12.50"
    assert kept(saver) < 64 * 1024
    assert graph.get_state(THREAD).values["document"].startswith("sha256:")


@pytest.mark.parametrize("megabytes", [3, 40])
def test_base64_of_nothing_is_refused_within_a_second(megabytes: int) -> None:
    tool, rubbish = LayoutLLMTool(reader=FakeReader()), text(os.urandom(megabytes * 10**6))
    begun = time.process_time()  # this process's own: the machine may be busy
    found = tool.invoke({"document": rubbish, "question": "What is the total?"})
    assert time.process_time() - begun < 1
    assert "unknown type" in found and len(found) < 300


def test_content_that_is_kept_no_more_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    tool, name = LayoutLLMTool(reader=FakeReader(ocr=FakeOCR("Total: 1"))), caching.hand_in(png(0.01))
    assert tool.look(name).pages[0].text == "Total: 1"
    monkeypatch.setattr(caching, "_CONTENTS", caching.LRUCache(10, len))
    with pytest.raises(DocumentNotFound, match="Hand it in again"):
        LayoutLLMTool(reader=FakeReader()).look(name)


def test_one_document_handed_in_twice_is_kept_once() -> None:
    data = png(0.01)
    assert caching.hand_in(data) == caching.hand_in(text(data)) == caching.hand_in({"base64": text(data)})


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"document": 5, "task": TASK}, DocumentError),
        ({"document": None, "task": TASK}, DocumentError),
        ({"document": PAGE, "task": TASK}, DocumentError),
        ({"document": [], "task": TASK}, DocumentError),
        ({"document": {"type": "file", "file_id": "f"}, "task": TASK}, DocumentError),
        ({"document": {"type": "file", "base64": "!"}, "task": TASK}, DocumentError),
        ({"task": TASK}, RequestError),
        ({"document": "a.pdf"}, RequestError),
        ({"document": "a.pdf", "task": 5}, RequestError),
        ({"document": "a.pdf", "task": TASK, "page": "2"}, RequestError),
        ({"document": "a.pdf", "task": TASK, "pge": 1}, RequestError),
        ("a.pdf", RequestError),
        (Command(), RequestError),
    ],
)
async def test_what_is_no_request_is_refused_before_any_work(given: Any, kind: type[Exception]) -> None:
    reader, saver = FakeReader(), InMemorySaver()
    graph = build_workflow().compile(checkpointer=saver)
    context = Context(tool=LayoutLLMTool(reader=reader))
    with pytest.raises(kind) as one:
        graph.invoke(given, THREAD, context=context)
    with pytest.raises(kind):
        await graph.ainvoke(given, THREAD, context=context)
    assert isinstance(one.value, LayoutLLMError) and one.value.caller_can_fix and one.value.hint
    assert not reader.calls and not saver.storage


@pytest.mark.parametrize(
    "fields",
    [
        {"tool": "ask"},
        {"tool": FakeReader()},
        {"disabled_checks": ("nonsense",)},
        {"max_attempts": 0},
        {"min_confidence": -1},
    ],
)
def test_a_context_is_checked(fields: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        Context(**fields)


def test_what_is_no_context_is_refused() -> None:
    with pytest.raises(RequestError, match="LayoutLLMTool is no context"):
        make_graph().invoke({"document": "a.pdf", "task": TASK}, context=LayoutLLMTool())  # type: ignore[call-overload]


# -- replies -----------------------------------------------------------------------------------------------


def waiting(**options: Any) -> tuple[Any, Context, str]:
    """A run that waits for a person, its context, and its interrupt's id."""
    graph = build_workflow().compile(checkpointer=InMemorySaver())
    tool = LayoutLLMTool(reader=FakeReader(), documents={"letter.pdf": PAGE})
    context = Context(tool=tool, second_opinion=False, max_attempts=1, **options)
    graph.invoke({"document": "letter.pdf", "task": "Extract the name"}, THREAD, context=context)
    (interrupt,) = graph.get_state(THREAD).interrupts
    return graph, context, interrupt.id


@pytest.mark.parametrize("reply", ["Luca", {"answer": "Luca"}])
@pytest.mark.parametrize("by_id", [False, True])
async def test_a_plain_text_is_the_right_answer(reply: Any, by_id: bool) -> None:
    for sync in (True, False):
        graph, context, name = waiting(review=True, min_confidence=1.0)
        command: Any = Command(resume={name: reply} if by_id else reply)
        state = (
            graph.invoke(command, THREAD, context=context)
            if sync
            else await graph.ainvoke(command, THREAD, context=context)
        )
        assert [(a["answer"], a["by"]) for a in state["answers"]] == [("Luca", "person")]


@pytest.mark.parametrize(
    "reply",
    [5, True, [], "", {"anser": "Luca"}, {"accept": True, "answer": "Luca"}, {"f" * 32: {"accept": True}}],
)
async def test_a_wrong_reply_is_refused_and_the_run_waits_on(reply: Any) -> None:
    graph, context, name = waiting(review=True, min_confidence=1.0)
    with pytest.raises(RequestError):
        graph.invoke(Command(resume=reply), THREAD, context=context)
    with pytest.raises(RequestError):
        await graph.ainvoke(Command(resume=reply), THREAD, context=context)
    state = graph.invoke(Command(resume={name: {"accept": True}}), THREAD, context=context)
    assert state["answers"][0]["verdict"] == "satisfied"


def test_an_interrupt_says_what_may_be_answered() -> None:
    for options, field in (({"review": True, "min_confidence": 1.0}, "absent"), ({"approve": True}, "plan")):
        graph, _, _ = waiting(**options)
        schema = graph.get_state(THREAD).interrupts[0].response_schema
        assert schema["type"] == "object" and field in schema["properties"]


def test_an_empty_reply_carries_the_plan_out() -> None:
    graph, context, _ = waiting(approve=True)
    assert graph.invoke(Command(resume={}), THREAD, context=context)["answers"][0]["answer"] == "Lucia"
    with pytest.raises(RequestError, match="no interrupt waits"):
        graph.invoke(Command(resume={}), THREAD, context=context)


def test_a_name_that_is_no_path_takes_no_time(tmp_path: Path) -> None:
    begun = time.monotonic()
    found = LayoutLLMTool(reader=FakeReader()).invoke({"document": "a/" * 10**6 + ".", "question": "What?"})
    assert "is no path" in found and time.monotonic() - begun < 1
