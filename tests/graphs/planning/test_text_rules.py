"""Tasks in words and lists become plans by rule."""

from collections.abc import Sequence

import pytest

from layoutllm_graphs.planning.plan import Constraint, Plan, PlannedQuestion
from layoutllm_graphs.planning.planner import plan_task
from layoutllm_tool.errors import PlanError
from tests.graphs.planning.questions import (
    DATE,
    DUE,
    NUMBER,
    PAGES,
    SUBTOTAL,
    TAX,
    TOTAL,
    VENDOR,
    adds_up,
    column,
    items,
    meant,
    ordered,
    printed,
    put,
    same,
    table,
)

UNDERSTOOD: list[tuple[str, list[PlannedQuestion | Constraint]]] = [
    # lists of fields
    ("vendor", [VENDOR]),
    ("Extract vendor, invoice number, date and total", [VENDOR, NUMBER, DATE, TOTAL]),
    ("invoice number; vendor\ntotal", [NUMBER, VENDOR, TOTAL]),
    ("Please extract the following fields:\n- vendor\n- date\n- total", [VENDOR, DATE, TOTAL]),
    ("1. vendor\n2. date\n3) total", [VENDOR, DATE, TOTAL]),
    ("Extract: 1) vendor 2) date 3) total", [VENDOR, DATE, TOTAL]),
    ("Hello, could you please extract the vendor and the total from the attached invoice? Thanks!", [VENDOR,
    TOTAL]),
    ("From the invoice, extract the vendor and the due date.", [VENDOR, DUE]),
    ("Please read this receipt and give me: vendor, date, total.", [VENDOR, DATE, TOTAL]),
    ("Return JSON with vendor, date and total.", [VENDOR, DATE, TOTAL]),
    ("Extract: vendor (string), total (number), date (YYYY-MM-DD)", [VENDOR, TOTAL, DATE]),
    ("I need to know who the vendor is and what the total is", [VENDOR, TOTAL]),
    ("Extract {vendor} and {{total}}", [VENDOR, TOTAL]),
    ("vendor, total, vendor", [VENDOR, TOTAL]),
    ("Extract total, if present, and tip (optional)", [TOTAL.model_copy(update={"required": False}),
    meant("tip", "tip", "money", required=False)]),
    ("Extract the invoice no. and date.", [meant("invoice_no", "invoice number"), DATE]),
    ("Get me the seller's name and address", [meant("seller_name", "company", "name"), meant("seller_address",
    "seller address", "address")]),
    ("name and phone of the buyer and of the seller", [meant("buyer_name", "buyer name", "name"),
    meant("buyer_phone", "buyer phone", "phone"), meant("seller_name", "company", "name"),
    meant("seller_phone", "seller phone", "phone")]),
    ("start and end date", [meant("start_date", "start date", "date"), meant("end_date", "end date",
    "date")]),
    ("the amount and the date of birth of the patient", [meant("amount", "amount", "money"),
    meant("date_of_birth_of_the_patient", "date of birth of the patient", "date")]),
    ("phone, e-mail and VAT number", [meant("phone", "phone number", "phone"), meant("e_mail", "e-mail",
    "email"), meant("vat_number", "VAT number")]),
    ("Extract terms and conditions and shipping and handling", [meant("terms_and_conditions",
    "terms and conditions"), meant("shipping_and_handling", "shipping and handling", "money")]),
    ('Extract "PO No." and “Ship date” from this form.', [printed("po_no", "PO No."), printed("ship_date",
    "Ship date", "date")]),
    ('the "R&D, and more" field', [printed("r_d_and_more", "R&D, and more")]),
    ("Give me all dates", [column("dates", "dates", "date")]),
    ("List all the item descriptions and quantities", [column("item_descriptions", "item descriptions"),
    column("quantities", "quantities", "number")]),
    ("patient name, date of birth, blood type", [meant("patient_name", "patient name", "name"),
    meant("date_of_birth", "date of birth", "date"), meant("blood_type", "blood type")]),
    ("Company, Due Date, VAT and container numbers", [meant("company", "company", "name"), DUE, meant("vat",
    "VAT", "money"), column("container_numbers", "container numbers")]),
    ("Read the vendor and the line items (description, quantity and amount).", [VENDOR,
    table("line_items", "line items", description="text", quantity="number", amount="money")]),
    ("list every line item with its description and unit price; total", [
    table("line_items", "line items", description="text", unit_price="money"), TOTAL]),
    ("all withdrawals, each with date and amount", [
    table("withdrawals", "withdrawals", date="date", amount="money")]),
    # questions
    ("What is the total?", [put("total", "What is the total?", "money")]),
    ("What are the vendor, the date and the total?", [VENDOR, DATE, TOTAL]),
    ("What is the total and who is the vendor?", [put("total", "What is the total?", "money"), put("vendor",
    "Who is the vendor?", "name")]),
    ("Who signed the letter? When was it sent?", [put("who_signed_letter", "Who signed the letter?", "name"),
    put("when_it_sent", "When was it sent?", "date")]),
    ('What is the content in the "TO:" field?', [put("to", 'What is the content in the "TO:" field?')]),
    ("How many pages are there?", [put("how_many_pages_there", "How many pages are there?", "number")]),
    ("Is it signed?", [put("it_signed", "Is it signed?", required=False)]),
    ("Find out who sent it and how much we owe", [put("who_sent_it", "Who sent it?", "name"),
    put("how_much_we_owe", "How much we owe?", "money")]),
    ("Extrahiere Rechnungsnummer und Datum", [meant("rechnungsnummer", "Rechnungsnummer"), meant("datum",
    "Datum", "date")]),
    ("Which items were bought?", [put("which_items_bought", "Which items were bought?",
    is_list=True)]),
    # pages
    ("For page 2: vendor and total", [VENDOR.model_copy(update={"page": 2}),
    TOTAL.model_copy(update={"page": 2})]),
    ("Page 1: vendor, date\nPage 2: total", [VENDOR.model_copy(update={"page": 1}),
    DATE.model_copy(update={"page": 1}), TOTAL.model_copy(update={"page": 2})]),
    ("On page 2:\n* vendor\n* total", [VENDOR.model_copy(update={"page": 2}),
    TOTAL.model_copy(update={"page": 2})]),
    ("Extract vendor and total from page 2.", [VENDOR.model_copy(update={"page": 2}),
    TOTAL.model_copy(update={"page": 2})]),
    ("Extract vendor and the total on page 2.", [VENDOR, TOTAL.model_copy(update={"page": 2})]),
    ("Extract total (page 3) and date (first page).", [TOTAL.model_copy(update={"page": 3}),
    DATE.model_copy(update={"page": 1})]),
    ("Extract total on pages 1 and 2", [*PAGES]),
    ("What is the total on page 2?", [put("total", "What is the total on page 2?", "money", page=2)]),
    # checks
    ("Extract vendor, invoice number, date and total; check that the items add up to the total", [VENDOR,
    NUMBER, DATE, TOTAL, items(), adds_up("items")]),
    ("Do the items add up to the total?", [items(), TOTAL, adds_up("items")]),
    ("check that subtotal plus tax equals the total", [SUBTOTAL, TAX, TOTAL, adds_up("subtotal", "tax")]),
    ("Ensure that total = subtotal + tax", [SUBTOTAL, TAX, TOTAL, adds_up("subtotal", "tax")]),
    ("subtotal, tax and tip add up to the total", [SUBTOTAL, TAX, meant("tip", "tip", "money"), TOTAL,
    adds_up("subtotal", "tax", "tip")]),
    ("The total must equal the sum of the items.", [items(), TOTAL, adds_up("items")]),
    ("the total minus the tax equals the subtotal", [SUBTOTAL, TAX, TOTAL, adds_up("subtotal", "tax")]),
    ("the deposit and the fee must add up to the total", [meant("deposit", "deposit", "money"), meant("fee",
    "fee", "money"), TOTAL, adds_up("deposit", "fee")]),
    ("the wages and the gifts add up to the total", [meant("wages", "wages", "money"), meant("gifts", "gifts",
    "money"), TOTAL, adds_up("wages", "gifts")]),
    ("Extract date and due date; the due date is not before the invoice date", [DATE, DUE, ordered("date",
    "due_date")]),
    ("verify that the due date is on or after the date", [DATE, DUE, ordered("date", "due_date")]),
    ("The net weight must not exceed the gross weight.", [meant("net_weight", "net weight", "number"),
    meant("gross_weight", "gross weight", "number"), ordered("net_weight", "gross_weight")]),
    ("the total on page 1 equals the total on page 2", [*PAGES, same("total_page_1", "total_page_2")]),
    ("Verify that the total is the same on page 1 and page 2.", [*PAGES, same("total_page_1",
    "total_page_2")]),
    ('"Net" and "Netto" are the same', [printed("net", "Net"), printed("netto", "Netto", "money"), same("net",
    "netto")]),
    (("check that the items add up to the subtotal, that subtotal plus tax equals the total "
      "and that the due date is not before the date"),
     [items(), SUBTOTAL, TAX, TOTAL, DATE, DUE, adds_up("items", to="subtotal"), adds_up("subtotal", "tax"),
     ordered("date", "due_date")]),
    ("Extract the item amounts. They are listed below.\nChecks:\n- the amounts sum to the grand total",
    [items("item_amounts"), meant("grand_total", "total", "money"), adds_up("item_amounts",
    to="grand_total")]),
]  # fmt: skip


