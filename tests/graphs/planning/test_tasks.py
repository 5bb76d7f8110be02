"""Tasks in three languages, written by somebody who had not seen the rules, are planned right or refused."""

from typing import Any

import pytest

from layoutllm_graphs.planning.plan import Plan
from layoutllm_graphs.planning.planner import plan_task, render
from tests.graphs.planning.task_scores import Score, score, score_plan, tasks_in
from tests.paths import ROOT

OPEN = tasks_in(ROOT / "tests/data/tasks/open.json")
OTHERS = [
    entry
    for name in ("sealed", "development", "second", "third")
    for entry in tasks_in(ROOT / f"tests/data/tasks/{name}.json")
]
LEAST_RIGHT = 200
"""Of the others' 244."""
OTHERWISE = ["en-c3", "en-h2", "de-c5", "ja-b5", "ja-g3"]
"""In the first "most expensive" is looked for in another column than the task's "price". Of two, a part that
is refused is expected to be read as well; of two, the filter is right and says it in other words.
"""


@pytest.mark.parametrize("entry", OPEN, ids=[entry["id"] for entry in OPEN])
def test_an_open_task_is_planned_right(entry: dict[str, Any]) -> None:
    assert score(entry["task"], entry["expect"]) == Score("right")


def test_no_other_task_runs_as_something_else() -> None:
    outcomes = {entry["id"]: score(entry["task"], entry["expect"]).outcome for entry in OTHERS}
    assert [name for name, outcome in outcomes.items() if outcome == "wrong"] == OTHERWISE
    assert list(outcomes.values()).count("right") >= LEAST_RIGHT


@pytest.mark.parametrize("entry", [entry for entry in OTHERS if "unwanted" in entry])
def test_what_is_not_wanted_is_not_asked(entry: dict[str, Any]) -> None:
    asked = " ".join(question.text for question in plan_task(entry["task"]).plan.questions)
    assert entry["unwanted"] and not any(word in asked for words in entry["unwanted"] for word in words)


EXPECTED = {
    "fields": [["vendor"]],
    "operations": [{"op": "count", "of": ["item"]}],
    "refused": ["write a poem"],
}


@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        ("vendor; count the items; write a poem", "right"),
        ("vendor; count the items", "wrong"),
        ("vendor; write a poem; flabbergast the items", "marked"),
        ("vendor; total; count the items; write a poem", "wrong"),
        ("write a poem", "marked"),
    ],
)
def test_how_tasks_are_scored(task: str, outcome: str) -> None:
    assert score(task, EXPECTED).outcome == outcome


@pytest.mark.parametrize("broken", ["questions", "operations", "refused"])
def test_a_plan_that_lacks_a_part_is_not_right(broken: str) -> None:
    whole = plan_task("vendor; count the items; write a poem").plan
    assert score_plan(whole, EXPECTED).outcome == "right"
    kept = [] if broken != "questions" else [q for q in whole.questions if q.name != "vendor"]
    assert score_plan(whole.model_copy(update={broken: kept}), EXPECTED).outcome == "wrong"


TRAPS = [
    "Is the contract not signed?", "Ist der Vertrag nicht unterschrieben?", "署名されていませんか?",
    "How many withdrawals were made in March?", "List all withdrawals in January.",
    "Is this company reputable?", "Was anything on our shopping list left out?", "Find cheaper alternatives.",
    "What do the three largest payments add up to?", "Would you accept this offer?",
    "Fill in the form for me.",
    "Rank the suppliers by reliability.", "What percentage of the total is tax?",
    "Multiply the rent by twelve.",
    "Which line item looks wrong?", "Total up the overtime hours.", "What would the total be without tax?",
    "Wie viel bleibt vom Gesamtbetrag nach Abzug der Anzahlung?", "Alle Zahlungseingänge im März",
    "Welche Partei würdest du wählen?", "Beide Kontonummern müssen gleich sein.",
    "Wurde mehr berechnet als in der Auftragsbestätigung steht?", "3月の入金だけを抜き出してください。",
    "一番多く買った商品は何ですか。", "どうすれば安くなりますか。",
    "前月の使用量からどれくらい増えましたか。",
    "total on the last page", "every second row of the table", "all transactions except those in March",
    "What is the meter reading at the start and at the end of the period?", "items bought before noon",
    "Are all items taxed at 19%?", "Does the contract have no termination clause?",
    "Which of the two is larger?",
    "What is the total on the last page?", "Extract the tax ID instead of the company name",
    "Rent excluding utilities", "Invoice number or receipt number", "Nur die letzte Seite: Gesamtbetrag",
    "Alle Termine nach dem 1. Mai 2024", "Gibt es keine Unterschrift?",
    "Welche Leistungen wurden nicht erbracht?",
    "最後のページの合計金額", "二番目の商品", "発行日をYYYY/MM/DD形式で",
]  # fmt: skip
"""Each looks like something that is planned."""


