"""Templates of ``values.toml``: what stands in their fields is drawn from left to right."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from string import Formatter
from typing import Any

DATA = tomllib.loads((Path(__file__).parent / "values.toml").read_text(encoding="utf-8"))
WORDS: dict[str, Sequence[str]] = DATA["words"]
Entry = str | list[str] | Mapping[str, Any]
_RANGE = re.compile(r"(\d+)([-~])(\d+)")
_CASES: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "capitalize": str.capitalize,
    "undotted": lambda text: text.rstrip("."),
}


class TemplateFiller:
    """Fills templates.

    ``METHODS`` are the kinds of values that a method of the same name makes, in table "plain".

    A kind of the table "typed" may be made by a method ``typed_<kind>``.
    """

    METHODS: frozenset[str] = frozenset()

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def make(self, kind: str, table: str = "plain") -> str:
        """A value of a kind of the table, or else of "plain". KeyError for a kind of neither."""
        if table == "typed" and (method := getattr(self, f"typed_{kind}", None)):
            return str(method())
        if kind in DATA[table]:
            return self.fill(DATA[table][kind], "typed" if table == "typed" else "plain")
        if kind in self.METHODS:
            return str(getattr(self, kind)())
        return self.fill(DATA["plain"][kind])

    def typed(self, kind: str) -> str:
        """A value as typed on a business form. It may have line breaks (an address, a list of copies)."""
        return self.make(kind, "typed")

    def fill(self, entry: Entry, table: str = "plain", **variables: object) -> str:
        """Fill an entry of ``values.toml`` (its first lines say how)."""
        if isinstance(entry, str):
            return self._filled(entry, table, variables)
        if isinstance(entry, list):
            entry = {"pick": entry}
        forms = [self.rng.choice(entry["pick"])] if "pick" in entry else entry["forms"]
        for name, source in entry.get("let", {}).items():
            variables[name] = self.draw(source, table)
        made = [self._filled(form, table, variables) for form in forms]
        return made[0] if "pick" in entry else self.rng.choice(made)

    def draw(self, source: str, table: str) -> object:
        """What a field of a template stands for."""
        if source[0] == "#":
            return self.digits(int(source[1:]))
        if "|" in source:
            return self.rng.choice(source.split("|"))
        if found := _RANGE.fullmatch(source):
            low, high = int(found[1]), int(found[3])
            return self.rng.randint(low, high) if found[2] == "-" else self.rng.uniform(low, high)
        return self.pick(source) if source in WORDS else self.make(source, table)

    def pick(self, words: str) -> str:
        """One of a list of words."""
        return self.rng.choice(WORDS[words])

    def digits(self, count: int) -> str:
        return "".join(self.rng.choice("0123456789") for _ in range(count))

    def _filled(self, form: str, table: str, variables: Mapping[str, object]) -> str:
        return _Fields(self, table).vformat(form, (), variables)


class _Fields(Formatter):
    def __init__(self, filler: TemplateFiller, table: str) -> None:
        self._filler, self._table = filler, table

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A variable, one of a list, or what is drawn; a name may have points in it."""
        value = kwargs[field_name] if field_name in kwargs else self._filler.draw(field_name, self._table)
        return self._filler.rng.choice(value) if isinstance(value, list) else value, field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        case = _CASES.get(format_spec)
        return case(str(value)) if case else format(value, format_spec)
