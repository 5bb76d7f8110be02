"""One calibrated probability that an outcome is right, from the signals of a LayoutCoT (the table in ``evidence``). Standard
library only.

Fitting the coefficients is in ``layoutllm_tool.evaluation.calibration``; here they are only applied, so that a reader
needs nothing but ``math``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

BIAS = "bias"
"""The intercept's name among the coefficients."""


def confidence(coefficients: Mapping[str, float], signals: Mapping[str, float]) -> float:
    """The logistic of the weighted signals, 0-1.

    A signal that is missing or not a finite number counts as 0; one without a coefficient is ignored. Without any
    coefficients nothing is known: 0.5.
    """
    return sigmoid(log_odds(coefficients, signals))


def features(signals: Mapping[str, float]) -> dict[str, float]:
    """The signals, and beside every log-probability its probability, as "p(name)".

    The logarithm tells how unlikely the unlikely was, the probability how likely the likely: one weight on either alone must
    choose. What is not a finite number counts as 0.
    """
    found = {name: _finite(value) for name, value in signals.items()}
    logs = [name for name in found if name.endswith(("_logprob", "_worst"))]
    return found | {f"p({name})": math.exp(min(found[name], 0.0)) for name in logs}


def log_odds(coefficients: Mapping[str, float], signals: Mapping[str, float]) -> float:
    """The bias and the weighted features: what ``confidence`` is the logistic of."""
    found, total = features(signals), coefficients.get(BIAS, 0.0)
    return total + sum(weight * found.get(name, 0.0) for name, weight in coefficients.items() if name != BIAS)


def sigmoid(value: float) -> float:
    """1 / (1 + e^-value), without overflow on either side."""
    small = math.exp(-abs(value))
    return 1.0 / (1.0 + small) if value >= 0 else small / (1.0 + small)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
