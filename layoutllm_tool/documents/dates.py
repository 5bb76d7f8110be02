"""Dates as the world writes them: one grammar, for a text that is one date and for the date in a text.

What the grammar does not know is no date: None, never another day. Where day and month may change places
("03/04/1985"), the order that the page shows in its other dates decides, else its language; else the date is
ambiguous. Month names: English, German, French, Spanish, Italian, Dutch, Portuguese, Swedish. Eras: Japanese.
Not read: dates without a year, relative ones ("yesterday"), weekdays, times. Standard library only.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Literal

Order = Literal["dmy", "mdy", "ymd"]
"""Of day, month and year in numbers."""

LONGEST = 80
"""Characters of a text that is read as a date; longer ones are none."""
_YEARS_OF_1900 = 70
"""A year of two digits from here on is of the last century."""

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_MONTHS = {
    name: number
    for months in _DATA["months"].values()
    for number, names in enumerate(months, start=1)
    for name in names
}
_ENGLISH = frozenset(chain.from_iterable(_DATA["months"]["en"]))
_AMERICAN = _ENGLISH.union(*_DATA["months"]["es"])
"""Names that may stand before the day."""


def _one_of(names: Iterable[str]) -> str:
    return rf"({'|'.join(sorted(names, key=len, reverse=True))})(?![a-z])\.?"


_DAY = r"([0-9]{1,2})(?:st|nd|rd|th|er|o|a|°)?"
_BEFORE_YEAR = r"(?: ?,)?[ ./-]? ?'?"
_YEAR = r"([0-9]{4}|%s[0-9]{2})(?!:[0-9]|[.,][0-9])"
_APART = r"(?:(?<! )|(?=[0-9]{2}(?: [0-9]{1,2}:|$)))"
_MONTH = _one_of(_MONTHS)
_PATTERNS = {
    "signs": (
        rf"({'|'.join(_DATA['eras'])})? ?([0-9]{{1,4}}|元) ?[年년]"
        r" ?([0-9]{1,2}) ?[月월] ?([0-9]{1,2}) ?[日일]"
    ),
    "year_month": rf"([0-9]{{4}})[ ./-]{{1,2}}{_MONTH}[ ./-]{{1,2}}{_DAY}",
    "day_month": (rf"{_DAY}\.?[ ./-]{{0,2}}(?:(?:of|de|del) )?{_MONTH}{_BEFORE_YEAR}(?:(?:de|del) )?{_YEAR}"),
    "month_day": rf"(?<![a-z]){_one_of(_AMERICAN)}[ -]{{0,2}}{_DAY}(?: ?,)?[ -]?'?(?<![0-9]){_YEAR}",
    "numbers": r"([0-9]{1,4}) ?(?P<sep>[-/.]) ?([0-9]{1,2}) ?(?P=sep) ?([0-9]{1,4})(?!(?P=sep)[0-9]|:[0-9])",
    "compact": r"((?:19|20)[0-9]{2})([01][0-9])([0-3][0-9])",
}
_KINDS = {kind: re.compile(pattern.replace("%s", "")) for kind, pattern in _PATTERNS.items()}
_ANY = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items())
_IS_DATE = re.compile(_ANY.replace("%s", ""))
_IN_LINE = re.compile(rf"(?<![0-9])(?<![0-9][-/.])(?:{_ANY.replace('%s', _APART)})(?![0-9])")
"""In a line, two digits after a blank are a year only at its end or before a time."""


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """A text that the grammar knows, with all the days that it may mean."""

    text: str
    readings: tuple[date, ...]
    """Day first, month first, year first."""

    @property
    def value(self) -> date | None:
        """None: ambiguous."""
        return self.readings[0] if len(self.readings) == 1 else None


def read(text: str, order: Order | None = None) -> WrittenDate | None:
    """The date that the whole text is; None where the grammar does not know it. ``order`` is the page's."""
    if len(text) > LONGEST:
        return None
    plain = _plain(text).rstrip(". ")
    found = _IS_DATE.fullmatch(plain)
    readings = _days(found, order) if found else ()
    return WrittenDate(text.strip(), readings) if readings else None


def days(text: str, order: Order | None = None) -> frozenset[date]:
    """All days that the one date in the text may mean. Empty: none, or several that differ."""
    if len(text) > LONGEST:
        return frozenset()
    if (whole := read(text, order)) is not None:
        return frozenset(whole.readings)
    found = {readings for match in _IN_LINE.finditer(_plain(text)) if (readings := _days(match, order))}
    return frozenset(found.pop()) if len(found) == 1 else frozenset()


