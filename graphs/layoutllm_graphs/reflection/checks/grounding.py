"""Whether the page says the answer, whether a refusal is right, and how sure the reader is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from layoutllm_graphs.reflection.checks.context import (
    CheckInput,
    Copied,
    Spot,
    Written,
    at_place,
    labelled,
    look_at,
    shown,
)
from layoutllm_graphs.reflection.types import Finding
from layoutllm_tool.cot import Correction
from layoutllm_tool.documents.key_places import Found

DOUBTFUL = 0.5
"""Below this calibrated confidence an outcome is likelier wrong than right."""
SURE = 0.7
"""From here on the reader, which weighs the same places among much else, is likelier right than a rule."""


def check_grounding(given: CheckInput) -> Iterator[Finding]:
    """Each value of the answer must stand on a page, and in the area that step 2 named."""
    pages, values = given.pages, given.values
    if not values:
        return
    if not pages:
        yield Finding("grounding", "answer", "The pages have no words to look the answer up in.", weight=0.3)
        return
    written, copied = Written(pages), Copied(given)
    found = {value: written.spots(value) or copied.spots_of(value) for value in values}
    missing = tuple(value for value, where in found.items() if not where)
    formed = given.cot.analysis.operation == "reasoning"
    if missing and formed:
        reason = f"{_list(missing)} was formed: no page says it word for word."
        yield Finding("grounding", "answer", reason, weight=0.2)
    elif missing:
        correction = Correction(step="answer", wrong=missing)
        yield Finding("grounding", "answer", f"No page says {_list(missing)}.", correction)
    if not formed:
        yield from _outside_area(given, [where for where in found.values() if where])


def _outside_area(given: CheckInput, found: Iterable[Sequence[Spot]]) -> Iterator[Finding]:
    """A finding for the first value that stands on a page, but not in the area."""
    area = given.area
    spots = next((spots for spots in found if area and not any(s.lines & area for s in spots)), None)
    if spots is None:
        return
    count = f"{len(spots)} place{'s' * (len(spots) > 1)}"
    near = _next_to_key(given, spots)
    if near is None:
        reason = f"It stands in {count}, none in the area or beside the key."
        yield Finding("grounding", "area", reason, weight=0.4)
        return
    spot, place = near
    correction = look_at(spot.page, (place.key_line, *sorted(line for _, line in spot.lines)))
    reason = f"It stands in {count}, none in the area, but one beside {shown(place.key)}."
    yield Finding("grounding", "area", reason, correction, weight=0.6)


def _next_to_key(given: CheckInput, spots: Iterable[Spot]) -> tuple[Spot, Found] | None:
    """The first of the spots that stands beside the key, and the place there."""
    places = given.beside_key
    by_line = {(place.page.number, place.line): at for at, place in reversed(list(enumerate(places)))}
    for spot in spots:
        near = [by_line[at] for at in spot.lines if at in by_line]
        if near:
            return spot, places[min(near)]
    return None


def check_refusal(given: CheckInput) -> Iterator[Finding]:
    """The answer is "not in the document", but a value of the expected type stands beside the key."""
    if given.cot.answer is not None or not given.question.required:
        return
    key = given.key
    found = [place for place in given.beside_key if labelled(place, key)]
    in_row = [place for place in found if place.relation in ("inside", "right of")]
    if not found:
        yield Finding("refusal", "area", "An answer is required and none was found.", weight=0.4)
        return
    best = (in_row or found)[0]
    sure = SURE if given.question.type in ("text", "name", "address") else 0.9
    weight = 0.55 if in_row and given.cot.confidence < sure else 0.4
    reason = f"No answer, but {shown(best.text)} stands {best.relation} {shown(best.key)}."
    yield Finding("refusal", "area", reason, at_place(best), weight=weight)


def check_confidence(given: CheckInput, threshold: float = DOUBTFUL) -> Iterator[Finding]:
    """The calibrated confidence is under the threshold: an answer for a person to see. Corrects nothing.

    For another threshold put ``functools.partial(check_confidence, threshold=...)`` among the checks.
    """
    confidence = given.cot.confidence
    optional = given.cot.answer is None and not given.question.required
    if not optional and not confidence >= threshold:  # NaN is no confidence
        reason = f"The confidence is {confidence:.2f}, under {threshold:.2f}."
        yield Finding("confidence", "answer", reason, weight=0.6)


def _list(texts: Sequence[str]) -> str:
    few = ", ".join(shown(text) for text in texts[:3])
    return few if len(texts) <= 3 else f"{few} and {len(texts) - 3} more"
