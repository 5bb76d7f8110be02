"""Kinds of pages that deal with money: receipts, invoices and order forms. The sums add up."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from layoutllm_tool.training.synthetic.canvas import Canvas, KeyStyle, Span
from layoutllm_tool.training.synthetic.values import ValueGenerator
from layoutllm_tool.training.synthetic.vocabulary import FORMS, questions_about

_RECEIPT, _INVOICE, _PARTS = FORMS["receipt"], FORMS["invoice"], FORMS["business"]
At = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Sums:
    items: tuple[tuple[str, int, float], ...]
    """Name, count and price of each."""
    subtotal: float
    tax: float
    total: float
    cash: float


def receipt(canvas: Canvas, values: ValueGenerator) -> None:
    """A till receipt: company, address, date and numbers, items, totals, how it was paid."""
    rng, style, left = canvas.rng, KeyStyle(canvas.rng), 14.0
    y = _head(canvas, values, rng.random() < 0.75)
    if rng.random() < 0.7:
        canvas.text(canvas.width / 2, y, rng.choice(_RECEIPT["titles"]), align="center")
        y += canvas.size * 1.8
    heads = rng.sample(_RECEIPT["heads"], len(_RECEIPT["heads"]))
    chosen = [head for head in heads if head[0] == "Date" or rng.random() < 0.35]
    tab = left + canvas.measure(style.key("Salesperson ")) if rng.random() < 0.5 else 0.0
    for name, kind in chosen:
        _receipt_field(canvas, values, style, (left, y), (name, values.make(kind), tab))
        y += canvas.size * rng.uniform(1.35, 1.6)
    sums = _sums(rng, values, rng.randint(1, 5))
    y = _till_items(canvas, values, sums, y + 8)
    _totals(canvas, values, style, sums, (left, canvas.width - 16.0, y + 8))


def _receipt_field(
    canvas: Canvas, values: ValueGenerator, style: KeyStyle, at: At, what: tuple[str, str, float]
) -> None:
    """Draw a key and its value. A date may stand alone, as many tills print it, and a time after it."""
    rng, (name, value, tab) = canvas.rng, what
    questions = questions_about("date") if name == "Date" else ()
    if name == "Date" and rng.random() < 0.25:
        span = canvas.text(*at, value)
        canvas.text(canvas.end(span) + 8, at[1], values.time())
        canvas.unprinted("date", span, questions=questions)
        return
    key, span = _pair(canvas, at, (style.key(name), value), tab)
    canvas.add(style.key(name), key, span, questions=questions, concept=name.lower())
    if name == "Date" and rng.random() < 0.4:
        canvas.text(canvas.end(span) + 8, at[1], values.time())


def invoice(canvas: Canvas, values: ValueGenerator) -> None:
    """An invoice: seller, numbers and dates, parties, a table of items, totals at the bottom right."""
    rng, style, left = canvas.rng, KeyStyle(canvas.rng), 40.0
    y = _head(canvas, values, rng.random() < 0.3)
    canvas.text(canvas.width - 50, rng.randint(20, 60), "INVOICE", size=canvas.size + 10, align="right")
    for name, kind in rng.sample(_INVOICE["heads"], rng.randint(3, 6)):
        value = ""
        if rng.random() >= 0.08:
            value = rng.choice(_INVOICE["terms"]) if kind == "terms" else values.make(kind)
        key = canvas.text(canvas.width * 0.52, y, style.key(name))
        span = canvas.text(canvas.width * 0.74, y, value) if value else ()
        questions = questions_about("date")[2:3] if name == "Invoice Date" else ()
        canvas.add(style.key(name), key, span, questions=questions, concept="date")
        y += canvas.size * 1.6
    y += 10
    ends = []
    for n, name in enumerate(rng.choice(_INVOICE["parties"])):
        ends.append(_party(canvas, values, (left + n * canvas.width * 0.48, y), style.key(name)))
    sums = _sums(rng, values, rng.randint(1, 5))
    y = _item_table(canvas, values, sums, (left, max(ends) + 20))
    _totals(canvas, values, style, sums, (canvas.width * 0.55, canvas.width - 50.0, y + 14))


def order(canvas: Canvas, values: ValueGenerator) -> None:
    """An order form of an agency or a supplier: pairs in two columns, a table, a total."""
    rng, style = canvas.rng, KeyStyle(canvas.rng)
    y = _head(canvas, values, False)
    chosen = rng.sample(FORMS["order"]["fields"], rng.randint(3, 6) * 2)
    tab = rng.choice((0.0, 150.0))
    for n, (name, kind) in enumerate(chosen):
        x = 36.0 + (n % 2) * canvas.width * 0.5
        value = f"{values.date()} - {values.date()}" if kind == "dates" else values.make(kind)
        lines = canvas.wrap(value, canvas.width * 0.5 - max(tab, 170.0))
        key = canvas.text(x, y, style.key(name))
        span = () if rng.random() < 0.1 else canvas.text(max(canvas.end(key) + 10, x + tab), y, lines[0])
        canvas.add(style.key(name), key, span)
        y += canvas.size * 1.9 * (n % 2)
    sums = _sums(rng, values, rng.randint(2, 6))
    y = _item_table(canvas, values, sums, (36.0, y + 16))
    _totals(canvas, values, style, sums, (canvas.width * 0.5, canvas.width - 50.0, y + 10))


def _head(canvas: Canvas, values: ValueGenerator, middle: bool) -> float:
    """Draw the company's name, address and numbers; the y below them."""
    rng = canvas.rng
    x, y, place = (canvas.width / 2, 16.0, "center") if middle else (24.0, 24.0, "left")
    if rng.random() < 0.15:  # a brand or a person above the company's own name
        canvas.text(x, y, values.coined().lower(), size=canvas.size + 6, align=place)
        y += canvas.size + 14
    name = values.company() if rng.random() < 0.4 else values.company().upper()
    span, y = canvas.block(x, y, name, canvas.width * 0.85, size=canvas.size + 3, align=place)
    if rng.random() < 0.4:
        number = "({#6}-{A|H|K|M|P|T|U|V|W|X})" if rng.random() < 0.7 else "Co. Reg. No: {#8}"
        canvas.text(x, y, values.fill(number), align=place)
        y += canvas.size * 1.4
    canvas.unprinted("company", span, "title", questions=questions_about("company"))
    if rng.random() < 0.88:
        lines = values.address()
        address = (" " if rng.random() < 0.15 else "\n").join(lines)
        span, y = canvas.block(x, y, address, canvas.width * (0.9 if middle else 0.48), align=place)
        canvas.unprinted("address", span, "paragraph", questions=questions_about("address"))
    return _contacts(canvas, values, (x, y), middle) + rng.randint(4, 18)


