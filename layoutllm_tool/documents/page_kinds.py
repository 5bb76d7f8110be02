"""What kind of document a page belongs to, by its title and its words: invoice, receipt, letter and so on.

The kinds are data (``page_kinds.toml``), and a caller may give others. Rules alone: a page without a title or
words that a kind names is of no kind.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from layoutllm_tool.documents.geometry import Line, Page

_TITLE, _MOST_BY_WORDS = 3.0, 5.0
"""Most points for a title, and for words."""
_LEAST, _LEAST_TITLE = 0.5, 1.0
"""The fewest that name a document's kind, and by its title alone a page's."""
_LONGEST_TITLE = 8
"""Words of a line that may be a title."""
_TOP = 400
"""Titles stand above (0-1000)."""
_TALL = 1.3
"""Of the median line's height."""


@dataclass(frozen=True, slots=True)
class PageKind:
    """A kind of document. Compared without case."""

    titles: tuple[str, ...] = ()
    """Whole words of a short line in the upper part of the page."""
    words: tuple[str, ...] = ()
    """Whole words anywhere on the page."""


Kinds = Mapping[str, PageKind]


def kinds_of(data: Mapping[str, Any]) -> dict[str, PageKind]:
    """Kinds from data of the form of ``page_kinds.toml``. ValueError says what is wrong."""
    found = {}
    for name, entry in data.items():
        lists = [entry.get(part, []) if isinstance(entry, Mapping) else None for part in ("titles", "words")]
        if not all(isinstance(one, list) and all(isinstance(text, str) for text in one) for one in lists):
            raise ValueError(f"the kind {name!r} needs lists of texts: titles, words")
        titles, words = (tuple(filter(None, map(_plain, one or ()))) for one in lists)
        if not (titles or words):
            raise ValueError(f"the kind {name!r} has neither titles nor words")
        found[name] = PageKind(titles, words)
    if not found:
        raise ValueError("no kind is named")
    return found


def title_of(page: Page, kinds: Kinds) -> str | None:
    """The kind that a title of the page names; the most prominent title's."""
    scores = {name: _title_score(page, kind) for name, kind in kinds.items()}
    return _best(scores, _LEAST_TITLE)


def kind_of(pages: Sequence[Page], kinds: Kinds) -> str | None:
    """The kind of a document, by title and words of its first page, and half as much those of the next."""
    scores = dict.fromkeys(kinds, 0.0)
    for weight, page in zip((1.0, 0.5), pages, strict=False):
        text = _plain(page.text)
        for name, kind in kinds.items():
            said = sum(bool(_pattern(word).search(text)) for word in kind.words)
            scores[name] += weight * (_title_score(page, kind) + min(0.5 * said, _MOST_BY_WORDS))
    return _best(scores, _LEAST)


def _best(scores: Mapping[str, float], least: float) -> str | None:
    name = max(scores, key=scores.__getitem__)
    return name if scores[name] >= least else None


def _title_score(page: Page, kind: PageKind) -> float:
    """Points of the kind's best title: more for tall lines, for capitals, and where it is all of the line."""
    lines = page.lines or ()
    height = median(line.box.height for line in lines) if lines else 0.0
    return max((_points(line, kind, height) for line in _titles(lines)), default=0.0)


def _titles(lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if line.box.y0 < _TOP and len(line.words) <= _LONGEST_TITLE]


def _points(line: Line, kind: PageKind, height: float) -> float:
    text = _plain(line.text)
    found = [title for title in kind.titles if _pattern(title).search(text)]
    if not found:
        return 0.0
    share = len(max(found, key=len)) / max(len(text), 1)
    tall = line.box.height >= _TALL * height
    return _TITLE * share * (1.0 if tall or line.text.isupper() else 0.6) + (0.5 if tall else 0.0)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


@lru_cache(maxsize=4096)
def _pattern(words: str) -> re.Pattern[str]:
    """Whole words; of a script without blanks any place."""
    written = re.escape(words)
    return re.compile(rf"(?<!\w){written}(?!\w)" if words.isascii() or " " in words else written)


KINDS: Kinds = kinds_of(tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")))
"""The kinds that the package knows."""
