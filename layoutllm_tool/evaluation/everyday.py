"""Questions as people ask them: documents of everyday life, and printed keys asked for in many wordings.

A set is a folder with ``questions.jsonl`` beside its documents. A row holds one question, or a key with its ``wordings``:
then each is asked as written, in lower case and in capitals.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.errors import DocumentNotFound, DocumentUnreadable
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.rows import Question, Row

FILE = "questions.jsonl"
CASES = (str, str.lower, str.upper)
"""As written, lower case, capitals."""


def items(folder: Path) -> list[Item]:
    """The documents in order of first appearance. DocumentNotFound, DocumentUnreadable."""
    asked: dict[str, list[Question]] = {}
    for row in _rows(folder / FILE):
        asked.setdefault(row["document"], []).extend(_questions(row))
    return [Item(folder / name, tuple(questions)) for name, questions in asked.items()]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
    except FileNotFoundError as error:
        raise DocumentNotFound(f"there is no file {str(path)!r}.", hint="Name a set's folder with --data.") from error
    except ValueError as error:
        raise DocumentUnreadable(f"{str(path)!r} holds no rows: {error}.", hint="One JSON object a line.") from error


def _questions(row: dict[str, Any]) -> Iterator[Question]:
    golds, boxes = tuple(row["answers"]), (Box(*row["box"]),) if row.get("box") else ()
    if "wordings" not in row:
        yield Question(row["document"], row["kind"], row["question"], golds, boxes)
        return
    for number, wording in enumerate(row["wordings"], start=1):
        for case in CASES:
            yield Question(f"{row['document']} {row['key']}", f"wording {number}", case(wording), golds, boxes)


def changed_by_case(rows: Sequence[Row]) -> tuple[int, int]:
    """How many keys have a wording whose answer changes with its capitals, and how many keys there are."""
    said: dict[str, dict[str, set[str | None]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        said[row.document][row.question.casefold()].add(row.answer)
    return sum(any(len(answers) > 1 for answers in key.values()) for key in said.values()), len(said)
