"""Box, Word, Line, Page, Document: the small frozen objects every other module speaks. Standard library only.

Frame: every box is page-relative, 0-1000 on both axes, origin top left, as in LayoutLM. ``Page.width`` and
``Page.height`` (pixels of the page's image, after rotation is undone) turn a box back into pixels.
Loading files, OCR and reading order are *not* here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from layoutllm_tool.documents.original import Original, Transform, moved
from layoutllm_tool.errors import PageOutOfRange

if TYPE_CHECKING:
    from PIL.Image import Image

SCALE = 1000.0
"""Boxes run from 0 to SCALE on both axes."""


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """``[x0, y0, x1, y1]``, page-relative 0-1000, with x0 <= x1 and y0 <= y1."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if not (0 <= self.x0 <= self.x1 <= SCALE and 0 <= self.y0 <= self.y1 <= SCALE):
            raise ValueError(
                f"a box is [x0, y0, x1, y1] with 0 <= x0 <= x1 <= 1000 and 0 <= y0 <= y1 <= 1000,"
                f" got {[self.x0, self.y0, self.x1, self.y1]}"
            )

    @classmethod
    def from_pixels(cls, x0: float, y0: float, x1: float, y1: float, *, width: float, height: float) -> Self:
        """From pixels of a page of that size. Corners are put in order and clipped to the page."""

        def relative(value: float, size: float) -> float:
            return round(min(max(value / size * SCALE, 0.0), SCALE), 2)

        xs = sorted((relative(x0, width), relative(x1, width)))
        ys = sorted((relative(y0, height), relative(y1, height)))
        return cls(xs[0], ys[0], xs[1], ys[1])

    @classmethod
    def union(cls, boxes: Iterable[Box]) -> Self:
        """The smallest box around all of them; ValueError when there is none."""
        found = list(boxes)
        if not found:
            raise ValueError("the union of no boxes is undefined")
        return cls(
            min(b.x0 for b in found),
            min(b.y0 for b in found),
            max(b.x1 for b in found),
            max(b.y1 for b in found),
        )

    def to_pixels(self, width: float, height: float) -> tuple[int, int, int, int]:
        """Rounded pixels of a page of that size."""
        return (
            round(self.x0 * width / SCALE),
            round(self.y0 * height / SCALE),
            round(self.x1 * width / SCALE),
            round(self.y1 * height / SCALE),
        )

    def as_list(self) -> list[int]:
        """Rounded to whole thousandths, as people and JSON see it."""
        return [round(self.x0), round(self.y0), round(self.x1), round(self.y1)]

    def __iter__(self) -> Iterator[float]:
        """``x0, y0, x1, y1 = box``."""
        return iter((self.x0, self.y0, self.x1, self.y1))

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> float:
        return (self.x0, self.y0, self.x1, self.y1)[index]

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def intersection(self, other: Box) -> float:
        """Area shared with another box."""
        across = min(self.x1, other.x1) - max(self.x0, other.x0)
        down = min(self.y1, other.y1) - max(self.y0, other.y0)
        return across * down if across > 0 and down > 0 else 0.0

    def iou(self, other: Box) -> float:
        """Intersection over union, 0-1."""
        shared = self.intersection(other)
        total = self.area + other.area - shared
        return shared / total if total else float(self == other)

    def covers(self, other: Box, share: float = 0.5) -> bool:
        """Whether at least ``share`` of the other box lies inside this one. An empty box counts by its
        centre.
        """
        if other.area:
            return self.intersection(other) >= share * other.area
        x, y = other.center
        return self.x0 <= x <= self.x1 and self.y0 <= y <= self.y1


