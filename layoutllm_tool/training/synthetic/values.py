"""Values of synthetic pages: names, addresses, dates, amounts, codes, remarks.

Their templates are in ``values.toml``.

Everything is invented; a name that exists is a coincidence. Only ``random.Random`` decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from layoutllm_tool.training.synthetic.templates import DATA, WORDS, Entry, TemplateFiller


@dataclass(frozen=True, slots=True)
class Country:
    """How a country writes its money, dates and addresses."""

    code: str
    money: Sequence[str]
    """Prefixes of amounts, "" for none."""
    dates: Sequence[str]
    """Templates of d dd m mm mon Mon MON month yy yyyy."""
    suffixes: Sequence[str]
    """Of companies."""
    tax: str
    street: Entry
    town: Entry
    cities: Sequence[Sequence[str]]
    """Pairs of a city and its state, "" for none."""
    comma: bool = False
    """Decimal comma."""


COUNTRIES = tuple(Country(code, **table) for code, table in DATA["country"].items())


class ValueGenerator(TemplateFiller):
    """Values of one page: they share a country, so that its dates and amounts look alike."""

    METHODS = frozenset((
        "person", "company", "suffix", "coined", "family_name", "street", "town", "city", "address_line",
        "date", "money", "time", "phrase", "few_words", "long_phrase", "item", "code_letters", "some_digits",
    ))  # fmt: skip

    def __init__(self, rng: Random, *, country: Country | None = None) -> None:
        super().__init__(rng)
        self.country = country or rng.choice(COUNTRIES)
        self._money = rng.choice(self.country.money)
        self._date = rng.choice(self.country.dates)

    def coined(self) -> str:
        """A word that sounds like a name."""
        count = self.rng.choice((1, 2, 2, 3))
        parts = [self.pick("onsets") + self.pick("vowels") + self.pick("codas") for _ in range(count)]
        return "".join(parts).capitalize()

    def family_name(self) -> str:
        return self.coined() if self.rng.random() < 0.4 else self.pick("last_names")

    def person(self) -> str:
        return self.make("person_name")

    def company(self) -> str:
        return self.make("company_name").strip()

    def suffix(self) -> str:
        return self.rng.choice((*self.country.suffixes, *self.country.suffixes, ""))

    def street(self) -> str:
        n = self.rng.randint(1, 320)
        return self.fill(self.country.street, n=n, n2=n + 2, n4=n + 4, n7=n * 7, flat=n % 40 + 1)

    def town(self) -> str:
        """City, state and postal code in the country's order."""
        city, state = self.rng.choice(self.country.cities)
        five = self.rng.randint(10000, 99999)
        stated = f"{city}, {state}".rstrip(", ")
        return self.fill(self.country.town, city=city, state=state, stated=stated, five=five)

    def city(self) -> str:
        return self.rng.choice(self.country.cities)[0]

    def address(self) -> list[str]:
        """Two to four lines."""
        middle = []
        if self.country.code == "MY" and self.rng.random() < 0.7:
            middle = [f"TAMAN {self.coined().upper()}{self.rng.choice((',', ''))}"]
        elif self.rng.random() < 0.2:
            middle = [self.fill("{coined} {House|Building|Industrial Estate|Centre}")]
        return [self.street(), *middle, self.town()]

    def address_line(self) -> str:
        return " ".join(self.address())

    def date(self) -> str:
        """A date as this page writes dates, 1962 to 2024."""
        d, m, y = self.rng.randint(1, 28), self.rng.randint(1, 12), self.rng.randint(1962, 2024)
        if self.rng.random() < 0.5:
            y = self.rng.randint(2012, 2024)
        return _dated(self._date, d, m, y)

    def amount(self, value: float, *, bare: bool = False) -> str:
        """An amount of money as this page writes it; ``bare`` without the currency."""
        text = f"{value:,.2f}"
        if self.country.comma:
            text = text.translate(str.maketrans(",.", ".,"))
        elif self._money in ("RM", ""):
            text = text.replace(",", "")
        return text if bare else self._money + text

    def price(self) -> float:
        ranges = ((0.5, 20), (5, 200), (50, 3000))
        return round(self.rng.choice([self.rng.uniform(low, high) for low, high in ranges]), 2)

    def money(self) -> str:
        return self.amount(self.price())

    def time(self) -> str:
        h, m = self.rng.randint(7, 22), self.rng.randint(0, 59)
        half = f"{h % 12 or 12}:{m:02} {'AM' if h < 12 else 'PM'}"
        return self.rng.choice((f"{h:02}:{m:02}", half, f"{h:02}:{m:02}:{m:02}"))

    def phrase(self, least: int = 2, most: int = 6) -> str:
        """Random words."""
        count = self.rng.randint(least, most)
        words = [self.pick("words") if self.rng.random() < 0.8 else self.coined() for _ in range(count)]
        return " ".join(words).capitalize()

    def few_words(self) -> str:
        return self.phrase(1, 2)

    def long_phrase(self) -> str:
        return self.phrase(6, 14)

    def item(self) -> str:
        name = self.pick("items")
        return name if self.rng.random() < 0.7 else f"{self.coined().upper()} {name}"

    def code_letters(self) -> str:
        return "".join(self.pick("code_alphabet") for _ in range(self.rng.randint(1, 3)))

    def some_digits(self) -> str:
        return self.digits(self.rng.randint(4, 9))

    def typed_date(self) -> str:
        """A date, mostly of 1965-1999 and as typed."""
        day, month, year = self.rng.randint(1, 28), self.rng.randint(1, 12), self.rng.randint(1965, 1999)
        if self.rng.random() < 0.94:
            return _dated(self.rng.choice(DATA["typed_dates"]["forms"]), day, month, year)
        return self.pick("no_dates")

    def typed_money(self, negative: float = 0.04) -> str:
        rng = self.rng
        n = rng.choice((rng.randint(1, 99), rng.randint(100, 9999), rng.randint(1000, 900000)))
        cents = f"{n:,}.{rng.randint(0, 99):02}"
        forms = DATA["typed_amounts"]["negative" if rng.random() < negative else "positive"]
        form: str = rng.choice(forms)
        return form.format(n=n, whole=f"{n:,}", cents=cents, hundredths=f"{n % 100:02}", millions=n % 90 + 1)

    def typed_negative(self) -> str:
        return self.typed_money(0.5)

    def typed_chemical(self) -> str:
        start, end = self.pick("chemical_starts"), self.pick("chemical_ends")
        kind = "chemical_joined" if start.endswith("-") else "chemical_of"
        return self.fill(DATA["typed"][kind], "typed", a=start, b=end)

    def typed_specimen(self) -> str:
        start = self.typed("specimen_start")
        return f"{start} {self.typed('specimen_end')}" if self.rng.random() < 0.5 else start

    def typed_brands(self) -> str:
        names = [self.typed("brand") for _ in range(self.rng.randint(1, 5))]
        if self.rng.random() < 0.2:
            return self.fill(DATA["typed"]["all_brands"], "typed", first=names[0])
        return self.rng.choice((", ", ", ", " / ", "; ", " and ", " & ")).join(names)

    def typed_remark(self) -> str:
        """A note, a sentence or a few of them."""
        text = " ".join(self.typed("sentence").strip() for _ in range(self.rng.choice((1, 1, 1, 2, 2, 3))))
        return self.pick("no_remarks") if self.rng.random() < 0.15 else self._maybe_upper(text)

    def typed_title(self) -> str:
        return self._maybe_upper(self.typed("subject"))

    def _maybe_upper(self, text: str) -> str:
        return text.upper() if self.rng.random() < 0.2 else text

    def typed_persons(self) -> str:
        separator = self.rng.choice((", ", " and ", "; ", "\n"))
        return separator.join(self.person() for _ in range(self.rng.randint(1, 4)))

    def typed_copies(self) -> str:
        """Names, one below the other or in a row."""
        names = [self.typed("signer") for _ in range(self.rng.randint(1, 5))]
        if self.rng.random() < 0.9:
            return self.rng.choice(("\n", "\n", ", ", "; ")).join(names)
        return "File"

    def typed_party(self) -> str:
        """Name and address in lines, now and then with a telephone."""
        who = [self.rng.choice((self.person(), self.company()))]
        who += [self.company()] if self.rng.random() < 0.3 else []
        lines = [*who[: self.rng.randint(0, 2)], *self.address()]
        return "\n".join([*lines, self.make("phone")] if self.rng.random() < 0.15 else lines)

    def typed_areas(self) -> str:
        if self.rng.random() < 0.3:
            return self.typed("all_areas")
        separator = self.rng.choice((", ", " / ", " and "))
        return separator.join(self.city() for _ in range(self.rng.randint(1, 4)))

    def typed_formula(self) -> str:
        elements = self.rng.sample(["C", "H", "N", "O", "Cl", "Na", "S"], 3)
        return "".join(f"{e}{self.rng.choice(('', self.rng.randint(2, 24)))}" for e in elements)


def _dated(form: str, day: int, month: int, year: int) -> str:
    name = WORDS["months"][month - 1]
    return form.format(
        d=day, dd=f"{day:02}", m=month, mm=f"{month:02}", yy=f"{year % 100:02}", yyyy=year,
        month=name, mon=name[:3].lower(), Mon=name[:3], MON=name[:3].upper(),
    )  # fmt: skip
