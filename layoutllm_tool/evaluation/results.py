"""Scored answers as plain JSON, and summaries over many of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import field as with_default
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.errors import DocumentNotFound, DocumentUnreadable
from layoutllm_tool.evaluation import confidence_metrics, metrics

_REFUSAL = ("precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one document. ``gold`` () means that the page does not answer."""

    document: str
    field: str
    text: str
    gold: tuple[str, ...]
    boxes: tuple[Box, ...] = ()
    """Where the gold stands (0-1000), for pages on which OCR lost it."""
    measure: Literal["anls", "rouge"] = "anls"
    """What tells right from wrong: ROUGE-L for answers in words of one's own (VisualMRC)."""


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One question and its outcome. Boxes are 0-1000 on ``page``; ``seconds`` are the question's share."""

    document: str
    field: str
    question: str
    gold: tuple[str, ...]
    answer: str | None
    anls: float
    """For a question that the page does not answer: 1 for None, else 0."""
    anls_blind: float
    right: bool
    confidence: float
    seconds: float
    page: int | None = None
    box: list[int] | None = None
    area: list[int] | None = None
    area_hit: bool | None = None
    iou: float | None = None
    grounded: bool = False
    signals: Mapping[str, float] = with_default(default_factory=dict)
    baseline: str | None = None
    baseline_anls: float | None = None
    baseline_seconds: float | None = None
    rouge: float | None = None
    """ROUGE-L, of questions that are measured by it."""
    kind: str = ""
    """The question's kind as the model sees it."""
    gold_box: list[int] | None = None
    """Where the gold stands; of several places the one most like the answer's box."""
    steps: Mapping[str, str] = with_default(default_factory=dict)
    """The three steps as a person reads them."""
    failed: bool = False
    """The document or the question raised an error: there is no answer, which is no refusal either."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ScoredAnswer:
        known = {name: value for name, value in data.items() if name in cls.__dataclass_fields__}
        return cls(**known | {"gold": tuple(data["gold"])})


def score(question: Question, cot: LayoutCoT, page: Page, *, seconds: float) -> ScoredAnswer:
    """``page`` is the page on which the gold stands, with the words that the reader saw."""
    gold, boxes = question.gold, question.boxes
    here = cot.box if cot.page == page.number else None
    plain = blind = float(cot.answer is None)
    hit = iou = rouge = place = None
    if gold:
        plain, blind = metrics.anls(cot.answer, gold), metrics.anls(cot.answer, gold, blind=True)
        hit = metrics.area_hit(cot.areas, page, gold, boxes=boxes)
        iou = metrics.box_iou(here, page, gold, boxes=boxes)
        place = metrics.gold_box(here, page, gold, boxes=boxes)
        rouge = metrics.rouge_l(cot.answer, gold) if question.measure == "rouge" else None
    return ScoredAnswer(
        question.document, question.field, question.text, gold, cot.answer,
        anls=plain, anls_blind=blind, right=(plain if rouge is None else rouge) >= metrics.RIGHT,
        confidence=cot.confidence, seconds=seconds, page=cot.page, box=cot.box.as_list() if cot.box else None,
        area=cot.area.as_list() if cot.area else None, area_hit=hit, iou=iou, grounded=cot.grounded,
        signals=dict(cot.signals), rouge=rouge, kind=cot.analysis.kind,
        gold_box=place.as_list() if place else None, steps=dict(cot.steps),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over some answers; None where there is nothing to take the mean of."""

    questions: int
    anls: float
    anls_blind: float
    right: float
    area_hit: float | None
    """Over the answers whose place is known: ``placed`` of them."""
    placed: int
    iou: float | None
    none: int
    """Answers "not in the document"."""
    seconds: float
    ece: float
    auroc: float | None
    aurc: float
    """Area under the risk-coverage curve."""
    map: float | None
    """mAP@IoU .50:.95 of the answers' boxes."""
    rouge: float | None
    refusal: dict[str, float] | None
    """Precision, recall and F1 of "not in the document"; None where every question has an answer."""
    baseline_anls: float | None
    baseline_seconds: float | None

    @classmethod
    def of(cls, answers: Sequence[ScoredAnswer]) -> Summary:
        """ValueError for no answers."""
        if not answers:
            raise ValueError("there are no answers to sum up")
        sure, right = [one.confidence for one in answers], [one.right for one in answers]
        found = refusals(answers)
        return cls(
            questions=len(answers),
            anls=fmean(one.anls for one in answers),
            anls_blind=fmean(one.anls_blind for one in answers),
            right=fmean(right),
            area_hit=_mean_of(answers, "area_hit"),
            placed=sum(one.area_hit is not None for one in answers),
            iou=_mean_of(answers, "iou"),
            none=sum(one.answer is None for one in answers),
            seconds=fmean(one.seconds for one in answers),
            ece=confidence_metrics.calibration_error(sure, right),
            auroc=confidence_metrics.auroc(sure, right) if len(set(right)) == 2 else None,
            aurc=confidence_metrics.aurc(sure, right),
            map=box_map(answers),
            rouge=_mean_of(answers, "rouge"),
            refusal={name: getattr(found, name) for name in _REFUSAL} if found.unanswerable else None,
            baseline_anls=_mean_of(answers, "baseline_anls"),
            baseline_seconds=_mean_of(answers, "baseline_seconds"),
        )


