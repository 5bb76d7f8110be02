"""Choices of a schema by another word of the same meaning ("H" for high), and such words. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files

_PAYMENT = {"cash", "debit_card", "credit_card", "voucher", "transfer", "cheque"}
"""Groups of ``choices.toml`` that are means of payment."""


def meant(text: str, choices: Sequence[str | int | float]) -> str | int | float | None:
    """The one choice of the same meaning as the whole text, or as the longest words in it; else None."""
    said = _groups_of(text)
    texts = (choice for choice in choices if isinstance(choice, str))
    found = [choice for choice in texts if said & _groups().get(_plain(choice), set())]
    return found[0] if len(found) == 1 else None


def says_payment(text: str) -> bool:
    """Whether the text names a means of payment."""
    return bool(_groups_of(text) & _PAYMENT)


@lru_cache(maxsize=1024)
def synonyms(word: str) -> frozenset[str]:
    """Words of the same meaning, in several languages."""
    groups = _groups()
    own = groups.get(_plain(word), set())
    return frozenset(name for name, theirs in groups.items() if own & theirs)


def _groups_of(text: str) -> set[str]:
    """Groups of the text, or of the longest name in it, of three letters at least."""
    plain, names = _plain(text), _groups()
    if plain in names:
        return names[plain]
    inside = [
        name for name in names if len(name) > 2 and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", plain)
    ]
    return names[max(inside, key=len)] if inside else set()


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").strip(" .:*()[]").split())


@cache
def _groups() -> Mapping[str, set[str]]:
    """Groups by name."""
    data = tomllib.loads((files(__package__) / "choices.toml").read_text(encoding="utf-8"))
    found: dict[str, set[str]] = {}
    for group, names in data["groups"].items():
        for name in names.split(","):
            found.setdefault(name.strip(), set()).add(group)
    return found
