"""The value of a key by a rule, without weights: a second opinion on what the pair head chooses, and what is left without it.
Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from layoutllm_tool.documents.key_values import GAPS, SIDES, Candidate, PageLayout, WordId

FAR_RIGHT = 6.0
"""Where something stands close below a key, what is farther right than this, in key heights, is another column's."""
NEAR_BELOW, FAR_BELOW = 1.0, 4.0


def by_rule(layout: PageLayout, found: Sequence[Candidate]) -> Candidate | None:
    """The value that a rule takes, without weights: right of the key, else below it, wrapped lines joined; of several
    places of the key the first that has a value beside it."""
    by_key: dict[tuple[WordId, ...], list[Candidate]] = {}
    for candidate in found:
        by_key.setdefault(tuple(w.id for w in candidate.key), []).append(candidate)
    for side in SIDES:
        for of in by_key.values():
            if chosen := _of_side(layout, of, side):
                return chosen
    return None


def _of_side(layout: PageLayout, found: Sequence[Candidate], side: str) -> Candidate | None:
    good = [c for c in found if c.side == side and not any(w.ends_key for w in c.words)]
    near_below = any(c.side == "below" and c.gap < NEAR_BELOW and not any(w.ends_key for w in c.words) for c in found)
    if side == "right" and near_below:
        good = [c for c in good if c.gap < FAR_RIGHT]
    if side == "below":
        good = [c for c in good if c.gap < FAR_BELOW]
    if not good:
        return None
    first = good[0].words[0].id
    same = [c for c in good if c.words[0].id == first and _whole(layout, c)]
    return max(same, key=lambda c: len(c.words)) if same else good[0]


def _whole(layout: PageLayout, candidate: Candidate) -> bool:
    """Without wide gaps, and its lines after the first begin their rows: a label left of a line means another value."""
    words = candidate.words
    limit = GAPS[1] * max(w.height for w in words)
    for before, word in pairwise(words):
        if word.middle - before.middle > 0.5 * word.height:
            left = layout.before(word)
            if left is not None or _mostly_digits(before.text) or _mostly_digits(word.text):
                return False
        elif word.x0 - before.x1 > limit:
            return False
    return True


def _mostly_digits(text: str) -> bool:
    return sum(c.isdigit() for c in text) > len(text) / 2
