"""Parts of typed business forms: rows, boxes, lines with the label underneath, choices, columns, remarks, sentences.

Each function draws its part below ``sheet.y`` and moves it on. Labels are printed, values typed in a second font and
seldom quite on the label's line. Parts that would leave the page are not drawn.
"""

from __future__ import annotations

from random import Random

from layoutllm_tool.training.factory.layouts import Style
from layoutllm_tool.training.factory.render import Canvas, Fact, Span
from layoutllm_tool.training.factory.values import Maker
from layoutllm_tool.training.factory.vocabulary import CHOICES, SECTIONS, SENTENCES, chosen
from layoutllm_tool.training.factory.wording import made, remark, signer

Field = tuple[str, str]
"""A key and the kind of its value."""


class Sheet:
    """A page being filled from top to bottom; all its parts share margins, sizes, ways of printing keys, and facts."""

    def __init__(self, canvas: Canvas, maker: Maker, theme: str) -> None:
        rng = canvas.rng
        self.canvas, self.maker, self.theme, self.rng = canvas, maker, theme, rng
        self.style = Style(rng)
        self.facts: list[Fact] = []
        self.left, self.right = float(rng.randint(30, 90)), canvas.width - float(rng.randint(30, 90))
        self.y = float(rng.randint(14, 70))
        self.size = canvas.size
        self.small = max(self.size - rng.choice((0, 2, 3, 4)), 12)
        self.typed_size = self.size + rng.choice((-1, 0, 0, 1))
        self.blank = rng.choice((0.05, 0.12, 0.2, 0.35))
        self.lift = rng.choice((0, 0, 1, 3))
        self.ruled = rng.random() < 0.5
        self.upper = rng.random() < 0.2

    @property
    def room(self) -> float:
        """Pixels left above the page's foot."""
        return self.canvas.height - 50 - self.y

    def fields(self, count: int) -> list[Field]:
        return chosen(self.theme, self.rng, count)

    def key(self, x: float, y: float, text: str, width: float = 0.0, size: int = 0) -> tuple[Span, float]:
        """A printed label, wrapped to ``width`` if there is one; the y below it."""
        lines = self.canvas.wrap(text, width, size or self.size) if width else [text]
        return self.canvas.lines(x, y, lines, size=size or self.size)

    def value(self, x: float, y: float, text: str, width: float) -> tuple[Span, float]:
        """A typed value in lines no wider than ``width``, a little off the line; the y below it."""
        text = text.upper() if self.upper else text
        size = self.typed_size
        lines = [part for line in text.split("\n") for part in self.canvas.wrap(line, width, size, typed=True)]
        return self.canvas.lines(x, y - self.rng.randint(0, self.lift), lines, size=size, typed=True)

    def filled(self, kind: str) -> str:
        return "" if self.rng.random() < self.blank else made(self.maker, kind)

    def width_of(self, text: str) -> float:
        return max(self.canvas.measure(line, self.typed_size, typed=True) for line in text.split("\n")) * (
            1.06 if not self.upper else 1.4
        )

    def add(self, name: str, key: Span, value: Span, **more: object) -> None:
        self.facts.append(Fact(name, key, value, **more))  # type: ignore[arg-type]


def rows(sheet: Sheet, count: int) -> None:
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
            x, low = _beside(sheet, (x, sheet.y), (printed, text), tab)
            x, bottom = x + gap, max(bottom, low)
        sheet.y = max(sheet.y + pitch, bottom + 4)


def _beside(sheet: Sheet, at: tuple[float, float], what: tuple[str, str], tab: float = 0.0) -> tuple[float, float]:
    """Key and value at a place: the right end and the y below. A long value goes on under itself or at the margin."""
    (x, y), (name, text), rng, canvas = at, what, sheet.rng, sheet.canvas
    key, low = sheet.key(x, y, name, max(sheet.right - x - 60, 120) if x == sheet.left else 0.0)
    y = low - sheet.size * 1.35
    start = max(canvas.end(key) + rng.choice((4, 8, 8, 14, 30)), tab)
    if start > sheet.right - 110 and text:
        start, y = x + 20, low
    width = max(sheet.right - start, 60)
    if not text:
        stop = min(start + rng.randint(60, 160), sheet.right)
        if sheet.ruled:
            canvas.rule(start, y + sheet.size, stop, y + sheet.size)
        sheet.add(name, key, ())
        return stop, low
    if sheet.width_of(text) > width and x == sheet.left and not tab and "\n" not in text and rng.random() < 0.5:
        span, end = _flowing(sheet, (start, y), text)
    else:
        span, end = sheet.value(start, y, text, width)
    sheet.add(name, key, span)
    right = max(canvas.inks[n].box[2] for n in span)
    if sheet.ruled:
        canvas.rule(start, y + sheet.size + 1, right + rng.choice((2, 20)), y + sheet.size + 1)
    return right, max(end, low)


