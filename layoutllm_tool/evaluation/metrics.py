"""Scores of answers and places: ANLS and ROUGE-L (paper's evaluation), area hit, IoU, mAP, refusals.

Pure functions of values. What a confidence is worth is in ``confidence_metrics``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from rapidfuzz.distance import LCSseq, Levenshtein

from layoutllm_tool.cot import Area
from layoutllm_tool.documents import align
from layoutllm_tool.documents.geometry import Box, Page, box_of

RIGHT = 0.5
"""ANLS from which an answer counts as right."""
_BLIND = str.maketrans("", "", " ().,\n-")
_TIE = 1e-6
_TOKEN = re.compile(r"[^\W_]+")
_BETA = 1.2
"""ROUGE-L's weight of recall, as in the scorer of MS COCO's captions, with which VisualMRC was published."""
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""IoU .50, .55, ..., .95, over which mAP is the mean."""


def anls(prediction: str | None, golds: Sequence[str], *, blind: bool = False) -> float:
    """Best over the golds of 1 - NL, 0 where NL >= 0.5; lower-cased and stripped. None counts as "".

    ``blind`` first removes `` ().,-`` and line breaks, as one published scorer does (about 3 points more on
    FUNSD). ValueError without golds: a question without an answer has no ANLS.
    """
    if not golds:
        raise ValueError("ANLS needs at least one gold answer")
    text = _tidy(prediction or "", blind)
    return max(_likeness(text, _tidy(gold, blind)) for gold in golds)


def _tidy(text: str, blind: bool) -> str:
    text = text.lower().strip()
    return text.translate(_BLIND) if blind else text


def _likeness(a: str, b: str) -> float:
    longer = max(len(a), len(b))
    distance = Levenshtein.distance(a, b) / longer if longer else 0.0
    return 1.0 - distance if distance < 0.5 else 0.0


def rouge_l(prediction: str | None, golds: Sequence[str]) -> float:
    """ROUGE-L (Lin 2004), 0-1: F of the longest common subsequence of words, recall weighted by beta = 1.2.

    Precision and recall are each the best over the golds. Words are runs of letters and digits, lower-cased,
    unstemmed; None counts as "". ValueError without golds.
    """
    if not golds:
        raise ValueError("ROUGE-L needs at least one gold answer")
    words = _TOKEN.findall((prediction or "").lower())
    wanted = [tokens for gold in golds if (tokens := _TOKEN.findall(gold.lower()))]
    if not words or not wanted:
        return float(not words and len(wanted) < len(golds))
    common = [LCSseq.similarity(words, tokens) for tokens in wanted]
    precision = max(common) / len(words)
    recall = max(found / len(tokens) for found, tokens in zip(common, wanted, strict=True))
    if not precision:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


# -- places --------------------------------------------------------------------------------------------------


def gold_places(page: Page, golds: Sequence[str]) -> list[align.Place]:
    """Where the gold stands among the page's words, misread or not: the place most like it and its equals.

    A total often stands on a receipt three times; each is an honest place to have read it. [] where OCR lost
    it.
    """
    places = [place for gold in golds for place in align.find(gold, page)]
    best = max((place.score for place in places), default=0.0)
    return [place for place in places if place.score >= best - _TIE]


def in_areas(areas: Sequence[Area], page: int, lines: Sequence[int], box: Box) -> bool:
    """Whether the areas on that page name all these lines, or lie around at least half of the box."""
    here = [area for area in areas if area.page == page]
    named = {line for area in here for line in area.lines}
    return (bool(lines) and named.issuperset(lines)) or any(area.box.covers(box, 0.5) for area in here)


def area_hit(
    areas: Sequence[Area],
    page: Page,
    golds: Sequence[str],
    *,
    boxes: Sequence[Box] = (),
) -> bool | None:
    """Whether the gold lies in the areas; an empty area never hits. None where its place is unknown.

    The gold is found on the page's own words; ``boxes`` (0-1000) are its places where it is not.
    """
    known = _known_places(page, golds, boxes)
    return any(in_areas(areas, page.number, lines, box) for lines, box in known) if known else None


def _known_places(page: Page, golds: Sequence[str], boxes: Sequence[Box]) -> list[tuple[Sequence[int], Box]]:
    """(lines, box) of each place."""
    found = [(place.lines, box_of(page, place.words)) for place in gold_places(page, golds)]
    return [*found] or [((), box) for box in boxes]


def box_iou(box: Box | None, page: Page, golds: Sequence[str], *, boxes: Sequence[Box] = ()) -> float | None:
    """Best IoU of the answer's box with the gold's places; 0 without a box, None where unknown."""
    place = gold_box(box, page, golds, boxes=boxes)
    if place is None:
        return None
    return box.iou(place) if box else 0.0


def gold_box(box: Box | None, page: Page, golds: Sequence[str], *, boxes: Sequence[Box] = ()) -> Box | None:
    """The gold's place that the answer's box is most like, the first one without a box."""
    known = [place for _, place in _known_places(page, golds, boxes)]
    return max(known, key=lambda other: box.iou(other) if box else 0.0, default=None)


def mean_average_precision(found: Iterable[tuple[float, float]], wanted: int) -> float | None:
    """mAP@IoU .50:.95 of answer boxes, 0-1: the mean over ``THRESHOLDS`` of the average precision at each.

    ``found`` is (confidence, IoU with the gold's place) of every answer that has a box; one to a question
    that the page does not answer has IoU 0. ``wanted`` is the number of questions whose gold place is known,
    answered or not. At a threshold a box is right where its IoU reaches it. Boxes are ranked by falling
    confidence, equal ones entered together, and the average precision is the area under precision over
    recall, each precision raised to the best that comes after it (as in PASCAL VOC 2010). The text of the
    answer plays no part. None where nothing is wanted.
    """
    if not wanted:
        return None
    ranked = sorted(found, key=lambda one: -one[0])
    return fmean(_average_precision(ranked, wanted, threshold) for threshold in THRESHOLDS)


def _average_precision(ranked: Sequence[tuple[float, float]], wanted: int, threshold: float) -> float:
    points, hits, count = [], 0, 0
    for _, tied in groupby(ranked, key=lambda one: one[0]):
        overlaps = [iou for _, iou in tied]
        hits, count = hits + sum(iou >= threshold - 1e-9 for iou in overlaps), count + len(overlaps)
        points.append((hits / wanted, hits / count))
    area = best = 0.0
    starts = [0.0, *(recall for recall, _ in points)]
    for before, (recall, precision) in reversed([*zip(starts, points, strict=False)]):
        best = max(best, precision)
        area += (recall - before) * best
    return area


# -- refusals ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusals:
    """How well "not in the document" was told, that being the positive outcome. Scores 0-1; 0 for 0 / 0."""

    unanswerable: int
    """Questions that their page does not answer."""
    refused: int
    """Answers "not in the document", right or wrong."""
    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, answerable: Sequence[bool], answers: Sequence[str | None]) -> Refusals:
        from sklearn.metrics import precision_recall_fscore_support

        without, refused = [not known for known in answerable], [answer is None for answer in answers]
        scores = precision_recall_fscore_support(without, refused, average="binary", zero_division=0.0)
        return cls(sum(without), sum(refused), *map(float, scores[:3]))
