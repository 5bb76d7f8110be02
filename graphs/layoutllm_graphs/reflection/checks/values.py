"""Dates as answers spell them, columns of amounts, and how digits are misread. Pure, standard library only.

A single amount is read by ``layoutllm_tool.documents.values``. Relative dates ("yesterday"), times and
dates without a year are not read.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from layoutllm_tool.documents.values import amount

LONGEST = 80
"""Characters of a text that is read as a value; longer ones are none."""

_CENT = Decimal("0.01")

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"({'|'.join(_MONTHS)})[a-z]{{0,6}}"
_NUMERIC = re.compile(r"(?<![0-9])([0-9]{1,4}) ?([-/.]) ?([0-9]{1,2}) ?\2 ?([0-9]{1,4})(?![0-9])")
_COMPACT = re.compile(r"(?<![0-9])((?:19|20)[0-9]{2})([01][0-9])([0-3][0-9])(?![0-9])")
_DAY_FIRST = re.compile(
    rf"(?<![0-9])([0-9]{{1,2}})(?:st|nd|rd|th)?[ -]{{0,2}}"
    rf"{_MONTH}[ ,.'-]{{0,3}}([0-9]{{4}}|[0-9]{{2}})(?![0-9])"
)
_MONTH_FIRST = re.compile(
    rf"{_MONTH}\.? {{0,2}}([0-9]{{1,2}})(?:st|nd|rd|th)?[ ,.'-]{{1,3}}([0-9]{{4}}|[0-9]{{2}})(?![0-9])"
)
_YEARS_OF_1900 = 70
"""A year of two digits from here on is of the last century."""

_ALIKE = frozenset(map(frozenset, ("08", "06", "09", "17", "27", "38", "35", "49", "56", "58", "68")))
"""Digits that are taken for one another."""


def amounts(text: str) -> list[Decimal] | None:
    """Of a single answer, or of a column's values joined by "; ". None where one of them is no amount."""
    parts = [part for part in text.split(";") if part.strip()]
    found = [amount(part) for part in parts if len(part) <= LONGEST]
    values = [value for value in found if value is not None]
    return values if parts and len(values) == len(parts) else None


def to_the_cent(value: Decimal) -> Decimal:
    """Rounded to two decimals, as amounts are compared. A value too large for that stays as it is."""
    return value.quantize(_CENT) if value.adjusted() < 20 else value


def dates(text: str) -> frozenset[date]:
    """All days that the one date in the text may mean, day and month exchanged. Empty: none or several."""
    if len(text) > LONGEST:
        return frozenset()
    plain = " ".join(unicodedata.normalize("NFKC", text).lower().split())
    meanings = [{day for order in orders if (day := _day(*order))} for orders in _spelt(plain)]
    found = [days for days in meanings if days]
    return frozenset(found[0]) if len(found) == 1 else frozenset()


def _spelt(text: str) -> Iterator[list[tuple[str, str, str]]]:
    """For each date the ways to read it, as (year, month, day)."""
    for a, _, b, c in _NUMERIC.findall(text):
        orders = [(a, b, c)] if len(a) == 4 else [(c, b, a), (c, a, b)]
        yield [*orders, (a, b, c)] if len(a) <= 2 and len(c) <= 2 else orders
    for year, month, number in _COMPACT.findall(text):
        yield [(year, month, number)]
    named = [(year, month, number) for number, month, year in _DAY_FIRST.findall(text)]
    named = named or [(year, month, number) for month, number, year in _MONTH_FIRST.findall(text)]
    for year, month, number in named:
        yield [(year, str(_MONTHS.index(month) + 1), number)]


def _day(year: str, month: str, number: str) -> date | None:
    if len(year) not in (2, 4) or len(number) > 2 or len(month) > 2:
        return None
    whole = int(year) if len(year) == 4 else int(year) + (1900 if int(year) >= _YEARS_OF_1900 else 2000)
    try:
        return date(whole, int(month), int(number))
    except ValueError:
        return None


def misreading(read: Decimal, meant: Decimal) -> str:
    """How one slip turns ``meant`` into ``read``: "3 read as 8", "a lost decimal point"; else ""."""
    if to_the_cent(read) == to_the_cent(-meant) != 0:
        return "a lost minus"
    if meant and read in (meant * 100, meant * 10):
        return "a lost decimal point"
    was, now = (format(abs(to_the_cent(value)), "f") for value in (meant, read))
    if len(was) != len(now) or (read < 0) != (meant < 0):
        return ""
    slips = [(a, b) for a, b in zip(was, now, strict=True) if a != b]
    return f"{slips[0][0]} read as {slips[0][1]}" if len(slips) == 1 and frozenset(slips[0]) in _ALIKE else ""
