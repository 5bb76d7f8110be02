"""What is picked for annotation: the highest losses of what is done and unreviewed, whatever order the
source is in.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from layoutllm_tool.batch.selection import select
from layoutllm_tool.batch.store import DocumentResult, Field, Input, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, {"plan": {}}) as store:
        yield store


def key(number: int) -> str:
    return f"{number:032x}"


def field(number: int, name: str, confidence: float | None, loss: float | None = None, at: int = 0) -> Field:
    signals = {} if loss is None else {"predicted_loss": loss}
    cot = {"signals": signals, "answer": "x"} if confidence is not None else None
    answer: dict[str, Any] = {
        "name": name, "answer": "x", "confidence": confidence, "verdict": "satisfied", "cot": cot,
        "by": "reader",
        "question": name, "page": 1, "box": None, "reasons": [], "calls": 1, "error": None,
    }  # fmt: skip
    return Field(key(number), at, name, answer, False)


def put(
    store: Store, number: int, fields: Sequence[Field], *, position: int | None = None, status: Any = "done"
) -> None:
    store.enter([Input(number if position is None else position, f"/in/{number}.png", None, key(number))])
    store.put(DocumentResult(key(number), status, "satisfied"), fields)


def numbers(store: Store, *given: Any, **options: Any) -> list[int]:
    return [int(one.key, 16) for one in select(store, *given, **options)]


def test_the_highest_mean_loss_comes_first_and_equal_ones_by_key(store: Store) -> None:
    losses = {1: (0.1, 0.3), 2: (0.9, 0.1), 3: (0.2, 0.2), 4: (0.4, 0.6)}
    for number, (date, total) in losses.items():  # confidences would order them the other way round
        put(store, number, [field(number, "date", date, date), field(number, "total", total, total, at=1)])
    assert numbers(store, 9) == [2, 4, 1, 3]
    first, second, *_ = select(store, 2)
    assert (first.name, first.page, first.loss, first.field) == ("/in/2.png", None, 0.5, "date")
    assert first.measure == "predicted_loss" and second.field == "total"


def test_without_a_loss_head_the_least_confident_come_first(store: Store) -> None:
    put(store, 1, [field(1, "date", 0.9), field(1, "total", 0.7, at=1)])
    put(store, 2, [field(2, "date", 0.9), field(2, "total", None, at=1)])  # not answered at all
    found = select(store, 2)
    assert [(one.measure, round(one.loss, 3), one.field) for one in found] == [
        ("1 - confidence", 0.55, "total"), ("1 - confidence", 0.2, "total"),
    ]  # fmt: skip


@pytest.mark.parametrize("odd", [None, float("nan")])
def test_one_document_without_a_predicted_loss_and_all_are_measured_by_confidence(
    store: Store, odd: Any
) -> None:
    put(store, 1, [field(1, "date", 0.9, 5.0)])
    put(store, 2, [field(2, "date", 0.2, 0.1)])
    assert numbers(store, 2) == [1, 2]
    put(store, 3, [field(3, "date", 0.5, odd)])
    assert numbers(store, 3) == [2, 3, 1]
    assert {one.measure for one in select(store, 3)} == {"1 - confidence"}


def test_a_field_that_failed_beside_others_does_not_change_the_measure(store: Store) -> None:
    put(store, 1, [field(1, "date", 0.9, 2.0), field(1, "total", None, at=1)])
    assert [(one.measure, one.loss) for one in select(store, 1)] == [("predicted_loss", 2.0)]


def test_only_what_is_done_in_the_source_and_unreviewed(store: Store) -> None:
    for number in range(1, 5):
        put(store, number, [field(number, "date", 0.5)], status="failed" if number == 2 else "done")
    put(store, 5, [])
    store.enter([Input(9, "/in/later.png", None, key(9))])
    said = field(3, "date", 1.0)
    store.reviewed(key(3), "date", {"accept": True}, [said], "satisfied")
    assert numbers(store, 9) == [1, 4] and sorted(numbers(store, 9, random=True)) == [1, 4]
    store.keep_inputs([1])
    assert numbers(store, 9) == [1]


def test_a_draw_depends_on_the_seed_and_not_on_the_order_of_the_source(tmp_path: Path) -> None:
    drawn = []
    for name, order in (("a", range(40)), ("b", range(39, -1, -1))):
        with Store.open(tmp_path / name, {"plan": {}}) as store:
            for position, number in enumerate(order):
                put(store, number, [field(number, "date", 0.5, number / 10)], position=position)
            subset = numbers(store, 99, 10, 7)
            assert (
                subset == sorted(subset, reverse=True) and len(subset) == 10
            )  # the ten, in the order of their loss
            assert numbers(store, 3, 10, 7) == subset[:3] != numbers(store, 3, 10, 8)
            at_random = numbers(store, 10, seed=7, random=True)
            assert sorted(at_random) == sorted(subset) and at_random != subset
            assert (
                numbers(store, 4, seed=7, random=True) == at_random[:4]
            )  # more documents are those, and others
            assert numbers(store, 3, 500) == [39, 38, 37]
            drawn.append((subset, at_random))
    assert drawn[0] == drawn[1]


def test_a_queued_document_waits_until_each_field_is_reviewed(store: Store) -> None:
    for number in (1, 2):
        put(store, number, [field(number, "date", 0.9), field(number, "total", 0.9, at=1)])
    assert store.queue([key(1), key(1), key(8)]) == 2 and store.queue([key(1)]) == 2
    assert [f.key for f in store.find(pending_review=True)[1]] == [key(1)] * 2
    after = store.fields(key(1))
    store.reviewed(
        key(1),
        "date",
        {"accept": True},
        [Field(f.key, f.position, f.name, f.answer, False) for f in after],
        "satisfied",
    )
    assert [(f.name, f.pending_review) for f in store.fields(key(1))] == [("date", False), ("total", True)]
    store.put(DocumentResult(key(2), "done"), store.fields(key(2)))
    assert store.queue([key(2)]) == 2
    store.put(
        DocumentResult(key(2), "done"), [field(2, "date", 0.3), field(2, "total", 0.3, at=1)]
    )  # done again: still wanted
    assert all(f.pending_review for f in store.fields(key(2)))


def test_a_reviewed_document_is_left_out_of_the_queue(store: Store) -> None:
    put(store, 1, [field(1, "date", 0.9), field(1, "total", 0.9, at=1)])
    store.reviewed(key(1), "date", {"accept": True}, store.fields(key(1)), "satisfied")
    assert store.queue([key(1)]) == 0 and store.find(pending_review=True)[0] == 0


def test_a_store_of_an_earlier_version_can_queue(tmp_path: Path) -> None:
    with Store.open(tmp_path, {"plan": {}}) as store:
        put(store, 1, [field(1, "date", 0.9)])
        store._connection.execute("DROP TABLE queued")
    with Store.open(tmp_path) as store:
        assert store.queue([key(1)]) == 1


def test_answers_are_not_held(store: Store) -> None:
    """600 documents whose answers are 20 kB each: memory is that of a few of them."""
    for number in range(600):
        one = field(number, "date", 0.5, number / 1000)
        assert one.answer["cot"]
        one.answer["cot"]["steps"] = "x" * 20_000
        put(store, number, [one])
    tracemalloc.start()
    try:
        assert numbers(store, 2) == [599, 598]
        assert tracemalloc.get_traced_memory()[1] < 1_500_000
    finally:
        tracemalloc.stop()
