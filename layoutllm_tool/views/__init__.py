"""Other ways to look at a page, for when a first answer is doubtful: enlarged and read again, as columns, as an area alone."""

from layoutllm_tool.views.columns import addends, cells_under, column, table
from layoutllm_tool.views.compare import Comparison, agree, compare
from layoutllm_tool.views.crop import CropReader
from layoutllm_tool.views.reread import alternatives, reread

__all__ = [
    "Comparison",
    "CropReader",
    "addends",
    "agree",
    "alternatives",
    "cells_under",
    "column",
    "compare",
    "reread",
    "table",
]
