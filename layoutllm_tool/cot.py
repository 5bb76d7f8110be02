"""LayoutCoT (paper section 3.2): the three steps as typed objects, and the corrections of one of them.

1. Question Analysis        -> QuestionAnalysis
2. Relevant Area Concentration -> tuple of Area
3. Answer Formation         -> AnswerFormation

Objects go to plain JSON and back without loss (``to_json`` / ``from_json``); ``text`` is how a person reads a
step. How the model writes and reads these steps as tokens is *not* here: see ``model/decoding.py``. Standard
library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from layoutllm_tool.documents.geometry import SCALE, Box, Document, Page
from layoutllm_tool.documents.spatial import SPATIAL_WORDS
from layoutllm_tool.errors import CorrectionError

Kind = Literal["key-value", "table", "paragraph", "title", "list", "other"]
"""What the question asks about, as seen from layout."""
Operation = Literal["extraction", "reasoning"]
"""extraction: the answer is copied from the page. reasoning: it is formed from what the page says."""
Relation = Literal["right of", "below", "inside", "top of page", "none"]
"""Where the answer stands, seen from its key."""
StepName = Literal["analysis", "area", "answer"]
ExpectedType = Literal["text", "date", "money", "number", "email", "phone", "name", "address"]

KINDS: tuple[Kind, ...] = get_args(Kind)
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
RELATIONS: tuple[Relation, ...] = get_args(Relation)
STEPS: tuple[StepName, ...] = get_args(StepName)
EXPECTED_TYPES: tuple[ExpectedType, ...] = get_args(ExpectedType)


@dataclass(frozen=True, slots=True)
class QuestionAnalysis:
    """Step 1: the question's kind, whether its answer is copied or formed, and the key to look for."""

    kind: Kind
    operation: Operation
    key: str

    @property
    def text(self) -> str:
        verb = "copied from" if self.operation == "extraction" else "formed from what stands on"
        return (
            f"A {self.kind} question; its answer is {verb} the page. "
            f'Key information to look for: "{self.key}".'
        )


@dataclass(frozen=True, slots=True)
class Area:
    """Step 2: a part of a page around the lines that matter (indices into ``Page.lines``)."""

    page: int
    """1-based."""
    box: Box
    lines: tuple[int, ...]

    @classmethod
    def of(cls, page: Page, lines: Sequence[int]) -> Area:
        """Around those lines of the page."""
        return cls(page.number, Box.union((page.lines or ())[i].box for i in lines), tuple(lines))


