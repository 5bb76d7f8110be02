"""How typed records are scored: leaves, rows by alignment, sure errors."""

from typing import Any

import pytest

from layoutllm_tool.evaluation.records import RecordScores, aligned, compare, same

ROWS = [{"name": "Ink", "price": 1.5, "note": None}, {"name": "Pen", "price": 2, "note": None}]


def scored(expected: Any, record: Any, sure: tuple[str, ...] = ()) -> RecordScores:
    scores = RecordScores()
    fields = {at: {"verdict": "satisfied", "confidence": 0.9} for at in sure}
    compare(scores, {"id": "t", "expected": expected}, record, fields)
    return scores


def test_every_leaf_of_a_row_that_is_missing_is_wrong_its_nulls_too() -> None:
    scores = scored({"items": ROWS}, {"items": ROWS[1:]})
    assert (scores.right, scores.leaves) == (3, 6)
    assert (scores.rows_right, scores.rows_expected, scores.rows_given) == (1, 2, 1)


def test_a_row_too_many_is_a_sure_error_where_it_is_sure() -> None:
    extra = {"name": "Sum", "price": 3.5, "note": None}
    scores = scored({"items": ROWS}, {"items": [*ROWS, extra]}, ("/items/2/price",))
    assert (scores.right, scores.leaves, scores.sure_wrong, scores.rows_given) == (6, 6, 1, 3)


def test_sure_and_wrong() -> None:
    assert scored({"a": 1, "b": {"c": None}}, {"a": 2, "b": {"c": "x"}}, ("/a",)).sure_wrong == 1


@pytest.mark.parametrize(
    ("expected", "given", "equal"),
    [
        (12.5, 12.50, True), (12.5, "12.5", True), (12, 12.1, False), (None, None, True), (None, 0, False),
        (True, 1, False), ("Ink, black", "INK BLACK.", True), ("HL-20417", "HL-20418", False),
        ("Galvanised anchor chain", "Galvanised anchor chaln", True), ("a", None, False),
    ],
)  # fmt: skip
def test_what_is_the_same(expected: Any, given: Any, equal: bool) -> None:
    assert same(expected, given) is equal


def test_rows_are_paired_in_order() -> None:
    assert aligned(ROWS, [ROWS[1], ROWS[0]]) in ([(0, 1)], [(1, 0)])
    assert aligned(ROWS, [{"name": "?", "price": 9, "note": "x"}, *ROWS]) == [(0, 1), (1, 2)]
