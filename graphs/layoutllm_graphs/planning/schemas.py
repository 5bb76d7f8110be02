"""JSON Schemas -> drafts of plans: one question for each value that the schema describes.

Covered: objects (nested ones flattened: ``vendor_address``), strings, numbers, integers, booleans, ``enum``
and ``const``, arrays of values or of objects (a column for each field), ``required``, ``title``,
``description``, ``format``, nullable values, and ``$ref`` within the schema. *Not* covered: free keys,
tuples, arrays in arrays, alternatives of different shapes, and limits on values such as ``pattern``, which
are left to whoever validates the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from layoutllm_graphs.planning.fields import (
    COLUMN,
    LONGEST_FIELD,
    MEANT,
    Asked,
    Draft,
    ask,
    guess_type,
    known,
    one_line,
    slug,
)
from layoutllm_graphs.planning.plan import MOST_QUESTIONS, NAME
from layoutllm_tool.cot import ExpectedType
from layoutllm_tool.errors import PlanError

DEEPEST = 12
"""Levels of objects, arrays and references; a schema that refers to itself has no end."""
_MOST_NODES = 2000
_MOST_CHOICES = 100
_LONGEST_HINT = 200
_LONGEST_REFERENCE = 500
_SUPPORTED = (
    "Supported: objects with properties, string, number, integer, boolean, enum, "
    "arrays of these, and $ref to $defs."
)
_FORMATS: dict[str, ExpectedType] = {
    "date": "date", "date-time": "date", "email": "email", "idn-email": "email",
    "phone": "phone", "tel": "phone",
}  # fmt: skip
_WORDS = ("title", "description")
_SCALARS = ("string", "number", "integer", "boolean")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the schema, and what follows from the way there."""

    path: tuple[str, ...] = ()
    required: bool = True
    is_list: bool = False
    depth: int = 0

    def __str__(self) -> str:
        return f'"{one_line(".".join(self.path))[:80]}"' if self.path else "the schema"


def is_schema(task: Mapping[str, Any]) -> bool:
    return any(key in task for key in ("properties", "$ref", "allOf")) or task.get("type") == "object"


def draft_schema(schema: Mapping[str, Any]) -> Draft:
    """One question for each value. PlanError where no question can be made of a part."""
    draft = Draft()
    for item in _Walk(schema).values(schema, _Place()):
        draft.asked.append(item)
        if len(draft.asked) > MOST_QUESTIONS:
            raise PlanError(f"the schema describes more than {MOST_QUESTIONS} values.", hint="Split it.")
    return draft


class _Walk:
    """Through a schema, counting, since references may multiply a small schema into a huge one."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.seen = 0

    def values(self, schema: Any, at: _Place) -> Iterator[Asked]:
        self.seen += 1
        if self.seen > _MOST_NODES:
            hint = f"At most {_MOST_NODES} parts, references followed."
            raise PlanError("the schema is too large.", hint=hint)
        schema, at = self._plain(schema, at)
        match _kind(schema, at):
            case "object":
                yield from self._properties(schema, at)
            case "array":
                yield from self._items(schema, at)
            case kind:
                if not at.path:
                    raise PlanError(f"the schema describes no object but one {kind}.", hint=_SUPPORTED)
                yield _value(schema, kind, at)

    def _properties(self, schema: Mapping[str, Any], at: _Place) -> Iterator[Asked]:
        properties, required = schema.get("properties"), schema.get("required", [])
        if not isinstance(properties, Mapping) or not properties:
            raise PlanError(f"{at} is an object without named properties.", hint=_SUPPORTED)
        needed = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
        for name, inner in properties.items():
            if not isinstance(name, str) or not any(c.isalnum() for c in name) or len(name) > LONGEST_FIELD:
                raise PlanError(f"{at} has a property whose name can't be asked for.", hint="Use words.")
            yield from self.values(
                inner, _Place((*at.path, name), at.required and name in needed, at.is_list, at.depth + 1)
            )

    def _items(self, schema: Mapping[str, Any], at: _Place) -> Iterator[Asked]:
        if at.is_list:
            raise PlanError(f"{at} is an array within an array.", hint=_SUPPORTED)
        if "prefixItems" in schema or isinstance(schema.get("items"), list):
            raise PlanError(f"{at} is a tuple.", hint=_SUPPORTED)
        if not at.path:
            raise PlanError("the schema describes no object but an array.", hint=_SUPPORTED)
        within = replace(at, is_list=True, depth=at.depth + 1)
        own = _own_words(schema)
        inner, within = self._plain(schema.get("items", {"type": "string"}), within)
        yield from self.values(inner if _kind(inner, within) == "object" else {**inner, **own}, within)

    def _plain(self, schema: Any, at: _Place) -> tuple[Mapping[str, Any], _Place]:
        """References followed, the one alternative that isn't null taken."""
        for depth in range(at.depth, DEEPEST + 1):
            if not isinstance(schema, Mapping):
                raise PlanError(f"{at} is described by no schema.", hint=_SUPPORTED)
            own = _own_words(schema)
            options = [schema[key] for key in ("anyOf", "oneOf", "allOf") if key in schema]
            if "$ref" in schema:
                referred = self._referred(schema["$ref"], at)
                kind = {key: value for key, value in referred.items() if key not in _WORDS}
                schema = {**kind, **own}
            elif options:
                chosen, nullable = _chosen(options, at)
                schema, at = {**chosen, **own}, replace(at, required=at.required and not nullable)
            else:
                return schema, replace(at, depth=depth)
        reason = f"{at} nests deeper than {DEEPEST} levels, or refers to itself."
        raise PlanError(reason, hint="Flatten the schema.")

    def _referred(self, reference: Any, at: _Place) -> Mapping[str, Any]:
        found: Any = self.root
        if reference == "#":
            return self.root
        local = isinstance(reference, str) and reference.startswith("#/")
        if not local or len(reference) > _LONGEST_REFERENCE:
            hint = 'Only references such as "#/$defs/Address" are followed.'
            raise PlanError(f"{at} refers to another document.", hint=hint)
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping):
            missing = one_line(reference)[:80]
            raise PlanError(f"{at} refers to {missing!r}, which the schema lacks.", hint=_SUPPORTED)
        return found


