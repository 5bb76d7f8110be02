"""Endless passes over a number of things, each pass in an order of its own: what comes index-th is known without what came
before, as a resumed run needs. Standard library only.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random


def pick(index: int, count: int, seed: str) -> int:
    """Which of ``count`` things comes index-th; every pass of ``count`` indices holds each once. ValueError where there is none."""
    if count < 1:
        raise ValueError("there is nothing to pass over")
    turn, at = divmod(index, count)
    return _order(count, f"{seed}/{turn}")[at]


@lru_cache(maxsize=8)
def _order(count: int, seed: str) -> list[int]:
    order = list(range(count))
    Random(seed).shuffle(order)
    return order
