"""Kinds of pages: forms and letters. Each function draws one page and returns what can be asked about it."""

from __future__ import annotations

from random import Random

from layoutllm_tool.training.synthetic.canvas import Canvas, Fact
from layoutllm_tool.training.synthetic.values import ValueGenerator

_FIELDS = """Name:person|Full Name:person|Applicant:person|Contact Person:person|Manager:person|Requested by:person|Approved by:person
|Prepared by:person|Supervisor:person|Doctor:person|Patient Name:person|Student:person|Witness:person|Account Executive:person|Sales Rep:person
|Company:company|Employer:company|Manufacturer:company|Supplier:company|Agency:company|Client:company|Laboratory:company|Organization:company
|Customer:company|Carrier:company|Bank:company|Address:address|Street:street|City:city|Town:town|Mailing Address:address|Location:city
|Date:date|Date of Birth:date|Date Received:date|Effective Date:date|Date Submitted:date|Expiry Date:date|Start Date:date|Completion Date:date
|Meeting Date:date|Date Required:date|Due Date:date|Phone:phone|Tel:phone|Telephone No:phone|Fax:phone|Fax No:phone|Mobile:phone|Extension:number
|E-mail:email|Email Address:email|Reference:code|Ref No:code|File No:code|Case No:code|Account No:code|Policy No:code|Serial No:code|Project No:code
|Order No:code|Batch No:code|License No:code|Sample No:code|Student ID:code|Employee No:code|Contract No:code|Job Number:code|Code:code|Model:code
|Amount:money|Total Cost:money|Budget:money|Salary:money|Deposit:money|Balance:money|Estimated Cost:money|Unit Price:money|Fee:money
|Quantity:number|No. of Pages:number|Age:number|Weight:number|Height:number|Number of Copies:number|Sample Size:number|Hours:number|Volume:number
|Rate:percent|Percentage:percent|Discount:percent|Moisture:percent|Time:time|Hour:time|Arrival:time|Subject:phrase|Title:phrase|Purpose:phrase
|Remarks:phrase|Comments:phrase|Description:phrase|Reason:phrase|Action Required:phrase|Objective:phrase|Product:item|Item:item|Brand:word
|Brand Name:word|Division:word|Region:word|Department:word|Market:city|Country:word|Position:word|Status:yesno|Returned:yesno|Confirmed:yesno|Type:word
|Nationality:word|Occupation:word|Method:phrase|Media:word|Style:word|Length:number|Circulation:number|Distribution:phrase""".replace(
    "\n", ""
)
FIELDS = tuple((name, kind) for name, kind in (field.split(":") for field in _FIELDS.split("|")))
"""Keys of forms, each with the kind of its value."""
_MODIFIERS = [
    "Previous",
    "New",
    "Current",
    "Estimated",
    "Actual",
    "Original",
    "Final",
    "Second",
    "Home",
    "Office",
    "Other",
    "Main",
    "Local",
    "Net",
    "Revised",
    "Total",
]
_NOUNS = [
    "Applicant",
    "Spouse",
    "Company",
    "Sample",
    "Shipment",
    "Contract",
    "Meeting",
    "Vehicle",
    "Property",
    "Test",
    "Study",
    "Employee",
    "Order",
    "Insured",
    "Unit",
    "Event",
]
_TITLES = """Application Form|Request for Approval|Project Report|Registration|Change of Address|Fax Transmittal|Test Report|Purchase Request
|Membership Application|Travel Expense Claim|Sample Request|Incident Report|Order Acknowledgement|Survey|Media Plan|Shipping Notice
|Inspection Record|Contract Summary|Research Proposal|Employee Record|Patient Intake|Advertising Order|Authorization""".replace(
    "\n", ""
).split("|")


class Style:
    """How a page prints its keys: case, and what follows them."""

    def __init__(self, rng: Random, *, lower: float = 0.2) -> None:
        self._case = str.lower if rng.random() < lower else rng.choice((str, str.upper))
        self._ending = rng.choice((":", ":", ":", "", "", " :", ".", " -"))

    def key(self, name: str) -> str:
        return self._case(name) + self._ending

    def plain(self, name: str) -> str:
        return self._case(name)


def form(canvas: Canvas, maker: ValueGenerator) -> list[Fact]:
    """Keys and values: beside, below or in cells, in one, two or three columns, some fields blank."""
    rng, style, left = canvas.rng, Style(canvas.rng), canvas.rng.randint(30, 70)
    facts, y = heading(canvas, maker, rng.choice(_TITLES))
    if rng.random() < 0.25:
        _, y = canvas.lines(left, y, canvas.wrap(maker.phrase(8, 22) + ".", canvas.width - 2 * left))
        y += 16
    fields = _chosen(rng, rng.randint(8, 24))
    cut = rng.randint(4, len(fields) - 3) if rng.random() < 0.5 else len(fields)
    for part in (fields[:cut], fields[cut:]):
        if part and y < canvas.height - 200:
            more, y = _section(canvas, maker, style, (left, y, part))
            facts += more
            y += rng.randint(10, 50)
            if rng.random() < 0.4 and part is not fields[cut:]:
                canvas.text(left, y, style.plain(maker.phrase(1, 3)), size=canvas.size + 2)
                y += canvas.size * 2
    if rng.random() < 0.35 and y < canvas.height - 180:
        y = _check_boxes(canvas, left, y + 10)
    if rng.random() < 0.4 and y < canvas.height - 150:
        name = style.key(rng.choice(("Comments", "Remarks", "Notes", "Summary")))
        facts.append(_paragraph(canvas, maker, (left, y + 14), name))
    return facts


