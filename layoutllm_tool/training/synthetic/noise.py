"""What scanning and OCR do to a page: confused characters, words split and merged, specks, a grey ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from layoutllm_tool.documents.geometry import Box, Word
from layoutllm_tool.training.synthetic.canvas import DrawnWord
from layoutllm_tool.training.synthetic.templates import DATA

if TYPE_CHECKING:
    from PIL.Image import Image

_CONFUSED: dict[str, str] = {row[0]: row[1:] for row in DATA["confused"]["characters"]}
_PAIRS: dict[str, str] = dict(DATA["confused"]["pairs"])
_SIGNS = frozenset("/,.:;-()$#%&+")
"""Where OCR may split a word."""


@dataclass(frozen=True, slots=True)
class Read:
    """A word as OCR read it, with the drawn word of each of its characters (-1: a speck)."""

    word: Word
    origin: tuple[int, ...]


def read(
    words: Sequence[DrawnWord], rng: Random, *, rate: float, width: int, height: int, loose: float = 0.0
) -> list[Read]:
    """The page's words with about ``rate`` of the characters wrong, boxes 0-1000.

    ``loose`` is the share of the signs inside words at which a word is split: "7/15/84" is read as "7/ 15/
    84".
    """
    ahead = rng.random() < 0.2
    found: list[Read] = []
    for i, drawn in enumerate(words):
        text = misread(drawn.text, rng, rate)
        box = Box.from_pixels(*drawn.box, width=width, height=height)
        confidence = round(rng.uniform(0.55, 0.97) if text == drawn.text else rng.uniform(0.3, 0.9), 2)
        here = Read(Word(text, box, confidence), (i,) * len(text))
        near = i > 0 and _next(words[i - 1], drawn)
        if found and (drawn.glued or (near and rng.random() < rate * 0.6)):
            found[-1] = _merged(found[-1], here)
        elif len(text) > 4 and rng.random() < rate * 0.5:
            found += _split(here, rng.randint(1, len(text) - 1))
        elif loose and len(text) > 2:
            found += _apart(here, rng, loose, ahead)
        elif text:
            found.append(here)
    if rate and rng.random() < 0.4:
        found += [_speck(rng) for _ in range(rng.randint(1, 4))]
    return found


def misread(text: str, rng: Random, rate: float) -> str:
    """The word with confused, doubled or lost characters; never empty."""
    if not rate:
        return text
    out, i = "", 0
    while i < len(text):
        c, pair = text[i], text[i : i + 2]
        if rng.random() >= rate:
            out, i = out + c, i + 1
        elif pair in _PAIRS:
            out, i = out + _PAIRS[pair], i + 2
        elif c in _CONFUSED:
            out, i = out + rng.choice(_CONFUSED[c]), i + 1
        elif rng.random() < 0.4 and (out or i + 1 < len(text)):
            i += 1
        else:
            out, i = out + _PAIRS.get(c, c), i + 1
    return out or text


def scanned(image: Image, rng: Random) -> Image:
    """A grey ground with coarse grain, sometimes a little turned dark. Cheap: the model sees 224 x 224."""
    from PIL import Image as Pictures
    from PIL import ImageChops

    strength = rng.choice((0, 10, 25, 45))
    if not strength:
        return image
    size = (image.width // 6, image.height // 6)
    grain = Pictures.frombytes("L", size, rng.randbytes(size[0] * size[1]))
    ground = grain.point([255 - value * strength // 255 for value in range(256)]).resize(image.size)
    return ImageChops.multiply(image, ground)


def tilted(image: Image, words: Sequence[DrawnWord], slope: float) -> tuple[Image, list[DrawnWord]]:
    """The page a little askew: everything moves down by ``slope`` a pixel to the right of the middle."""
    from PIL import Image as Pictures

    middle = image.width / 2
    matrix = (1, 0, 0, -slope, 1, slope * middle)
    turned = image.transform(image.size, Pictures.Transform.AFFINE, matrix, fillcolor=255)
    moved = []
    for drawn in words:
        x0, y0, x1, y1 = drawn.box
        down = slope * ((x0 + x1) / 2 - middle)
        box = (x0, max(y0 + down, 0.0), x1, min(y1 + down, image.height))
        moved.append(DrawnWord(drawn.text, box, drawn.glued))
    return turned, moved


def _next(a: DrawnWord, b: DrawnWord) -> bool:
    """Whether b follows a closely on the same row."""
    return abs(a.box[3] - b.box[3]) < 8 and 0 <= b.box[0] - a.box[2] < 12


def _merged(a: Read, b: Read) -> Read:
    box = Box.union((a.word.box, b.word.box))
    confidence = min(a.word.confidence or 0.0, b.word.confidence or 0.0)
    return Read(Word(a.word.text + b.word.text, box, confidence), a.origin + b.origin)


def _split(read: Read, at: int) -> list[Read]:
    word, box = read.word, read.word.box
    x = box.x0 + box.width * at / len(word.text)
    left = Word(word.text[:at], Box(box.x0, box.y0, x, box.y1), word.confidence)
    right = Word(word.text[at:], Box(min(x + 1, box.x1), box.y0, box.x1, box.y1), word.confidence)
    return [Read(left, read.origin[:at]), Read(right, read.origin[at:])]


def _apart(read: Read, rng: Random, share: float, ahead: bool) -> list[Read]:
    """The word cut after the signs inside it; before them if ``ahead``."""
    text, parts = read.word.text, [read]
    for at in range(len(text) - 1, 0, -1):
        sign = text[at] if ahead else text[at - 1]
        if sign in _SIGNS and rng.random() < share and text[at].isalnum() + text[at - 1].isalnum() == 1:
            parts[:1] = _split(parts[0], at)
    return parts


def _speck(rng: Random) -> Read:
    x, y = rng.uniform(0, 980), rng.uniform(0, 990)
    text = rng.choice((".", "|", "-", "'", "~", "_", ":", "i", "*", "=", "«"))
    return Read(Word(text, Box(x, y, x + rng.uniform(2, 15), y + rng.uniform(2, 10)), 0.2), (-1,) * len(text))
