"""RapidOCR (PaddleOCR's models on ONNX Runtime): the default engine, installed with the package and its
models.

A run can't be interrupted: the picture's size bounds the work, not a time limit.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from layoutllm_tool.documents.geometry import SCALE, Box, Word
from layoutllm_tool.errors import OCRLanguageMissing, OCRNotInstalled

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    Pixels = np.ndarray[tuple[int, int], np.dtype[np.uint8]]

_CODES = (
    "afr aze bos cat ces chi chi_sim chi_tra cym dan deu eng est eus fin fra gle glg hrv hun ind isl ita "
    "jpn kur lat lav lit ltz mlt mri msa nld nor oci pol por que roh ron slk slv spa sqi srp_latn swa swe "
    "tgl tur uzb vie zho"
)
LANGUAGES = frozenset(_CODES.split())
"""What the model in the wheel reads, by ISO 639-2 or tesseract's name: Latin script, Chinese, Japanese."""

MOST_THREADS = 4
"""Of one page, where there are as many cores."""
DETECTED_AT = 1280
"""Longest side in pixels of the picture in which lines are looked for; a smaller one is enlarged to 736 by
its shorter side. Of 16 receipts with longer sides as many fields were read as at their full size, in 0.85
of the time.
"""
LEAST_WIDTH = 128
"""Of a line's picture that the recogniser reads, 48 pixels high: narrower ones are padded. Lines are read
one by one, since padding them to the widest of a batch cost a fifth of the time.
"""
LEAST_CONTRAST = 40
"""Grey levels between ink and paper."""
LEAST_INK = 0.08
"""Of the row with most ink: rows with less hold a neighbour's tail or a speck."""
_RUN = threading.Lock()
"""All callers share one session, which stores the parameters of the current call."""

_LABEL = re.compile(r"[^\d\W][\w./#&'()-]*[^\d\W][.)#]*:(?=[\w(\uff08\[])")
"""A key and its value that are read as one word: "DATE:28/02/2016"."""
_BOX = re.compile(r"(?:[(\uff08\[][xXvV✓]?[)\uff09\]]|[☐□☑☒])(?=\w)")
"""A box and its label: "()Single"."""
_DATED = re.compile(
    r"(?:\d{4}[-/.]\d\d?[-/.]\d\d|\d\d?[-/.](?:\d\d?|[A-Za-z]{3})[-/.](?:(?:19|20)\d\d|\d\d))"
    r"(?=_?(?:[0-2]?\d:\d\d|[A-Za-z]{2,}))"
)
"""A date and the time, or the next key, behind it: "14/05/201812:14"."""

_CENTS = re.compile(r"(?<=\d\.) (?=\d\d$)|(?<=\d) (?=\.\d\d$)")
"""The blank in "110. 00", at the end of a line."""

_Points = Sequence[Sequence[float]]


@dataclass(slots=True)
class RapidOCREngine:
    """``OCREngine`` on the package ``rapidocr``, one page at a time.

    Drops lines that the recogniser scores below ``least_score``. ``threads`` is given because ONNX Runtime
    binds one thread to each core by default, which made a page 4 to 16 times slower while another program
    kept the cores busy.
    """

    least_score: float = 0.3
    threads: int = field(default_factory=lambda: min(_cores(), MOST_THREADS))
    name: str = field(default="rapidocr", init=False)

    @property
    def fingerprint(self) -> str:
        """What results depend on besides picture and languages: part of the cache's key."""
        try:
            rules = "tight apart signs single cents"
            return f"rapidocr {version('rapidocr')} least_score={self.least_score} {rules}"
        except PackageNotFoundError as error:
            raise _not_installed() from error

    def check_languages(self, languages: Sequence[str]) -> None:
        """OCRLanguageMissing."""
        if missing := set(languages) - LANGUAGES:
            raise OCRLanguageMissing(
                f"RapidOCR does not read {', '.join(map(repr, sorted(missing)))}.",
                hint=f"It reads {', '.join(sorted(LANGUAGES))}; "
                "for others install Tesseract with their data.",
            )

    def recognise(self, image: Image, *, languages: Sequence[str] = ("eng",)) -> list[Word]:
        """Words with boxes 0-1000 of the picture. Raises OCRNotInstalled, OCRLanguageMissing.

        One model reads all languages, so ``languages`` is only checked.
        """
        self.check_languages(languages)
        import numpy as np

        pixels = np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
        with _RUN:
            result = _session(self.threads, max(image.size) > DETECTED_AT)(
                pixels, return_word_box=True, text_score=self.least_score
            )
        grey = np.asarray(image.convert("L"))
        words = [part for word in _words(result, *image.size) for part in apart(word)]
        return [replace(word, box=tight(word.box, grey)) for word in words]


