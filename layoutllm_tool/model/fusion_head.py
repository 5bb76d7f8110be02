"""Weighs the options of a question: an ensemble of two-layer perceptrons over ``option_features``, trained
listwise (training/fusion_head.py). NumPy alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from layoutllm_tool.model.option_features import NAMES
from layoutllm_tool.model.page_index import NAMED, Array
from layoutllm_tool.model.pair_head import Ensemble

SHIPPED = Path(__file__).parent.parent / "weights" / "fusion_head.safetensors"


class FusionHead(Ensemble):
    """Weighs options.

    ``no_answer_bias`` (2) is what the log-odds of "none" are lowered by where the page names the key that is
    asked for, and elsewhere: training asks for what is not there more often than people do.
    """

    NAMES = NAMES

    def __init__(self, tensors: dict[str, Array]) -> None:
        super().__init__(tensors)
        self._no_answer_bias = tensors["no_answer_bias"]

    def probabilities(self, rows: Array) -> Array:
        """(O): of each option, "none" first; they sum to 1."""
        mean = self.shares(np.clip(self.scaled(rows), -8, 8))
        mean[0] *= np.exp(-self._no_answer_bias[0 if key_is_printed(rows) else 1])
        found: Array = mean / mean.sum()
        return found


def key_is_printed(rows: Array) -> bool:
    """Whether the page has the key that the question names, by the options' features."""
    return bool(max(rows[0, NAMES.index("quoted_match")], rows[0, NAMES.index("words_match")]) >= NAMED)
