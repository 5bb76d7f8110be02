"""The workflow: one document task, planned, asked, checked and mended, without a chat model unless one is
scripted.
"""

import asyncio
import importlib.util
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command
from PIL import Image, ImageDraw

from layoutllm_graphs.context import Context
from layoutllm_graphs.planning.plan import Constraint, Plan, PlannedQuestion
from layoutllm_graphs.state import Answer
from layoutllm_graphs.testing import ScriptedChatModel, call_tool
from layoutllm_graphs.workflow import build_workflow, make_graph
from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Box, Document, Line, Page, Word
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.errors import OCRTimeout, PlanError
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool
from tests.ocr_pictures import font, needs_tesseract
from tests.paths import ROOT
from tests.pdfs import make_pdf, text

INVOICE = document_from_text("Invoice no:   4711\nTotal:        12.50", "Total:   99.00", name="invoice.pdf")
VENDORS = document_from_text(
    f"Vendor:   Acme GmbH{' ' * 40}Page 1\nDate:     1 May 2020\n\nItem      2.00\n\nVendor:   Zeta AG",
    name="invoice.pdf",
)
MERMAID = """\
graph TD;
	__start__([<p>__start__</p>]):::first
	plan(plan)
	approve(approve)
	dispatch(dispatch)
	structure(structure)
	structured(structured)
	question(question)
	escalate(escalate)
	reconcile(reconcile)
	review(review)
	finish(finish)
	__end__([<p>__end__</p>]):::last
	__start__ --> plan;
	approve --> dispatch;
	dispatch -.-> escalate;
	dispatch -.-> question;
	dispatch -.-> reconcile;
	dispatch -.-> structure;
	escalate --> dispatch;
	plan -.-> approve;
	plan -.-> dispatch;
	question --> dispatch;
	reconcile -.-> escalate;
	reconcile -.-> finish;
	reconcile -.-> question;
	reconcile -.-> review;
	review -.-> dispatch;
	review -.-> question;
	review -.-> structure;
	structure -.-> question;
	structure -.-> structured;
	structured --> dispatch;
	finish --> __end__;
	classDef default fill:#f2f0ff,line-height:1.2
	classDef first fill-opacity:0
	classDef last fill:#bfb6fc
"""
THREAD: Any = {"configurable": {"thread_id": "1"}}


def context(
    answers: dict[str, Any] | None = None,
    reader: FakeReader | None = None,
    document: Document = INVOICE,
    **more: Any,
) -> Context:
    return Context(
        LayoutLLMTool(reader=reader or FakeReader(answers), documents={"invoice.pdf": document}), **more
    )


def request(*questions: str, **more: Any) -> Any:
    return {"document": "invoice.pdf", "task": list(questions)} | more


def plan(*questions: PlannedQuestion, constraints: list[Constraint] | None = None) -> Any:
    made = Plan(questions=list(questions), constraints=constraints or [])
    return {"document": "invoice.pdf", "task": made.model_dump(mode="json")}


def plain(answers: list[Answer]) -> list[str | None]:
    return [answer["answer"] for answer in answers]


def test_the_shape() -> None:
    assert make_graph().get_graph().draw_mermaid().endswith(MERMAID)


async def test_questions_are_answered_in_their_order() -> None:
    asked = request("What is the total?", "What is the fax?", "What is the invoice no?")
    for state in (
        make_graph().invoke(asked, context=context()),
        await make_graph().ainvoke(asked, context=context()),
    ):
        assert set(state) == {"plan", "answers", "notes", "usage", "notices"}
        assert plain(state["answers"]) == ["12.50", None, "4711"]
        assert [answer["error"] for answer in state["answers"]] == [None] * 3
        assert json.loads(json.dumps(state)) == state
        found = state["answers"][2]
        assert (found["page"], found["question"]) == (1, "What is the invoice no?")
        box = LayoutCoT.from_json(found["cot"]).box
        assert box and box.as_list() == found["box"]


def test_a_task_in_words() -> None:
    state = make_graph().invoke(
        {"document": "invoice.pdf", "task": "Extract the date and the item.", "page": None},
        context=context(document=VENDORS),
    )
    assert {a["name"]: a["answer"] for a in state["answers"]} == {"date": "1 May 2020", "item": "2.00"}


