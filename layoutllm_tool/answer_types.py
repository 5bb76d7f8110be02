"""Spans of a text that look like a date, an amount, an e-mail ...: pure, standard library only.

Made for corrections and checks: generous about formats and OCR ("1O.00" is no money, "10 .00" is), never tidying.
"""

from __future__ import annotations

import re

from layoutllm_tool.cot import ExpectedType

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_NUMBER = r"-?\d{1,3}(?:[ ,.']\d{3}){1,6}(?:[.,]\d{1,2})?|-?\d+(?:\s?[.,]\s?\d+)?"
_CURRENCY = r"(?:[$€£¥₹]|RM|USD|EUR|GBP|MYR|SGD|CHF|JPY)"

_PATTERNS: dict[ExpectedType, str] = {
    "date": (
        rf"\d{{1,4}}\s?[-/.]\s?\d{{1,2}}\s?[-/.]\s?\d{{1,4}}|\d{{1,2}}(?:st|nd|rd|th)?[\s-]+{_MONTH}[\s,.'-]*\d{{2,4}}"
        rf"|{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{2,4}}"
    ),
    "money": rf"{_CURRENCY}\s?(?:{_NUMBER})|(?:{_NUMBER})\s?{_CURRENCY}|-?\d{{1,3}}(?:[ ,.']\d{{3}}){{0,6}}\s?[.,]\s?\d{{2}}(?!\d)",
    "number": _NUMBER,
    "email": r"[\w.+-]{1,64}\s?@\s?[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    "phone": r"\+?\(?\d[\d\s()/.-]{5,}\d",
    "name": r"(?:[A-Z][\w'.-]*)(?:\s+[A-Z][\w'.-]*)*",
}
"""What is not here ("text", "address") may be anything. Runs that begin again at each of their characters are bounded: a page may
be one line of digits."""


def spans_of(expected: ExpectedType, text: str) -> list[tuple[int, int]]:
    """(start, stop) of every match, in order; [] where nothing matches or the type has no pattern."""
    pattern = _PATTERNS.get(expected)
    if pattern is None:
        return []
    flags = 0 if expected == "name" else re.IGNORECASE
    return [found.span() for found in re.finditer(rf"(?<![\w])(?:{pattern})", text, flags)]
