"""Pages that the heads did not learn from."""

from __future__ import annotations

import pytest

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.evaluation.datasets import held_back
from layoutllm_tool.training.fusion_head import sources
from tests.paths import DATA


@pytest.mark.skipif(not (DATA / "naf").is_dir(), reason="the shared data folder is absent")
def test_no_page_of_theirs_is_one_of_trainings() -> None:
    items = held_back.items(DATA / "naf", pages=6)
    assert {question.field for item in items for question in item.questions} == {"written", "archive"}
    few = {"written": 12, "archive": 12}
    learned = {q for _, _, asked in sources(1, DATA / "naf", DATA, few) for q, _ in asked}
    held = {question.text for item in items for question in item.questions}
    assert len(held & learned) < 0.05 * len(held)
    for item in items:
        assert isinstance(item.path, Document)
        words = {word.text for word in item.path.pages[0].words}
        golds = [gold for question in item.questions for gold in question.gold]
        assert all(set(gold.split()) <= words for gold in golds)
        assert all(bool(question.gold) == bool(question.boxes) for question in item.questions)
