"""What a question's words say about its answer: an amount, a date, a number, a name; and which texts look
like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ASKED = (
    ("amount", (
        r"\bhow much\b|\btotals?\b|\bamounts?\b|\bprices?\b|\bcosts?\b"
        r"|\bbalance\b|\btax\b|\bfees?\b|\bpay(?:ment|able)?\b|\bsalary\b"
        r"|\bwages?\b|\bowed?\b|\bowing\b|\bcharged?\b"
    )),
    ("date", (
        r"\bwhen\b|\bdates?\b|\bdated\b|\bdeadline\b|\b(?:what|which) day\b|\bborn\b"
        r"|\bexpir|\bdob\b|\bbirthday\b|\bwann\b|\bdatum\b|\bcuándo\b|\bfecha\b|\bquand\b"
    )),
    ("phone", r"\b(?:tele)?phone\b|\btel\b|\bfax\b|\b(?:call|ring)\b|\bmobile\b"),
    ("email", r"\be-?mail\b"),
    ("time", r"\b(?:what|which) time\b|\bo'clock\b|\bwhat hour\b"),
    ("number", (
        r"\bnumber\b|\bno\.?(?= |\?|$|\")|#|\bhow (?:many|long|old|far|big|tall)\b"
        r"|\bqty\b|\bquantity\b|\bcode\b|\bid\b|\bzip\b|\bage\b|\bref\b|\breference\b"
    )),
    ("name", r"\bwho\b|\bwhom\b|\bwhose\b|\bname\b|\bwer\b|\bquién\b|\bqui\b"),
)  # fmt: skip
_MONTH = r"(?:[^\W\d]{3,10}\.?)"
_SHAPES = {
    "amount": (
        r"(?:[$€£¥]|\b(?:RM|EUR|USD|GBP|CHF)\b) ?-?\d[\d.,' ]*"
        r"|\b\d[\d.,']*[.,]\d\d\b(?: ?(?:[$€£¥]|EUR|USD|GBP|CHF))?"
    ),
    "date": (
        rf"\b\d{{1,4}} ?[./-] ?\d{{1,2}} ?[./-] ?\d{{1,4}}\b"
        rf"|\b\d{{1,2}}(?:st|nd|rd|th|\.)? (?:of |de )?{_MONTH},? (?:de )?\d{{2,4}}\b"
        rf"|\b{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}\b"
        rf"|\b\d{{1,2}}(?:st|nd|rd|th|\.)? "
        rf"(?:January|February|March|April|May|June"
        rf"|July|August|September|October|November|December)\b"
    ),
    "phone": r"\+?\(?\d[\d()./ -]{5,}\d",
    "email": r"\S+@\S+\.\w+",
    "time": r"\b\d{1,2}[:.]\d\d(?: ?[ap]\.?m\.?)?(?!\S*\d)|\b\d{1,2} ?[ap]\.?m\b",
    "number": r"\b\d[\d.,]* ?(?:%|[^\W\d_]{1,12}\b)?|\b[A-Z0-9][A-Z0-9/-]*\d[A-Z0-9/-]*\b",
    "name": r"\b(?:(?:Mr|Mrs|Ms|Dr|Prof)\.? )?[A-Z][\w'\u2019-]+(?: [A-Z][\w'\u2019-]+| [A-Z]\.?){1,3}",
}
TYPES = tuple(_SHAPES)
"""In no order of rank."""


def expected_type(question: str) -> str:
    """One of ``TYPES``, "" where the words don't say."""
    lowered = question.lower()
    return next((kind for kind, pattern in _ASKED if re.search(pattern, lowered)), "")


def shapes(kind: str, text: str) -> Iterator[tuple[int, int]]:
    """Start and stop of all that looks like a value of that kind."""
    for match in re.finditer(_SHAPES[kind], text):
        yield match.span()


def share_of_type(kind: str, text: str) -> float:
    """How much of a text is a value of that kind, 0-1."""
    text = text[:300]
    solid = len(text.replace(" ", "")) or 1
    longest = max((len(text[a:b].replace(" ", "")) for a, b in shapes(kind, text)), default=0)
    return min(longest / solid, 1.0)
