"""Trains the text model's adapter: a page's text and a question as people ask it -> what is to be copied.

    python -m layoutllm_tool.training.text_model --naf DIR --receipts DIR --state FILE --out FILE

LoRA on every projection. The questions of a page are packed behind its text, which is read once: each sees
the page and itself. Pages: documents written by hand (``synthetic/written``), those of ``everyday``, the
National Archives Forms, receipts 000-399. ``--state`` keeps what a run needs to go on after an end.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.model.page_index import PageIndex
from layoutllm_tool.model.text_model import (
    ABSENT,
    ANSWER,
    ASK,
    HEAD,
    LONGEST_ANSWER,
    rows,
    text_model_folder,
)
from layoutllm_tool.training.fusion_head import Question, everyday, of_examples, real
from layoutllm_tool.training.receipts import examples
from layoutllm_tool.training.synthetic import written

RANK, RATE, WARM_UP, PAGES_A_STEP = 10, 2e-4, 40, 2
QUESTIONS, MOST_WORDS, MOST_TOKENS = 12, 450, 1500
SAVED_EVERY = 10
"""Pages between two states of a run."""
SHARES = {"written": 0.60, "everyday": 0.20, "archive": 0.12, "receipts": 0.08}
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Asked = tuple[str, str]
"""A question and what is to be written."""


@dataclass(frozen=True, slots=True)
class Packed:
    """(1, T) tokens and their positions; (1, 1, T, T) what each may see; (T) the next token, -1 where that
    is not learned.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor
    targets: Tensor


def pages(seed: int, naf: Path, receipts: Path) -> Iterator[tuple[str, list[Asked]]]:
    """Heads with a page's text, and what is asked of them. Endless, the same for a seed."""
    rng = Random(f"text model/{seed}")
    numbers = range(400)
    sources: dict[str, Iterator[tuple[Page, list[Question]]]] = {
        "written": (
            (page, [(one.question, one.words) for one in asked]) for page, asked in written.pages(seed)
        ),
        "everyday": everyday(9100 + seed, range(10**6)),
        "archive": (one for turn in range(10**6) for one in real(naf, seed=turn)),
        "receipts": (
            one
            for turn in range(10**6)
            for one in of_examples(examples(receipts, numbers, seed=turn, bare=0.1))
        ),
    }
    while True:
        page, asked = next(sources[rng.choices(tuple(SHARES), tuple(SHARES.values()))[0]])
        if asked and len(page.words) <= MOST_WORDS:
            some = rng.sample(asked, min(QUESTIONS, len(asked)))
            head = HEAD + PageIndex.of(page, None).text + ASK
            yield head, [(_worded(question, rng), answer(page, words)) for question, words in some]


def _worded(question: str, rng: Random) -> str:
    """Some are typed lazily."""
    chance = rng.random()
    return question.lower() if chance < 0.15 else question.rstrip("?") if chance < 0.2 else question


def answer(page: Page, words: tuple[tuple[int, int], ...]) -> str:
    """What is to be written: the words, without a comma behind them."""
    lines = page.lines or ()
    return " ".join(lines[i].words[j].text for i, j in words).rstrip(",;") if words else ABSENT


def packed(tokenizer: Any, head: str, asked: list[Asked], longest: int = LONGEST_ANSWER) -> Packed:
    """The head, and behind it each question with its answer, of at most ``longest`` tokens."""
    tokens: list[int] = list(tokenizer(head).input_ids)
    start, end = len(tokens), tokenizer.convert_tokens_to_ids("<|im_end|>")
    positions, targets, owner = list(range(start)), [-1] * start, [0] * start
    for number, (question, text) in enumerate(asked, start=1):
        before = tokenizer(question + ANSWER).input_ids
        after = [*tokenizer(text).input_ids[:longest], end]
        own = [*before, *after[:-1]]
        tokens += own
        positions += range(start, start + len(own))
        owner += [number] * len(own)
        targets += [-1] * (len(before) - 1) + after
    owners, place = torch.tensor(owner), torch.arange(len(tokens))
    seen = (place[:, None] >= place) & ((owners == 0) | (owners[:, None] == owners))
    mask = torch.zeros(seen.shape, dtype=torch.bfloat16).masked_fill(~seen, torch.finfo(torch.bfloat16).min)
    return Packed(torch.tensor([tokens]), torch.tensor([positions]), mask[None, None], torch.tensor(targets))


