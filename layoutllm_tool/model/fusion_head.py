"""Weighs the options of a question: an ensemble of two-layer perceptrons over ``option_features``, trained
listwise (training/fusion_head.py). NumPy alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from layoutllm_tool.model.option_features import NAMES
from layoutllm_tool.model.page_index import NAMED, Array

SHIPPED = Path(__file__).parent.parent / "weights" / "fusion_head.safetensors"


class FusionHead:
    """As ``PairHead``: mean, deviation (F); first layer (N, F, H), (N, H); second (N, H), (N).
    ``no_answer_bias`` (2) is what the log-odds of "none" are lowered by where the page names the key that is
    asked for, and elsewhere: training asks for what is not there more often than people do.
    """

    def __init__(self, tensors: dict[str, Array]) -> None:
        self._mean, self._deviation = tensors["mean"], tensors["deviation"]
        self._w1, self._b1, self._w2, self._b2 = (tensors[name] for name in ("w1", "b1", "w2", "b2"))
        self._no_answer_bias = tensors["no_answer_bias"]
        if self._mean.shape != (len(NAMES),):
            raise ValueError(f"a fusion head of {self._mean.shape} features, and {len(NAMES)} are computed")

    @classmethod
    def load(cls, path: Path) -> FusionHead:
        from safetensors.numpy import load_file

        return cls(load_file(path))

    def probabilities(self, rows: Array) -> Array:
        """(O): of each option, "none" first; they sum to 1."""
        x = np.clip((rows - self._mean) / self._deviation, -8, 8)
        hidden = np.tanh(np.einsum("cf,nfh->nch", x, self._w1) + self._b1[:, None])
        logits = np.einsum("nch,nh->nc", hidden, self._w2) + self._b2[:, None]
        p = np.exp(logits - logits.max(1, keepdims=True))
        mean: Array = (p / p.sum(1, keepdims=True)).mean(0)
        mean[0] *= np.exp(-self._no_answer_bias[0 if key_is_printed(rows) else 1])
        found: Array = mean / mean.sum()
        return found


def key_is_printed(rows: Array) -> bool:
    """Whether the page has the key that the question names, by the options' features."""
    return bool(max(rows[0, NAMES.index("quoted_match")], rows[0, NAMES.index("words_match")]) >= NAMED)
