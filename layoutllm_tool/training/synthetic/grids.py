"""Parts of typed forms where place tells what belongs together: columns under headers, options to tick, lines with the
label underneath. Each function draws below ``sheet.y`` and moves it on; a part that has no room is not drawn.
"""

from __future__ import annotations

from layoutllm_tool.training.synthetic.canvas import Fact, Span
from layoutllm_tool.training.synthetic.form_canvas import FormCanvas
from layoutllm_tool.training.synthetic.keys import CHOICES
from layoutllm_tool.training.synthetic.wording import made


def signatures(sheet: FormCanvas, count: int) -> None:
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


def choices(sheet: FormCanvas, count: int) -> None:
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


def _mark(sheet: FormCanvas, x: float, sign: str, ticked: bool) -> Span:
    if not sign:
        sheet.canvas.rule(x, sheet.y + sheet.size + 1, x + sheet.size * 1.5, sheet.y + sheet.size + 1)
        return ()
    if sign in "☑☐☒":
        return sheet.canvas.mark(x, sheet.y, sign, ticked=ticked)
    return sheet.canvas.text(x, sheet.y, sign, size=sheet.size - 1, typed=True)


def columns(sheet: FormCanvas, count: int) -> None:
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
    keys: list[Span] = []
    low = sheet.y
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


def _by_first(sheet: FormCanvas, names: tuple[str, str], facts: list[Fact], value: Span, row: int) -> None:
    """A cell of a table without row labels: asked by the number of its row."""
    number, column = ("first", "second", "third", "fourth")[row], sheet.style.plain(names[1])
    forms = (f'What is the "{column}" in the {number} row?', f'What is the {number} entry under "{column}"?')
    facts.append(Fact(f"{number} {column}", (), value, "table", questions=forms, printed=False))
