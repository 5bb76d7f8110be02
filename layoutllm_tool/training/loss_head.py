"""Trains the loss head: ``python -m layoutllm_tool.training.loss_head --weights DIR --receipts DIR``.

The frozen model answers pages that its training never drew (seeds of their own) and receipts that it never
saw. The states that it answered from and how far it was off are the data. Outcomes of the same document never
stand on both sides of a measurement. The confidence must be fitted to *other* outcomes than the head's: here
its predictions flatter it.

What is lost by an outcome is 1 - likeness with the gold, 0 for a refusal where the page does not answer, and
1 for every other mismatch: graded, so that a nearly right answer ranks between.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from layoutllm_tool.errors import LayoutLLMError, RecipeError
from layoutllm_tool.model.decoding import CoTDecoder
from layoutllm_tool.model.grammar import DecodingConstraints
from layoutllm_tool.model.loss_head import (
    LossHead,
    ScoredDecoding,
    ranking_loss,
    save_loss_head,
    spread_layers,
)
from layoutllm_tool.model.weights import SHIPPED, calibration, load_weights, parts_sha256
from layoutllm_tool.training.schema import QA, Example

SEED = 950_000_001
"""Of the pages drawn for the head: neither training's nor those that the confidence is fitted to."""
RECEIPTS = range(400, 450)
"""Receipts that are asked about: none that the weights are trained on."""
TOGETHER = 8
"""Questions decoded at once."""


@dataclass(frozen=True)
class Outcomes:
    """N outcomes: documents, the states (N, K, S, D) they were made from, and losses (N), 0-1."""

    documents: tuple[str, ...]
    states: Tensor
    losses: Tensor

    def __getitem__(self, chosen: Sequence[int]) -> Outcomes:
        at = torch.tensor(list(chosen), dtype=torch.long)
        return Outcomes(tuple(self.documents[i] for i in chosen), self.states[at], self.losses[at])


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the head is trained. Not tuned: on 151 drawn outcomes other values ranked alike."""

    hidden: int = 32
    steps: int = 300
    batch: int = 64
    rate: float = 1e-3
    decay: float = 1.0
    dropout: float = 0.3
    """Of the inputs: a few hundred outcomes have thousands of states."""
    seed: int = 0


DEFAULT = Recipe()


# -- outcomes ---------------------------------------------------------------


def loss_of(answer: str | None, gold: str | None) -> float:
    """0 for what the gold says, 1 for what has nothing to do with it; case and outer blanks don't count."""
    if answer is None or gold is None:
        return float(answer is not gold)
    return 1 - SequenceMatcher(None, answer.strip().lower(), gold.strip().lower(), autojunk=False).ratio()


def collect(decoder: CoTDecoder, examples: Iterable[Example]) -> Outcomes:
    """Ask the decoder (with ``hidden_layers``) every question of these pages. RecipeError where there is
    none.
    """
    found = [(example.source, qa, one) for example in examples for qa, one in _answered(decoder, example)]
    if not found:
        hint = "Draw more pages: --pages."
        raise RecipeError("there are no questions to train the loss head on.", hint=hint)
    losses = torch.tensor([loss_of(one.answer, qa.answer) for _, qa, one in found])
    states = torch.stack([one.states for _, _, one in found if one.states is not None])
    return Outcomes(tuple(source for source, _, _ in found), states, losses)


def _answered(decoder: CoTDecoder, example: Example) -> Iterator[tuple[QA, ScoredDecoding]]:
    """Only pages of one window are asked: in another window of a long page a question may be unanswerable."""
    windows = decoder.processor.windows(example.page)
    if len(windows) != 1:
        return
    read = decoder.read(windows[0])
    for start in range(0, len(example.qas), TOGETHER):
        asked = example.qas[start : start + TOGETHER]
        decoded = decoder.decode(read, [(qa.question, DecodingConstraints()) for qa in asked])
        for qa, found in zip(asked, decoded, strict=True):
            if not isinstance(found, ScoredDecoding):
                raise TypeError("the decoder keeps no states; make it with hidden_layers")
            yield qa, found


# -- training ---------------------------------------------------------------