def test_nothing_can_be_made_of_the_task() -> None:
    with pytest.raises(PlanError):
        make_graph().invoke({"document": "invoice.pdf", "task": " ", "page": None}, context=context())


def test_a_page_restricts_every_question() -> None:
    state = make_graph().invoke(request("What is the total?", page=2), context=context())
    assert plain(state["answers"]) == ["99.00"]


async def test_a_question_that_fails_is_an_entry_and_the_others_are_answered() -> None:
    ctx = context({"Is it slow?": OCRTimeout("page 1 took too long.")})
    asked = request("What is the total?", "Is it slow?", "What is the invoice no?")
    for state in (make_graph().invoke(asked, context=ctx), await make_graph().ainvoke(asked, context=ctx)):
        assert plain(state["answers"]) == ["12.50", None, "4711"]
        assert [answer["error"] for answer in state["answers"]] == [None, "page 1 took too long.", None]
        assert state["answers"][1]["verdict"] == "failed"


def test_a_missing_document_is_an_error_of_every_question() -> None:
    state = make_graph().invoke(request("What is a?", "What is b?", document="other.pdf"), context=context())
    assert ["Known" in (answer["error"] or "") for answer in state["answers"]] == [True, True]


async def test_bugs_crash() -> None:
    ctx = context({"What is q?": ZeroDivisionError()})
    with pytest.raises(ZeroDivisionError):
        make_graph().invoke(request("What is q?"), context=ctx)
    with pytest.raises(ZeroDivisionError):
        await make_graph().ainvoke(request("What is q?"), context=ctx)


class _Meeting(FakeReader):
    """Answers only once twelve questions are waiting together: more than a thread pool of six would bring."""

    waiting = 0

    async def aask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        self.waiting += 1
        while self.waiting < 12:
            await asyncio.sleep(0.001)
        return await super().aask(document, question, **options)


async def test_questions_wait_in_the_reader_together() -> None:
    asked = request(*(f"What is the total {i}?" for i in range(12)))
    reader = _Meeting()
    state = await asyncio.wait_for(make_graph().ainvoke(asked, context=context(reader=reader)), 20)
    assert len(state["answers"]) == 12 and reader.waiting >= 12


def test_a_question_waits_for_the_answer_it_needs() -> None:
    asked = plan(
        PlannedQuestion(name="detail", text="What is the {number} of?"),
        PlannedQuestion(name="number", text="What is the invoice no?"),
    )
    state = make_graph().invoke(asked, context=context())
    assert state["answers"][0]["question"] == "What is the 4711 of?"


async def test_every_step_is_told() -> None:
    seen: list[str] = []
    asked = request("What is the vendor at the bottom left?")
    stream = make_graph().astream(
        asked, context=context(document=VENDORS), stream_mode="custom", subgraphs=True
    )
    async for _, event in stream:
        seen.append(event["event"])  # type: ignore[index]
    steps = ["question_analysis", "relevant_area_concentration", "answer_formation"]
    without_pages = [event for event in seen if event != "page"]
    mending = ["plan", "question", *steps, "check", "verdict", "correction", "question"]
    assert without_pages[: len(mending)] == mending
    assert without_pages[-4:] == [*steps, "verdict"]


# -- mending -------------------------------------------------------------------------------------------------


def test_the_papers_case_is_mended_at_step_two_without_a_language_model() -> None:
    """Two vendors; the question says which; the first reading takes the other one."""
    question, reader = "What is the vendor at the bottom left?", FakeReader()
    state = make_graph().invoke(request(question), context=context(reader=reader, document=VENDORS))
    found = state["answers"][0]
    assert (found["answer"], found["verdict"], found["calls"]) == ("Zeta AG", "satisfied", 2)
    first, second = (asked.correction for asked in reader.calls)
    assert first is None and second and second.step == "area" and second.spatial == "bottom left"


def test_the_same_by_a_persons_box() -> None:
    graph = build_workflow().compile(checkpointer=InMemorySaver())
    ctx = context(document=VENDORS, max_attempts=1, review=True, second_opinion=False)
    waiting = graph.invoke(request("What is the vendor at the bottom left?"), THREAD, context=ctx)
    (interrupt,) = waiting["__interrupt__"]
    assert interrupt.value["answer"] == "Acme GmbH" and interrupt.value["reasons"]
    box = [0, 700, 1000, 1000]
    reply = {"correction": {"step": "area", "page": 1, "boxes": [box]}}
    state = graph.invoke(Command(resume={interrupt.id: reply}), THREAD, context=ctx)
    found = state["answers"][0]
    assert (found["answer"], found["by"], found["calls"]) == ("Zeta AG", "person", 2)


