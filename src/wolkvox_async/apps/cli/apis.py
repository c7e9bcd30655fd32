"""`apis`: the catalogue, built in and user-defined."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from wolkvox_async.catalog import Catalog, Endpoint
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.planning import RECOMMENDED_INTERVAL
from wolkvox_async.settings.tenants import load_tenants

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
    dates = "" if endpoint.dates == "never" else f"  (dates {endpoint.dates})"
    return f"{number:>3}  {endpoint.name:<26} {endpoint.kind:<6} {endpoint.counts}{dates}".rstrip()


def _as_json(endpoint: Endpoint) -> str:
    interval = endpoint.pause(RECOMMENDED_INTERVAL)
    fields = {"file": endpoint.file, "kind": endpoint.kind, "dates": endpoint.dates, "interval": interval}
    return orjson.dumps({"api": endpoint.name, "counts": endpoint.counts, **fields}).decode()
