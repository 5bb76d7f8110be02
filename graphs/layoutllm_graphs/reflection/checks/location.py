"""Whether the answer stands in the right place: spatial words, repeated keys, a reading by geometry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from layoutllm_graphs.reflection.checks.context import (
    CheckInput,
    at_place,
    labelled,
    leads,
    overlaps,
    same_words,
    shown,
)
from layoutllm_graphs.reflection.checks.grounding import SURE
from layoutllm_graphs.reflection.types import Finding
from layoutllm_tool.cot import Correction
from layoutllm_tool.documents import search
from layoutllm_tool.documents.key_places import Found, places
from layoutllm_tool.documents.search import plain
from layoutllm_tool.documents.spatial import SPATIAL_WORDS, contains, holder, lines_at, spatial_words

_TYPED = ("date", "money", "number", "email", "phone")
"""Types that a page's words seldom fit by chance."""
_REGIONS = {"top", "bottom", "left", "right", "center"}


def check_spatial(given: CheckInput) -> Iterator[Finding]:
    """The answer stands outside what the question's spatial words point at; the key occurs there too."""
    page, words = given.page, where_asked(given)
    if page is None or not words or given.question.is_list:
        return
    key = given.key
    allowed = lines_at(page, words, key)
    mine = {line for spot in given.spots for number, line in spot.lines if number == page.number}
    if not allowed or not mine or mine & allowed:
        return
    keys = [i for i, line in enumerate(page.lines or ()) if contains(line.text, key)]
    there = [
        place for place in given.beside_key if place.page.number == page.number and place.line in allowed
    ]
    occurs = f"{shown(key)} occurs {len(keys)} times."
    reason = f"The question says {shown(words)}, the answer stands elsewhere; {occurs}"
    # The reader counts occurrences of step 1's own key: "second" says nothing where the page lacks it.
    counts = key == given.cot.analysis.key or not there or set(words.split()) <= _REGIONS
    correction = Correction(step="area", page=page.number, spatial=words) if counts else at_place(there[0])
    yield Finding("spatial", "area", reason, correction, weight=0.9 if len(keys) > 1 and there else 0.3)


def where_asked(given: CheckInput) -> str:
    """The question's spatial words, in order, without those of a label of the page ("last name")."""
    text = given.asked
    words = re.findall(r"[\w'-]+", text.lower())
    if not set(words) & set(SPATIAL_WORDS):
        return ""
    holds = holder(given.line_texts())
    spatial = [i for i, word in enumerate(words) if word in SPATIAL_WORDS]
    kept = [words[i] for i in spatial if not _is_named(given, words, i, holds)]
    return " ".join(kept) if kept and spatial_words(text) else ""


def _is_named(given: CheckInput, words: list[str], at: int, holds: Callable[[str], list[int]]) -> bool:
    around = [(words[i], words[i + 1]) for i in (at - 1, at) if 0 <= i < len(words) - 1]
    others = set(SPATIAL_WORDS) - {words[at]}
    pairs = [" ".join(pair) for pair in around if others.isdisjoint(pair)]
    telling = [pair for pair in pairs if search.key_of(pair) == pair]
    key = given.cot.analysis.key
    return bool(contains(key, words[at]) and holds(key)) or any(holds(pair) for pair in telling)


def check_ambiguity(given: CheckInput) -> Iterator[Finding]:
    """The key has different values in different places, and the question does not say which."""
    if given.cot.answer is None or given.question.is_list or where_asked(given):
        return
    first: dict[tuple[int, int], Found] = {}
    for place in given.beside_key:
        first.setdefault((place.page.number, place.key_line), place)
    texts = {plain(place.text): place.text for place in first.values()}
    if len(texts) > 1:
        few = ", ".join(shown(text) for text in list(texts.values())[:3])
        reason = f"{shown(given.key)} stands in {len(first)} places, beside {few}."
        yield Finding("ambiguity", "area", reason, weight=0.2)


def check_agreement(given: CheckInput) -> Iterator[Finding]:
    """A reading by coordinates alone, the value beside the key, has no word in common with the answer."""
    key = given.key
    found = given.beside_key
    if given.cot.answer is None or given.question.is_list or not found or not given.spots:
        return
    mine = given.words
    if any(overlaps(mine, place) or same_words(place.text, given.cot.answer) for place in found):
        return
    best = next((place for place in found if labelled(place, key)), found[0])
    reason = f"{shown(best.text)} stands {best.relation} {shown(best.key)}."
    yield Finding("agreement", "area", reason, at_place(best), weight=_specific(given, best))


def _specific(given: CheckInput, best: Found) -> float:
    """Heaviest for one label on all pages, a value that seldom fits by chance, and an unsure reader."""
    key, expected = given.key, given.question.type
    named = [place for page in given.pages for place in places(page, key) if place.share == 1.0]
    if len({(place.page.number, place.key_line) for place in named}) > 1 or not labelled(best, key):
        return 0.2
    open_ = expected in ("text", "address")
    if best.relation == "below" if open_ else not leads(expected, best.text):
        return 0.2
    loud = expected in _TYPED and best.relation != "below" and given.cot.confidence < SURE
    return 0.55 if loud else 0.4
