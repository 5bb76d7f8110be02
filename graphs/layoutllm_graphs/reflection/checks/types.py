"""Whether the answer is of the right kind: type, allowed choices, labels taken for values, the key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice

from layoutllm_graphs.reflection.checks.context import (
    CheckInput,
    at_place,
    fits,
    is_label,
    labelled,
    leads,
    overlaps,
    same_words,
    shown,
)
from layoutllm_graphs.reflection.types import Finding
from layoutllm_tool.cot import Correction, ExpectedType
from layoutllm_tool.documents.dates import days
from layoutllm_tool.documents.key_places import places
from layoutllm_tool.documents.search import plain
from layoutllm_tool.documents.spatial import contains, holder
from layoutllm_tool.documents.values import money, spans_of

_QUOTED = re.compile(
    r"""["\u201c\u201d\u201e\u00ab`]([^"\u201c\u201d\u201e\u00ab\u00bb`]{1,80})["\u201c\u201d\u00bb`]"""
    r"""|(?<!\w)['\u2018]([^'\u2018\u2019]{1,80})['\u2019](?!\w)"""
)
_ENOUGH_AMOUNTS = 3
"""On the pages, to say how they are written."""
_LOOKS_DATED = re.compile(
    r"(?i)(?<![0-9])(?:19|20)[0-9]{2}(?![0-9])|[0-9] ?[-/] ?[0-9]"
    r"|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
)


def check_type(given: CheckInput) -> Iterator[Finding]:
    """Each value must look like the expected type. What nearly does is marked, never corrected."""
    expected = given.question.type
    bare = _bare_amounts(given) if expected == "money" else ()
    strange = tuple(value for value in given.values if value in bare or not _suits(expected, value))
    if not strange:
        return
    reason = f"{shown(strange[0])} does not look like a {expected}."
    if all(_nearly(expected, value) and value not in bare for value in strange):
        yield Finding("type", "answer", reason, weight=0.3)
    elif _in_area(given, lambda line: bool(spans_of(expected, line)), strange):
        correction = Correction(step="answer", expected_type=expected)
        yield Finding("type", "answer", f"{reason} The area holds one.", correction, weight=0.8)
    else:
        yield _elsewhere(given, "type", reason, 0.45)


def _suits(expected: ExpectedType, value: str) -> bool:
    dated = expected == "money" and spans_of("date", value) and days(value)
    return fits(expected, value) and not dated


def _bare_amounts(given: CheckInput) -> tuple[str, ...]:
    """Values without decimals or a currency, on pages whose amounts have them: a "5" among "4.50"."""
    bare = tuple(value for value in given.values if not any(money(value)))
    if not bare:
        return ()
    written = (found for line in given.line_texts() for found in money(line))
    return bare if len(list(islice(written, _ENOUGH_AMOUNTS))) == _ENOUGH_AMOUNTS else ()


def _nearly(expected: ExpectedType, value: str) -> bool:
    """Formats are endless: a year is nearly a date, any digit nearly a number."""
    digits = sum(character.isdigit() for character in value)
    match expected:
        case "date":
            return digits > 0 and bool(_LOOKS_DATED.search(value))
        case "money":
            return digits > 0 and not days(value)
        case "phone":
            return digits >= 5
        case "email":
            return "@" in value
        case "name":
            return any(character.isalpha() for character in value)
        case _:
            return digits > 0


def _in_area(given: CheckInput, says: Callable[[str], bool], wrong: tuple[str, ...]) -> bool:
    """Whether a line of the area says what is wanted, the wrong values taken out of it."""
    pages = {page.number: page for page in given.pages}
    for number, line in given.area:
        text = (pages[number].lines or ())[line].text
        for value in wrong:
            text = text.replace(value, " ")
        if says(text):
            return True
    return False


def _elsewhere(given: CheckInput, check: str, reason: str, without: float) -> Finding:
    """With the boxes of a fitting value beside the key, or as a mark of the weight ``without``."""
    other = given.others_beside_key
    if not other:
        return Finding(check, "answer", reason, weight=without)
    place, question = other[0], given.question
    clear = labelled(place, given.key) and (bool(question.choices) or leads(question.type, place.text))
    reason = f"{reason} {shown(place.text)} beside the key does."
    return Finding(check, "area", reason, at_place(place), weight=0.6 if clear else 0.45)


def check_choices(given: CheckInput) -> Iterator[Finding]:
    """Each value must be one of the plan's choices, whatever the case and punctuation."""
    allowed = given.question.choices
    strange = tuple(v for v in given.values if allowed and not any(same_words(v, c) for c in allowed))
    if not strange:
        return
    reason = f"{shown(strange[0])} is none of the values allowed."
    if all(any(contains(value, c) or contains(c, value) for c in allowed) for value in strange):
        yield Finding("choices", "answer", f"{reason} It is near one.", weight=0.3)
    elif _in_area(given, lambda line: any(contains(line, choice) for choice in allowed), strange):
        correction = Correction(step="answer", wrong=strange)
        yield Finding("choices", "answer", f"{reason} The area holds one.", correction, weight=0.8)
    else:
        yield _elsewhere(given, "choices", reason, 0.6)


def check_label(given: CheckInput) -> Iterator[Finding]:
    """The answer is the key itself or another label of the page, not a value."""
    answer, analysis = given.cot.answer, given.cot.analysis
    if answer is None or given.question.is_list:
        return
    its_key = same_words(answer, analysis.key)
    if not its_key and not _label_of_page(given, answer):
        return
    reason = f"{shown(answer)} is {'the key' if its_key else 'a label'}, not a value."
    if analysis.kind not in ("key-value", "table"):  # a title is often its own key
        yield Finding("label", "answer", reason, weight=0.3)
    elif (field := quoted_field(given)) and not same_words(field, analysis.key):
        yield Finding("label", "analysis", reason, Correction(step="analysis", text=field), weight=0.8)
    elif other := given.others_beside_key:
        yield Finding("label", "area", f"{reason} {shown(other[0].text)} is.", at_place(other[0]), weight=0.7)
    else:
        yield Finding("label", "answer", reason, Correction(step="answer", wrong=(answer,)), weight=0.5)


def _label_of_page(given: CheckInput, answer: str) -> bool:
    lines = given.line_texts()
    return is_label(answer) or any(is_label(line) and same_words(line, answer) for line in lines)


def check_key(given: CheckInput) -> Iterator[Finding]:
    """Step 1 looks for something that has no word in common with the field that the question quotes."""
    field, looked_for = quoted_field(given), given.cot.analysis.key
    if not field or _terms(field) & _terms(looked_for):
        return
    found = [place for page in given.pages for place in places(page, field) if place.share == 1.0]
    there = any(contains(line.text, field) for page in given.pages for line in page.lines or ())
    mine = given.words
    harmless = any(overlaps(mine, place) for place in found)
    reason = f"The question asks for {shown(field)}, step 1 looks for {shown(looked_for)}."
    correction = Correction(step="analysis", text=field)
    yield Finding("key", "analysis", reason, correction, weight=0.2 if harmless else 0.9 if there else 0.3)


def quoted_field(given: CheckInput) -> str:
    """The first field name that the question quotes and a page has, else the first it quotes, else ""."""
    found: list[str] = [a or b for a, b in _QUOTED.findall(given.asked)]
    found = [text.strip() for text in found if plain(text)]
    holds = holder(given.line_texts())
    there = (text for text in found if holds(text))
    return next(there, (found or [""])[0])


def _terms(text: str) -> set[str]:
    return {term for word in re.findall(r"\w+", text) if (term := plain(word))}