def test_two_runs_on_one_reader_each_correct_their_own_attempt() -> None:
    """One waits for a person while the other asks the same question elsewhere; then a new process goes on."""
    graph, shared = build_workflow().compile(checkpointer=InMemorySaver()), FakeReader()
    options: dict[str, Any] = {"max_attempts": 1, "review": True, "second_opinion": False}
    first: Any = {"configurable": {"thread_id": "first"}}
    other: Any = {"configurable": {"thread_id": "other"}}
    asked = request("What is the vendor at the bottom left?")
    ctx = context(reader=shared, document=VENDORS, **options)
    shown = [graph.invoke(asked, thread, context=ctx)["__interrupt__"][0] for thread in (first, other)]
    below = {"correction": {"step": "area", "page": 1, "boxes": [[0, 700, 1000, 1000]]}}
    graph.invoke(Command(resume={shown[1].id: below}), other, context=ctx)
    again = {"correction": {"step": "answer", "expected_type": "name"}}
    restarted = FakeReader()
    ctx = context(reader=restarted, document=VENDORS, **options)
    graph.invoke(Command(resume={shown[0].id: again}), first, context=ctx)
    (call,) = restarted.calls
    assert call.previous and call.previous.answer == "Acme GmbH"


@pytest.mark.parametrize(
    ("reply", "answer", "verdict"),
    [
        ({"accept": True}, "Acme GmbH", "satisfied"),
        ({"answer": "Zeta"}, "Zeta", "satisfied"),
        ({"absent": True}, None, "satisfied"),
    ],
)
def test_a_person_accepts_or_writes(reply: Any, answer: str | None, verdict: str) -> None:
    graph = build_workflow().compile(checkpointer=InMemorySaver())
    ctx = context(document=VENDORS, max_attempts=1, review=True, second_opinion=False)
    waiting = graph.invoke(request("What is the vendor at the bottom left?"), THREAD, context=ctx)
    state = graph.invoke(Command(resume={waiting["__interrupt__"][0].id: reply}), THREAD, context=ctx)
    assert [(a["answer"], a["verdict"], a["by"]) for a in state["answers"]] == [(answer, verdict, "person")]


def test_an_answer_less_sure_than_asked_waits_for_a_person() -> None:
    graph = build_workflow().compile(checkpointer=InMemorySaver())
    document = document_from_text("Total:   12.50", name="invoice.pdf")
    ctx = context(document=document, review=True, min_confidence=1.0)
    waiting = graph.invoke(request("What is the total of the widgets?"), THREAD, context=ctx)
    (interrupt,) = waiting["__interrupt__"]
    assert interrupt.value["answer"] == "12.50" and interrupt.value["verdict"] == "failed"
    assert interrupt.value["reasons"][-1].endswith("under 1.00.")
    state = graph.invoke(Command(resume={interrupt.id: {"accept": True}}), THREAD, context=ctx)
    assert [(a["verdict"], a["by"]) for a in state["answers"]] == [("satisfied", "person")]


def test_what_nobody_mends_comes_back_marked() -> None:
    state = make_graph().invoke(
        request("What is the vendor at the bottom left?"),
        context=context(document=VENDORS, max_attempts=1, second_opinion=False),
    )
    found = state["answers"][0]
    assert found["verdict"] == "max_iterations_reached" and found["reasons"]


def test_several_wait_for_a_person_together() -> None:
    graph = build_workflow().compile(checkpointer=InMemorySaver())
    ctx = context(document=VENDORS, max_attempts=1, review=True, second_opinion=False)
    asked = request("What is the vendor at the bottom left?", "What is the vendor at the bottom?")
    waiting = graph.invoke(asked, THREAD, context=ctx)["__interrupt__"]
    replies = {one.id: {"answer": one.value["name"]} for one in waiting}
    state = graph.invoke(Command(resume=replies), THREAD, context=ctx)
    assert len(waiting) == 2
    assert [answer["answer"] for answer in state["answers"]] == [
        answer["name"] for answer in state["answers"]
    ]


