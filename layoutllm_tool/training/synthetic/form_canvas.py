"""A typed form being filled: margins, sizes and ways of printing shared by all its parts; a key with its value beside it."""

from __future__ import annotations

from layoutllm_tool.training.synthetic.canvas import Canvas, Fact, Span
from layoutllm_tool.training.synthetic.keys import chosen
from layoutllm_tool.training.synthetic.layouts import Style
from layoutllm_tool.training.synthetic.values import ValueGenerator
from layoutllm_tool.training.synthetic.wording import made

Field = tuple[str, str]
"""A key and the kind of its value."""


class FormCanvas:
    """A page being filled from top to bottom; all its parts share margins, sizes, ways of printing keys, and facts."""

    def __init__(self, canvas: Canvas, maker: ValueGenerator, theme: str) -> None:
        rng = canvas.rng
        self.canvas, self.maker, self.theme, self.rng = canvas, maker, theme, rng
        self.style = Style(rng, lower=0.04)
        self.facts: list[Fact] = []
        self.used: list[Field] = []
        self.left, self.right = float(rng.randint(30, 90)), canvas.width - float(rng.randint(30, 90))
        self.y = float(rng.choice((rng.randint(14, 70), rng.randint(14, 160))))
        self.size = canvas.size
        self.small = max(self.size - rng.choice((0, 2, 3, 4)), 12)
        self.typed_size = self.size + rng.choice((-1, 0, 0, 1))
        self.blank = rng.choice((0.05, 0.12, 0.2, 0.35))
        self.lift = rng.choice((0, 0, 1, 3))
        self.ruled = rng.random() < 0.5
        self.upper = rng.random() < 0.2

    @property
    def room(self) -> float:
        """Pixels left above the page's foot."""
        return self.canvas.height - 50 - self.y

    def fields(self, count: int) -> list[Field]:
        """Keys for a part of the page; now and then one that another part has too."""
        fields = chosen(self.theme, self.rng, count)
        if self.used and self.rng.random() < 0.12:
            fields[self.rng.randrange(count)] = self.rng.choice(self.used)
        self.used += fields
        return fields

    def key(self, x: float, y: float, text: str, width: float = 0.0, size: int = 0) -> tuple[Span, float]:
        """A printed label, wrapped to ``width`` if there is one; the y below it."""
        lines = self.canvas.wrap(text, width, size or self.size) if width else [text]
        return self.canvas.lines(x, y, lines, size=size or self.size)

    def value(self, x: float, y: float, text: str, width: float) -> tuple[Span, float]:
        """A typed value in lines no wider than ``width``, a little off the line; the y below it."""
        text = text.upper() if self.upper else text
        size = self.typed_size
        lines = [part for line in text.split("\n") for part in self.canvas.wrap(line, width, size, typed=True)]
        return self.canvas.lines(x, y - self.rng.randint(0, self.lift), lines, size=size, typed=True)

    def filled(self, kind: str) -> str:
        return "" if self.rng.random() < self.blank else made(self.maker, kind)

    def width_of(self, text: str) -> float:
        return max(self.canvas.measure(line, self.typed_size, typed=True) for line in text.split("\n")) * (
            1.06 if not self.upper else 1.4
        )

    def add(self, name: str, key: Span, value: Span, **more: object) -> None:
        self.facts.append(Fact(name, key, value, **more))  # type: ignore[arg-type]


def beside(sheet: FormCanvas, at: tuple[float, float], what: tuple[str, str], tab: float = 0.0) -> tuple[float, float]:
    """Key and value at a place: the right end and the y below. A long value goes on under itself or at the margin."""
    (x, y), (name, text), rng, canvas = at, what, sheet.rng, sheet.canvas
    key, low = sheet.key(x, y, name, max(sheet.right - x - 60, 120) if x == sheet.left else 0.0)
    y = low - sheet.size * 1.35
    start = max(canvas.end(key) + rng.choice((4, 8, 8, 14, 30)), tab)
    if start > sheet.right - 110 and text:
        start, y = x + 20, low
    width = max(sheet.right - start, 60)
    if not text:
        stop = min(start + rng.randint(60, 160), sheet.right)
        if sheet.ruled:
            canvas.rule(start, y + sheet.size, stop, y + sheet.size)
        sheet.add(name, key, ())
        return stop, low
    if sheet.width_of(text) > width and x == sheet.left and not tab and "\n" not in text and rng.random() < 0.5:
        span, end = _flowing(sheet, (start, y), text)
    else:
        span, end = sheet.value(start, y, text, width)
    sheet.add(name, key, span)
    right = max(canvas.inks[n].box[2] for n in span)
    if sheet.ruled:
        canvas.rule(start, y + sheet.size + 1, right + rng.choice((2, 20)), y + sheet.size + 1)
    return right, max(end, low)


def _flowing(sheet: FormCanvas, at: tuple[float, float], text: str) -> tuple[Span, float]:
    """A value that goes on at the left margin, under its key."""
    canvas, (x, y) = sheet.canvas, at
    text = text.upper() if sheet.upper else text
    first = canvas.wrap(text, max(sheet.right - x, 80), sheet.typed_size, typed=True)[0]
    head = canvas.text(x, y, first, size=sheet.typed_size, typed=True)
    rest = text[len(first) :].strip()
    tail, y = canvas.lines(sheet.left, y + sheet.size * 1.5, canvas.wrap(rest, sheet.right - sheet.left, sheet.typed_size, typed=True) if rest else [],
                           size=sheet.typed_size, typed=True)  # fmt: skip
    return head + tail, y
