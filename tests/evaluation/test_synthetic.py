"""Drawn pages and kept-back documents as development data."""

from __future__ import annotations

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.evaluation.datasets import synthetic
from layoutllm_tool.evaluation.run import ask_all
from layoutllm_tool.testing import FakeReader
from layoutllm_tool.training.synthetic import written


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


def test_no_question_of_theirs_is_one_of_trainings() -> None:
    items = synthetic.held_back(pages=12)
    assert [one.questions for one in items] == [one.questions for one in synthetic.held_back(pages=12)]
    learned = {question["q"] for document in written.documents() for question in document["questions"]}
    held = [question for item in items for question in item.questions]
    assert sum(question.text in learned for question in held) < 0.05 * len(held)
    assert {bool(question.gold) for question in held} == {True, False}
    for item in items:
        assert isinstance(item.path, Document)
        words = {word.text for word in item.path.pages[0].words}
        assert all(set(gold.split()) <= words for question in item.questions for gold in question.gold)
        assert all(bool(question.gold) == bool(question.boxes) for question in item.questions)