def test_a_plan_is_shown_and_edited_before_it_runs() -> None:
    graph, reader = build_workflow().compile(checkpointer=InMemorySaver()), FakeReader()
    ctx = context(reader=reader, approve=True)
    waiting = graph.invoke(request("What is the fax?"), THREAD, context=ctx)
    shown = waiting["__interrupt__"][0].value
    assert shown["kind"] == "plan" and "fax" in shown["text"] and not reader.calls
    edited = plan(PlannedQuestion(name="total", text="What is the total?"))["task"]
    state = graph.invoke(Command(resume={"plan": edited}), THREAD, context=ctx)
    assert plain(state["answers"]) == ["12.50"]


# -- constraints ---------------------------------------------------------------------------------------------

SUMS = [
    PlannedQuestion(name="subtotal", text="What is the subtotal?", type="money"),
    PlannedQuestion(name="tax", text="What is the tax?", type="money"),
    PlannedQuestion(name="total", text="What is the total?", type="money"),
]
ADDS_UP = [Constraint(kind="sum", terms=["subtotal", "tax"], total="total")]


def misread(rows: list[tuple[str, str, str]]) -> Document:
    """A picture of keys and amounts, and words that say something else for some of them: (key, printed,
    read).
    """
    width, height = 900, 120 * len(rows) + 60
    image = Image.new("L", (width, height), "white")
    draw, letters, lines = ImageDraw.Draw(image), font(44), []
    for number, (key, printed, read) in enumerate(rows):
        y = 40 + 120 * number
        for x, shown, said in ((60, key, key), (600, printed, read)):
            draw.text((x, y), shown, font=letters, fill="black")
            box = Box.from_pixels(*draw.textbbox((x, y), shown, font=letters), width=width, height=height)
            lines.append(Line((Word(said, box, 0.9),)))
    page = Page(1, width, height, tuple(lines), image, "given")
    return Document("invoice.pdf", "0" * 64, (page,))


@needs_tesseract
def test_a_misread_digit_is_found_by_arithmetic_and_mended_by_reading_again() -> None:
    document = misread(
        [("Subtotal", "118.00", "118.00"), ("Tax", "7.08", "7.08"), ("Total", "125.08", "126.08")]
    )
    state = make_graph().invoke(plan(*SUMS, constraints=ADDS_UP), context=context(document=document))
    assert plain(state["answers"]) == ["118.00", "7.08", "125.08"]
    assert [answer["verdict"] for answer in state["answers"]] == ["satisfied"] * 3
    assert state["answers"][2]["cot"]["signals"]["reread"] == 1.0


@needs_tesseract
def test_a_sum_that_the_page_itself_gets_wrong_is_flagged_and_nothing_is_made_up() -> None:
    document = misread(
        [("Subtotal", "118.00", "118.00"), ("Tax", "7.08", "7.08"), ("Total", "126.08", "126.08")]
    )
    state = make_graph().invoke(plan(*SUMS, constraints=ADDS_UP), context=context(document=document))
    assert plain(state["answers"]) == ["118.00", "7.08", "126.08"]
    assert any(answer["verdict"] != "satisfied" and answer["reasons"] for answer in state["answers"])


def test_items_are_the_column_that_adds_up() -> None:
    receipt = document_from_text(
        "Tea       2.00\nBread     3.50\nSubtotal  5.50\nTax       0.33\nTotal     5.83", name="invoice.pdf"
    )
    items = PlannedQuestion(name="items", text="What are the item amounts?", type="money", is_list=True)
    asked = plan(
        items, *SUMS[1:], constraints=[Constraint(kind="sum", terms=["items", "tax"], total="total")]
    )
    state = make_graph().invoke(asked, context=context(document=receipt))
    assert plain(state["answers"]) == ["2.00; 3.50", "0.33", "5.83"]
    assert [answer["verdict"] for answer in state["answers"]] == ["satisfied"] * 3


# -- several readers -----------------------------------------------------------------------------------------


