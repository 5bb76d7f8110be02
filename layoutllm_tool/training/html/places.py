"""Where the numbered words of HTML stand among the words of the rendered page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from layoutllm_tool.documents.align import WordIndex, joined
from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.training.grounding import spans
from layoutllm_tool.training.html.marks import Piece, word_id
from layoutllm_tool.training.html.render import Rendered
from layoutllm_tool.training.keys import EDGES


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of text on the page: the page's own string in these words, in reading order."""

    text: str
    words: tuple[WordIndex, ...]

    @property
    def name(self) -> str:
        return self.text.strip(EDGES) or self.text

    @property
    def lines(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(line for line, _ in self.words))


class Places:
    """Finds pieces of the HTML on its page."""

    def __init__(self, rendered: Rendered) -> None:
        self.page, self._boxes = rendered.page, rendered.boxes
        lines = enumerate(rendered.page.lines or ())
        self._words = [((i, j), word.box) for i, line in lines for j, word in enumerate(line.words)]

    def find(self, piece: Piece | None) -> Found | None:
        """None where it is not there, or the page says something else."""
        if piece is None or not piece.words:
            return None
        boxes = (self._boxes.get(word_id(number)) for number in piece.words)
        words = tuple(sorted({index for box in boxes if box for index in self._under(box)}))
        text = _cut(joined(self.page, words), piece.text)
        return Found(text, words) if text and spans(text, self.page, words) else None

    def _under(self, box: Box) -> Iterator[WordIndex]:
        """The page's words of which most lies in the box, or in which most of the box lies."""
        for index, other in self._words:
            shared = min(box.x1, other.x1) - max(box.x0, other.x0)
            if box.y0 <= other.center[1] <= box.y1 and shared > 0.5 * min(box.width, other.width):
                yield index


def _cut(whole: str, text: str) -> str:
    """The part of ``whole`` that is ``text``, spaces and case aside; "" where it is not in it."""
    at = [n for n, c in enumerate(whole) for _ in c.casefold() if not c.isspace()]
    letters = "".join(c.casefold() for c in whole if not c.isspace())
    wanted = "".join(c.casefold() for c in text if not c.isspace())
    start = letters.find(wanted)
    return whole[at[start] : at[start + len(wanted) - 1] + 1] if wanted and start >= 0 else ""
