"""Likeness of short texts in meaning, by the sentence encoder where it was fetched; else by letters alone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from rapidfuzz import fuzz

from layoutllm_tool.errors import WeightsNotFound

if TYPE_CHECKING:
    from layoutllm_tool.model.sentence_encoder import SentenceEncoder

_log = logging.getLogger(__name__)
_ONE_AT_A_TIME = threading.Lock()


def similarity(texts: Sequence[str], others: Sequence[str]) -> list[list[float]]:
    """(N texts, M others) -> N x M, 0-1."""
    with _ONE_AT_A_TIME:
        encoder = _encoder()
        if encoder is None:
            return [[fuzz.token_sort_ratio(a.lower(), b.lower()) / 100 for b in others] for a in texts]
        left, right = [_vector(text) for text in texts], [_vector(text) for text in others]
    return [[max(0.0, sum(x * y for x, y in zip(a, b, strict=True))) for b in right] for a in left]


@lru_cache(maxsize=4096)
def _vector(text: str) -> tuple[float, ...]:
    encoder = _encoder()
    assert encoder is not None
    return tuple(encoder.encode([text.lower()])[0].tolist())


@cache
def _encoder() -> SentenceEncoder | None:
    from layoutllm_tool.model.sentence_encoder import SentenceEncoder, sentence_encoder_folder

    try:
        return SentenceEncoder(sentence_encoder_folder(download=False), adapter=None)
    except WeightsNotFound as error:
        _log.warning("columns are matched by their letters alone: %s", error)
        return None
