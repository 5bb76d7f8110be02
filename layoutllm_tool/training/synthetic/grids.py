"""Parts of typed forms where place tells what belongs together: columns, options to tick, signatures.

Each function draws below ``sheet.y`` and moves it on; a part that has no room is not drawn.
"""

from __future__ import annotations

from layoutllm_tool.training.synthetic.canvas import Span
from layoutllm_tool.training.synthetic.form_canvas import FormCanvas
from layoutllm_tool.training.synthetic.vocabulary import TYPED, questions_about

_WIDE = ("remark", "party", "copies", "title", "persons", "brands", "areas")
"""Kinds of values that no column is wide enough for."""


def signatures(sheet: FormCanvas, count: int) -> None:
    """Values on a line with the label under it."""
    rng, canvas = sheet.rng, sheet.canvas
    width = sheet.width / count
    if sheet.room < 110:
        return
    y = sheet.y + sheet.size * 2
    for n, (name, kind) in enumerate(rng.sample(TYPED["signatures"], count)):
        x, printed = sheet.left + n * width, sheet.style.plain(name)
        text = "" if rng.random() < sheet.blank + 0.1 else sheet.values.typed(kind)
        text = text if sheet.width_of(text) < width - 14 else text.split()[0][:8].strip(".,-(") or "X"
        span: Span = ()
        if text:
            above = y - sheet.size * 1.25
            span = canvas.text(x + rng.randint(0, 12), above, text, size=sheet.typed_size, typed=True)
        canvas.rule(x, y, x + width - 24, y)
        key = canvas.text(x + rng.choice((0, 0, 20)), y + 3, printed, size=sheet.small)
        sheet.add(printed, key, span)
    sheet.y = y + sheet.size * 2


def choices(sheet: FormCanvas, count: int) -> None:
    """Prompts with options, some ticked: a box read as a sign, an X on a line, or brackets."""
    rng, canvas = sheet.rng, sheet.canvas
    boxed, after = rng.random() < 0.5, rng.random() < 0.15
    signs = rng.choice(TYPED["ticks"]) if boxed else (rng.choice(("X", "x", "XX")), "")
    tab = 0.0
    if rng.random() < 0.5:
        tab = sheet.left + max(canvas.measure(sheet.style.key(p)) for p, _ in TYPED["choices"][:12]) + 10
    for prompt, options in rng.sample(TYPED["choices"], count):
        if sheet.room < 40:
            return
        printed = sheet.style.plain(prompt) if prompt.endswith("?") else sheet.style.key(prompt)
        key, _ = sheet.key((sheet.left, sheet.y), printed)
        ticked = _options(sheet, max(canvas.end(key) + 18, tab), options, (*signs, after))
        sheet.add(printed, key, ticked)
        sheet.y += sheet.size * rng.uniform(1.5, 2.2)


def _options(sheet: FormCanvas, x: float, options: list[str], how: tuple[str, str, bool]) -> Span:
    """Draw options with their marks as far as there is room; the words of the ticked one."""
    canvas, (on, off, after) = sheet.canvas, how
    chosen, ticked = sheet.rng.randrange(len(options) + 1), ()
    for n, option in enumerate(options):
        text = sheet.style.plain(option)
        wide = canvas.measure(text) + sheet.size * 2.6
        if x + wide > sheet.right:
            break
        sign = on if n == chosen else off
        if after:
            name = canvas.text(x, sheet.y, text)
            mark = _mark(sheet, canvas.end(name) + 8, sign, n == chosen)
        else:
            mark = _mark(sheet, x, sign, n == chosen)
            name = canvas.text(x + sheet.size * 1.7, sheet.y, text)
        sheet.add(text, name, mark)
        ticked = name if n == chosen else ticked
        x += wide + sheet.rng.choice((10, 24, 40))
    return ticked


def _mark(sheet: FormCanvas, x: float, sign: str, ticked: bool) -> Span:
    if not sign:
        sheet.canvas.rule(x, sheet.y + sheet.size + 1, x + sheet.size * 1.5, sheet.y + sheet.size + 1)
        return ()
    if sign in "☑☐☒":
        return sheet.canvas.mark(x, sheet.y, sign, ticked=ticked)
    return sheet.canvas.text(x, sheet.y, sign, size=sheet.size - 1, typed=True)


def columns(sheet: FormCanvas, count: int) -> None:
    """Headers with values under them: one row, or a few with or without labels."""
    rng = sheet.rng
    fields = [field for field in sheet.fields(2 * count) if field[1] not in _WIDE][:count]
    rowed = rng.choice((1, 1, 1, 2, 3, 4))
    labels = [sheet.style.plain(n) for n, _ in sheet.fields(rowed)] if rng.random() < 0.4 else []
    left = sheet.left + (190 if labels else 0)
    width = (sheet.right - left) / max(len(fields), 1)
    if sheet.room < 60 + 24 * rowed or width < 70 or not fields:
        return
    heads, y = [], sheet.y
    for n, (name, kind) in enumerate(fields):
        printed = sheet.style.plain(name)
        key, end = sheet.key((left + n * width + 3, sheet.y), printed, width - 12, sheet.small)
        heads.append((printed, kind, key))
        y = max(y, end)
    y += 3
    for r in range(rowed):
        label = labels[r] if labels else ""
        bottom = _table_row(sheet, heads, (left, y, width), (r, label, rowed == 1))
        if rng.random() < 0.4:
            sheet.canvas.rule(sheet.left, y - 2, sheet.right, y - 2)
        y = bottom + rng.choice((2, 6, 10))
    sheet.y = y + 4


def _table_row(
    sheet: FormCanvas, heads: list[tuple[str, str, Span]], at: tuple[float, float, float], row: tuple[int, str, bool]
) -> float:
    """Draw a row of values, with its label if it has one; the y below it."""
    rng, (left, y, width), (number, label, alone) = sheet.rng, at, row
    label_span, bottom = sheet.key((sheet.left, y), label, 182, sheet.small) if label else ((), y)
    for n, (name, kind, key) in enumerate(heads):
        text = sheet.filled(kind)
        span, end = (), y + sheet.size * 1.3
        if text:
            span, end = sheet.value((left + n * width + 3 + rng.choice((0, 0, 10)), y), text, width - 18)
        bottom = max(bottom, end)
        if label:
            _cell(sheet, label, name, span, key=label_span)
        elif alone:
            sheet.add(name, key, span)
        elif span and n:
            _cell(sheet, ("first", "second", "third", "fourth")[number], name, span)
    return bottom


def _cell(sheet: FormCanvas, row: str, column: str, value: Span, key: Span = ()) -> None:
    """Note a cell: asked by its row's label, or by the number of its row where that has none."""
    questions = questions_about("typed_cell" if key else "row_cell", row=row, column=column)
    sheet.canvas.unprinted(f"{row} {column}", value, "table", key=key, questions=questions)
