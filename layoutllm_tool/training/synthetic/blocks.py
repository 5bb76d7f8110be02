"""Parts of typed business forms: rows, boxes, properties, remarks, sentences, clauses with blanks, headings.

Each function draws its part below ``sheet.y`` and moves it on. Labels are printed, values typed in a second
font and seldom quite on the label's line. Parts that would leave the page are not drawn.
"""

from __future__ import annotations

from itertools import pairwise

from layoutllm_tool.training.synthetic.form_canvas import Field, FormCanvas
from layoutllm_tool.training.synthetic.vocabulary import TYPED


def rows(sheet: FormCanvas, count: int) -> None:
    """Fields one after the other along each row, as many as fit."""
    rng, fields = sheet.rng, sheet.fields(count)
    most, gap = rng.choice((1, 1, 2, 2, 3, 4)), rng.choice((8, 14, 30, 60))
    pitch = sheet.size * rng.uniform(1.45, 2.6)
    tab = sheet.left + rng.choice((0, 0, 0, 150, 190, 240)) if most == 1 else 0.0
    while fields and sheet.room > 40:
        bottom = _row(sheet, fields, most, gap, tab)
        sheet.y = max(sheet.y + pitch, bottom + 4)


def _row(sheet: FormCanvas, fields: list[Field], most: int, gap: int, tab: float) -> float:
    """Draw up to ``most`` of the fields and take them off the list; the y below them."""
    x, bottom = sheet.left, sheet.y
    for n in range(most):
        if not fields:
            break
        name, kind = fields[0]
        text, printed = sheet.filled(kind), sheet.style.key(name)
        if n and x + sheet.canvas.measure(printed) + 8 + min(sheet.width_of(text), 260) > sheet.right:
            break
        fields.pop(0)
        x, low = sheet.beside((x, sheet.y), printed, text, tab)
        x, bottom = x + gap, max(bottom, low)
    return bottom


def boxes(sheet: FormCanvas, count: int) -> None:
    """Ruled cells in two to five columns: a small label at the top left, the value under or beside it."""
    rng, fields = sheet.rng, sheet.fields(count)
    columns, inside = rng.choice((2, 3, 3, 4, 5)), rng.random() < 0.2
    while fields and sheet.room > 60:
        row, fields = fields[:columns], fields[columns:]
        width = sheet.width / len(row)
        edges = [sheet.left + sum([width] * n) for n in range(len(row) + 1)]
        bottom = max(_box(sheet, field, x, width, inside) for field, x in zip(row, edges, strict=False))
        for x, stop in pairwise(edges):
            sheet.canvas.frame(x, sheet.y, stop, bottom + 3)
        sheet.y = bottom + 4 + (0 if rng.random() < 0.8 else rng.randint(4, 20))


def _box(sheet: FormCanvas, field: Field, x: float, width: float, inside: bool) -> float:
    """Draw a label and its value in a cell; the y below them."""
    printed, text = sheet.style.key(field[0]), sheet.filled(field[1])
    key, low = sheet.key((x + 4, sheet.y + 2), printed, width - 10, sheet.small)
    start = sheet.canvas.end(key) + 10
    if inside and low < sheet.y + sheet.small * 2 and start + sheet.width_of(text) < x + width:
        at = (start, sheet.y + 2)
    else:
        at = (x + sheet.rng.choice((6, 6, 20, 36)), low + sheet.lift + 1)
    span, end = sheet.value(at, text, width + x - at[0] - 4) if text else ((), low + sheet.size * 1.2)
    sheet.add(printed, key, span)
    return max(end, low)


def pairs(sheet: FormCanvas, count: int) -> None:
    """Properties and their values at a tab, in one or two columns, perhaps with dots between."""
    rng = sheet.rng
    fields = [f for f in sheet.fields(2 * count) if f[1] not in ("remark", "party", "copies", "title")][:count]
    sides, dots = rng.choice((1, 2, 2)), rng.random() < 0.15
    width = sheet.width / sides
    tab, pitch = width * rng.uniform(0.36, 0.6), sheet.size * rng.uniform(1.4, 1.8)
    while fields and sheet.room > 40:
        row, fields, bottom = fields[:sides], fields[sides:], sheet.y + pitch
        for n, field in enumerate(row):
            bottom = max(bottom, _property(sheet, field, sheet.left + n * width, (tab, width, dots)))
        sheet.y = bottom
    sheet.y += 8


