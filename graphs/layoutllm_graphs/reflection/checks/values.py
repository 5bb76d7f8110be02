"""Columns of amounts, and how digits are misread. Pure, standard library only.

A single amount is read by ``layoutllm_tool.documents.values``, a date by ``layoutllm_tool.documents.dates``.
"""

from __future__ import annotations

from decimal import Decimal

from layoutllm_tool.documents.values import Mark, amount

LONGEST = 80
"""Characters of a text that is read as a value; longer ones are none."""

_CENT = Decimal("0.01")

_ALIKE = frozenset(map(frozenset, ("08", "06", "09", "17", "27", "38", "35", "49", "56", "58", "68")))
"""Digits that are taken for one another."""


def amounts(text: str, mark: Mark | None = None) -> list[Decimal] | None:
    """Of a single answer, or of a column's values joined by "; ". None where one is none or ambiguous."""
    parts = [part for part in text.split(";") if part.strip()]
    found = [amount(part, mark) for part in parts if len(part) <= LONGEST]
    values = [value for value in found if value is not None]
    return values if parts and len(values) == len(parts) else None


def to_the_cent(value: Decimal) -> Decimal:
    """Rounded to two decimals, as amounts are compared. A value too large for that stays as it is."""
    return value.quantize(_CENT) if value.adjusted() < 20 else value


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