def _section(
    canvas: Canvas, maker: ValueGenerator, style: Style, what: tuple[int, float, list[tuple[str, str]]]
) -> tuple[list[Fact], float]:
    """Fields in columns of one kind from (left, y) on; the y below them."""
    rng, facts, (left, y, fields) = canvas.rng, [], what
    columns = rng.choice((1, 1, 2, 2, 3))
    mode = rng.choice(("beside", "beside", "aligned", "below", "cell") if columns < 3 else ("below", "cell"))
    step = (canvas.width - left - 40) / columns
    pitch = canvas.size * rng.uniform(1.5, 3.2)
    while fields and y < canvas.height - 140:
        row, fields = fields[:columns], fields[columns:]
        bottom = y
        for n, (name, kind) in enumerate(row):
            value = "" if rng.random() < 0.13 else _cased(rng, maker.make(kind))
            fact, end = _field(canvas, left + n * step, y, step - 24, (style.key(name), value, mode))
            facts.append(fact)
            bottom = max(bottom, end)
        if mode == "cell":
            for n in range(len(row)):
                canvas.frame(left + n * step - 6, y - 4, left + (n + 1) * step - 6, bottom + 4)
        y = max(bottom + 6, y + pitch)
    return facts, y


def small_print(canvas: Canvas, maker: ValueGenerator) -> None:
    """A line or two at the foot of the page that nobody asks about: page numbers, form numbers, advice."""
    rng, y = canvas.rng, canvas.height - canvas.rng.randint(40, 90)
    if max(ink.box[3] for ink in canvas.inks) > y - 10:
        return
    text = rng.choice(
        (
            f"Page {rng.randint(1, 9)}",
            f"Form {maker.code()} (Rev. {rng.randint(1, 12)}/{rng.randint(75, 99)})",
            maker.phrase(5, 14) + ".",
            maker.digits(8),
        )
    )
    x, place = rng.choice(((40.0, "left"), (canvas.width / 2, "center"), (canvas.width - 40.0, "right")))
    canvas.text(x, y, text, size=13, align=place)


def letter(canvas: Canvas, maker: ValueGenerator) -> list[Fact]:
    """A memo or letter: TO, FROM, DATE, SUBJECT, some text, a signature."""
    rng, style, x = canvas.rng, Style(canvas.rng), float(canvas.rng.randint(50, 110))
    title = rng.choice(("Memorandum", "MEMO", "Fax Cover FormCanvas", "INTEROFFICE CORRESPONDENCE", "", ""))
    facts, y = heading(canvas, maker, title)
    heads = [
        ("To", "person", "recipient"),
        ("From", "person", "sender"),
        ("Date", "date", "date of the letter"),
        ("Subject", "phrase", "subject"),
    ]
    heads += rng.sample([("cc", "person", "copies"), ("Phone", "phone", "phone number"), ("Fax", "phone", "fax number"), ("Pages", "number", "number of pages"),
                         ("Company", "company", "company"), ("Ref", "code", "reference")], rng.randint(0, 3))  # fmt: skip
    if rng.random() < 0.4:
        rng.shuffle(heads)
    tab = x + canvas.measure(style.key("SUBJECT ")) + rng.randint(0, 80)
    for name, kind, meaning in heads:
        value = "" if rng.random() < 0.06 else _cased(rng, maker.make(kind))
        printed = style.key({"Subject": rng.choice(("Subject", "Re", "RE"))}.get(name, name))
        key = canvas.text(x, y, printed)
        span = canvas.text(tab, y, value) if value else ()
        facts.append(Fact(printed, key, span, names=(meaning,)))
        y += canvas.size * 1.9
    canvas.rule(x, y, canvas.width - x, y)
    body, y = canvas.lines(
        x, y + 16, canvas.wrap(f"{maker.phrase(14, 30)}. {maker.phrase(8, 20)}.", canvas.width - 2 * x)
    )
    facts.append(
        Fact(
            "text",
            (),
            body,
            "paragraph",
            questions=("What does the letter say?", "What is the body of the text?"),
            printed=False,
        )
    )
    if rng.random() < 0.5:
        y = _list(canvas, maker, facts, (x + 30, y + 10))
    close = canvas.text(x, y + 14, rng.choice(("Sincerely,", "Yours faithfully,", "Best regards,", "Kind regards,")))
    signed = canvas.text(x, y + 14 + canvas.size * 3, maker.person())
    facts.append(
        Fact(
            "signature",
            close,
            signed,
            questions=("Who signed the letter?", "Who wrote this?", 'What is the "signature" in the given document?'),
            printed=False,
        )
    )
    return facts


