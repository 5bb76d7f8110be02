"""Parts of typed business forms: rows, boxes, properties, remarks, sentences, clauses with blanks, headings.

Each function draws its part below ``sheet.y`` and moves it on. Labels are printed, values typed in a second font and
seldom quite on the label's line. Parts that would leave the page are not drawn.
"""

from __future__ import annotations

from layoutllm_tool.training.synthetic.form_canvas import FormCanvas, beside
from layoutllm_tool.training.synthetic.keys import SECTIONS, SENTENCES
from layoutllm_tool.training.synthetic.wording import made, remark, signer


def rows(sheet: FormCanvas, count: int) -> None:
    """Fields one after the other along each row, as many as fit: dense, the next key may follow a value at once."""
    rng, fields = sheet.rng, sheet.fields(count)
    most, gap, pitch = rng.choice((1, 1, 2, 2, 3, 4)), rng.choice((8, 14, 30, 60)), sheet.size * rng.uniform(1.45, 2.6)
    tab = sheet.left + rng.choice((0, 0, 0, 150, 190, 240)) if most == 1 else 0.0
    while fields and sheet.room > 40:
        x, bottom = sheet.left, sheet.y
        for n in range(most):
            if not fields:
                break
            name, kind = fields[0]
            text, printed = sheet.filled(kind), sheet.style.key(name)
            if n and x + sheet.canvas.measure(printed) + 8 + min(sheet.width_of(text), 260) > sheet.right:
                break
            fields.pop(0)
            x, low = beside(sheet, (x, sheet.y), (printed, text), tab)
            x, bottom = x + gap, max(bottom, low)
        sheet.y = max(sheet.y + pitch, bottom + 4)


def boxes(sheet: FormCanvas, count: int) -> None:
    """Ruled cells in two to five columns, a small label at the top left of each, the value under or beside it."""
    rng, canvas, fields = sheet.rng, sheet.canvas, sheet.fields(count)
    columns, inside = rng.choice((2, 3, 3, 4, 5)), rng.random() < 0.2
    width = (sheet.right - sheet.left) / columns
    while fields and sheet.room > 60:
        row, fields, bottom = fields[:columns], fields[columns:], sheet.y
        widths = [width] * len(row) if len(row) == columns else [(sheet.right - sheet.left) / len(row)] * len(row)
        for n, (name, kind) in enumerate(row):
            x = sheet.left + sum(widths[:n])
            printed, text = sheet.style.key(name), sheet.filled(kind)
            key, low = sheet.key(x + 4, sheet.y + 2, printed, widths[n] - 10, sheet.small)
            start = canvas.end(key) + 10
            beside = inside and low < sheet.y + sheet.small * 2 and start + sheet.width_of(text) < x + widths[n]
            at = (start, sheet.y + 2) if beside else (x + rng.choice((6, 6, 20, 36)), low + sheet.lift + 1)
            span, end = sheet.value(*at, text, widths[n] + x - at[0] - 4) if text else ((), low + sheet.size * 1.2)
            sheet.add(printed, key, span)
            bottom = max(bottom, end, low)
        for n in range(len(row)):
            canvas.frame(sheet.left + sum(widths[:n]), sheet.y, sheet.left + sum(widths[: n + 1]), bottom + 3)
        sheet.y = bottom + 4 + (0 if rng.random() < 0.8 else rng.randint(4, 20))


def pairs(sheet: FormCanvas, count: int) -> None:
    """Properties and their values at a tab, in one or two columns, closely under each other; dots between now and then."""
    rng, canvas = sheet.rng, sheet.canvas
    fields = [f for f in sheet.fields(2 * count) if f[1] not in ("remark", "party", "copies", "title")][:count]
    sides, dots = rng.choice((1, 2, 2)), rng.random() < 0.15
    width = (sheet.right - sheet.left) / sides
    tab, pitch = width * rng.uniform(0.36, 0.6), sheet.size * rng.uniform(1.4, 1.8)
    while fields and sheet.room > 40:
        row, fields, bottom = fields[:sides], fields[sides:], sheet.y + pitch
        for n, (name, kind) in enumerate(row):
            x, printed, text = sheet.left + n * width, sheet.style.key(name), sheet.filled(kind)
            key, low = sheet.key(x, sheet.y, printed, tab - 8)
            gap = x + tab - canvas.end(key)
            if dots and gap > 60:
                canvas.text(canvas.end(key) + 6, low - sheet.size * 1.35, "." * int((gap - 20) / canvas.measure(".")))
            span, end = sheet.value(x + tab, sheet.y, text, width - tab - 12) if text else ((), low)
            sheet.add(printed, key, span)
            bottom = max(bottom, low, end)
        sheet.y = bottom
    sheet.y += 8


