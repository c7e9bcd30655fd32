"""The shape of the prices file, as pydantic models. Imported only where one is read or its schema is asked for."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from wolkvox_async.statements import Rounding

MONEY: Final = r"[0-9]{1,15}(\.[0-9]{1,12})?"
CURRENCY: Final = r"\S{1,8}"
MOST_DECIMALS: Final = 6

Decimals = Annotated[
    Any,
    Field(json_schema_extra={"anyOf": [{"type": "string", "pattern": f"^{MONEY}$"}, {"type": "number", "minimum": 0}]}),
]

Mode = Annotated[Any, Field(json_schema_extra={"type": "string", "enum": [mode.value for mode in Rounding]})]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True)


class TierShape(_Shape):
    """A part of the quantity that has a price of its own."""

    up_to: Decimals = Field(default=None)
    """Up to and with so many units; the last tier has none."""
    price: Decimals
    """What each of its units costs: text such as `"12.50"`, or a number."""


class PriceShape(_Shape):
    """What an endpoint's units cost: one price, or tiers."""

    price: Decimals = Field(default=None)
    """What a unit costs: text such as `"12.50"`, or a number."""
    tiers: Annotated[list[TierShape], Field(json_schema_extra={"minItems": 1})] = Field(default_factory=list)
    """Graduated: each part of the quantity costs what its tier says."""
    per: Decimals = Field(default=None)
    """For how many units prices are; without it 1."""


class RoundingShape(_Shape):
    """What becomes of parts of the smallest amount, line by line."""

    decimals: Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": MOST_DECIMALS})] = Field(
        default_factory=lambda: 2
    )
    """How many decimals an amount has; without it those that ISO 4217 gives its currency: 0 for `CLP`, 2 for `COP`."""
    mode: Mode = Field(default=Rounding.HALF_UP.value)
    """`half-up` (commercial), `half-even`, `up` or `down`."""


class PricesShape(_Shape):
    """What a reseller's customers pay, for wolkvox-async report."""

    model_config = ConfigDict(title="wolkvox-async prices file")

    schema_reference: str = Field(default="", alias="$schema")
    """Where an editor finds this schema."""
    currency: Annotated[str, Field(json_schema_extra={"pattern": f"^{CURRENCY}$"})]
    """The currency as it is to be printed: `COP`, `USD`, `EUR`."""
    rounding: RoundingShape = Field(default_factory=RoundingShape)
    """How amounts are rounded; without it to the decimals of the currency, half up."""
    endpoints: Annotated[dict[str, PriceShape], Field(json_schema_extra={"minProperties": 1})]
    """Prices by endpoint, as `wolkvox-async apis` lists them."""


def prices_schema() -> dict[str, Any]:
    """Return the JSON Schema of the prices file."""
    schema: dict[str, Any] = _renamed(PricesShape.model_json_schema())
    schema["$defs"] = {name.removesuffix("Shape"): _untitled(one) for name, one in schema["$defs"].items()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_untitled(schema)}


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {name: {k: v for k, v in one.items() if k != "title"} for name, one in schema["properties"].items()}
    return {**schema, "properties": properties, "title": schema["title"].removesuffix("Shape")}


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner) for inner in value]
    return value.removesuffix("Shape") if isinstance(value, str) and value.startswith("#/$defs/") else value
