"""Kinds of pages that deal with money: receipts, invoices and order forms. The sums add up."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from layoutllm_tool.training.synthetic.canvas import Canvas, Fact, Span
from layoutllm_tool.training.synthetic.layouts import Style
from layoutllm_tool.training.synthetic.values import ValueGenerator

_TOTALS = ("Total", "TOTAL", "Grand Total", "Total Amount", "Amount Due", "Total Due", "NET TOTAL", "Total Sales (Inclusive of GST)", "Total (RM)",
           "Rounded Total", "Total Incl. Tax", "Nett Total", "TOTAL PAYABLE", "Balance Due", "Total Amt Incl. GST @ 6%")  # fmt: skip
_ASK_TOTAL = ("What is the total amount?", 'What is the "total" in the given document?', 'What is the "total" in the given document?', "How much is the bill?",
              "What is the total?", "How much was paid in total?")  # fmt: skip
_ASK_DATE = (
    'What is the "date" in the given document?',
    'What is the "date" in the given document?',
    "When was it issued?",
    "What is the date?",
)
_ASK_COMPANY = ('What is the "company" in the given document?', 'What is the "company" in the given document?', "Who issued this document?",
                "What is the name of the shop?", "What is the company name?", "Who is the seller?")  # fmt: skip
_ASK_ADDRESS = ('What is the "address" in the given document?', 'What is the "address" in the given document?', "What is the address of the company?",
                "Where is the company located?")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sums:
    items: tuple[tuple[str, int, float], ...]
    subtotal: float
    tax: float
    total: float
    cash: float


def receipt(canvas: Canvas, maker: ValueGenerator) -> list[Fact]:
    """A till receipt: company, address, date and numbers, items, totals, how it was paid."""
    rng, style, left = canvas.rng, Style(canvas.rng), 14.0
    facts, y = _head(canvas, maker, rng.random() < 0.75)
    if rng.random() < 0.7:
        canvas.text(
            canvas.width / 2,
            y,
            rng.choice(("TAX INVOICE", "RECEIPT", "CASH BILL", "SIMPLIFIED TAX INVOICE", "INVOICE")),
            align="center",
        )
        y += canvas.size * 1.8
    heads = [("Receipt No", "code", ()), ("Cashier", "person", ()), ("Date", "date", _ASK_DATE), ("Time", "time", ()), ("Table", "number", ()), ("Counter", "number", ()),
             ("Salesperson", "person", ()), ("Member", "code", ()), ("Doc No", "code", ()), ("Invoice No", "code", ()), ("Bill No", "code", ())]  # fmt: skip
    chosen = [h for h in rng.sample(heads, len(heads)) if h[0] == "Date" or rng.random() < 0.35]
    tab = left + canvas.measure(style.key("Salesperson ")) if rng.random() < 0.5 else 0.0
    for name, kind, questions in chosen:
        value = maker.make(kind)
        if name == "Date" and rng.random() < 0.25:  # bare, as many tills print it
            span = canvas.text(left, y, value)
            canvas.text(canvas.end(span) + 8, y, maker.time())
            facts.append(Fact("date", (), span, questions=questions, printed=False))
        else:
            key, span = _pair(canvas, (left, y), (style.key(name), value), tab)
            facts.append(Fact(style.key(name), key, span, questions=questions, concept=name.lower()))
            if name == "Date" and rng.random() < 0.4:
                canvas.text(canvas.end(span) + 8, y, maker.time())
        y += canvas.size * rng.uniform(1.35, 1.6)
    sums = _sums(rng, maker, rng.randint(1, 5))
    y = _till_items(canvas, maker, facts, sums, y + 8)
    return facts + _totals(canvas, maker, style, sums, (left, canvas.width - 16.0, y + 8))


def invoice(canvas: Canvas, maker: ValueGenerator) -> list[Fact]:
    """An invoice: seller, bill to and ship to, numbers and dates, a table of items, totals at the bottom right."""
    rng, style, left = canvas.rng, Style(canvas.rng), 40.0
    facts, y = _head(canvas, maker, rng.random() < 0.3)
    canvas.text(canvas.width - 50, rng.randint(20, 60), "INVOICE", size=canvas.size + 10, align="right")
    meta = [
        ("Invoice No", "code"),
        ("Invoice Date", "date"),
        ("Due Date", "date"),
        ("Customer No", "code"),
        ("PO Number", "code"),
        ("Terms", "phrase"),
        ("Sales Rep", "person"),
    ]
    for name, kind in rng.sample(meta, rng.randint(3, 6)):
        value = (
            ""
            if rng.random() < 0.08
            else (maker.make(kind) if name != "Terms" else rng.choice(("Net 30", "30 days", "COD", "Due on receipt")))
        )
        key = canvas.text(canvas.width * 0.52, y, style.key(name))
        span = canvas.text(canvas.width * 0.74, y, value) if value else ()
        facts.append(
            Fact(style.key(name), key, span, questions=_ASK_DATE[2:3] if name == "Invoice Date" else (), concept="date")
        )
        y += canvas.size * 1.6
    y += 10
    ends = [_party(canvas, maker, facts, (left + n * canvas.width * 0.48, y), style.key(name))
            for n, name in enumerate(rng.choice((("Bill To", "Ship To"), ("Sold To", "Deliver To"), ("Customer",), ("Bill To",))))]  # fmt: skip
    sums = _sums(rng, maker, rng.randint(1, 5))
    y = _item_table(canvas, maker, facts, sums, (left, max(ends) + 20))
    return facts + _totals(canvas, maker, style, sums, (canvas.width * 0.55, canvas.width - 50.0, y + 14))


def order(canvas: Canvas, maker: ValueGenerator) -> list[Fact]:
    """An order form of an agency or a supplier: pairs in two columns, a table, a total."""
    rng, style = canvas.rng, Style(canvas.rng)
    facts, y = _head(canvas, maker, False)
    fields = [("Order No", "code"), ("Advertiser", "company"), ("Agency", "company"), ("Contract Dates", "dates"), ("Station", "word"), ("Account Executive", "person"),
              ("Product", "item"), ("Estimate", "code"), ("Buyer", "person"), ("Market", "city"), ("Order Date", "date"), ("Delivery Date", "date"), ("Revision", "number"),
              ("Ship Via", "word"), ("Phone", "phone"), ("Fax", "phone"), ("Terms", "phrase"), ("Department", "word")]  # fmt: skip
    chosen = rng.sample(fields, rng.randint(3, 6) * 2)
    tab = rng.choice((0.0, 150.0))
    for n, (name, kind) in enumerate(chosen):
        x = 36.0 + (n % 2) * canvas.width * 0.5
        value = f"{maker.date()} - {maker.date()}" if kind == "dates" else maker.make(kind)
        lines = canvas.wrap(value, canvas.width * 0.5 - max(tab, 170.0))
        key = canvas.text(x, y, style.key(name))
        span = () if rng.random() < 0.1 else canvas.text(max(canvas.end(key) + 10, x + tab), y, lines[0])
        facts.append(Fact(style.key(name), key, span))
        y += canvas.size * 1.9 * (n % 2)
    sums = _sums(rng, maker, rng.randint(2, 6))
    y = _item_table(canvas, maker, facts, sums, (36.0, y + 16))
    return facts + _totals(canvas, maker, style, sums, (canvas.width * 0.5, canvas.width - 50.0, y + 10))


def _head(canvas: Canvas, maker: ValueGenerator, middle: bool) -> tuple[list[Fact], float]:
    rng = canvas.rng
    x, y, place = (canvas.width / 2, 16.0, "center") if middle else (24.0, 24.0, "left")
    facts: list[Fact] = []
    shop = rng.random() < 0.15
    if shop:  # a brand or a person above the company's own name
        canvas.text(x, y, maker.coined().lower(), size=canvas.size + 6, align=place)
        y += canvas.size + 14
    name = maker.company() if rng.random() < 0.4 else maker.company().upper()
    lines = canvas.wrap(name, canvas.width * 0.85, canvas.size + 3)
    span, y = canvas.lines(x, y, lines, size=canvas.size + 3, align=place)
    if rng.random() < 0.4:
        reg = (
            f"({maker.digits(6)}-{rng.choice('AHKMPTUVWX')})"
            if rng.random() < 0.7
            else f"Co. Reg. No: {maker.digits(8)}"
        )
        canvas.text(x, y, reg, align=place)
        y += canvas.size * 1.4
    facts.append(Fact("company", (), span, "title", questions=_ASK_COMPANY, printed=False))
    if rng.random() < 0.88:
        address = maker.address()
        address = [" ".join(address)] if rng.random() < 0.15 else address
        lines = [part for line in address for part in canvas.wrap(line, canvas.width * (0.9 if middle else 0.48))]
        span, y = canvas.lines(x, y, lines, align=place)
        facts.append(Fact("address", (), span, "paragraph", questions=_ASK_ADDRESS, printed=False))
    for name, kind in rng.sample(
        (("Tel", "phone"), ("Fax", "phone"), ("GST ID", "code"), ("VAT No", "code"), ("Email", "email")),
        rng.randint(0, 2),
    ):
        printed = f"{rng.choice((name, name.upper()))}{rng.choice((':', ' :', '.', ': '))}".strip()
        wide = canvas.measure(f"{printed} 000-0000 0000")
        key, span = _pair(canvas, (x - wide / 2 if middle else x, y), (printed, maker.make(kind)), 0.0)
        facts.append(Fact(printed, key, span))
        y += canvas.size * 1.4
    return facts, y + rng.randint(4, 18)


def _pair(canvas: Canvas, at: tuple[float, float], pair: tuple[str, str], tab: float) -> tuple[Span, Span]:
    """Key and value on one row: at a tab, with a space, or without one ('DATE:25/12/2018')."""
    key = canvas.text(*at, pair[0])
    if not tab and pair[0].endswith(":") and canvas.rng.random() < 0.25:
        return key, canvas.text(canvas.end(key) + 1, at[1], pair[1], glued=True)
    return key, canvas.text(max(canvas.end(key) + canvas.size * 0.5, tab), at[1], pair[1])


def _sums(rng: Random, maker: ValueGenerator, count: int) -> _Sums:
    items = tuple((maker.item(), rng.choice((1, 1, 1, 2, 3, 10)), maker.price()) for _ in range(count))
    subtotal = round(sum(n * price for _, n, price in items), 2)
    tax = round(subtotal * rng.choice((0.0, 0.06, 0.06, 0.07, 0.19, 0.2)), 2)
    total = round(subtotal + tax, 2)
    return _Sums(items, subtotal, tax, total, float(int(total / 10 + 1) * 10) if rng.random() < 0.7 else total)


def _till_items(canvas: Canvas, maker: ValueGenerator, facts: list[Fact], sums: _Sums, y: float) -> float:
    rng, right = canvas.rng, canvas.width - 16.0
    if rng.random() < 0.5:
        canvas.text(14, y, rng.choice(("Item", "Description", "QTY ITEM")))
        canvas.text(right, y, rng.choice(("Amount", "AMT", "Price", "RM")), align="right")
        y += canvas.size * 1.5
    for name, n, price in sums.items:
        key = canvas.text(14, y, name)
        if rng.random() < 0.5:
            y += canvas.size * 1.35
            canvas.text(30, y, f"{n} x {maker.amount(price, bare=True)}")
        value = canvas.text(right, y, maker.amount(n * price, bare=True), align="right")
        facts.append(
            Fact(
                name,
                key,
                value,
                "table",
                questions=(f"How much is the {name}?", f'What is the price of "{name}"?', f"{name}: amount?"),
                printed=False,
            )
        )
        y += canvas.size * 1.5
    return y


def _item_table(
    canvas: Canvas, maker: ValueGenerator, facts: list[Fact], sums: _Sums, at: tuple[float, float]
) -> float:
    rng, (left, y), size = canvas.rng, at, min(canvas.size, 16)
    xs = (left, canvas.width * 0.55, canvas.width * 0.75, canvas.width - 50)
    heads = (
        rng.choice(("Description", "Item", "Article")),
        rng.choice(("Qty", "Quantity", "Units")),
        rng.choice(("Unit Price", "Price", "Rate")),
        "Amount",
    )
    places = ("left", "right", "right", "right")
    for x, head, place in zip(xs, heads, places, strict=True):
        canvas.text(x, y, head, size=size, align=place)
    canvas.rule(left, y + size * 1.4, canvas.width - 40, y + size * 1.4)
    for name, n, price in sums.items:
        y += size * 1.8
        key = canvas.text(left, y, name[:30].strip(), size=size)
        for x, head, text in zip(
            xs[1:], heads[1:], (str(n), maker.amount(price, bare=True), maker.amount(n * price, bare=True)), strict=True
        ):
            span = canvas.text(x, y, text, size=size, align="right")
            questions = (
                f'What is the "{head}" of "{name[:30].strip()}"?',
                f"What is the {head.lower()} of the {name[:30].strip()}?",
            )
            facts.append(Fact(f"{name} {head}", key, span, "table", questions=questions, printed=False))
    return y + size * 1.8


def _party(canvas: Canvas, maker: ValueGenerator, facts: list[Fact], at: tuple[float, float], name: str) -> float:
    """Name and address under a key."""
    key = canvas.text(*at, name)
    who = maker.person() if canvas.rng.random() < 0.4 else maker.company()
    lines = [part for line in (who, *maker.address()) for part in canvas.wrap(line, canvas.width * 0.42)]
    span, y = canvas.lines(at[0], at[1] + canvas.size * 1.5, lines)
    facts.append(Fact(name, key, span, "paragraph"))
    return y


def _totals(
    canvas: Canvas, maker: ValueGenerator, style: Style, sums: _Sums, where: tuple[float, float, float]
) -> list[Fact]:
    """Subtotal, tax, total, cash, change: keys at the left, amounts at the right. ``where`` is left, right, y."""
    rng, (left, right, y) = canvas.rng, where
    total = rng.choice(_TOTALS)
    rows: list[tuple[str, float, tuple[str, ...]]] = [(total, sums.total, _ASK_TOTAL)]
    if rng.random() < 0.6:
        rows.insert(0, (rng.choice(("Subtotal", "Sub Total", "Total Excl. Tax", "Net Amount")), sums.subtotal, ()))
        rows.insert(
            1,
            (
                rng.choice((maker.country.tax, f"Total {maker.country.tax}", "Tax")),
                sums.tax,
                ("How much tax is included?",),
            ),
        )
    if rng.random() < 0.3:
        rows.insert(-1, (rng.choice(("Rounding", "Rounding Adj", "Discount")), 0.0, ()))
    if rng.random() < 0.6:
        rows += [
            (rng.choice(("Cash", "CASH", "Paid", "Cash Tendered")), sums.cash, ()),
            (rng.choice(("Change", "CHANGE", "Change Due")), sums.cash - sums.total, ()),
        ]
    bare, facts = rng.random() < 0.5, []
    for name, amount, questions in rows:
        concept = "total" if questions is _ASK_TOTAL else "tax"
        printed = style.key(name)
        key = canvas.text(left, y, printed)
        value = canvas.text(right, y, maker.amount(amount, bare=bare), align="right")
        if rng.random() < 0.1:
            dots = int((canvas.inks[value[0]].box[0] - canvas.end(key)) / canvas.measure(".")) - 3
            canvas.text(canvas.end(key) + 4, y, "." * max(dots, 2))
        facts.append(Fact(printed, key, value, questions=questions, concept=concept))
        y += canvas.size * rng.uniform(1.4, 1.8)
    if rng.random() < 0.6:
        canvas.text(
            (left + right) / 2,
            y + 10,
            rng.choice(("THANK YOU", "Thank you, please come again", "GOODS SOLD ARE NOT RETURNABLE", "E & O E")),
            align="center",
        )
    return facts