class _Shortsighted(FakeReader):
    """Takes the neighbour's value, unsure, on a page of more than two lines; near by it reads well."""

    def ask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        from dataclasses import replace

        cot = super().ask(document, question, **options)
        lines = document.pages[0].lines or ()
        if len(lines) > 4:
            wrong = lines[1].words
            evidence = replace(cot.evidence[0], text=wrong[0].text, box=wrong[0].box, words=((1, 0),))
            return replace(cot, answer=wrong[0].text, evidence=(evidence,), confidence=0.1)
        return cot


def test_the_critic_prefers_what_two_readers_agree_on() -> None:
    page = "Due:   42\n\n\n\n\n\n\n\nTotal:   12.50\n\n\n\n\n\n\nBye:    now"
    document = document_from_text(page, name="invoice.pdf")
    asked = plan(PlannedQuestion(name="total", text="What is the total?"))
    reader = _Shortsighted()
    without = make_graph().invoke(
        asked, context=context(reader=reader, document=document, max_attempts=1, second_opinion=False)
    )
    state = make_graph().invoke(asked, context=context(reader=reader, document=document, max_attempts=1))
    assert plain(without["answers"]) == ["42"] and without["answers"][0]["verdict"] != "satisfied"
    assert plain(state["answers"]) == ["12.50"]
    assert state["answers"][0]["calls"] == 3


# -- with a chat model ---------------------------------------------------------------------------------------


def test_a_scripted_planner_and_a_judge_that_is_wrong() -> None:
    """The planner reads what the rules don't; the judge calls a right answer wrong, and the page's proof
    stands.
    """
    planned = plan(PlannedQuestion(name="total", text="What is the total?", type="money"))["task"]
    planner = ScriptedChatModel(turns=[call_tool("Plan", **planned)])
    judge = ScriptedChatModel(turns=[call_tool("Opinion", right=False, reason="I feel that it is 99.")])
    asked: Any = {"document": "invoice.pdf", "task": "Summarise what we owe these people"}
    state = make_graph().invoke(asked, context=context(planner=planner, judge=judge))
    assert plain(state["answers"]) == ["12.50"] and state["answers"][0]["verdict"] == "satisfied"
    assert judge.seen


def test_an_invalid_plan_of_the_model_falls_back_on_the_rules() -> None:
    planner = ScriptedChatModel(turns=[call_tool("Plan", questions=[{"name": "no name!", "text": ""}])])
    asked: Any = {
        "document": "invoice.pdf",
        "task": "Find the total and the VAT of the annual budget; explain the tone of the letter",
    }
    state = make_graph().invoke(asked, context=context(planner=planner))
    assert "12.50" in plain(state["answers"]) and state["notes"]


# -- durability ----------------------------------------------------------------------------------------------


def test_a_thread_can_be_used_again(tmp_path: Path) -> None:
    """Each run starts without the results of the last one, and what is checkpointed is plain JSON."""
    with sqlite3.connect(tmp_path / "checkpoints.sqlite", check_same_thread=False) as connection:
        graph = build_workflow().compile(checkpointer=SqliteSaver(connection))
        first = graph.invoke(
            request("What is the total?", "What is the invoice no?"), THREAD, context=context()
        )
        second = graph.invoke(request("What is the invoice no?"), THREAD, context=context())
        kept = graph.get_state(THREAD).values
    assert plain(first["answers"]) == ["12.50", "4711"]
    assert plain(second["answers"]) == ["4711"]
    assert kept["answers"] == second["answers"]
    assert json.loads(json.dumps(kept)) == kept


def test_a_thread_forgets_the_record_of_an_earlier_task() -> None:
    graph = build_workflow().compile(checkpointer=InMemorySaver())
    schema = {"type": "object", "properties": {"total": {"type": "number"}}}
    first = graph.invoke({"document": "invoice.pdf", "task": schema}, THREAD, context=context())
    second = graph.invoke(request("What is the invoice no?"), THREAD, context=context())
    assert first["record"] == {"total": 12.5} and second["record"] == {} == second["fields"]


