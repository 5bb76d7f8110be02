"""LangGraph workflows around the tool. Torch never comes in here: models come by the graph's context.

The names below are imported when they are first used, as those of ``layoutllm_tool``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layoutllm_graphs.extract_tool import ExtractDocumentTool

_HOMES = {"ExtractDocumentTool": "extract_tool"}

__all__ = ["ExtractDocumentTool"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
