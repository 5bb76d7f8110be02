"""Changing a run that has ended or waits: what depends on the change is done again, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import ValidationError

from layoutllm_graphs.amend import amend
from layoutllm_graphs.context import Context
from layoutllm_graphs.planning.plan import Constraint, Operation, Plan, PlannedQuestion
from layoutllm_graphs.serde import DataSerializer
from layoutllm_graphs.workflow import build_workflow
from layoutllm_tool.cot import AnswerFormation, LayoutCoT, QuestionAnalysis
from layoutllm_tool.errors import CorrectionError, PlanError
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool

PAGE = document_from_text(
    "Client:  Acme GmbH\nAcme GmbH city:  Berlin\nZeta AG city:  Rome\n"
    "Subtotal:  10.00\nTax:  2.00\nTotal:  12.00",
    name="a.pdf",
)
AMOUNTS = [
    PlannedQuestion(name=n, text=f"What is the {n}?", type="money") for n in ("subtotal", "tax", "total")
]
PLAN = Plan(
    questions=[
        PlannedQuestion(name="client", text="What is the client?"),
        PlannedQuestion(name="city", text="What is the {client} city?"),
        *AMOUNTS,
    ],
    constraints=[Constraint(kind="sum", terms=["subtotal", "tax"], total="total")],
    operations=[Operation(name="net", op="difference", of=("total", "tax"))],
)
FAX = LayoutCoT(  # said to be copied, but standing nowhere
    "What is the fax?", QuestionAnalysis("key-value", "extraction", "Fax"), (),
    AnswerFormation("right of", "x"), "0221", 0.2,
)  # fmt: skip
CONFIG: Any = {"configurable": {"thread_id": "1"}}
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}, "city": {"type": "string"}}}


class Ended:
    """A run, its graph and its reader."""

    def __init__(self, plan: Plan = PLAN, **options: Any) -> None:
        self.reader, schema = FakeReader({"What is the fax?": FAX}), options.pop("schema", None)
        tool = LayoutLLMTool(reader=self.reader, documents={"a.pdf": PAGE})
        self.graph = build_workflow().compile(checkpointer=InMemorySaver(serde=DataSerializer()))
        self.context = Context(tool=tool, second_opinion=False, **options)
        request = {"document": "a.pdf", "task": plan.model_dump(mode="json"), "schema": schema}
        self.state = self.go_on(request)

    def go_on(self, given: Any) -> dict[str, Any]:
        self.reader.calls.clear()
        self.state = self.graph.invoke(given, CONFIG, context=self.context)
        return self.state

    def amend(self, **changes: Any) -> dict[str, Any]:
        """The answers, and what was asked for them."""
        self.go_on(amend(self.graph, CONFIG, **changes))
        return {answer["name"]: answer["answer"] for answer in self.state["answers"]}

    @property
    def asked(self) -> list[str]:
        return [call.question for call in self.reader.calls]

    def verdict(self, name: str) -> str:
        return next(str(a["verdict"]) for a in self.state["answers"] if a["name"] == name)


def test_what_names_a_satisfied_answer_is_asked_again_and_nothing_else() -> None:
    run = Ended()
    assert len(run.asked) == 5
    found = run.amend(answers={"client": {"answer": "Zeta AG"}})
    assert (found["client"], found["city"], found["net"]) == ("Zeta AG", "Rome", "10.00")
    assert run.asked == ["What is the Zeta AG city?"]
    assert run.amend(answers={"client": {"accept": True}})["city"] == "Rome" and run.asked == []


def test_constraints_operations_and_the_record_follow() -> None:
    plan = Plan.model_validate(PLAN.model_dump() | {"questions": [
        q.model_dump() | ({"path": [q.name]} if q.name in ("total", "city") else {}) for q in PLAN.questions
    ]})  # fmt: skip
    run = Ended(plan, schema=SCHEMA)
    assert run.state["record"] == {"total": 12, "city": "Berlin"} and run.verdict("subtotal") == "satisfied"
    found = run.amend(answers={"total": {"answer": "13.00"}})
    assert (found["net"], run.state["record"]["total"]) == ("11.00", 13)
    assert "failed" in (run.verdict("subtotal"), run.verdict("tax")) and run.verdict("total") == "satisfied"
    assert run.amend(answers={"total": {"again": True}})["net"] == "10.00"
    assert run.state["record"]["total"] == 12 and run.verdict("subtotal") == run.verdict("tax") == "satisfied"


def test_a_wrong_answer_does_not_come_again() -> None:
    run = Ended()
    found = run.amend(answers={"city": {"wrong": True}})
    assert found["city"] != "Berlin" or run.verdict("city") == "failed"
    assert set(run.asked) == {"What is the Acme GmbH city?"}
    run = Ended()
    run.reader.answers["What is the tax?"] = next(  # a reader that will not hear
        call for call in [run.reader.ask(PAGE, "What is the tax?")]
    )
    found = run.amend(answers={"tax": {"wrong": True}})
    assert found["tax"] == "2.00" and run.verdict("tax") == "failed"
    reasons = next(a["reasons"] for a in run.state["answers"] if a["name"] == "tax")
    assert "A person says that this answer is wrong." in reasons


def test_another_plan_keeps_the_answers_that_it_leaves_as_they_were() -> None:
    run = Ended()
    questions = [q for q in PLAN.questions if q.name != "client"]
    questions[0] = PlannedQuestion(name="city", text="What is the Zeta AG city?")
    found = run.amend(plan=Plan(questions=[*reversed(questions)], constraints=PLAN.constraints))
    assert list(found.items()) == [
        ("total", "12.00"),
        ("tax", "2.00"),
        ("subtotal", "10.00"),
        ("city", "Rome"),
    ]
    assert run.asked == ["What is the Zeta AG city?"]
    found = run.amend(plan=PLAN, answers={"total": {"answer": "12.50"}})
    assert (found["city"], found["total"], found["net"]) == ("Berlin", "12.50", "10.50")
    assert run.asked == ["What is the client?", "What is the Acme GmbH city?"]


def test_a_run_that_waits_is_amended_and_waits_on_for_the_rest() -> None:
    plan = Plan(questions=[
        PlannedQuestion(name="fax", text="What is the fax?"), *PLAN.questions,
    ])  # fmt: skip
    run = Ended(plan, review=True, max_attempts=1)
    waiting = [one.value["name"] for one in run.state["__interrupt__"]]
    assert waiting == ["fax"]
    run.amend(answers={"client": {"answer": "Zeta AG"}})
    assert [one.value["name"] for one in run.state["__interrupt__"]] == ["fax"]
    assert "What is the Zeta AG city?" in run.asked
    run.go_on(Command(resume={"absent": True}))
    assert {a["name"]: a["answer"] for a in run.state["answers"]}["city"] == "Rome"


def test_what_is_no_amendment_changes_nothing() -> None:
    run = Ended()
    before = run.graph.get_state(CONFIG).config
    none: Any = {"configurable": {"thread_id": "2"}}
    with pytest.raises(PlanError, match="no run to amend"):
        amend(run.graph, none, answers={"total": {"accept": True}})
    with pytest.raises(PlanError, match="called net, vat"):
        amend(run.graph, CONFIG, answers={"net": {"accept": True}, "vat": {"again": True}})
    with pytest.raises(ValidationError, match="exactly one of"):
        amend(run.graph, CONFIG, answers={"total": {"wrong": True, "again": True}})
    with pytest.raises(CorrectionError):
        amend(run.graph, CONFIG, answers={"total": {"correction": {"step": "area"}}})
    run.amend(answers={"total": {"absent": True}})
    with pytest.raises(CorrectionError, match="no answer that could be wrong"):
        amend(run.graph, CONFIG, answers={"total": {"wrong": True}})
    assert run.graph.get_state(CONFIG).config != before
