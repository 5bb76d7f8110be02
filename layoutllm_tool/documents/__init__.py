"""Documents: what they are made of, and how they are loaded safely."""

from layoutllm_tool.documents.geometry import SCALE, Box, Document, Line, Page, Word
from layoutllm_tool.documents.loading import load_document
from layoutllm_tool.documents.safety import Access, Limits
from layoutllm_tool.documents.words import load_words

__all__ = [
    "SCALE",
    "Access",
    "Box",
    "Document",
    "Limits",
    "Line",
    "Page",
    "Word",
    "load_document",
    "load_words",
]
