"""Document level: DDD (describe the page) and TLR (write its text and layout out).

A description is made by rule of what is known.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

from layoutllm_tool.documents.geometry import Box, Line
from layoutllm_tool.training.pretraining.known import (
    MOST_TOKENS,
    MOST_WORDS,
    QUESTIONS,
    Known,
    phrased,
    show,
    tokens,
    unique,
)
from layoutllm_tool.training.schema import Instruction

DESCRIBE = QUESTIONS["document"]["describe"]
DESCRIPTION = 120
"""Words of a description."""
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ROWS, _COLUMNS = ("top", "", "bottom"), ("left", "", "right")


def ddd(known: Known, rng: Random) -> Instruction:
    """The page described."""
    text = describe(known, rng)
    return Instruction("DDD", rng.choice(DESCRIBE), text)


def describe(known: Known, rng: Random, most_words: int = DESCRIPTION) -> str:
    """What is known of the page, in whole sentences up to the limit."""
    first = phrased(rng, "sentences", "kind", _article(known.kind))
    body = [_title(known, rng), *_parts(known, rng), _table(known, rng), _size(known, rng)]
    body += [*_pairs(known, rng), _ends(known, rng)]
    head, *rest = (sentence for sentence in (first, *body) if sentence)
    kept, room = [head], most_words - len(head.split())
    for sentence in rest:
        if len(sentence.split()) <= room:
            kept.append(sentence)
            room -= len(sentence.split())
    return " ".join(kept)


def place(box: Box) -> str:
    """Where the middle of a box is, the page cut in three both ways: "top left", "bottom", "middle"."""
    x, y = box.center
    words = (_ROWS[min(int(y * 3 / 1000), 2)], _COLUMNS[min(int(x * 3 / 1000), 2)])
    return " ".join(filter(None, words)) or "middle"


def _title(known: Known, rng: Random) -> str:
    if not known.title:
        return ""
    return phrased(rng, "sentences", "title", _quote(known.title))


def _parts(known: Known, rng: Random) -> list[str]:
    """One sentence for each kind of region, in the order in which the kinds appear."""
    kinds: dict[str, list[Box]] = {}
    for region in known.regions:
        kinds.setdefault(region.kind, []).append(region.box)
    sentences = []
    for kind, boxes in kinds.items():
        where = _listed([f"at the {p}" for p in dict.fromkeys(map(place, boxes))])
        verb = "is" if len(boxes) == 1 else "are"
        forms = "parts" if known.complete else "some_parts"
        sentences.append(phrased(rng, "sentences", forms, verb, _number(len(boxes), kind), where))
    return sentences


def _table(known: Known, rng: Random) -> str:
    if (grid := known.grid) is None:
        return ""
    size = f"{_number(grid.rows, 'row')} and {_number(grid.columns, 'column')}"
    names = [_quote(cell.text, 5) for cell in grid.row(0) if cell.text] if grid.head else []
    heads = f", headed {_listed(names[:8])}" if names else ""
    return phrased(rng, "sentences", "table", size + heads)


def _size(known: Known, rng: Random) -> str:
    lines = known.lines
    if not lines:
        return ""
    left = sum(line.box.center[0] < 500 for line in lines) / len(lines)
    side = "mostly on the left" if left > 0.7 else "mostly on the right" if left < 0.3 else "on both sides"
    words = sum(len(line.words) for line in lines)
    return phrased(rng, "sentences", "size", len(lines), side, words)


def _pairs(known: Known, rng: Random) -> list[str]:
    chosen = rng.sample(known.pairs, min(4, len(known.pairs)))
    return [phrased(rng, "sentences", "pair", _quote(key), _quote(value)) for key, value in chosen]


def _ends(known: Known, rng: Random) -> str:
    lines = known.lines
    if len(lines) < 2:
        return ""
    return phrased(rng, "sentences", "ends", _quote(lines[0].text), _quote(lines[-1].text))


def _quote(text: str, most: int = 10) -> str:
    words = text.split()
    return f'"{" ".join(words[:most])}{" ..." if len(words) > most else ""}"'


def _article(noun: str) -> str:
    return f"{'an' if noun[:1] in tuple('aeiou') else 'a'} {noun}"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""


def _number(count: int, noun: str) -> str:
    """ "two figures"."""
    number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    return f"{number} {noun}{'' if count == 1 else 's'}"


def tlr(known: Known, rng: Random) -> Instruction | None:
    """Text and boxes of the page, or of the part that the question names; None where none fits."""
    form = rng.choice(("plain", "plain", "json", "markdown"))
    if (part := _part(known, form, rng)) is None:
        return None
    name, lines = part
    question = phrased(rng, "document", "reconstruct", name) + rng.choice(QUESTIONS["forms"][form])
    return Instruction("TLR", question, write(lines, form))


def write(lines: Sequence[Line], form: str) -> str:
    """``<{x0, y0, x1, y1}, {text}>`` a line, a JSON list of box and text, or a Markdown table of both."""
    rows = [(line.box.as_list(), line.text) for line in lines]
    if form == "json":
        return json.dumps([{"box": box, "text": text} for box, text in rows], ensure_ascii=False)
    if form == "markdown":
        body = [f"| {', '.join(map(str, box))} | {text.replace('|', chr(92) + '|')} |" for box, text in rows]
        return "\n".join(("| box | text |", "| --- | --- |", *body))
    return "\n".join(f"<{{{', '.join(map(str, box))}}}, {{{text}}}>" for box, text in rows)


def _part(known: Known, form: str, rng: Random) -> tuple[str, Sequence[Line]] | None:
    """A run of lines that fits, and what the question calls it."""
    lines = known.lines

    def fits(some: Sequence[Line]) -> bool:
        text = write(some, form)
        return bool(some) and tokens(text) <= MOST_TOKENS and len(text.split()) <= MOST_WORDS

    if fits(lines):
        return "the document", lines
    ways = ["first", "last", "area", "area", "from"]
    rng.shuffle(ways)
    for way in ways:
        start = rng.randrange(len(lines)) if lines and way in ("area", "from") else 0
        run = list(lines[::-1] if way == "last" else lines[start:])
        run = run[: rng.randint(3, 12)]
        while run and not fits(run):
            run.pop()
        run = run[::-1] if way == "last" else run
        if run and (name := _named(known, way, start, run)):
            return name, run
    return None


def _named(known: Known, way: str, start: int, run: Sequence[Line]) -> str | None:
    """What a run of lines is called; None where the name would mean other lines too."""
    lines = f"{len(run)} lines" if len(run) > 1 else "line"
    if way in ("first", "last"):
        return f"the {way} {lines} of the document"
    if way == "from":
        return f'the {lines} beginning with "{run[0].text}"' if start in unique(known.lines) else None
    area = Box(*Box.union(line.box for line in run).as_list())
    inside = [i for i, line in enumerate(known.lines) if area.intersection(line.box) > 0]
    return f"the {show(area)} area" if inside == list(range(start, start + len(run))) else None