def plan_of(parts: Sequence[PlannedQuestion | Constraint]) -> Plan:
    questions = [part for part in parts if isinstance(part, PlannedQuestion)]
    return Plan(questions=questions, constraints=[part for part in parts if isinstance(part, Constraint)])


@pytest.mark.parametrize(("task", "parts"), UNDERSTOOD, ids=[task[:40] for task, _ in UNDERSTOOD])
def test_tasks_in_words(task: str, parts: list[PlannedQuestion | Constraint]) -> None:
    planned = plan_task(task)
    assert [q.model_dump() for q in planned.plan.questions] == [
        q.model_dump() for q in plan_of(parts).questions
    ]
    assert sorted(planned.plan.constraints, key=str) == sorted(plan_of(parts).constraints, key=str)
    assert planned.source == "rules"


@pytest.mark.parametrize(
    "task", [task for task, _ in UNDERSTOOD if "They are" not in task], ids=lambda t: t[:40]
)
def test_nothing_of_what_the_rules_understand_is_refused(task: str) -> None:
    planned = plan_task(task)
    assert planned.plan.refused == []
    assert not any("Left out" in note for note in planned.notes)


@pytest.mark.parametrize(
    ("task", "note", "names"),
    [
        (
            "Extract the total and summarise the letter. Then the vendor.",
            "summarise the letter",
            ["total", "vendor"],
        ),
        (
            "Extract the vendor. Check that the dates are in ISO format.",
            "Check that the dates are in ISO format",
            ["vendor"],
        ),
        ("Extract the total; make sure it is positive", "make sure it is positive", ["total"]),
        ("vendor, total. The invoice is from Acme.", "The invoice is from Acme", ["vendor", "total"]),
        ("subtotal and tax equal the total; vendor", "subtotal and tax equal the total", ["vendor"]),
        ("vendor. The amount that was paid by card.", "The amount that was paid by card", ["vendor"]),
        ("vendor; tell me about the letter", "tell me about the letter", ["vendor"]),
        (
            "How many withdrawals were made in March? total",
            "How many withdrawals were made in March",
            ["total"],
        ),
        ("invoice and due day", "invoice", ["due_day"]),
    ],
)
def test_what_is_not_understood_is_refused_and_said(task: str, note: str, names: list[str]) -> None:
    planned = plan_task(task)
    assert [note] == [refusal.text for refusal in planned.plan.refused]
    assert any("Left out" in said and note in said for said in planned.notes)
    assert names == [q.name for q in planned.plan.questions]
    assert planned.plan.constraints == []


