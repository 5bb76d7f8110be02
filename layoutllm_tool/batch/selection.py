"""Which documents of a batch a person should annotate next: those with the highest expected loss.

Learning Loss for Active Learning (Yoo & Kweon 2019): draw a random subset of the pool, then take its K with
the highest predicted loss. The subset keeps documents that are all alike from filling the choice. Standard
library only.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import Literal

from layoutllm_tool.batch.store import Field, Store

Measure = Literal["predicted_loss", "1 - confidence"]
_Loss = tuple[float, str]
"""A document's mean loss, and the field with the largest."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document, by its first place in the source. ``page`` (1-based) where that page alone was asked."""

    key: str
    name: str
    page: int | None
    loss: float
    """Mean over its fields, as ``measure`` has it: larger is worse."""
    measure: Measure
    field: str
    """The field with the largest."""


def select(
    store: Store, top: int, subset: int | None = None, seed: int = 0, *, random: bool = False
) -> list[Candidate]:
    """The ``top`` of the pool, or of ``subset`` drawn from it, highest loss first; equal ones by key.

    The pool are the source's documents that are done and have no review. The draw depends on ``seed`` and
    their keys, not on their order; a smaller draw is the beginning of a larger one. ``random`` takes the
    first that are drawn, as a control. The loss is the head's; where any document has none, it is ``1 -
    confidence`` for all: the two have no common scale.
    """
    keys = sorted(store.unreviewed())
    keys = Random(f"select {seed}").sample(keys, len(keys))
    if random:
        return _candidates(store, keys[:top])
    return heapq.nsmallest(top, _candidates(store, keys[:subset]), key=lambda one: (-one.loss, one.key))


def _candidates(store: Store, keys: Sequence[str]) -> list[Candidate]:
    """Answers are not kept: the pool may be large."""
    weighed = [(key, *_losses(store.fields(key))) for key in keys]
    by_loss = all(predicted for _, predicted, _ in weighed)
    measure: Measure = "predicted_loss" if by_loss else "1 - confidence"
    found = []
    for key, predicted, doubt in weighed:
        mean, field = predicted if by_loss and predicted else doubt
        if source := store.input_of(key):
            found.append(Candidate(key, source.name, source.page, mean, measure, field))
    return found


def _losses(fields: Sequence[Field]) -> tuple[_Loss | None, _Loss]:
    """By the head, None where it predicted none, and by the confidence."""
    predicted = [(loss, field.name) for field in fields if (loss := _predicted(field)) is not None]
    doubts = [(1.0 - (field.answer["confidence"] or 0.0), field.name) for field in fields]
    return _mean(predicted) if predicted else None, _mean(doubts)


def _predicted(field: Field) -> float | None:
    loss = ((field.answer["cot"] or {}).get("signals") or {}).get("predicted_loss")
    return loss if isinstance(loss, int | float) and math.isfinite(loss) else None


def _mean(losses: Sequence[tuple[float, str]]) -> _Loss:
    return fmean(loss for loss, _ in losses), max(losses, key=lambda one: one[0])[1]