def _own_words(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in _WORDS if key in schema}


def _chosen(options: list[Any], at: _Place) -> tuple[Mapping[str, Any], bool]:
    given = options[0]
    listed = isinstance(given, list) and all(isinstance(option, Mapping) for option in given)
    if len(options) > 1 or not listed:
        raise PlanError(f"{at} combines schemas in a way that is not supported.", hint=_SUPPORTED)
    real = [option for option in given if option.get("type") != "null"]
    if len(real) == 1:
        return real[0], len(real) < len(given)
    types = [option.get("type") for option in real]
    if real and all(kind in _SCALARS for kind in types):  # a decimal is a number or a string of digits
        number = next((option for option in real if option["type"] in ("number", "integer")), None)
        return number or {"type": "string"}, len(real) < len(given)
    raise PlanError(f"{at} has alternatives of different shapes.", hint=_SUPPORTED)


def _kind(schema: Mapping[str, Any], at: _Place) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = [k for k in kind if k != "null"]
        kind = kinds[0] if len(kinds) == 1 else "?"
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    if kind not in ("object", "array", *_SCALARS):
        raise PlanError(f"{at} is of type {one_line(str(schema.get('type')))[:60]!r}.", hint=_SUPPORTED)
    return str(kind)


def _value(schema: Mapping[str, Any], kind: str, at: _Place) -> Asked:
    words, text = _wording(schema, at)
    choices, nullable = _choices(schema, kind, at)
    typed = schema.get("type")
    nullable = nullable or (isinstance(typed, list) and "null" in typed)
    return Asked(
        words,
        text,
        "text" if choices else _type(schema, kind, words, at),
        is_list=at.is_list,
        required=at.required and not nullable,
        choices=choices,
        name=_name(at.path),
    )


def _type(schema: Mapping[str, Any], kind: str, words: str, at: _Place) -> ExpectedType:
    if told := _FORMATS.get(str(schema.get("format"))):
        return told
    entry = known(_spaced(at.path[-1])) or known(words)
    guessed = entry.type if entry else guess_type(_spaced(at.path[-1]))
    if kind == "string":
        return guessed
    return "money" if guessed == "money" else "number"


def _wording(schema: Mapping[str, Any], at: _Place) -> tuple[str, str]:
    """The field's words and its question: from the description, else a title, else the names."""
    names = [_spaced(name) for name in at.path]
    title, told = _text_of(schema, "title"), _text_of(schema, "description").rstrip(".")
    made = title.replace(" ", "").lower() == at.path[-1].replace("_", "").lower()  # by pydantic, of the name
    own = names[-1] if made or not title else title
    inside = [name for name in names[:-1] if name.lower() not in own.lower()]
    words = " ".join((*inside, own))[:LONGEST_FIELD]
    if told.endswith("?"):
        return words, told[:_LONGEST_HINT]
    if told and len(told.split()) <= 8 and len(told) <= LONGEST_FIELD and not inside:
        return words, (COLUMN if at.is_list else MEANT).format(told.replace('"', "'"))
    asked = ask(words, is_list=at.is_list).text
    return words, f"{asked} ({told[:_LONGEST_HINT]})" if told else asked


def _text_of(schema: Mapping[str, Any], key: str) -> str:
    text = schema.get(key)
    return one_line(text[: 4 * _LONGEST_HINT]) if isinstance(text, str) else ""


def _choices(schema: Mapping[str, Any], kind: str, at: _Place) -> tuple[tuple[str, ...], bool]:
    """The values allowed, and whether none is one of them."""
    if kind == "boolean":
        return ("yes", "no"), False
    given = schema.get("enum", [schema["const"]] if "const" in schema else [])
    plain = isinstance(given, list) and all(isinstance(value, str | int | float | None) for value in given)
    if not plain or len(given) > _MOST_CHOICES:
        hint = f"At most {_MOST_CHOICES} texts or numbers."
        raise PlanError(f"{at} lists values that can't be offered.", hint=hint)
    return tuple(dict.fromkeys(one_line(str(v)[:200]) for v in given if v is not None)), None in given


def _name(path: tuple[str, ...]) -> str:
    """The property's own name where it is an identifier, so that results fit the schema."""
    joined = "_".join(path)
    return joined if re.fullmatch(NAME, joined) and len(joined) < 57 else slug(" ".join(path))


def _spaced(name: str) -> str:
    """ "invoiceNumber", "invoice_number" -> "invoice number"."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name) if name.isidentifier() else name
    words = one_line(parts.replace("_", " "))
    return words.lower() if name.isidentifier() and not name.isupper() else words