def train(outcomes: Outcomes, hidden_layers: Sequence[int], recipe: Recipe = DEFAULT) -> LossHead:
    """The same outcomes and recipe give the same head. The global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        head = LossHead(hidden_layers, outcomes.states.shape[-1], recipe.hidden)
        head.fit_scale(outcomes.states)
        optimiser = torch.optim.AdamW(head.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
        for step in range(recipe.steps):
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * (1 - step / recipe.steps)
            at = torch.randperm(len(outcomes.losses))[: recipe.batch]
            kept = torch.rand_like(outcomes.states[at]) >= recipe.dropout
            states = torch.where(kept, outcomes.states[at], head.mean)  # a dropped number is its mean
            optimiser.zero_grad()
            ranking_loss(head(states), outcomes.losses[at]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return head.eval()


def ranked(predicted: Tensor, losses: Tensor) -> float:
    """Share of the pairs of unequal loss that are predicted in order; NaN without any."""
    first, second = torch.triu_indices(len(losses), len(losses), offset=1)
    order = (losses[first] - losses[second]).sign()
    agree = (predicted[first] - predicted[second]).sign() * order
    counted = order != 0
    return float(((agree[counted] + 1) / 2).mean())


@torch.no_grad()
def held_out(
    outcomes: Outcomes, hidden_layers: Sequence[int], recipe: Recipe = DEFAULT, *, folds: int = 4
) -> Tensor:
    """What heads trained on the other documents predict for each outcome (N), each fold on its own scale."""
    fold_of = {name: number % folds for number, name in enumerate(sorted(set(outcomes.documents)))}
    predicted = torch.zeros(len(outcomes.losses))
    for fold in sorted(set(fold_of.values())):
        inside = [i for i, name in enumerate(outcomes.documents) if fold_of[name] == fold]
        others = [i for i, name in enumerate(outcomes.documents) if fold_of[name] != fold]
        if not others:
            raise RecipeError("all outcomes are of one document.", hint="Draw more pages: --pages.")
        with torch.enable_grad():
            head = train(outcomes[others], hidden_layers, recipe)
        predicted[inside] = head(outcomes.states[inside])
    return predicted


# -- command ---------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    text = "Train the loss head of a weights folder. Then fit the confidence again (layoutllm eval fit)."
    made = argparse.ArgumentParser(prog="python -m layoutllm_tool.training.loss_head", description=text)
    add = made.add_argument
    folder: dict[str, Any] = {"type": Path, "metavar": "DIR"}
    add("--weights", default=SHIPPED, help="default: the shipped ones", **folder)
    add("--pages", type=int, default=100, help="to be drawn (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the drawn pages and of the head")
    add("--receipts", help="folder of receipts, of which 400-449 are asked about", **folder)
    add("--ocr", action="store_true", help="read the receipts instead of taking the dataset's words")
    add("--out", help="where the head goes (default: the weights folder)", **folder)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    try:
        return _run(options)
    except LayoutLLMError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 2


def _run(options: argparse.Namespace) -> int:
    decoder = _decoder(options.weights)
    outcomes = collect(decoder, _examples(options))
    recipe = Recipe(seed=options.seed)
    accuracy = ranked(held_out(outcomes, decoder.hidden_layers, recipe), outcomes.losses)
    head = train(outcomes, decoder.hidden_layers, recipe)
    facts = {"outcomes": str(len(outcomes.losses)), "held_out_ranking_accuracy": f"{accuracy:.3f}"}
    folder = options.out or options.weights
    folder.mkdir(parents=True, exist_ok=True)
    path = save_loss_head(head, folder, parts_sha256=parts_sha256(options.weights), facts=facts)
    right = float((outcomes.losses < 0.5).float().mean())
    sys.stdout.write(
        f"{len(outcomes.losses)} outcomes of {len(set(outcomes.documents))} documents, "
        f"{right:.0%} nearly right.\n"
        f"Pairs in order: {accuracy:.3f} on held-out documents.\n{path}\n"
    )
    return 0


def _decoder(weights: Path) -> CoTDecoder:
    model, processor = load_weights(weights, judged=False)
    decoder = CoTDecoder(
        model, processor, hidden_layers=spread_layers(model.config.text_config.num_hidden_layers)
    )
    fitted: Mapping[str, float] = calibration(weights)
    decoder.grammar.no_answer_bias = float(fitted.get("no_answer_bias", 0.0))
    decoder.grammar.key_present_bias = float(fitted.get("key_present_bias", 0.0))
    return decoder


def _examples(options: argparse.Namespace) -> Iterator[Example]:
    for example in _sources(options):
        sys.stderr.write(f"{example.source}\n")
        yield example


def _sources(options: argparse.Namespace) -> Iterator[Example]:
    from layoutllm_tool.training import synthetic
    from layoutllm_tool.training.data import receipt_pages
    from layoutllm_tool.training.receipts import examples

    seed = SEED + options.seed
    yield from synthetic.examples(seed=seed, count=options.pages)
    if options.receipts:
        pages = receipt_pages(options.receipts) if options.ocr else None
        yield from examples(options.receipts, RECEIPTS, seed=seed, pages=pages)


if __name__ == "__main__":
    raise SystemExit(main())
