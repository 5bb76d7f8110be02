"""The messages that ask a chat model for questions about a page (``annotation_prompts.toml``).

The page is given as in the paper, ``{text:'..', box:[x1,y1,x2,y2]}`` a line, numbered, between marks that its
own text can't contain. Replies are judged in ``annotator.py``. Standard library only.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from string import Template

from layoutllm_tool.cot import KINDS, RELATIONS
from layoutllm_tool.documents.geometry import Page

MOST_LINES = 200
"""Lines that a model is shown, and may name."""
MOST_CHARACTERS = 16_000
MOST_LINE = 400
"""Characters of one line."""

_TEXT: str = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["system"]
SYSTEM = Template(_TEXT.strip()).substitute(kinds=", ".join(KINDS), relations=", ".join(RELATIONS))


def ask(page: Page, count: int, absent: int) -> str:
    """The page, and how many items are wanted."""
    few = f" In {absent} of them ask for something plausible that the page does not say." if absent else ""
    return f"{quoted(page)}\n\nWrite {count} items.{few}"


def ask_again(reasons: Iterable[str], missing: int) -> str:
    """What was wrong with a reply."""
    found = "\n".join(f"- {reason}" for reason in reasons)
    again = f"Send {missing} other items, mended or new, as the same JSON. Leave out those that were right."
    return f"Not all of that can be used:\n{found}\n\n{again}"


def quoted(page: Page) -> str:
    """The first ``shown(page)`` lines between marks: a hash, which no page can contain of itself."""
    lines = enumerate((page.lines or ())[: shown(page)])
    text = "\n".join(f"{i} {{text:'{_plain(line.text)}', box:{line.box.as_list()}}}" for i, line in lines)
    mark = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
    return f"<page {mark}>\n{text}\n</page {mark}>"


def shown(page: Page) -> int:
    """How many of the page's lines, from the first, a model is shown."""
    room, count = MOST_CHARACTERS, 0
    for line in (page.lines or ())[:MOST_LINES]:
        room -= min(len(line.text), MOST_LINE) + 40
        if room < 0:
            break
        count += 1
    return count


def _plain(text: str) -> str:
    """On one row, quotes escaped: a line of the page can't pretend to be two."""
    row = "".join(c if c.isprintable() else " " for c in text[:MOST_LINE])
    return row.replace("\\", "\\\\").replace("'", "\\'")