def test_langgraph_json_names_a_factory() -> None:
    settings = json.loads((ROOT / "langgraph.json").read_text())
    for place in settings["graphs"].values():
        path, _, name = place.partition(":")
        spec = importlib.util.spec_from_file_location("served", ROOT / path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        graph = getattr(module, name)()
        assert graph.checkpointer is None
        assert set(graph.get_input_jsonschema()["properties"]) == {"document", "task", "page", "schema"}
        settable = {
            "max_attempts",
            "disabled_checks",
            "second_opinion",
            "min_confidence",
            "approve",
            "review",
        }
        assert (
            set(graph.get_context_jsonschema()["properties"]) == settable
        )  # a server drops what is not among them


def test_without_a_context_the_tool_of_the_package_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    state = make_graph().invoke(request("What is a?", document="absent.pdf"))
    assert "no file 'absent.pdf'" in state["answers"][0]["error"]


@pytest.fixture
def two_pages(tmp_path: Path) -> Context:
    """A file: a tool that is asked about one page of it opens that page alone."""
    rows = ("Subtotal", "5.00"), ("Tea", "2.00"), ("Bread", "3.00")
    first = "".join(
        text(f"{k}:", 72, 700 - 60 * n) + text(v, 300, 700 - 60 * n) for n, (k, v) in enumerate(rows)
    )
    second = text("Tax:", 72, 700) + text("1.00", 300, 700) + text("Total:", 72, 640) + text("7.00", 300, 640)
    (tmp_path / "invoice.pdf").write_bytes(make_pdf(first, second))
    return Context(LayoutLLMTool(reader=FakeReader(), access=Access(roots=(tmp_path,))), second_opinion=False)


def test_a_sum_over_several_pages_is_settled(two_pages: Context, tmp_path: Path) -> None:
    paged = [
        question.model_copy(update={"page": page}) for question, page in zip(SUMS, (1, 2, 2), strict=True)
    ]
    asked = plan(*paged, constraints=ADDS_UP) | {"document": str(tmp_path / "invoice.pdf")}
    state = make_graph().invoke(asked, context=two_pages)
    assert plain(state["answers"]) == ["5.00", "1.00", "7.00"]
    assert any(answer["verdict"] != "satisfied" for answer in state["answers"])


def test_a_column_on_another_page_than_its_total(two_pages: Context, tmp_path: Path) -> None:
    items = PlannedQuestion(name="items", text="What is the Tea?", type="money", is_list=True, page=1)
    total = SUMS[2].model_copy(update={"page": 2})
    asked = plan(items, total, constraints=[Constraint(kind="sum", terms=["items"], total="total")])
    state = make_graph().invoke(asked | {"document": str(tmp_path / "invoice.pdf")}, context=two_pages)
    assert plain(state["answers"])[1] == "7.00" and "2.00" in (plain(state["answers"])[0] or "")


def test_the_judges_mark_outlives_the_constraints() -> None:
    receipt = document_from_text("Subtotal  5.00\nTax       1.00\nTotal     7.00", name="invoice.pdf")
    judge = ScriptedChatModel(turns=[call_tool("Opinion", right=False, reason="I doubt it.")])
    state = make_graph().invoke(
        plan(*SUMS, constraints=ADDS_UP), context=context(document=receipt, judge=judge)
    )
    assert all(any("I doubt it." in reason for reason in answer["reasons"]) for answer in state["answers"])


def test_what_another_answer_says_is_asked_for_and_says_nothing_of_where_to_look() -> None:
    """A document whose words read like spatial ones steers no check."""
    page = f"Number:   bottom left{' ' * 40}x\nowner of bottom left   Ann\n\n\n\n\nowner:   Bob"
    document = document_from_text(page, name="invoice.pdf")
    asked = plan(
        PlannedQuestion(name="number", text="What is the number?"),
        PlannedQuestion(name="owner", text="Who is the owner of {number}?"),
    )
    state = make_graph().invoke(asked, context=context(document=document))
    assert state["answers"][1]["question"] == "Who is the owner of bottom left?"
    assert not any("The question says" in reason for reason in state["answers"][1]["reasons"])


def test_every_call_counts() -> None:
    receipt = document_from_text(
        "Subtotal  5.00\nTax       1.00\nTotal     7.00\nTotal due  6.00", name="invoice.pdf"
    )
    reader = FakeReader()
    state = make_graph().invoke(
        plan(*SUMS, constraints=ADDS_UP),
        context=context(reader=reader, document=receipt, second_opinion=False),
    )
    assert sum(answer["calls"] for answer in state["answers"]) == len(reader.calls) > 3
