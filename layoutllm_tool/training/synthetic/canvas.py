"""A page being drawn: text goes in, its picture and the box of every word come out. Boxes here are in pixels.

Fonts are looked for in the usual folders (DejaVu, Liberation). Where none is installed, Pillow's own font
takes their place: it moves the boxes and never changes the words.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from layoutllm_tool.cot import Kind
from layoutllm_tool.documents.geometry import Box, Word

if TYPE_CHECKING:
    from PIL import ImageFont

FAMILIES = (
    "LiberationSans-Regular", "LiberationSerif-Regular", "LiberationMono-Regular",
    "LiberationSansNarrow-Regular", "DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "DejaVuSansCondensed",
    "LiberationSans-Bold", "LiberationMono-Bold",
)  # fmt: skip
MONO = (2, 6, 9)
"""Typewriters among the families."""
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")

Span = tuple[int, ...]
"""Indices into ``Canvas.words``: the words of one piece of text, in reading order."""


@dataclass(frozen=True, slots=True)
class DrawnWord:
    """A word as drawn. ``glued``: without a space after the word before it, so that OCR reads both as one."""

    text: str
    box: tuple[float, float, float, float]
    glued: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """Something the page says: a key and its value. An empty value is a field left blank.

    ``names`` are what the field may be called by its meaning; ``questions`` are whole questions; ``key`` may
    be () where nothing names the value (a heading).
    """

    name: str
    key: Span
    value: Span
    kind: Kind = "key-value"
    names: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    concept: str = ""
    """What ``questions`` look for, where it is not ``name``."""
    printed: bool = True
    """Whether ``name`` is the key as printed: a question may quote it."""


class KeyStyle:
    """How a page prints its keys: case, and what follows them."""

    def __init__(self, rng: Random, *, lower: float = 0.2) -> None:
        self._case = str.lower if rng.random() < lower else rng.choice((str, str.upper))
        self._ending = rng.choice((":", ":", ":", "", "", " :", ".", " -"))

    def key(self, name: str) -> str:
        return self._case(name) + self._ending

    def plain(self, name: str) -> str:
        return self._case(name)


class Canvas:
    """Draws words, and remembers where they stand and what they say.

    ``size`` is the height of ordinary text in pixels.

    ``typed`` text is set in the page's second family: what a typewriter put on a printed form.
    """

    def __init__(self, width: int, height: int, rng: Random, *, families: Sequence[int] = range(8)) -> None:
        from PIL import Image, ImageDraw

        self.width, self.height, self.rng = width, height, rng
        self.family = rng.choice(families)
        self.second = rng.choice((*MONO, *MONO, self.family))
        self.size = rng.randint(14, 19)
        self.image = Image.new("L", (width, height), 255)
        self._draw = ImageDraw.Draw(self.image)
        self.words: list[DrawnWord] = []
        self.facts: list[Fact] = []

    def add(self, name: str, key: Span, value: Span, kind: Kind = "key-value", **more: Any) -> None:
        """Note a fact; ``more`` are the other attributes of ``Fact``."""
        self.facts.append(Fact(name, key, value, kind, **more))

    def unprinted(self, name: str, value: Span, kind: Kind = "key-value", **more: Any) -> None:
        """Note a fact whose name is not printed as its key; ``key`` may be among ``more``."""
        self.add(name, more.pop("key", ()), value, kind, printed=False, **more)

    def text(
        self, x: float, y: float, text: str, *,
        size: int = 0, align: str = "left", glued: bool = False, typed: bool = False,
    ) -> Span:  # fmt: skip
        """Draw a line of text with its top at y; x is its left end, right end or middle (``align``)."""
        font = self._face(size, typed)
        x -= {"left": 0.0, "right": 1.0, "center": 0.5}[align] * font.getlength(text)
        start = len(self.words)
        at = 0
        for n, word in enumerate(text.split(" ")):
            if word:
                left = x + font.getlength(text[:at])
                _, top, right, bottom = font.getbbox(word)
                self._draw.text((left, y), word, font=font, fill=20)
                box = (left, y + top, left + right, y + bottom)
                self.words.append(DrawnWord(word, box, glued and n == 0))
            at += len(word) + 1
        return tuple(range(start, len(self.words)))

    def block(
        self, x: float, y: float, text: str, width: float = 0.0, *,
        size: int = 0, align: str = "left", typed: bool = False,
    ) -> tuple[Span, float]:  # fmt: skip
        """Draw lines below each other, wrapped to ``width`` if there is one; the y below the last."""
        span: Span = ()
        for line in text.split("\n"):
            for part in self.wrap(line, width, size, typed=typed) if width else [line]:
                span += self.text(x, y, part, size=size, align=align, typed=typed)
                y += (size or self.size) * 1.35
        return span, y

    def wrap(self, text: str, width: float, size: int = 0, *, typed: bool = False) -> list[str]:
        """The text cut into lines no wider than ``width`` (a single long word may be)."""
        font = self._face(size, typed)
        lines: list[str] = []
        for word in text.split(" "):
            if lines and font.getlength(f"{lines[-1]} {word}") <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        return lines

    def measure(self, text: str, size: int = 0, *, typed: bool = False) -> float:
        """Width in pixels."""
        return float(self._face(size, typed).getlength(text))

    def end(self, span: Span) -> float:
        """The right end of a piece of text."""
        return self.words[span[-1]].box[2]

    def page_words(self) -> list[Word]:
        """The words with boxes 0-1000."""
        size = {"width": self.width, "height": self.height}
        return [Word(drawn.text, Box.from_pixels(*drawn.box, **size)) for drawn in self.words]

    def crop(self, height: int) -> None:
        """Cuts the page off below ``height``."""
        self.height = min(height, self.height)
        self.image = self.image.crop((0, 0, self.width, self.height))

    def rule(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A thin line."""
        self._draw.line((x0, y0, x1, y1), fill=90)

    def frame(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A thin rectangle."""
        self._draw.rectangle((x0, y0, x1, y1), outline=90)

    def tick(self, x: float, y: float, *, ticked: bool) -> None:
        """A check box, without any text."""
        self._box(x, y, self.size, ticked)

    def mark(self, x: float, y: float, text: str, *, ticked: bool) -> Span:
        """A check box that OCR reads as ``text``."""
        side = self.size - 2
        self._box(x, y, side, ticked)
        self.words.append(DrawnWord(text, (x, y, x + side, y + side)))
        return (len(self.words) - 1,)

    def _face(self, size: int, typed: bool) -> ImageFont.FreeTypeFont:
        return _font(self.second if typed else self.family, size or self.size)

    def _box(self, x: float, y: float, s: float, ticked: bool) -> None:
        self._draw.rectangle((x, y, x + s, y + s), outline=60)
        if ticked:
            self._draw.line((x, y, x + s, y + s), fill=20, width=2)
            self._draw.line((x, y + s, x + s, y), fill=20, width=2)


@lru_cache(maxsize=256)
def _font(family: int, size: int) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    path = _paths().get(FAMILIES[family] + ".ttf")
    if path is None:
        default = ImageFont.load_default(size)
        if not isinstance(default, ImageFont.FreeTypeFont):
            raise RuntimeError("Pillow was built without FreeType: pages can't be drawn")
        return default
    return ImageFont.truetype(path, size)


@lru_cache(maxsize=1)
def _paths() -> dict[str, str]:
    return {
        name: str(Path(folder) / name)
        for root in _FOLDERS
        for folder, _, names in os.walk(root)
        for name in sorted(names)
        if name.startswith(("Liberation", "DejaVu"))
    }
