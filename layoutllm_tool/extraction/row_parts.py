"""Cells that hold several numbers ("130 - 170", "< 5.0", "1200 x 1350"), taken apart for the columns that a
schema wants: the lower and the upper end, or one size after the other. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_LOW = frozenset(
    ("low", "lower", "min", "minimum", "untere", "unterer", "untergrenze", "von", "from", "mín", "mini",
     "inférieure", "inferior", "inferiore", "ondergrens")
)  # fmt: skip
_HIGH = frozenset(
    ("high", "upper", "max", "maximum", "obere", "oberer", "obergrenze", "bis", "to", "máx", "maxi",
     "supérieure", "superior", "superiore", "bovengrens")
)  # fmt: skip
_SIZES = frozenset(
    ("width", "height", "length", "depth", "breite", "höhe", "länge", "tiefe", "largeur", "hauteur",
     "longueur", "profondeur", "ancho", "alto", "largo", "larghezza", "altezza", "lunghezza")
)  # fmt: skip
_NUMBER = r"\d[\d.,]*"
_RANGE = re.compile(rf"({_NUMBER})\s?(?:[-\u2013\u2014~]|to\b|bis\b|\.\.\.?)\s?({_NUMBER})")
_BELOW = re.compile(rf"(?i)(?:[<\u2264]=?|up to|below|bis|unter|max\.?)\s?({_NUMBER})")
_ABOVE = re.compile(rf"(?i)(?:[>\u2265]=?|from|above|ab|über|min\.?)\s?({_NUMBER})")
_BY = re.compile(r"\s?[x\u00d7*]\s?", re.IGNORECASE)


def wants_part(words: str) -> bool:
    """Whether a number of this name may be a part of a cell."""
    return bool(_words(words) & (_LOW | _HIGH | _SIZES))


def is_parted(texts: Sequence[str]) -> bool:
    """Whether most of a column's cells can be taken apart."""
    filled = [text for text in texts if text]
    return bool(filled) and 2 * sum(bool(_ends(text) or _sizes(text)) for text in filled) > len(filled)


def part_cells(cell: Mapping[str, Any] | None, wanted: Mapping[str, str]) -> dict[str, dict[str, Any] | None]:
    """The parts of a cell, as JSON, by what is ``wanted`` in which words: None where it has no such end."""
    text = cell["text"] if cell else ""
    ends, sizes = _ends(text), _sizes(text)
    found: dict[str, str | None] = dict.fromkeys(wanted)
    if ends:
        for name, words in wanted.items():
            found[name] = ends[0] if _words(words) & _LOW else ends[1] if _words(words) & _HIGH else None
    elif sizes:
        found |= zip((name for name, words in wanted.items() if _words(words) & _SIZES), sizes, strict=False)
    return {name: {**cell, "text": part} if cell and part else None for name, part in found.items()}


def _words(words: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", words.lower()))


def _ends(text: str) -> tuple[str | None, str | None] | None:
    """The lower and the upper end of a range, of which one may be open."""
    if both := _RANGE.search(text):
        return both[1], both[2]
    below, above = _BELOW.search(text), _ABOVE.search(text)
    if bool(below) == bool(above):
        return None
    return (above[1], None) if above else (None, below[1] if below else None)


def _sizes(text: str) -> list[str]:
    """Numbers with "x" between them."""
    parts = _BY.split(text)
    sizes = len(parts) > 1 and all(re.match(_NUMBER, part) for part in parts)
    return [re.match(_NUMBER, part)[0] for part in parts] if sizes else []  # type: ignore[index]