def _contacts(canvas: Canvas, values: ValueGenerator, at: At, middle: bool) -> float:
    rng, (x, y) = canvas.rng, at
    for name, kind in rng.sample(_PARTS["contacts"], rng.randint(0, 2)):
        printed = f"{rng.choice((name, name.upper()))}{rng.choice((':', ' :', '.', ': '))}".strip()
        wide = canvas.measure(f"{printed} 000-0000 0000")
        key, span = _pair(canvas, (x - wide / 2 if middle else x, y), (printed, values.make(kind)), 0.0)
        canvas.add(printed, key, span)
        y += canvas.size * 1.4
    return y


def _pair(canvas: Canvas, at: At, pair: tuple[str, str], tab: float) -> tuple[Span, Span]:
    """Draw a key and a value on one row: at a tab, with a space, or without one ('DATE:25/12/2018')."""
    key = canvas.text(*at, pair[0])
    if not tab and pair[0].endswith(":") and canvas.rng.random() < 0.25:
        return key, canvas.text(canvas.end(key) + 1, at[1], pair[1], glued=True)
    return key, canvas.text(max(canvas.end(key) + canvas.size * 0.5, tab), at[1], pair[1])


def _sums(rng: Random, values: ValueGenerator, count: int) -> _Sums:
    items = tuple((values.item(), rng.choice((1, 1, 1, 2, 3, 10)), values.price()) for _ in range(count))
    subtotal = round(sum(n * price for _, n, price in items), 2)
    tax = round(subtotal * rng.choice((0.0, 0.06, 0.06, 0.07, 0.19, 0.2)), 2)
    total = round(subtotal + tax, 2)
    cash = float(int(total / 10 + 1) * 10) if rng.random() < 0.7 else total
    return _Sums(items, subtotal, tax, total, cash)


