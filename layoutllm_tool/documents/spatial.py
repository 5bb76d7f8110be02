"""Spatial words ("bottom left", "the second", "below") -> lines of a page. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from layoutllm_tool.documents.geometry import SCALE, Line, Page

SPATIAL_WORDS = (
    "top",
    "bottom",
    "left",
    "right",
    "center",
    "first",
    "second",
    "third",
    "last",
    "above",
    "below",
)
"""The words a correction's ``spatial`` may be made of, in any combination ("bottom left")."""
_MOST_PLACES = 100
"""Places of one key that "above" and "below" are compared with."""
ORDINALS = {"first": 0, "second": 1, "third": 2, "last": -1}


def spatial_words(text: str) -> str:
    """The spatial words of a question, in order: "the vendor at the bottom left" -> "bottom left"."""
    return " ".join(word for word in re.findall(r"[a-z]+", text.lower()) if word in SPATIAL_WORDS)


def lines_at(page: Page, spatial: str, key: str = "") -> set[int]:
    """Indices of the lines that the words name.

    Regions compare a line's centre with the page's halves ("center": its middle third). Ordinals, "above" and
    "below" refer to the places of ``key``; they change nothing where it occurs nowhere.
    """
    words = spatial.lower().split()
    lines = page.lines or ()
    kept = {i for i, line in enumerate(lines) if all(_in_region(line, word) for word in words)}
    holds = holder(line.text for line in lines)
    places = [i for i in holds(key) if i in kept]
    if not places:
        return kept
    for word in words:
        if word in ORDINALS:
            kept &= _around(places, ORDINALS[word], len(lines))
        elif word in ("above", "below"):
            kept &= {
                i for i in kept if any(_vertical(lines[i], lines[p], word) for p in places[:_MOST_PLACES])
            }
    return kept


def contains(text: str, key: str) -> bool:
    """Whether the text has the key's words, ignoring case and punctuation. False for an empty key."""
    return bool(holder([text])(key))


def holder(texts: Iterable[str]) -> Callable[[str], list[int]]:
    """A function that finds which of the texts contain a key (see ``contains``). Prepares each text once."""
    prepared = [f" {_plain(text)} " for text in texts]

    def holds(key: str) -> list[int]:
        wanted = _plain(key)
        return [i for i, text in enumerate(prepared) if f" {wanted} " in text] if wanted else []

    return holds


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _in_region(line: Line, word: str) -> bool:
    x, y = line.box.center
    middle = SCALE / 2
    regions = {"top": y < middle, "bottom": y >= middle, "left": x < middle, "right": x >= middle}
    regions["center"] = SCALE / 3 <= x <= 2 * SCALE / 3
    return regions.get(word, True)


def _around(places: list[int], ordinal: int, count: int) -> set[int]:
    """From that occurrence of the key up to the next one."""
    if ordinal >= len(places):
        return set()
    start = places[ordinal]
    following = [p for p in places if p > start]
    return set(range(start, following[0] if following else count))


def _vertical(line: Line, key: Line, word: str) -> bool:
    apart = line.box.y0 >= key.box.center[1] if word == "below" else line.box.y1 <= key.box.center[1]
    return apart and min(line.box.x1, key.box.x1) > max(line.box.x0, key.box.x0)
