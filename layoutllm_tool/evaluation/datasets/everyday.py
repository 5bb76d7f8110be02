"""Questions as people ask them: documents of everyday life, and printed keys asked for in many wordings.

The folder holds ``questions.jsonl`` beside its documents. A row is one question, or a key with its
``wordings``: each of these is asked as written, in lower case and in capitals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.evaluation.datasets.files import read_lines
from layoutllm_tool.evaluation.results import Question, ScoredAnswer
from layoutllm_tool.evaluation.run import Item

FILE = "questions.jsonl"
CASES = (str, str.lower, str.upper)
"""As written, lower case, capitals."""


def items(data: Path) -> list[Item]:
    """The documents in order of first appearance. DocumentNotFound, DocumentUnreadable."""
    asked: dict[str, list[Question]] = {}
    for row in read_lines(data / FILE):
        asked.setdefault(row["document"], []).extend(_questions(row))
    return [Item(data / name, tuple(questions)) for name, questions in asked.items()]


def _questions(row: dict[str, Any]) -> Iterator[Question]:
    golds, boxes = tuple(row["answers"]), (Box(*row["box"]),) if row.get("box") else ()
    if "wordings" not in row:
        yield Question(row["document"], row["kind"], row["question"], golds, boxes)
        return
    for number, wording in enumerate(row["wordings"], start=1):
        for case in CASES:
            name = f"{row['document']} {row['key']}"
            yield Question(name, f"wording {number}", case(wording), golds, boxes)


def changed_by_case(answers: Sequence[ScoredAnswer]) -> tuple[int, int]:
    """(keys with a wording whose answer changes with its capitals, all keys)."""
    answers_of: dict[str, dict[str, set[str | None]]] = defaultdict(lambda: defaultdict(set))
    for one in answers:
        answers_of[one.document][one.question.casefold()].add(one.answer)
    return sum(any(len(texts) > 1 for texts in key.values()) for key in answers_of.values()), len(answers_of)