def _till_items(canvas: Canvas, values: ValueGenerator, sums: _Sums, y: float) -> float:
    rng, right = canvas.rng, canvas.width - 16.0
    if rng.random() < 0.5:
        canvas.text(14, y, rng.choice(_RECEIPT["item_heads"]))
        canvas.text(right, y, rng.choice(_RECEIPT["amount_heads"]), align="right")
        y += canvas.size * 1.5
    for name, n, price in sums.items:
        key = canvas.text(14, y, name)
        if rng.random() < 0.5:
            y += canvas.size * 1.35
            canvas.text(30, y, f"{n} x {values.amount(price, bare=True)}")
        value = canvas.text(right, y, values.amount(n * price, bare=True), align="right")
        canvas.unprinted(name, value, "table", key=key, questions=questions_about("item", row=name))
        y += canvas.size * 1.5
    return y


def _item_table(canvas: Canvas, values: ValueGenerator, sums: _Sums, at: At) -> float:
    """Draw the items with count, price and amount; the y below them."""
    rng, (left, y), size = canvas.rng, at, min(canvas.size, 16)
    xs = (left, canvas.width * 0.55, canvas.width * 0.75, canvas.width - 50)
    heads = [*(rng.choice(names) for names in _PARTS["columns"]), "Amount"]
    for n, (x, head) in enumerate(zip(xs, heads, strict=True)):
        canvas.text(x, y, head, size=size, align="right" if n else "left")
    canvas.rule(left, y + size * 1.4, canvas.width - 40, y + size * 1.4)
    for name, n, price in sums.items:
        y += size * 1.8
        row = name[:30].strip()
        key = canvas.text(left, y, row, size=size)
        texts = (str(n), values.amount(price, bare=True), values.amount(n * price, bare=True))
        for x, head, text in zip(xs[1:], heads[1:], texts, strict=True):
            span = canvas.text(x, y, text, size=size, align="right")
            questions = questions_about("item_cell", row=row, column=head, lower=head.lower())
            canvas.unprinted(f"{name} {head}", span, "table", key=key, questions=questions)
    return y + size * 1.8


def _party(canvas: Canvas, values: ValueGenerator, at: At, name: str) -> float:
    """Draw a name and an address under a key; the y below them."""
    key = canvas.text(*at, name)
    who = values.person() if canvas.rng.random() < 0.4 else values.company()
    lines = "\n".join((who, *values.address()))
    span, y = canvas.block(at[0], at[1] + canvas.size * 1.5, lines, canvas.width * 0.42)
    canvas.add(name, key, span, "paragraph")
    return y


def _totals(
    canvas: Canvas, values: ValueGenerator, style: KeyStyle, sums: _Sums, where: tuple[float, float, float]
) -> None:
    """Draw the sums: keys at the left, amounts at the right of ``where`` (left, right, y)."""
    rng, (left, right, y) = canvas.rng, where
    rows = _total_rows(rng, values, sums)
    bare = rng.random() < 0.5
    for name, amount, about in rows:
        printed = style.key(name)
        key = canvas.text(left, y, printed)
        value = canvas.text(right, y, values.amount(amount, bare=bare), align="right")
        if rng.random() < 0.1:
            dots = int((canvas.words[value[0]].box[0] - canvas.end(key)) / canvas.measure(".")) - 3
            canvas.text(canvas.end(key) + 4, y, "." * max(dots, 2))
        questions = questions_about(about) if about else ()
        canvas.add(printed, key, value, questions=questions, concept="total" if about == "total" else "tax")
        y += canvas.size * rng.uniform(1.4, 1.8)
    if rng.random() < 0.6:
        canvas.text((left + right) / 2, y + 10, rng.choice(_PARTS["closings"]), align="center")


def _total_rows(rng: Random, values: ValueGenerator, sums: _Sums) -> list[tuple[str, float, str]]:
    """Keys, amounts, and what ``questions_about`` asks of them ("" for nothing)."""
    rows = [(rng.choice(_PARTS["totals"]), sums.total, "total")]
    if rng.random() < 0.6:
        subtotal, tax = rng.choice(_PARTS["subtotals"]), values.country.tax
        tax = rng.choice((tax, f"Total {tax}", "Tax"))
        rows = [(subtotal, sums.subtotal, ""), (tax, sums.tax, "tax"), *rows]
    if rng.random() < 0.3:
        rows.insert(-1, (rng.choice(_PARTS["roundings"]), 0.0, ""))
    if rng.random() < 0.6:
        rows.append((rng.choice(_PARTS["cash"]), sums.cash, ""))
        rows.append((rng.choice(_PARTS["change"]), sums.cash - sums.total, ""))
    return rows
