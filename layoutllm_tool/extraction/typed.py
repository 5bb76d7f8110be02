"""Printed text -> a schema's value, or what stands in the way. Pure.

Nothing is guessed: an amount or a date with two readings that the page does not decide is "ambiguous", what
the grammars don't know is "not understood". The printed text is kept beside the value by ``record``.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

import regex
from cachetools import LRUCache
from rapidfuzz import fuzz

from layoutllm_tool.documents import dates, values
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.extraction.choices import meant
from layoutllm_tool.extraction.rows import normal
from layoutllm_tool.extraction.schema import Leaf

Problem = Literal["", "missing", "not_understood", "ambiguous", "outside_enum", "out_of_bounds", "no_rows"]
_YES = frozenset(("yes", "y", "true", "x", "ja", "oui", "sí", "si", "sim", "はい", "有", "○", *"✓✔☑☒"))
_NO = frozenset(("no", "n", "false", "nein", "non", "não", "nee", "いいえ", "無", "☐"))
_NOT = frozenset((
    "not", "never", "without", "nicht", "kein", "keine", "nie", "ohne", "pas", "jamais", "sans", "nunca",
    "sin", "niet", "geen", "zonder", "mai", "senza",
))  # fmt: skip
_ALIKE = 0.85
"""Least similarity of an answer's words to an enum's value."""
_SHARED = {"$": frozenset(("USD", "CAD", "AUD", "NZD", "SGD", "HKD")), "¥": frozenset(("JPY", "CNY"))}
"""Signs of several currencies."""
_UNTIL = frozenset(
    ("-", "\u2013", "\u2014", "to", "until", "through", "bis", "au", "al", "tot", "~", "\u301c")
)
_USUAL = 0.2
"""Least share of the full dates that are in a year which the page speaks of."""
_MARGIN = timedelta(days=45)
"""Before its first full date and after its last."""
_SIGNS = {"S": " DR", "D": " DR", "-": " DR", "H": " CR", "C": " CR", "+": " CR"}
"""Debit and credit behind an amount, as the grammar of amounts knows them."""
_TIME = re.compile(r"(?i)(?<![\d:.])(\d{1,2})[:h]([0-5]\d)(?::([0-5]\d))?(?:\s?([ap])\.?m\b)?(?!\d)")
_SPELT = re.compile(
    r"[\"'\u201c\u201e]([^\"'\u201d\u201c]+)[\"'\u201d\u201c]|\b([A-Z\u00c4\u00d6\u00dc]{4,})\b"
)
"""What a description spells as it would be printed."""
_SECONDS = 0.5
"""For a schema's pattern, which may be anybody's, on one text."""
_TOO_SLOW = LRUCache[str, bool](1000)
_OF_NUMBERS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": operator.ge, "maximum": operator.le, "exclusiveMinimum": operator.gt,
    "exclusiveMaximum": operator.lt, "multipleOf": lambda value, unit: not unit or value % unit == 0,
}  # fmt: skip
_OF_LENGTHS: dict[str, Callable[[Any, Any], bool]] = {"minLength": operator.ge, "maxLength": operator.le}


@dataclass(frozen=True, slots=True)
class Convention:
    """How a page writes numbers and dates; None where it does not show it."""

    decimal_mark: values.Mark | None = None
    date_order: dates.Order | None = None
    span: tuple[date, date] | None = None
    """The first and the last day of the years that most of its dates are in."""

    @classmethod
    def of(cls, pages: Iterable[Page]) -> Convention:
        texts = [line.text for page in pages for line in page.lines or ()]
        mark = values.decimal_mark(texts)
        # Nobody who writes a decimal comma, or pounds, writes the month first.
        day_first = mark == "," or any("\u00a3" in text for text in texts)
        order = dates.date_order(texts) or ("dmy" if day_first and not _contradict(texts) else None)
        return cls(mark, order, _span(texts, order))


def _contradict(texts: Sequence[str]) -> bool:
    """Whether dates of the page are in several orders."""
    return any(dates.date_order([text]) not in (None, "dmy") for text in texts)


@dataclass(frozen=True, slots=True)
class Typed:
    """A value of the schema's type, or None with the problem and a sentence about it."""

    value: Any = None
    problem: Problem = ""
    reason: str = ""


def typed(leaf: Leaf, text: str | None, page: Convention = Convention()) -> Typed:
    """The value that the text says."""
    if text is None or not text.strip():
        return Typed(None, "missing", "The document does not say it.") if leaf.required else Typed()
    text = " ".join(text.split())
    if leaf.choices:
        return chosen(leaf.choices, text)
    match leaf.kind:
        case "boolean":
            return _boolean(leaf, text)
        case "integer" | "number":
            return _within(leaf, _number(leaf, text, page))
        case _ if leaf.format == "date":
            return _date(text, page)
        case _ if leaf.format == "date-time":
            spaced = re.sub(r"(?<=\d)T(?=\d)", " ", text)
            return _with_time(_date(spaced, page), spaced)
        case _:
            return _within(leaf, Typed(text))


