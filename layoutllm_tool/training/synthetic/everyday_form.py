"""A form whose keys are those of some fields of ``vocabulary``, and what is filled in."""

from __future__ import annotations

from collections.abc import Sequence

from layoutllm_tool.training.synthetic.canvas import Canvas
from layoutllm_tool.training.synthetic.form_canvas import Field as Printed
from layoutllm_tool.training.synthetic.form_canvas import FormCanvas
from layoutllm_tool.training.synthetic.templates import DATA
from layoutllm_tool.training.synthetic.values import ValueGenerator
from layoutllm_tool.training.synthetic.vocabulary import Fact as Sentence
from layoutllm_tool.training.synthetic.vocabulary import Field


class EverydayForm(FormCanvas):
    """A form whose keys are those of some fields. ``name`` of a fact is the key as printed."""

    def __init__(self, canvas: Canvas, values: ValueGenerator, kinds: Sequence[Field]) -> None:
        super().__init__(canvas, values, "memo")
        self._waiting = list(kinds)
        self.kinds: dict[str, Field] = {}
        """By id."""
        self.printed: dict[str, str] = {}
        """Ids by key as printed, which the facts are named after."""

    def fields(self, count: int) -> list[Printed]:
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        found = []
        for field in taken:
            key = self.rng.choice(field.keys)
            self.kinds[field.id] = field
            self.printed[self.style.key(key)] = field.id
            found.append((key, field.id))
        return found

    def filled(self, kind: str) -> str:
        return "" if self.rng.random() < self.blank else value(self.values, self.kinds[kind])


def value(values: ValueGenerator, field: Field) -> str:
    """A made value, or one of the field's examples with other digits."""
    rng = values.rng
    if not by_example(values, field):
        return made(values, field.type)
    example = rng.choice(field.examples)
    return "".join(str(rng.randint(1, 9)) if c.isdigit() and rng.random() < 0.7 else c for c in example)


def by_example(values: ValueGenerator, what: Field | Sentence) -> bool:
    return bool(what.examples) and (what.type not in DATA["everyday"] or values.rng.random() < 0.5)


def made(values: ValueGenerator, kind: str) -> str:
    """A value of a type of field; of a type that is not in ``values.toml``, a phrase."""
    return values.make(kind, "everyday").strip() if kind in DATA["everyday"] else values.phrase(1, 4)


class Fillings(dict[str, str]):
    """What stands in a sentence's places; made when first asked for."""

    def __init__(self, values: ValueGenerator) -> None:
        super().__init__()
        self._values = values

    def __missing__(self, name: str) -> str:
        kind = {"person": "name", "party": "organisation"}.get(name, name)
        self[name] = made(self._values, kind)
        return self[name]
