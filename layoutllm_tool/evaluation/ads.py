"""Political-ad order forms (DeepForm's labels): PDFs of one to six pages, five fields asked for in the form of the receipts.

The folder holds ``labels.jsonl`` and ``pdf/``. Labels are values without a place; the whole document is asked. No training of the
shipped weights has read them: they stand for a kind of document that is new (``flywheel``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from layoutllm_tool.errors import DocumentNotFound, DocumentUnreadable
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.rows import Question

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


def labels(data: Path) -> list[Label]:
    """Every document's row. DocumentNotFound, DocumentUnreadable."""
    path = data / "labels.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError as error:
        raise DocumentNotFound(f"the ads lack {path}.", hint="Give the folder of labels.jsonl and pdf.") from error
    except ValueError as error:
        raise DocumentUnreadable(f"{path} holds no JSON rows: {error}.") from error
    return sorted(rows, key=lambda row: str(row["file"]))


def split(rows: Sequence[Label], held: int, *, seed: int = 0) -> tuple[list[Label], list[Label]]:
    """(pool, held out): by a hash of the file's name, so that neither depends on the order or on the other documents."""

    def place(row: Label) -> str:
        return hashlib.sha256(f"ads/{seed}/{row['file']}".encode()).hexdigest()

    order = sorted(rows, key=place)
    return order[held:], order[:held]


def values(row: Label) -> dict[str, str]:
    """What is labelled, by our names of the fields."""
    return {name: str(row[label]) for label, name in FIELDS.items() if row.get(label)}


def path(data: Path, row: Label) -> Path:
    return data / "pdf" / str(row["file"])


def items(data: Path, *, limit: int | None = None, seed: int = 0, rows: Iterable[Label] | None = None) -> list[Item]:
    """Each document with its labelled fields; at most ``limit`` questions, of documents drawn by the seed."""
    chosen = list(labels(data) if rows is None else rows)
    if limit is not None:
        Random(f"ads/{seed}").shuffle(chosen)
    found, asked = [], 0
    for row in chosen:
        questions = [Question(f"ads/{row['file']}", n, FORM.format(n), gold(v)) for n, v in values(row).items()]
        kept = tuple(questions if limit is None else questions[: max(limit - asked, 0)])
        asked += len(kept)
        if kept:
            found.append(Item(path(data, row), kept))
    return found


def gold(value: str) -> tuple[str, ...]:
    """An amount is right with and without its sign."""
    bare = value.removeprefix("$").strip()
    return (value,) if bare == value or not bare else (value, bare)
