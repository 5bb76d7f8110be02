"""Drawn pages as development data."""

from __future__ import annotations

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.evaluation.datasets import synthetic
from layoutllm_tool.evaluation.run import ask_all
from layoutllm_tool.testing import FakeReader


def test_the_same_pages_for_the_same_seed_with_answers_and_refusals() -> None:
    first, again, other = synthetic.items(pages=6), synthetic.items(pages=6), synthetic.items(pages=6, seed=1)
    assert [item.questions for item in first] == [item.questions for item in again]
    assert [item.questions for item in first] != [item.questions for item in other]
    questions = [question for item in first for question in item.questions]
    assert any(question.gold == () for question in questions)
    for item in first:
        assert isinstance(item.path, Document)
        text = " ".join(word.text for word in item.path.pages[0].words)
        assert all(
            word in text for question in item.questions for gold in question.gold for word in gold.split()
        )


def test_they_are_asked_as_they_are() -> None:
    items = synthetic.items(pages=3)
    wanted = {
        question.text: question.gold[0] if question.gold else None
        for item in items
        for question in item.questions
    }
    outcome = ask_all(FakeReader(wanted), items)
    assert not outcome.errors and len(outcome.answers) == sum(len(item.questions) for item in items)
    assert all(
        row.anls == 1.0
        for row in outcome.answers
        if wanted[row.question] == (row.gold[0] if row.gold else None)
    )
