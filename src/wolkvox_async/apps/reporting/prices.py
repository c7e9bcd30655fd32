"""The prices file: from a path to a tariff, every mistake at its line and column.

Prices are decimal: text is taken digit by digit, and so is a number, which no binary fraction comes
near on its way. Whether an endpoint that is not built in exists is known once the records are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any, Final

from pydantic import ValidationError

from wolkvox_async.catalog import Catalog
from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.settings.complaints import Complaints
from wolkvox_async.settings.documents import Document, read_document
from wolkvox_async.settings.places import Path
from wolkvox_async.spelling import kind_of, shown
from wolkvox_async.statements import Price, Rounding, Tariff, Tier

from .price_shapes import CURRENCY, MONEY, MOST_DECIMALS, PriceShape, PricesShape, RoundingShape, TierShape

_MONEY: Final = re.compile(MONEY)
_CURRENCY: Final = re.compile(CURRENCY)
_DECIMALS: Final = range(MOST_DECIMALS + 1)
# ISO 4217; what is in neither has 2.
_WITHOUT: Final = re.compile("BIF|CLP|DJF|GNF|ISK|JPY|KMF|KRW|PYG|RWF|UGX|UYI|VND|VUV|XAF|XOF|XPF")
_WITH_THREE: Final = re.compile("BHD|IQD|JOD|KWD|LYD|OMR|TND")
_WRITE: Final = 'write digits with a decimal point, such as "12.50"'
_MOST_DIGITS: Final = 15


@dataclass(frozen=True, slots=True)
class Prices:
    """A prices file that was read, and where in it things stand; `written` are its endpoints as it has them."""

    tariff: Tariff
    document: Document
    written: Mapping[str, str]

    def mistakes(self, endpoints: Iterable[str]) -> list[Mistake]:
        """Say which prices are for endpoints that neither exist nor stand in the records."""
        known = {*Catalog().names(), *endpoints}
        complaints = Complaints()
        for api in self.tariff.prices:
            if api not in known:
                hint = complaints.propose(api, known) or ": `wolkvox-async apis` lists them"
                complaints.add(
                    ("endpoints", self.written[api]), f"no endpoint is called {shown(api)}{hint}", on_key=True
                )
        return complaints.mistakes(self.document.source)


def read_prices(path: str) -> Prices:
    """Read a prices file; raises `ConfigurationError` with every mistake."""
    document = read_document(path)
    complaints = Complaints()
    for doubled in document.doubled:
        complaints.add(doubled, f"the key {shown(str(doubled[-1]))} stands twice in this object", on_key=True)
    # Once more, for numbers as they are written.
    value = json.loads(FilePath(path).read_bytes().decode("utf-8-sig"), parse_float=Decimal)
    _check_shape(value, complaints)
    reader = _Reader(complaints)
    tariff = reader.tariff(value if isinstance(value, dict) else {})
    if len(complaints):
        raise ConfigurationError(complaints.mistakes(document.source), complaints.unlisted)
    return Prices(tariff, document, reader.written)


def _check_shape(value: Any, complaints: Complaints) -> None:
    try:
        PricesShape.model_validate(value)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            _complain(detail["type"], detail["loc"], value, complaints)


def _complain(kind: str, at: Path, value: Any, complaints: Complaints) -> None:
    match kind:
        case "missing":
            complaints.add(at[:-1], f"{_noun(at[:-1])} has no {at[-1]}")
        case "extra_forbidden":
            known = _keys(at[:-1])
            hint = complaints.propose(str(at[-1]), known) or f": {_noun(at[:-1])} knows {', '.join(known)}"
            complaints.add(at, f"unknown key {shown(str(at[-1]))}{hint}", on_key=True)
        case _:
            complaints.add(at, f"{_noun(at)} must be {_EXPECTED.get(kind, 'something else')}, not {_met(value, at)}")


_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "text in double quotes",
    "int_type": "a whole number",
    "list_type": "a list in [ ]",
    "dict_type": "an object in { }",
    "model_type": "an object in { }",
    "model_attributes_type": "an object in { }",
}


def _met(value: Any, at: Path) -> str:
    for part in at:
        value = value[part]
    return "a number" if isinstance(value, Decimal) else kind_of(value)


def _noun(at: Path) -> str:
    match at:
        case ():
            return "the file"
        case ("endpoints", str(api)):
            return f"the endpoint {shown(api)}"
        case (*_, "tiers", int()):
            return "the tier"
        case _:
            return str(at[-1])


def _keys(at: Path) -> list[str]:
    match at:
        case ():
            shape: Any = PricesShape
        case ("rounding",):
            shape = RoundingShape
        case (*_, "tiers", int()):
            shape = TierShape
        case _:
            shape = PriceShape
    return [field.alias or name for name, field in shape.model_fields.items()]


class _Reader:
    """Makes a tariff of a file of the right shape, complaining about what a shape cannot say."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints: Final = complaints
        self.written: Final[dict[str, str]] = {}

    def tariff(self, value: Mapping[str, Any]) -> Tariff:
        rounding = _object(value.get("rounding"))
        currency = value.get("currency")
        decimals = rounding.get("decimals", _decimals_of(currency))
        if type(decimals) is int and decimals not in _DECIMALS:
            self._complaints.add(("rounding", "decimals"), f"decimals must be from 0 to {MOST_DECIMALS}")
        if isinstance(currency, str) and not (_CURRENCY.fullmatch(currency) and currency.isprintable()):
            self._complaints.add(("currency",), "currency must have 1 to 8 characters, no spaces: such as COP")
        if value.get("endpoints") == {}:
            self._complaints.add(("endpoints",), "endpoints is empty: name at least one")
        prices: dict[str, Price] = {}
        for api, one in _object(value.get("endpoints")).items():
            name = api.removeprefix("billing/")
            if self.written.setdefault(name, api) != api:
                self._complaints.add(("endpoints", api), f"{shown(name)} has a price already", on_key=True)
            if isinstance(one, dict):
                prices[name] = self._price(one, ("endpoints", api))
        return Tariff(str(currency), prices, decimals, self._mode(rounding))

    def _mode(self, rounding: Mapping[str, Any]) -> Rounding:
        try:
            return Rounding(rounding.get("mode", Rounding.HALF_UP))
        except ValueError:
            self._complaints.add(("rounding", "mode"), f"mode must be {' or '.join(Rounding)}")
            return Rounding.HALF_UP

    def _price(self, value: Mapping[str, Any], at: Path) -> Price:
        per = self._number(value.get("per", 1), (*at, "per"))
        if per == 0:
            self._complaints.add((*at, "per"), "per must be more than 0")
        if ("price" in value) is ("tiers" in value):
            self._complaints.add(at, f"{_noun(at)} must have either price or tiers")
            return Price((), per)
        if "price" in value:
            return Price((Tier(None, self._number(value["price"], (*at, "price"))),), per)
        tiers = value["tiers"]
        return Price(self._tiers(tiers, (*at, "tiers")) if isinstance(tiers, list) else (), per)

    def _tiers(self, tiers: list[Any], at: Path) -> tuple[Tier, ...]:
        if not tiers:
            self._complaints.add(at, "tiers is empty: name at least one")
        read: list[Tier] = []
        for number, tier in enumerate(tiers):
            if isinstance(tier, dict):
                floor = max((earlier.up_to for earlier in read if earlier.up_to is not None), default=Decimal(0))
                is_last = number == len(tiers) - 1
                read.append(self._tier(tier, (*at, number), floor, is_last=is_last))
        return tuple(read)

    def _tier(self, tier: Mapping[str, Any], at: Path, floor: Decimal, *, is_last: bool) -> Tier:
        price = self._number(tier.get("price", 0), (*at, "price"))
        if is_last is ("up_to" in tier):
            all_but_last = "only the last tier is without up_to"
            self._complaints.add(at, "the last tier has no up_to: it takes what is left" if is_last else all_but_last)
        if "up_to" not in tier:
            return Tier(None, price)
        end = self._number(tier["up_to"], (*at, "up_to"))
        if end <= floor:
            self._complaints.add((*at, "up_to"), f"up_to must be more than {floor}, where the tier begins")
        return Tier(end, price)

    def _number(self, value: Any, at: Path) -> Decimal:
        text = value if isinstance(value, str) else _written(value)
        if _MONEY.fullmatch(text):
            return Decimal(text)
        what = "must not be negative" if text.startswith("-") else f"is not a number: {_WRITE}"
        self._complaints.add(at, f"{at[-1]} {what}")
        return Decimal(1)


def _decimals_of(currency: Any) -> int:
    code = currency if isinstance(currency, str) else ""
    return 0 if _WITHOUT.fullmatch(code) else 3 if _WITH_THREE.fullmatch(code) else 2


def _written(value: Any) -> str:
    """Write a number with all its digits; what is none, or has too many, as nothing."""
    if type(value) is int:
        return str(value)
    small = isinstance(value, Decimal) and -_MOST_DIGITS <= value.adjusted() < _MOST_DIGITS
    return format(value, "f") if small else ""


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
