"""`apis`: the catalogue, built in and user-defined."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import orjson

from wolkvox_async.catalog import Catalog, Endpoint
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.planning import RECOMMENDED_INTERVAL
from wolkvox_async.settings.tenants import load_tenants
from wolkvox_async.windows import in_days

from .options import TENANTS, options
from .speech import refuse


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
    return f"{number:>3}  {endpoint.name:<26} {endpoint.kind:<6} {endpoint.counts}{notes}".rstrip()


def _notes(endpoint: Endpoint) -> Iterator[str]:
    if endpoint.dates != "never":
        yield f"dates {endpoint.dates}" + (f", {in_days(endpoint.days)} a call" if endpoint.days else "")
    calls = len(endpoint.variants())
    if calls > 1:
        yield f"{calls} calls"


def _as_json(endpoint: Endpoint) -> str:
    interval = endpoint.pause(RECOMMENDED_INTERVAL)
    fields = {"file": endpoint.file, "kind": endpoint.kind, "dates": endpoint.dates, "interval": interval}
    params = {**dict(endpoint.params), **dict(endpoint.choices)}
    more = {"days": endpoint.days, "params": params or None, "most_rows": endpoint.most_rows}
    return orjson.dumps({"api": endpoint.name, "counts": endpoint.counts, **fields, **more}).decode()