def apart(text: str, order: Order | None = None) -> tuple[list[frozenset[date]], str]:
    """The days that each date in the text may mean, and the text without the dates, in lower case."""
    found, rest, end, plain = list[frozenset[date]](), "", 0, _plain(text)
    for match in _IN_LINE.finditer(plain):
        if readings := _days(match, order):
            found.append(frozenset(readings))
            rest, end = f"{rest}{plain[end : match.start()]} ", match.end()
    return found, rest + plain[end:]


def is_month(word: str) -> bool:
    """Whether it is the name of a month."""
    return _plain(word).rstrip(".") in _MONTHS


def date_order(texts: Iterable[str], language: str | None = None) -> Order | None:
    """The order of the numbers in a page's dates, by its texts; None where nothing decides.

    A number over 12 decides, and in "28/04/25" the years of the page's other dates; where such dates
    disagree, nothing does. Without one: ``language`` (a tag: "de", "en-US"), else the language of a month's
    name, English aside.
    """
    found = [match for text in texts for match in _IN_LINE.finditer(_plain(text))]
    years = {day.year for match in found if len(sure := _days(match, None)) == 1 for day in sure}
    shown = {order for match in found if (order := _shown(match, years))}
    if shown:
        return shown.pop() if len(shown) == 1 else None
    tag = (language or "").lower().replace("_", "-")
    by_tag: Order | None = _DATA["orders"].get(tag) or _DATA["orders"].get(tag.split("-")[0])
    return by_tag or ("dmy" if any(map(_is_foreign, found)) else None)


def _plain(text: str) -> str:
    """In lower case, without accents, with single blanks and Latin digits."""
    if text.isascii():
        return " ".join(text.lower().split())
    parts = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    bare = "".join(c for c in parts if not unicodedata.combining(c))
    return " ".join(unicodedata.normalize("NFC", bare).split())


def _days(match: re.Match[str], order: Order | None) -> tuple[date, ...]:
    """The page's order alone where that gives a day.

    A first number that may be a day is no year only because the others give none: "30.02.24".
    """
    found = {way: day for way, parts in _ways(match).items() if (day := _day(*parts))}
    if order in found:
        return (found[order],)
    first = _parts(match)[0]
    by_default = match.lastgroup == "numbers" and list(found) == ["ymd"] and int(first) <= 31
    return () if by_default else tuple(dict.fromkeys(found.values()))


def _ways(found: re.Match[str]) -> dict[Order, tuple[int | None, str, str]]:
    """The orders to read a date in, with year, month and day. A name or a sign leaves no choice."""
    a, b, c, *rest = _parts(found)
    match found.lastgroup:
        case "numbers":
            b, c = c, rest[0]
            return {"dmy": (_year(c), b, a), "mdy": (_year(c), a, b), "ymd": (_year(a), b, c)}
        case "signs":
            return {"ymd": (_year_of(a, b), c, rest[0])}
        case "day_month":
            return {"dmy": (_year(c), b, a)}
        case "month_day":
            return {"mdy": (_year(c), a, b)}
        case _:
            return {"ymd": (_year(a), b, c)}


def _parts(match: re.Match[str]) -> list[str]:
    kind = match.lastgroup or ""
    found = _KINDS[kind].fullmatch(match[kind])
    return [part or "" for part in found.groups()] if found else []


def _year(digits: str) -> int | None:
    if len(digits) == 2:
        return int(digits) + (1900 if int(digits) >= _YEARS_OF_1900 else 2000)
    return int(digits) if len(digits) == 4 else None


def _year_of(era: str, year: str) -> int | None:
    """Of an era's year; without an era, of our own."""
    number = 1 if year == "元" else int(year)
    return _DATA["eras"][era] + number if era and number < 100 else _year(year) if not era else None


def _day(year: int | None, month: str, day: str) -> date | None:
    number = _MONTHS.get(month) or (int(month) if month.isdecimal() and len(month) <= 2 else 0)
    try:
        return date(year, number, int(day)) if year and len(day) <= 2 else None
    except ValueError:
        return None


def _shown(match: re.Match[str], years: Collection[int] = ()) -> Order | None:
    """The order of a date in numbers that is a day in this order alone, or in one of these years, its year
    last.
    """
    days = {way: day for way, parts in _ways(match).items() if (day := _day(*parts))}
    possible = [way for way, day in days.items() if day.year in years] or list(days)
    last = match.lastgroup == "numbers" and possible in (["dmy"], ["mdy"])
    return possible[0] if last else None


def _is_foreign(match: re.Match[str]) -> bool:
    return any(part in _MONTHS and part not in _ENGLISH for part in _parts(match))
