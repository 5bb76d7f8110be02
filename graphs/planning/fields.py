"""Fields by their names: how each is asked for, what its answer looks like, and drafts of plans made of them.

The wording is what the shipped model was trained on: a field named by its meaning is asked for as ``What is the "company" in
the given document?``, one named as it is printed as ``What is the content in the "PO No." field?``. Reading tasks is *not* here:
see ``tasks`` and ``schemas``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from pydantic import ValidationError

from graphs.planning.plan import MOST_QUESTIONS, Constraint, Plan, PlannedQuestion
from layoutllm_tool.cot import ExpectedType
from layoutllm_tool.errors import PlanError

MEANT = 'What is the "{}" in the given document?'
PRINTED = 'What is the content in the "{}" field?'
COLUMN = 'What are all the values of "{}" in the given document?'
AMOUNTS = "What are the amounts of the items in the given document?"
LONGEST_FIELD = 120
"""Characters of a field's name."""


class Known(NamedTuple):
    """A field that has a name of its own. Families hold the names that may stand for each other in a check."""

    family: str
    asked: str
    """The name to ask by; "": the one that was given."""
    type: ExpectedType
    many: bool = False


_TABLE = """
company|company|name|company, company name, name of the company, vendor, vendor name, name of the vendor, seller, seller name, name of the seller, supplier, supplier name, merchant, merchant name, shop, shop name, store, store name, issuer, retailer
customer||name|customer, customer name, client, client name, buyer, buyer name, purchaser, recipient, bill to, billed to
invoice number|invoice number|text|invoice number, invoice no, invoice nr, invoice id, invoice #, inv no, bill number, number of the invoice
receipt number||text|receipt number, receipt no, receipt id
order number||text|order number, order no, order id, purchase order number, purchase order, po number, po no, po
date||date|date, invoice date, issue date, date of issue, issued on, document date, bill date, receipt date, transaction date, purchase date
due date||date|due date, payment due date, payment deadline, date due, due by, payable by
total|total|money|total, total amount, grand total, invoice total, total due, amount due, balance due, total payable, amount payable, total price, total cost, total sum, final amount
subtotal|subtotal|money|subtotal, sub total, net total, net amount, total before tax, amount before tax
tax||money|tax, taxes, vat, gst, tax amount, vat amount, gst amount, sales tax, total tax, tax total, value added tax, goods and services tax
tax rate||number|tax rate, vat rate, gst rate
tax id||text|tax id, tax number, vat number, vat id, gst number, tax code
discount||money|discount, discounts, discount amount, rebate
tip||money|tip, gratuity, service charge
shipping||money|shipping, shipping cost, shipping costs, shipping and handling, delivery fee, postage, freight
deposit||money|deposit, down payment
paid||money|amount paid, cash, paid, change, balance
items||money*|items, item amounts, amounts of the items, line items, line item amounts, line amounts, line totals, item totals, item prices, prices of the items, amounts, prices
descriptions||text*|descriptions, item descriptions, descriptions of the items, item names, names of the items, products, product names
quantities||number*|quantities, item quantities, quantities of the items
unit prices||money*|unit prices
unit price||money|unit price, price, amount
quantity||number|quantity, qty, count, number of items, number of pages, page count
address||address|address, addresses, postal address, mailing address, company address, vendor address, seller address, supplier address, address of the company, address of the vendor, address of the seller
shipping address||address|shipping address, delivery address, ship to
phone|phone number|phone|phone, phone number, telephone, telephone number, tel, tel no, mobile, mobile number, cell phone
fax|fax number|phone|fax, fax number, fax no
email|e-mail|email|email, email address, mail address
name||name|name, full name, person, contact, contact name, contact person, signatory, signed by, author, sender
terms||text|payment terms, terms, terms and conditions, payment method, currency
""".strip().splitlines()


def _known() -> dict[str, Known]:
    found = {}
    for family, asked, kind, names in (line.split("|") for line in _TABLE):
        entry = Known(family, asked, kind.rstrip("*"), kind.endswith("*"))  # type: ignore[arg-type]
        found.update({name.strip(): entry for name in names.split(",")})
    return found


KNOWN: Mapping[str, Known] = _known()
NAMES_WITH_AND = tuple(name for name in KNOWN if " and " in name)

_GUESSES: tuple[tuple[ExpectedType, str], ...] = (
    ("email", r"email|emails"),
    ("phone", r"phone|telephone|tel|mobile|fax"),
    ("number", r"(?:number|count) of|percentage|percent|rate|weight|age|quantity|qty|height|mileage"),
    ("text", r"no|nr|number|numbers|id|ids|code|codes|reference|ref|iban|bic|website|web address|type|method|time"),
    ("address", r"address|addresses"),
    ("date", r"date|dates|dated|deadline|birthday|dob|expiry|day"),
    ("money", r"amount|amounts|price|prices|cost|costs|fee|fees|total|totals|tax|charge|charges|salary|wage|pay|rent|balance|discount|payment|premium"),
    ("name", r"name|names|person|signed by|author|doctor|patient|employer|employee|landlord|tenant|signatory|manager|owner"),
)  # fmt: skip
_PLURAL = re.compile(r"\b(?:numbers|dates|names|codes|ids|amounts|prices|costs|rates|addresses)$")
_GUESS = [(kind, re.compile(rf"\b(?:{words})\b")) for kind, words in _GUESSES]


def normal(phrase: str) -> str:
    """How ``KNOWN`` spells it: lower case, "e-mail" as "email", no points, no possessives, single blanks."""
    text = re.sub(r"['\u2019]s\b", "", phrase.lower()).replace("e-mail", "email").replace("sub-total", "subtotal")
    return " ".join(text.replace("p.o.", "po").replace("_", " ").replace(".", " ").strip(" :,").split())


