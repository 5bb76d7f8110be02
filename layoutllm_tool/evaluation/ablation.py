"""The reader with one part taken out, to measure what that part is worth (``eval SET --without PART``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.readers.local import LayoutLLMReader, load_parts
from layoutllm_tool.readers.scheduler import Loaded, Worker
from layoutllm_tool.registry import resolve

if TYPE_CHECKING:
    from layoutllm_tool.model.page_index import Array
    from layoutllm_tool.protocols import Source

PARTS = {
    "encoder": "the layout encoder's features are zero",
    "boxes": "the words of a page change boxes with one another",
    "pair-head": "all values that a key may have are equally likely",
    "language-model": "the choice does not see what the language model says",
    "text-model": "the larger language model is never asked",
    "sentence-encoder": "nothing is compared in meaning",
    "choice": "the language model's own answer counts, copied freely",
}
_CACHE_BYTES = 512 * 2**20


class ReaderWithout(LayoutLLMReader):
    """``LayoutLLMReader`` without one of ``PARTS``."""

    def __init__(self, part: str, weights: Path | None = None) -> None:
        super().__init__(weights)
        self._part = part
        folder = resolve(weights)
        self._worker = Worker(
            lambda: without(part, load_parts(None, folder, False, True)), cache_bytes=_CACHE_BYTES
        )

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        """As the reader does; with the boxes shuffled where these are the part."""
        document = super().load(source, words=words)
        if self._part != "boxes":
            return document
        return replace(document, pages=tuple(map(shuffled, document.pages)))


def without(part: str, loaded: Loaded) -> Loaded:
    """What was loaded, with the part taken out. The boxes are the pages', so they stay."""
    decoder, coefficients, chooser = loaded
    if part == "encoder":
        decoder.model.gate.data.zero_()
    if chooser is None or part == "choice":
        return decoder, coefficients, None
    if part == "pair-head":
        chooser.pair.logprobs = _uniform  # type: ignore[method-assign]
    if part == "language-model":
        chooser.uses_model = False
    if part == "text-model":
        chooser.text = None
    if part == "sentence-encoder":
        chooser.encoder = None
    return decoder, coefficients, chooser


def _uniform(rows: Array) -> Array:
    return np.full(len(rows), -np.log(max(len(rows), 1)), np.float32)


def shuffled(page: Page) -> Page:
    """The page with the boxes of its words dealt out anew, the same way every time."""
    lines = page.lines or ()
    boxes = [word.box for line in lines for word in line.words]
    Random(len(boxes)).shuffle(boxes)
    left = iter(boxes)
    moved = tuple(
        replace(line, words=tuple(replace(word, box=next(left)) for word in line.words)) for line in lines
    )
    return replace(page, lines=moved)
