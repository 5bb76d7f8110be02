"""Text recognition: a page's picture -> words with boxes, lines in reading order."""

from layoutllm_tool.ocr.cache import ReadingCache
from layoutllm_tool.ocr.rapid import RapidOCREngine
from layoutllm_tool.ocr.recognise import check_languages, default_engine, recognise_page
from layoutllm_tool.ocr.tesseract import TesseractEngine

__all__ = [
    "RapidOCREngine",
    "ReadingCache",
    "TesseractEngine",
    "check_languages",
    "default_engine",
    "recognise_page",
]
