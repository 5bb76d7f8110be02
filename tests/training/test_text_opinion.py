"""The fit of how the text model's opinion is weighed, on questions made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from layoutllm_tool.model.text_opinion import CIRCUMSTANCES, FEATURES, SHIPPED, load
from layoutllm_tool.training.text_opinion import ABSENT, Weighed, absent_shift, fit, left_out

SIZE = len(CIRCUMSTANCES) * len(FEATURES)


def questions(count: int = 60) -> list[Weighed]:
    """Three options each; the right one has the text model's favour and never the head's."""
    rng, found = np.random.default_rng(0), []
    for number in range(count):
        rows = rng.normal(0, 0.1, (3, SIZE)).astype(np.float32)
        right, wrong = rng.permutation(3)[:2]
        rows[right, FEATURES.index("likely")] += 2
        rows[wrong, FEATURES.index("head")] += 2
        found.append(Weighed("made", number, rows, np.eye(3, dtype=np.float32)[right], int(wrong)))
    return found


def test_what_tells_right_from_wrong_weighs_most() -> None:
    weights = fit(questions())
    assert weights.argmax() == FEATURES.index("likely") and weights.argmin() == FEATURES.index("head")
    assert left_out(questions()) == {"made": (60, 0.0, 1.0)}


def test_none_is_shifted_to_the_share_of_absent_questions_that_people_ask() -> None:
    asked = [("who?", ()), ("when?", ((0, 0),)), ('What is the "Total"?', ())]
    assert absent_shift(asked) == pytest.approx(math.log(ABSENT / (1 - ABSENT)))


def test_the_shipped_weights_are_a_weight_for_each_feature_and_circumstance() -> None:
    assert load(SHIPPED).shape == (len(CIRCUMSTANCES), len(FEATURES))