def notes(sheet: FormCanvas, count: int) -> None:
    """Keys with remarks of some lines: beside, going on under the key, or below it."""
    rng = sheet.rng
    names = (
        "Remarks",
        "Comments",
        "Purpose",
        "Description",
        "Explain",
        "Summary",
        "Background",
        "Objectives",
        "Reason",
        "Results",
        "Action",
        "Recommendation",
        "Message",
    )
    for name in rng.sample(names, count):
        if sheet.room < 120:
            return
        text = "" if rng.random() < sheet.blank else " ".join(remark(sheet.maker) for _ in range(rng.choice((1, 1, 2))))
        printed = sheet.style.key(
            name + rng.choice(("", "", "", " of Change", " and Conclusions", " (use reverse side)"))
        )
        if text and rng.random() < 0.4:
            key, y = sheet.key(sheet.left, sheet.y, printed)
            span, sheet.y = sheet.value(
                sheet.left + rng.choice((0, 20, 50)), y + 4, text, sheet.right - sheet.left - 50
            )
            sheet.add(printed, key, span, kind="paragraph")
        else:
            sheet.y = beside(sheet, (sheet.left, sheet.y), (printed, text))[1]
        sheet.y += rng.randint(6, 20)


def sentences(sheet: FormCanvas, count: int) -> None:
    """Keys that are whole sentences."""
    for name, kind in sheet.rng.sample(SENTENCES, count):
        if sheet.room > 90:
            printed = name if name.endswith("?") else sheet.style.key(name)
            sheet.y = beside(sheet, (sheet.left, sheet.y), (printed, sheet.filled(kind)))[1] + sheet.rng.randint(4, 14)


def heading(sheet: FormCanvas) -> None:
    """A section's heading, nobody's key."""
    if sheet.room > 80:
        x, place = sheet.rng.choice(((sheet.left, "left"), (sheet.canvas.width / 2, "center")))
        sheet.canvas.text(
            x, sheet.y + 4, sheet.style.plain(sheet.rng.choice(SECTIONS)), size=sheet.size + 1, align=place
        )
        sheet.y += sheet.size * 2


def prose(sheet: FormCanvas) -> None:
    """Instructions or a clause that nobody asks about."""
    if sheet.room > 110:
        text = f"{sheet.maker.phrase(8, 20)}. {signer(sheet.maker)} {sheet.maker.phrase(3, 9)}."
        _, sheet.y = sheet.canvas.lines(
            sheet.left, sheet.y, sheet.canvas.wrap(text, sheet.right - sheet.left, sheet.small), size=sheet.small
        )
        sheet.y += sheet.rng.randint(4, 16)


def embedded(sheet: FormCanvas) -> None:
    """A clause with blanks filled in: "who says that he is Treasurer of Harlow Corp."; each value's key is what stands before it."""
    rng, canvas, maker = sheet.rng, sheet.canvas, sheet.maker
    if sheet.room < 140:
        return
    parts = rng.sample((("State of", "state"), ("County of", "place"), ("being first sworn, states that he is", "role"), ("acting on behalf of", "company"), ("signed before me on", "date"),
                        ("I hereby appoint", "person"), ("for the period of", "months"), ("in the sum of", "money"), ("known to me as", "person"), ("residing at", "place")), rng.randint(3, 5))  # fmt: skip
    x, y = sheet.left, sheet.y
    for n, (words, kind) in enumerate(parts):
        text = made(maker, kind)
        wide = canvas.measure(words) + 14 + sheet.width_of(text)
        if n and x + wide > sheet.right:
            x, y = sheet.left, y + sheet.size * 1.9
        key = canvas.text(x, y, words)
        span, low = sheet.value(
            canvas.end(key) + 9, y, text.replace("\n", ", "), max(sheet.right - canvas.end(key) - 9, 120)
        )
        sheet.add(words, key, span)
        x, y = max(canvas.inks[i].box[2] for i in span) + 10, max(y, low - sheet.size * 1.35)
    sheet.y = y + sheet.size * 2.2


def routing(sheet: FormCanvas) -> None:
    """A line that a fax machine put on top: date, time, numbers, pages."""
    rng, canvas, maker = sheet.rng, sheet.canvas, sheet.maker
    x, y = 16.0, 6.0
    parts = [
        made(maker, "date"),
        maker.time(),
        made(maker, "phone"),
        maker.company().upper()[:18].strip(),
        "->",
        f"P.{rng.randint(1, 9)}",
        f"{rng.randint(1, 9):03}/{rng.randint(1, 9):03}",
    ]
    for part in rng.sample(parts, rng.randint(3, 6)):
        if x + canvas.measure(part, 13) < canvas.width - 20:
            x = canvas.end(canvas.text(x, y, part, size=13)) + rng.choice((8, 30, 60))
    sheet.y = max(sheet.y, 30.0)
