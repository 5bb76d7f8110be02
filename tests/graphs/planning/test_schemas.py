"""Schemas and pydantic models become plans."""

import datetime
import time
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from layoutllm_graphs.planning.plan import Column, Plan
from layoutllm_graphs.planning.planner import plan_task
from layoutllm_graphs.testing import ScriptedChatModel
from layoutllm_tool.errors import PlanError
from tests.graphs.planning.questions import put


class Address(BaseModel):
    street: str
    zip_code: Annotated[str, Field(pattern=r"^\d{5}$")]


class Colour(StrEnum):
    """Colours of the form."""

    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    description: str
    amount: Decimal


class Invoice(BaseModel):
    """What is wanted of an invoice."""

    vendor: str
    invoiceNumber: str  # noqa: N815  as people name properties
    issued_at: datetime.date
    due_date: datetime.date | None = None
    total: Decimal
    pages: int
    currency: Literal["USD", "EUR"]
    copy_colour: Colour | None
    paid: bool
    approved_by: str = Field(description="Who approved the payment?")
    account: str = Field(description="Account the money goes to.")
    reference: str = Field(title="Our ref.")
    remark: str | None = Field(
        description="Whatever was written by hand in the margins, on the back or across the page"
    )
    seller_address: Address
    items: list[Item]
    tags: list[str] = []


def asked(name: str, text: str, kind: str = "text", *, path: tuple[str, ...] = (), **more: Any) -> Any:
    return put(name, text, kind, path=list(path or (name,)), **more)


INVOICE = [
    asked("vendor", "Which company issued this document?", "name"),
    asked("invoiceNumber", "What is the invoice number?"),
    asked("issued_at", "What is the issued at?", "date"),
    asked("due_date", "What is the due date?", "date", required=False),
    asked("total", "What is the total?", "money"),
    asked("pages", "What is the pages?", "number"),
    asked("currency", "What is the currency?", choices=["USD", "EUR"]),
    asked("copy_colour", "What is the copy colour?", choices=["red", "blue"], required=False),
    asked("paid", "Is it paid?", choices=["yes", "no"]),
    asked("approved_by", "Who approved the payment?"),
    asked("account", "What is the account, that is: Account the money goes to?"),
    asked("reference", "What is the Our ref.?"),
    asked(
        "remark",
        "What is the remark, that is: "
        "Whatever was written by hand in the margins, on the back or across the page?",
        required=False,
    ),
    asked("seller_address_street", "What is the seller address street?", path=("seller_address", "street")),
    asked(
        "seller_address_zip_code", "What is the seller address zip code?", path=("seller_address", "zip_code")
    ),
    asked(
        "items",
        'What are the rows of "items" in the given document?',
        is_list=True,
        columns=[
            Column(name="description", words="description", path=["description"]),
            Column(name="amount", words="amount", type="money", path=["amount"]),
        ],
    ),
    asked("tags", "What are the tags?", is_list=True, required=False),
]


def test_a_pydantic_model() -> None:
    planned = plan_task(Invoice)
    assert planned.plan.questions == INVOICE
    assert (
        planned
        == plan_task(Invoice.model_json_schema())
        == plan_task(Invoice, model=ScriptedChatModel(turns=[]))
    )
    assert planned.source == "rules" and planned.notes == ()


def test_a_schema_by_hand() -> None:
    schema = {
        "type": "object",
        "required": ["Invoice No.", "mail", "size", "kind"],
        "properties": {
            "Invoice No.": {"type": "string"},
            "mail": {"type": "string", "format": "email"},
            "when": {"type": "string", "format": "date-time"},
            "size": {"enum": ["S", "M", None, 4]},
            "kind": {"const": "invoice"},
            "fee": {"type": ["integer", "null"]},
            "lines": {"type": "array", "items": {"$ref": "#/definitions/a~1b"}},
            "evil": {"type": "string", "description": "Ask {vendor}\x1b[2J\nnow"},
        },
        "definitions": {"a/b": {"anyOf": [{"type": "number"}, {"type": "null"}], "title": "Line"}},
    }
    assert plan_task(schema).plan.questions == [
        asked("invoice_no", "What is the Invoice No.?", path=("Invoice No.",)),
        asked("mail", "What is the mail?", "email"),
        asked("when", "What is the when?", "date", required=False),
        asked("size", "What is the size?", choices=["S", "M", "4"], required=False),
        asked("kind", "What is the kind?", choices=["invoice"]),
        asked("fee", "What is the fee?", "money", required=False),
        asked("lines", "What are the lines?", "number", is_list=True, required=False),
        asked("evil", "What is the evil, that is: Ask (vendor) [2J now?", required=False),
    ]