def _flowing(sheet: Sheet, at: tuple[float, float], text: str) -> tuple[Span, float]:
    """A value that goes on at the left margin, under its key."""
    canvas, (x, y) = sheet.canvas, at
    text = text.upper() if sheet.upper else text
    first = canvas.wrap(text, max(sheet.right - x, 80), sheet.typed_size, typed=True)[0]
    head = canvas.text(x, y, first, size=sheet.typed_size, typed=True)
    rest = text[len(first) :].strip()
    tail, y = canvas.lines(sheet.left, y + sheet.size * 1.5, canvas.wrap(rest, sheet.right - sheet.left, sheet.typed_size, typed=True) if rest else [],
                           size=sheet.typed_size, typed=True)  # fmt: skip
    return head + tail, y


def boxes(sheet: Sheet, count: int) -> None:
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


def signatures(sheet: Sheet, count: int) -> None:
    """Values on a line with the label under it."""
    rng, canvas = sheet.rng, sheet.canvas
    width = (sheet.right - sheet.left) / count
    if sheet.room < 110:
        return
    names = rng.sample(("Signature", "Date", "Title", "Name", "Manager", "Area/Region", "Approved", "Witness", "Department", "Technician", "Location", "Chairman",
                        "Requested by", "Authorized by", "Print name", "Code", "Auditor", "For the company", "Telephone"), count)  # fmt: skip
    kinds = {
        "Date": "date",
        "Title": "role",
        "Department": "department",
        "Location": "place",
        "Code": "ref",
        "Telephone": "phone",
        "Area/Region": "tiny",
    }
    y = sheet.y + sheet.size * 2
    for n, name in enumerate(names):
        x, printed = sheet.left + n * width, sheet.style.plain(name)
        text = "" if rng.random() < sheet.blank + 0.1 else made(sheet.maker, kinds.get(name, "signer"))
        text = text if sheet.width_of(text) < width - 14 else text.split()[0][:8].strip(".,-(") or "X"
        span = (
            canvas.text(x + rng.randint(0, 12), y - sheet.size * 1.25, text, size=sheet.typed_size, typed=True)
            if text
            else ()
        )
        canvas.rule(x, y, x + width - 24, y)
        key = canvas.text(x + rng.choice((0, 0, 20)), y + 3, printed, size=sheet.small)
        sheet.add(printed, key, span)
    sheet.y = y + sheet.size * 2


def choices(sheet: Sheet, count: int) -> None:
    """Prompts with options, some ticked: by a box read as a sign, an X on a line, or brackets. A mark may stand before its option."""
    rng, canvas = sheet.rng, sheet.canvas
    boxed, after = rng.random() < 0.5, rng.random() < 0.15
    on, off = (
        rng.choice((("☑", "☐"), ("☑", "☐"), ("X", "☐"), ("[X]", "[ ]"), ("☒", "☐")))
        if boxed
        else (rng.choice(("X", "x", "XX")), "")
    )
    tab = (
        sheet.left + max(canvas.measure(sheet.style.key(p)) for p, _ in CHOICES[:12]) + 10
        if rng.random() < 0.5
        else 0.0
    )
    for prompt, options in rng.sample(CHOICES, count):
        if sheet.room < 40:
            return
        printed = sheet.style.key(prompt) if not prompt.endswith("?") else sheet.style.plain(prompt)
        key, _ = sheet.key(sheet.left, sheet.y, printed)
        x, chosen_one = max(canvas.end(key) + 18, tab), rng.randrange(len(options) + 1)
        ticked: Span = ()
        for n, option in enumerate(options):
            text = sheet.style.plain(option)
            wide = canvas.measure(text) + sheet.size * 2.6
            if x + wide > sheet.right:
                break
            sign = on if n == chosen_one else off
            if after:
                name = canvas.text(x, sheet.y, text)
                mark = _mark(sheet, canvas.end(name) + 8, sign, n == chosen_one)
            else:
                mark = _mark(sheet, x, sign, n == chosen_one)
                name = canvas.text(x + sheet.size * 1.7, sheet.y, text)
            sheet.add(text, name, mark)
            ticked = name if n == chosen_one else ticked
            x += wide + rng.choice((10, 24, 40))
        sheet.add(printed, key, ticked)
        sheet.y += sheet.size * rng.uniform(1.5, 2.2)


def _mark(sheet: Sheet, x: float, sign: str, ticked: bool) -> Span:
    if not sign:
        sheet.canvas.rule(x, sheet.y + sheet.size + 1, x + sheet.size * 1.5, sheet.y + sheet.size + 1)
        return ()
    if sign in "☑☐☒":
        return sheet.canvas.mark(x, sheet.y, sign, ticked=ticked)
    return sheet.canvas.text(x, sheet.y, sign, size=sheet.size - 1, typed=True)