@dataclass(frozen=True, slots=True)
class AnswerFormation:
    """Step 3's reasoning: where the answer stands, seen from the key on the page (``key`` may be "")."""

    relation: Relation
    key: str

    @property
    def text(self) -> str:
        match self.relation:
            case "none":
                return "The page does not say." if not self.key else f'The answer follows from "{self.key}".'
            case "top of page":
                return "The answer stands at the top of the page, without a key beside it."
            case "inside":
                return (
                    f'The answer stands in the same text as "{self.key}".'
                    if self.key
                    else "The area is the answer."
                )
            case relation:
                return f'The answer stands {relation} "{self.key}".'


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where an answer was copied from: the words as on the page, and the box around them."""

    page: int
    """1-based."""
    box: Box
    text: str
    words: tuple[tuple[int, int], ...]
    """(line, word) indices into ``Page.lines`` and ``Line.words``."""

    @classmethod
    def of(cls, page: Page, words: Sequence[tuple[int, int]]) -> Evidence:
        """Those words of the page."""
        found = [(page.lines or ())[line].words[word] for line, word in words]
        box = Box.union(word.box for word in found)
        return cls(page.number, box, " ".join(word.text for word in found), tuple(words))


@dataclass(frozen=True, slots=True)
class LayoutCoT:
    """A question's answer with the three steps that led to it.

    ``answer`` None means: not in the document. ``confidence`` is the probability that this outcome is right,
    0-1. ``evidence`` is empty for None and for an answer that was formed rather than copied.
    """

    question: str
    analysis: QuestionAnalysis
    areas: tuple[Area, ...]
    formation: AnswerFormation
    answer: str | None
    confidence: float
    evidence: tuple[Evidence, ...] = ()
    signals: Mapping[str, float] = field(default_factory=dict)
    """What the confidence was computed from, by name: for reflection and calibration."""

    @property
    def grounded(self) -> bool:
        """Whether the answer can be pointed at on the page."""
        return self.answer is not None and bool(self.evidence)

    @property
    def page(self) -> int | None:
        """1-based page of the answer, or of the area where nothing was copied; None without both."""
        places = self.evidence or self.areas
        return places[0].page if places else None

    @property
    def box(self) -> Box | None:
        """Around the words the answer was copied from, on ``page``."""
        return Box.union(e.box for e in self.evidence if e.page == self.page) if self.evidence else None

    @property
    def area(self) -> Box | None:
        """The union of the relevant lines on ``page``: the paper's step 2."""
        boxes = [area.box for area in self.areas if area.page == self.page]
        return Box.union(boxes) if boxes else None

    def on_original(self, document: Document) -> dict[str, Any] | None:
        """Where answer and area lie on the page as its file has it, before it was turned and levelled.

        All is 0-1000, and ``page_size`` in pixels. ``box`` and ``area`` are upright there, ``quad`` has the
        corners of the answer's box. ``transform`` (a, b, c, d, e, f) takes any point (x, y) of the page to
        (a x + b y + c, d x + e y + f). None without a page.
        """
        if self.page is None:
            return None
        page = document.page(self.page)
        quad, area = (page.on_original(box) if box else None for box in (self.box, self.area))
        return {
            "page_size": list(page.original_size),
            "box": _around(quad),
            "quad": quad and [[round(x, 2), round(y, 2)] for x, y in quad],
            "area": _around(area),
            "transform": [round(number, 6) for number in page.to_original],
        }

    @property
    def steps(self) -> dict[str, str]:
        """The three steps as a person reads them, by the paper's names."""
        where = "; ".join(f"page {a.page} {a.box.as_list()}" for a in self.areas)
        outcome = "Not in the document." if self.answer is None else f"Answer: {self.answer}"
        return {
            "question_analysis": self.analysis.text,
            "relevant_area_concentration": where or "No area of the document is relevant.",
            "answer_formation": f"{self.formation.text} {outcome}",
        }

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: what artifacts, graph state and batch rows hold. Boxes 0-1000."""
        return {
            "question": self.question,
            "answer": self.answer,
            "page": self.page,
            "box": self.box.as_list() if self.box else None,
            "area": self.area.as_list() if self.area else None,
            "confidence": round(self.confidence, 4),
            "grounded": self.grounded,
            "steps": self.steps,
            "analysis": {
                "kind": self.analysis.kind,
                "operation": self.analysis.operation,
                "key": self.analysis.key,
            },
            "areas": [{"page": a.page, "box": _numbers(a.box), "lines": list(a.lines)} for a in self.areas],
            "formation": {"relation": self.formation.relation, "key": self.formation.key},
            "evidence": [
                {"page": e.page, "box": _numbers(e.box), "text": e.text, "words": [list(w) for w in e.words]}
                for e in self.evidence
            ],
            "signals": {name: round(value, 4) for name, value in self.signals.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LayoutCoT:
        return cls(
            question=data["question"],
            analysis=QuestionAnalysis(**data["analysis"]),
            areas=tuple(Area(a["page"], Box(*a["box"]), tuple(a["lines"])) for a in data["areas"]),
            formation=AnswerFormation(**data["formation"]),
            answer=data["answer"],
            confidence=data["confidence"],
            evidence=tuple(
                Evidence(e["page"], Box(*e["box"]), e["text"], tuple((w[0], w[1]) for w in e["words"]))
                for e in data["evidence"]
            ),
            signals=dict(data.get("signals") or {}),
        )


@dataclass(frozen=True, slots=True)
class Correction:
    """Mends one step; the steps before it are kept, the steps after it are decoded anew.

    - ``analysis``: ``text`` replaces the key information to look for (and ``kind`` the kind).
    - ``area``: ``boxes`` to look at, ``avoid`` to leave out, ``spatial`` words such as "bottom left".
    - ``answer``: ``expected_type``, and ``wrong`` answers that must not come again.

    Boxes are 0-1000 on page ``page``. CorrectionError where a field does not belong to the step or nothing is
    said.
    """

    step: StepName
    text: str = ""
    kind: Kind | None = None
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    avoid: tuple[Box, ...] = ()
    spatial: str = ""
    expected_type: ExpectedType | None = None
    wrong: tuple[str, ...] = ()

    _FIELDS = {
        "analysis": ("text", "kind"),
        "area": ("boxes", "avoid", "spatial"),
        "answer": ("expected_type", "wrong"),
    }

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise CorrectionError(f"unknown step {self.step!r}.", hint=f"Use one of {', '.join(STEPS)}.")
        given = {name for names in self._FIELDS.values() for name in names if getattr(self, name)}
        own = self._FIELDS[self.step]
        if alien := sorted(given - set(own)):
            raise CorrectionError(
                f"{', '.join(alien)} do not belong to a correction of step {self.step!r}.",
                hint=f"That step takes {', '.join(own)}.",
            )
        if not given:
            raise CorrectionError(
                f"the correction of step {self.step!r} says nothing.",
                hint=f"Give at least one of {', '.join(own)}.",
            )
        if unknown := [w for w in self.spatial.lower().split() if w not in SPATIAL_WORDS]:
            raise CorrectionError(
                f"unknown spatial words {unknown}.", hint=f"Known: {', '.join(SPATIAL_WORDS)}."
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "text": self.text,
            "kind": self.kind,
            "page": self.page,
            "boxes": [_numbers(box) for box in self.boxes],
            "avoid": [_numbers(box) for box in self.avoid],
            "spatial": self.spatial,
            "expected_type": self.expected_type,
            "wrong": list(self.wrong),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Correction:
        """From plain JSON, which may come from a language model: fields may be missing, boxes are lists."""
        try:
            return cls(
                step=data["step"],
                text=data.get("text") or "",
                kind=data.get("kind"),
                page=data.get("page"),
                boxes=_boxes(data.get("boxes")),
                avoid=_boxes(data.get("avoid")),
                spatial=data.get("spatial") or "",
                expected_type=data.get("expected_type"),
                wrong=tuple(data.get("wrong") or ()),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CorrectionError(
                f"this is no correction: {error}.",
                hint='For instance {"step": "area", "page": 1, "boxes": [[0, 500, 500, 1000]]}.',
            ) from error


def _around(corners: Sequence[tuple[float, float]] | None) -> list[int] | None:
    """[x0, y0, x1, y1] around the corners, 0-1000."""
    if not corners:
        return None
    xs, ys = zip(*corners, strict=True)
    return Box.from_pixels(min(xs), min(ys), max(xs), max(ys), width=SCALE, height=SCALE).as_list()


def _numbers(box: Box) -> list[float]:
    return [box.x0, box.y0, box.x1, box.y1]


def _boxes(data: Sequence[Sequence[float]] | None) -> tuple[Box, ...]:
    return tuple(Box(*map(float, box)) for box in data or ())