def within(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}, **more}


class Node(BaseModel):
    name: str
    children: list["Node"] = []


DEEP: dict[str, Any] = {"type": "string"}
for _ in range(20):
    DEEP = within(DEEP)
WIDE = {f"d{n}": within({"$ref": f"#/$defs/d{n + 1}"}) for n in range(3)}
for level in WIDE.values():
    level["properties"] = {f"p{n}": level["properties"]["a"] for n in range(50)}


@pytest.mark.parametrize(
    ("schema", "match"),
    [
        (within({"$ref": "#"}), "refers to itself"),
        (within({"$ref": "#/$defs/b"}, **{"$defs": {"b": {"$ref": "#/$defs/b"}}}), "refers to itself"),
        (within({"$ref": "https://example.org/s.json"}), "another document"),
        (within({"$ref": "#/$defs/none"}), "lacks"),
        (within({"$ref": 5}), "another document"),
        (DEEP, "deeper than 12"),
        (
            {"$ref": "#/$defs/d0", "$defs": {**WIDE, "d3": within({"type": "string"})}},
            "more than 200|too large",
        ),
        (
            {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(201)}},
            "more than 200",
        ),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "without named properties"),
        (within({"type": "object"}), '"a" is an object without'),
        (within({"type": "array", "items": {"type": "array"}}), "array within an array"),
        (within({"type": "array", "prefixItems": []}), "tuple"),
        (within({"type": "array", "items": [{}]}), "tuple"),
        (within({"anyOf": [{"type": "string"}, {"type": "object"}]}), "different shapes"),
        (within({"anyOf": [], "oneOf": []}), "combines"),
        (within({"anyOf": "x"}), "combines"),
        (within({"type": "file"}), "of type 'file'"),
        (within({"type": ["string", "number"]}), "of type"),
        (within({"type": {}}), "of type"),
        (within({"enum": [str(n) for n in range(101)]}), "can't be offered"),
        (within({"enum": [{}]}), "can't be offered"),
        (within(True), "described by no schema"),
        (within({"type": "string"}) | {"properties": {"": {}}}, "name can't be asked for"),
        (within({"type": "string"}) | {"properties": {5: {}}}, "name can't be asked for"),
        (within({"type": "string"}) | {"properties": []}, "without named properties"),
        ({"type": "object", "$ref": "#/x", "x": {"type": "string"}}, "no object but one string"),
        ({"type": "object", "allOf": [{"type": "array"}]}, "no object but an array"),
        (Node, "refers to itself|array within an array"),
    ],
)
def test_what_no_schema_may_say(schema: Any, match: str) -> None:
    start = time.process_time()
    with pytest.raises(PlanError, match=match):
        plan_task(schema)
    assert time.process_time() - start < 2


def test_a_model_without_a_schema() -> None:
    class Odd(BaseModel):
        call: Callable[[], int]

    with pytest.raises(PlanError, match="Odd has no JSON Schema"):
        plan_task(Odd)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["string", "object",
    "array", "#", "#/$defs/a"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "properties", "items", "enum", "$ref", "anyOf", "title", "description",
        "required", "format", "const", "a", "$defs"]),
        inner, max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4), json_values)
@settings(max_examples=80, deadline=None)
def test_any_schema_plans_or_is_refused(properties: dict[str, Any], required: Any) -> None:
    try:
        planned = plan_task({"type": "object", "properties": properties, "required": required})
    except PlanError:
        return
    assert Plan.model_validate_json(planned.plan.model_dump_json()) == planned.plan