def heading(canvas: Canvas, maker: ValueGenerator, title: str) -> tuple[list[Fact], float]:
    """A letterhead and a title, either of which may be missing."""
    rng, y, facts = canvas.rng, float(canvas.rng.choice((20, 40, 40, 90, 160))), []
    middle = rng.random() < 0.5
    x, place = (canvas.width / 2, "center") if middle else (40.0, "left")
    if rng.random() < 0.55:
        name = canvas.text(x, y, _cased(rng, maker.company()), size=canvas.size + rng.randint(0, 10), align=place)
        facts.append(Fact("company", (), name, "title", ("company", "name of the company"), printed=False))
        y += canvas.size + 16
        if rng.random() < 0.5:
            where, y = canvas.lines(x, y, maker.address(), align=place)
            facts.append(Fact("address", (), where, "paragraph", ("address", "company address"), printed=False))
    if title:
        head = canvas.text(
            x, y + 6, rng.choice((title, title.upper())), size=canvas.size + rng.randint(2, 10), align=place
        )
        questions = (
            "What is the title of the document?",
            'What is the "title" in the given document?',
            "What is this page called?",
            "What is the heading?",
        )
        facts.append(Fact("title", (), head, "title", questions=questions, printed=False))
        y += canvas.size + 20
    return facts, y + rng.randint(10, 40)


def _chosen(rng: Random, count: int) -> list[tuple[str, str]]:
    """Fields of a form: some with a modifier, now and then one that repeats."""
    fields = rng.sample(FIELDS, count)
    fields = [(f"{rng.choice(_MODIFIERS)} {n}" if rng.random() < 0.15 else n, k) for n, k in fields]
    fields = [(f"{n} of {_NOUNS[rng.randrange(len(_NOUNS))]}" if rng.random() < 0.1 else n, k) for n, k in fields]
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        fields[rng.randrange(len(fields))] = rng.choice(fields)
    return fields


def _field(canvas: Canvas, x: float, y: float, width: float, what: tuple[str, str, str]) -> tuple[Fact, float]:
    """Key and value at (x, y); the y below them."""
    name, value, mode = what
    key = canvas.text(x, y, name)
    row = canvas.size * 1.4
    if mode in ("below", "cell"):
        at, y, wide = x + canvas.rng.choice((0, 0, 8)), y + row, width
    else:
        at = max(canvas.end(key) + canvas.size * 0.5, x + 0.42 * width if mode == "aligned" else 0.0)
        wide = max(width - (at - x), 120.0)
    if not value:
        if mode == "beside" and canvas.rng.random() < 0.4:
            canvas.rule(at, y + canvas.size, x + width, y + canvas.size)
        return Fact(name, key, ()), y + row
    span, end = canvas.lines(at, y, canvas.wrap(value, wide))
    return Fact(name, key, span), end


def _paragraph(canvas: Canvas, maker: ValueGenerator, at: tuple[float, float], name: str) -> Fact:
    x, y = at
    key = canvas.text(x, y, name)
    text = canvas.wrap(maker.phrase(10, 24) + ".", canvas.width - 2 * x)
    span, _ = canvas.lines(x, y + canvas.size * 1.5, text)
    return Fact(name, key, span, "paragraph")


def _list(canvas: Canvas, maker: ValueGenerator, facts: list[Fact], at: tuple[float, float]) -> float:
    x, y = at
    for n, word in zip(range(canvas.rng.randint(2, 4)), ("first", "second", "third", "fourth"), strict=False):
        mark = canvas.text(x, y, f"{n + 1}.")
        item = canvas.text(x + canvas.size * 1.8, y, maker.phrase(2, 6))
        questions = (f"What is the {word} item of the list?", f"What does point {n + 1} say?")
        facts.append(Fact(f"{word} item", mark, item, "list", questions=questions, printed=False))
        y += canvas.size * 1.6
    return y


def _check_boxes(canvas: Canvas, x: float, y: float) -> float:
    """Choices with boxes to tick: they stand on the page but are not asked about."""
    for name in canvas.rng.sample(
        ("Urgent", "For review", "Please comment", "Approved", "Rejected", "Yes", "No", "Draft"), 3
    ):
        canvas.tick(x, y, ticked=canvas.rng.random() < 0.5)
        x = canvas.end(canvas.text(x + canvas.size * 1.5, y, name)) + 40
    return y + canvas.size * 2


def _cased(rng: Random, text: str) -> str:
    return text.upper() if rng.random() < 0.2 else text
