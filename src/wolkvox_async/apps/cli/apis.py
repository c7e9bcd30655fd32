"""`apis`: the catalogue, built in and user-defined."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import orjson

from wolkvox_async.apps.languages import translated
from wolkvox_async.catalog import BILLING, Catalog, Dates, Endpoint, Kind
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.planning import RECOMMENDED_INTERVAL
from wolkvox_async.settings.tenants import load_tenants

from .options import TENANTS, options
from .speech import refuse

_KINDS: Final = {Kind.LEVEL: "level", Kind.USAGE: "usage", Kind.OTHER: "other"}
_DATES: Final = {Dates.OPTIONAL: "dates optional", Dates.REQUIRED: "dates required"}
_OURS: Final = frozenset(BILLING)


@click.command()
@options([TENANTS])
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line")
def command(tenants: str | None, as_json: bool) -> None:
    """List the endpoints; those that the tenants file adds come last."""
    for number, endpoint in enumerate(_catalog(tenants), 1):
        click.echo(_as_json(endpoint) if as_json else _as_line(number, endpoint))


def _catalog(path: str | None) -> Catalog:
    if path is None and not Path(TENANTS.default).exists():
        return Catalog()
    try:
        return load_tenants(path or TENANTS.default).catalog
    except ConfigurationError as error:
        raise refuse(error.mistakes) from None


def _as_line(number: int, endpoint: Endpoint) -> str:
    notes = "".join(f"  ({note})" for note in _notes(endpoint))
    kind, counts = translated(_KINDS[endpoint.kind]), endpoint.counts
    if endpoint in _OURS:  # what somebody wrote of his own stays as he did
        counts = translated(counts)
    return f"{number:>3}  {endpoint.name:<26} {kind:<6} {counts}{notes}".rstrip()


def _notes(endpoint: Endpoint) -> Iterator[str]:
    if endpoint.dates in _DATES:
        yield translated(_DATES[endpoint.dates]) + _reach(endpoint.days)
    calls = len(endpoint.variants())
    if calls > 1:
        yield translated("{calls} calls", calls=calls)


def _reach(days: int | None) -> str:
    """Say how many days a call may cover."""
    if not days:
        return ""
    return translated(", 1 day a call") if days == 1 else translated(", {days} days a call", days=days)


def _as_json(endpoint: Endpoint) -> str:
    interval = endpoint.pause(RECOMMENDED_INTERVAL)
    fields = {"file": endpoint.file, "kind": endpoint.kind, "dates": endpoint.dates, "interval": interval}
    params = {**dict(endpoint.params), **dict(endpoint.choices)}
    more = {"days": endpoint.days, "params": params or None, "most_rows": endpoint.most_rows}
    return orjson.dumps({"api": endpoint.name, "counts": endpoint.counts, **fields, **more}).decode()
