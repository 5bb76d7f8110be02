"""Escapes untrusted texts for terminals and files, so that they can't move a cursor or reverse a line."""

from __future__ import annotations

import json
from typing import Any


def printable(text: str) -> str:
    """The text with unprintable characters (control, format, lone surrogates) escaped as in JSON."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def json_line(data: Any) -> str:
    """Equal JSON on one line, in which every character prints."""
    return printable(json.dumps(data, ensure_ascii=False))


def cell(text: str) -> str:
    """For a CSV: the text where all of it prints, else a JSON string. ``from_cell`` reverses it."""
    return text if text.isprintable() and from_cell(text) == text else json_line(text)


def from_cell(text: str) -> str:
    """What ``cell`` was given. A cell in JSON's quotes is a JSON string."""
    if len(text) < 2 or not text.startswith('"') or not text.endswith('"'):
        return text
    try:
        return str(json.loads(text))
    except (ValueError, RecursionError):
        return text
