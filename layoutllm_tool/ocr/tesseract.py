"""Tesseract through pytesseract. Layout is *not* taken from it: only words, boxes and confidences are."""

from __future__ import annotations

import os
import shutil
from collections import ChainMap
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from layoutllm_tool.documents.geometry import Box, Word
from layoutllm_tool.errors import OCRError, OCRLanguageMissing, OCRNotInstalled, OCRTimeout

if TYPE_CHECKING:
    from PIL.Image import Image

INSTALL_HINT = (
    "Install RapidOCR (pip install rapidocr onnxruntime) or Tesseract (apt-get install tesseract-ocr, "
    "brew install tesseract, winget install UB-Mannheim.TesseractOCR)."
)
_MOST_PIXELS = 12_000_000
"""Larger pictures are read no better, only slower."""
_LARGEST_BLOW_UP = 2.5
_UNSPACED = ("chi", "jpn", "tha", "khm", "lao", "mya")
_LEAST_OSD_CONFIDENCE = 1.0
_SAME_PLACE = 0.2
"""Words that share more of the smaller one's area are readings of the same ink."""


@dataclass(slots=True)
class TesseractEngine:
    """``OCREngine`` on the system's tesseract. Safe to use from several threads: each run is a process of its
    own.

    Reads a page once for each page segmentation of ``psms``, side by side, and keeps the surer of words in
    the same place. 6 (one block) keeps what the automatic 3 drops, such as a receipt's prices; 11 (sparse
    text) reads what 6 garbles, such as forms and tables. Languages without spaces use the first segmentation
    only: their words are cut differently in each. A long side of 1700 pixels reads receipts best. Words of
    less than ``least_confidence`` (0-1) are mostly specks and rules. ``timeout`` is in seconds, for one run.
    """

    psms: tuple[int, ...] = (6, 11)
    long_side: int = 1700
    least_confidence: float = 0.2
    timeout: float = 45.0
    name: str = field(default="tesseract", init=False)

    @property
    def fingerprint(self) -> str:
        """What results depend on besides picture and languages: part of the cache's key."""
        version = _version(_binary())
        return (
            f"tesseract {version} psms={self.psms} long_side={self.long_side} least={self.least_confidence}"
        )

    def check_languages(self, languages: Sequence[str]) -> None:
        """OCRLanguageMissing, OCRNotInstalled."""
        _check_languages(languages, _binary())

    def recognise(self, image: Image, *, languages: Sequence[str] = ("eng",)) -> list[Word]:
        """Boxes are 0-1000. Raises OCRNotInstalled, OCRLanguageMissing, OCRTimeout, OCRError."""
        self.check_languages(languages)
        picture = self._prepared(image)
        psms = self.psms[:1] if any(language.startswith(_UNSPACED) for language in languages) else self.psms
        with ThreadPoolExecutor(len(psms)) as pool:
            runs = list(pool.map(lambda psm: self._words(picture, languages, psm), psms))
        return runs[0] if len(runs) == 1 else _surest(word for run in runs for word in run)

    def _words(self, picture: Image, languages: Sequence[str], psm: int) -> list[Word]:
        data = self._run("image_to_data", picture, lang="+".join(languages), config=f"--psm {psm}")
        columns = (data[name] for name in ("text", "conf", "left", "top", "width", "height"))
        width, height = picture.size
        return [
            Word(
                text.strip(),
                Box.from_pixels(x, y, x + w, y + h, width=width, height=height),
                float(conf) / 100,
            )
            for text, conf, x, y, w, h in zip(*columns, strict=True)
            if text.strip() and float(conf) >= 100 * self.least_confidence
        ]

    def orientation(self, image: Image) -> int | None:
        """Degrees clockwise (0, 90, 180, 270) that turn the picture upright.

        None where there is too little text, or no orientation data ("osd") installed.
        """
        binary = _binary()
        if "osd" not in _languages(binary):
            return None
        try:
            found = self._run("image_to_osd", self._prepared(image), lang="osd", config="--psm 0")
        except OCRTimeout:
            raise
        except OCRError:  # "Too few characters. Skipping this page"
            return None
        return int(found["rotate"]) if float(found["orientation_conf"]) >= _LEAST_OSD_CONFIDENCE else None

    def _prepared(self, image: Image) -> Image:
        """Greyscale, small pictures blown up, huge ones shrunk."""
        from PIL import Image as pillow

        grey = image if image.mode == "L" else _on_white(image).convert("L")
        factor = min(max(self.long_side / max(grey.size), 1.0), _LARGEST_BLOW_UP)
        factor = min(factor, (_MOST_PIXELS / (grey.width * grey.height)) ** 0.5)
        size = (max(round(grey.width * factor), 1), max(round(grey.height * factor), 1))
        return grey if size == grey.size else grey.resize(size, pillow.Resampling.LANCZOS)

    def _run(self, function: str, picture: Image, *, lang: str, config: str) -> dict[str, Any]:
        import pytesseract

        # Tesseract's own threads slow it down two to four times, and under load two of them have hung. Set
        # for its processes only: in os.environ it would bind all OpenMP in this process as well.
        pytesseract.pytesseract.environ = ChainMap(os.environ, {"OMP_THREAD_LIMIT": "1"})
        call = getattr(pytesseract, function)
        picture = picture.copy()
        picture.format = "BMP"  # a PNG takes longer to write than a BMP to send
        try:
            result: dict[str, Any] = call(
                picture, lang=lang, config=config, output_type=pytesseract.Output.DICT, timeout=self.timeout
            )
        except pytesseract.TesseractNotFoundError as error:
            raise OCRNotInstalled("Tesseract is not installed.", hint=INSTALL_HINT) from error
        except pytesseract.TesseractError as error:
            raise OCRError(f"Tesseract failed: {error.message}.") from error
        except RuntimeError as error:
            if "timeout" not in str(error):
                raise
            raise OCRTimeout(
                f"Tesseract took longer than {self.timeout:g} s for one page.",
                hint="Try again, give a smaller picture or raise the engine's timeout.",
            ) from error
        return result


