"""A small network that says which candidate is a key's value, from geometry and text alone
(``key_value_features``).

An ensemble of two-layer perceptrons, trained on drawn pages and on ``naf`` (training/pair_head.py); a
fraction of a millisecond for a key. NumPy, so that it needs no model to be loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from layoutllm_tool.documents.key_value_features import NAMES, features
from layoutllm_tool.documents.key_values import Candidate, by_rule, candidates
from layoutllm_tool.documents.page_layout import PageLayout
from layoutllm_tool.documents.search import Match

SHIPPED = Path(__file__).parent.parent / "weights" / "pair_head.safetensors"
"""The default weights, inside the package."""
MOST = 60
"""Candidates of one key, all its places together, that are weighed."""
Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scored:
    """Candidates of one key with their log-probabilities (C), features (C, F), and the one that the rule
    takes.
    """

    found: tuple[Candidate, ...]
    logprobs: Array
    features: Array
    rule: int | None

    @property
    def best(self) -> int | None:
        return int(self.logprobs.argmax()) if self.found else None


class Ensemble:
    """Weights of N members: mean, deviation (F); first layer (N, F, H), (N, H); second (N, H), (N)."""

    NAMES: ClassVar[Sequence[str]]
    """Of the F features."""

    def __init__(self, tensors: dict[str, Array]) -> None:
        self._mean, self._deviation = tensors["mean"], tensors["deviation"]
        self._w1, self._b1, self._w2, self._b2 = (tensors[name] for name in ("w1", "b1", "w2", "b2"))
        if self._mean.shape != (len(self.NAMES),):
            raise ValueError(f"a head of {self._mean.shape} features, and {len(self.NAMES)} are computed")

    @classmethod
    def load(cls, path: Path) -> Self:
        from safetensors.numpy import load_file

        return cls(load_file(path))

    def scaled(self, rows: Array) -> Array:
        """(C, F): distances from the mean, in deviations."""
        return (rows - self._mean) / self._deviation

    def shares(self, x: Array) -> Array:
        """(C): mean probability of the members for scaled rows."""
        hidden = np.tanh(np.einsum("cf,nfh->nch", x, self._w1) + self._b1[:, None])
        logits = np.einsum("nch,nh->nc", hidden, self._w2) + self._b2[:, None]
        p = np.exp(logits - logits.max(1, keepdims=True))
        mean: Array = (p / p.sum(1, keepdims=True)).mean(0)
        return mean


class PairHead(Ensemble):
    """Weighs the candidates of a key."""

    NAMES = NAMES

    def logprobs(self, rows: Array) -> Array:
        """(C): mean probability of the members, as a logarithm."""
        return np.asarray(np.log(self.shares(self.scaled(rows)) + 1e-6), np.float32)

    def score(self, layout: PageLayout, matches: Sequence[Match]) -> Scored:
        """The candidates of all places that say one key."""
        pairs = [(c, match.score) for match in matches for c in candidates(layout, match.words)][:MOST]
        found = tuple(c for c, _ in pairs)
        if not found:
            return Scored((), np.zeros(0, np.float32), np.zeros((0, len(NAMES)), np.float32), None)
        rule = by_rule(layout, found)
        rows = np.array(features(layout, found, scores=[s for _, s in pairs], rule=rule), np.float32)
        return Scored(found, self.logprobs(rows), rows, found.index(rule) if rule else None)
