"""The label by which a page prints a schema's field, whatever the language. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.page_layout import PageLayout
from layoutllm_tool.documents.search import Match, find
from layoutllm_tool.extraction.rows import normal

_OTHERS = frozenset(("customer", "recipient", "buyer", "client", "purchaser", "consignee", "debtor"))
"""Parties whose numbers are seldom printed: a label that stands once is mostly the sender's."""
_TOO_PLAIN = frozenset(["number", "date", "amount", "total", "balance", "period", "unit", "name"])
"""Names that say too little within an object."""


def printed_label(document: Document, path: Sequence[str]) -> str | None:
    """As printed: the longest label of the field that the pages have, if they have it once; else None."""
    if len(path) > 1 and normal(path[0]) in _OTHERS:
        return None
    names = [normal(" ".join(path)), *([normal(path[-1])] if normal(path[-1]) not in _TOO_PLAIN else [])]
    labels = next((_labels()[name] for name in names if name in _labels()), ())
    layouts = [PageLayout(page) for page in document.pages]
    for label in labels:
        found = [m.words for layout in layouts for m in find(layout, label) if _is_label(layout, m)]
        if len(found) == 1:
            return " ".join(word.text for word in found[0]).strip(" :.")
        if found:
            return None
    return None


def _is_label(layout: PageLayout, match: Match) -> bool:
    """Exact, and not the end of more words: "Reg No" in "VAT Reg No"."""
    before = layout.before(match.words[0])
    gap = match.words[0].x0 - before.x1 if before else layout.height
    return match.score == 1.0 and (gap > 0.8 * layout.height or not before or not before.text[-1].isalnum())


@cache
def _labels() -> Mapping[str, Sequence[str]]:
    """Labels by a field's name, the longest first."""
    data = tomllib.loads((files(__package__) / "labels.toml").read_text(encoding="utf-8"))
    found: dict[str, Sequence[str]] = {}
    for entry in data.values():
        labels = sorted((one.strip() for one in entry["labels"].split(",")), key=len, reverse=True)
        found |= {normal(name): labels for name in entry["names"].split(",")}
    return found
