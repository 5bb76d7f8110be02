"""Amounts as the world writes them: one grammar, for a text that is one amount and for amounts in a line.

What the grammar does not know is no amount: None, never another number. Every digit of a text that is read
stands in its value, leading zeros aside. Where a mark may part thousands or decimals ("1.234", "1,234"), the
page's decimal mark decides. Else the currency does, where it has no cents, or where its countries put another
mark before cents. Else the amount is ambiguous.

Negative: a minus before or after, parentheses, and DR, as banks print it (CR is what a customer has). Read:
digits of other scripts and widths, "45.-" and "12,--" for no cents, blanks that OCR puts around a decimal
point. Not read: misread letters ("1O.00"), words ("two", "1.2 million"), units, fractions, dates, "2 100.00"
(which may be a count and an amount), "¥1,234-" (an end, or a minus). Standard library only.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from layoutllm_tool.cot import ExpectedType

Mark = Literal[".", ","]
"""What stands before the decimals."""

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_MARKS: dict[str, Mark | None] = {"point": ".", "comma": ",", "either": None}
_HOMES = {name: mark for place, mark in _MARKS.items() for name in _DATA[place]}
_NAMES: dict[str, str] = {
    form: name for place in _MARKS for name, forms in _DATA[place].items() for form in (name, *forms)
}
_CURRENCY = "|".join(re.escape(form) for form in sorted(_NAMES, key=len, reverse=True))
_FOLDED = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe63"), "-"),
    **dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u00b4`"), "'"),
    **dict.fromkeys(map(ord, "\u2007\u2009\u202f"), "\u00a0"),
    ord("\u3000"): " ",
    ord("\uffe1"): "£",
    ord("\uffe5"): "¥",
}
"""One character for one: places in a text stay what they are."""

_DECIMALS = 8
_SEVERAL = (
    r"(?:(?i:(?:hundred|thousand|million|billion|trillion|lakh|crore)s?|mio|mill?|mrd|bn|mn|tsd|[kmb])\b"
    r"|[千万億])"
)
_UNIT = r"AM|PM|BN|MN|MM|CM|KM|KG|LB|OZ|ML|FT|HR|KB|MB|GB|KW|[KMB](?![A-Z])"
_WHOLE = (
    r"(?:[1-9]\d{0,2}(?P<group>[,.'\u00a0])\d{3}(?:(?P=group)\d{3}){0,4}"
    r"|[1-9]\d?(?P<indian>,)(?:\d{2},){1,5}\d{3}"
    r"|[1-9]\d{0,2}(?P<blank> )\d{3}(?: \d{3}){0,3}%s"
    r"|\d{1,15}%s)"
)
_AMOUNT = (
    rf"(?<!\w)(?<!\d[.,/:-])(?P<open>\()?(?P<minus>[-+])?(?P<before>{_CURRENCY})?\s?(?P<inner>[-+(])?"
    rf"(?P<whole>{_WHOLE})"
    rf"(?:(?P<part>\s?(?!(?(group)(?P=group)|(?!)))(?(indian)(?!,))(?:\.\s?|,)\d{{1,{_DECIMALS}}})"
    r"|(?P<zero>[.,:][-\u2014]{1,2}|--))?"
    rf"(?!\d|\s?[.,:/]\d|-\w)(?!\s?{_SEVERAL})(?P<tail>-(?!\w))?"
    rf"(?:(?P<after>\s?(?:{_CURRENCY}))(?!\s{_SEVERAL})%s)?(?P<percent>\s?%%)?(?!(?!(?:CR|DR)(?!\w))[\w%%])"
    r"(?P<close>\s?\))?(?P<end>-(?!\w))?(?:\s?(?P<side>CR|DR|(?:Cr|Dr)(?!\.?\s?[^\W\d_]))(?!\w)\.?)?"
)
_IS_AMOUNT = re.compile(_AMOUNT % ("", r"|(?=\.\d)", ""))
_IN_LINE = re.compile(
    _AMOUNT
    % (r"(?(before)|(?=\s?,\d{1,2}(?!\d)))", "", rf"|(?!(?:{_UNIT}|CR|DR)(?!\w))(?P<code>[A-Z]{{1,2}})")
)
"""In a line, blanks part thousands only after a currency or before a decimal comma; a receipt's tax code may
follow the cents at once ("5.30T").
"""


@dataclass(frozen=True, slots=True)
class Amount:
    """A text that the grammar knows, with all that it may mean."""

    text: str
    readings: tuple[Decimal, ...]
    """One, or both where the mark may part thousands or decimals: thousands first."""
    currency: str | None = None
    """Its code where the spelling is of one currency ("€" is EUR), else the spelling ("$", "kr")."""
    percent: bool = False

    @property
    def value(self) -> Decimal | None:
        """None: ambiguous."""
        return self.readings[0] if len(self.readings) == 1 else None


def read(text: str, mark: Mark | None = None) -> Amount | None:
    """The amount that the whole text is; None where the grammar does not know it. ``mark`` is the page's."""
    stripped = text.strip()
    found = _IS_AMOUNT.fullmatch(_plain(stripped))
    if found is None or _is_open(found) != bool(found["close"]) or _is_unclear(found):
        return None
    return _amount(found, stripped, mark)


