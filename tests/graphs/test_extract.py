"""Typed records through the workflow: rows, ticks, marks, problems, and what a person sees of them."""

from datetime import date
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from layoutllm_graphs.context import Context
from layoutllm_graphs.extract import Extraction, extract
from layoutllm_tool import LayoutLLMTool
from layoutllm_tool.errors import PlanError
from layoutllm_tool.testing import FakeReader, document_from_text

INVOICE = document_from_text(
    """Northwind Traders                      PAID
Invoice no:   4711
Due date:     3 April 2025

Description        Quantity   Unit price   Amount
Blue widgets              2         3.50     7.00
Red widgets              10         1.20    12.00
Subtotal                                    19.00

Total:        £19.00"""
)


class Item(BaseModel):
    description: str
    quantity: int
    unit_price: Decimal
    amount: Decimal


class Invoice(BaseModel):
    invoice_no: str
    due_date: date
    total: Decimal
    currency: Literal["EUR", "GBP"]
    paid: bool = Field(description='True if the invoice is stamped "PAID"')
    overdue: bool = Field(description='True if the invoice is stamped "OVERDUE"')
    items: list[Item]


def read(schema: Any, document: Any = INVOICE, **options: Any) -> Any:
    tool = LayoutLLMTool(reader=FakeReader(), documents={document.name: document})
    return extract(document, schema, context=Context(tool=tool, **options))


def test_an_instance_with_rows_ticks_and_marks() -> None:
    found = read(Invoice)
    assert found.errors == [] and found.doubtful == {}
    invoice = found.instance
    assert invoice.due_date == date(2025, 4, 3) and invoice.total == Decimal("19.00")
    assert invoice.currency == "GBP" and invoice.paid is True and invoice.overdue is False
    assert [(i.description, i.quantity, i.unit_price, i.amount) for i in invoice.items] == [
        ("Blue widgets", 2, Decimal("3.50"), Decimal("7.00")),
        ("Red widgets", 10, Decimal("1.20"), Decimal("12.00")),
    ]
    cell = found.fields["/items/1/amount"]
    assert cell["text"] == "12.00" and cell["page"] == 1
    assert cell["box"][1] > found.fields["/due_date"]["box"][1]


def test_what_is_required_and_missing_is_loud() -> None:
    class More(Invoice):
        delivery_note: str

    found = read(More)
    assert found.instance is None and found.record["delivery_note"] is None
    field = found.fields["/delivery_note"]
    assert field["verdict"] == "failed" and field["problem"] == "missing"
    assert list(found.doubtful) == ["/delivery_note"] and found.errors[0].startswith("delivery_note")


def test_a_table_without_the_columns_gives_no_rows_and_says_so() -> None:
    class Trip(BaseModel):
        departure: str
        platform: str
        gate: str

    class Ticket(BaseModel):
        trips: list[Trip]

    text = document_from_text("Dear Sir,\nthank you for your letter of last week.\nYours, A. Smith")
    found = read(Ticket, text)
    assert found.record == {"trips": []}
    assert found.fields["/trips"]["problem"] == "no_rows" and found.fields["/trips"]["verdict"] == "failed"


def test_values_outside_the_enum_are_null_and_keep_their_text() -> None:
    class Order(BaseModel):
        invoice_no: Literal["A", "B"]

    found = read(Order)
    field = found.fields["/invoice_no"]
    assert found.record == {"invoice_no": None} and field["problem"] == "outside_enum"
    assert field["text"] == "4711"


def test_less_sure_than_asked_is_doubtful() -> None:
    sure = read(Invoice, min_confidence=0.0)
    strict = read(Invoice, min_confidence=1.0)
    assert not sure.doubtful and "/currency" in strict.doubtful
    assert strict.record == sure.record


def test_rows_within_rows() -> None:
    class Extra(BaseModel):
        text: str
        price: Decimal

    class Dish(BaseModel):
        name: str
        price: Decimal
        extras: list[Extra]

    class Bill(BaseModel):
        dishes: list[Dish]

    bill = document_from_text(
        "Cafe Uno\n\n\n\nBurger             9.50\n    Extra cheese   1.00\nSalad              7.00\n"
        "Soup               5.00\n\nTotal             22.50"
    )
    dishes = read(Bill, bill).record["dishes"]
    assert [dish["name"] for dish in dishes] == ["Burger", "Salad", "Soup"]
    assert dishes[0]["extras"] == [{"text": "Extra cheese", "price": 1}] and dishes[1]["extras"] == []


def test_a_schema_that_is_not_covered_is_refused() -> None:
    with pytest.raises(PlanError, match="tuple"):
        read({"type": "object", "properties": {"a": {"type": "array", "prefixItems": []}}})


