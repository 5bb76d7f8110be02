"""Phrasings of questions, and fields that a page may lack. Standard library and ``align`` only."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from layoutllm_tool.cot import AnswerFormation, Kind, QuestionAnalysis
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.training import align
from layoutllm_tool.training.keys import EDGES
from layoutllm_tool.training.schema import QA

FORM = 'What is the content in the "{}" field?'
"""The commonest question about a printed key."""
KEY_FORMS = (
    FORM,
    FORM,
    FORM,
    'What is the "{}" in the given document?',
    'What is written in the "{}" field?',
    'What does the document say for "{}"?',
    'What value stands beside "{}"?',
    "What is the {}?",
    "Find the {}.",
    "{}?",
)
"""Questions that name a key as it is printed on the page."""
FIELD_FORMS = (
    'What is the "{}" in the given document?',
    'What is the "{}" in the given document?',
    'What is the "{}" in the given document?',
    "What is the {}?",
    "What is the {} in this document?",
    "Can you tell me the {}?",
    "Find the {} on this page.",
    "Give the {}.",
    "Which {} is given?",
)
"""Questions that name a field by its meaning."""

ABSENT = tuple(
    tuple(name.strip() for name in group.split("="))
    for group in """
IBAN = iban number; BIC = swift code; date of birth = dob = birthday; passport number = passport no; phone number = tel = telephone
= phone = hp = call us; e-mail = email = e-mail address; website = www = http = web site = .com; signature = signed by = signed; patient name = patient
flight number = flight; warranty period = warranty; ship to = shipping address = deliver to; interest rate = interest; fax = fax number = facsimile
mobile number = mobile = cell; booking reference = booking; gate = gate number; seat = seat number; departure time = departure
arrival time = arrival; check-in date = check in; check-out date = check out; room number = room; policy number = policy
claim number = claim; blood type = blood group; diagnosis; prescription = rx; doctor = physician; date of admission = admission
insurance company = insurance; account holder = holder; account number = a/c no = account no = acct; sort code; routing number
credit limit; minimum payment; statement date = statement; due date = due by = payable by = due; purchase order number = po no = p.o.
delivery date = delivered on; delivery note number = d/o; tracking number = tracking; carrier = shipped via; weight = net weight = kg
dimensions; serial number = serial no = s/n; model number = model no; licence plate = vehicle no = plate; mileage = odometer; VIN
driver name = driver; engine size; fuel type = fuel; student number = student id; grade; university = college; course title = course
semester; supervisor; project number = project no; project title; contract number = contract no; lease term = lease; monthly rent = rent
deposit paid = deposit; landlord; tenant; property type = property; square footage = sq ft; parcel number; mortgage; beneficiary
employer; employee number = employee id = emp no; job title = position; hourly wage = wage; gross pay; net pay; overtime hours = overtime
pay period; tax code = tax id; social security number = ssn; nationality; place of birth; marital status = married; gender = sex
next of kin; height; eye colour = eye color; occupation; religion; visa number = visa no; port of entry = port; vessel name = vessel
container number = container; country of origin = origin; customs code = tariff; bill of lading; consignee; notify party; incoterms
reference number = ref no = ref; case number = case no; court; plaintiff; defendant; judge; attorney = lawyer; witness; notary
hearing date; brand name; nicotine content = nicotine; tar content = tar; sample size; laboratory = lab; test result; test method
batch number = batch; expiry date = expiry = exp; manufacturing date = mfg; ingredients; calories = kcal; allergens; serving size
storage temperature = temperature; agency; advertiser; station; contract dates = flight dates; market; circulation; page count
issue date = issued on; version; author = written by; editor; publisher; ISBN; abstract; conference; journal; number of pages
meeting date; meeting place; attendees; agenda; minutes; chairman = chairperson; secretary; copies to = cc; subject = re:; sender
recipient; attention = attn; salutation; postscript; coupon code = coupon; loyalty points = points; membership number = member
voucher number = voucher; table number = table; number of guests = pax = guests; waiter = server; tip = gratuity
service charge = svc chg; discount = disc; delivery fee = delivery; exchange rate; currency conversion; loan amount = loan
annual percentage rate = apr; principal; maturity date = maturity; dividend; share price; stock symbol; meter reading = meter
kilowatt hours = kwh; water usage; billing period = billing; previous balance = balance b/f; late fee; emergency contact = emergency
""".replace("\n", ";")
    .replace(";=", " =")
    .split(";")
    if group.strip()
)
"""Field names, each with the ways in which a page may print it."""


PLAIN, BY_MEANING = 0.55, 0.25
"""Shares of keys that are asked for in the commonest form, and as a field by its meaning; the rest in the other forms. The same for keys
with a value, blank ones and ones that the page lacks: where the shares differ, the wording tells whether the page answers, and a model
learns that instead of looking (LOG.md, "the wording gave it away")."""
_SPOKEN = {
    "no": "number", "#": "number", "nr": "number", "num": "number", "qty": "quantity", "amt": "amount", "tel": "phone number",
    "addr": "address", "dept": "department", "ref": "reference", "inv": "invoice", "acct": "account", "tot": "total",
}  # fmt: skip
"""Words of printed keys, as people say them."""


def ask(key: str, rng: Random) -> str:
    """A question about a key, as it is printed or by its meaning, whether or not the page answers it."""
    chosen = rng.random()
    if chosen < PLAIN:
        return FORM.format(key)
    if chosen < 1 - BY_MEANING:
        return ask_key(key, rng)
    bare = key.strip(EDGES) or key
    return ask_field(rng.choice((spoken(bare), bare.lower(), bare)), rng)


def spoken(key: str) -> str:
    """ "Contract #" as "contract number"."""
    words = key.lower().replace("#", " # ").split()
    return " ".join(_SPOKEN.get(word.rstrip(".:"), word) for word in words)


def ask_key(key: str, rng: Random) -> str:
    """A question about a key as it is printed."""
    form = rng.choice(KEY_FORMS)
    return form.format(key if '"' in form else key.strip(EDGES))


def ask_field(name: str, rng: Random) -> str:
    """A question about a field by its meaning."""
    return rng.choice(FIELD_FORMS).format(name)


def unanswerable(question: str, key: str, kind: Kind = "key-value") -> QA:
    """The page does not say."""
    return QA(question, QuestionAnalysis(kind, "extraction", key), (), AnswerFormation("none", ""), None)


def absent(page: Page, count: int, rng: Random, *, keys: Iterable[str] = ()) -> list[QA]:
    """Up to ``count`` questions about fields that the page lacks; ``keys`` adds keys seen on other pages."""
    chosen: list[QA] = []
    others = [(key,) for key in keys]
    for group in rng.sample(ABSENT, min(4 * count, len(ABSENT))) if count else ():
        if others and rng.random() < 0.4:
            group = others.pop(rng.randrange(len(others)))
        if len(chosen) < count and lacks(page, group):
            chosen.append(_negative(group[0], rng))
    return chosen


def lacks(page: Page, names: Iterable[str]) -> bool:
    """Whether none of the names stands on the page, misread or not."""
    return all(align.similarity(name, page.text) < (0.8 if len(name) > 5 else 0.99) for name in names)


def _negative(name: str, rng: Random) -> QA:
    key = rng.choice((name, name.upper(), name.title(), f"{name.upper().rstrip(':')}:", f"{name.title().rstrip(':')}:"))
    return unanswerable(ask(key, rng), key.strip(EDGES))
