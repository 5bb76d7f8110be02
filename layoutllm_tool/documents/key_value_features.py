"""Features of a candidate for a key's value, for a small network. Standard library only.

Lengths are in key heights and squashed by log(1 + x); shares are 0-1. The names stand in ``NAMES``, in order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median

from layoutllm_tool.documents.key_values import MARKS, Candidate
from layoutllm_tool.documents.page_layout import PageLayout, PlacedWord, Run

NAMES = (
    "right", "below", "left", "above", "gap", "down", "indent", "indent_left", "overlap", "width", "words",
    "lines", "characters",
    "gap_after", "gap_before", "key_ends_with_colon", "colon_inside", "colon_at_end", "colon_before",
    "all_colon",
    "digits", "letters", "capitals", "mark", "sign_only", "starts_small", "bracket", "height_ratio",
    "same_case",
    "gap_under", "line_under_aligned", "key_is_segment", "words_before_key", "words_after_key_same_segment",
    "key_words", "key_match",
    "occurrences", "occurrence", "right_exists", "right_gap", "same_row_key", "other_key_left",
    "other_key_above",
    "inner_gap", "candidate_rank", "same_side_rank", "ends_at_key", "x", "y", "is_rule", "in_rule",
    "has_rule",
)  # fmt: skip
_LETTERS = re.compile(r"[^\W\d_]")


def features(
    layout: PageLayout, found: Sequence[Candidate], *, scores: Sequence[float], rule: Candidate | None
) -> list[list[float]]:
    """One row a candidate. ``scores``: how well each one's key matches; ``rule``: what ``by_rule`` takes."""
    keys = list(dict.fromkeys(tuple(w.id for w in c.key) for c in found))
    sides: dict[tuple[object, str], int] = {}
    nearest = {
        key: min(
            (c.gap for c in found if c.side == "right" and tuple(w.id for w in c.key) == key), default=None
        )
        for key in keys
    }
    chosen = set(rule.ids) if rule else set()
    rows = []
    for rank, (candidate, score) in enumerate(zip(found, scores, strict=True)):
        key = tuple(w.id for w in candidate.key)
        place = sides[key, candidate.side] = sides.get((key, candidate.side), -1) + 1
        order = (rank, place, keys.index(key), len(keys), score, nearest[key])
        rows.append(_row(layout, candidate, order, chosen))
    return rows


def _log(value: float) -> float:
    return math.copysign(math.log1p(min(abs(value), 60.0)), value)


