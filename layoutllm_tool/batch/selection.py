"""Which documents of a batch a person should annotate next: those of which the model expects the highest loss.

Learning Loss for Active Learning (Yoo & Kweon 2019): a random subset of the pool, then its K by the loss-prediction head. The subset
keeps documents that are all alike from filling the choice. What is asked of a person, and training on it, is *not* here. Standard
library only.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import Literal, NamedTuple

from layoutllm_tool.batch.store import Field, Store

Measure = Literal["predicted_loss", "1 - confidence"]


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
    """The ``top`` of the pool, or of ``subset`` drawn from it, highest loss first; equal ones by key. Fewer where there are no more.

    The pool are the documents of the source that are done and that no person has spoken of. What is drawn depends on ``seed`` and their
    keys, not on their order; of a larger draw, a smaller one is the beginning. ``random`` takes the first that are drawn instead, whatever
    their loss: what choosing is compared with. The loss is the head's; where a document has none, ``1 - confidence`` of all of them: the
    two have no common scale, and a batch that was begun without a head would otherwise have to be done again to be ranked at all.
    """
    keys = _drawn(list(store.unreviewed()), seed)
    if random:
        return _candidates(store, keys[:top])
    found = _candidates(store, keys[:subset])
    return heapq.nsmallest(top, found, key=lambda one: (-one.loss, one.key))


def _drawn(keys: Sequence[str], seed: int) -> list[str]:
    return Random(f"select {seed}").sample(sorted(keys), len(keys))


class _Worst(NamedTuple):
    mean: float
    field: str


class _Weighed(NamedTuple):
    """What is kept of a document: its answers are not."""

    key: str
    loss: _Worst | None
    doubt: _Worst


def _candidates(store: Store, keys: Sequence[str]) -> list[Candidate]:
    weighed = [_weighed(key, store.fields(key)) for key in keys]
    by_loss = all(one.loss for one in weighed)
    measure: Measure = "predicted_loss" if by_loss else "1 - confidence"
    found = []
    for one in weighed:
        worst, source = (one.loss if by_loss else None) or one.doubt, store.input_of(one.key)
        if source is not None:
            found.append(Candidate(one.key, source.name, source.page, worst.mean, measure, worst.field))
    return found


def _weighed(key: str, fields: Sequence[Field]) -> _Weighed:
    losses = [(loss, field.name) for field in fields if (loss := _predicted(field)) is not None]
    doubts = [(1.0 - (field.answer["confidence"] or 0.0), field.name) for field in fields]
    return _Weighed(key, _worst(losses) if losses else None, _worst(doubts))


def _predicted(field: Field) -> float | None:
    loss = ((field.answer["cot"] or {}).get("signals") or {}).get("predicted_loss")
    return loss if isinstance(loss, int | float) and math.isfinite(loss) else None


def _worst(losses: Sequence[tuple[float, str]]) -> _Worst:
    return _Worst(fmean(loss for loss, _ in losses), max(losses, key=lambda one: one[0])[1])
