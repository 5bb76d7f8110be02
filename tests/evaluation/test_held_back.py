"""Documents that no model learned from."""

from __future__ import annotations

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.evaluation.datasets import held_back
from layoutllm_tool.training.synthetic import written


def test_no_question_of_theirs_is_one_of_trainings() -> None:
    items = held_back.items(pages=12)
    assert [one.questions for one in items] == [one.questions for one in held_back.items(pages=12)]
    learned = {question["q"] for document in written.documents() for question in document["questions"]}
    held = [question for item in items for question in item.questions]
    assert sum(question.text in learned for question in held) < 0.05 * len(held)
    assert {bool(question.gold) for question in held} == {True, False}
    for item in items:
        assert isinstance(item.path, Document)
        words = {word.text for word in item.path.pages[0].words}
        assert all(set(gold.split()) <= words for question in item.questions for gold in question.gold)
        assert all(bool(question.gold) == bool(question.boxes) for question in item.questions)