def known(phrase: str) -> Known | None:
    """The field that goes by this name, if there is one."""
    return KNOWN.get(normal(phrase))


def guess_type(phrase: str) -> ExpectedType:
    """What the words of an unknown field let expect."""
    words = normal(phrase)
    return next((kind for kind, pattern in _GUESS if pattern.search(words)), "text")


def slug(phrase: str, otherwise: str = "field") -> str:
    """An identifier made of the words, under 57 characters, so that a suffix still fits."""
    plain = unicodedata.normalize("NFKD", phrase).encode("ascii", "ignore").decode().lower()
    made = re.sub(r"[^a-z0-9]+", "_", plain.replace("'s ", " ")).strip("_")[:56].rstrip("_")
    return f"{otherwise}_{made}" if made[:1].isdigit() else made or otherwise


def one_line(text: str) -> str:
    """Single blanks instead of line breaks and whatever can't be printed, which may be orders to a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a draft. It gets its name at the end, from ``words`` (or ``name`` as it is)."""

    words: str
    text: str
    type: ExpectedType = "text"
    page: int | None = None
    many: bool = False
    required: bool = True
    choices: tuple[str, ...] = ()
    name: str = ""


def ask(words: str, *, printed: bool = False, many: bool = False, page: int | None = None) -> Asked:
    """The question for a field; ``printed``: the words stand on the page just so."""
    if printed:
        return Asked(words, PRINTED.format(words), guess_type(words), page, many)
    entry = known(words)
    if entry is None:
        many = many or bool(_PLURAL.search(normal(words)))
        return Asked(words, (COLUMN if many else MEANT).format(words), guess_type(words), page, many)
    if entry.family == "items":
        return Asked(words, AMOUNTS, entry.type, page, many=True)
    many = many or entry.many
    plain = words.lower() if all(word.istitle() or word.islower() for word in words.split()) else words
    return Asked(words, (COLUMN if many else MEANT).format(entry.asked or plain), entry.type, page, many)


Kind = Literal["sum", "equal", "ordered"]


@dataclass(slots=True)
class Draft:
    """A plan in the making: questions still without names, checks by their indices, and what was not understood."""

    asked: list[Asked] = field(default_factory=list)
    checks: list[tuple[Kind, tuple[int, ...], int | None]] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    """Parts of the task that no rule covers."""
    notes: list[str] = field(default_factory=list)

    def add(self, new: Asked) -> int:
        """Its index. The same field of the same page is asked for once."""
        for index, old in enumerate(self.asked):
            same = old.page == new.page and old.text.lower() == new.text.lower()
            if same and slug(old.words) == slug(new.words):
                return index
        if len(self.asked) == MOST_QUESTIONS:
            raise PlanError(f"the task asks for more than {MOST_QUESTIONS} things.", hint="Split it.")
        self.asked.append(new)
        return len(self.asked) - 1

    def find(self, new: Asked) -> int:
        """The question that a check speaks of: of the same name, else of the same family, else a new one."""
        near = [i for i, old in enumerate(self.asked) if new.page in (None, old.page)]
        same = [i for i in near if slug(self.asked[i].words) == slug(new.words)]
        entry = known(new.words)
        kin = [i for i in near if entry and (k := known(self.asked[i].words)) and k.family == entry.family]
        return min(same or kin, key=lambda i: self.asked[i].page is not None) if same or kin else self.add(new)

    def change(self, index: int, **values: object) -> None:
        self.asked[index] = replace(self.asked[index], **values)  # type: ignore[arg-type]

    def plan(self) -> Plan:
        """PlanError where nothing is asked."""
        if not self.asked:
            raise PlanError(
                "nothing to ask of the document was found in the task.",
                hint='Name fields ("vendor, date and total"), ask questions, or give a JSON Schema.',
            )
        names = self._names()
        try:
            questions = [_planned(item, name) for item, name in zip(self.asked, names, strict=True)]
            return Plan(questions=_slots_checked(questions), constraints=[*self._constraints(names)])
        except ValidationError as error:
            raise PlanError(f"the task makes no plan: {first_error(error)}.", hint="Say it in fewer words.") from error

    def _constraints(self, names: list[str]) -> Iterable[Constraint]:
        for kind, terms, total in dict.fromkeys(self.checks):
            named = None if total is None else names[total]
            yield Constraint(kind=kind, terms=[names[i] for i in terms], total=named)

    def _names(self) -> list[str]:
        bases = [item.name or slug(item.words) for item in self.asked]
        names: list[str] = []
        for item, base in zip(self.asked, bases, strict=True):
            paged = item.page is not None and bases.count(base) > 1
            names.append(_unused(f"{base[:54]}_page_{item.page}" if paged else base, names))
        return names


def first_error(error: ValidationError) -> str:
    """What pydantic holds against it first, in one line."""
    worst = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, worst["loc"]))
    return one_line(f"{where}: {worst['msg']}" if where else worst["msg"])[:200]


def _unused(name: str, used: list[str]) -> str:
    tries = (name, *(f"{name[:59]}_{n}" for n in range(2, len(used) + 3)))
    return next(made for made in tries if made not in used)


def _planned(item: Asked, name: str) -> PlannedQuestion:
    return PlannedQuestion(
        name=name,
        text=item.text,
        type=item.type,
        page=item.page,
        many=item.many,
        choices=list(item.choices),
        required=item.required,
    )


def _slots_checked(questions: list[PlannedQuestion]) -> list[PlannedQuestion]:
    """Braces that name no question, or make questions wait for one another, are the page's or the user's own."""
    try:
        Plan(questions=questions)
    except ValidationError:
        table = str.maketrans("{}", "()")
        return [question.model_copy(update={"text": question.text.translate(table)}) for question in questions]
    return questions
