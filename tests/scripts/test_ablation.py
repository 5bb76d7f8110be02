"""Runs of the ablation: asked by steps or at once, as their recipe taught them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import RecipeError
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item
from layoutllm_tool.model.decoding import CoTDecoder
from layoutllm_tool.training.trainer import Trainer, prepare
from scripts import ablation
from tests import tiny
from tests.training.test_trainer import EXAMPLE, PAGE, STAGE


def test_a_model_taught_to_answer_at_once_is_read_as_it_was_taught(tmp_path: Path) -> None:
    stage = replace(STAGE, pages=400, chain=False)
    model, processor = tiny.smol()
    prepare(model, stage)
    Trainer(model, processor, lambda _: EXAMPLE, stage, tmp_path).run()
    model.language_model = model.language_model.merge_and_unload()
    decoder = CoTDecoder(model.eval(), processor)
    questions = [q.question for q in EXAMPLE.questions]
    assert ablation.answer_at_once(decoder, PAGE, questions) == ["42.10", None, "Bob"]


def test_scores_are_means_over_each_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps({"stages": [{"chain": False}]}))
    asked: list[Path] = []

    def at_once(weights: Path) -> ablation.Ask:
        asked.append(weights)
        return lambda item: ["42.10", "something"]

    monkeypatch.setattr(ablation, "_at_once", at_once)
    document = Document("d", "d", (PAGE,))
    item = Item(document, (Question("d", "f", "Total?", ("42.10",)), Question("d", "f", "IBAN?", ())))
    found = ablation.score_run(tmp_path, {"drawn pages": [item], "forms": [item, item]})
    assert asked == [tmp_path / "weights"]
    assert found.anls == {"drawn pages": 0.5, "forms": 0.5}
    assert found.questions == {"drawn pages": 2, "forms": 4}


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is no run"):
        ablation.score_run(tmp_path, {})