def _number(leaf: Leaf, text: str, page: Convention) -> Typed:
    text = re.sub(r"(?<=\d) ?([.,]) (?=\d\d(?!\d))", r"\1", text)  # text recognition parts "1, 00"
    text = re.sub(r"(?<=\d) ([SDHC+-])$", lambda mark: _SIGNS[mark[1]], text)
    read = values.read(text, page.decimal_mark) or values.read(_only_number(text), page.decimal_mark)
    if read is None:
        return Typed(None, "not_understood", f"{text!r} is not understood as a number.")
    if read.value is None:
        readings = " or ".join(map(str, read.readings))
        return Typed(None, "ambiguous", f"{text!r} may be {readings}.")
    if read.value < 0 and _is_unsigned(leaf, text):
        return _whole(leaf, text, -read.value)
    return _whole(leaf, text, read.value)


def _is_unsigned(leaf: Leaf, text: str) -> bool:
    """Whether the schema wants the amount without its sign, or without the S of "12,50 S"."""
    said = leaf.description.lower()
    wanted = "positiv" in said and "negativ" not in said
    return wanted or (text.endswith(tuple(_SIGNS.values())) and leaf.limits.get("minimum", -1) >= 0)


def _whole(leaf: Leaf, text: str, value: Decimal) -> Typed:
    if leaf.kind == "integer":
        if value != value.to_integral_value():
            return Typed(None, "not_understood", f"{text!r} is no whole number.")
        return Typed(int(value))
    return Typed(value)


def _only_number(text: str) -> str:
    """The one number that stands among words ("45 days", "3.5 h", "21 %"); "" where there are several."""
    found = re.findall(
        r"(?<![\w.,/])[-\u2212(]?\d[\d.,' \u00a0\u202f]*\d\)?-?|(?<![\w.,/])\d(?![\d/:])", text
    )
    return found[0].strip() if len(found) == 1 and not re.search(r"\d[:/]\d", text) else ""


def _date(text: str, page: Convention) -> Typed:
    """The date that the text is, or begins with; a period is none."""
    words = text.split()
    lengths = range(min(len(words), 6), 0, -1)
    found = ((dates.read(" ".join(words[:n]).rstrip(",;"), page.date_order), words[n:]) for n in lengths)
    read, after = next((one for one in found if one[0]), (None, []))
    if after and after[0].lower() in _UNTIL:
        return Typed(None, "ambiguous", f"{text!r} is a period, not a day.")
    if read is None and page.span and (day := _in_span(text, page, page.span)):
        return Typed(day.isoformat())
    if read is None:
        return Typed(None, "not_understood", f"{text!r} is not understood as a date.")
    if read.value is None:
        readings = " or ".join(day.isoformat() for day in read.readings)
        return Typed(None, "ambiguous", f"{text!r} may be {readings}.")
    return Typed(read.value.isoformat())


def _with_time(found: Typed, text: str) -> Typed:
    """With the time of day that stands behind the date, where one does."""
    time = _TIME.search(text)
    if found.value is None or time is None:
        return found
    half = (time[4] or "").lower()
    hour = int(time[1]) % 12 + 12 * (half == "p") if half else int(time[1])
    return Typed(f"{found.value}T{hour:02}:{time[2]}:{time[3] or '00'}") if hour < 24 else found


def _span(texts: Iterable[str], order: dates.Order | None) -> tuple[date, date] | None:
    lines = (text for text in texts if len(text) <= dates.LONGEST)
    found = [next(iter(days)) for text in lines for days in _dates_in(text, order) if len(days) == 1]
    years = Counter(day.year for day in found)
    usual = [day for day in found if years[day.year] >= _USUAL * len(found)]
    return (min(usual), max(usual)) if usual else None


def _dates_in(text: str, order: dates.Order | None) -> list[frozenset[date]]:
    """The days of the one date that the line has; of several those of each ("1 January to 31 March 2025")."""
    one = dates.days(text, order)
    return [one] if one else dates.apart(text, order)[0]


def _in_span(text: str, page: Convention, span: tuple[date, date]) -> date | None:
    """The one day that a date without a year means, in the years that the page speaks of."""
    first, last = span[0] - _MARGIN, span[1] + _MARGIN
    signs = ("", " ", ".", "/", "-")
    tries = [f"{text.strip()}{sign}{year}" for year in (first.year, last.year) for sign in signs]
    read = [found.value for one in tries if (found := dates.read(one, page.date_order or "dmy"))]
    days = {day for day in read if day is not None and first <= day <= last}
    return days.pop() if len(days) == 1 else None


