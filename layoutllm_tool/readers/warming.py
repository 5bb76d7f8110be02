"""Load a reader's model before anybody waits for it, by a question about a page made up here."""

from __future__ import annotations

from layoutllm_tool.documents.geometry import Box, Document, Line, Page, Word

QUESTION = "What is the total?"
_WORDS = (Word("Total", Box(100, 100, 200, 120), 1.0), Word("12.50", Box(210, 100, 300, 120), 1.0))
SAMPLE = Document("warm-up", "0" * 64, (Page(1, 800, 1000, (Line(_WORDS),), text_source="given"),))
