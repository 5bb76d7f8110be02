"""A page as the text model reads it: rows as they stand, drawn tick boxes as "[x]" and "[ ]"."""

from __future__ import annotations

from collections.abc import Sequence

from layoutllm_tool.documents.geometry import Line
from layoutllm_tool.documents.marks import REACH, Mark, MarkedRow
from layoutllm_tool.documents.page_layout import PlacedWord, WordId

LONGEST_PAGE = 8000
"""Characters of a page that are read."""
GAP = "   "
"""Between lines that stand beside each other."""


def page_text(lines: Sequence[Line], marks: Sequence[MarkedRow] = ()) -> str:
    """Lines that stand beside each other in one row, three blanks apart; rows from top to bottom. ``marks``
    are the boxes that no word says well.
    """
    rows: list[tuple[float, float, list[int]]] = []
    middle = {n: (line.box.y0 + line.box.y1) / 2 for n, line in enumerate(lines)}
    for number in sorted(middle, key=lambda n: middle[n]):
        top, bottom = lines[number].box.y0, lines[number].box.y1
        if rows:
            above, below, row = rows[-1]
            if min(bottom, below) - max(top, above) > 0.5 * min(bottom - top, below - above):
                row.append(number)
                continue
        rows.append((top, bottom, [number]))
    texts = _texts(lines, marks)
    ordered = (sorted(row, key=lambda n: lines[n].box.x0) for _, _, row in rows)
    return plain("\n".join(GAP.join(texts[n] for n in row if texts[n]) for row in ordered)[:LONGEST_PAGE])


def plain(text: str) -> str:
    """Without what could be read as a mark of the chat's turns: documents and questions are untrusted."""
    return text.replace("<|", "< |")


def _texts(lines: Sequence[Line], rows: Sequence[MarkedRow]) -> list[str]:
    """Each line's text, a box before the word that is its label, else behind the word left of it."""
    if not rows:
        return [line.text for line in lines]
    before: dict[WordId, str] = {}
    behind: dict[WordId, str] = {}
    dropped = {word.id for _, marks in rows for mark in marks for word in mark.words}
    for row, marks in rows:
        words = [word for word in row if word.id not in dropped]
        for mark in sorted(marks, key=lambda mark: mark.box[0]):
            sign = "[x]" if mark.ticked else "[ ]"
            label, left = _beside(words, mark)
            if label is not None and label.id not in before:
                before[label.id] = f"{sign} "
            elif left is not None:
                behind[left.id] = f"{behind.get(left.id, '')}{GAP}{sign}"
    found = []
    for number, line in enumerate(lines):
        text = ""
        for at, word in enumerate(line.words):
            if (number, at) not in dropped:
                sign = before.get((number, at), "")
                text += ((GAP if sign else " ") if text else "") + sign + word.text
                text += behind.get((number, at), "")
        found.append(text)
    return found


def _beside(words: Sequence[PlacedWord], mark: Mark) -> tuple[PlacedWord | None, PlacedWord | None]:
    """The word close behind a box, and the nearest one left of it."""
    x0, _, x1, _ = mark.box
    middle = (x0 + x1) / 2
    right = min((word for word in words if word.x0 > middle), key=lambda word: word.x0, default=None)
    left = max((word for word in words if word.x0 <= middle), key=lambda word: word.x0, default=None)
    near = right is not None and right.x0 - x1 <= REACH * right.height
    return right if near else None, left
