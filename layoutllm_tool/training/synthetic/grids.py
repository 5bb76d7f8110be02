"""Parts of typed forms where place tells what belongs together: columns, options to tick, signatures.

Each function draws below ``form.y`` and moves it on; a part that has no room is not drawn.
"""

from __future__ import annotations

from layoutllm_tool.training.synthetic.canvas import Span
from layoutllm_tool.training.synthetic.form_canvas import FormCanvas
from layoutllm_tool.training.synthetic.vocabulary import TYPED, questions_about

_WIDE = ("remark", "party", "copies", "title", "persons", "brands", "areas")
"""Kinds of values that no column is wide enough for."""
Heads = list[tuple[str, str, Span]]
"""Columns: the name as printed, the kind of its values, where the name stands."""


def signatures(form: FormCanvas, count: int) -> None:
    """Values on a line with the label under it."""
    rng, canvas = form.rng, form.canvas
    width = form.width / count
    if form.room < 110:
        return
    y = form.y + form.size * 2
    for n, (name, kind) in enumerate(rng.sample(TYPED["signatures"], count)):
        x, printed = form.left + n * width, form.style.plain(name)
        text = "" if rng.random() < form.blank + 0.1 else form.values.typed(kind)
        text = text if form.width_of(text) < width - 14 else text.split()[0][:8].strip(".,-(") or "X"
        span: Span = ()
        if text:
            above = y - form.size * 1.25
            span = canvas.text(x + rng.randint(0, 12), above, text, size=form.typed_size, typed=True)
        canvas.rule(x, y, x + width - 24, y)
        key = canvas.text(x + rng.choice((0, 0, 20)), y + 3, printed, size=form.small)
        form.add(printed, key, span)
    form.y = y + form.size * 2


def choices(form: FormCanvas, count: int) -> None:
    """Prompts with options, some ticked: a box read as a sign, an X on a line, or brackets."""
    rng, canvas = form.rng, form.canvas
    boxed, after = rng.random() < 0.5, rng.random() < 0.15
    signs = rng.choice(TYPED["ticks"]) if boxed else (rng.choice(("X", "x", "XX")), "")
    tab = 0.0
    if rng.random() < 0.5:
        tab = form.left + max(canvas.measure(form.style.key(p)) for p, _ in TYPED["choices"][:12]) + 10
    for prompt, options in rng.sample(TYPED["choices"], count):
        if form.room < 40:
            return
        printed = form.style.plain(prompt) if prompt.endswith("?") else form.style.key(prompt)
        key, _ = form.key((form.left, form.y), printed)
        ticked = _options(form, max(canvas.end(key) + 18, tab), options, (*signs, after))
        form.add(printed, key, ticked)
        form.y += form.size * rng.uniform(1.5, 2.2)


def _options(form: FormCanvas, x: float, options: list[str], how: tuple[str, str, bool]) -> Span:
    """Draw options with their marks as far as there is room; the words of the ticked one."""
    canvas, (on, off, after) = form.canvas, how
    ticked: Span = ()
    chosen = form.rng.randrange(len(options) + 1)
    for n, option in enumerate(options):
        text = form.style.plain(option)
        wide = canvas.measure(text) + form.size * 2.6
        if x + wide > form.right:
            break
        sign = on if n == chosen else off
        if after:
            name = canvas.text(x, form.y, text)
            mark = _mark(form, canvas.end(name) + 8, sign, n == chosen)
        else:
            mark = _mark(form, x, sign, n == chosen)
            name = canvas.text(x + form.size * 1.7, form.y, text)
        form.add(text, name, mark)
        ticked = name if n == chosen else ticked
        x += wide + form.rng.choice((10, 24, 40))
    return ticked


def _mark(form: FormCanvas, x: float, sign: str, ticked: bool) -> Span:
    if not sign:
        form.canvas.rule(x, form.y + form.size + 1, x + form.size * 1.5, form.y + form.size + 1)
        return ()
    if sign in "☑☐☒":
        return form.canvas.mark(x, form.y, sign, ticked=ticked)
    return form.canvas.text(x, form.y, sign, size=form.size - 1, typed=True)


def columns(form: FormCanvas, count: int) -> None:
    """Headers with values under them: one row, or a few with or without labels."""
    rng = form.rng
    fields = [field for field in form.fields(2 * count) if field[1] not in _WIDE][:count]
    rowed = rng.choice((1, 1, 1, 2, 3, 4))
    labels = [form.style.plain(n) for n, _ in form.fields(rowed)] if rng.random() < 0.4 else []
    left = form.left + (190 if labels else 0)
    width = (form.right - left) / max(len(fields), 1)
    if form.room < 60 + 24 * rowed or width < 70 or not fields:
        return
    heads: Heads = []
    y = form.y
    for n, (name, kind) in enumerate(fields):
        printed = form.style.plain(name)
        key, end = form.key((left + n * width + 3, form.y), printed, width - 12, form.small)
        heads.append((printed, kind, key))
        y = max(y, end)
    y += 3
    for r in range(rowed):
        label = labels[r] if labels else ""
        number = "" if rowed == 1 else ("first", "second", "third", "fourth")[r]
        bottom = _table_row(form, heads, (left, y, width), (label, number))
        if rng.random() < 0.4:
            form.canvas.rule(form.left, y - 2, form.right, y - 2)
        y = bottom + rng.choice((2, 6, 10))
    form.y = y + 4


def _table_row(form: FormCanvas, heads: Heads, at: tuple[float, float, float], row: tuple[str, str]) -> float:
    """Draw a row of values under a label or a number ("": it is the only row); the y below it."""
    rng, (left, y, width), (label, number) = form.rng, at, row
    label_span, bottom = form.key((form.left, y), label, 182, form.small) if label else ((), y)
    for n, (name, kind, key) in enumerate(heads):
        text = form.filled(kind)
        span: Span = ()
        end = y + form.size * 1.3
        if text:
            span, end = form.value((left + n * width + 3 + rng.choice((0, 0, 10)), y), text, width - 18)
        bottom = max(bottom, end)
        if label:
            _cell(form, label, name, span, key=label_span)
        elif not number:
            form.add(name, key, span)
        elif span and n:
            _cell(form, number, name, span)
    return bottom


def _cell(form: FormCanvas, row: str, column: str, value: Span, key: Span = ()) -> None:
    """Note a cell: asked by its row's label, or by the number of its row where that has none."""
    questions = questions_about("typed_cell" if key else "row_cell", row=row, column=column)
    form.canvas.unprinted(f"{row} {column}", value, "table", key=key, questions=questions)