@dataclass(frozen=True, slots=True)
class Word:
    """A word as read, never tidied. ``confidence`` is the reader's own, 0-1, or None where it gave none."""

    text: str
    box: Box
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Words that belong together on one row: the segment that LayoutCoT's second step points at. Never
    empty.
    """

    words: tuple[Word, ...]
    box: Box = field(init=False, compare=False, repr=False)
    """Around the words. Kept: checks ask for every line's box, again and again."""

    def __post_init__(self) -> None:
        if not self.words:
            raise ValueError("a line has at least one word")
        object.__setattr__(self, "box", Box.union(word.box for word in self.words))

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person should know about how a page was read.

    ``code``: "turned", "levelled", "layer_not_used", "first_frame_only", "blank", "illegible",
    "hard_to_read", "not_read".
    """

    code: str
    text: str

    def __str__(self) -> str:
        return self.text

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "text": self.text}


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its size in pixels, its picture if there is one, its lines in reading order.

    ``lines`` is None before text recognition and () on a page found to be blank. ``text_source`` says who
    read the words: "tesseract", "rapidocr", "pdf" (a text layer), "given" (handed in), or "" before
    recognition.
    """

    number: int
    """1-based."""
    width: int
    height: int
    lines: tuple[Line, ...] | None = None
    image: Image | None = field(default=None, compare=False, repr=False)
    text_source: str = ""
    notices: tuple[Notice, ...] = ()
    original: Original | None = None
    """The page as its file has it, where it was turned or levelled to be read; None: it is as it was sent."""

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for line in self.lines or () for word in line.words)

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines or ())

    def with_lines(self, lines: Sequence[Line], text_source: str, *notices: Notice) -> Page:
        return replace(self, lines=tuple(lines), text_source=text_source, notices=(*self.notices, *notices))

    def lines_in(self, box: Box, share: float = 0.5) -> tuple[int, ...]:
        """Indices of the lines of which at least ``share`` lies in the box."""
        return tuple(i for i, line in enumerate(self.lines or ()) if box.covers(line.box, share))

    @property
    def original_size(self) -> tuple[int, int]:
        """Pixels of the page as its file has it."""
        return (self.original.width, self.original.height) if self.original else (self.width, self.height)

    @property
    def to_original(self) -> Transform:
        """From the page to the page as its file has it, both 0-1000."""
        if self.original is None:
            return 1.0, 0.0, 0.0, 0.0, 1.0, 0.0
        return self.original.transform(self.width, self.height)

    def on_original(self, box: Box) -> tuple[tuple[float, float], ...]:
        """The box's corners on the page as its file has it, 0-1000: top left, top right, bottom right, bottom
        left of the upright text.
        """
        corners = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
        return tuple(moved(self.to_original, x, y) for x, y in corners)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON without the picture. Boxes keep two decimals, so that nothing is lost on the way
        back.
        """
        return {
            "number": self.number,
            "width": self.width,
            "height": self.height,
            "text_source": self.text_source,
            "notices": [notice.to_json() for notice in self.notices],
            "original": asdict(self.original) if self.original else None,
            "lines": None
            if self.lines is None
            else [
                [
                    {
                        "text": w.text,
                        "box": [w.box.x0, w.box.y0, w.box.x1, w.box.y1],
                        "confidence": w.confidence,
                    }
                    for w in line.words
                ]
                for line in self.lines
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Page:
        lines = data["lines"]
        return cls(
            number=data["number"],
            width=data["width"],
            height=data["height"],
            text_source=data["text_source"],
            notices=tuple(Notice(**notice) for notice in data["notices"]),
            original=Original(**original) if (original := data.get("original")) else None,
            lines=None
            if lines is None
            else tuple(
                Line(tuple(Word(w["text"], Box(*w["box"]), w.get("confidence")) for w in line))
                for line in lines
            ),
        )


def box_of(page: Page, words: Iterable[tuple[int, int]]) -> Box:
    """Around the (line, word) indices' words. IndexError where the page lacks one, ValueError for none."""
    lines = page.lines or ()
    return Box.union(lines[line].words[word].box for line, word in words)


@dataclass(frozen=True, slots=True)
class Document:
    """Pages of one file. ``sha256`` is the hash of its bytes: caches and batch keys are made of it."""

    name: str
    sha256: str
    pages: tuple[Page, ...]

    @property
    def notices(self) -> list[dict[str, Any]]:
        """Of all pages, as plain JSON: ``page`` (1-based), ``code``, ``text``."""
        return [{"page": page.number, **notice.to_json()} for page in self.pages for notice in page.notices]

    @property
    def originals(self) -> list[dict[str, Any]]:
        """How boxes of each ``page`` lie on the page as its file has it: ``page_size`` in pixels, and
        ``transform`` (a, b, c, d, e, f), which takes (x, y) to (a x + b y + c, d x + e y + f), both 0-1000.
        """
        return [
            {
                "page": page.number,
                "page_size": list(page.original_size),
                "transform": [round(number, 6) for number in page.to_original],
            }
            for page in self.pages
        ]

    def page(self, number: int) -> Page:
        """The page of that 1-based number; PageOutOfRange names the range."""
        for page in self.pages:
            if page.number == number:
                return page
        numbers = ", ".join(str(page.number) for page in self.pages[:8])
        more = ", ..." if len(self.pages) > 8 else ""
        raise PageOutOfRange(
            f"{self.name!r} has no page {number}.",
            hint=f"Pages count from 1; this document has {len(self.pages)}: {numbers}{more}.",
        )
