"""The first graph: many questions to one document, without a chat model."""

import asyncio
import importlib.util
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from graphs.state import Answer, Context, Result, State
from graphs.workflow import build_workflow, collect, make_graph
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import OCRTimeout
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool

INVOICE = document_from_text("Invoice no:   4711\nTotal:        12.50", "Total:   99.00", name="invoice.pdf")
MERMAID = """\
graph TD;
	__start__([<p>__start__</p>]):::first
	route(route)
	ask(ask)
	collect(collect)
	__end__([<p>__end__</p>]):::last
	__start__ --> route;
	ask --> collect;
	route -.-> ask;
	route -.-> collect;
	collect --> __end__;
	classDef default fill:#f2f0ff,line-height:1.2
	classDef first fill-opacity:0
	classDef last fill:#bfb6fc
"""


def context(answers: dict[str, Any] | None = None, reader: FakeReader | None = None) -> Context:
    return Context(LayoutLLMTool(reader=reader or FakeReader(answers), documents={"invoice.pdf": INVOICE}))


def request(*questions: str, **more: Any) -> Any:
    return {"document": "invoice.pdf", "questions": list(questions), **more}


def plain(answers: list[Answer]) -> list[str | None]:
    return [answer["answer"] for answer in answers]


def test_the_shape() -> None:
    assert make_graph().get_graph().draw_mermaid().endswith(MERMAID)


async def test_questions_are_answered_in_their_order() -> None:
    asked = request("total?", "the fax?", "invoice no?", "total?")
    for state in (make_graph().invoke(asked, context=context()), await make_graph().ainvoke(asked, context=context())):
        assert list(state) == ["answers"]
        assert plain(state["answers"]) == ["12.50", None, "4711", "12.50"]
        assert [answer["error"] for answer in state["answers"]] == [None] * 4
        assert json.loads(json.dumps(state)) == state
        found = state["answers"][2]
        assert (found["page"], found["question"]) == (1, "invoice no?")
        box = LayoutCoT.from_json(found["cot"]).box
        assert box and box.as_list() == found["box"]


def test_no_questions_no_answers() -> None:
    assert make_graph().invoke(request(), context=context()) == {"answers": []}


def test_a_page_restricts_every_question() -> None:
    state = make_graph().invoke(request("total?", "invoice no?", page=2), context=context())
    assert plain(state["answers"]) == ["99.00", None]


async def test_a_question_that_fails_is_an_entry_and_the_others_are_answered() -> None:
    ctx = context({"slow?": OCRTimeout("page 1 took too long.")})
    asked = request("total?", " ", "slow?", "invoice no?")
    for state in (make_graph().invoke(asked, context=ctx), await make_graph().ainvoke(asked, context=ctx)):
        assert plain(state["answers"]) == ["12.50", None, None, "4711"]
        errors = [answer["error"] for answer in state["answers"]]
        assert errors[1] and "question is empty" in errors[1]
        assert errors[2] == "page 1 took too long."
        assert (errors[0], errors[3]) == (None, None)


def test_a_missing_document_is_an_error_of_every_question() -> None:
    state = make_graph().invoke({"document": "other.pdf", "questions": ["a?", "b?"]}, context=context())
    assert ["Known" in (answer["error"] or "") for answer in state["answers"]] == [True, True]


async def test_bugs_crash() -> None:
    with pytest.raises(ZeroDivisionError):
        make_graph().invoke(request("q"), context=context({"q": ZeroDivisionError()}))
    with pytest.raises(ZeroDivisionError):
        await make_graph().ainvoke(request("q"), context=context({"q": ZeroDivisionError()}))


class _Meeting(FakeReader):
    """Answers only once twelve questions are waiting together: more than a thread pool of six would bring."""

    waiting = 0

    async def aask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        self.waiting += 1
        while self.waiting < 12:
            await asyncio.sleep(0.001)
        return await super().aask(document, question, **options)


async def test_questions_wait_in_the_reader_together() -> None:
    asked = request(*(f"total {i}?" for i in range(12)))
    reader = _Meeting()
    state = await asyncio.wait_for(make_graph().ainvoke(asked, context=context(reader=reader)), 10)
    assert plain(state["answers"]) == ["12.50"] * 12
    assert reader.waiting == 12


def test_results_are_collected_in_any_order() -> None:
    results = [Result(index=i, question=f"{i}?", status="error", text="", artifact=None) for i in (2, 0, 1)]
    collected = collect(State(document="d", questions=[], results=results, answers=[]))
    assert [answer["question"] for answer in collected["answers"]] == ["0?", "1?", "2?"]


async def test_the_steps_of_every_question_are_streamed() -> None:
    seen: dict[str, list[str]] = {}
    async for event in make_graph().astream(request("total?", "the fax?"), context=context(), stream_mode="custom"):
        seen.setdefault(event["tool_call_id"], []).append(event["event"])
    steps = ["question_analysis", "relevant_area_concentration", "answer_formation"]
    assert [events[-3:] for events in seen.values()] == [steps, steps]


def test_a_thread_can_be_used_again(tmp_path: Path) -> None:
    """Each run starts without the results of the last one, and what is checkpointed is plain JSON."""
    thread: Any = {"configurable": {"thread_id": "1"}}
    with sqlite3.connect(tmp_path / "checkpoints.sqlite", check_same_thread=False) as connection:
        graph = build_workflow().compile(checkpointer=SqliteSaver(connection))
        first = graph.invoke(request("total?", "invoice no?"), thread, context=context())
        second = graph.invoke(request("invoice no?"), thread, context=context())
        kept = graph.get_state(thread).values
    assert plain(first["answers"]) == ["12.50", "4711"]
    assert plain(second["answers"]) == ["4711"]
    assert kept["answers"] == second["answers"]
    assert json.loads(json.dumps(kept)) == kept


def test_langgraph_json_names_a_factory() -> None:
    root = Path(__file__).resolve().parents[1]
    settings = json.loads((root / "langgraph.json").read_text())
    for place in settings["graphs"].values():
        path, _, name = place.partition(":")
        spec = importlib.util.spec_from_file_location("served", root / path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        graph = getattr(module, name)()
        assert graph.checkpointer is None
        assert set(graph.get_input_jsonschema()["properties"]) == {"document", "questions", "page"}


def test_without_a_context_the_tool_of_the_package_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    state = make_graph().invoke({"document": "absent.pdf", "questions": ["a?"]})
    assert "no file 'absent.pdf'" in state["answers"][0]["error"]
