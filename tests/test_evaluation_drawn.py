"""Drawn pages as development data."""

from __future__ import annotations

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.evaluation import asking, drawn
from layoutllm_tool.testing import FakeReader


def test_the_same_pages_for_the_same_seed_with_answers_and_refusals() -> None:
    first, again, other = drawn.items(6), drawn.items(6), drawn.items(6, seed=1)
    assert [item.questions for item in first] == [item.questions for item in again]
    assert [item.questions for item in first] != [item.questions for item in other]
    questions = [question for item in first for question in item.questions]
    assert any(question.gold == () for question in questions)
    for item in first:
        assert isinstance(item.path, Document)
        text = " ".join(word.text for word in item.path.pages[0].words)
        assert all(word in text for question in item.questions for gold in question.gold for word in gold.split())


def test_they_are_asked_as_they_are() -> None:
    items = drawn.items(3)
    wanted = {
        question.text: question.gold[0] if question.gold else None for item in items for question in item.questions
    }
    outcome = asking.ask_all(FakeReader(wanted), items)
    assert not outcome.refused and len(outcome.rows) == sum(len(item.questions) for item in items)
    assert all(row.anls == 1.0 for row in outcome.rows if wanted[row.question] == (row.gold[0] if row.gold else None))
