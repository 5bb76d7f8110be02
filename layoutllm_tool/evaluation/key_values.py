"""The key-value reader alone on FUNSD, without a model: each key looked up as printed among the set's words.

The rule and the pair head, beside the best of their candidates.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from layoutllm_tool.documents.page_layout import PageLayout
from layoutllm_tool.documents.search import find
from layoutllm_tool.evaluation.datasets import funsd
from layoutllm_tool.evaluation.metrics import anls
from layoutllm_tool.model.pair_head import SHIPPED, PairHead

_KEY = re.compile(re.escape(funsd.FORM).replace(re.escape("{}"), "(.*)"), re.DOTALL)
MOST_PLACES = 8
"""Places of one key that are looked at."""


@dataclass(frozen=True, slots=True)
class KeyScore:
    """One key's ANLS by each way of choosing, and how many candidates there were."""

    rule: float
    pair_head: float
    best: float
    """Of all candidates."""
    candidates: int


def score(data: Path, head: PairHead) -> Iterator[KeyScore]:
    """Every key of every form, in order. DocumentNotFound where there are none."""
    for item in funsd.items(data):
        assert item.words is not None
        layout = PageLayout(item.words()[0])
        for question in item.questions:
            yield _score(layout, question.text, question.gold, head)


def _score(layout: PageLayout, question: str, gold: Sequence[str], head: PairHead) -> KeyScore:
    match = _KEY.fullmatch(question)
    assert match is not None
    scored = head.score(layout, find(layout, match[1])[:MOST_PLACES])
    scores = [anls(candidate.text, gold) for candidate in scored.found]
    ruled = 0.0 if scored.rule is None else scores[scored.rule]
    chosen = 0.0 if scored.best is None else scores[scored.best]
    return KeyScore(ruled, chosen, max(scores, default=0.0), len(scores))


def table(data: Path) -> str:
    """What ``layoutllm eval keys`` prints."""
    begun = time.perf_counter()
    scores = list(score(data, PairHead.load(SHIPPED)))
    took = 1000 * (time.perf_counter() - begun) / len(scores)
    rows = {
        "rule": fmean(one.rule for one in scores),
        "pair head": fmean(one.pair_head for one in scores),
        "best candidate": fmean(one.best for one in scores),
    }
    lines = [f"{name:<16}{value:.3f}" for name, value in rows.items()]
    count = fmean(one.candidates for one in scores)
    return "\n".join([*lines, f"{len(scores)} keys, {count:.1f} candidates and {took:.1f} ms a key"]) + "\n"
