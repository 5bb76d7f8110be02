"""A parsed page in transit: a small JSON head, its words in one packed block, its pixels in bands of rows.

The receiver trusts none of it. ``PageHead`` checks every number, so that all sizes are known before anything
is allocated. ``parser_child`` and ``parser_worker`` send and receive the frames.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from layoutllm_tool.documents.geometry import Box, Line, Page, Word
from layoutllm_tool.documents.original import Original

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS = {"L": 1, "RGB": 3}
"""Bytes of a pixel, by mode."""
BAND = 16 * 2**20
"""Bytes of one band. An ordinary page has one band."""
MOST_TEXT = 16 * 2**20
"""Bytes of one page's text."""
_COUNT, _BOX = 4, 32
"""Bytes of the number of words of a line; of a word's box, four 64-bit floats."""


def bounded(value: object, least: int, most: int) -> int:
    """The value where it is a whole number from ``least`` to ``most``. ValueError."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"it is no number from {least} to {most}")
    return value


@dataclass(frozen=True, slots=True)
class PageHead:
    """The facts of a page that precede its words and pixels. Sizes in pixels and bytes."""

    number: int
    width: int
    height: int
    mode: str
    source: str
    notices: list[dict[str, str]]
    lines: int | None
    """How many; None where the page is to be recognised."""
    words: int
    text: int
    """Bytes."""
    turn: int = 0
    """Degrees clockwise by which the page was turned."""

    @classmethod
    def of(cls, page: Page, image: Image, text: bytes) -> Self:
        lines = None if page.lines is None else len(page.lines)
        return cls(
            page.number, image.width, image.height, image.mode, page.text_source,
            [notice.to_json() for notice in page.notices], lines, len(page.words), len(text),
            page.original.turn if page.original else 0,
        )  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, number: int, max_pixels: int, max_words: int) -> Self:
        """Of the page that was asked for. ValueError, TypeError or LookupError where it is no such head."""
        head = cls(**data)
        bounded(head.number, number, number)
        bounded(head.width, 1, max_pixels)
        bounded(head.height, 1, max_pixels // head.width)
        if head.mode not in CHANNELS or head.source not in ("", "pdf"):
            raise ValueError("its mode or its source is unknown")
        if not isinstance(head.notices, list) or not all(map(_is_notice, head.notices)):
            raise TypeError("its notices are none")
        if head.turn not in (0, 90, 180, 270):
            raise ValueError("it was turned by no quarters")
        bounded(head.words, 0, max_words)
        bounded(head.lines or 0, 0, head.words)
        bounded(head.text, 0, MOST_TEXT)
        return head

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def original(self) -> Original | None:
        """The page before it was turned; None where it was not."""
        if not self.turn:
            return None
        wide, high = (self.width, self.height) if self.turn == 180 else (self.height, self.width)
        return Original(wide, high, self.turn)

    @property
    def pixels(self) -> int:
        """Bytes."""
        return self.width * self.height * CHANNELS[self.mode]

    @property
    def block(self) -> int:
        """Bytes of the packed words."""
        return _COUNT * (self.lines or 0) + _BOX * self.words + self.text

    @property
    def band(self) -> int:
        """Rows of pixels that travel together."""
        return max(BAND // (self.width * CHANNELS[self.mode]), 1)


def _is_notice(data: object) -> bool:
    return (
        isinstance(data, dict)
        and data.keys() == {"code", "text"}
        and all(isinstance(text, str) for text in data.values())
    )


def packed(page: Page, image: Image) -> tuple[PageHead, bytes]:
    """The page's head, and a block: words of each line, boxes, texts one to a row. No confidences."""
    words = page.words
    text = "\n".join(word.text for word in words).encode("utf-8", "surrogatepass")
    counts = array("I", [len(line.words) for line in page.lines or ()])
    corners = (edge for word in words for edge in (word.box.x0, word.box.y0, word.box.x1, word.box.y1))
    return PageHead.of(page, image, text), counts.tobytes() + array("d", corners).tobytes() + text


def unpacked(head: PageHead, block: bytes | bytearray) -> tuple[Line, ...] | None:
    """The lines of a block. ValueError where it contradicts the head."""
    if head.lines is None:
        return None
    boxes, text = _COUNT * head.lines, _COUNT * head.lines + _BOX * head.words
    counts, corners = array("I", block[:boxes]), iter(array("d", block[boxes:text]))
    texts = block[text:].decode("utf-8", "surrogatepass").split("\n") if head.words else []
    if sum(counts) != head.words or len(texts) != head.words:
        raise ValueError("its words are not as many as it says")
    words = iter([Word(word, Box(*islice(corners, 4))) for word in texts])
    return tuple(Line(tuple(islice(words, count))) for count in counts)


def bands(head: PageHead, image: Image) -> Iterator[bytes]:
    """The pixels, from the top."""
    if head.height <= head.band:
        yield image.tobytes()
        return
    for top in range(0, head.height, head.band):
        yield image.crop((0, top, head.width, min(top + head.band, head.height))).tobytes()