@pytest.mark.parametrize("task", TRAPS)
def test_a_trap_is_refused_and_nothing_is_planned(task: str) -> None:
    found = score(task, {"refused": [task.rstrip(".?。")]})
    assert found == Score("right")


TALK = [
    "Hi there! Vendor and total, please. Thanks a lot :)",
    "Good morning, this is a customs declaration. I'd like the vendor and the total. Many thanks, Dora",
    "From this hotel bill: vendor, total. I have the rest already.",
    "Attached is last month's gas bill. Could I get the vendor and the total?",
    "school report: vendor, total",
    "vendor and total out of this payslip, cheers",
]


@pytest.mark.parametrize("task", TALK)
def test_talk_around_a_task_is_no_part_of_it(task: str) -> None:
    plan = plan_task(task).plan
    assert ([question.name for question in plan.questions], plan.refused) == (["vendor", "total"], [])


TABLES = [
    ("Flight segments: flight number, from, to", ["flight_number", "from", "to"]),
    ("list the bidders w/ their price and rank", ["price", "rank"]),
    ("Action items from the minutes (what, who is responsible)", ["what", "who_is_responsible"]),
    ("Line items - description - qty - price", ["description", "qty", "price"]),
    ("Export the transactions as CSV: date; payee; amount", ["date", "payee", "amount"]),
    ("Beschlüsse aus dem Protokoll mit Ja-Stimmen und Enthaltungen", ["ja_stimmen", "enthaltungen"]),
    ("入出金の表。日付、摘要、お支払金額", ["date", "column_2", "column_3"]),
    ("明細をすべて一覧にしてください(品名、数量)", ["column_1", "column_2"]),
]


@pytest.mark.parametrize(("task", "columns"), TABLES)
def test_nouns_behind_a_list_are_its_columns(task: str, columns: list[str]) -> None:
    plan = plan_task(task).plan
    assert [[column.name for column in question.columns] for question in plan.questions] == [columns]
    assert plan.refused == []


OWNED = [
    ("Buyer and seller names", ["buyer_name", "seller_name"]),
    ("buyer and tenant (name and city each), rent",
     ["buyer_name", "buyer_city", "tenant_name", "tenant_city", "rent"]),
    ("Tenant: name, address. Rent.", ["tenant_name", "tenant_address", "rent"]),
    ("Mieter und Vermieter jeweils mit Name und Anschrift, dazu Kaltmiete",
     ["name_mieter", "anschrift_mieter", "name_vermieter", "anschrift_vermieter", "kaltmiete"]),
]  # fmt: skip


@pytest.mark.parametrize(("task", "names"), OWNED)
def test_each_of_several_owners_has_all(task: str, names: list[str]) -> None:
    assert [question.name for question in plan_task(task).plan.questions] == names


NO_FIELDS = [
    ("Kunde und Datum, und wie viele Stimmen gab es dafür und wie viele dagegen?", ["kunde", "datum"]),
    ("Bitte Bestellnummer auslesen und im Formular nachsehen, ob der Preis derselbe ist.", ["bestellnummer"]),
    ("vendor. How many people came and how many sent apologies?", ["vendor"]),
    ("vendor, billing period (from / to", ["vendor"]),
]


@pytest.mark.parametrize(("task", "names"), NO_FIELDS)
def test_what_is_left_of_a_refused_sentence_is_no_field(task: str, names: list[str]) -> None:
    plan = plan_task(task).plan
    assert [question.name for question in plan.questions] == names
    assert plan.refused


@pytest.mark.parametrize("task", ["List all items. Leave out shipping.", "All items but not the shipping"])
def test_what_is_left_out_of_a_list_is_a_filter(task: str) -> None:
    filters = [operation for operation in plan_task(task).plan.operations if operation.op == "filter"]
    assert [(one.condition.comparison, one.condition.value) for one in filters if one.condition] == [
        ("not contains", "shipping")
    ]


