"""Trains the sentence encoder's adapter: a question lies near the key or sentence that answers it.

    python -m layoutllm_tool.training.question_encoder --out FILE

LoRA on ``all-MiniLM-L6-v2``, InfoNCE both ways within a batch (van den Oord et al. 2018), over the wordings
in ``training/synthetic/wordings``. What is to be found is a key, half of the time with a value behind it, a
table's row and column, or a sentence. Keys of one kind are no negatives of each other, nor is a key that
another kind has too. Those easily taken for one another are added as hard negatives.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from layoutllm_tool.model.sentence_encoder import SentenceEncoder, sentence_encoder_folder, vectors_of
from layoutllm_tool.training.synthetic.everyday_form import value
from layoutllm_tool.training.synthetic.values import ValueGenerator
from layoutllm_tool.training.synthetic.vocabulary import Field, facts, fields, tables

RANK, RATE, EPOCHS, BATCH, TEMPERATURE = 16, 5e-4, 5, 64, 0.05
TARGETS = ("query", "key", "value", "dense")
_FILLED = {
    "value": "2 months", "name": "Ms Miller", "place": "Springfield", "party": "the tenant",
    "event": "meeting",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """A question, what it may find, and the kinds that it must not be held against."""

    id: str
    question: str
    keys: tuple[str, ...]
    hard: tuple[Field, ...] = ()
    field: Field | None = None
    """Whose values may stand behind the key."""

    def target(self, rng: Random) -> str:
        """What the question is to find."""
        return _target(self.field, rng) if self.field else rng.choice(self.keys)


def _target(field: Field, rng: Random) -> str:
    key = rng.choice(field.keys)
    return key if rng.random() < 0.5 else f"{key} {value(ValueGenerator(rng), field)}"


class _Filled(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return f"the {name}"


def pairs(kinds: Sequence[Field]) -> list[Pair]:
    """Every wording of every kind, of every fact and of every table's cells."""
    by_id = {(field.language, field.id): field for field in kinds}
    found = []
    for field in kinds:
        questions = (*field.questions, *field.keys[:1])
        found += [Pair(field.id, question, field.keys, _hard(field, by_id), field) for question in questions]
    for fact in facts():
        values = fact.examples or (_FILLED["value"],)
        sentences = tuple(
            template.format_map(_Filled(_FILLED, value=values[number % len(values)]))
            for number, template in enumerate(fact.templates)
        )
        questions = tuple(question.format_map(_Filled(_FILLED)) for question in fact.questions)
        found += [Pair(fact.id, question, sentences) for question in questions]
    for table in tables():
        for question in table.questions:
            for row, column in zip(table.rows, table.columns[1:], strict=False):
                names, asked = (f"{row} {column}", f"{column} {row}"), question.format(row=row, column=column)
                found.append(Pair(f"{table.id}/{row}/{column}", asked, names))
    return found


def _hard(field: Field, by_id: Mapping[tuple[str, str], Field]) -> tuple[Field, ...]:
    """The known kinds that it is easily taken for."""
    return tuple(by_id[field.language, o] for o in field.confusable if (field.language, o) in by_id)


def batches(every: list[Pair], rng: Random) -> Iterator[list[Pair]]:
    order = rng.sample(every, len(every))
    yield from (order[start : start + BATCH] for start in range(0, len(order) - BATCH + 1, BATCH))


def loss_of(model: Any, tokenizer: Any, batch: list[Pair], rng: Random) -> Tensor:
    targets = [pair.target(rng) for pair in batch]
    targets += [_target(rng.choice(pair.hard), rng) for pair in batch if pair.hard]
    vectors = encoded(model, tokenizer, [p.question for p in batch] + targets)
    scores = vectors[: len(batch)] @ vectors[len(batch) :].T / TEMPERATURE
    right = torch.arange(len(batch))
    same = torch.tensor([[_same(one, batch, j, target) for j, target in enumerate(targets)] for one in batch])
    same[right, right] = False
    scores = scores.masked_fill(same, -torch.inf)
    back = torch.nn.functional.cross_entropy(scores[:, : len(batch)].T, right)
    return (torch.nn.functional.cross_entropy(scores, right) + back) / 2


def _same(one: Pair, batch: list[Pair], number: int, target: str) -> bool:
    """Whether the batch's target of this number would answer the pair's question too."""
    kind = batch[number].id if number < len(batch) else ""
    return one.id == kind or target.casefold() in {key.casefold() for key in one.keys}


def encoded(model: Any, tokenizer: Any, texts: list[str]) -> Tensor:
    """(N, 384) as ``SentenceEncoder``, with gradients. Texts of similar length go together: less padding."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    parts = [order[start : start + BATCH // 2] for start in range(0, len(order), BATCH // 2)]
    with torch.autocast("cpu", torch.bfloat16):
        vectors = torch.cat([vectors_of(model, tokenizer, [texts[i] for i in part]) for part in parts])
    return vectors[torch.tensor(order).argsort()]


def train(model: Any, tokenizer: Any, every: list[Pair], *, epochs: int, seed: int = 0) -> None:
    rng = Random(seed)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.01)
    steps = epochs * (len(every) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1, pct_start=0.1)
    for epoch in range(epochs):
        total = 0.0
        for batch in batches(every, rng):
            loss = loss_of(model, tokenizer, batch, rng)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            total += loss.item()
        sys.stderr.write(f"epoch {epoch + 1}: {total / (len(every) // BATCH):.3f}\n")


def _adapter(tuned: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The LoRA's weights by the names that they have in a file."""
    for name, weight in tuned.named_parameters():
        if ".lora_" in name:
            yield name.removeprefix("base_model.model.").replace(".default", ""), weight


@torch.no_grad()
def _go_on(tuned: Any, start: Path) -> None:
    from safetensors.torch import load_file

    known = load_file(start)
    for name, weight in _adapter(tuned):
        weight.copy_(known[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--start", type=Path, help="an adapter to go on from")
    options = parser.parse_args()
    torch.manual_seed(0)
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file

    encoder = SentenceEncoder(sentence_encoder_folder(), adapter=None)
    adapter = LoraConfig(r=RANK, lora_alpha=2 * RANK, lora_dropout=0.05, target_modules=list(TARGETS))
    tuned: Any = get_peft_model(encoder.model, adapter)
    if options.start:
        _go_on(tuned, options.start)
    train(tuned.train(), encoder.tokenizer, pairs(fields()), epochs=options.epochs)
    state = {name: value.detach().bfloat16().contiguous() for name, value in _adapter(tuned)}
    save_file(state, options.out)


if __name__ == "__main__":
    main()
