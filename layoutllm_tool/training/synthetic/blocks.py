"""Parts of typed business forms: rows, boxes, properties, remarks, sentences, clauses with blanks, headings.

Each function draws its part below ``form.y`` and moves it on. Labels are printed, values typed in a second
font and seldom quite on the label's line. Parts that would leave the page are not drawn.
"""

from __future__ import annotations

from itertools import pairwise

from layoutllm_tool.training.synthetic.form_canvas import Field, FormCanvas
from layoutllm_tool.training.synthetic.vocabulary import TYPED


def rows(form: FormCanvas, count: int) -> None:
    """Fields one after the other along each row, as many as fit."""
    rng, fields = form.rng, form.fields(count)
    most, gap = rng.choice((1, 1, 2, 2, 3, 4)), rng.choice((8, 14, 30, 60))
    pitch = form.size * rng.uniform(1.45, 2.6)
    tab = form.left + rng.choice((0, 0, 0, 150, 190, 240)) if most == 1 else 0.0
    while fields and form.room > 40:
        bottom = _row(form, fields, most, gap, tab)
        form.y = max(form.y + pitch, bottom + 4)


def _row(form: FormCanvas, fields: list[Field], most: int, gap: int, tab: float) -> float:
    """Draw up to ``most`` of the fields and take them off the list; the y below them."""
    x, bottom = form.left, form.y
    for n in range(most):
        if not fields:
            break
        name, kind = fields[0]
        text, printed = form.filled(kind), form.style.key(name)
        if n and x + form.canvas.measure(printed) + 8 + min(form.width_of(text), 260) > form.right:
            break
        fields.pop(0)
        x, low = form.beside((x, form.y), printed, text, tab)
        x, bottom = x + gap, max(bottom, low)
    return bottom


def boxes(form: FormCanvas, count: int) -> None:
    """Ruled cells in two to five columns: a small label at the top left, the value under or beside it."""
    rng, fields = form.rng, form.fields(count)
    columns, inside = rng.choice((2, 3, 3, 4, 5)), rng.random() < 0.2
    while fields and form.room > 60:
        row, fields = fields[:columns], fields[columns:]
        width = form.width / len(row)
        edges = [form.left + sum([width] * n) for n in range(len(row) + 1)]
        bottom = max(_box(form, field, x, width, inside) for field, x in zip(row, edges, strict=False))
        for x, stop in pairwise(edges):
            form.canvas.frame(x, form.y, stop, bottom + 3)
        form.y = bottom + 4 + (0 if rng.random() < 0.8 else rng.randint(4, 20))


def _box(form: FormCanvas, field: Field, x: float, width: float, inside: bool) -> float:
    """Draw a label and its value in a cell; the y below them."""
    printed, text = form.style.key(field[0]), form.filled(field[1])
    key, low = form.key((x + 4, form.y + 2), printed, width - 10, form.small)
    start = form.canvas.end(key) + 10
    if inside and low < form.y + form.small * 2 and start + form.width_of(text) < x + width:
        at = (start, form.y + 2)
    else:
        at = (x + form.rng.choice((6, 6, 20, 36)), low + form.lift + 1)
    span, end = form.value(at, text, width + x - at[0] - 4) if text else ((), low + form.size * 1.2)
    form.add(printed, key, span)
    return max(end, low)


def pairs(form: FormCanvas, count: int) -> None:
    """Properties and their values at a tab, in one or two columns, perhaps with dots between."""
    rng = form.rng
    fields = [f for f in form.fields(2 * count) if f[1] not in ("remark", "party", "copies", "title")][:count]
    sides, dots = rng.choice((1, 2, 2)), rng.random() < 0.15
    width = form.width / sides
    tab, pitch = width * rng.uniform(0.36, 0.6), form.size * rng.uniform(1.4, 1.8)
    while fields and form.room > 40:
        row, fields, bottom = fields[:sides], fields[sides:], form.y + pitch
        for n, field in enumerate(row):
            bottom = max(bottom, _property(form, field, form.left + n * width, (tab, width, dots)))
        form.y = bottom
    form.y += 8


