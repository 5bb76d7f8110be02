"""What may answer a question on a page: the values of printed keys, cells, spans of the expected type, the
model's own, "none".

Printed keys come from four sources: the text the question quotes, the key the language model writes, the
question's own words, and the segments nearest in meaning (sentence encoder). Which option is right is *not*
decided here: see ``fusion_head``.
"""

from __future__ import annotations

import re

from layoutllm_tool.documents.marks import complete, is_mark
from layoutllm_tool.documents.page_layout import PageLayout, Run
from layoutllm_tool.documents.search import key_of, letters
from layoutllm_tool.model import option_sources as sources
from layoutllm_tool.model.options import (
    QUOTED,
    SOURCES,
    Asked,
    Found,
    Option,
    Outcome,
    merge,
    option_of,
    own_words,
    unquoted,
)
from layoutllm_tool.model.page_index import PageIndex, text_of
from layoutllm_tool.model.pair_head import PairHead

MOST = 36
"""Options of a question that are weighed."""
CURRENCY_GAP = 1.5
"""Widest gap between a currency and its amount, in heights."""
_PLACE = re.compile(
    r"\b(?:at|in|on|to)\s+the\s+((?:(?:top|bottom|left|right)\b[\s-]*)+)"
    r"|\b(first|second|third|last)\b(?!\s+name)",
    re.IGNORECASE,
)
CURRENCY = re.compile(
    r"(?:RM|MYR|USD|EUR|GBP|CHF|SGD|HKD|AUD|CAD|INR|Rs|Rp|Fr|kr|[$€£¥₹])\.?:?", re.IGNORECASE
)


def candidates_of(index: PageIndex, asked: Asked, outcome: Outcome | None, head: PairHead) -> list[Option]:
    """Possible answers without repetition; "none" is the first."""
    found: Found = {}
    key = outcome.key if outcome else ""
    for source, text in zip(SOURCES, (asked.quoted, key, key_of(unquoted(asked.text))), strict=True):
        if letters(text):
            matches, scored = index.look_up(text, head)
            sources.add_values(
                found, source, scored, max((match.score for match in matches), default=0.0), len(matches)
            )
    sources.add_nearest(found, index, asked, head)
    sources.add_cells(found, index, asked)
    sources.add_rows(found, index, asked)
    sources.add_spans(found, index, asked)
    sources.add_blocks(found, index)
    sources.add_marked(found, index)
    if outcome is not None and (own := own_words(index, outcome)):
        option_of(found, own).evidence["model_same"] = 1.0
        sources.add_grown(found, index, own)
    sources.add_cut(found)
    found = _at_place(_with_currencies(found, index.layout), asked.text)
    kept = _ticked(found, index)
    if kept is None:
        return [Option((), evidence={"none": 1.0})]
    found = kept
    likely = sorted(found.values(), key=lambda option: -_promise(option.evidence))[:MOST]
    return [Option((), evidence={"none": 1.0}), *likely]


def _promise(evidence: dict[str, float]) -> float:
    """What an option's sources say, roughly: which are worth weighing."""
    known = max(evidence.get(f"{source}_p", 0.0) * evidence.get(f"{source}_match", 0.0) for source in SOURCES)
    meant = evidence.get("meaning_p", 0.0) * evidence.get("meaning", 0.0)
    cell, said = (
        0.3 * evidence.get("cell_worth", 0.0),
        0.6 * evidence.get("near", 0.0) + 0.3 * evidence.get("fits", 0.0),
    )
    ends = 0.25 * max(
        evidence.get("block", 0.0), evidence.get("marked", 0.0), 2.0 * evidence.get("grown", 0.0)
    )
    cell += 0.4 * evidence.get("row", 0.0)
    return known + meant + cell + said + ends + 9.0 * evidence.get("model_same", 0.0)


def _at_place(found: Found, question: str) -> Found:
    """Of a key that is printed several times the one at the place that the question says: "at the bottom",
    "the second".
    """
    words = " ".join(map("".join, _PLACE.findall(QUOTED.sub(" ", question)))).casefold().split()
    if not words:
        return found
    keys: dict[str, set[Run]] = {}
    for option in found.values():
        if option.key:
            keys.setdefault(letters(text_of(option.key)), set()).add(option.key)
    others: set[Run] = set()
    for runs in keys.values():
        kept = sorted(runs, key=lambda run: (run[0].y0, run[0].x0))
        for word in words:
            kept = _placed(kept, word)
        others |= runs - set(kept)
    return {ids: option for ids, option in found.items() if option.key not in others}


def _placed(runs: list[Run], word: str) -> list[Run]:
    """Those of one text, from top to bottom, that a spatial word leaves; all where it says nothing of
    them.
    """
    if len(runs) < 2:
        return runs
    match word:
        case "top" | "first":
            return runs[:1]
        case "bottom" | "last":
            return runs[-1:]
        case "second" | "third":
            return runs[1:2] if word == "second" else runs[2:3] or runs
        case "left" | "right":
            return [(min if word == "left" else max)(runs, key=lambda run: run[0].x0)]
        case _:
            return runs


def _ticked(found: Found, index: PageIndex) -> Found | None:
    """Where an answer would be a list of choices, or one of them, the ticked one is it. None where the
    likeliest is a list of which none is ticked.
    """
    group_of = {word.id: group for group in index.choices for choice in group for word in choice.label}
    if not group_of:
        return found
    likeliest = max(
        found.values(), key=lambda option: _promise(option.evidence | {"model_same": 0.0}), default=None
    )
    kept: Found = {}
    for ids, option in found.items():
        group = next((group_of[word.id] for word in option.words if word.id in group_of), None)
        if group is None or any(w.id not in group_of and not is_mark(w.text) for w in option.words):
            kept[ids] = option
            continue
        label = next((choice.label for choice in group if choice.ticked), None)
        if label is None:
            if not complete(group, index.layout):
                kept[ids] = option
            elif option is likeliest:
                return None
            continue
        same = kept.setdefault(frozenset(word.id for word in label), option)
        if same is option:
            option.words = label
            option.evidence["marked"] = 1.0
        else:
            merge(same, option)
    return kept


def with_currency(layout: PageLayout, words: Run) -> Run:
    """An amount with the currency that is printed before it."""
    if not words:
        return ()
    before = layout.by_id.get((words[0].id[0], words[0].id[1] - 1))
    if before is None or not words[0].text[:1].isdigit() or not CURRENCY.fullmatch(before.text):
        return words
    return (before, *words) if words[0].x0 - before.x1 < CURRENCY_GAP * before.height else words


def _with_currencies(found: Found, layout: PageLayout) -> Found:
    """Every amount with its currency; of options that become the same, the evidence of all counts."""
    made: Found = {}
    for option in found.values():
        option.words = with_currency(layout, option.words)
        same = made.setdefault(option.ids, option)
        if same is not option:
            merge(same, option)
    return made