def columns(sheet: Sheet, count: int) -> None:
    """Headers with values under them: one row (asked by its header), or a few with row labels (asked by row and column)."""
    rng, canvas = sheet.rng, sheet.canvas
    fields = [
        (n, k)
        for n, k in sheet.fields(2 * count)
        if k not in ("remark", "party", "copies", "title", "persons", "brands", "areas")
    ][:count]
    rowed = rng.choice((1, 1, 1, 2, 3, 4))
    labels = [sheet.style.plain(n) for n, _ in sheet.fields(rowed)] if rng.random() < 0.4 else []
    left = sheet.left + (190 if labels else 0)
    width = (sheet.right - left) / max(len(fields), 1)
    if sheet.room < 60 + 24 * rowed or width < 70 or not fields:
        return
    keys, low = [], sheet.y
    for n, (name, _) in enumerate(fields):
        span, end = sheet.key(left + n * width + 3, sheet.y, sheet.style.plain(name), width - 12, sheet.small)
        keys, low = [*keys, span], max(low, end)
    y = low + 3
    for r in range(rowed):
        if labels:
            label, bottom = sheet.key(sheet.left, y, labels[r], 182, sheet.small)
        bottom = bottom if labels else y
        for n, (name, kind) in enumerate(fields):
            text = sheet.filled(kind)
            span, end = (
                sheet.value(left + n * width + 3 + rng.choice((0, 0, 10)), y, text, width - 18)
                if text
                else ((), y + sheet.size * 1.3)
            )
            bottom = max(bottom, end)
            if labels:
                sheet.facts.append(_cell(labels[r], sheet.style.plain(name), label, span))
            elif rowed == 1:
                sheet.add(sheet.style.plain(name), keys[n], span)
            elif span and n:
                _by_first(sheet, (fields[0][0], name), sheet.facts, span, r)
        if rng.random() < 0.4:
            canvas.rule(sheet.left, y - 2, sheet.right, y - 2)
        y = bottom + rng.choice((2, 6, 10))
    sheet.y = y + 4


def _cell(row: str, column: str, key: Span, value: Span) -> Fact:
    forms = (
        f'What is the "{column}" of "{row}"?',
        f'What is the content in the "{column}" field of "{row}"?',
        f'What stands in row "{row}", column "{column}"?',
    )
    return Fact(f"{row} {column}", key, value, "table", questions=forms, printed=False)


def _by_first(sheet: Sheet, names: tuple[str, str], facts: list[Fact], value: Span, row: int) -> None:
    """A cell of a table without row labels: asked by the number of its row."""
    number, column = ("first", "second", "third", "fourth")[row], sheet.style.plain(names[1])
    forms = (f'What is the "{column}" in the {number} row?', f'What is the {number} entry under "{column}"?')
    facts.append(Fact(f"{number} {column}", (), value, "table", questions=forms, printed=False))


def pairs(sheet: Sheet, count: int) -> None:
    """Properties and their values at a tab, in one or two columns, closely under each other; dots between now and then."""
    rng, canvas = sheet.rng, sheet.canvas
    fields = [f for f in sheet.fields(2 * count) if f[1] not in ("remark", "party", "copies", "title")][:count]
    sides, dots = rng.choice((1, 2, 2)), rng.random() < 0.15
    width = (sheet.right - sheet.left) / sides
    tab, pitch = width * rng.uniform(0.45, 0.6), sheet.size * rng.uniform(1.4, 1.8)
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


def notes(sheet: Sheet, count: int) -> None:
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
            sheet.y = _beside(sheet, (sheet.left, sheet.y), (printed, text))[1]
        sheet.y += rng.randint(6, 20)


def sentences(sheet: Sheet, count: int) -> None:
    """Keys that are whole sentences."""
    for name, kind in sheet.rng.sample(SENTENCES, count):
        if sheet.room > 90:
            printed = name if name.endswith("?") else sheet.style.key(name)
            sheet.y = _beside(sheet, (sheet.left, sheet.y), (printed, sheet.filled(kind)))[1] + sheet.rng.randint(4, 14)


def heading(sheet: Sheet) -> None:
    """A section's heading, nobody's key."""
    if sheet.room > 80:
        x, place = sheet.rng.choice(((sheet.left, "left"), (sheet.canvas.width / 2, "center")))
        sheet.canvas.text(
            x, sheet.y + 4, sheet.style.plain(sheet.rng.choice(SECTIONS)), size=sheet.size + 1, align=place
        )
        sheet.y += sheet.size * 2


def prose(sheet: Sheet) -> None:
    """Instructions or a clause that nobody asks about."""
    if sheet.room > 110:
        text = f"{sheet.maker.phrase(8, 20)}. {signer(sheet.maker)} {sheet.maker.phrase(3, 9)}."
        _, sheet.y = sheet.canvas.lines(
            sheet.left, sheet.y, sheet.canvas.wrap(text, sheet.right - sheet.left, sheet.small), size=sheet.small
        )
        sheet.y += sheet.rng.randint(4, 16)


def embedded(sheet: Sheet) -> None:
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


def routing(sheet: Sheet) -> None:
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
