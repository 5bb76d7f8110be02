"""Trains the pair head: which candidate is a key's value. Minutes on one core, never on FUNSD or CORD.

    python -m layoutllm_tool.training.pair_head --pages 1500 --naf DIR --out FILE

Rows come from drawn pages (training/synthetic) and from the National Archives Forms, whose values were
written by hand. A row is one key with the features of its candidates; the target is shared by the
candidates that hold most of the value's words.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from layoutllm_tool.documents.key_value_features import NAMES, features
from layoutllm_tool.documents.key_values import Candidate, by_rule, candidates
from layoutllm_tool.documents.page_layout import PageLayout, WordId
from layoutllm_tool.documents.search import find
from layoutllm_tool.model.pair_head import MOST

HIDDEN, MEMBERS, EPOCHS, ROWS, RATE = 24, 4, 20, 256, 1e-2
GOOD = 0.8
"""Least share of the value (intersection over union of words) that the best candidate of a row must hold."""
Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Row:
    """One list to choose from: features (C, F), and how good each is, 0-1 (C)."""

    features: Array
    worth: Array


def drawn_rows(seed: int, pages: Iterable[int]) -> Iterator[Row]:
    """Keys of drawn pages, as they stand there, with their values."""
    from layoutllm_tool.training.synthetic.build import drawn

    for number in pages:
        one = drawn(seed, number)
        layout = PageLayout(one.page)
        for found in one.found:
            if found.printed and found.fact.kind in ("key-value", "paragraph", "list"):
                yield from _row(layout, found.printed, found.words)


def naf_rows(folder: Path) -> Iterator[Row]:
    from layoutllm_tool.training.naf import forms

    for form in forms(folder):
        layout = PageLayout(form.page)
        for pair in form.pairs:
            yield from _row(layout, pair.key, pair.words)


def _row(layout: PageLayout, key: str, words: Iterable[WordId]) -> Iterator[Row]:
    matches = find(layout, key)[:8]
    pairs = [(c, match.score) for match in matches for c in candidates(layout, match.words)][:MOST]
    found = [c for c, _ in pairs]
    worth = np.array([_overlap(c, set(words)) for c in found], np.float32)
    if found and worth.max() >= GOOD:
        rule = by_rule(layout, found)
        rows = features(layout, found, scores=[score for _, score in pairs], rule=rule)
        yield Row(np.array(rows, np.float32), worth)


def _overlap(candidate: Candidate, words: set[WordId]) -> float:
    mine = set(candidate.ids)
    return len(mine & words) / len(mine | words)


# -- training: lists of any features ------------------------------------------------------------------------


class ListwiseNet(nn.Module):
    """Scores each member of a list by itself: (R, C, F) -> (R, C)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.first, self.second = nn.Linear(len(mean), hidden), nn.Linear(hidden, 1)

    def forward(self, rows: Tensor, real: Tensor) -> Tensor:
        scores: Tensor = self.second(torch.tanh(self.first((rows - self.mean) / self.deviation))).squeeze(-1)
        return scores.masked_fill(~real, -1e9)


def packed(rows: list[Row]) -> tuple[Tensor, Tensor, Tensor]:
    """Features (R, C, F), worth (R, C) and which places are real (R, C)."""
    worth = [torch.from_numpy(row.worth) for row in rows]
    features = [torch.from_numpy(row.features) for row in rows]
    real = [torch.ones_like(one).bool() for one in worth]
    x, y, mask = (pad_sequence(part, batch_first=True) for part in (features, worth, real))
    return x, y, mask


def train_listwise(
    rows: list[Row], *, seed: int, hidden: int = HIDDEN, epochs: int = EPOCHS, decay: float = 1e-3
) -> ListwiseNet:
    """Cross-entropy of the softmax over each list; the best members share the target."""
    torch.manual_seed(seed)
    x, worth, real = packed(rows)
    target = (worth >= worth.max(1, keepdim=True).values - 1e-4).float() * real
    target = target / target.sum(1, keepdim=True)
    known = x[real]
    net = ListwiseNet(known.mean(0), known.std(0).clamp_min(1e-2), hidden)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=decay)
    steps = epochs * -(-len(rows) // ROWS)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for part in torch.split(torch.randperm(len(rows)), ROWS):
            loss = -(target[part] * net(x[part], real[part]).log_softmax(-1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net


def ensemble(
    rows: list[Row], *, members: int = MEMBERS, hidden: int = HIDDEN, epochs: int = EPOCHS
) -> dict[str, Array]:
    """Several nets from different beginnings, as the arrays that ``PairHead`` and ``FusionHead`` take."""
    nets = [train_listwise(rows, seed=seed, hidden=hidden, epochs=epochs) for seed in range(members)]
    layers: dict[str, list[Tensor]] = {
        "w1": [net.first.weight.T for net in nets], "b1": [net.first.bias for net in nets],
        "w2": [net.second.weight[0] for net in nets], "b2": [net.second.bias[0] for net in nets],
    }  # fmt: skip
    tensors = {name: torch.stack(found).detach() for name, found in layers.items()}
    tensors |= {"mean": nets[0].mean, "deviation": nets[0].deviation}
    return {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in tensors.items()}


def save_head(tensors: dict[str, Array], path: Path, **facts: str) -> None:
    from safetensors.numpy import save_file

    save_file(tensors, path, metadata=facts)
    path.chmod(0o644)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m layoutllm_tool.training.pair_head", description=__doc__)
    parser.add_argument("--pages", type=int, default=1500, help="pages to draw")
    parser.add_argument("--seed", type=int, default=900)
    parser.add_argument("--naf", type=Path, help="folder of the National Archives Forms")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    rows = list(drawn_rows(options.seed, range(options.pages)))
    real = list(naf_rows(options.naf)) if options.naf else []
    sys.stderr.write(f"{len(rows)} rows of drawn pages, {len(real)} of real forms\n")
    facts = {"pages": options.pages, "seed": options.seed, "rows": len(rows), "real": len(real)}
    known = {name: str(value) for name, value in facts.items()}
    save_head(ensemble([*rows, *real, *real]), options.out, features=",".join(NAMES), **known)
    return 0


if __name__ == "__main__":
    sys.exit(main())
