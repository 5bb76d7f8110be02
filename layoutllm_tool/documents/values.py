"""Amounts of money as Decimals; spans of a text that look like a date, an amount, an e-mail address.

Does not correct misread letters ("1O.00"), read amounts in words or distinguish currencies. Standard library
only.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layoutllm_tool.cot import ExpectedType

_SIGN = r"[-\u2212\u2013]"
_CURRENCY = r"(?i:[A-Z]{0,2}[$€£¥₹円元]|RM|Rp\.?|USD|EUR|GBP|MYR|SGD|CHF|JPY|IDR|AUD|CAD|INR|CNY)"
_GROUPED = (
    r"[1-9]\d{0,2}(?P<mark>[,.'\u2019\u00a0\u202f])\d{3}(?:(?P=mark)\d{3}){0,4}"
    r"|[1-9]\d{0,2}(?: \d{3}){1,4}(?=\s?,\d{1,2}(?!\d))"
)
_AMOUNT = re.compile(
    rf"(?<!\w)(?<!\d[.,/:\u2212\u2013-])(?P<open>\()?(?P<minus>{_SIGN})?(?P<before>{_CURRENCY})?"
    rf"\s?(?P<inner>{_SIGN})?"
    rf"(?P<whole>(?P<grouped>{_GROUPED})|\d{{1,15}})(?P<part>\s?(?:\.\s?|,)\d{{1,3}})?"
    rf"(?!\d|\s?[.,:/]\d)(?:(?P<after>\s?{_CURRENCY})|(?!AM|PM)[A-Z]{{1,2}})?"
    rf"(?![\w%])(?!\s%)(?P<close>\s?\))?(?P<trailing>-(?!\w))?",
)
"""A receipt's tax code may follow at once ("5.30 SR", "5.30T")."""


def amount(text: str) -> Decimal | None:
    """The one amount in the text: "RM 1,234.50", "1.234,50 €", "Total: 10 .00", "(5.00)" (negative).

    Prefers a number with a currency or two decimals to a grouped one ("12,000"), and that to a bare one,
    which must be the whole text ("12"). Three digits after a separator are thousands where possible ("1.234",
    not "0.234"). None where there is no amount, or several that differ.
    """
    found = list(_AMOUNT.finditer(text))
    for stands_out in (_is_money, _is_grouped):
        values = {_value(match) for match in found if stands_out(match)}
        if values:
            return values.pop() if len(values) == 1 else None
    alone = len(found) == 1 and found[0].group().strip() == text.strip()
    return _value(found[0]) if alone else None


def spans(text: str) -> tuple[tuple[int, int, Decimal], ...]:
    """(start, stop, value) of every amount with a currency or two decimals, in order."""
    found = [match for match in _AMOUNT.finditer(text) if _is_money(match)]
    return tuple((m.end() - len(m.group().lstrip()), m.end(), _value(m)) for m in found)


def _is_money(match: re.Match[str]) -> bool:
    cents = match["part"] is not None and len(_digits(match["part"])) == 2
    return cents or match["before"] is not None or match["after"] is not None


def _is_grouped(match: re.Match[str]) -> bool:
    return match["grouped"] is not None


def _value(match: re.Match[str]) -> Decimal:
    digits, decimals = _digits(match["whole"]), _digits(match["part"] or "")
    value = Decimal(f"{digits}.{decimals or '0'}")
    negative = match["minus"] or match["inner"] or match["trailing"] or (match["open"] and match["close"])
    return -value if negative else value


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_NUMBER = r"-?\d{1,3}(?:[ ,.']\d{3}){1,6}(?:[.,]\d{1,2})?|-?\d+(?:\s?[.,]\s?\d+)?"
_CURRENCIES = r"(?:[$€£¥₹]|RM|USD|EUR|GBP|MYR|SGD|CHF|JPY)"

_PATTERNS: dict[ExpectedType, str] = {
    "date": (
        rf"\d{{1,4}}\s?[-/.]\s?\d{{1,2}}\s?[-/.]\s?\d{{1,4}}"
        rf"|\d{{1,2}}(?:st|nd|rd|th)?[\s-]+{_MONTH}[\s,.'-]*\d{{2,4}}"
        rf"|{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{2,4}}"
    ),
    "money": (
        rf"{_CURRENCIES}\s?(?:{_NUMBER})|(?:{_NUMBER})\s?{_CURRENCIES}"
        rf"|-?\d{{1,3}}(?:[ ,.']\d{{3}}){{0,6}}\s?[.,]\s?\d{{2}}(?!\d)"
    ),
    "number": _NUMBER,
    "email": r"[\w.+-]{1,64}\s?@\s?[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    "phone": r"\+?\(?\d[\d\s()/.-]{5,}\d",
    "name": r"(?:[A-Z][\w'.-]*)(?:\s+[A-Z][\w'.-]*)*",
}
"""Types without a pattern may be anything. Repeats are bounded: a page may be one line of digits."""


def spans_of(expected: ExpectedType, text: str) -> list[tuple[int, int]]:
    """(start, stop) of every match, in order; [] where nothing matches or the type has no pattern."""
    pattern = _PATTERNS.get(expected)
    if pattern is None:
        return []
    flags = 0 if expected == "name" else re.IGNORECASE
    return [found.span() for found in re.finditer(rf"(?<![\w])(?:{pattern})", text, flags)]
