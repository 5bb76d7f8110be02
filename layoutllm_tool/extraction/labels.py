"""The label by which a page prints a schema's field, whatever the language. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.page_layout import PageLayout
from layoutllm_tool.documents.search import Match, find_exact
from layoutllm_tool.extraction.rows import normal

_Kind = tuple[Sequence[str], Sequence[str] | None]
"""Labels, the longest first, and the words that it is bound to."""
_OTHERS = frozenset(("customer", "recipient", "buyer", "client", "purchaser", "consignee", "debtor"))
"""Parties whose numbers are seldom printed: a label that stands once is mostly the sender's."""
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_NUMBER = re.compile(r"(?:number|nummer|num|nr|no)$")
_FOLDED = str.maketrans({"\u00e4": "ae", "\u00f6": "oe", "\u00fc": "ue", "\u00df": "ss"})
_TOO_PLAIN = frozenset(["number", "date", "amount", "total", "balance", "period", "unit", "name"])
"""Names that say too little within an object."""


def printed_label(document: Document, path: Sequence[str]) -> str | None:
    """As printed: the field's own name or the longest label of its kind, where it stands once; else None."""
    if len(path) > 1 and normal(path[0]) in _OTHERS:
        return None
    names = [normal(" ".join(path)), *([normal(path[-1])] if normal(path[-1]) not in _TOO_PLAIN else [])]
    known = next((_labels()[name] for name in names if name in _labels()), ())
    labels = (*(name for name in names if len(name) > 3), *known)
    layouts = [PageLayout(page) for page in document.pages]
    for label in labels:
        found = [m.words for layout in layouts for m in find_exact(layout, label) if _is_label(layout, m)]
        if len(found) == 1:
            return " ".join(word.text for word in found[0]).strip(" :.")
        if found and label in known:
            return None
    return None


def label_key(text: str) -> str:
    """What labels are compared by: letters without blanks and umlauts, one word for "number"."""
    plain = normal(_WORDS.sub(" ", text).replace("#", " no "))
    return _NUMBER.sub("no", plain.translate(_FOLDED).replace(" ", ""))


def names_of(path: Sequence[str]) -> list[str]:
    """What the schema calls it, as keys: with the objects around it, and alone where that says enough."""
    spaced = [normal(_WORDS.sub(" ", name)) for name in path]
    alone = [spaced[-1]] if len(spaced) > 1 and spaced[-1] not in _TOO_PLAIN else []
    return [label_key(name) for name in (" ".join(spaced), *alone)]


def labels_of(path: Sequence[str]) -> Sequence[str]:
    """The labels of its kind, as keys; () for a kind that is not known, or another party's."""
    if len(path) > 1 and normal(path[0]) in _OTHERS:
        return ()
    entry = _entry(path)
    return [label_key(one) for one in entry[0]] if entry else ()


def is_known_label(text: str) -> bool:
    """Whether pages print it as a label of something. "No" may as well be an answer."""
    key = label_key(text)
    return key != "no" and key in _keys()


def bound_to(path: Sequence[str]) -> Sequence[str] | None:
    """Words of which one is on the page, beside its labels, where the value is; None for what pages print
    without a label too.
    """
    entry = _entry(path)
    return entry[1] if entry else None


def _entry(path: Sequence[str]) -> _Kind | None:
    return next((_keys()[name] for name in names_of(path) if name in _keys()), None)


@cache
def _keys() -> Mapping[str, _Kind]:
    """By the keys of names, and of labels that are no names of another kind."""
    named = {label_key(name): entry for name, entry in _kinds().items()}
    labelled = {label_key(label): entry for entry in _kinds().values() for label in entry[0]}
    return {**labelled, **named}


def _is_label(layout: PageLayout, match: Match) -> bool:
    """In one row, and not a part of more words ("Reg No" in "VAT Reg No"); a single word stands apart, or has
    a colon.
    """
    first, last = match.words[0], match.words[-1]
    before, after = layout.before(first), layout.after(last)
    starts = before is None or first.x0 - before.x1 > 0.8 * layout.height or not before.text[-1].isalnum()
    ends = last.ends_key or after is None or after.x0 - last.x1 > 0.8 * layout.height
    in_row = all(layout.after(a) == b for a, b in pairwise(match.words))
    valued = after is not None and any(map(str.isdigit, after.text))
    return in_row and starts and (ends or valued or len(match.words) > 1)


@cache
def _labels() -> Mapping[str, Sequence[str]]:
    """Labels by a field's name, the longest first."""
    return {name: labels for name, (labels, _) in _kinds().items()}


@cache
def _kinds() -> Mapping[str, _Kind]:
    """By a field's name."""
    data = tomllib.loads((files(__package__) / "labels.toml").read_text(encoding="utf-8"))
    found: dict[str, _Kind] = {}
    for entry in data.values():
        labels = sorted((one.strip() for one in entry["labels"].split(",")), key=len, reverse=True)
        bound = [normal(word) for word in entry["bound"].split(",")] if "bound" in entry else None
        found |= {normal(name): (labels, bound) for name in entry["names"].split(",")}
    return found
