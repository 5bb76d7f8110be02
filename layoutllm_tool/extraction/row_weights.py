"""Goods sold by weight among goods sold by the piece: which rows they are, and their weight. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.line_items import Row, Table
from layoutllm_tool.documents.table_cells import MARKED
from layoutllm_tool.extraction.rows import Match, Wanted, roles_of

YES_NO = ("yes", "no")
WEIGHED = re.compile(
    r"(?i)\b(?:by weight|weigh(?:ed|t)?|gewogen|gewicht|au poids|al peso|kilograms?|kilos?)\b"
)
"""What a schema says of goods sold by weight."""
_OF_WEIGHT = re.compile(r"(?i)(?:\d|/|\b)\s?(?:kg|kilo|100\s?g|lbs?)\b|\d[.,]\d{3}\b")


def is_weighed(document: Document, table: Table, row: Row) -> bool:
    """Whether its quantity or its unit price is by weight ("1.15/kg", "0.742")."""
    lines = document.page(row.page).lines or ()
    return any(
        kind in MARKED and _OF_WEIGHT.search(" ".join(lines[i].words[j].text for i, j in cell))
        for kind, cell in zip(table.kinds, row.cells, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Weights:
    """Columns wanted of a table with goods by weight, by what they say of the quantity."""

    table: Table
    counts: tuple[str, ...]
    weights: tuple[str, ...]
    signs: tuple[str, ...]
    """Whether it is a weight."""

    def cells(
        self,
        document: Document,
        row: Row,
        quantity: Mapping[str, Any] | None,
        first: Mapping[str, Any] | None,
    ) -> dict[str, dict[str, Any] | None]:
        """Of a row, as JSON. ``quantity`` is its cell, ``first`` any cell that says where the row is."""
        weighed = quantity is not None and is_weighed(document, self.table, row)
        instead = list(self.counts) if self.weights and weighed else []
        found: dict[str, dict[str, Any] | None] = dict.fromkeys(instead)
        for name in self.weights:
            found[name] = {**quantity, "instead": instead} if quantity and weighed else None
        if place := quantity or first:
            found |= {name: {**place, "text": "[x]" if weighed else "[ ]"} for name in self.signs}
        return found


def weights_of(document: Document, match: Match, columns: Mapping[str, Wanted]) -> Weights | None:
    """None where the schema does not tell weights from counts, or nothing in the table is weighed."""
    table, matched = match.table, dict(zip(columns, match.columns, strict=True))
    of_quantity = [name for name, j in matched.items() if j is not None and table.kinds[j] == "quantity"]
    free = [name for name, j in matched.items() if j is None or name in of_quantity]
    weights = [name for name in free if _is_weight(columns[name])]
    signs = [name for name in free if tuple(columns[name].choices) == YES_NO and _tells(columns[name])]
    if not (weights or signs) or not any(is_weighed(document, table, row) for row in table.rows):
        return None
    counts = (name for name in of_quantity if name not in weights)
    return Weights(table, tuple(counts), tuple(weights), tuple(signs))


def _is_weight(want: Wanted) -> bool:
    return want.type in ("number", "money") and "weight" in roles_of(want.words[0])


def _tells(want: Wanted) -> bool:
    return bool(WEIGHED.search(f"{want.words[0]} {want.description}"))