@pytest.mark.parametrize(
    "task",
    ["Summarise the letter", "the amount that was paid by card", "tell me about the letter",
    "What would the total be in dollars?", "Rang die Firma nach Größe ein", "この価格は妥当ですか。"],
)  # fmt: skip
def test_where_all_is_refused_there_is_no_plan(task: str) -> None:
    with pytest.raises(PlanError) as told:
        plan_task(task)
    assert task.rstrip("?。") in str(told.value)


def test_a_strict_comparison_is_noted() -> None:
    planned = plan_task("the due date is after the date")
    assert planned.plan.constraints == [ordered("date", "due_date")]
    assert planned.notes == ('"due date" may also equal "date".',)


def test_a_list_has_one_question_for_each_entry() -> None:
    task = [
        "vendor",
        "PO No.",
        "Terms, and more",
        "Who signed?",
        "amount that was paid by card",
        'What is the "company" here?',
    ]
    assert plan_task(task).plan.questions == [
        VENDOR,
        meant("po_no", "PO No."),
        meant("terms_and_more", "Terms, and more"),
        put("who_signed", "Who signed?", "name"),
        meant("amount_that_was_paid_by_card", "amount that was paid by card", "money"),
        put("company", 'What is the "company" here?', "text"),
    ]


def test_a_question_in_a_list_is_asked_as_it_was_put() -> None:
    plan = plan_task(["Is it slow?", "Is it signed?", "How many items are listed?", "Translate it"]).plan
    assert [q.text for q in plan.questions] == [
        "Is it slow?",
        "Is it signed?",
        'What are the rows of "items" in the given document?',
    ]
    assert [operation.op for operation in plan.operations] == ["exists", "count"]
    assert [refusal.text for refusal in plan.refused] == ["Translate it"]


def test_a_list_may_hold_checks_and_repeated_names() -> None:
    planned = plan_task(["items", "total", "the items add up to the total", "tax?", "tax"])
    assert planned.plan.constraints == [adds_up("items")]
    assert [q.name for q in planned.plan.questions] == ["items", "total", "tax", "tax_2"]


def test_a_question_may_wait_for_another_one() -> None:
    plan = plan_task(["vendor", "Where is {vendor} located?", "What is {this}?"]).plan
    assert plan.question("where_vendor_located").depends_on == ()  # one stray brace, and none is trusted
    plan = plan_task(["vendor", "Where is {vendor} located?"]).plan
    assert plan.question("where_vendor_located").depends_on == ("vendor",)
    assert plan.stages() == [["vendor"], ["where_vendor_located"]]


def test_names_are_identifiers_whatever_the_words() -> None:
    plan = plan_task(["金額", "2nd line", "Größe", "x" * 120, "金 額"]).plan
    assert [q.name for q in plan.questions] == ["field", "field_2nd_line", "groe", "x" * 56, "field_2"]
    assert plan.question("field").text == 'What is the "金額" in the given document?'
