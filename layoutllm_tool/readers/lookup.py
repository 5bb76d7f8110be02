"""Looks a key up on the page, for ``testing.FakeReader``. Standard library only.

Takes the value after, beside or under the line that holds most of the question's words. No synonyms, no
spelling, no arithmetic, no tables. No baseline for the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from layoutllm_tool.cot import AnswerFormation, Area, Correction, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.key_places import ENOUGH, Found, all_words, places
from layoutllm_tool.documents.spatial import ORDINALS

_TYPES = {
    "date": r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2} \w{3,9} \d{4}",
    "money": r"[$€£¥]|\d[.,]\d{2}\b",
    "number": r"\d",
    "email": r"\S@[^\s@]+\.\S",
    "phone": r"(?:\d[\s()./-]*){6}",
    "name": r"[^\W\d]",
    "address": r"\A(?=.*[^\W\d])(?=.*\d)",
    "text": r"\w",
}


def look_up(
    pages: Sequence[Page], question: str, analysis: QuestionAnalysis, correction: Correction | None
) -> LayoutCoT:
    """The best permitted place as a LayoutCoT, or one whose answer is None."""
    everywhere = [found for page in pages for found in places(page, analysis.key)]
    everywhere.sort(key=lambda found: -found.share)  # stable: reading order among equals
    permitted = [found for found in everywhere if correction is None or _permits(correction, found)]
    if correction and correction.boxes:
        permitted = permitted or [found for page in pages for found in _inside(page, correction)]
    if not permitted:
        share = everywhere[0].share if everywhere else 0.0
        return LayoutCoT(
            question, analysis, (), AnswerFormation("none", ""), None, 1 - share / 2, (), {"key_share": share}
        )
    return as_cot(question, analysis, _chosen(permitted, correction))


def look_again(pages: Sequence[Page], previous: LayoutCoT, correction: Correction) -> LayoutCoT:
    """Step 3 alone: another answer from the areas of the previous attempt, which are kept."""
    kept = {(area.page, line) for area in previous.areas for line in area.lines}
    found = [place for page in pages for place in places(page, previous.analysis.key)]
    found += [word for page in pages for word in _single_words(page)]
    for place in found:
        if (place.page.number, place.line) in kept and _permits(correction, place):
            return replace(as_cot(previous.question, previous.analysis, place), areas=previous.areas)
    nothing = AnswerFormation("none", "")
    return LayoutCoT(previous.question, previous.analysis, previous.areas, nothing, None, 0.5)


def as_cot(question: str, analysis: QuestionAnalysis, found: Found) -> LayoutCoT:
    area = Area.of(found.page, tuple(dict.fromkeys((found.key_line, found.line))))
    evidence = Evidence.of(found.page, tuple((found.line, i) for i in found.words))
    formation = AnswerFormation(found.relation, found.key)
    signals = {"key_share": found.share}
    return LayoutCoT(question, analysis, (area,), formation, found.text, found.share, (evidence,), signals)


def _inside(page: Page, correction: Correction) -> Iterator[Found]:
    """The lines in the corrected boxes: a box may be drawn around the value itself."""
    for index in range(len(page.lines or ())):
        found = Found(page, index, index, all_words(page, index), "inside", "", ENOUGH)
        if _permits(correction, found):
            yield found


def _single_words(page: Page) -> Iterator[Found]:
    for index, line in enumerate(page.lines or ()):
        for i in range(len(line.words)):
            yield Found(page, index, index, (i,), "inside", "", ENOUGH)


def _permits(correction: Correction, found: Found) -> bool:
    if found.text in correction.wrong:
        return False
    if correction.expected_type and not re.search(_TYPES[correction.expected_type], found.text):
        return False
    here = correction.page is None or correction.page == found.page.number
    if correction.boxes and not (here and any(box.covers(found.box) for box in correction.boxes)):
        return False
    if here and any(box.covers(found.box) for box in correction.avoid):
        return False
    return all(_in_region(word, found) for word in correction.spatial.lower().split())


def _in_region(word: str, found: Found) -> bool:
    """Whether the place is where a spatial word says. Ordinals forbid no place."""
    x, y = found.box.center
    middle = 250 <= x <= 750 and 250 <= y <= 750
    by_word = {"top": y < 500, "bottom": y >= 500, "left": x < 500, "right": x >= 500, "center": middle}
    by_word |= {"above": y < 500, "below": found.relation == "below" or y >= 500}
    return by_word.get(word, True)


def _chosen(permitted: Sequence[Found], correction: Correction | None) -> Found:
    """The first of the best, or the one that an ordinal names among the best key lines."""
    best = [found for found in permitted if found.share == permitted[0].share]
    by_key = list({(found.page.number, found.key_line): found for found in reversed(best)}.values())[::-1]
    ordinals = [
        ORDINALS[w] for w in (correction.spatial.lower().split() if correction else ()) if w in ORDINALS
    ]
    wanted = ordinals[0] if ordinals else 0
    return by_key[wanted if wanted < len(by_key) else -1]
