"""Dates as documents print them, and the order that a page writes them in."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layoutllm_tool.documents import dates
from layoutllm_tool.documents.dates import LONGEST, Order, date_order, days, read

ROWS = tomllib.loads(Path(__file__).with_name("notations.toml").read_text(encoding="utf-8"))["dates"]
MONTHS = list(dates._DATA["months"].values())
DAYS = st.dates(min_value=date(1970, 1, 1), max_value=date(2069, 12, 31))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(row[0]))
def test_the_notations_of_the_world(row: list[str]) -> None:
    text, *meanings = row
    found = read(text)
    assert (list(map(str, found.readings)) if found else []) == meanings
    if found:
        assert found.value == (found.readings[0] if len(meanings) == 1 else None)


def test_the_table_is_large() -> None:
    assert len(ROWS) >= 60 and len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("text", "meanings"),
    [
        ("25/03/2018 10:20", {"2018-03-25"}),
        ("Mittwoch, 3. April 1985", {"1985-04-03"}),
        ("2024-04-03T10:00:00Z", {"2024-04-03"}),
        ("Due: 03/04/2018", {"2018-04-03", "2018-03-04"}),
        ("March 2018, due 25.3.2018", {"2018-03-25"}),
        ("2018-03-25 to 2018-04-25", set()),
        ("07/01/2021 / 06/01/2031", set()),
        ("3 Apr. 2024 to 3 Apr. 2024", {"2024-04-03"}),
        ("9 July   2/71 Rimu Street", set()),
        ("15 ottobre   24   70", set()),
        ("5 September 18.00", set()),
        ("Paid 4 Feb -20.00", set()),
        ("Periodo: 1 gennaio - 31 marzo 2024", {"2024-03-31"}),
        ("Check-out 11.00; boat leaves 11.30", set()),
        ("14-18 Oct 2024", set()),
        ("24 MAR 18 09:12:41 PM", {"2018-03-24"}),
        ("Irene 10 May 83", {"1983-05-10"}),
        ("3 Sept 72 Milk 14.60", set()),
        ("26 augusti 2024", {"2024-08-26"}),
        ("4711", set()),
        ("12.50", set()),
        ("No. 10.12.10.12", set()),
        ("2018-03-25" + " " * LONGEST + "x", set()),
    ],
)
def test_the_one_date_in_a_text(text: str, meanings: set[str]) -> None:
    assert {str(day) for day in days(text)} == meanings


@given(DAYS)
def test_every_day_is_among_its_meanings(day: date) -> None:
    for form in ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%d %B %Y", "%b %d, %Y", "%Y%m%d"):
        text = day.strftime(form)
        found = read(text)
        assert found and day in found.readings and day in days(text), form


@given(DAYS, st.sampled_from(MONTHS), st.data())
def test_every_month_of_every_language(day: date, months: list[list[str]], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(months[day.month - 1]))
    for text in (f"{day.day} {name} {day.year}", f"{day.day}. {name.upper()}. {day.year}"):
        found = read(text)
        assert found and found.value == day, text


@given(st.text(alphabet=" 0123456789./-,年月日aprmay'", max_size=24))
def test_a_reading_has_every_digit_of_its_text(text: str) -> None:
    """Nothing is left out: the digits of the text are those of the day, its year with four digits or two."""
    found = read(text)
    digits = "".join(c for c in text if c.isdigit())
    for day in found.readings if found else ():
        assert any(sorted(digits) == sorted(spelt) for spelt in _spellings(day)), day


def _spellings(day: date) -> Iterator[str]:
    for year in (f"{day.year:04}", f"{day.year % 100:02}"):
        for month in {str(day.month), f"{day.month:02}"}:
            yield from (f"{year}{month}{number}" for number in {str(day.day), f"{day.day:02}"})


@given(st.text(max_size=200))
def test_no_text_breaks_the_grammar(text: str) -> None:
    assert all(1 <= day.year <= 9999 for day in days(text))
    read(text)
    date_order([text])


@pytest.mark.parametrize(
    ("texts", "language", "order"),
    [
        (["03/04/2018", "25/04/2018"], None, "dmy"),
        (["03/04/2018", "from 04/25/2018 on"], None, "mdy"),
        (["25/04/2018", "04/25/2018"], "de", None),
        (["03/04/2018"], None, None),
        (["03/04/2018", "05/05/2018", "2018-04-25"], None, None),
        (["03/04/2018"], "en-US", "mdy"),
        (["03/04/2018"], "en_GB", "dmy"),
        (["03/04/2018"], "de-AT", "dmy"),
        (["03/04/2018"], "en", None),
        (["04/25/2018"], "de", "mdy"),
        (["03/04/2018", "3 avril 2018"], None, "dmy"),
        (["03/04/2018", "April 3, 2018"], None, None),
        (["24/04/03"], "ja", "ymd"),
        (["31/04/99"], None, None),
        ([], None, None),
    ],
)
def test_the_order_that_a_page_shows(texts: list[str], language: str | None, order: Order | None) -> None:
    assert date_order(texts, language) == order


def test_the_page_decides() -> None:
    for order, day in (("dmy", date(2018, 4, 3)), ("mdy", date(2018, 3, 4))):
        found = read("03/04/2018", order)  # type: ignore[arg-type]
        assert found and found.value == day
        assert days("due 03/04/2018", order) == {day}  # type: ignore[arg-type]
    known = read("25/03/2018", "mdy")
    assert known and known.value == date(2018, 3, 25)
    still_open = read("03/04/2018", "ymd")
    assert still_open and still_open.value is None