def currency(text: str) -> str | None:
    """The currency that a word is, or that the first amount in the text stands in: a code, or a spelling that
    several share ("$").
    """
    word = text.strip("(),: ")
    if word in _NAMES:
        return _NAMES[word]
    return next((found.currency for _, _, found in money(text) if found.currency), None)


def amount(text: str, mark: Mark | None = None) -> Decimal | None:
    """The one amount in the text: "RM 1,234.50", "1.234,50 €", "Total: 10 .00", "(5.00)" (negative).

    None where there is none, several that differ, or an ambiguous one.
    """
    found = readings(text, mark)
    return found[0] if len(found) == 1 else None


def readings(text: str, mark: Mark | None = None) -> tuple[Decimal, ...]:
    """What the one amount in the text may mean. (): none, a share ("10%"), or several that differ.

    What is not one amount as a whole is searched: a number with a currency or two decimals goes before one of
    several groups ("1,234,567").
    """
    if (whole := read(text, mark)) is not None:
        return () if whole.percent else whole.readings
    found = list(_in_line(text, mark))
    for stands_out in (_is_money, _is_grouped):
        values = {() if _is_cut(match) else one.readings for match, one in found if stands_out(match)}
        if values:
            return values.pop() if len(values) == 1 else ()
    return ()


def money(text: str, mark: Mark | None = None) -> Iterator[tuple[int, int, Amount]]:
    """(start, stop, amount) of every amount with a currency or two decimals, in order.

    Digits before a decimal point are a count: of "2 100.00" the second is the amount.
    """
    for match, found in _in_line(text, mark):
        if _is_money(match) and (not _is_cut(match) or "." in (match["part"] or "")):
            yield match.end() - len(match.group().lstrip()), match.end(), found


def marks(texts: Iterable[str]) -> tuple[Mark, ...]:
    """The decimal marks to read a page's amounts by: the one that it shows, else each in turn."""
    shown = decimal_mark(texts)
    return (shown,) if shown else (".", ",")


def decimal_mark(texts: Iterable[str]) -> Mark | None:
    """The decimal mark that the texts of a page show; None where they show none, or both.

    Amounts with a currency, or that show both marks, go before bare numbers with two decimals. Of those one
    alone says nothing, nor what may be a time or a day ("12.30"). One in ten may differ: OCR mistakes them.
    """
    sure, likely = Counter[Mark](), Counter[Mark]()
    for text in texts:
        for match, found in _in_line(text, None):
            if shown := _shown(match, found):
                (sure if _is_sure(match, found) else likely)[shown] += 1
    shown_by = sure or likely
    if not sure and likely.total() < 2:
        return None
    ((most, times),) = shown_by.most_common(1)
    return most if 10 * times >= 9 * shown_by.total() else None


def _plain(text: str) -> str:
    """The text with one spelling of each digit, sign and blank, character by character."""
    if text.isascii():
        return text
    digits = (str(int(c)) if c.isdecimal() else c for c in text)
    return "".join(digits).translate(_FOLDED)


def _in_line(text: str, mark: Mark | None) -> Iterator[tuple[re.Match[str], Amount]]:
    """Shares aside, tax codes without cents, and what may stand in parentheses as a remark: "(428 euros)"."""
    for match in _IN_LINE.finditer(_plain(text)):
        coded = match["code"] is not None and not _has_cents(match)
        remark = match["close"] and match["after"] and _is_open(match)
        found = _amount(match, text[match.start() : match.end()].strip(), mark)
        if found and not (found.percent or coded or remark):
            yield match, found


def _amount(found: re.Match[str], text: str, mark: Mark | None) -> Amount | None:
    sign, currency = _sign(found), _currency(found)
    bad_zero = re.match(r"0\d", found["whole"]) and not _has_cents(found)
    if not sign or currency == "" or bad_zero or (found["percent"] and currency):
        return None
    if (found["tail"] or found["end"]) and currency in ("JPY", "¥"):
        return None
    numbers = tuple(sign * number for number in _numbers(found, mark, currency))
    return Amount(text, numbers, currency, found["percent"] is not None)


