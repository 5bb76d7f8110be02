"""Answers to list questions: where the reader pointed, and what the page's columns make of it."""

from __future__ import annotations

import pytest

from layoutllm_graphs.reflection.columns import column_of
from layoutllm_tool.testing import document_from_text
from tests.graphs.reflection.attempts import attempt, cot

RECEIPT = document_from_text("""\
ITEM            QTY    PRICE    AMOUNT
Blue paint        3     4.00     12.00
matt, 2 litres
Brush             1     2.50      2.50
Subtotal                         14.50
GST 6%                            0.87
TOTAL                            15.37""")


@pytest.mark.parametrize(
    ("text", "kind", "answer"),
    [
        ("AMOUNT", "money", "12.00; 2.50"),
        ("2.50", "money", "4.00; 2.50"),
        ("ITEM", "text", "Blue paint matt, 2 litres; Brush"),
        ("Brush", "text", "Blue paint matt, 2 litres; Brush"),
        ("QTY", "number", "3; 1"),
    ],
)
def test_a_head_or_a_cell_stands_for_its_column_without_the_sums(text: str, kind: str, answer: str) -> None:
    found = column_of(attempt(RECEIPT, cot(RECEIPT, text), is_list=True, type=kind))
    assert found.answer == answer
    assert len(found.evidence) == answer.count(";") + 1


def test_outside_a_table_it_is_what_stands_below() -> None:
    document = document_from_text("Toppings\nHam\nOlives\n\n\n\n\nOpen daily")
    found = column_of(attempt(document, cot(document, "Ham"), is_list=True, type="text"))
    assert found.answer == "Ham; Olives"
