"""A typed form being filled: margins, sizes and ways of printing shared by all its parts.

A key with its value beside it.
"""

from __future__ import annotations

from layoutllm_tool.training.synthetic.canvas import Canvas, KeyStyle, Span
from layoutllm_tool.training.synthetic.values import ValueGenerator
from layoutllm_tool.training.synthetic.vocabulary import chosen

Field = tuple[str, str]
"""A key and the kind of its value."""
At = tuple[float, float]


class FormCanvas:
    """A page being filled from top to bottom; ``y`` is where the next part begins."""

    def __init__(self, canvas: Canvas, values: ValueGenerator, theme: str) -> None:
        rng = canvas.rng
        self.canvas, self.values, self.theme, self.rng = canvas, values, theme, rng
        self.style = KeyStyle(rng, lower=0.04)
        self.add, self.facts = canvas.add, canvas.facts
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
    def width(self) -> float:
        return self.right - self.left

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

    def key(self, at: At, text: str, width: float = 0.0, size: int = 0) -> tuple[Span, float]:
        """Draw a printed label, wrapped to ``width`` if there is one; the y below it."""
        return self.canvas.block(*at, text, width, size=size or self.size)

    def value(self, at: At, text: str, width: float) -> tuple[Span, float]:
        """Draw a typed value in lines no wider than ``width``, a little off the line; the y below it."""
        text = text.upper() if self.upper else text
        y = at[1] - self.rng.randint(0, self.lift)
        return self.canvas.block(at[0], y, text, width, size=self.typed_size, typed=True)

    def filled(self, kind: str) -> str:
        """A value of the kind, or "" for a field left blank."""
        return "" if self.rng.random() < self.blank else self.values.typed(kind)

    def width_of(self, text: str) -> float:
        """The width of a typed value."""
        widest = max(self.canvas.measure(line, self.typed_size, typed=True) for line in text.split("\n"))
        return widest * (1.4 if self.upper else 1.06)

    def right_of(self, span: Span) -> float:
        return max(self.canvas.words[n].box[2] for n in span)

    def beside(self, at: At, name: str, text: str, tab: float = 0.0) -> At:
        """Draw a key and its value: the right end and the y below. A long value may flow on."""
        (x, y), rng, canvas = at, self.rng, self.canvas
        key, low = self.key(at, name, max(self.right - x - 60, 120) if x == self.left else 0.0)
        y = low - self.size * 1.35
        start = max(canvas.end(key) + rng.choice((4, 8, 8, 14, 30)), tab)
        if start > self.right - 110 and text:
            start, y = x + 20, low
        if not text:
            stop = min(start + rng.randint(60, 160), self.right)
            self._underline(start, y + self.size, stop)
            self.add(name, key, ())
            return stop, low
        width = max(self.right - start, 60)
        long = self.width_of(text) > width and x == self.left and not tab and "\n" not in text
        flows = long and rng.random() < 0.5
        span, end = self._flowing((start, y), text) if flows else self.value((start, y), text, width)
        self.add(name, key, span)
        right = self.right_of(span)
        if self.ruled:
            self._underline(start, y + self.size + 1, right + rng.choice((2, 20)))
        return right, max(end, low)

    def _underline(self, x: float, y: float, stop: float) -> None:
        if self.ruled:
            self.canvas.rule(x, y, stop, y)

    def _flowing(self, at: At, text: str) -> tuple[Span, float]:
        """Draw a value that goes on at the left margin, under its key."""
        (x, y), canvas = at, self.canvas
        text = text.upper() if self.upper else text
        first = canvas.wrap(text, max(self.right - x, 80), self.typed_size, typed=True)[0]
        span, y = canvas.text(x, y, first, size=self.typed_size, typed=True), y + self.size * 1.5
        if rest := text[len(first) :].strip():
            more, y = canvas.block(self.left, y, rest, self.width, size=self.typed_size, typed=True)
            span += more
        return span, y
