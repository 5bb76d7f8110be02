"""Pages with the fields of the vocabulary: what is asked is answered by the words that are named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.search import letters
from layoutllm_tool.errors import DocumentNotFound, DocumentUnreadable
from layoutllm_tool.evaluation.datasets.everyday import changed_by_case, items
from layoutllm_tool.evaluation.results import Question, score
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.training.question_encoder import _adapter, _go_on, pairs
from layoutllm_tool.training.synthetic import vocabulary
from layoutllm_tool.training.synthetic.everyday import example, pages
from tests.paths import ROOT


def test_the_same_number_gives_the_same_page_and_its_answers_stand_there() -> None:
    first, again = list(pages(3, range(12))), list(pages(3, range(12)))
    assert [page.text for page, _ in first] == [page.text for page, _ in again]
    asked = whole = 0
    for page, questions in first:
        for one in questions:
            asked += 1
            said = " ".join((page.lines or ())[line].words[word].text for line, word in one.words)
            assert (one.answer is None) == (not one.words) and (one.answer or "") in said
            whole += (one.answer or "") == said  # a word may be read as one with its neighbour
    assert (
        asked > 60
        and whole > 0.95 * asked
        and any(one.answer is None for _, questions in first for one in questions)
    )


def test_the_steps_of_an_answer_are_the_pages() -> None:
    """A key that is printed beside its value, or the words around it; the area holds the answer."""
    qas = [(one.page, qa) for number in range(12) for one in [example(3, number)] for qa in one.qas]
    answered = [(page, qa) for page, qa in qas if qa.answer is not None]
    assert len(answered) > 40 and len(qas) - len(answered) > 10
    assert all({line for line, _ in qa.words} <= set(qa.lines) for _, qa in answered)
    assert all(qa.formation.key == qa.analysis.key for _, qa in answered)
    keys = [
        letters(qa.analysis.key) in letters(page.text)
        for page, qa in answered
        if qa.analysis.kind == "key-value"
    ]
    assert sum(keys) / len(keys) > 0.85  # keys over two lines, the signature


def test_every_kind_of_entry_is_read() -> None:
    assert len(vocabulary.fields()) > 700 and len(vocabulary.facts()) > 100 and len(vocabulary.tables()) > 40
    assert len(vocabulary.headings()) > 100 and len(vocabulary.unanswerable()) > 80
    assert {field.language for field in vocabulary.fields()} >= {"en", "de", "es", "fr"}


def test_a_wording_is_asked_in_three_capitalisations() -> None:
    found = items(ROOT / "tests/data/wording")
    assert len(found) == 10 and sum(len(item.questions) for item in found) == 60 * 10 * 3
    texts = [question.text for question in found[0].questions[:3]]
    assert texts == [texts[0], texts[0].lower(), texts[0].upper()]


def test_an_answer_that_changes_with_capitals_is_counted_once_a_key() -> None:
    document = document_from_text("Total: 12.50")
    page, cot = document.pages[0], FakeReader().ask(document, "What is the total?")
    rows = [
        score(
            Question("a key", "w", text, ("12.50",)),
            cot if text.isupper() else _refused(cot),
            page,
            seconds=0,
        )
        for text in ("Total", "TOTAL", "sum", "SUM")
    ] + [score(Question("b key", "w", "Total", ("12.50",)), cot, page, seconds=0)]
    assert changed_by_case(rows) == (1, 2)


def _refused(cot: LayoutCoT) -> LayoutCoT:
    return replace(cot, answer=None, evidence=())


def test_a_folder_without_questions_is_told(tmp_path: Path) -> None:
    with pytest.raises(DocumentNotFound):
        items(tmp_path)
    (tmp_path / "questions.jsonl").write_text("{")
    with pytest.raises(DocumentUnreadable):
        items(tmp_path)


def test_the_encoder_learns_from_filled_sentences_and_keeps_to_their_kinds() -> None:
    """No place of a template is left open; a fact's values are its own examples."""
    every = pairs(vocabulary.fields())
    rng = Random(0)
    told = {pair.id: pair.target(rng) for pair in every}
    assert len(every) > 15_000 and not [text for text in told.values() if "{" in text or not text.strip()]
    fact = next(fact for fact in vocabulary.facts() if fact.examples)
    said = next(pair.keys for pair in every if pair.id == fact.id)
    assert any(example in text for text in said for example in fact.examples)


def test_an_adapter_is_gone_on_with(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file

    def tuned() -> Any:
        small = BertModel(
            BertConfig(
                vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
            )
        )
        return get_peft_model(small, LoraConfig(r=2, target_modules=["query"]))

    first, other = tuned(), tuned()
    with torch.no_grad():
        for _, value in _adapter(first):
            value.normal_()
    save_file({name: value.detach().clone() for name, value in _adapter(first)}, tmp_path / "a.safetensors")
    _go_on(other, tmp_path / "a.safetensors")
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(_adapter(first), _adapter(other), strict=True))
