"""The signals of an outcome, on pages small enough to count by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from layoutllm_tool.cot import AnswerFormation, Area, QuestionAnalysis, Relation
from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.model.grammar import Decoded
from layoutllm_tool.model.loss_head import ScoredDecoding
from layoutllm_tool.readers import confidence
from layoutllm_tool.testing import page_from_text

FORM = page_from_text(
    "Date:       5/3/90      Total amount:   12.50\nName:       Bob Ray\nFax:\nTotal amount:"
)


def outcome(
    answer: str | None, key: str, *, words: tuple[tuple[int, int], ...] = (), relation: Relation = "right of"
) -> Decoded:
    analysis = QuestionAnalysis("key-value", "extraction", key)
    logprobs = {"analysis": [-0.5], "area": [-1.0], "formation": [], "answer": [-0.25, -40.0]}
    return Decoded(analysis, (0,), AnswerFormation(relation, key), answer, words, logprobs, False, -50.0, 9)


def signals(found: Decoded, page: Page = FORM) -> dict[str, float]:
    return confidence.signals(page, found, [Area(1, Box(0, 0, 1000, 500), (0, 1))])


def place(text: str) -> tuple[tuple[int, int], ...]:
    """The words of the line with that text."""
    line = next(i for i, found in enumerate(FORM.lines or ()) if found.text == text)
    return tuple((line, word) for word in range(len((FORM.lines or ())[line].words)))


def test_the_value_beside_its_key_is_what_a_rule_finds_too() -> None:
    found = signals(outcome("5/3/90", "Date", words=place("5/3/90")))
    assert (found["any_place"], found["first_place"], found["relation"], found["typed"]) == (1, 1, 1, 1)
    assert (found["named"], found["key_share"]) == (1, 1)
    assert found["key_lines"] == pytest.approx(math.log(2))
    assert (found["cut"], found["label"], found["is_key"], found["share_of_lines"]) == (0, 0, 0, 1)
    assert signals(outcome("5/3/90", "Date", words=place("5/3/90"), relation="below"))["relation"] == 0


def test_an_answer_elsewhere_than_its_key_is_astray() -> None:
    assert signals(outcome("5/3/90", "Date", words=place("5/3/90")))["answer_far_from_key"] == 0
    assert signals(outcome("5/3/90", "Name", words=place("5/3/90")))["answer_far_from_key"] == 1
    assert (
        signals(outcome("5/3/90", "birthday", words=place("5/3/90")))["answer_far_from_key"] == 0
    )  # no such key, no wrong place


def test_a_label_is_no_answer() -> None:
    found = signals(outcome("Fax:", "Name", words=place("Fax:")))
    assert (found["label"], found["first_place"]) == (1, 0)
    assert signals(outcome("Fax", "Name", words=place("Fax:")))["label"] == 1
    assert signals(outcome("amount", "Total amount", words=place("Total amount:")[1:]))["is_key"] == 1


def test_a_key_that_stands_twice_is_ambiguous() -> None:
    assert signals(outcome("12.50", "Total amount", words=place("12.50")))["key_lines"] == pytest.approx(
        math.log(3)
    )


def test_half_words_and_half_lines() -> None:
    words = place("Bob Ray")
    found = signals(outcome("ay", "Name", words=words[1:]))
    assert (found["cut"], found["share_of_lines"]) == (1, 0.5)
    assert found["first_place"] == pytest.approx(2 / 3)


def test_log_probabilities_have_a_floor() -> None:
    found = signals(outcome("5/3/90", "Date", words=place("5/3/90")))
    assert (found["answer_logprob"], found["answer_worst"], found["answer_mean"]) == (-8, -8, -8)
    assert (found["analysis_logprob"], found["none_logprob"]) == (-0.5, -30)
    assert "formation_logprob" not in found  # step 3's relation was not decoded


def test_none_has_no_signals_of_an_answer() -> None:
    found = signals(outcome(None, "IBAN"))
    assert not {"length", "ocr", "any_place", "answer_mean"} & set(found)
    assert (found["named"], found["key_share"], found["key_lines"]) == (0, 0, 0)


def test_the_heads_word_is_a_signal_where_there_is_a_head() -> None:
    plain = outcome("5/3/90", "Date", words=place("5/3/90"))
    assert "predicted_loss" not in signals(plain)
    assert signals(ScoredDecoding(**vars(plain), predicted_loss=1.5))["predicted_loss"] == 1.5


@pytest.mark.parametrize(
    ("key", "answer", "value"),
    [("Date of birth", "5/3/90", 1), ("Date", "Bob", -1), ("Fax No", "555 123 4567", 1), ("Name", "5", 0),
    ("Update", "x", 0)],
)  # fmt: skip
def test_what_a_key_says_of_its_value(key: str, answer: str, value: float) -> None:
    assert confidence.typed(key, answer) == value


def test_a_page_without_words_and_a_formed_answer() -> None:
    empty = replace(FORM, lines=())
    for key in ("", "Date"):
        found = signals(outcome("42", key), empty)
        assert all(math.isfinite(value) for value in found.values())
        assert (found["grounded"], found["share_of_lines"], found["any_place"], found["ocr"]) == (0, 0, 0, 0)


def test_every_signal_stands_in_the_table() -> None:
    for found in (signals(outcome("5/3/90", "Date", words=place("5/3/90"))), signals(outcome(None, "Date"))):
        for name in found:
            head, _, tail = name.rpartition("_")
            assert f"``{name}``" in (confidence.__doc__ or "") or (
                tail in ("logprob", "worst") and f"{head}_" in (confidence.__doc__ or "")
            )
