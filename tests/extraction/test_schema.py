"""How a JSON Schema is read: leaves, arrays, arrays within them, what may be null."""

from decimal import Decimal
from enum import Enum

import pytest
from pydantic import BaseModel, Field

from layoutllm_tool.errors import PlanError
from layoutllm_tool.extraction.schema import Leaf, RowsOf, shape_of


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
