"""What consumption costs: prices, tiers, exact amounts. Pure.

An amount is exact until it is rounded, once, to the currency's decimals; totals add up rounded amounts, so
they are what somebody gets who adds up what is printed. Tiers are graduated: each part of the
quantity costs what its own tier says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final, NamedTuple

from .contents import Number


class Rounding(StrEnum):
    """What becomes of a part below the smallest unit."""

    HALF_UP = "half-up"
    HALF_EVEN = "half-even"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Tier:
    """Units up to and with `up_to` (None: all that are left) cost `price` each."""

    up_to: Decimal | None
    price: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """What an endpoint's units cost: the last tier is without an end; prices are for `per` units."""

    tiers: tuple[Tier, ...]
    per: Decimal = Decimal(1)


class Part(NamedTuple):
    """So many units at that price."""

    quantity: Fraction
    price: Decimal


@dataclass(frozen=True, slots=True)
class Charge:
    """What a quantity costs, and how that comes about."""

    amount: Decimal
    parts: tuple[Part, ...]
    per: Decimal


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices by endpoint, in one currency with so many decimals."""

    currency: str
    prices: Mapping[str, Price]
    decimals: int = 2
    rounding: Rounding = Rounding.HALF_UP

    def charge(self, api: str, quantity: Number) -> Charge | None:
        """Return what `quantity` units of an endpoint cost; None where it has no price."""
        price = self.prices.get(api)
        if price is None:
            return None
        parts = tuple(_parts(price, Fraction(quantity)))
        exact = sum((part.quantity * Fraction(part.price) for part in parts), Fraction()) / Fraction(price.per)
        return Charge(rounded(exact, self.decimals, self.rounding), parts, price.per)

    def total(self, amounts: Iterable[Decimal | None]) -> Decimal:
        """Add up the amounts that there are; none at all come to 0, with the currency's decimals."""
        return sum((amount for amount in amounts if amount is not None), Decimal(f"0E-{self.decimals}"))


def _parts(price: Price, quantity: Fraction) -> list[Part]:
    parts: list[Part] = []
    begin = Fraction()
    for tier in price.tiers:
        # Less than nothing is a correction: it is of the first tier.
        end = quantity if tier.up_to is None else max(min(quantity, Fraction(tier.up_to)), min(quantity, begin))
        if end != begin or not parts:
            parts.append(Part(end - begin, tier.price))
        begin = end
        if begin == quantity:
            break
    return parts


_HALF: Final = Fraction(1, 2)


def rounded(exact: Fraction, decimals: int, rounding: Rounding) -> Decimal:
    """Round to so many decimals, away from or towards nothing as `rounding` says."""
    units, rest = divmod(abs(exact) * 10**decimals, 1)
    up = {
        Rounding.HALF_UP: rest >= _HALF,
        Rounding.HALF_EVEN: rest > _HALF or (rest == _HALF and units % 2 == 1),
        Rounding.UP: rest > 0,
        Rounding.DOWN: False,
    }[rounding]
    whole = int(units) + up
    return Decimal(f"{'-' if exact < 0 and whole else ''}{whole}E-{decimals}")