def test_a_page_restricts_rows_ticks_and_marks() -> None:
    class Line(BaseModel):
        description: str
        amount: Decimal

    class Page(BaseModel):
        paid: bool = Field(description='True if stamped "PAID"')
        currency: Literal["EUR", "USD"]
        shipping: Literal["express", "normal"]
        lines: list[Line]

    two = document_from_text(
        "PAID\nCurrency: EUR\n[x] express  [ ] normal\n"
        "Description    Amount\nPen              3.00\nInk              4.00",
        "Currency: USD\n[ ] express  [x] normal\n"
        "Description    Amount\nCap              5.00\nMug              6.00",
    )
    tool = LayoutLLMTool(reader=FakeReader(), documents={two.name: two})
    found = extract(two, Page, page=2, context=Context(tool=tool))
    assert {field["page"] for field in found.fields.values() if field["text"]} == {2}
    assert found.record["paid"] is False and found.record["currency"] == "USD"
    assert found.record["shipping"] == "normal"
    assert [line["description"] for line in found.record["lines"]] == ["Cap", "Mug"]


class Street(BaseModel):
    street: str


class Carrier(BaseModel):
    carrier_name: str
    address: Street
    stops: list[Street]


def test_what_may_be_null_is_null_with_all_that_is_in_it() -> None:
    class Order(BaseModel):
        invoice_no: str
        carrier: Carrier | None

    found = read(Order)
    assert found.record == {"invoice_no": "4711", "carrier": None} and not found.doubtful
    assert found.instance == Order(invoice_no="4711", carrier=None)


def test_defaults_stand_where_the_document_says_nothing() -> None:
    class Order(BaseModel):
        invoice_no: str
        iban: str = "none"
        discount: Decimal = Decimal(0)

    found = read(Order)
    assert found.record["iban"] is None and found.errors == []
    assert found.instance == Order(invoice_no="4711")


def test_no_default_stands_for_what_was_not_understood() -> None:
    class Order(BaseModel):
        invoice_no: Literal["A", "B"] = "A"

    found = read(Order)
    assert found.instance is None and found.errors and "/invoice_no" in found.doubtful


def test_rows_that_hold_rows_alone() -> None:
    class Group(BaseModel):
        lots: list[Item]

    class Groups(BaseModel):
        groups: list[Group]

    assert read(Groups).fields["/groups"]["problem"] == "no_rows"


def test_a_table_that_is_cut_is_doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("layoutllm_tool.extraction.tables", "layoutllm_graphs.structure"):
        monkeypatch.setattr(f"{module}.MOST_ROWS", 2)
    found = read(Invoice)
    answer = found.fields["/items/0/amount"]
    assert answer["verdict"] == "failed" and "Only the first 2 rows" in " ".join(answer["reasons"])


def test_an_object_that_is_there_in_part_lacks_what_it_needs() -> None:
    class Contact(BaseModel):
        iban: str
        note: str | None

    class Payment(BaseModel):
        invoice_no: str
        contact: Contact

    class Order(BaseModel):
        payment: Payment | None

    found = read(Order)
    assert found.instance is None and list(found.doubtful) == ["/payment/contact/iban"]
    assert found.fields["/payment/contact/iban"]["problem"] == "missing"


def test_a_row_s_object_that_is_there_in_part_lacks_what_it_needs() -> None:
    class Price(BaseModel):
        unit_price: Decimal
        colour: str

    class Line(BaseModel):
        description: str
        origin: Price | None

    class Order(BaseModel):
        lines: list[Line]

    assert set(read(Order).doubtful) == {"/lines/0/origin/colour", "/lines/1/origin/colour"}


def test_what_the_structure_leaves_open_is_asked_once() -> None:
    fields = {"currency": {"enum": ["EUR", "USD"]}, "total": {"type": "number"}, "colour": {"type": "string"}}
    document = document_from_text("Currency:   EUR\nTotal:   12.50\nColour of the boat:   red")
    reader = FakeReader()
    found: Extraction[Any] = extract(document, {"type": "object", "properties": fields}, reader=reader)
    assert found.record["currency"] == "EUR" and found.record["total"] == 12.5
    assert {call.question for call in reader.calls} == {"What is the colour?"}


class Parcel(BaseModel):
    invoice_no: UUID
    items: list[Item] = Field(min_length=3)


def test_what_only_the_model_knows_is_doubtful_too() -> None:
    found = read(Parcel)
    assert found.instance is None and {"/invoice_no", "/items"} <= found.doubtful.keys()
