"""A page and a question in; the answer, its place on the page, three reasoning steps and a confidence out.

The names below are the public surface. Each is imported when it is first used: importing the package alone
brings in neither torch nor LangChain.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layoutllm_graphs.context import Context
    from layoutllm_tool.cot import Correction, LayoutCoT
    from layoutllm_tool.documents import Access, Limits, load_document
    from layoutllm_tool.documents.geometry import Box, Document, Line, Page, Word
    from layoutllm_tool.errors import LayoutLLMError
    from layoutllm_tool.protocols import OCREngine, Progress, Reader
    from layoutllm_tool.readers.local import LayoutLLMReader, default_reader
    from layoutllm_tool.readers.options import ReadingOptions
    from layoutllm_tool.tool import LayoutLLMTool

_HOMES = {
    "cot": ("Correction", "LayoutCoT"),
    "documents": ("Access", "Limits", "load_document"),
    "documents.geometry": ("Box", "Document", "Line", "Page", "Word"),
    "errors": ("LayoutLLMError",),
    "protocols": ("OCREngine", "Progress", "Reader"),
    "readers.local": ("LayoutLLMReader", "default_reader"),
    "readers.options": ("ReadingOptions",),
    "tool": ("LayoutLLMTool",),
}
_GRAPHS = {"layoutllm_graphs.context": ("Context",)}
"""Beside this package: imported when used, as the others, and by no module of it."""

__all__ = [
    "Access",
    "Box",
    "Context",
    "Correction",
    "Document",
    "LayoutCoT",
    "LayoutLLMError",
    "LayoutLLMReader",
    "LayoutLLMTool",
    "Limits",
    "Line",
    "OCREngine",
    "Page",
    "Progress",
    "Reader",
    "ReadingOptions",
    "Word",
    "default_reader",
    "load_document",
]


def __getattr__(name: str) -> Any:
    homes = {f"{__name__}.{home}": names for home, names in _HOMES.items()} | _GRAPHS
    home = next((home for home, names in homes.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
