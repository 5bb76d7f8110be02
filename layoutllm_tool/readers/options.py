"""How documents are opened and read: one object for the tool, the commands and the MCP server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from layoutllm_tool.errors import OCRLanguageMissing, RequestError

if TYPE_CHECKING:
    from layoutllm_tool.protocols import OCREngine
    from layoutllm_tool.readers.local import LayoutLLMReader

ENGINES = ("tesseract", "rapidocr")


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """RequestError for an engine that is not known, and for no page; OCRLanguageMissing for no language."""

    languages: tuple[str, ...] = ("eng",)
    """ISO 639-2 codes, or tesseract's."""
    ocr: str | None = None
    """One of ENGINES; None: rapidocr where it reads the languages."""
    password: str | None = field(default=None, repr=False)
    """Opens encrypted PDFs."""
    pages: tuple[int, ...] | None = None
    """Those that are opened, 1-based; None: all."""
    weights: Path | None = None
    """A folder of trained weights; None: the shipped ones."""

    def __post_init__(self) -> None:
        if self.ocr not in (None, *ENGINES):
            raise RequestError(f"there is no engine {self.ocr!r}.", hint=f"Engines: {', '.join(ENGINES)}.")
        if self.pages is not None and not (self.pages and all(number >= 1 for number in self.pages)):
            raise RequestError("pages names no page.", hint="They count from 1.")
        if not self.languages:
            raise OCRLanguageMissing("no language is given.", hint="For instance eng.")

    @property
    def reads_as_usual(self) -> bool:
        """Whether the process's shared reader will do."""
        return (self.languages, self.ocr, self.weights) == (("eng",), None, None)

    def engine(self) -> OCREngine | None:
        """None: the reader finds one."""
        from layoutllm_tool.ocr import RapidOCREngine, TesseractEngine

        return {None: None, "tesseract": TesseractEngine(), "rapidocr": RapidOCREngine()}[self.ocr]

    def reader(self) -> LayoutLLMReader:
        """One of its own. Loads nothing yet."""
        from layoutllm_tool.readers.local import LayoutLLMReader

        return LayoutLLMReader(self.weights, languages=self.languages, engine=self.engine())
