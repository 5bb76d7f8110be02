"""Texts of strangers for terminals and files that people look at: nothing in them moves a cursor or turns a line around.
Standard library only."""

from __future__ import annotations

import json
from typing import Any


def printable(text: str) -> str:
    """The text with every character that does not print (control, format, half a pair) as JSON escapes it."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def json_line(data: Any) -> str:
    """One line of JSON in which every character prints; it says the same."""
    return printable(json.dumps(data, ensure_ascii=False))


def cell(text: str) -> str:
    """For a CSV: the text itself where all of it prints, else as a JSON string; ``from_cell`` gives it back."""
    return text if text.isprintable() and from_cell(text) == text else json_line(text)


def from_cell(text: str) -> str:
    """What ``cell`` was given. A cell in JSON's quotes is a JSON string, any other is what it says."""
    if len(text) < 2 or not text.startswith('"') or not text.endswith('"'):
        return text
    try:
        return str(json.loads(text))
    except (ValueError, RecursionError):
        return text