def _mean_of(answers: Sequence[ScoredAnswer], name: str) -> float | None:
    """Mean of a field over the answers that have it; None without any."""
    values = [float(value) for one in answers if (value := getattr(one, name)) is not None]
    return fmean(values) if values else None


def box_map(answers: Sequence[ScoredAnswer]) -> float | None:
    """mAP@IoU .50:.95 (see ``metrics``) over the answers whose gold place is known; None where none is.

    Boxes for questions that the page does not answer count against it.
    """
    counted = [one for one in answers if one.box and (one.iou is not None or not one.gold)]
    found = [(one.confidence, one.iou or 0.0) for one in counted]
    return metrics.mean_average_precision(found, sum(one.iou is not None for one in answers))


def refusals(answers: Sequence[ScoredAnswer]) -> metrics.Refusals:
    """What was refused; an error is no refusal."""
    texts = ["" if one.failed else one.answer for one in answers]
    return metrics.Refusals.of([bool(one.gold) for one in answers], texts)


def by_kind(answers: Sequence[ScoredAnswer]) -> dict[str, Summary]:
    """A summary for each outcome ("answered", "none") and each kind that the model took a question for."""
    groups = {
        "answered": [one for one in answers if one.answer is not None],
        "none": [one for one in answers if one.answer is None],
    }
    for kind in dict.fromkeys(one.kind for one in answers if one.kind):
        groups[kind] = [one for one in answers if one.kind == kind]
    return {name: Summary.of(of) for name, of in groups.items() if of}


def by_field(answers: Sequence[ScoredAnswer]) -> dict[str, Summary]:
    """A summary for each field in the order of first appearance, and "all" last."""
    names = dict.fromkeys(one.field for one in answers)
    found = {name: Summary.of([one for one in answers if one.field == name]) for name in names}
    return found | {"all": Summary.of(answers)}


def write(path: Path, answers: Iterable[ScoredAnswer], **facts: Any) -> None:
    """Write ``{"rows": [...], "summary": {field: {...}}, ...}``; ``facts`` stand beside them."""
    kept = list(answers)
    summary = {name: asdict(of) for name, of in by_field(kept).items()} if kept else {}
    data = {**facts, "summary": summary, "rows": [asdict(one) for one in kept]}
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> list[ScoredAnswer]:
    """Read what ``write`` wrote. DocumentNotFound, DocumentUnreadable."""
    try:
        return [ScoredAnswer.from_json(row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]
    except FileNotFoundError as error:
        raise DocumentNotFound(f"there is no file {str(path)!r}.", hint="Write it with --json.") from error
    except (ValueError, KeyError, TypeError) as error:
        why = f"{path.name!r} holds no rows: {error}."
        raise DocumentUnreadable(why, hint="Write it with --json.") from error
