"""Names, companies, addresses, dates and amounts of many countries, put together from parts so that few repeat.

Everything here is invented; a name that exists is a coincidence. Standard library only, ``random.Random`` only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from layoutllm_tool.training.synthetic.names import (
    CITIES,
    CODAS,
    FIRST,
    ITEMS,
    LAST,
    MONTHS,
    ONSETS,
    TRADE,
    VOWELS,
    WORDS,
)


@dataclass(frozen=True, slots=True)
class Country:
    """How a country writes its money, dates and numbers."""

    code: str
    money: tuple[str, ...]
    """Prefixes of amounts, "" for none."""
    dates: tuple[str, ...]
    """Made of d dd m mm mon month yy yyyy in braces."""
    suffixes: tuple[str, ...]
    tax: str
    comma: bool = False
    """Decimal comma."""


COUNTRIES = (
    Country("MY", ("RM", "RM ", "", ""), ("{dd}/{mm}/{yyyy}", "{dd}-{mm}-{yy}", "{dd} {MON} {yyyy}", "{yyyy}-{mm}-{dd}"),
            ("SDN BHD", "SDN. BHD.", "(M) SDN BHD", "ENTERPRISE", "TRADING", "S/B"), "GST"),
    Country("US", ("$", "$", "", "USD "), ("{mm}/{dd}/{yyyy}", "{m}/{d}/{yy}", "{month} {d}, {yyyy}", "{mon}. {d}, {yyyy}"),
            ("Inc.", "LLC", "Corp.", "Company", "& Sons", "Co., Inc."), "Sales Tax"),
    Country("UK", ("£", "£", "", "GBP "), ("{dd}/{mm}/{yyyy}", "{d} {month} {yyyy}", "{dd}.{mm}.{yy}", "{d} {mon} {yyyy}"),
            ("Ltd", "Ltd.", "PLC", "& Co", "Brothers"), "VAT"),
    Country("DE", ("€ ", "", "EUR "), ("{dd}.{mm}.{yyyy}", "{d}. {month} {yyyy}", "{dd}.{mm}.{yy}"),
            ("GmbH", "AG", "KG", "e.K.", "GmbH & Co. KG"), "MwSt", comma=True),
    Country("FR", ("€", "", "EUR "), ("{dd}/{mm}/{yyyy}", "{dd}-{mm}-{yyyy}", "{d} {month} {yyyy}"),
            ("SARL", "SA", "SAS", "et Fils"), "TVA", comma=True),
    Country("IN", ("Rs. ", "Rs ", "INR ", ""), ("{dd}-{mm}-{yyyy}", "{dd}/{mm}/{yy}", "{dd}-{Mon}-{yyyy}"),
            ("Pvt Ltd", "Pvt. Ltd.", "Traders", "& Bros"), "CGST"),
    Country("SG", ("S$", "$", ""), ("{dd}/{mm}/{yyyy}", "{dd} {Mon} {yyyy}", "{yyyy}/{mm}/{dd}"), ("PTE LTD", "Pte. Ltd.", "LLP"), "GST"),
    Country("BR", ("R$ ", "R$", ""), ("{dd}/{mm}/{yyyy}", "{dd}.{mm}.{yyyy}"), ("Ltda.", "S.A.", "ME"), "ICMS", comma=True),
)  # fmt: skip


class ValueGenerator:
    """Values of one page: they share a country, so that its dates and amounts look alike."""

    def __init__(self, rng: Random, *, country: Country | None = None) -> None:
        self.rng = rng
        self.country = country or rng.choice(COUNTRIES)
        self._money = rng.choice(self.country.money)
        self._date = rng.choice(self.country.dates)

    def make(self, kind: str) -> str:
        """A value of one of the kinds in ``MAKERS``."""
        return MAKERS[kind](self)

    def coined(self) -> str:
        """A word that sounds like a name."""
        rng = self.rng
        parts = [rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(rng.choice((1, 2, 2, 3)))]
        return "".join(parts).capitalize()

    def surname(self) -> str:
        return self.coined() if self.rng.random() < 0.4 else self.rng.choice(LAST)

    def person(self) -> str:
        rng, first, last = self.rng, self.rng.choice(FIRST), self.surname()
        forms = (f"{first} {last}",) * 4 + (
            f"{first} {rng.choice('ABCDEFGHJKLMPRSTW')}. {last}",
            f"{first[0]}. {last}",
            f"{last}, {first}",
            f"{rng.choice(('Mr.', 'Ms.', 'Dr.', 'Mrs.'))} {last}",
            f"{first[0]}. {rng.choice('ABCDEJKLMRS')}. {last}",
        )
        return rng.choice(forms)

    def company(self) -> str:
        rng, trade = self.rng, self.rng.choice(TRADE)
        stem = rng.choice(
            (self.surname(), self.coined(), f"{self.coined()} {self.coined()}", f"{self.surname()} & {self.surname()}")
        )
        suffix = rng.choice((*self.country.suffixes, *self.country.suffixes, ""))
        name = rng.choice(
            (f"{stem} {trade} {suffix}", f"{stem} {trade} {suffix}", f"{stem} {suffix}", f"The {stem} {trade}")
        )
        return name.strip()

    def street(self) -> str:
        rng, n = self.rng, self.rng.randint(1, 320)
        match self.country.code:
            case "MY":
                road = f"JALAN {self.coined().upper()} {rng.choice(('', f'{rng.randint(1, 30)}', f'{rng.randint(1, 30)}/{rng.randint(1, 40)}'))}".strip()
                return rng.choice(
                    (f"NO. {n}, {road},", f"NO {n}, {n + 2} & {n + 4}, {road},", f"LOT {n}, {road},", f"{n}-G, {road}")
                )
            case "US":
                road = f"{n * 7} {rng.choice(('', 'N. ', 'West '))}{self.coined()} {rng.choice(('Street', 'St.', 'Ave', 'Blvd', 'Road', 'Drive'))}"
                return road + rng.choice(("", "", f", Suite {n}", f", Apt. {n % 40 + 1}"))
            case "DE":
                return f"{self.coined()}{rng.choice(('straße', 'weg', 'platz', 'allee'))} {n}"
            case "FR":
                return f"{n} {rng.choice(('rue', 'avenue', 'place'))} {rng.choice(('de', 'du'))} {self.coined()}"
            case "BR":
                return f"{rng.choice(('Rua', 'Av.'))} {self.coined()} {self.coined()}, {n}"
            case _:
                return f"{rng.choice(('', 'Blk '))}{n} {self.coined()} {rng.choice(('Road', 'Lane', 'Street', 'Park', 'Nagar'))}{rng.choice(('', ','))}"

    def town(self) -> str:
        rng = self.rng
        city, state = rng.choice(CITIES[self.country.code].split(";")).split(",")
        zipped, five = f"{city}, {state}".rstrip(", "), f"{rng.randint(10000, 99999)}"
        match self.country.code:
            case "US":
                return f"{zipped} {five}"
            case "UK":
                return f"{city} {rng.choice('BCELNSW')}{rng.randint(1, 19)} {rng.randint(1, 9)}{rng.choice('ABDEH')}{rng.choice('JLNPQ')}"
            case "IN" | "SG":
                return f"{zipped} {rng.choice(('', '- '))}{five}{rng.randint(0, 9)}"
            case "BR":
                return f"{five}-{rng.randint(100, 999)} {city} - {state}"
            case _:
                return f"{five} {zipped}" + rng.choice(("", "", "."))

    def address(self) -> list[str]:
        """Two to four lines."""
        middle = []
        if self.country.code == "MY" and self.rng.random() < 0.7:
            middle = [f"TAMAN {self.coined().upper()}{self.rng.choice((',', ''))}"]
        elif self.rng.random() < 0.2:
            middle = [f"{self.coined()} {self.rng.choice(('House', 'Building', 'Industrial Estate', 'Centre'))}"]
        return [self.street(), *middle, self.town()]

    def date(self) -> str:
        d, m, y = self.rng.randint(1, 28), self.rng.randint(1, 12), self.rng.randint(1962, 2024)
        if self.rng.random() < 0.5:
            y = self.rng.randint(2012, 2024)
        month = MONTHS[m - 1]
        return self._date.format(
            d=d, dd=f"{d:02}", m=m, mm=f"{m:02}", yy=f"{y % 100:02}", yyyy=y, month=month, mon=month[:3].lower(),
            Mon=month[:3], MON=month[:3].upper(),
        )  # fmt: skip

    def amount(self, value: float, *, bare: bool = False) -> str:
        """An amount of money as this page writes it; ``bare`` without the currency."""
        text = f"{value:,.2f}"
        if self.country.comma:
            text = text.translate(str.maketrans(",.", ".,"))
        elif self._money in ("RM", ""):
            text = text.replace(",", "")
        return text if bare else self._money + text

    def digits(self, count: int) -> str:
        return "".join(self.rng.choice("0123456789") for _ in range(count))

    def code(self) -> str:
        """A number with letters, as invoices and files have."""
        rng, up = self.rng, "ABCDEFGHJKLMNPRSTUVWXYZ"
        letters = "".join(rng.choice(up) for _ in range(rng.randint(1, 3)))
        forms = (f"{letters}{self.digits(6)}", f"{letters}-{self.digits(4)}", self.digits(rng.randint(4, 9)), f"{self.digits(4)}/{self.digits(2)}",
                 f"{letters}{self.digits(2)}-{self.digits(5)}", f"{self.digits(3)}-{self.digits(3)}-{letters}", f"#{self.digits(5)}")  # fmt: skip
        return rng.choice(forms)

    def phone(self) -> str:
        rng, d = self.rng, self.digits
        return rng.choice(
            (
                f"({d(3)}) {d(3)}-{d(4)}",
                f"0{d(1)}-{d(8)}",
                f"+{d(2)} {d(2)} {d(4)} {d(3)}",
                f"{d(3)}-{d(3)}-{d(4)}",
                f"{d(3)}/{d(3)}-{d(4)}",
            )
        )

    def email(self) -> str:
        name, host = self.rng.choice(FIRST).lower(), self.coined().lower()
        return self.rng.choice((f"{name}@{host}.com", f"{name}.{self.coined().lower()}@{host}.org", f"info@{host}.co"))

    def time(self) -> str:
        h, m = self.rng.randint(7, 22), self.rng.randint(0, 59)
        return self.rng.choice(
            (f"{h:02}:{m:02}", f"{h % 12 or 12}:{m:02} {'AM' if h < 12 else 'PM'}", f"{h:02}:{m:02}:{m:02}")
        )

    def number(self) -> str:
        return self.rng.choice(
            (str(self.rng.randint(1, 99)), f"{self.rng.randint(100, 99999):,}", f"{self.rng.uniform(0, 99):.1f}")
        )

    def phrase(self, least: int = 2, most: int = 6) -> str:
        """Words without much sense."""
        words = [
            self.rng.choice(WORDS) if self.rng.random() < 0.8 else self.coined()
            for _ in range(self.rng.randint(least, most))
        ]
        return " ".join(words).capitalize()

    def item(self) -> str:
        name = self.rng.choice(ITEMS)
        return name if self.rng.random() < 0.7 else f"{self.coined().upper()} {name}"

    def price(self) -> float:
        return round(
            self.rng.choice((self.rng.uniform(0.5, 20), self.rng.uniform(5, 200), self.rng.uniform(50, 3000))), 2
        )


MAKERS: dict[str, Callable[[ValueGenerator], str]] = {
    "person": ValueGenerator.person,
    "company": ValueGenerator.company,
    "street": ValueGenerator.street,
    "town": ValueGenerator.town,
    "address": lambda m: " ".join(m.address()),
    "date": ValueGenerator.date,
    "money": lambda m: m.amount(m.price()),
    "code": ValueGenerator.code,
    "phone": ValueGenerator.phone,
    "email": ValueGenerator.email,
    "time": ValueGenerator.time,
    "number": ValueGenerator.number,
    "percent": lambda m: f"{m.rng.randint(0, 100)}{m.rng.choice(('%', ' %', '.5%'))}",
    "phrase": ValueGenerator.phrase,
    "item": ValueGenerator.item,
    "word": ValueGenerator.coined,
    "yesno": lambda m: m.rng.choice(("Yes", "No", "N/A", "YES", "NO", "None")),
    "city": lambda m: m.rng.choice(CITIES[m.country.code].split(";")).split(",")[0],
}
"""Generators by kind of value."""
