"""What consumption costs."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.statements import Price, Rounding, Tariff, Tier
from wolkvox_async.statements.tariffs import rounded

TIERS = Price(
    (Tier(Decimal(1000), Decimal("0.012")), Tier(Decimal(5000), Decimal("0.009")), Tier(None, Decimal("0.0075")))
)
MODES = {
    Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.HALF_EVEN: ROUND_HALF_EVEN,
    Rounding.UP: ROUND_UP,
    Rounding.DOWN: ROUND_DOWN,
}


def amount(price: Price, quantity: int | Decimal, decimals: int = 4) -> Decimal:
    """Return what a quantity costs."""
    charge = Tariff("USD", {"x": price}, decimals).charge("x", quantity)
    assert charge is not None
    return charge.amount


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        (0, "0"),
        (1, "0.012"),
        (1000, "12"),
        (1001, "12.009"),
        (5000, "48"),
        (5001, "48.0075"),
        (10_000, "85.5"),
        (Decimal("1000.5"), "12.0045"),
        (-10, "-0.12"),
    ],
)
def test_each_part_of_a_quantity_costs_what_its_tier_says(quantity: int | Decimal, expected: str) -> None:
    assert amount(TIERS, quantity) == Decimal(expected)


@given(st.integers(0, 20_000), st.integers(0, 20_000))
def test_more_never_costs_less(one: int, other: int) -> None:
    assert amount(TIERS, min(one, other)) <= amount(TIERS, max(one, other))


@given(st.integers(0, 100_000))
def test_the_parts_of_a_charge_make_up_its_quantity(quantity: int) -> None:
    charge = Tariff("USD", {"x": TIERS}, 4).charge("x", quantity)
    assert charge is not None
    assert sum(part.quantity for part in charge.parts) == quantity


def test_prices_may_be_for_so_many_units() -> None:
    assert amount(Price((Tier(None, Decimal("0.80")),), Decimal(10_000)), 12_345) == Decimal("0.9876")
    assert amount(Price((Tier(None, Decimal(1)),), Decimal(3)), 1) == Decimal("0.3333")


def test_what_has_no_price_has_no_charge() -> None:
    assert Tariff("USD", {}).charge("x", 1) is None


@given(st.decimals(-(10**9), 10**9, places=5), st.integers(0, 4), st.sampled_from(list(Rounding)))
def test_rounding_is_that_of_decimals(value: Decimal, decimals: int, rounding: Rounding) -> None:
    expected = value.quantize(Decimal(1).scaleb(-decimals), MODES[rounding], Context(prec=60))
    found = rounded(Fraction(value), decimals, rounding)
    assert found == expected
    assert found.as_tuple().exponent == -decimals


def test_amounts_are_exact_where_binary_fractions_are_not() -> None:
    assert amount(Price((Tier(None, Decimal("1.005")),)), 1, decimals=2) == Decimal("1.01")
    assert amount(Price((Tier(None, Decimal("0.1")),)), 3) == Decimal("0.3")
