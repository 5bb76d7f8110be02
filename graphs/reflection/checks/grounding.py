"""Does the page say so, and how sure is the reader? Grounding of answers, wrong refusals, confidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphs.reflection.checks.context import (
    Copied,
    Spot,
    Written,
    area_lines,
    at_place,
    beside,
    key_of,
    labelled,
    look_at,
    read_pages,
    shown,
    values,
)
from graphs.reflection.types import CheckInput, Finding
from layoutllm_tool._lookup import Found
from layoutllm_tool.cot import Correction

DOUBTFUL = 0.5
"""Below this calibrated confidence an outcome is likelier wrong than right."""
SURE = 0.7
"""From here on the reader, which weighs the same places among much else, is likelier right than a rule."""


def check_grounding(given: CheckInput) -> Iterator[Finding]:
    """Each value of the answer must stand on a page, and in the area that step 2 named."""
    pages = read_pages(given)
    if not values(given):
        return
    if not pages:
        yield Finding("grounding", "answer", "The pages have no words to look the answer up in.", weight=0.3)
        return
    written, copied = Written(pages), Copied(given)
    found = {value: written.spots(value) or copied.spots_of(value) for value in values(given)}
    missing = tuple(value for value, where in found.items() if not where)
    if given.cot.analysis.operation == "reasoning":
        if missing:
            yield Finding(
                "grounding", "answer", f"{_list(missing)} was formed: no page says it word for word.", weight=0.2
            )
        return
    if missing:
        mend = Correction(step="answer", wrong=missing)
        yield Finding("grounding", "answer", f"No page says {_list(missing)}.", mend)
    yield from _outside(given, [where for where in found.values() if where])


def _outside(given: CheckInput, found: list[list[Spot]]) -> Iterator[Finding]:
    area = area_lines(given.cot, read_pages(given))
    for places in found:
        if area and not any(_touches(spot, area) for spot in places):
            near = _next_to_key(given, places)
            count = f"{len(places)} place{'s' * (len(places) > 1)}"
            if near is None:
                yield Finding(
                    "grounding", "area", f"It stands in {count}, none in the area or beside the key.", weight=0.4
                )
                return
            spot, place = near
            mend = look_at(spot.page, (place.key_line, *sorted(spot.lines)))
            reason = f"It stands in {count}, none in the area, but one beside {shown(place.key)}."
            yield Finding("grounding", "area", reason, mend, weight=0.6)
            return


def _touches(spot: Spot, area: set[tuple[int, int]]) -> bool:
    return any((spot.page.number, line) in area for line in spot.lines)


def _next_to_key(given: CheckInput, spots: Iterable[Spot]) -> tuple[Spot, Found] | None:
    """The first of the spots that stands beside the key, and the place there."""
    places = beside(given, key_of(given))
    by_line = {(place.page.number, place.line): at for at, place in reversed(list(enumerate(places)))}
    for spot in spots:
        near = [by_line[at] for line in spot.lines if (at := (spot.page.number, line)) in by_line]
        if near:
            return spot, places[min(near)]
    return None


def check_refusal(given: CheckInput) -> Iterator[Finding]:
    """ "Not in the document" where the page has the key with a value of the expected type beside it."""
    if given.cot.answer is not None or not given.question.required:
        return
    key = key_of(given)
    found = [place for place in beside(given, key) if labelled(place, key)]
    beside_it = [place for place in found if place.relation in ("inside", "right of")]
    if not found:
        yield Finding("refusal", "area", "An answer is required and none was found.", weight=0.4)
        return
    best = (beside_it or found)[0]
    strong = bool(beside_it) and given.cot.confidence < (
        SURE if given.question.type in ("text", "name", "address") else 0.9
    )
    reason = f"No answer, but {shown(best.text)} stands {best.relation} {shown(best.key)}."
    yield Finding("refusal", "area", reason, at_place(best), weight=0.55 if strong else 0.4)


def check_confidence(given: CheckInput, threshold: float = DOUBTFUL) -> Iterator[Finding]:
    """A calibrated confidence under the threshold: nothing to mend by itself, but an answer for a person to see.

    For another threshold put ``functools.partial(doubt, threshold=...)`` among the checks.
    """
    confidence = given.cot.confidence
    optional = given.cot.answer is None and not given.question.required
    if not optional and not confidence >= threshold:  # a confidence that is no number is no confidence
        reason = f"The confidence is {confidence:.2f}, under {threshold:.2f}."
        yield Finding("confidence", "answer", reason, weight=0.6)


def _list(texts: tuple[str, ...]) -> str:
    few = ", ".join(shown(text) for text in texts[:3])
    return few if len(texts) <= 3 else f"{few} and {len(texts) - 3} more"
