"""Scores: ANLS (paper's evaluation), area hit, IoU, calibration error and AUROC. Pure functions of values.

ROUGE-L (VisualMRC) and mAP are *not* here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layoutllm_tool.cot import Area
from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.training import align

RIGHT = 0.5
"""ANLS from which an answer counts as right."""
_BLIND = str.maketrans("", "", " ().,\n-")
_TIE = 1e-6


def levenshtein(a: str, b: str) -> int:
    """Least number of insertions, deletions and replacements of characters that turn one into the other."""
    if len(a) < len(b):
        a, b = b, a
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def anls(prediction: str | None, golds: Sequence[str], *, blind: bool = False) -> float:
    """Best over the golds of 1 - NL, 0 where NL >= 0.5; lower-cased and stripped. None counts as "".

    ``blind`` first removes `` ().,-`` and line breaks, as one published scorer does (about 3 points more on FUNSD).
    ValueError without golds: a question without an answer has no ANLS.
    """
    if not golds:
        raise ValueError("ANLS needs at least one gold answer")
    said = _tidy(prediction or "", blind)
    return max(_likeness(said, _tidy(gold, blind)) for gold in golds)


def _tidy(text: str, blind: bool) -> str:
    text = text.lower().strip()
    return text.translate(_BLIND) if blind else text


def _likeness(a: str, b: str) -> float:
    longer = max(len(a), len(b))
    distance = levenshtein(a, b) / longer if longer else 0.0
    return 1.0 - distance if distance < 0.5 else 0.0


# -- places -------------------------------------------------------------------------------------------------------------


def gold_places(page: Page, golds: Sequence[str]) -> list[align.Place]:
    """Where the gold answer stands among the page's own words, misread or not: the place most like it and its equals.

    A total often stands on a receipt three times; each is an honest place to have read it. [] where OCR lost it.
    """
    places = [place for gold in golds for place in align.find(gold, page)]
    best = max((place.score for place in places), default=0.0)
    return [place for place in places if place.score >= best - _TIE]


def in_areas(areas: Sequence[Area], page: int, lines: Sequence[int], box: Box) -> bool:
    """Whether the areas on that page name all these lines, or lie around at least half of the box."""
    here = [area for area in areas if area.page == page]
    named = {line for area in here for line in area.lines}
    return bool(here) and ((bool(lines) and named.issuperset(lines)) or any(area.box.covers(box, 0.5) for area in here))


def area_hit(areas: Sequence[Area], page: Page, golds: Sequence[str], *, boxes: Sequence[Box] = ()) -> bool | None:
    """Whether the answer's line lies in the area; an empty area never hits.

    The line is found on the page's own words; ``boxes`` (0-1000) are the gold's where it is not. None: neither is known.
    """
    places = gold_places(page, golds)
    if places:
        return any(in_areas(areas, page.number, p.lines, align.box_of(page, p.words)) for p in places)
    return any(in_areas(areas, page.number, (), box) for box in boxes) if boxes else None


def box_iou(box: Box | None, page: Page, golds: Sequence[str], *, boxes: Sequence[Box] = ()) -> float | None:
    """Best IoU of the answer's box with the gold's places (see ``area_hit``); 0 without a box, None where unknown."""
    known = [align.box_of(page, place.words) for place in gold_places(page, golds)] or list(boxes)
    if not known:
        return None
    return max(box.iou(other) for other in known) if box else 0.0


# -- confidence ---------------------------------------------------------------------------------------------------------


def calibration_error(confidences: Sequence[float], right: Sequence[bool], *, bins: int = 10) -> float:
    """ECE: mean distance between confidence and share of right ones, over bins of equal width, weighted by their size."""
    sure, hits = _arrays(confidences, right)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(float(sure[place == b].sum() - hits[place == b].sum())) for b in range(bins)]
    return sum(gaps) / len(sure)


def auroc(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Probability that a right one scores higher than a wrong one, ties counting half; NaN where one kind is missing."""
    values, hits = _arrays(scores, right)
    good, bad = values[hits], np.sort(values[~hits])
    if not len(good) or not len(bad):
        return float("nan")
    below, up_to = np.searchsorted(bad, good, "left"), np.searchsorted(bad, good, "right")
    return float((below + up_to).sum() / (2 * len(good) * len(bad)))


def _arrays(
    values: Sequence[float], right: Sequence[bool]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    if len(values) != len(right) or not values:
        raise ValueError(f"{len(values)} scores for {len(right)} outcomes; there must be as many, and at least one")
    return np.array(values, dtype=np.float64), np.array(right, dtype=np.bool_)
