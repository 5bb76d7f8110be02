"""Segment level: MVLM (hidden words), MPI (lines whose boxes are 0), GLI (from one line to another).

A page has either hidden words or lines without boxes, never both, and is asked about nothing else then: what
is hidden from one question would be hidden from all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from layoutllm_tool.documents.geometry import Box, Line
from layoutllm_tool.training.pretraining.known import (
    MOST_TOKENS,
    MOST_WORDS,
    Known,
    phrased,
    show,
    tokens,
    unique,
)
from layoutllm_tool.training.schema import Instruction

MASKED = 0.15
"""Share of a page's words that MVLM hides."""
MOST_SPANS = 10
"""Hidden spans, of one to three words each."""
MOST_UNPLACED = 5
"""Lines without their box (MPI)."""
Mask = tuple[tuple[int, int], ...]

DIRECTIONS = ("right", "bottom right", "bottom", "bottom left", "left", "top left", "top", "top right")
"""Clockwise from the right, each 45 degrees wide about its middle; y runs down the page."""


def mvlm(known: Known, rng: Random, count: int) -> tuple[list[Instruction], Mask]:
    """Up to ``count`` questions about hidden words, the first about all; ([], ()) for too few words."""
    lines = known.lines
    spans = _spans(lines, rng)
    if not spans:
        return [], ()
    mask = tuple(word for span in spans for word in span)
    hidden = "\n".join(_text(lines, span) for span in spans)
    asked = [Instruction("MVLM", phrased(rng, "segment", "masked"), hidden)]
    single = [_here(lines, mask, line, rng) for line in dict.fromkeys(line for line, _ in mask)]
    single += [asked_after for span in spans if (asked_after := _after(lines, span, set(mask), rng))]
    asked += rng.sample(single, min(count - 1, len(single)))
    return asked, mask


def _spans(lines: Sequence[Line], rng: Random) -> list[Mask]:
    """Runs of one to three words of a line, a word apart at least, in reading order, up to the limits."""
    every = [(i, j) for i, line in enumerate(lines) for j in range(len(line.words))]
    most = min(int(MASKED * len(every)), MOST_WORDS)
    taken: set[tuple[int, int]] = set()
    spans: list[Mask] = []
    for i, j in rng.sample(every, len(every)):
        size = min(rng.choice((1, 1, 2, 3)), most - len(taken), len(lines[i].words) - j)
        span = tuple((i, k) for k in range(j, j + size))
        beside = {(i, k) for k in range(j - 1, j + size + 1)}
        if size > 0 and not beside & taken and _writable(lines, span):
            spans.append(span)
            taken |= set(span)
        if len(spans) == MOST_SPANS or len(taken) >= most:
            break
    return sorted(spans)


def _writable(lines: Sequence[Line], span: Mask) -> bool:
    """Whether there is something to recover: no lone dashes, no endless strings."""
    text = _text(lines, span)
    return any(c.isalnum() for c in text) and len(text) <= 60


def _text(lines: Sequence[Line], span: Mask) -> str:
    return " ".join(lines[i].words[j].text for i, j in span)


def _here(lines: Sequence[Line], mask: Mask, line: int, rng: Random) -> Instruction:
    own = tuple(word for word in mask if word[0] == line)
    return Instruction(
        "MVLM", phrased(rng, "segment", "masked_here", show(lines[line].box)), _text(lines, own), (line,)
    )


def _after(lines: Sequence[Line], span: Mask, mask: set[tuple[int, int]], rng: Random) -> Instruction | None:
    """Asks with the words before the span, where they are seen and stand on the page once."""
    line, start = span[0]
    first = max(0, start - 3)
    before = [(line, j) for j in range(first, start)]
    if not before or mask & set(before):
        return None
    said = _text(lines, tuple(before))
    if len(said) < 3 or sum(row.text.count(said) for row in lines) != 1:
        return None
    return Instruction("MVLM", phrased(rng, "segment", "masked_after", said), _text(lines, span), (line,))


def mpi(known: Known, rng: Random, count: int) -> tuple[list[Instruction], tuple[int, ...]]:
    """Up to ``count`` questions about lines without boxes, the first about all of them.

    ([], ()) where no line will do.

    At most a third of the lines lose theirs: the rest of the page says where they belong.
    """
    lines = known.lines
    able = unique(lines, most_words=12)
    most = min(MOST_UNPLACED, len(lines) // 3, len(able))
    chosen = sorted(rng.sample(able, rng.randint(1, most))) if most else []
    while chosen and not _short("\n".join(map(_placed, (lines[i] for i in chosen)))):
        chosen.pop()
    if not chosen:
        return [], ()
    every = "\n".join(_placed(lines[i]) for i in chosen)
    asked = [Instruction("MPI", phrased(rng, "segment", "unplaced"), every)]
    asked += [
        Instruction("MPI", phrased(rng, "segment", "unplaced_one", lines[i].text), show(lines[i].box))
        for i in rng.sample(chosen, min(count - 1, len(chosen)))
    ]
    return asked, tuple(chosen)


def _placed(line: Line) -> str:
    return f"{line.text}, {show(line.box)}"


def _short(text: str) -> bool:
    return tokens(text) <= MOST_TOKENS and len(text.split()) <= MOST_WORDS


def gli(known: Known, rng: Random) -> Instruction | None:
    """Between two lines whose texts stand once; None where no two are far enough apart."""
    lines, able = known.lines, unique(known.lines)
    for _ in range(8 if len(able) > 1 else 0):
        a, b = rng.sample(able, 2)
        direction, distance = between(lines[a].box, lines[b].box)
        if distance >= 5:
            question = phrased(rng, "segment", "between", lines[a].text, lines[b].text)
            return Instruction("GLI", question, f"{direction}, {distance}", (a, b))
    return None


def between(start: Box, end: Box) -> tuple[str, int]:
    """One of DIRECTIONS by the angle from centre to centre, and the centres' distance, both in 0-1000 units.

    Of equal centres: "right", 0. Centres are those of the boxes as written, whole numbers.
    """
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = start.as_list(), end.as_list()
    across, down = (bx0 + bx1 - ax0 - ax1) / 2, (by0 + by1 - ay0 - ay1) / 2
    return DIRECTIONS[round(math.atan2(down, across) / (math.pi / 4)) % 8], round(math.hypot(across, down))
