"""A page without words -> the page with lines in reading order, upright and level.

Handwriting is read as well as the engine reads it, which is badly. Vertical writing is *not* handled.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache as once
from itertools import pairwise
from typing import TYPE_CHECKING

from layoutllm_tool.documents.geometry import Box, Line, Notice, Page, Word
from layoutllm_tool.documents.original import Original
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.documents.tick_boxes import cut_at_boxes
from layoutllm_tool.errors import OCRError, OCRNotInstalled
from layoutllm_tool.ocr.cache import Reading, ReadingCache, reading_key
from layoutllm_tool.ocr.contrast import even
from layoutllm_tool.ocr.deskew import is_blank, levelled, skew
from layoutllm_tool.ocr.rapid import LANGUAGES, RapidOCREngine, rapidocr_installed
from layoutllm_tool.ocr.tesseract import INSTALL_HINT, TesseractEngine, tesseract_installed
from layoutllm_tool.protocols import OCREngine

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_SKEW = 1.5
"""Degrees. Smaller angles are left: engines and reading order cope with them."""
SURE = 0.7
"""Least mean confidence of an upright page (printed pages: 0.8 and more; turned ones: 0.6 and less)."""
FEW_WORDS = 20
"""A page with fewer words is read again with its contrast evened out."""
LEGIBLE = 0.5
"""Least mean confidence of text. Below it, what was read are specks, stains or a photograph."""


def recognise_page(
    page: Page,
    *,
    engine: OCREngine | None = None,
    languages: Sequence[str] = ("eng",),
    cache: ReadingCache | None = None,
) -> Page:
    """The page with its lines, ``()`` on a blank one. Returns a page with lines unchanged.

    Turns a picture that is sideways, upside down or more than LEAST_SKEW degrees askew: the page has the new
    picture, its size, boxes on it, and a notice. ``engine`` None is ``default_engine`` for the languages.
    ``cache`` None is one in memory, shared by the process. Only engines with a ``fingerprint`` are cached.
    Raises OCRNotInstalled, OCRLanguageMissing, OCRTimeout, OCRError.
    """
    if page.lines is not None:
        return page
    if page.image is None:
        raise OCRError(f"Page {page.number} has neither words nor a picture.", hint="Give one of them.")
    chosen = engine or default_engine(languages)
    reading = _read_once(page.image, chosen, tuple(languages), shared_cache() if cache is None else cache)
    notices = list(_notices(reading))
    image = _straightened(page.image, reading)
    words = cut_at_boxes(reading.words, image)
    lines = group_lines(words, width=image.width, height=image.height)
    size, original = (image.width, image.height), _original(page, reading)
    shaped = replace(page, image=image, width=size[0], height=size[1], original=original)
    return shaped.with_lines([_joined(line, shaped) for line in lines], chosen.name, *notices)


def default_engine(languages: Sequence[str] = ("eng",)) -> OCREngine:
    """RapidOCR where it reads the languages, else Tesseract; raises OCRNotInstalled where there is neither.

    On receipts from pictures the same model is right far more often with RapidOCR (see the README's figures).
    """
    if rapidocr_installed() and LANGUAGES.issuperset(languages):
        return RapidOCREngine()
    if tesseract_installed():
        return TesseractEngine()
    if rapidocr_installed():
        return RapidOCREngine()  # says which languages it reads
    raise OCRNotInstalled("No text recognition is installed.", hint=INSTALL_HINT)


def check_languages(languages: Sequence[str], engine: OCREngine | None = None) -> None:
    """OCRLanguageMissing where the engine, or the default one, reads one of them not; OCRNotInstalled.

    An engine says so by a method ``check_languages``. Without any engine, pages with text can still be read.
    """
    if engine is None:
        with suppress(OCRNotInstalled):
            engine = default_engine(languages)
    if check := getattr(engine, "check_languages", None):
        check(languages)


@once
def shared_cache() -> ReadingCache:
    """The default cache in memory."""
    return ReadingCache()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        after_in_child=shared_cache.cache_clear
    )  # a thread that is not there may hold its lock


def read(image: Image, engine: OCREngine, languages: Sequence[str] = ("eng",)) -> Reading:
    """The words of a picture that may be turned. Tries turns only where the first reading looks wrong."""
    if is_blank(image):
        return Reading()
    first = _read_turned(image, 0, engine, languages)
    if len(first.reading.words) < FEW_WORDS:
        # Engines choose one threshold for the page: a shadow or a black border can hide all text.
        first = max(first, _read_turned(image, 0, engine, languages, evened=True), key=lambda a: a.substance)
    if first.looks_right:
        return first.reading
    orientation: Callable[[Image], int | None] | None = getattr(engine, "orientation", None)
    turn = orientation(image) if orientation else None
    if turn == 0:
        return first.reading
    turns = (90, 180, 270) if turn is None else (turn,)
    best = max(
        [first, *(_read_turned(image, turn, engine, languages) for turn in turns)], key=lambda a: a.substance
    )
    # Stains and icons read as letters could become answers.
    return best.reading if turn is not None or best.is_text else Reading(legible=False)


@dataclass(frozen=True, slots=True)
class _ScoredReading:
    """A reading, and whether to trust it."""

    reading: Reading
    aspect: float
    """Height of the picture read, by its width."""

    @property
    def mean(self) -> float:
        return mean_confidence(self.reading.words)

    @property
    def looks_right(self) -> bool:
        long = [w for w in self.reading.words if len(w.text) >= 4]
        return self.mean >= SURE and sum(map(self._upended, long)) <= len(long) / 2

    @property
    def is_text(self) -> bool:
        return self.mean >= LEGIBLE and any(sum(map(str.isalnum, w.text)) >= 2 for w in self.reading.words)

    @property
    def substance(self) -> float:
        """Letters in level words, weighed by confidence: most for the upright page."""
        return sum(len(w.text) * max(_sure(w) - 0.4, 0.0) for w in self.reading.words if not self._upended(w))

    def _upended(self, word: Word) -> bool:
        """Whether it is a long word taller than wide."""
        return len(word.text) >= 4 and word.box.height * self.aspect > word.box.width


def _read_once(image: Image, engine: OCREngine, languages: tuple[str, ...], cache: ReadingCache) -> Reading:
    fingerprint: str | None = getattr(engine, "fingerprint", None)
    if fingerprint is None:
        return read(image, engine, languages)
    key = reading_key(image, fingerprint, languages)
    found = cache.get(key)
    if found is None:
        found = read(image, engine, languages)
        cache.put(key, found)
    return found


def _read_turned(
    image: Image, turn: int, engine: OCREngine, languages: Sequence[str], *, evened: bool = False
) -> _ScoredReading:
    upright = _straightened(image, Reading(turn))
    angle = skew(upright)
    angle = angle if abs(angle) >= LEAST_SKEW else 0.0
    level = levelled(upright, angle) if angle else upright
    words = engine.recognise(even(level) if evened else level, languages=languages)
    kept = tuple(w for w in words if w.text.strip() and _sure(w) >= 0)
    return _ScoredReading(Reading(turn, angle, kept), level.height / level.width)


def _straightened(image: Image, reading: Reading) -> Image:
    from PIL.Image import Transpose

    turns = {
        90: Transpose.ROTATE_270,
        180: Transpose.ROTATE_180,
        270: Transpose.ROTATE_90,
    }  # Pillow's go the other way
    upright = image.transpose(turns[reading.turn]) if reading.turn else image
    return levelled(upright, reading.skew) if reading.skew else upright


def mean_confidence(words: Sequence[Word]) -> float:
    """0-1, weighed by letters; 0 for no words. A missing confidence counts as 1."""
    letters = sum(len(w.text) for w in words)
    return sum(len(w.text) * _sure(w) for w in words) / letters if letters else 0.0


def _sure(word: Word) -> float:
    return 1.0 if word.confidence is None else word.confidence


def _original(page: Page, reading: Reading) -> Original | None:
    """The page as its file has it, where it was turned now or before."""
    if not (reading.turn or reading.skew):
        return page.original
    before = page.original or Original(page.width, page.height)
    return replace(before, turn=(before.turn + reading.turn) % 360, skew=reading.skew)


def _notices(reading: Reading) -> list[Notice]:
    notices, sure = [], mean_confidence(reading.words)
    if reading.turn:
        turned = f"The page was turned by {reading.turn} degrees clockwise to stand upright."
        notices.append(Notice("turned", turned))
    if reading.skew:
        level = f"The page was {abs(reading.skew):.1f} degrees askew and has been levelled."
        notices.append(Notice("levelled", level))
    if not reading.legible:
        notices.append(Notice("illegible", "No legible text was found on the page."))
    elif not reading.words:
        notices.append(Notice("blank", "The page is blank."))
    elif sure < SURE:
        notices.append(Notice("hard_to_read", f"The text is hard to read: mean confidence {sure:.0%}."))
    return notices


def _joined(line: Line, page: Page) -> Line:
    """The line with Chinese and Japanese joined: engines cut them, though they have no spaces."""
    words = [line.words[0]]
    for before, word in pairwise(line.words):
        words[-1:] = [_both(words[-1], word)] if _runs_on(before, word, page) else [words[-1], word]
    return Line(tuple(words))


def _runs_on(a: Word, b: Word, page: Page) -> bool:
    """Two ideographs are joined over a gap of up to 0.8 heights, one and another character up to 0.3."""
    ideographs = _unspaced(a.text[-1]) + _unspaced(b.text[0])
    gap = (b.box.x0 - a.box.x1) * page.width
    height = max(a.box.height, b.box.height) * page.height
    return bool(ideographs) and gap < (0.8 if ideographs == 2 else 0.3) * height


def _unspaced(character: str) -> bool:
    """Han, kana, and the full-width marks and digits that stand among them; not Hangul, which has spaces."""
    if unicodedata.east_asian_width(character) not in {"W", "F"}:
        return False
    return not unicodedata.name(character, "").startswith("HANGUL")


def _both(a: Word, b: Word) -> Word:
    sure = None if a.confidence is None or b.confidence is None else min(a.confidence, b.confidence)
    return Word(a.text + b.text, Box.union((a.box, b.box)), sure)
