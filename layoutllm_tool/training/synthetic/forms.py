"""Forms and letters.

Each kind of page is drawn by a function, which adds to the canvas the facts that can be asked.
"""

from __future__ import annotations

from random import Random

from layoutllm_tool.training.synthetic.canvas import Canvas, KeyStyle
from layoutllm_tool.training.synthetic.values import ValueGenerator
from layoutllm_tool.training.synthetic.vocabulary import FORMS, questions_about

_FORM, _LETTER = FORMS["form"], FORMS["letter"]
Fields = list[tuple[str, str]]
"""Keys with the kinds of their values."""
At = tuple[float, float]


def form(canvas: Canvas, values: ValueGenerator) -> None:
    """Keys and values: beside, below or in cells, in one, two or three columns, some fields blank."""
    rng, style, left = canvas.rng, KeyStyle(canvas.rng), canvas.rng.randint(30, 70)
    y = heading(canvas, values, rng.choice(_FORM["titles"]))
    if rng.random() < 0.25:
        _, y = canvas.block(left, y, values.phrase(8, 22) + ".", canvas.width - 2 * left)
        y += 16
    fields = _chosen(rng, rng.randint(8, 24))
    cut = rng.randint(4, len(fields) - 3) if rng.random() < 0.5 else len(fields)
    for part in (fields[:cut], fields[cut:]):
        if part and y < canvas.height - 200:
            y = _section(canvas, values, style, (left, y), part) + rng.randint(10, 50)
            if rng.random() < 0.4 and part is not fields[cut:]:
                canvas.text(left, y, style.plain(values.phrase(1, 3)), size=canvas.size + 2)
                y += canvas.size * 2
    if rng.random() < 0.35 and y < canvas.height - 180:
        y = _check_boxes(canvas, left, y + 10)
    if rng.random() < 0.4 and y < canvas.height - 150:
        _paragraph(canvas, values, (left, y + 14), style.key(rng.choice(_FORM["notes"])))


def _chosen(rng: Random, count: int) -> Fields:
    """Fields of a form: some with a modifier, now and then one that repeats."""
    fields: Fields = rng.sample(_FORM["fields"], count)
    fields = [(f"{rng.choice(_FORM['modifiers'])} {n}" if rng.random() < 0.15 else n, k) for n, k in fields]
    fields = [(f"{n} of {rng.choice(_FORM['nouns'])}" if rng.random() < 0.1 else n, k) for n, k in fields]
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        fields[rng.randrange(len(fields))] = rng.choice(fields)
    return fields


def _section(canvas: Canvas, values: ValueGenerator, style: KeyStyle, at: At, fields: Fields) -> float:
    """Draw fields in columns of one kind; the y below them."""
    rng, (left, y) = canvas.rng, at
    columns = rng.choice((1, 1, 2, 2, 3))
    mode = rng.choice(("beside", "beside", "aligned", "below", "cell") if columns < 3 else ("below", "cell"))
    step = (canvas.width - left - 40) / columns
    pitch = canvas.size * rng.uniform(1.5, 3.2)
    while fields and y < canvas.height - 140:
        row, fields = fields[:columns], fields[columns:]
        bottom = y
        for n, (name, kind) in enumerate(row):
            value = "" if rng.random() < 0.13 else _cased(rng, values.make(kind))
            end = _field(canvas, (left + n * step, y), step - 24, (style.key(name), value, mode))
            bottom = max(bottom, end)
        if mode == "cell":
            for n in range(len(row)):
                canvas.frame(left + n * step - 6, y - 4, left + (n + 1) * step - 6, bottom + 4)
        y = max(bottom + 6, y + pitch)
    return y


def _field(canvas: Canvas, at: At, width: float, what: tuple[str, str, str]) -> float:
    """Draw a key and its value; the y below them."""
    (x, y), (name, value, mode) = at, what
    key, row = canvas.text(x, y, name), canvas.size * 1.4
    if mode in ("below", "cell"):
        start, y, wide = x + canvas.rng.choice((0, 0, 8)), y + row, width
    else:
        start = max(canvas.end(key) + canvas.size * 0.5, x + 0.42 * width if mode == "aligned" else 0.0)
        wide = max(width - (start - x), 120.0)
    if value:
        span, end = canvas.block(start, y, value, wide)
        canvas.add(name, key, span)
        return end
    if mode == "beside" and canvas.rng.random() < 0.4:
        canvas.rule(start, y + canvas.size, x + width, y + canvas.size)
    canvas.add(name, key, ())
    return y + row


def _paragraph(canvas: Canvas, values: ValueGenerator, at: At, name: str) -> None:
    x, y = at
    key = canvas.text(x, y, name)
    text = values.phrase(10, 24) + "."
    span, _ = canvas.block(x, y + canvas.size * 1.5, text, canvas.width - 2 * x)
    canvas.add(name, key, span, "paragraph")