def apart(word: Word) -> list[Word]:
    """The word cut behind a key's colon, a date or a box, where the recogniser missed a blank.

    Each part gets its letters' share of the box.
    """
    text, cuts = word.text, [0]
    while match := _LABEL.match(text, cuts[-1]) or _DATED.match(text, cuts[-1]) or _BOX.match(text, cuts[-1]):
        cuts.append(match.end())
    if len(cuts) == 1 or "//" in text:
        return [word]
    box, parts = word.box, []
    for start, stop in pairwise([*cuts, len(text)]):
        x0, x1 = (min(box.x0 + box.width * at / len(text), box.x1) for at in (start, stop))
        parts.append(replace(word, text=text[start:stop].strip("_"), box=replace(box, x0=x0, x1=x1)))
    return parts


def tight(box: Box, grey: Pixels) -> Box:
    """The box (0-1000) shrunk to the rows of its word's ink in a picture (height, width).

    RapidOCR's boxes include the space between the lines. Unchanged where ink and paper are not distinct.
    """
    import numpy as np

    height, width = grey.shape
    x0, y0, x1, y1 = box.to_pixels(width, height)
    part = grey[max(y0, 0) : y1, max(x0, 0) : x1]
    if part.size == 0 or int(part.max()) - int(part.min()) < LEAST_CONTRAST:
        return box
    middle = (int(part.max()) + int(part.min())) / 2
    ink = part < middle if np.median(part) > middle else part > middle
    rows = np.flatnonzero(ink.sum(1) >= max(1, round(LEAST_INK * ink.sum(1).max())))
    top, bottom = max(y0, 0) + int(rows[0]), max(y0, 0) + int(rows[-1]) + 1
    return Box(box.x0, SCALE * top / height, box.x1, SCALE * bottom / height)


def rapidocr_installed() -> bool:
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def _cores() -> int:
    """That this process may use: two threads on one core wait for each other ten times longer than they
    compute.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _session(threads: int, large: bool) -> Any:
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise _not_installed() from error
    # No classifier: it would read an upside-down line either way, and hide from recognise.py that the page is
    # turned.
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.use_cls": False,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
            "Rec.rec_batch_num": 1,
            "Rec.rec_img_shape": [3, 48, LEAST_WIDTH],
        }
        | ({"Det.limit_type": "max", "Det.limit_side_len": DETECTED_AT} if large else {})
    )


def _not_installed() -> OCRNotInstalled:
    return OCRNotInstalled(
        "RapidOCR is not installed.", hint="Install it with: pip install rapidocr onnxruntime."
    )


def _words(result: Any, width: int, height: int) -> Iterator[Word]:
    if result.txts is None or result.boxes is None:
        return
    rows = list(result.word_results or ())
    if len(rows) != len(result.txts):
        rows = [()] * len(result.txts)
    for line, score, points, parts in zip(result.txts, result.scores, result.boxes, rows, strict=True):
        text = _CENTS.sub("", line)
        for word, corners, sure in _gathered(text, parts or ()) or _shares(text, points, score):
            yield Word(word, _box(corners, width, height), round(min(float(sure), float(score)), 4))


def _gathered(
    text: str, parts: Iterable[tuple[str, float, _Points | None]]
) -> list[tuple[str, _Points, float]]:
    """The line's words with the boxes of their parts; [] where the parts don't make up the words.

    Beside ideographs every letter and digit is a part of its own.
    """
    rest = [
        (part.strip(), score, points) for part, score, points in parts if part.strip() and points is not None
    ]
    words: list[tuple[str, _Points, float]] = []
    for word in text.split():
        made, sure = "", 1.0
        corners: list[Sequence[float]] = []
        while rest and len(made) < len(word):
            part, score, points = rest.pop(0)
            made, corners, sure = made + part, [*corners, *points], min(sure, float(score))
        if made != word:
            return []
        words.append((word, corners, sure))
    return words


def _shares(text: str, points: _Points, score: float) -> Iterator[tuple[str, _Points, float]]:
    """The line's words where the engine gave no boxes for them. Shares the width out by letters."""
    xs, ys = [float(p[0]) for p in points], [float(p[1]) for p in points]
    letter, at = (max(xs) - min(xs)) / max(len(text), 1), 0
    for part in text.split():
        at = text.index(part, at)
        x0, x1 = min(xs) + at * letter, min(xs) + (at + len(part)) * letter
        yield part, [(x0, min(ys)), (x1, max(ys))], score
        at += len(part)


def _box(points: _Points, width: int, height: int) -> Box:
    xs, ys = [float(p[0]) for p in points], [float(p[1]) for p in points]
    return Box.from_pixels(min(xs), min(ys), max(xs), max(ys), width=width, height=height)
