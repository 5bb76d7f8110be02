"""One scored question as a row of plain JSON, and what many of them say together."""

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
from layoutllm_tool.evaluation import curves, metrics


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
    """What tells a right answer from a wrong one: ROUGE-L for answers in words of one's own (VisualMRC)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One question and its outcome. Boxes are 0-1000 on ``page``; ``seconds`` is the question's share of its page's."""

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
    """Where the gold stands; of several places the one that the answer's box is most like."""
    steps: Mapping[str, str] = with_default(default_factory=dict)
    """The three steps as a person reads them."""
    failed: bool = False
    """The document or the question raised an error: there is no answer, which is no refusal either."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"gold": list(self.gold), "signals": dict(self.signals), "steps": dict(self.steps)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Row:
        known = {name: value for name, value in data.items() if name in cls.__dataclass_fields__}
        return cls(**known | {"gold": tuple(data["gold"])})


def score(question: Question, cot: LayoutCoT, page: Page, *, seconds: float) -> Row:
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
    return Row(
        document=question.document, field=question.field, question=question.text, gold=gold, answer=cot.answer,
        anls=plain, anls_blind=blind, right=(plain if rouge is None else rouge) >= metrics.RIGHT,
        confidence=cot.confidence, seconds=seconds, page=cot.page, box=cot.box.as_list() if cot.box else None,
        area=cot.area.as_list() if cot.area else None, area_hit=hit, iou=iou, grounded=cot.grounded,
        signals=dict(cot.signals), rouge=rouge, kind=cot.analysis.kind, gold_box=place.as_list() if place else None,
        steps=cot.steps,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over some rows; None where there is nothing to take the mean of."""

    questions: int
    anls: float
    anls_blind: float
    right: float
    area_hit: float | None
    """Over the rows whose answer's place is known: ``placed`` of them."""
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
    def of(cls, rows: Sequence[Row]) -> Summary:
        """ValueError for no rows."""
        if not rows:
            raise ValueError("there are no rows to sum up")
        sure, right = [row.confidence for row in rows], [row.right for row in rows]
        hits = [float(row.area_hit) for row in rows if row.area_hit is not None]
        separation = metrics.auroc(sure, right)
        return cls(
            questions=len(rows),
            anls=fmean(row.anls for row in rows),
            anls_blind=fmean(row.anls_blind for row in rows),
            right=fmean(map(float, right)),
            area_hit=_mean(hits),
            placed=len(hits),
            iou=_mean([row.iou for row in rows if row.iou is not None]),
            none=sum(row.answer is None for row in rows),
            seconds=fmean(row.seconds for row in rows),
            ece=metrics.calibration_error(sure, right),
            auroc=None if separation != separation else separation,
            aurc=curves.aurc(sure, right),
            map=box_map(rows),
            rouge=_mean([row.rouge for row in rows if row.rouge is not None]),
            refusal=refusal_scores(rows),
            baseline_anls=_mean([row.baseline_anls for row in rows if row.baseline_anls is not None]),
            baseline_seconds=_mean([row.baseline_seconds for row in rows if row.baseline_seconds is not None]),
        )


def box_map(rows: Sequence[Row]) -> float | None:
    """mAP@IoU .50:.95 (see ``metrics``) over the rows whose gold place is known; boxes for questions that the page does
    not answer count against it. None where no place is known."""
    counted = [row for row in rows if row.box and (row.iou is not None or not row.gold)]
    found = [(row.confidence, row.iou or 0.0) for row in counted]
    return metrics.mean_average_precision(found, sum(row.iou is not None for row in rows))


def refusals(rows: Sequence[Row]) -> metrics.Refusals:
    """What of the rows was refused; an error is no refusal."""
    return metrics.Refusals.of([bool(row.gold) for row in rows], ["" if row.failed else row.answer for row in rows])


def refusal_scores(rows: Sequence[Row]) -> dict[str, float] | None:
    """Precision, recall and F1 of "not in the document"; None where every question has an answer."""
    found = refusals(rows)
    return {"precision": found.precision, "recall": found.recall, "f1": found.f1} if found.unanswerable else None


def by_kind(rows: Sequence[Row]) -> dict[str, Summary]:
    """A summary for each outcome ("answered", "none") and for each kind that the model took a question for."""
    groups = {"answered": [r for r in rows if r.answer is not None], "none": [r for r in rows if r.answer is None]}
    for kind in dict.fromkeys(row.kind for row in rows if row.kind):
        groups[kind] = [row for row in rows if row.kind == kind]
    return {name: Summary.of(of) for name, of in groups.items() if of}


def by_field(rows: Sequence[Row]) -> dict[str, Summary]:
    """A summary for each field in the order of first appearance, and "all" last."""
    names = dict.fromkeys(row.field for row in rows)
    found = {name: Summary.of([row for row in rows if row.field == name]) for name in names}
    return found | {"all": Summary.of(rows)}


def write(path: Path, rows: Iterable[Row], **facts: Any) -> None:
    """``{"rows": [...], "summary": {field: {...}}, ...}``; ``facts`` (seconds a page, settings) stand beside them."""
    kept = list(rows)
    summary = {name: asdict(of) for name, of in by_field(kept).items()} if kept else {}
    data = {**facts, "summary": summary, "rows": [row.to_json() for row in kept]}
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> list[Row]:
    """Rows written by ``write``; DocumentNotFound, DocumentUnreadable."""
    try:
        return [Row.from_json(row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]
    except FileNotFoundError as error:
        raise DocumentNotFound(f"there is no file {str(path)!r}.", hint="Write it with --json first.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DocumentUnreadable(f"{str(path)!r} holds no rows: {error}.", hint="Write it with --json.") from error


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
