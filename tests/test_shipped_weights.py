"""The weights that are shipped, through real text recognition. Slow: the base model is fetched once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from layoutllm_tool import LayoutLLMTool
from layoutllm_tool.documents import load_document
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.errors import WeightsMismatch, WeightsNotFound
from layoutllm_tool.evaluation.metrics import anls
from layoutllm_tool.model.decoding import CoTDecoder
from layoutllm_tool.model.grammar import DecodingConstraints
from layoutllm_tool.model.weights import SHIPPED, load_weights
from layoutllm_tool.ocr import recognise_page
from layoutllm_tool.readers.local import LayoutLLMReader
from tests.paths import DATA

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SAMPLES = SHIPPED.parents[1] / "samples"
RECEIPTS = DATA / "receipts"
FIELDS = ("company", "date", "address", "total")
QUESTIONS = [f'What is the "{field}" in the given document?' for field in FIELDS]
NOWHERE = [
    "What is the patient's date of birth?",
    "What is the flight number?",
    'What is the "passport number" in the given document?',
]


@pytest.fixture(scope="module")
def reader() -> Iterator[LayoutLLMReader]:
    with LayoutLLMReader() as found:
        yield found


def test_they_are_small_safe_and_described() -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 45e6
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".md"}
    card = (SHIPPED / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert all(
        word in card for word in ("seed", "CC BY 4.0", "Apache-2.0", "ANLS", "layoutllm train --recipe")
    )


def test_the_sample_invoice_is_read(reader: LayoutLLMReader) -> None:
    document = reader.load(SAMPLES / "invoice.png")
    cot = reader.ask(document, "What is the total due?")
    assert cot.answer == "279.00" and cot.page == 1
    assert cot.area is not None and cot.box is not None and cot.area.covers(cot.box)
    assert reader.ask(document, "What is the flight number?").answer is None


def test_what_the_readme_shows_is_what_the_weights_answer(reader: LayoutLLMReader) -> None:
    """Its blocks run with a fake reader in test_docs.py."""
    document = reader.load(SAMPLES / "invoice.png")
    asked = ("What is the invoice number?", "What is the total due?", "What is the shipping weight?")
    assert [reader.ask(document, question).answer for question in asked] == ["HC-2024-0318", "279.00", None]


def test_guesses_save_steps(reader: LayoutLLMReader) -> None:
    """The same chains in a good deal fewer steps."""
    decoder = CoTDecoder(*load_weights())
    page = recognise_page(load_document(SAMPLES / "invoice.png").pages[0])
    read = decoder.read(decoder.processor.windows(page)[0])
    asked = [
        (question, DecodingConstraints()) for question in ("What is the total?", "Which address is given?")
    ]
    steps, step = 0, decoder.engine.step

    def counting(*args: Any) -> Tensor:
        nonlocal steps
        steps += 1
        return step(*args)

    decoder.engine.step = counting  # type: ignore[method-assign, assignment]
    guessed, fast, steps = decoder.decode(read, asked), steps, 0
    decoder.draft = lambda row: []
    plain = decoder.decode(read, asked)
    assert [d.answer for d in guessed] == [d.answer for d in plain]
    assert fast <= 0.6 * steps


def test_receipts_never_trained_on() -> None:
    """A smoke test of a dozen; the figures in README come from all hundred."""
    if not RECEIPTS.is_dir():
        pytest.skip(f"the receipts are not at {RECEIPTS}")
    scores, refused = [], []
    with LayoutLLMReader() as reader:
        for number in range(400, 436, 3):
            document = reader.load(RECEIPTS / "images" / f"{number}.jpg")
            gold = json.loads((RECEIPTS / "entities" / f"{number}.json").read_text())
            found = reader.ask_many(document, [*QUESTIONS, *NOWHERE])
            scores += [
                anls(cot.answer, [gold[field]])
                for field, cot in zip(FIELDS, found, strict=False)
                if field in gold
            ]
            refused += [cot.answer is None for cot in found[len(FIELDS) :]]
    assert sum(scores) / len(scores) > 0.6
    assert sum(refused) / len(refused) > 0.75


def test_int8_answers_as_bf16_does(reader: LayoutLLMReader) -> None:
    """Where the page settles it. On the invoice "the date" is two dates, a near tie that falls either way
    (LOG.md).
    """
    asked = [
        "What is the invoice number?",
        "What is the total due?",
        "Who is the tenant?",
        "What is the due date?",
    ]
    pages = {
        SAMPLES / "invoice.png": [*asked, "What is the invoice date?"],
        SAMPLES / "letter.pdf": [*asked, "What is the date?"],
    }
    if RECEIPTS.is_dir():
        pages |= {RECEIPTS / "images" / f"{number}.jpg": QUESTIONS for number in range(400, 412, 2)}
    with LayoutLLMReader(int8=False) as exact:
        for path, questions in pages.items():
            document = reader.load(path)
            fast, slow = reader.ask_many(document, questions), exact.ask_many(document, questions)
            assert [(cot.answer, cot.box) for cot in fast] == [(cot.answer, cot.box) for cot in slow]


def test_together_as_alone(reader: LayoutLLMReader) -> None:
    document = reader.load(SAMPLES / "invoice.png")
    questions = [
        "What is the total due?",
        "What is the due date?",
        "What is the IBAN?",
        "What is the flight number?",
    ]
    alone = [reader.ask(document, question) for question in questions]
    assert [cot.answer for cot in reader.ask_many(document, questions)] == [cot.answer for cot in alone]


def test_the_tool_answers_from_a_file(reader: LayoutLLMReader) -> None:
    tool = LayoutLLMTool(reader=reader, access=Access(roots=(SAMPLES,)))
    call = {
        "name": tool.name,
        "args": {"document": "invoice.png", "question": "What is the total due?"},
        "id": "1",
        "type": "tool_call",
    }
    message = tool.invoke(call)
    assert "279.00" in message.content
    assert (
        message.artifact["answer"] == "279.00"
        and json.loads(json.dumps(message.artifact)) == message.artifact
    )


def test_weights_refuse_a_base_they_were_not_trained_on(tmp_path: Path) -> None:
    from layoutllm_tool.model.base import base_model

    other = tmp_path / "base"
    shutil.copytree(base_model(), other)
    (other / "base.json").write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(WeightsMismatch, match="layoutllm pull"):
        load_weights(base=other)
    with pytest.raises(WeightsNotFound, match=r"lacks config\.json"):
        load_weights(tmp_path)


def test_numbers_are_spelt_digit_by_digit() -> None:
    from transformers import AutoTokenizer

    from layoutllm_tool.model.base import base_model

    tokens = AutoTokenizer.from_pretrained(base_model()).tokenize("Total 12.50 on 2018-12-25")
    assert tokens == ["Total", "Ġ", "1", "2", ".", "5", "0", "Ġon", "Ġ", *"2018-12-25"]
