"""Line items of receipts against labels made by hand: ``layoutllm eval line-items``. No language model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.evaluation.datasets.sroie import image
from layoutllm_tool.evaluation.records import RecordScores, compare_rows
from layoutllm_tool.extraction.meaning import similarity
from layoutllm_tool.extraction.row_cells import Array, Record
from layoutllm_tool.extraction.rows import Wanted
from layoutllm_tool.extraction.schema import Leaf
from layoutllm_tool.extraction.tables import rows_of
from layoutllm_tool.extraction.typed import Convention, typed
from layoutllm_tool.protocols import Reader
from layoutllm_tool.training.receipts import dataset_page

_COLUMNS = {
    "name": Wanted(("name",), required=True),
    "quantity": Wanted(("quantity",), "number"),
    "unit_price": Wanted(("unit price",), "money"),
    "price": Wanted(("price", "amount"), "money", required=True),
}
_ITEMS = Array("items", _COLUMNS, {})


def read_labels(file: Path) -> list[dict[str, Any]]:
    """{"receipt": number, "items": [{"name", "quantity", "unit_price", "price", "accepted"}]} a line."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def score(labels: Sequence[Mapping[str, Any]], data: Path, reader: Reader | None) -> RecordScores:
    """With a reader pictures are read; without, the data set's lines are taken."""
    scores = RecordScores()
    for label in labels:
        number = int(label["receipt"])
        page = reader.load(image(data, number)).pages[0] if reader else dataset_page(data, number)
        document = Document(label["receipt"], "", (page,))
        _, rows = rows_of(document, "", _ITEMS, similarity)
        convention = Convention.of(document.pages)
        given = [_item(row, convention) for row in rows]
        expected = [{name: item[name] for name in _COLUMNS} for item in label["items"]]
        accepted = {
            f"/{i}/{name}": values
            for i, item in enumerate(label["items"]) for name, values in item.get("accepted", {}).items()
        }  # fmt: skip
        task = {"id": label["receipt"], "accepted": accepted}
        compare_rows(scores, task, "", expected, given, {})
    return scores


def _item(row: Record, page: Convention) -> dict[str, Any]:
    return {
        name: typed(
            Leaf((name,), "string" if name == "name" else "number"), (row[name] or {}).get("text"), page
        ).value
        for name in _COLUMNS
    }