def _row(
    layout: PageLayout,
    c: Candidate,
    order: tuple,  # type: ignore[type-arg]
    chosen: set,  # type: ignore[type-arg]
) -> list[float]:
    rank, place, occurrence, occurrences, score, right = order
    key, words, text = c.key, c.words, c.text
    height = max(median(w.height for w in key), 1.0)
    kx0, kx1 = min(w.x0 for w in key), max(w.x1 for w in key)
    x0, x1 = min(w.x0 for w in words), max(w.x1 for w in words)
    y0, ky1 = min(w.y0 for w in words), max(w.y1 for w in key)
    after, before = layout.after(words[-1]), layout.before(words[0])
    key_before, key_after = layout.before(key[0]), layout.after(key[-1])
    under = _under(layout, words, height)
    solid = [ch for ch in text if not ch.isspace()] or ["?"]
    letters = _LETTERS.findall(text)
    key_letters = _LETTERS.findall(" ".join(w.text for w in key))
    mine = set(c.ids)
    return [
        float(c.side == "right"), float(c.side == "below"), float(c.side == "left"), float(c.side == "above"),
        _log(c.gap), _log((y0 - ky1) / height), _log(abs(x0 - kx0) / height), _log((x0 - kx0) / height),
        max(min(x1, kx1) - max(x0, kx0), 0.0) / max(min(x1 - x0, kx1 - kx0), 1.0),
        _log((x1 - x0) / height), math.log1p(len(words)), math.log1p(c.lines), math.log1p(len(text)),
        _log((after.x0 - words[-1].x1) / height) if after else 4.2,
        _log((words[0].x0 - before.x1) / height) if before else 4.2,
        float(key[-1].text.endswith(":") or (key_after is not None and key_after.text == ":")),
        float(any(w.ends_key for w in words[:-1])), float(words[-1].text.endswith(":")),
        float(before is not None and before.text.endswith(":")), float(all(w.ends_key for w in words)),
        sum(ch.isdigit() for ch in solid) / len(solid), len(letters) / len(solid),
        sum(ch.isupper() for ch in letters) / max(len(letters), 1),
        float(text in MARKS), float(not any(ch.isalnum() for ch in text)), float(text[:1].islower()),
        float(text[:1] in "(["), _log(fmean(w.height for w in words) / height),
        float(bool(letters) and _upper(letters) == _upper(key_letters)),
        _log(under[0]), under[1],
        float(key_before is None or key[0].x0 - key_before.x1 > height), _run_before(layout, key, height),
        _log((key_after.x0 - key[-1].x1) / height) if key_after else 4.2, math.log1p(len(key)), score,
        math.log1p(occurrences), occurrence / occurrences, float(right is not None),
        _log(right) if right is not None else 4.2,
        float(_key_after(layout, words)),
        float(before is not None and before.ends_key and before.id != key[-1].id),
        _key_above(layout, words, key, height), _inner_gap(words, height), math.log1p(rank),
        math.log1p(place),
        float(after is not None and after.text.endswith(":")),
        x0 / max(layout.page.width, 1), y0 / max(layout.page.height, 1),
        float(mine == chosen), len(mine & chosen) / len(mine), len(mine & chosen) / max(len(chosen), 1),
    ]  # fmt: skip


def _upper(letters: Sequence[str]) -> bool:
    return sum(ch.isupper() for ch in letters) > 0.8 * len(letters)


def _under(layout: PageLayout, words: Run, height: float) -> tuple[float, float]:
    """Distance to the text below the last row, in heights, and whether it begins at the same x."""
    last = words[-1]
    x0, x1 = min(w.x0 for w in words), last.x1
    below = [
        w
        for w in layout.between(last.middle + 0.5 * height, last.middle + 6 * height)
        if w.x0 < x1 and w.x1 > x0
    ]
    if not below:
        return 6.0, 0.0
    nearest = min(below, key=lambda w: (round(w.middle / height), w.x0))
    return (nearest.middle - last.middle) / height, float(abs(nearest.x0 - x0) < height)


def _run_before(layout: PageLayout, key: Run, height: float) -> float:
    """How many words stand before the key without a gap between."""
    count, word = 0, key[0]
    while count < 6 and (before := layout.before(word)) is not None and word.x0 - before.x1 < height:
        if before.text.endswith(":"):
            break
        count, word = count + 1, before
    return math.log1p(count)


def _key_after(layout: PageLayout, words: Run) -> bool:
    """Whether a key ("Name:") follows within five words on the row."""
    word: PlacedWord | None = words[-1]
    for _ in range(5):
        word = layout.after(word) if word else None
        if word is None:
            return False
        if word.text.endswith(":"):
            return True
    return False


def _key_above(layout: PageLayout, words: Run, key: Run, height: float) -> float:
    """Whether something that ends with a colon, other than the key, stands right above."""
    first = words[0]
    own = {w.id for w in key}
    over = layout.between(first.y0 - 2.5 * height, first.y0)
    return float(
        any(w.text.endswith(":") and w.id not in own and w.x0 < first.x1 and w.x1 > first.x0 for w in over)
    )


def _inner_gap(words: Run, height: float) -> float:
    gaps = [b.x0 - a.x1 for a, b in pairwise(words) if b.x0 >= a.x1]
    return _log(max(gaps, default=0.0) / height)
