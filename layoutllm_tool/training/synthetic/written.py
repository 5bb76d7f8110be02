"""Everyday documents written by hand, with questions as people ask them: ``written/*.jsonl``.

A line of a file is one document: ``{"kind", "language", "lines", "questions"}``. Its ``lines`` stand as on a
typewriter: two blanks or more are a gap. A question's ``a`` is what answers it, copied from ``line`` (and
from those that follow, where it is a list), or null where the page does not answer. Drawing sets the lines
in some font and size, changes long numbers, and misreads characters as OCR does.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import resources
from random import Random
from typing import Any

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.training.synthetic.build import look
from layoutllm_tool.training.synthetic.canvas import Canvas, Span
from layoutllm_tool.training.synthetic.everyday import Asked, placed

_SEGMENT = re.compile(r"\S+(?: \S+)*")
_LONG_NUMBER = re.compile(r"\d(?:[ -]?\d){4,}")
_AMOUNT = re.compile(r"[\d%)]$")
_RULES = re.compile(r"_{2,}")


KEPT_BACK = 7
"""Every seventh document of a file is not trained on."""


@cache
def documents(part: str = "train") -> tuple[dict[str, Any], ...]:
    """Those of the part, "train" or "test", by file."""
    folder = resources.files(__package__) / "written"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".jsonl")), key=lambda file: file.name
    )
    every = [
        (number, json.loads(line))
        for file in files
        for number, line in enumerate(file.read_text("utf-8").splitlines())
    ]
    return tuple(one for number, one in every if (number % KEPT_BACK == 3) == (part == "test"))


def pages(seed: int) -> Iterator[tuple[Page, list[Asked]]]:
    """Every document in a random order, again and again, each time drawn anew."""
    rng = Random(f"written/{seed}")
    while True:
        for document in rng.sample(documents(), len(documents())):
            yield page(rng, document)


def page(rng: Random, document: dict[str, Any]) -> tuple[Page, list[Asked]]:
    """One drawing of the document, with the questions whose answers can still be pointed at."""
    digits = {ord(old): new for old, new in zip("23456789", rng.sample("23456789", 8), strict=True)}
    rules = rng.random() < 0.4
    lines = [
        _varied(line if rules else _RULES.sub(lambda rule: " " * len(rule[0]), line), digits)
        for line in document["lines"]
    ]
    canvas, words = _drawn(rng, lines)
    for number, question in enumerate(document["questions"]):
        if question["a"] is not None:
            canvas.unprinted(f"question {number}", _span(document["lines"], words, question))
    one = look(canvas, rng, kind="memo")
    found = {one.fact.name: one for one in one.found}
    asked: list[Asked] = []
    for number, question in enumerate(document["questions"]):
        if question["a"] is None:
            asked.append(Asked(question["q"], (), None))
        elif (place := found.get(f"question {number}")) is not None:
            asked.append(placed(question["q"], place, one.page))
    return one.page, asked


def _varied(line: str, digits: dict[int, str]) -> str:
    """Numbers of five digits and more, changed; amounts and dates stay what they are."""
    return _LONG_NUMBER.sub(lambda match: match[0].translate(digits), line)


def _span(lines: list[str], words: list[list[tuple[int, int]]], question: dict[str, Any]) -> Span:
    """The words that answer; ``words`` are (column, index), by line."""
    parts = [question["a"]] if isinstance(question["a"], str) else question["a"]
    found: list[int] = []
    for n, part in enumerate(parts, start=question["line"]):
        start = lines[n].index(part)
        found += [
            index
            for column, index in words[n]
            if column < start + len(part) and start < column + len(lines[n][column:].split(maxsplit=1)[0])
        ]
    return tuple(found)


def _drawn(rng: Random, lines: list[str]) -> tuple[Canvas, list[list[tuple[int, int]]]]:
    """The lines on a page, and the words of each as (column, index)."""
    segments = [[(m.start(), m[0]) for m in _SEGMENT.finditer(line)] for line in lines]
    canvas, left = Canvas(800, 1600, rng), rng.randint(30, 70)
    columns = max(rng.choice((70, 84, 100)), *map(len, lines))
    unit = (canvas.width - 2 * left) / columns
    sizes = range(rng.randint(14, 20), 7, -1)
    size = next((size for size in sizes if _fits(canvas, segments, columns, unit, size)), 8)
    ends = Counter(at + len(text) for line in segments for at, text in line if at and _AMOUNT.search(text))
    pitch, y = size * rng.uniform(1.25, 1.75), rng.uniform(25.0, 80.0)
    words = []
    for line in segments:
        words.append(_line(canvas, line, ends, (left, y), unit, size))
        y += pitch * (1.0 if line else rng.uniform(0.4, 0.9))
    canvas.crop(int(y) + rng.randint(10, 120))
    return canvas, words


def _line(
    canvas: Canvas, line: list[tuple[int, str]], ends: Counter[int], at: tuple[float, float], unit: float,
    size: int,
) -> list[tuple[int, int]]:  # fmt: skip
    """Draw one line from ``at``; numbers that end in the same column as others are set flush right."""
    found: list[tuple[int, int]] = []
    edge = 0.0
    for column, text in line:
        width, end = canvas.measure(text, size), at[0] + (column + len(text)) * unit
        flush = column > 0 and ends[column + len(text)] > 1 and bool(_AMOUNT.search(text))
        x = end - width if flush and end - width > edge else at[0] + column * unit
        span, edge = canvas.text(x, at[1], text, size=size), x + width + size
        found += zip((column + m.start() for m in re.finditer(r"\S+", text)), span, strict=True)
    return found


def _fits(
    canvas: Canvas, segments: list[list[tuple[int, str]]], columns: int, unit: float, size: int
) -> bool:
    """Whether no piece of text runs into the next one or off the page."""
    for line in filter(None, segments):
        ends = [*(at for at, _ in line[1:]), columns + 2]
        for (at, text), end in zip(line, ends, strict=True):
            if canvas.measure(text, size) > (end - at) * unit - size * 0.6:
                return False
    return True
