"""The untuned backbone's cache of the page: what it says must not depend on what it was asked before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from layoutllm_tool.evaluation.baseline import PlainBackbone
from tests.tiny import text_config, tokenizer

PAGES = ("ACME Trading\nDate: 25/12/2018\nTotal: 9.00", "ACME Trading\nDate: 1 May\nNo total")
QUESTIONS = ("What is the total?", "What is the date?", "What is the total", "What is the total?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with a chat template, small enough to make in no time."""
    torch.manual_seed(3)
    words = tokenizer()
    words.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    model = LlamaForCausalLM(text_config(len(words))).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # spread out, so that random answers are not all alike
            parameter.mul_(8)
    place = tmp_path_factory.mktemp("base")
    model.save_pretrained(place)
    words.save_pretrained(place)
    return place


def backbone(folder: Path) -> PlainBackbone:
    made = PlainBackbone(folder, new_tokens=12)
    made.model.float()  # in bf16 near ties may fall either way
    return made


def test_a_page_asked_again_says_what_it_says_when_asked_anew(folder: Path) -> None:
    kept = backbone(folder)
    asked = [(page, question) for page in PAGES for question in QUESTIONS]
    said = [kept.say(page, question) for page, question in asked]
    assert said == [backbone(folder).say(page, question) for page, question in asked]
    assert len(set(said)) > 2


def test_a_further_question_reads_only_its_own_tokens(folder: Path) -> None:
    kept, seen = backbone(folder), []
    kept.model.register_forward_pre_hook(
        lambda _m, _a, k: seen.append(k["input_ids"].shape[1]), with_kwargs=True
    )
    kept.say(PAGES[0], QUESTIONS[0])
    first, seen[:] = seen[0], []
    kept.say(PAGES[0], QUESTIONS[1])
    assert first > 60
    assert seen[0] < first / 2


def test_a_call_that_broke_off_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = backbone(folder)
    kept.say(PAGES[0], QUESTIONS[0])
    with monkeypatch.context() as patch:
        patch.setattr(kept.tokenizer, "decode", None)
        with pytest.raises(TypeError):
            kept.say(PAGES[0], QUESTIONS[1])
        patch.setattr(kept.model, "generate", None)
        with pytest.raises(TypeError):
            kept.say(PAGES[0], QUESTIONS[1])
    assert kept.say(PAGES[0], QUESTIONS[2]) == backbone(folder).say(PAGES[0], QUESTIONS[2])