ASKED: list[tuple[str, list[str], list[str], list[str]]] = [
    ("Which item is the most expensive?", ["items"],
     ["maximum_items_amount: maximum of items.amount, shown by description"], []),
    ("How many different products are listed?", ["products"],
     ["count_products_description: count of different products.description"], []),
    ("total, the difference between total due and subtotal, and tax", ["total", "subtotal", "tax"],
     ["difference_total_subtotal: difference of total and subtotal"], []),
    ("transactions above 250, largest first", ["transactions"],
     ["filter_transactions: filter of transactions, where amount > 250",
      "sort_filter_transactions: sort of filter_transactions, by amount, the greatest first"], []),
    ("Is the total above 1,000?", ["total"], ["compare_total: compare of total, > 1000"], []),
    ("Is the discount larger than the tax?", ["discount", "tax"],
     ["compare_discount_tax: compare of discount and tax, >"], []),
    ("Work out the sum of the quantities of all items", ["items"],
     ["sum_items_quantities: sum of items.quantities"], []),
    ("How many line items are there and what do they add up to?", ["line_items"],
     ["count_line_items: count of line_items", "sum_line_items_amount: sum of line_items.amount"], []),
    ("Is there a VAT number?", ["vat_number"], ["exists_vat_number: exists of vat_number"], []),
    ("Which is larger, the sum of all deposits or the sum of all withdrawals?", ["deposits", "withdrawals"],
     ["sum_deposits_deposit: sum of deposits.deposit",
      "sum_withdrawals_withdrawal: sum of withdrawals.withdrawal",
      ("compare_sum_deposits_deposit_sum_withdrawals_withdrawal: compare of sum_deposits_deposit "
       "and sum_withdrawals_withdrawal")], []),
    ("Welcher Artikel ist am teuersten?", ["artikel"],
     ["maximum_artikel_betrag: maximum of artikel.betrag, shown by bezeichnung"], []),
    ("Multipliziere Menge mit Einzelpreis.", ["positionen"],
     [("product_positionen_menge_positionen_einzelpreis: "
       "product of positionen.menge, positionen.einzelpreis")], []),
    ("2024年3月1日以降の取引", ["rows"], ["filter_rows: filter of rows, where date after 2024年3月1日"], []),
    ("Vendor, total and a summary of the letter", ["vendor", "total"], [], ["a summary of the letter"]),
    ("List items except shipping", ["items"],
     ["filter_items: filter of items, where description not contains shipping"], []),
    ("the first item", ["items"], ["filter_items: filter of items, first 1"], []),
    ("last two rows", ["rows"], ["filter_rows: filter of rows, last 2"], []),
    ("the three largest payments and their sum", ["payments"],
     ["sort_payments: sort of payments, by amount, the greatest first",
      "filter_sort_payments: filter of sort_payments, first 3",
      "sum_filter_sort_payments_amount: sum of filter_sort_payments.amount"], []),
    ("Which item is the cheapest, and what does it cost?", ["items"],
     ["minimum_items_amount: minimum of items.amount, shown by description",
      "minimum_items_amount_2: minimum of items.amount"], []),
    ("Employees who worked more than 40 hours, with name and hours worked", ["employees"],
     ["filter_employees: filter of employees, where hours_worked > 40"], []),
    ("Summe aller Buchungen über 1.000,00 Euro", ["buchungen"],
     ["sum_buchungen_betrag: sum of buchungen.betrag, where betrag > 1.000,00"], []),
    ("Alle Positionen außer den Versandkosten, mit Text und Betrag", ["positionen"],
     ["filter_positionen: filter of positionen, where text not contains Versandkosten"], []),
    ("送料以外の明細", ["rows"], ["filter_rows: filter of rows, where column_1 not contains 送料"], []),
    ("合計金額が1万円を超えているか確認して", ["total"], ["compare_total: compare of total, > 10000"], []),
    ("Invoice date in ISO format and vendor", ["invoice_date", "vendor"], [], []),
    ("Invoice date in the format DD.MM.YYYY", ["invoice_date"], [], ["DD.MM.YYYY"]),
    ("Vendor. Don't extract the total. Total and date", ["vendor", "date"], [], []),
    ("Vendor. If the invoice is overdue, list the late fee.", ["vendor"], [],
     ["If the invoice is overdue", "list the late fee"]),
    ("vendor, name and title of everyone who signed", ["vendor"], [],
     ["name", "title of everyone who signed"]),
    ("vendor, the courses that count: title, credits, grade", ["vendor"], [],
     ["the courses that count: title", "credits, grade"]),
    ("Lies Name und IBAN aus und übersetze den Rest ins Englische.", ["name", "iban"], [],
     ["übersetze den Rest ins Englische"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("task", "names", "operations", "refused"), ASKED, ids=[task[:40] for task, *_ in ASKED]
)
def test_operations_and_refusals(
    task: str, names: list[str], operations: list[str], refused: list[str]
) -> None:
    plan = plan_task(task).plan
    lines = render(plan).splitlines()
    assert [question.name for question in plan.questions] == names
    assert [line[4:] for line in lines if line[4:] in operations] == operations
    assert len(plan.operations) == len(operations)
    assert [refusal.text for refusal in plan.refused] == refused
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
