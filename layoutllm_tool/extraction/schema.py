"""JSON Schemas as a list of what to find: ``Leaf`` (one value) and ``RowsOf`` (an array).

Covered: objects in objects, strings, numbers, integers, booleans, ``enum`` and ``const``, arrays of values or
of objects, ``required``, ``title``, ``description``, ``format``, ``pattern``, bounds, nullable values, and
``$ref`` within the schema. *Not* covered: free keys, tuples, alternatives of different shapes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import regex

from layoutllm_tool.errors import PlanError

Kind = Literal["string", "number", "integer", "boolean"]
DEEPEST = 12
"""Levels of objects, arrays and references; a schema that refers to itself has no end."""
MOST_LEAVES = 200
"""Values that a schema may describe, columns among them."""
LONGEST_NAME = 120
_MOST_NODES = 2000
_MOST_CHOICES = 100
_LONGEST_WORDS = 800
_LONGEST_REFERENCE = 500
_MOST = 1e300
"""Below it is every bound."""
_SUPPORTED = (
    "Supported: objects with properties, string, number, integer, boolean, enum, "
    "arrays of these, and $ref to $defs."
)
_WORDS = ("title", "description", "examples")
_SCALARS = ("string", "number", "integer", "boolean")
_LIMITS = (
    "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value. ``path`` are property names from the root, or from an array's item."""

    path: tuple[str, ...]
    kind: Kind = "string"
    required: bool = False
    """It may be neither missing nor null."""
    choices: tuple[str | int | float, ...] = ()
    format: str = ""
    title: str = ""
    description: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """``pattern``, ``minimum`` and the like, as the schema has them."""
    within: tuple[str, ...] = ()
    """The object around it that may be missing or null, and that needs it where it is there; () for none."""


@dataclass(frozen=True, slots=True)
class RowsOf:
    """An array. ``columns`` are its items' leaves; a single one with an empty path where items are values."""

    path: tuple[str, ...]
    columns: tuple[Leaf, ...]
    required: bool = False
    title: str = ""
    description: str = ""
    inner: tuple[RowsOf, ...] = ()
    """Arrays in an item."""


@dataclass(frozen=True, slots=True)
class Shape:
    """``parts`` in the schema's order; ``nullable``: paths of objects that may be null, by names alone."""

    parts: tuple[Leaf | RowsOf, ...]
    nullable: frozenset[tuple[str, ...]]


def is_schema(data: Mapping[str, Any]) -> bool:
    return any(key in data for key in ("properties", "$ref", "allOf")) or data.get("type") == "object"


def shape_of(schema: Mapping[str, Any]) -> Shape:
    """What the schema describes. PlanError for what is not covered."""
    found: list[Leaf | RowsOf] = []
    leaves, walk = 0, _Walk(schema)
    for part in walk.parts(schema, _Place()):
        leaves += len(part.columns) if isinstance(part, RowsOf) else 1
        if leaves > MOST_LEAVES:
            raise PlanError(f"the schema describes more than {MOST_LEAVES} values.", hint="Split it.")
        found.append(part)
    return Shape(tuple(found), frozenset(walk.nullable))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the schema, and what follows from the way there."""

    path: tuple[str, ...] = ()
    required: bool = True
    in_rows: bool = False
    depth: int = 0
    above: tuple[str, ...] = ()
    """The path of the array that it is in."""
    optional: tuple[str, ...] = ()
    """The path of the nearest part on the way that may be missing or null."""

    def __str__(self) -> str:
        return f'"{plain(".".join(self.path))[:80]}"' if self.path else "the schema"


class _Walk:
    """Through a schema, counting, since references may multiply a small schema into a huge one."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.seen = 0
        self.nullable: set[tuple[str, ...]] = set()

    def parts(self, schema: Any, at: _Place) -> Iterator[Leaf | RowsOf]:
        self.seen += 1
        if self.seen > _MOST_NODES:
            hint = f"At most {_MOST_NODES} parts, references followed."
            raise PlanError("the schema is too large.", hint=hint)
        schema, at = self._plain(schema, at)
        match _kind(schema, at):
            case "object":
                yield from self._properties(schema, at)
            case "array":
                yield self._rows(schema, at)
            case kind:
                if not at.path and not at.in_rows:
                    raise PlanError(f"the schema describes no object but one {kind}.", hint=_SUPPORTED)
                yield _leaf(schema, kind, at)

    def _properties(self, schema: Mapping[str, Any], at: _Place) -> Iterator[Leaf | RowsOf]:
        properties, required = schema.get("properties"), schema.get("required", [])
        if not isinstance(properties, Mapping) or not properties:
            raise PlanError(f"{at} is an object without named properties.", hint=_SUPPORTED)
        needed = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
        for name, inner in properties.items():
            if not isinstance(name, str) or not _is_name(name):
                raise PlanError(f"{at} has a property whose name can't be asked for.", hint="Use words.")
            path, there = (*at.path, name), name in needed
            place = _Place(path, at.required and there, at.in_rows, at.depth + 1, at.above)
            yield from self.parts(inner, replace(place, optional=at.optional if there else path))

    def _rows(self, schema: Mapping[str, Any], at: _Place) -> RowsOf:
        if "prefixItems" in schema or isinstance(schema.get("items"), list):
            raise PlanError(f"{at} is a tuple.", hint=_SUPPORTED)
        if not at.path:
            what = "an array within an array" if at.in_rows else "no object but an array"
            raise PlanError(f"the schema describes {what}.", hint=_SUPPORTED)
        above = (*at.above, *at.path)
        inside = _Place((), True, True, at.depth + 1, above)
        item = list(self.parts(schema.get("items", {"type": "string"}), inside))
        columns = tuple(part for part in item if isinstance(part, Leaf))
        inner = tuple(part for part in item if isinstance(part, RowsOf))
        title, told = words(schema, "title"), words(schema, "description")
        return RowsOf(at.path, columns, at.required, title, told, inner)

    def _plain(self, schema: Any, at: _Place) -> tuple[Mapping[str, Any], _Place]:
        """References followed, the one alternative that isn't null taken."""
        for depth in range(at.depth, DEEPEST + 1):
            if not isinstance(schema, Mapping):
                raise PlanError(f"{at} is described by no schema.", hint=_SUPPORTED)
            said = {key: schema[key] for key in (*_WORDS, *_LIMITS) if key in schema}
            options = [schema[key] for key in ("anyOf", "oneOf", "allOf") if key in schema]
            if "$ref" in schema:
                referred = self._referred(schema["$ref"], at)
                schema = {**{key: value for key, value in referred.items() if key not in _WORDS}, **said}
            elif options:
                if "properties" in schema:
                    raise _combined(at)
                chosen, nullable = _chosen(options, at)
                schema = {**chosen, **said}
                at = self._or_null(at) if nullable else at
            else:
                kinds = schema.get("type")
                at = self._or_null(at) if isinstance(kinds, list) and "null" in kinds else at
                return schema, replace(at, depth=depth)
        reason = f"{at} nests deeper than {DEEPEST} levels, or refers to itself."
        raise PlanError(reason, hint="Flatten the schema.")

    def _or_null(self, at: _Place) -> _Place:
        self.nullable.add((*at.above, *at.path))
        return replace(at, required=False, optional=at.path)

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
            missing = plain(reference)[:80]
            raise PlanError(f"{at} refers to {missing!r}, which the schema lacks.", hint=_SUPPORTED)
        return found


