"""Political-ad order forms with DeepForm's labels: PDFs of one to six pages, five fields asked for.

The folder holds ``labels.jsonl`` and ``pdf/``. A label is a value without a place; the whole document is
asked. The shipped weights have not read these documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from layoutllm_tool.evaluation.datasets.files import read_lines
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item

FIELDS = {
    "contract_num": "contract number",
    "advertiser": "advertiser",
    "gross_amount": "gross amount",
    "flight_from": "flight start date",
    "flight_to": "flight end date",
}
"""The labels' names and how they are asked for."""
FORM = 'What is the "{}" in the given document?'

Label = Mapping[str, Any]


def items(data: Path, *, rows: Iterable[Label] | None = None) -> list[Item]:
    """Each document (or those of ``rows``) with its labelled fields. DocumentNotFound, DocumentUnreadable."""
    chosen = labels(data) if rows is None else rows
    found = [Item(path(data, row), tuple(_questions(row))) for row in chosen]
    return [item for item in found if item.questions]


def _questions(row: Label) -> list[Question]:
    document = f"ads/{row['file']}"
    return [Question(document, name, FORM.format(name), gold(value)) for name, value in values(row).items()]


def labels(data: Path) -> list[Label]:
    """Every document's row, by file name. DocumentNotFound, DocumentUnreadable."""
    return sorted(read_lines(data / "labels.jsonl"), key=lambda row: str(row["file"]))


def values(row: Label) -> dict[str, str]:
    """The labelled values by the names of ``FIELDS``."""
    return {name: str(row[label]) for label, name in FIELDS.items() if row.get(label)}


def path(data: Path, row: Label) -> Path:
    return data / "pdf" / str(row["file"])


def gold(value: str) -> tuple[str, ...]:
    """An amount is right with and without its sign."""
    bare = value.removeprefix("$").strip()
    return (value,) if bare == value or not bare else (value, bare)
