"""Reads the amounts of a sum that does not hold again, enlarged: one misread amount may explain it.

Nothing is computed into an answer: what comes back was read from the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from layoutllm_graphs.planning.plan import SEPARATOR, Constraint
from layoutllm_tool.cot import Evidence, LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.values import amount
from layoutllm_tool.ocr.reread import alternatives
from layoutllm_tool.protocols import OCREngine

MOST_PLACES = 16
"""Amounts that are read again for one sum, the least sure first: each costs a few tenths of a second."""


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    index: int
    """Among the answer's evidence."""
    value: Decimal
    sign: int
    """1 for what is added, -1 for the total."""


def reread_sum(
    constraint: Constraint,
    cots: Mapping[str, LayoutCoT],
    document: Document,
    *,
    engine: OCREngine | None = None,
) -> tuple[str, LayoutCoT] | None:
    """(name, the answer as read again) where exactly one other reading of one amount makes the sum hold; else
    None.

    Only what has evidence on a page with a picture can be read again. Blocks while text recognition works.
    """
    places = list(_places(constraint, cots))
    if constraint.kind != "sum" or {place.name for place in places} != set(constraint.names):
        return None
    missing = -sum((place.value * place.sign for place in places), Decimal())
    if not missing:
        return None
    unsure = sorted(places, key=lambda place: cots[place.name].confidence)[:MOST_PLACES]
    found = [
        (place, text)
        for place in unsure
        for text in _readings(cots[place.name].evidence[place.index], document, engine)
        if amount(text) == place.value + missing * place.sign
    ]
    if len({(place.name, place.index) for place, _ in found}) != 1:
        return None
    place, text = found[0]
    return place.name, _reread(cots[place.name], place.index, text)


def _places(constraint: Constraint, cots: Mapping[str, LayoutCoT]) -> Iterator[_Place]:
    for name in constraint.names:
        for index, evidence in enumerate(cots[name].evidence if name in cots else ()):
            if (value := amount(evidence.text)) is not None:
                yield _Place(name, index, value, -1 if name == constraint.total else 1)


def _readings(evidence: Evidence, document: Document, engine: OCREngine | None) -> tuple[str, ...]:
    """Ways to read the words; their own, which is known not to fit, among them."""
    return alternatives(document.page(evidence.page), evidence.words, engine=engine) if evidence.words else ()


def _reread(cot: LayoutCoT, index: int, text: str) -> LayoutCoT:
    """With that one value as it was read again, and a signal that says so."""
    evidence = tuple(replace(e, text=text) if i == index else e for i, e in enumerate(cot.evidence))
    answer = SEPARATOR.join(e.text for e in evidence)
    return replace(cot, answer=answer, evidence=evidence, signals={**cot.signals, "reread": 1.0})
