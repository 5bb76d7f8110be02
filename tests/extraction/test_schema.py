"""How a JSON Schema is read: leaves, arrays, arrays within them, what may be null."""

from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel, Field

from layoutllm_tool.errors import PlanError
from layoutllm_tool.extraction.schema import Leaf, RowsOf, shape_of
from layoutllm_tool.extraction.typed import typed


class Currency(Enum):
    EUR = "EUR"
    GBP = "GBP"


class Reduction(BaseModel):
    label: str
    amount: Decimal = Field(ge=0)


class Extra(BaseModel):
    text: str


class Item(BaseModel):
    name: str
    price: Decimal
    reduction: Reduction | None = None
    extras: list[Extra] = []


class Receipt(BaseModel):
    shop: str = Field(description="The name at the top")
    currency: Currency
    paid: bool
    code: str | None = Field(default=None, pattern=r"^\d+$")
    items: list[Item]
    tags: list[str] = []


def test_a_pydantic_model() -> None:
    shape = shape_of(Receipt.model_json_schema())
    shop, currency, paid, code, items, tags = shape.parts
    assert shop == Leaf(("shop",), required=True, title="Shop", description="The name at the top")
    assert isinstance(currency, Leaf) and currency.choices == ("EUR", "GBP") and currency.required
    assert isinstance(paid, Leaf) and paid.kind == "boolean"
    assert isinstance(code, Leaf) and not code.required and code.limits == {"pattern": r"^\d+$"}
    assert isinstance(items, RowsOf) and items.required
    paths = [leaf.path for leaf in items.columns]
    assert paths == [("name",), ("price",), ("reduction", "label"), ("reduction", "amount")]
    assert [leaf.required for leaf in items.columns] == [True, True, False, False]
    assert items.columns[3].limits == {"minimum": 0} and items.columns[1].kind == "number"
    assert [(inner.path, inner.columns[0].path) for inner in items.inner] == [(("extras",), ("text",))]
    assert isinstance(tags, RowsOf) and tags.columns[0].path == () and not tags.required
    assert ("items", "reduction") in shape.nullable


def test_a_pattern_that_is_none_is_refused_before_any_work() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}
    with pytest.raises(PlanError, match='"a" has a pattern that is none'):
        shape_of(schema)


def _shape(inner: Any, **defs: Any) -> Any:
    return shape_of({"type": "object", "required": ["a"], "properties": {"a": inner}, "$defs": defs})


_NAMED = {"properties": {"b": {"type": "string"}}, "required": ["b"]}


@pytest.mark.parametrize(
    ("inner", "match"),
    [
        ({"type": "number", "minimum": 10**400}, "minimum that is no number"),
        ({"type": "object", **_NAMED, "allOf": [_NAMED]}, "combines schemas"),
        ({"enum": []}, "allows no value"),
        ({"properties": {"b\ud800": {"type": "string"}}}, "can't be asked for"),
        ({"const": None}, "allows no value"),
    ],
)
def test_what_can_not_be_kept_to_is_refused(inner: Any, match: str) -> None:
    with pytest.raises(PlanError, match=match):
        _shape(inner)


@pytest.mark.parametrize(
    "inner",
    [
        {"type": ["object", "null"], **_NAMED},
        {"type": ["array", "null"], "items": {"type": "object", **_NAMED}},
        {"type": ["string", "null"]},
    ],
)
def test_a_type_that_may_be_null_is_not_required(inner: Any) -> None:
    assert not _shape(inner).parts[0].required


def test_bounds_beside_a_reference_and_constants_to_choose_from() -> None:
    (leaf,) = _shape({"$ref": "#/$defs/n", "minimum": 5}, n={"type": "number", "multipleOf": 2}).parts
    assert leaf.limits == {"minimum": 5, "multipleOf": 2}
    assert typed(leaf, "7").problem == "out_of_bounds" and typed(leaf, "8").value == 8
    (leaf,) = _shape({"oneOf": [{"const": "EUR"}, {"type": "string", "const": "GBP"}]}).parts
    assert leaf.choices == ("EUR", "GBP")