def _boolean(leaf: Leaf, text: str) -> Typed:
    """From yes or no, a tick, or the field's own words ("PAID" for ``paid``), which no "not" precedes."""
    yes, no = says_yes(text), says_no(text)
    if yes != no:
        return Typed(yes)
    own = {word[:4] for name in leaf.path[-1:] for word in normal(name).split() if len(word) > 3}
    spelt = [a or b for a, b in _SPELT.findall(leaf.description)]
    own |= {word[:4] for text in spelt for word in normal(text).split() if len(word) > 3}
    if any(word[:4] in own for word in normal(text).split()) and not denies(text):
        return Typed(True)
    return Typed(None, "not_understood", f"{text!r} says neither yes nor no.")


def denies(text: str) -> bool:
    """Whether the text has a word such as "not"."""
    return not _NOT.isdisjoint(_plain(text).split())


def says_yes(text: str) -> bool:
    return bool(_signs(text) & _YES) or bool(re.search(r"\[\s?[xX]\s?\]", text))


def says_no(text: str) -> bool:
    return bool(_signs(text) & _NO) or bool(re.fullmatch(r"\s*\[\s*\].*", text))


def _signs(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+|[✓✔☑☒☐○]", text.lower()))


def chosen(choices: Sequence[str | int | float], text: str) -> Typed:
    """The one choice that the text says: itself, its number, its currency, or its words."""
    said = _ticked(text)
    plain = _plain(said)
    alike = [c for c in choices if plain and _plain(str(c)) == plain]
    if (
        found := [c for c in choices if str(c) == said]
        or alike
        or [c for c in choices if _worth(said) == _worth(str(c)) is not None]
    ):
        return Typed(found[0])
    if (code := currency_of(said, choices)) is not None:
        return Typed(code)
    words = [(c, _plain(str(c))) for c in choices if not denies(said) or denies(str(c))]
    inside = [c for c, own in words if own and _holds(plain, own)]
    if len(inside) == 1:
        return Typed(inside[0])
    ranked = sorted(((fuzz.token_set_ratio(own, plain) / 100, c) for c, own in words), key=lambda one: one[0])
    second = ranked[-2][0] if len(ranked) > 1 else 0.0
    if ranked and ranked[-1][0] >= _ALIKE and ranked[-1][0] > second:
        return Typed(ranked[-1][1])
    if (other := meant(said, choices)) is not None:
        return Typed(other)
    return Typed(None, "outside_enum", f"{text!r} is none of the values allowed.")


def currency_of(text: str, choices: Sequence[str | int | float]) -> str | int | float | None:
    """The one choice that the text's currency is; a sign that two of them share is neither."""
    name = values.currency(text)
    found = [c for c in choices if c == name or c in _SHARED.get(name or "", ())]
    return found[0] if len(found) == 1 else None


def _plain(text: str) -> str:
    """In lower case, without signs but those that tell values apart: "A+" and "A-", "C" and "C#", "<5"."""
    signs = r"[^\w+#<>\u2264\u2265\u00b1-]|_|(?<=\w)-(?=\w)|(?<!\S)[+#<>-]+(?!\S)"
    joined = re.sub(r"([<>\u2264\u2265]) +(?=\d)", r"\1", text.casefold().replace("\u2212", "-"))
    return " ".join(re.sub(signs, " ", joined).split())


def _holds(text: str, words: str) -> bool:
    return bool(re.search(rf"(?<![\w+#<>-]){re.escape(words)}(?![\w+#-])", text))


def _ticked(text: str) -> str:
    """What follows the tick, where boxes are part of the text."""
    found = re.findall(r"\[\s?[xX]\s?\]\s*([^\[]+)", text)
    return found[0].strip() if len(found) == 1 else text


def _worth(text: str) -> Decimal | None:
    read = values.read(text)
    return read.value if read else None


def _within(leaf: Leaf, found: Typed) -> Typed:
    """The value, if it keeps to the schema's bounds and pattern."""
    if found.value is None:
        return found
    for name, limit in leaf.limits.items():
        if not _kept(name, limit, found.value):
            return Typed(None, "out_of_bounds", f"{str(found.value)!r} breaks {name} {limit!r}.")
    return found


def _kept(name: str, limit: Any, value: Any) -> bool:
    """Whether a value keeps to one limit; limits of another type than the value's say nothing."""
    if name == "pattern":
        return not isinstance(value, str) or _matches(limit, value)
    if isinstance(value, str):
        return name not in _OF_LENGTHS or _OF_LENGTHS[name](len(value), limit)
    return name not in _OF_NUMBERS or _OF_NUMBERS[name](value, Decimal(str(limit)))


def _matches(pattern: str, text: str) -> bool:
    """A pattern that once took too long matches nothing any more."""
    if pattern in _TOO_SLOW:
        return False
    try:
        return bool(regex.search(pattern, text, timeout=_SECONDS, concurrent=True))
    except TimeoutError:
        _TOO_SLOW[pattern] = True
        return False