def _sign(found: re.Match[str]) -> int:
    """1 or -1; 0 where signs contradict each other, or a plus begins a whole number (of a telephone)."""
    signs, side = {found["minus"], found["inner"]}, (found["side"] or "").upper()
    closed = found["close"] and _is_open(found)
    negative = "-" in signs or closed or found["tail"] or found["end"] or side == "DR"
    positive = "+" in signs or side == "CR"
    whole = "+" in signs and not (found["part"] or found["before"] or found["after"])
    if (negative and positive) or whole or (found["zero"] and (found["tail"] or found["end"])):
        return 0
    return -1 if negative else 1


def _is_open(found: re.Match[str]) -> bool:
    return bool(found["open"]) or found["inner"] == "("


def _currency(found: re.Match[str]) -> str | None:
    """Its name; None without one, "" where two differ."""
    before, after = (_NAMES[found[at].strip()] if found[at] else None for at in ("before", "after"))
    if before and after and before != after:
        return after if before == "$" and after.endswith("D") else ""
    return before or after


def _numbers(found: re.Match[str], mark: Mark | None, currency: str | None) -> tuple[Decimal, ...]:
    whole, part = _digits(found["whole"]), _digits(found["part"] or "")
    group = found["group"]
    if part or found["zero"] or group not in (".", ",") or len(whole) > 6:
        return (Decimal(f"{whole}.{part}" if part else whole),)
    both = Decimal(whole), Decimal(f"{whole[:-3]}.{whole[-3:]}")
    if mark is not None:
        return (both[mark == group],)
    home = _HOMES[currency] if currency else None
    of_thousands = currency in _DATA["whole"] or (home is not None and home != group)
    return both[:1] if of_thousands else both


def _is_unclear(found: re.Match[str]) -> bool:
    """Whether it may be a count before an amount: "2 100.00"."""
    bare = not (found["before"] or found["after"] or found["minus"] or found["inner"])
    point = found["part"] is not None and "." in found["part"]
    return found["blank"] is not None and len(_digits(found["whole"])) <= 6 and bare and point


def _is_cut(match: re.Match[str]) -> bool:
    """Whether the number before it, with a blank between, may be its thousands: "2 100.00"."""
    at = match.start("whole")
    glued = re.search(r"(?<![\d.,])[1-9]\d{0,2} $", match.string[max(at - 5, 0) : at])
    return glued is not None and len(match["whole"]) == 3


def _shown(match: re.Match[str], found: Amount) -> Mark | None:
    """The decimal mark that one amount shows; None for "1.234", a chapter's "1.2", "25.12."."""
    if match["part"]:
        ends = match.string[match.end() : match.end() + 1] != "."
        cents = _has_cents(match) and (_is_sure(match, found) or (ends and not _may_be_time(match)))
        if cents or match["group"] or (match["whole"] == "0" and not _has_cents(match)):
            return "." if "." in match["part"] else ","
    elif match["group"] in (".", ",") and found.value is not None:
        return "," if match["group"] == "." else "."
    return None


def _may_be_time(match: re.Match[str]) -> bool:
    """Or a day and its month: "12.30", "24.12"."""
    whole, part = int(match["whole"] or 0), int(_digits(match["part"]))
    return "." in match["part"] and ((whole <= 24 and part < 60) or (whole <= 31 and part <= 12))


def _is_sure(match: re.Match[str], found: Amount) -> bool:
    return found.currency is not None or any(match[name] for name in ("group", "blank", "indian"))


def _is_money(match: re.Match[str]) -> bool:
    return _has_cents(match) or any(match[name] is not None for name in ("before", "after"))


def _has_cents(match: re.Match[str]) -> bool:
    zero = match["zero"] is not None and match["zero"] != "--"
    return zero or (match["part"] is not None and len(_digits(match["part"])) == 2)


def _is_grouped(match: re.Match[str]) -> bool:
    return any(match[name] is not None for name in ("group", "blank", "indian"))


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_NUMBER = r"-?\d{1,3}(?:[ ,.']\d{3}){1,6}(?:[.,]\d{1,2})?|-?\d+(?:\s?[.,]\s?\d+)?"
_CURRENCIES = r"(?:[$€£¥₹]|RM|USD|EUR|GBP|MYR|SGD|CHF|JPY)"

# The shapes that the decoder is held to and that the confidence was fitted with; they stay what those know.
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