def tesseract_installed() -> bool:
    """Whether both the binary and pytesseract are there."""
    try:
        _binary()
    except OCRNotInstalled:
        return False
    return True


def _check_languages(languages: Sequence[str], binary: str) -> None:
    """OCRLanguageMissing, which names what is installed."""
    missing = set(languages) - _languages(binary)
    if missing:
        _languages.cache_clear()  # it may have been installed meanwhile
        missing = set(languages) - _languages(binary)
    if missing or not languages:
        known = ", ".join(sorted(_languages(binary) - {"osd"}))
        raise OCRLanguageMissing(
            f"Tesseract has no data for {', '.join(map(repr, sorted(missing))) or 'no language at all'}.",
            hint=f"Installed: {known}. "
            "Another is a package such as tesseract-ocr-jpn, or a file in its tessdata folder.",
        )


def _surest(words: Iterable[Word]) -> list[Word]:
    """Of words in the same place, the one with the most sure letters."""
    kept: list[Word] = []
    ranked = sorted(words, key=lambda w: (-(w.confidence or 0.0) * len(w.text), w.box, w.text))
    rows: dict[int, list[Word]] = {}  # kept words by the hundredths of the page that they stand on
    for word in ranked:
        bands = range(int(word.box.y0 // 10), int(word.box.y1 // 10) + 1)
        rivals = {id(other): other for band in bands for other in rows.get(band, ())}.values()
        if all(word.box.intersection(r.box) <= _SAME_PLACE * min(word.box.area, r.box.area) for r in rivals):
            kept.append(word)
            for band in bands:
                rows.setdefault(band, []).append(word)
    return kept


def _binary() -> str:
    try:
        import pytesseract
    except ImportError as error:
        raise OCRNotInstalled("The package pytesseract is not installed.", hint=INSTALL_HINT) from error
    found: str | None = shutil.which(pytesseract.pytesseract.tesseract_cmd)
    if found is None:
        raise OCRNotInstalled("Tesseract is not installed.", hint=INSTALL_HINT)
    return found


@cache
def _version(binary: str) -> str:
    import pytesseract

    return str(pytesseract.get_tesseract_version())


@cache
def _languages(binary: str) -> frozenset[str]:
    import pytesseract

    return frozenset(pytesseract.get_languages())


def _on_white(image: Image) -> Image:
    """Without transparency, over white."""
    if "A" not in image.getbands():
        return image
    from PIL import Image as pillow

    paper = pillow.new("RGBA", image.size, "white")
    return pillow.alpha_composite(paper, image.convert("RGBA"))
