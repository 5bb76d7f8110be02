"""Single values from a page's structure: parties, labels, shares, periods, signatures."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from layoutllm_tool.cot import ExpectedType
from layoutllm_tool.extraction.singles import Wanted, labelled_choice, single
from layoutllm_tool.extraction.statements import printed_choice, said
from layoutllm_tool.testing import document_from_text

LETTER = document_from_text(
    """\
Feinkost Brandl GmbH · Marktplatz 6 · 94032 Passau

Kulturverein Donau e. V.                  Rechnungs-Nr.      2025/873
Frau Elke Sandmeier                       Zeitraum           01.05.2025 - 31.05.2025
Ortspitze 2                               Kunden-Nr.         40118
94032 Passau                              Bearbeiter         S. Prantl

Zahlbar bis 26.06.2025. Der Betrag wird nicht eingezogen.
Nettosumme                  520,09
zzgl. Umsatzsteuer 19 %                  72,59
"""
    + "Vielen Dank\n" * 12
)
HEADED = document_from_text(
    """\
Northway Ltd                              PURCHASE ORDER

Supplier                                  Deliver to
Haven Gear LLC                            Northway Ltd
3 Quay Road                               Attn: Ravi Dhan
Leeds LS1 4AB                             Hull HU1 1AA

Signature:   J. Feather                   Approved by:
Paid by EFTPOS                            Tip 0.50
"""
    + "Thank you\n" * 12
)


def unlike(texts: Sequence[str], others: Sequence[str]) -> list[list[float]]:
    return [[0.0 for _ in others] for _ in texts]


def alike(texts: Sequence[str], others: Sequence[str]) -> list[list[float]]:
    return [[0.9 for _ in others] for _ in texts]


@pytest.mark.parametrize(
    ("path", "kind", "answer"),
    [
        (("seller", "name"), "name", "Feinkost Brandl GmbH"),
        (("seller", "address"), "address", "Marktplatz 6, 94032 Passau"),
        (("empfaenger", "name"), "name", "Kulturverein Donau e. V."),
        (("empfaenger", "ansprechpartner"), "name", "Frau Elke Sandmeier"),
        (("customer", "street"), "text", "Ortspitze 2"),
        (("customer", "zip"), "text", "94032"),
        (("customer", "city"), "text", "Passau"),
        (("invoiceNumber",), "text", "2025/873"),
        (("rechnungsNr",), "text", "2025/873"),
        (("period_start",), "date", "01.05.2025"),
        (("period_end",), "date", "31.05.2025"),
        (("vat_rate",), "number", "19 %"),
        (("vat_amount",), "money", "72,59"),
        (("net_total",), "money", "520,09"),
    ],
)
def test_a_letters_values(path: tuple[str, ...], kind: ExpectedType, answer: str) -> None:
    found = single(LETTER, Wanted("?", path, kind), unlike)
    assert found is not None and found.answer == answer and found.grounded


def test_blocks_under_headings() -> None:
    def answer(*path: str) -> str | None:
        found = single(HEADED, Wanted("?", path), unlike)
        return found.answer if found else None

    assert answer("supplier", "name") == "Haven Gear LLC"
    assert answer("supplier", "address") == "3 Quay Road, Leeds LS1 4AB"
    assert answer("ship_to", "contact") == "Ravi Dhan"
    assert answer("ship_to", "city") == "Hull HU1 1AA"


def test_nothing_where_no_label_is_printed_or_places_disagree() -> None:
    missing = single(HEADED, Wanted("?", ("iban",)), unlike)
    assert missing is not None and missing.answer is None
    assert single(HEADED, Wanted("?", ("vat_id",), required=True), unlike) is None
    two = document_from_text("Total:   5.00\n\n\nTotal:   7.00")
    assert single(two, Wanted("?", ("total",), "money"), unlike) is None


def test_signatures_sentences_and_printed_choices() -> None:
    signed = said(HEADED, "Signed?", ["signature"], unlike)
    assert signed is not None and signed.answer == "yes"
    debit = said(LETTER, "Betrag wird eingezogen?", ["betrag_eingezogen"], alike)
    assert debit is not None and debit.answer == "no" and debit.confidence < 0.8
    paid = printed_choice(HEADED, "?", ["EFTPOS", "cash"])
    assert paid is not None and paid.answer == "EFTPOS"
    assert printed_choice(HEADED, "?", ["card", "cash"]) is None
    assert labelled_choice(HEADED, Wanted("?", ("tip",)), ["1.50"]) is None


@pytest.mark.parametrize(
    ("text", "name", "answer"),
    [
        ("Smoker            No", "smoker", "No"),
        ("Department        Cost code\nNights            4410", "department", "Nights"),
    ],
)
def test_a_label_is_no_value_and_a_no_is_no_label(text: str, name: str, answer: str) -> None:
    page = document_from_text(f"{text}\n\n" + "Thank you\n" * 6)
    found = single(page, Wanted(f"What is the {name}?", (name,)), unlike)
    assert found is not None and found.answer == answer


def test_what_stands_behind_a_label_with_a_colon_is_the_party_and_not_the_table_below() -> None:
    page = document_from_text(
        "Vendor:          Shop 2\n\n"
        "Description      Quantity     Amount\nPen              1            2.50\n"
    )
    found = single(page, Wanted("Who sold it?", ("vendor",)), unlike)
    assert found is not None and found.answer == "Shop 2"
