"""The word lists and patterns of the rules that read a task in words, from ``words.toml``."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Any

WORDS: dict[str, Any] = tomllib.loads(files(__package__).joinpath("words.toml").read_text("utf-8"))


def _pattern(text: str) -> re.Pattern[str]:
    for part, words in WORDS["parts"].items():
        text = text.replace(f"%{part}%", words)
    return re.compile(text.replace("\n", ""), re.IGNORECASE)


PATTERNS = {name: _pattern(text) for name, text in WORDS["patterns"].items()}
WORD_LISTS = {name: frozenset(text.split()) for name, text in WORDS["lists"].items()}