def loss_of(model: Any, one: Packed) -> Tensor:
    """Mean cross-entropy of the answers' tokens; the head is computed for those alone."""
    states = model.model(
        input_ids=one.tokens, position_ids=one.positions, attention_mask=one.mask, use_cache=False
    ).last_hidden_state[0]
    learned = one.targets >= 0
    logits = F.linear(states[learned], model.lm_head.weight).float()
    return F.cross_entropy(logits, one.targets[learned])


def train(
    options: argparse.Namespace, examples: Iterable[tuple[str, list[Asked]]], longest: int = LONGEST_ANSWER
) -> dict[str, Tensor]:
    """LoRA matrices by name, as ``model.text_model.merge`` expects them, in float32.

    ``examples``: heads, and what is asked behind each. ``longest``: tokens of an answer.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(options.seed)
    folder = text_model_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, local_files_only=True)
    tuned: Any = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=list(LAYERS)))
    weights = {_name(n): p for n, p in tuned.named_parameters() if p.requires_grad}
    for weight in weights.values():
        weight.data = weight.data.float()
    optimizer = torch.optim.AdamW(weights.values(), lr=RATE, weight_decay=0.0, betas=(0.9, 0.98))
    if options.start:
        _begin(options.start, weights)
    done = _resume(options.state, weights, optimizer)
    for number, (head, asked) in enumerate(examples):
        if number >= options.pages:
            break
        if number < done or (one := packed(tokenizer, head, asked, longest)).tokens.shape[1] > MOST_TOKENS:
            continue
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (number + 1) / WARM_UP) * (1 - 0.9 * number / options.rate_pages)
        loss = loss_of(tuned.get_base_model(), one)
        (loss / PAGES_A_STEP).backward()  # type: ignore[no-untyped-call]
        if number % PAGES_A_STEP == PAGES_A_STEP - 1:
            torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        if number % SAVED_EVERY == SAVED_EVERY - 1:
            sys.stderr.write(f"page {number + 1}: {loss.item():.3f}\n")
            _keep(options.state, weights, optimizer, number + 1)
    return {name: weight.detach() for name, weight in weights.items()}


def _name(peft: str) -> str:
    """``base_model.model.model.layers.0.mlp.up_proj.lora_A.default.weight`` -> ``layers.0...lora_A``."""
    return peft.removeprefix("base_model.model.model.").removesuffix(".default.weight")


def _begin(adapter: Path, weights: dict[str, Any]) -> None:
    """Take over an adapter of ``eight_bits``."""
    for name, row in rows(load_file(adapter)).items():
        weights[name].data.copy_(row.T if name.endswith("B") else row)


def _resume(state: Path, weights: dict[str, Any], optimizer: torch.optim.Optimizer) -> int:
    """Pages that were learned from before."""
    if not state.exists():
        return 0
    known = torch.load(state, weights_only=True)
    optimizer.load_state_dict(known["optimizer"])
    for name, weight in weights.items():
        weight.data.copy_(known["weights"][name])
    return int(known["pages"])


def _keep(state: Path, weights: dict[str, Any], optimizer: torch.optim.Optimizer, done: int) -> None:
    values = {name: weight.detach() for name, weight in weights.items()}
    scratch = state.with_suffix(".new")
    torch.save({"weights": values, "optimizer": optimizer.state_dict(), "pages": done}, scratch)
    os.replace(scratch, state)


def eight_bits(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each row divided by its largest magnitude; ``lora_B`` is turned first: (R, out)."""
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        rows = weight.T if name.endswith("B") else weight
        scale = rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / 127
        found[name] = (rows / scale).round().to(torch.int8).contiguous()
        found[f"{name}_scale"] = scale[:, 0].float()
    return found


def run_options(description: str | None) -> argparse.ArgumentParser:
    """The arguments of a run."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--start", type=Path, help="an adapter to go on from")
    parser.add_argument("--state", type=Path, required=True, help="where a run is kept, and taken up")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pages", type=int, default=800)
    parser.add_argument(
        "--rate-pages", type=int, default=800, help="pages at which the rate has fallen to a tenth"
    )
    parser.add_argument("--seed", type=int, default=51)
    return parser


def main(arguments: list[str] | None = None) -> None:
    parser = run_options(__doc__)
    parser.add_argument("--naf", type=Path, required=True, help="folder of the National Archives Forms")
    parser.add_argument("--receipts", type=Path, required=True, help="folder of SROIE's receipts")
    options = parser.parse_args(arguments)
    weights = train(options, pages(options.seed, options.naf, options.receipts))
    save_file(eight_bits(weights), options.out, metadata={"pages": str(options.pages)})


if __name__ == "__main__":
    main()
