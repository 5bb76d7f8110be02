"""JSON in a chat model's reply: fenced, with words around it, cut off, one item spoilt.

What the items mean is *not* looked at here. Standard library only.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

MOST_CHARACTERS = 80_000
"""Of a reply that are read."""
MOST_ITEMS = 100
_LIST = re.compile(r"\[\s*(?=[{\]])")
_NAMED = re.compile(r'"(?:items|questions)"\s*:\s*\[')
_OBJECT = re.compile(r'\{\s*"')
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Items:
    """The JSON values of a list, and how many more were begun that can't be read."""

    found: tuple[Any, ...]
    spoilt: int = 0


def text_of(reply: Any) -> str:
    """A chat model's message as text, cut to MOST_CHARACTERS.

    ``.content`` as a string or as blocks, else ``.text``, else a string itself.
    """
    content = reply if isinstance(reply, str) else getattr(reply, "content", None)
    if isinstance(content, list):
        content = "".join(map(_block, content))
    if not isinstance(content, str) or not content:
        text = getattr(reply, "text", None)
        content = text if isinstance(text, str) else ""
    return str(content)[:MOST_CHARACTERS]


def object_of(text: str) -> dict[str, Any] | None:
    """The first JSON object, whatever stands around it."""
    at = text.find("{")
    while at >= 0:
        value, _ = _decoded(text, at)
        if isinstance(value, dict):
            return value
        at = text.find("{", at + 1)
    return None


def items_of(text: str) -> Items | None:
    """The items of the list called so, else of the first list of objects, else a single object."""
    text = text[:MOST_CHARACTERS]
    if start := _NAMED.search(text) or _LIST.search(text):
        return _read(text, start.end())
    single = _OBJECT.search(text)
    value, _ = _decoded(text, single.start()) if single else (None, 0)
    return Items((value,)) if isinstance(value, dict) else None


def _read(text: str, at: int) -> Items:
    """The list's items. After one that can't be read, the next object is looked for."""
    found: list[Any] = []
    spoilt = 0
    while len(found) + spoilt < MOST_ITEMS:
        while at < len(text) and (text[at].isspace() or text[at] == ","):
            at += 1
        if at >= len(text) or text[at] == "]":
            break
        value, end = _decoded(text, at)
        if end:
            found.append(value)
            at = end
            continue
        spoilt += 1
        following = _OBJECT.search(text, at + 1)
        if following is None:
            break
        at = following.start()
    return Items(tuple(found), spoilt)


def _decoded(text: str, at: int) -> tuple[Any, int]:
    """A JSON value and where it ends; (None, 0) where none is whole there."""
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, 0


def _block(block: Any) -> str:
    text = block.get("text") if isinstance(block, dict) else block
    return text if isinstance(text, str) else ""