def _check_boxes(canvas: Canvas, x: float, y: float) -> float:
    """Draw options with boxes to tick, which are not asked about."""
    for name in canvas.rng.sample(_FORM["choices"], 3):
        canvas.tick(x, y, ticked=canvas.rng.random() < 0.5)
        x = canvas.end(canvas.text(x + canvas.size * 1.5, y, name)) + 40
    return y + canvas.size * 2


def letter(canvas: Canvas, values: ValueGenerator) -> None:
    """A memo or letter: TO, FROM, DATE, SUBJECT, some text, a signature."""
    rng, style, x = canvas.rng, KeyStyle(canvas.rng), float(canvas.rng.randint(50, 110))
    y = _letter_head(canvas, values, style, (x, heading(canvas, values, rng.choice(_LETTER["titles"]))))
    canvas.rule(x, y, canvas.width - x, y)
    text = f"{values.phrase(14, 30)}. {values.phrase(8, 20)}."
    body, y = canvas.block(x, y + 16, text, canvas.width - 2 * x)
    canvas.unprinted("text", body, "paragraph", questions=questions_about("body"))
    if rng.random() < 0.5:
        y = _list(canvas, values, (x + 30, y + 10))
    close = canvas.text(x, y + 14, rng.choice(_LETTER["closings"]))
    signed = canvas.text(x, y + 14 + canvas.size * 3, values.person())
    canvas.unprinted("signature", signed, key=close, questions=questions_about("signature"))


def _letter_head(canvas: Canvas, values: ValueGenerator, style: KeyStyle, at: At) -> float:
    rng, (x, y) = canvas.rng, at
    heads = [*_LETTER["heads"], *rng.sample(_LETTER["more_heads"], rng.randint(0, 3))]
    if rng.random() < 0.4:
        rng.shuffle(heads)
    tab = x + canvas.measure(style.key("SUBJECT ")) + rng.randint(0, 80)
    for name, kind, meaning in heads:
        value = "" if rng.random() < 0.06 else _cased(rng, values.make(kind))
        subject = rng.choice(_LETTER["subjects"])
        printed = style.key(subject if name == "Subject" else name)
        key = canvas.text(x, y, printed)
        canvas.add(printed, key, canvas.text(tab, y, value) if value else (), names=(meaning,))
        y += canvas.size * 1.9
    return y


def _list(canvas: Canvas, values: ValueGenerator, at: At) -> float:
    x, y = at
    for n, word in zip(range(canvas.rng.randint(2, 4)), ("first", "second", "third", "fourth"), strict=False):
        mark = canvas.text(x, y, f"{n + 1}.")
        item = canvas.text(x + canvas.size * 1.8, y, values.phrase(2, 6))
        questions = questions_about("list_item", word=word, number=n + 1)
        canvas.unprinted(f"{word} item", item, "list", key=mark, questions=questions)
        y += canvas.size * 1.6
    return y


def heading(canvas: Canvas, values: ValueGenerator, title: str) -> float:
    """Draw a letterhead and a title, either of which may be missing; the y below them."""
    rng, y = canvas.rng, float(canvas.rng.choice((20, 40, 40, 90, 160)))
    x, place = (canvas.width / 2, "center") if rng.random() < 0.5 else (40.0, "left")
    if rng.random() < 0.55:
        printed = _cased(rng, values.company())
        name = canvas.text(x, y, printed, size=canvas.size + rng.randint(0, 10), align=place)
        canvas.unprinted("company", name, "title", names=("company", "name of the company"))
        y += canvas.size + 16
        if rng.random() < 0.5:
            where, y = canvas.block(x, y, "\n".join(values.address()), align=place)
            canvas.unprinted("address", where, "paragraph", names=("address", "company address"))
    if title:
        printed = rng.choice((title, title.upper()))
        head = canvas.text(x, y + 6, printed, size=canvas.size + rng.randint(2, 10), align=place)
        canvas.unprinted("title", head, "title", questions=questions_about("form_title"))
        y += canvas.size + 20
    return y + rng.randint(10, 40)


def small_print(canvas: Canvas, values: ValueGenerator) -> None:
    """Draw a line at the foot of the page about which there are no questions."""
    rng, y = canvas.rng, canvas.height - canvas.rng.randint(40, 90)
    if max(word.box[3] for word in canvas.words) > y - 10:
        return
    text = rng.choice((
        f"Page {rng.randint(1, 9)}",
        f"Form {values.make('code')} (Rev. {rng.randint(1, 12)}/{rng.randint(75, 99)})",
        values.phrase(5, 14) + ".",
        values.digits(8),
    ))  # fmt: skip
    x, place = rng.choice(((40.0, "left"), (canvas.width / 2, "center"), (canvas.width - 40.0, "right")))
    canvas.text(x, y, text, size=13, align=place)


def _cased(rng: Random, text: str) -> str:
    return text.upper() if rng.random() < 0.2 else text