def _combined(at: _Place) -> PlanError:
    return PlanError(f"{at} combines schemas in a way that is not supported.", hint=_SUPPORTED)


def _chosen(options: list[Any], at: _Place) -> tuple[Mapping[str, Any], bool]:
    given = options[0]
    listed = isinstance(given, list) and all(isinstance(option, Mapping) for option in given)
    if len(options) > 1 or not listed:
        raise _combined(at)
    real = [option for option in given if option.get("type") != "null"]
    if len(real) == 1:
        return real[0], len(real) < len(given)
    if real and all("const" in option for option in real):
        return {"enum": [option["const"] for option in real]}, len(real) < len(given)
    types = [option.get("type") for option in real]
    if real and all(kind in _SCALARS for kind in types):  # a decimal is a number or a string of digits
        number = next((option for option in real if option["type"] in ("number", "integer")), None)
        return number or {"type": "string"}, len(real) < len(given)
    raise PlanError(f"{at} has alternatives of different shapes.", hint=_SUPPORTED)


def _kind(schema: Mapping[str, Any], at: _Place) -> Literal["object", "array"] | Kind:
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = [k for k in kind if k != "null"]
        kind = kinds[0] if len(kinds) == 1 else "?"
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    if kind not in ("object", "array", *_SCALARS):
        raise PlanError(f"{at} is of type {plain(str(schema.get('type')))[:60]!r}.", hint=_SUPPORTED)
    return cast(Kind, kind)


def _leaf(schema: Mapping[str, Any], kind: Kind, at: _Place) -> Leaf:
    choices, nullable = _choices(schema, kind, at)
    _check_limits(schema, at)
    return Leaf(
        at.path, kind, at.required and not nullable, choices, plain(str(schema.get("format", "")))[:40],
        words(schema, "title"), words(schema, "description"),
        {name: schema[name] for name in _LIMITS if name in schema},
        () if nullable or at.optional == at.path else at.optional,
    )  # fmt: skip


def _check_limits(schema: Mapping[str, Any], at: _Place) -> None:
    for name in set(_LIMITS[1:]) & schema.keys():
        value = schema[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
            raise PlanError(f"{at} has a {name} that is no number.", hint="Give a number, or leave it out.")
    pattern = schema.get("pattern", "")
    try:
        if not isinstance(pattern, str) or len(pattern) > _LONGEST_REFERENCE:
            raise regex.error("too long, or no text")
        regex.compile(pattern)
    except regex.error as error:
        raise PlanError(
            f"{at} has a pattern that is none: {error}.", hint="Use a regular expression."
        ) from error


def _choices(schema: Mapping[str, Any], kind: str, at: _Place) -> tuple[tuple[str | int | float, ...], bool]:
    """The values allowed, and whether none is one of them."""
    given = schema.get("enum", [schema["const"]] if "const" in schema else [])
    simple = isinstance(given, list) and all(isinstance(value, str | int | float | None) for value in given)
    if not simple or len(given) > _MOST_CHOICES:
        hint = f"At most {_MOST_CHOICES} texts or numbers."
        raise PlanError(f"{at} lists values that can't be offered.", hint=hint)
    if kind == "boolean":
        return (), None in given
    if {"enum", "const"} & schema.keys() and all(value is None for value in given):
        raise PlanError(f"{at} allows no value.", hint="List the values, or leave enum and const out.")
    return tuple(dict.fromkeys(value for value in given if value is not None)), None in given


def _is_name(name: str) -> bool:
    """Whether it can be asked for and written."""
    half = any("\ud800" <= c <= "\udfff" for c in name)
    return any(c.isalnum() for c in name) and len(name) <= LONGEST_NAME and not half


def words(schema: Mapping[str, Any], key: str) -> str:
    """A title or description in one line."""
    said = schema.get(key)
    return plain(said[:_LONGEST_WORDS]) if isinstance(said, str) else ""


def plain(text: str) -> str:
    """The text with single blanks for line breaks and for what can't be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
