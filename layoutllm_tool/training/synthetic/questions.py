"""Phrasings of questions, and fields that a page may lack. The words are in ``questions.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from layoutllm_tool.cot import AnswerFormation, Kind, QuestionAnalysis
from layoutllm_tool.documents import align
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.training.keys import EDGES
from layoutllm_tool.training.schema import QA

_DATA: dict[str, Any] = tomllib.loads((Path(__file__).parent / "questions.toml").read_text(encoding="utf-8"))
FORM: str = _DATA["form"]
"""The commonest question about a printed key."""
KEY_FORMS: tuple[str, ...] = tuple(_DATA["key_forms"])
"""Questions that name a key as it is printed on the page."""
FIELD_FORMS: tuple[str, ...] = tuple(_DATA["field_forms"])
"""Questions that name a field by its meaning."""
PLACED: list[str] = _DATA["placed"]
"""Questions that tell equal keys apart by where they stand."""
COUNTED: list[str] = _DATA["counted"]
"""Questions that tell equal keys apart by their number."""
ARCHIVE_FORMS: list[str] = _DATA["archive_forms"]
"""Questions about a field of an archive form."""
ABSENT: tuple[tuple[str, ...], ...] = tuple(tuple(group) for group in _DATA["absent"])
"""Field names, each with the ways in which a page may print it."""
CORE: list[tuple[str, str]] = _DATA["core"]
"""Fields often asked for, each with a pattern of what must not stand on a page that lacks it."""
PLAIN, BY_MEANING = 0.55, 0.25
"""Shares of keys that are asked for in the commonest form, and as a field by its meaning.

The rest in the other forms.

The same for keys with a value, blank ones and ones that the page lacks: where the shares differ, the wording
tells whether the page answers, and a model learns that instead of looking (LOG.md, "the wording gave it
away").
"""


def ask(key: str, rng: Random) -> str:
    """A question about a key, as it is printed or by its meaning, whether or not the page answers it."""
    chosen = rng.random()
    if chosen < PLAIN:
        return FORM.format(key)
    if chosen < 1 - BY_MEANING:
        return ask_key(key, rng)
    bare = key.strip(EDGES) or key
    return ask_field(rng.choice((spoken(bare), bare.lower(), bare)), rng)


def spoken(key: str) -> str:
    """ "Contract #" as "contract number"."""
    words = key.lower().replace("#", " # ").split()
    return " ".join(_DATA["spoken"].get(word.rstrip(".:"), word) for word in words)


def ask_key(key: str, rng: Random) -> str:
    """A question about a key as it is printed."""
    form = rng.choice(KEY_FORMS)
    return form.format(key if '"' in form else key.strip(EDGES))


def ask_field(name: str, rng: Random) -> str:
    """A question about a field by its meaning."""
    return rng.choice(FIELD_FORMS).format(name)


def unanswerable(question: str, key: str, kind: Kind = "key-value") -> QA:
    """The page does not say."""
    return QA(question, QuestionAnalysis(kind, "extraction", key), (), AnswerFormation("none", ""), None)


def absent(page: Page, count: int, rng: Random, *, keys: Iterable[str] = ()) -> list[QA]:
    """Up to ``count`` questions about fields that the page lacks; ``keys`` adds keys seen on other pages."""
    chosen: list[QA] = []
    others = [(key,) for key in keys]
    for group in rng.sample(ABSENT, min(4 * count, len(ABSENT))) if count else ():
        if others and rng.random() < 0.4:
            group = others.pop(rng.randrange(len(others)))
        if len(chosen) < count and lacks(page, group):
            chosen.append(_negative(group[0], rng))
    return chosen


def lacks(page: Page, names: Iterable[str]) -> bool:
    """Whether none of the names stands on the page, misread or not."""
    return all(align.similarity(name, page.text) < (0.8 if len(name) > 5 else 0.99) for name in names)


def _negative(name: str, rng: Random) -> QA:
    upper, title = name.upper(), name.title()
    key = rng.choice((name, upper, title, f"{upper.rstrip(':')}:", f"{title.rstrip(':')}:"))
    return unanswerable(ask(key, rng), key.strip(EDGES))
