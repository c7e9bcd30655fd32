"""An endpoint over all tenants. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Final

from wolkvox_async.catalog import Catalog, Kind
from wolkvox_async.statements import Line, Number, Tariff

KINDS: Final = (Kind.USAGE, Kind.LEVEL, Kind.OTHER)
"""In the order in which they stand."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The sum of an endpoint's numbers, and how many lines have none."""

    api: str
    kind: Kind
    tenants: int
    lines: int
    value: Number
    previous: Number | None
    without: int
    amount: Decimal | None


def tallies(lines: Iterable[Line], tariff: Tariff | None) -> list[tuple[Kind, list[Tally]]]:
    """Return what the lines of a month come to, by kind and in the order of the catalogue."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.key.api, []).append(line)
    places = {name: place for place, name in enumerate(Catalog().names())}
    ordered = sorted(
        found.items(), key=lambda one: (KINDS.index(one[1][0].kind), places.get(one[0], len(places)), one[0])
    )
    told = [_tally(api, own, tariff) for api, own in ordered]
    return [(kind, list(own)) for kind, own in groupby(told, key=lambda tally: tally.kind)]


def _tally(api: str, lines: list[Line], tariff: Tariff | None) -> Tally:
    values = [line.value for line in lines if line.value is not None]
    before = [line.previous for line in lines if line.value is not None and line.previous is not None]
    amounts = [line.charge.amount for line in lines if line.charge is not None]
    return Tally(
        api,
        lines[0].kind,
        len({line.key.tenant for line in lines}),
        len(lines),
        sum(values),
        sum(before) if before and len(before) == len(values) else None,
        len(lines) - len(values),
        tariff.total(amounts) if tariff is not None and amounts else None,
    )
