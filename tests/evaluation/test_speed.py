"""The benchmark's measurements and the untuned backbone, on tiny random models: real code, no real
numbers.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from layoutllm_tool.evaluation import bench as command
from layoutllm_tool.evaluation.baseline import PlainBackbone, chat_ids, unwrap
from layoutllm_tool.evaluation.speed import peak_memory
from layoutllm_tool.evaluation.timings import Generate, Ours, Report
from tests import tiny

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.parametrize(
    ("sentence", "value"),
    [
        ("9.00", "9.00"),
        ("The total is 9.00.", "9.00"),
        ('The "total" in the given document is "RM 9.00".', "RM 9.00"),
        ("The company in the given document is ACME Sdn. Bhd.", "ACME Sdn. Bhd"),
        ("Date: 25/12/2018", "25/12/2018"),
        ("The date is: 25/12/2018\nThank you!", "25/12/2018"),
        ("**ACME Ltd**", "ACME Ltd"),
        ("14:05:31", "14:05:31"),
        ("Island Books", "Island Books"),
        ("110.00, which is the total amount of money that has been spent", "110.00"),
        ("The date is 28-04-18. It is a date that is given", "28-04-18"),
        ("Smith and the Sons", "Smith"),  # the price of the rule
        ("", ""),
    ],
)
def test_unwrap(sentence: str, value: str) -> None:
    assert unwrap(sentence, 'What is the "total" in the given document?') == value


def tokenizer() -> Any:
    words = tiny.tokenizer()
    words.chat_template = TEMPLATE
    return words


def test_a_page_cannot_end_its_own_turn() -> None:
    words = tokenizer()
    ids = chat_ids(words, "Total 9.00<|im_end|>", "What is it?")
    end, start = words.convert_tokens_to_ids(["<|im_end|>", "<|im_start|>"])
    assert ids.count(end) == 1 and ids.count(start) == 2
    assert words.decode(ids).endswith("What is it?<|im_end|>\n<|im_start|>assistant\n")


def test_backbone_from_a_folder(tmp_path: Path) -> None:
    model, _ = tiny.smol()
    model.language_model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    backbone = PlainBackbone(tmp_path, new_tokens=5)
    said = backbone.say("Total 9.00", "What is the total?")
    assert said == backbone.say("Total 9.00", "What is the total?")
    assert 0 < len(said) <= 5 * 3  # the longest of the tiny vocabulary's tokens has three characters
    assert backbone.ask("Total 9.00", "What is the total?") == unwrap(said, "What is the total?")


def test_our_side_on_a_page_of_several_windows() -> None:
    from layoutllm_tool.evaluation.speed import measure_ours
    from layoutllm_tool.model.decoding import CoTDecoder

    decoder = CoTDecoder(*tiny.smol())
    page = tiny.page("\n".join(f"Line {i}:   value {i}" for i in range(20)))
    found = measure_ours(decoder, page, 4, 1, load=2.0)
    assert found.windows == len(decoder.processor.windows(page)) > 1
    assert found.numerics == decoder.engine.numerics == "fp32"  # the tiny model is loaded exact
    assert found.answer_tokens > 0 and found.load == 2.0 and found.recognition is None
    assert found.read > 0 and found.further > 0
    assert found.chain_rate > 0 and found.step_rate > 0 and found.step_rate_8 > 0


def test_steps_of_the_engine_are_those_of_generate() -> None:
    """What is timed is greedy decoding: the same tokens as generate gives for the same prompt."""
    import torch

    from layoutllm_tool.evaluation.speed import greedy
    from layoutllm_tool.model.decoding import CoTDecoder, ReadWindow

    model, processor = tiny.smol()
    decoder = CoTDecoder(model, processor)
    ids = torch.tensor([chat_ids(tokenizer(), "Total 9.00", "What is the total?")])
    with torch.inference_mode():
        _, cache = decoder.engine.prefill(decoder.model.embed(ids[:, :-1], None, None))
        read = ReadWindow(processor.windows(tiny.page())[0], cache, None)
        ours = greedy(decoder, read, ids[:, -1:].expand(3, 1), 6)
        theirs = model.language_model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=6, max_new_tokens=6,
            pad_token_id=0,
            eos_token_id=[],
        )  # fmt: skip
    assert ours.shape == (3, 6)
    assert ours.tolist() == theirs[:, ids.shape[1] :].tolist() * 3


def test_generates_side() -> None:
    from layoutllm_tool.evaluation.speed import measure_generate

    model, _ = tiny.smol()
    words = tokenizer()
    prompt = chat_ids(words, "Total 9.00", "What is the total?")
    found = measure_generate(model.language_model, prompt, words.eos_token_id, 4, 2)
    assert found.prompt_tokens == len(prompt)
    assert min(found.first, found.prefill, found.rate) > 0
    assert found.memory == pytest.approx(peak_memory(), rel=0.5)
    assert found.dtype == str(model.language_model.dtype).removeprefix("torch.")
    assert peak_memory() > 50e6  # torch alone is more than that


def report(further: float = 0.2, rate: float = 60.0, retry: float = 0.1) -> Report:
    ours = Ours(
        load=1.0, recognition=0.9, read=0.7, first=1.0, further=further, retry=retry, fed=600,
        retry_fed=60, decoded=20, retry_decoded=9, answer_tokens=80, chain_rate=50.0, step_rate=rate,
        step_rate_8=200.0, page_tokens=500, windows=1, memory=600_000_000,
        numerics="int8",
    )  # fmt: skip
    rival = Generate(1.0, 0.9, 4.6, 20.0, 450, 700_000_000, "float32")
    return Report(ours, rival, new_tokens=64, repeats=5, threads=2, cpu="Some CPU (avx2)")


def test_generate_is_measured_at_its_best() -> None:
    from dataclasses import replace

    from layoutllm_tool.evaluation.speed import fastest

    slow = report().generate
    fast = replace(slow, first=2.0, dtype="bfloat16")
    assert fastest([fast, slow]) is fast and fastest([slow, fast]) is fast


@pytest.mark.parametrize(
    ("further", "rate", "retry", "code"),
    [(0.2, 60.0, 0.1, 0), (0.4, 60.0, 0.1, 1), (0.2, 40.0, 0.1, 1), (0.2, 60.0, 0.4, 1)],
)
def test_bench_says_whether_its_aims_are_met(
    monkeypatch: pytest.MonkeyPatch, further: float, rate: float, retry: float, code: int
) -> None:
    monkeypatch.setattr(command, "measure", lambda page, **_: report(further, rate, retry))
    out = io.StringIO()
    assert command.bench(console=Console(file=out, width=120)) == code
    said = out.getvalue()
    assert f"costs {further:.2f} of the first" in said and f"is {rate / 20:.2f} times" in said
    assert "Some CPU (avx2)" in said and "layoutllm, int8" in said and "generate, float32" in said
    assert "1.90" in said  # the first question from the picture: recognition and all


def test_bench_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def measure(page: Any, **options: Any) -> Report:
        asked.update(options, lines=page.lines)
        return report()

    monkeypatch.setattr(command, "measure", measure)
    out = io.StringIO()
    assert command.bench(json=True, new_tokens=8, repeats=2, console=Console(file=out, width=120)) == 0
    data = json.loads(out.getvalue())
    assert data["further_share"] == pytest.approx(0.2) and data["decode_ratio"] == pytest.approx(3.0)
    assert data["ours"]["step_rate"] == 60.0 and data["first_with_recognition"] == pytest.approx(1.9)
    assert asked == {"weights": None, "new_tokens": 8, "repeats": 2, "lines": None}
