"""`schema`: what the tenants file and the records look like, for machines."""

from __future__ import annotations

from typing import Any

import click
import orjson

from wolkvox_async.settings.schema import records_schema, tenants_schema


@click.command()
@click.argument("what", type=click.Choice(["tenants", "records", "prices"]))
def command(what: str) -> None:
    """Print the JSON Schema of the tenants file, of the records, or of a prices file for `report`."""
    schema = {"tenants": tenants_schema, "records": records_schema, "prices": _prices_schema}[what]()
    click.echo(orjson.dumps(schema, option=orjson.OPT_INDENT_2))


def _prices_schema() -> dict[str, Any]:
    from wolkvox_async.apps.reporting.price_shapes import prices_schema  # noqa: PLC0415 - it imports pydantic

    return prices_schema()