def _property(form: FormCanvas, field: Field, x: float, how: tuple[float, float, bool]) -> float:
    """Draw a key and its value at the tab; the y below them."""
    canvas, (tab, width, dots) = form.canvas, how
    printed, text = form.style.key(field[0]), form.filled(field[1])
    key, low = form.key((x, form.y), printed, tab - 8)
    gap = x + tab - canvas.end(key)
    if dots and gap > 60:
        canvas.text(canvas.end(key) + 6, low - form.size * 1.35, "." * int((gap - 20) / canvas.measure(".")))
    span, end = form.value((x + tab, form.y), text, width - tab - 12) if text else ((), low)
    form.add(printed, key, span)
    return max(low, end)


def notes(form: FormCanvas, count: int) -> None:
    """Keys with remarks of some lines: beside, going on under the key, or below it."""
    rng = form.rng
    for name in rng.sample(TYPED["notes"], count):
        if form.room < 120:
            return
        text = ""
        if rng.random() >= form.blank:
            text = " ".join(form.values.typed("remark") for _ in range(rng.choice((1, 1, 2))))
        printed = form.style.key(name + rng.choice(TYPED["note_ends"]))
        if text and rng.random() < 0.4:
            key, y = form.key((form.left, form.y), printed)
            at = (form.left + rng.choice((0, 20, 50)), y + 4)
            span, form.y = form.value(at, text, form.width - 50)
            form.add(printed, key, span, kind="paragraph")
        else:
            form.y = form.beside((form.left, form.y), printed, text)[1]
        form.y += rng.randint(6, 20)


def sentences(form: FormCanvas, count: int) -> None:
    """Keys that are whole sentences."""
    for name, kind in form.rng.sample(TYPED["sentences"], count):
        if form.room > 90:
            printed = name if name.endswith("?") else form.style.key(name)
            low = form.beside((form.left, form.y), printed, form.filled(kind))[1]
            form.y = low + form.rng.randint(4, 14)


def heading(form: FormCanvas) -> None:
    """Draw a section's heading, which is no key."""
    if form.room > 80:
        x, place = form.rng.choice(((form.left, "left"), (form.canvas.width / 2, "center")))
        text = form.style.plain(form.rng.choice(TYPED["sections"]))
        form.canvas.text(x, form.y + 4, text, size=form.size + 1, align=place)
        form.y += form.size * 2


def prose(form: FormCanvas) -> None:
    """Draw instructions or a clause about which there are no questions."""
    if form.room > 110:
        values, canvas = form.values, form.canvas
        text = f"{values.phrase(8, 20)}. {values.typed('signer')} {values.phrase(3, 9)}."
        end = canvas.block(form.left, form.y, text, form.width, size=form.small)[1]
        form.y = end + form.rng.randint(4, 16)


def embedded(form: FormCanvas) -> None:
    """A clause with blanks filled in. Each value's key is what stands before it."""
    rng, canvas = form.rng, form.canvas
    if form.room < 140:
        return
    x, y = form.left, form.y
    for n, (words, kind) in enumerate(rng.sample(TYPED["clauses"], rng.randint(3, 5))):
        text = form.values.typed(kind)
        if n and x + canvas.measure(words) + 14 + form.width_of(text) > form.right:
            x, y = form.left, y + form.size * 1.9
        key = canvas.text(x, y, words)
        start = canvas.end(key) + 9
        span, low = form.value((start, y), text.replace("\n", ", "), max(form.right - start, 120))
        form.add(words, key, span)
        x, y = form.right_of(span) + 10, max(y, low - form.size * 1.35)
    form.y = y + form.size * 2.2


def routing(form: FormCanvas) -> None:
    """Draw the line that a fax machine prints on top: date, time, numbers, pages."""
    rng, canvas, values = form.rng, form.canvas, form.values
    x, y = 16.0, 6.0
    parts = [values.typed("date"), values.time(), values.typed("phone")]
    parts += [
        values.company().upper()[:18].strip(),
        "->",
        f"P.{rng.randint(1, 9)}",
        f"{rng.randint(1, 9):03}/{rng.randint(1, 9):03}",
    ]
    for part in rng.sample(parts, rng.randint(3, 6)):
        if x + canvas.measure(part, 13) < canvas.width - 20:
            x = canvas.end(canvas.text(x, y, part, size=13)) + rng.choice((8, 30, 60))
    form.y = max(form.y, 30.0)
