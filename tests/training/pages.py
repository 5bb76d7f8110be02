"""Pages made by hand, what the schema promises of every example, and which data sets are there."""

from __future__ import annotations

import pytest

from layoutllm_tool.documents.geometry import Box, Line, Page, Word
from layoutllm_tool.training.grounding import problem
from layoutllm_tool.training.schema import QA, Example
from tests.paths import DATA

RECEIPTS = DATA / "receipts"
TABLES = DATA / "tables"
needs_receipts = pytest.mark.skipif(
    not RECEIPTS.is_dir(), reason="the SROIE receipts are not beside the repository"
)
needs_tables = pytest.mark.skipif(not TABLES.is_dir(), reason="the tables are not beside the repository")


def page(*rows: str) -> Page:
    """Rows of lines; " | " sets lines of one row apart."""
    lines = []
    for n, row in enumerate(rows):
        parts = row.split(" | ")
        for m, part in enumerate(parts):
            words, x = [], 40 + m * 900 / len(parts)
            for text in part.split(" "):
                words.append(Word(text, Box(x, 20 + n * 30, x + 10 * len(text), 40 + n * 30)))
                x += 10 * len(text) + 8
            lines.append(Line(tuple(words)))
    return Page(1, 600, 900, tuple(lines))


def check(example: Example) -> None:
    """What the schema promises of questions with a LayoutCoT."""
    for qa in example.questions:
        assert isinstance(qa, QA) and problem(qa, example.page) == ""
        assert list(qa.words) == sorted(qa.words)
        if qa.answer is None:
            assert qa.formation.relation == "none"
        else:
            assert qa.words or qa.analysis.operation == "reasoning"
            assert qa.answer == qa.answer.strip()
