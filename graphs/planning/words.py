"""The word lists and patterns of the rules that read a task in words, from ``words.toml``."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Any

WORDS: dict[str, Any] = tomllib.loads(files(__package__).joinpath("words.toml").read_text("utf-8"))


def pattern(name: str) -> re.Pattern[str]:
    """The case-blind pattern of this name, its parts filled in."""
    text = WORDS["patterns"][name].replace("\n", "")
    for part, words in WORDS["parts"].items():
        text = text.replace(f"%{part}%", words.replace("\n", ""))
    return re.compile(text, re.IGNORECASE)


def word_list(name: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(WORDS["lists"][name].split())
