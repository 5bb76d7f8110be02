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


def log_odds(coefficients: Mapping[str, float], signals: Mapping[str, float]) -> float:
    """The bias and the weighted signals: what ``confidence`` is the logistic of."""
    total = coefficients.get(BIAS, 0.0)
    return total + sum(
        weight * _finite(signals.get(name, 0.0)) for name, weight in coefficients.items() if name != BIAS
    )


def sigmoid(value: float) -> float:
    """1 / (1 + e^-value), without overflow on either side."""
    small = math.exp(-abs(value))
    return 1.0 / (1.0 + small) if value >= 0 else small / (1.0 + small)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