def _property(sheet: FormCanvas, field: Field, x: float, how: tuple[float, float, bool]) -> float:
    """Draw a key and its value at the tab; the y below them."""
    canvas, (tab, width, dots) = sheet.canvas, how
    printed, text = sheet.style.key(field[0]), sheet.filled(field[1])
    key, low = sheet.key((x, sheet.y), printed, tab - 8)
    gap = x + tab - canvas.end(key)
    if dots and gap > 60:
        canvas.text(canvas.end(key) + 6, low - sheet.size * 1.35, "." * int((gap - 20) / canvas.measure(".")))
    span, end = sheet.value((x + tab, sheet.y), text, width - tab - 12) if text else ((), low)
    sheet.add(printed, key, span)
    return max(low, end)


def notes(sheet: FormCanvas, count: int) -> None:
    """Keys with remarks of some lines: beside, going on under the key, or below it."""
    rng = sheet.rng
    for name in rng.sample(TYPED["notes"], count):
        if sheet.room < 120:
            return
        text = ""
        if rng.random() >= sheet.blank:
            text = " ".join(sheet.values.typed("remark") for _ in range(rng.choice((1, 1, 2))))
        printed = sheet.style.key(name + rng.choice(TYPED["note_ends"]))
        if text and rng.random() < 0.4:
            key, y = sheet.key((sheet.left, sheet.y), printed)
            at = (sheet.left + rng.choice((0, 20, 50)), y + 4)
            span, sheet.y = sheet.value(at, text, sheet.width - 50)
            sheet.add(printed, key, span, kind="paragraph")
        else:
            sheet.y = sheet.beside((sheet.left, sheet.y), printed, text)[1]
        sheet.y += rng.randint(6, 20)


def sentences(sheet: FormCanvas, count: int) -> None:
    """Keys that are whole sentences."""
    for name, kind in sheet.rng.sample(TYPED["sentences"], count):
        if sheet.room > 90:
            printed = name if name.endswith("?") else sheet.style.key(name)
            low = sheet.beside((sheet.left, sheet.y), printed, sheet.filled(kind))[1]
            sheet.y = low + sheet.rng.randint(4, 14)


def heading(sheet: FormCanvas) -> None:
    """A section's heading, nobody's key."""
    if sheet.room > 80:
        x, place = sheet.rng.choice(((sheet.left, "left"), (sheet.canvas.width / 2, "center")))
        text = sheet.style.plain(sheet.rng.choice(TYPED["sections"]))
        sheet.canvas.text(x, sheet.y + 4, text, size=sheet.size + 1, align=place)
        sheet.y += sheet.size * 2


def prose(sheet: FormCanvas) -> None:
    """Instructions or a clause that nobody asks about."""
    if sheet.room > 110:
        values, canvas = sheet.values, sheet.canvas
        text = f"{values.phrase(8, 20)}. {values.typed('signer')} {values.phrase(3, 9)}."
        lines = canvas.wrap(text, sheet.width, sheet.small)
        sheet.y = canvas.lines(sheet.left, sheet.y, lines, size=sheet.small)[1] + sheet.rng.randint(4, 16)


def embedded(sheet: FormCanvas) -> None:
    """A clause with blanks filled in: "who says that he is Treasurer of Harlow Corp.".

    Each value's key is what stands before it.
    """
    rng, canvas = sheet.rng, sheet.canvas
    if sheet.room < 140:
        return
    x, y = sheet.left, sheet.y
    for n, (words, kind) in enumerate(rng.sample(TYPED["clauses"], rng.randint(3, 5))):
        text = sheet.values.typed(kind)
        if n and x + canvas.measure(words) + 14 + sheet.width_of(text) > sheet.right:
            x, y = sheet.left, y + sheet.size * 1.9
        key = canvas.text(x, y, words)
        start = canvas.end(key) + 9
        span, low = sheet.value((start, y), text.replace("\n", ", "), max(sheet.right - start, 120))
        sheet.add(words, key, span)
        x, y = sheet.right_of(span) + 10, max(y, low - sheet.size * 1.35)
    sheet.y = y + sheet.size * 2.2


def routing(sheet: FormCanvas) -> None:
    """A line that a fax machine put on top: date, time, numbers, pages."""
    rng, canvas, values = sheet.rng, sheet.canvas, sheet.values
    x, y = 16.0, 6.0
    parts = [values.typed("date"), values.time(), values.typed("phone"), values.company().upper()[:18].strip(), "->"]
    parts += [f"P.{rng.randint(1, 9)}", f"{rng.randint(1, 9):03}/{rng.randint(1, 9):03}"]
    for part in rng.sample(parts, rng.randint(3, 6)):
        if x + canvas.measure(part, 13) < canvas.width - 20:
            x = canvas.end(canvas.text(x, y, part, size=13)) + rng.choice((8, 30, 60))
    sheet.y = max(sheet.y, 30.0)
