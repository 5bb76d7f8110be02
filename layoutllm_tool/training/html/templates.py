"""HTML pages that carry their facts (see marks.py), filled with invented values: forms, invoices, reports, lists of things.

Layout is the style sheet's: the same page comes with borders or without, in one column or two. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from random import Random

from layoutllm_tool.training.html import grids
from layoutllm_tool.training.html.render import Sheet
from layoutllm_tool.training.html.styles import sheet, style
from layoutllm_tool.training.synthetic.values import ValueGenerator

_FIELDS = tuple(
    (name, kind)
    for kind, names in {
        "person": "Name|Full Name|Applicant|Contact Person|Prepared By|Approved By|Supervisor|Requested By|Patient|Manager",
        "date": "Date|Date of Issue|Valid Until|Start Date|End Date|Received|Date of Birth|Effective Date|Review Date",
        "code": "Reference|File No.|Order Number|Customer ID|Case Number|Account No.|Batch|Policy No.|Part Number|Permit No.",
        "company": "Company|Employer|Supplier|Carrier|Client|Agency|Insurer|Laboratory|Contractor",
        "phone": "Phone|Fax|Mobile|Emergency Contact|Office Phone", "email": "E-mail|Contact E-mail",
        "street": "Street|Delivery Address|Site", "town": "City|Town and Postcode", "money": "Amount|Deposit|Fee|Budget|Monthly Rent",
        "number": "Quantity|Pages|Room|Weight (kg)|Age|Copies|Employees", "phrase": "Subject|Purpose|Remarks|Description|Terms",
        "percent": "Discount|Share|Progress", "time": "Time|Opening Time|Arrival", "yesno": "Insured|Renewal|Smoker",
        "word": "Department|Project|Region|Station|Model",
    }.items()
    for name in names.split("|")
)  # fmt: skip
_SECTIONS = (("Seller", "Buyer"), ("Sender", "Recipient"), ("Landlord", "Tenant"), ("Shipper", "Consignee"), ("Employer", "Employee"),
             ("Bill To", "Ship To"), ("Current Address", "Previous Address"), ("Party A", "Party B"))  # fmt: skip
_CHOICES = {
    "Payment Method": "Cash|Credit card|Bank transfer|Cheque|Direct debit", "Priority": "Low|Medium|High|Urgent",
    "Shipping": "Standard|Express|Overnight|Pick-up", "Status": "New|Renewal|Change|Cancellation", "Marital Status": "Single|Married|Widowed",
    "Type of Visit": "First visit|Follow-up|Emergency", "Language": "English|French|German|Spanish|Malay", "Result": "Passed|Failed|Not tested",
    "Delivery Term": "EXW|FOB|CIF|DAP", "Contact By": "Phone|E-mail|Letter|Text message",
}  # fmt: skip
_TITLES = ("Application", "Registration Form", "Work Order", "Inspection Report", "Summary of Results", "Service Agreement", "Delivery Note",
           "Personnel Record", "Quotation", "Statement of Account", "Annual Overview", "Test Certificate", "Change Request")  # fmt: skip
_ASK_TITLE = (
    "What is the title of the document?",
    "What kind of document is this, by its title?",
    "What is the heading at the top?",
)


class _Marks:
    """Names for the marks of one page."""

    def __init__(self, maker: ValueGenerator) -> None:
        self.maker, self.rng, self.count = maker, maker.rng, 0

    def name(self) -> str:
        self.count += 1
        return f"m{self.count}"

    def field(self, key: str, value: str, *, kind: str = "key-value") -> str:
        """A key and its value; an empty value is a rule to write on."""
        name = self.name()
        blank = "" if value else " blank"
        return (
            f'<div class="field"><span class="key" data-key="{name}">{escape(key)}</span> '
            f'<span class="value{blank}" data-value="{name}" data-kind="{kind}">{escape(value)}</span></div>'
        )

    def alone(self, tag: str, text: str, asks: Iterable[str], about: str, kind: str) -> str:
        """A value without a printed key, and the question for it."""
        ask = self.rng.choice(tuple(asks))
        return f'<{tag} data-value="{self.name()}" data-kind="{kind}" data-ask="{escape(ask)}" data-about="{escape(about)}">{escape(text)}</{tag}>'


def page(rng: Random) -> tuple[str, Sheet]:
    """A whole page and its paper; the same ``rng`` state gives the same page."""
    maker = ValueGenerator(rng)
    body = rng.choice(KINDS)(_Marks(maker))
    return f"<html><head><style>{style(rng)}</style></head><body>{body}</body></html>", sheet(rng)


def form(marks: _Marks) -> str:
    """Fields in blocks of different make, choices, perhaps two parties."""
    parts = [_title(marks), _fields(marks, marks.rng.randint(4, 12))]
    parts += marks.rng.sample(
        (_choices(marks), _parties(marks), _fields(marks, 4), _paragraph(marks)), marks.rng.randint(2, 4)
    )
    return _separated(marks.rng, parts)


def invoice(marks: _Marks) -> str:
    """Seller, numbers and dates, parties, items, sums that add up."""
    maker, rng = marks.maker, marks.rng
    head = marks.alone("h1", maker.company(), ("Who issued this document?", 'What is the "company" in the given document?',
                       "What is the company name?"), "company", "title")  # fmt: skip
    meta = [
        (rng.choice(("Invoice No", "Number", "Invoice #")), maker.code()),
        (rng.choice(("Date", "Invoice Date")), maker.date()),
        (rng.choice(("Due Date", "Payable By")), "" if rng.random() < 0.15 else maker.date()),
        (rng.choice(("Customer No", "PO Number", "Your Reference")), maker.code()),
    ]
    return _separated(rng, [head, _block(marks, meta), _parties(marks), _items(marks)])


def report(marks: _Marks) -> str:
    """A title, paragraphs with facts in the running text, a table, perhaps under nested heads."""
    rng, maker = marks.rng, marks.maker
    parts = [_title(marks), f"<p>{_sentence(marks)} {_sentence(marks)}</p>"]
    parts += [
        _paragraph(marks),
        rng.choice(grids.GRIDS)(marks.maker),
        _choices(marks) if rng.random() < 0.3 else "",
    ]
    parts += [f'<p class="small">{escape(maker.phrase(12, 45))}.</p>', _fields(marks, rng.randint(2, 8))]
    return _separated(rng, parts)


def overview(marks: _Marks) -> str:
    """Tables first: one plain, one nested or merged, and a few fields."""
    first, second = marks.rng.sample(grids.GRIDS, 2)
    return _separated(
        marks.rng, [_title(marks), first(marks.maker), _fields(marks, marks.rng.randint(3, 8)), second(marks.maker)]
    )


def two_columns(marks: _Marks) -> str:
    """Blocks beside each other."""
    rng = marks.rng
    left = [_fields(marks, rng.randint(3, 6)), rng.choice((_paragraph, _choices))(marks)]
    right = [rng.choice((_choices, _paragraph))(marks), _fields(marks, rng.randint(3, 5))]
    return f'{_title(marks)}<div class="columns"><div>{"".join(left)}</div><div>{"".join(right)}</div></div>{grids.table(marks.maker)}'


KINDS: tuple[Callable[[_Marks], str], ...] = (form, form, invoice, report, overview, two_columns)
"""What writes each kind of page; twice is twice as often."""


def _separated(rng: Random, parts: Iterable[str]) -> str:
    return rng.choice(("", "", "<hr>")).join(parts)


def _title(marks: _Marks) -> str:
    text = marks.rng.choice(_TITLES)
    text = text if marks.rng.random() < 0.4 else f"{marks.maker.coined()} {text}"
    return marks.alone("h1", text, _ASK_TITLE, "title", "title")


def _fields(marks: _Marks, count: int) -> str:
    rng, maker = marks.rng, marks.maker
    chosen = rng.sample(_FIELDS, count)
    block = [(name, "" if rng.random() < 0.12 else maker.make(kind)) for name, kind in chosen]
    heading = f"<h2>{escape(maker.phrase(1, 3))}</h2>" if rng.random() < 0.4 else ""
    return heading + _block(marks, block)


def _block(marks: _Marks, fields: Iterable[tuple[str, str]]) -> str:
    """Keys and values one below the other, in a grid, stacked, spread out, in a table or in a definition list."""
    rng = marks.rng
    sign = rng.choice((":", ":", "", " :", "."))
    named = [(name + sign, value) for name, value in fields]
    match rng.choice(("line", "grid", "stack grid", "spread", "table", "list", "box line")):
        case "table":
            rows = "".join(f"<tr>{_table_field(marks, name, value)}</tr>" for name, value in named)
            return f"<table><tbody>{rows}</tbody></table>"
        case "list":
            return f"<dl>{''.join(_list_field(marks, name, value) for name, value in named)}</dl>"
        case classes:
            return f'<div class="{classes}">{"".join(marks.field(name, value) for name, value in named)}</div>'


def _table_field(marks: _Marks, key: str, value: str) -> str:
    name = marks.name()
    return f'<td class="key" data-key="{name}">{escape(key)}</td><td data-value="{name}">{escape(value)}</td>'


def _list_field(marks: _Marks, key: str, value: str) -> str:
    name = marks.name()
    return f'<dt class="key" data-key="{name}">{escape(key)}</dt><dd data-value="{name}">{escape(value)}</dd>'


def _parties(marks: _Marks) -> str:
    """Two blocks with the same keys: only their headings tell them apart."""
    rng, maker = marks.rng, marks.maker
    keys = rng.sample((("Name", "person"), ("Company", "company"), ("Phone", "phone"), ("Street", "street"), ("City", "city"),
                       ("VAT No.", "code"), ("E-mail", "email")), rng.randint(2, 4))  # fmt: skip
    blocks = []
    for heading in rng.choice(_SECTIONS):
        fields = "".join(marks.field(f"{key}:", maker.make(kind)) for key, kind in keys)
        blocks.append(f'<div data-section="{heading}"><h2>{heading}</h2><div class="line">{fields}</div></div>')
    return f'<div class="columns">{"".join(blocks)}</div>' if rng.random() < 0.75 else "".join(blocks)


def _choices(marks: _Marks) -> str:
    """Options with boxes beside them; mostly one is ticked."""
    rng, name = marks.rng, marks.name()
    key, options = rng.choice(tuple(_CHOICES.items()))
    names = options.split("|")
    ticked = set(rng.sample(names, 1 if rng.random() < 0.8 else rng.choice((0, 2))))
    on, off = rng.choice((("[X]", "[ ]"), ("☒", "☐"), ("☑", "☐"), ("(x)", "( )"), ("", "")))

    def option(label: str) -> str:
        yes = label in ticked
        sign = escape(on if yes else off) or f'<span class="tick{" ticked" if yes else ""}"></span>'
        return f'<span class="option">{sign} <span data-choice="{name}" data-checked="{"yes" if yes else "no"}">{escape(label)}</span></span> '

    place = rng.choice(("list", "across"))
    return f'<div class="{place}"><div class="key" data-key="{name}">{escape(key)}</div>{"".join(map(option, names))}</div>'


def _paragraph(marks: _Marks) -> str:
    """A heading with a short paragraph that answers it."""
    rng, name = marks.rng, marks.name()
    heading = rng.choice(("Summary", "Findings", "Conclusion", "Remarks", "Scope", "Background", "Next Steps"))
    text = f"{marks.maker.phrase(6, 12)}."
    return f'<h2 data-key="{name}">{heading}</h2><p data-value="{name}" data-kind="paragraph">{escape(text)}</p>'


def _sentence(marks: _Marks) -> str:
    """A fact in running text."""
    maker, rng = marks.maker, marks.rng
    start, about, ask, value = rng.choice((
        ("The meeting took place in", "meeting place", "Where did the meeting take place?", maker.make("city")),
        ("The report was written by", "author", "Who wrote the report?", maker.person()),
        ("The work was ordered by", "client", "Who ordered the work?", maker.company()),
        ("Total cost came to", "total cost", "What did the total cost come to?", maker.amount(maker.price())),
        ("The contract ends on", "end of contract", "When does the contract end?", maker.date()),
        ("Questions may be sent to", "contact", "Where may questions be sent?", maker.email()),
    ))  # fmt: skip
    return f"{start} {marks.alone('span', value, (ask,), about, 'paragraph')} and {escape(maker.phrase(3, 9).lower())}."


def _items(marks: _Marks) -> str:
    maker, rng = marks.maker, marks.rng
    heads = (
        rng.choice(("Item", "Description")),
        rng.choice(("Qty", "Quantity")),
        rng.choice(("Unit Price", "Price")),
        "Amount",
    )
    rows, total = [], 0.0
    for n in range(rng.randint(2, 6)):
        count, price = rng.choice((1, 2, 3, 5, 10)), maker.price()
        total += count * price
        rows.append(
            (
                f"{maker.item()} {n + 1}",
                str(count),
                maker.amount(price, bare=True),
                maker.amount(count * price, bare=True),
            )
        )
    tax = round(total * rng.choice((0.06, 0.07, 0.19, 0.2)), 2)
    sums = [(rng.choice(("Subtotal", "Net")), maker.amount(total)), (maker.country.tax, maker.amount(tax)),
            (rng.choice(("Total", "Amount Due", "Grand Total")), maker.amount(total + tax))]  # fmt: skip
    block = "".join(marks.field(key, value) for key, value in sums)
    return grids.written([heads], rows) + f'<div class="right {rng.choice(("spread", "line"))}">{block}</div>'
