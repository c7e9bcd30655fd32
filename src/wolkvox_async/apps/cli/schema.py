"""`schema`: what the tenants file and the records look like, for machines."""

from __future__ import annotations

import click
import orjson

from wolkvox_async.settings.schema import records_schema, tenants_schema


@click.command()
@click.argument("what", type=click.Choice(["tenants", "records"]))
def command(what: str) -> None:
    """Print the JSON Schema of the tenants file or of the records."""
    schema = tenants_schema() if what == "tenants" else records_schema()
    click.echo(orjson.dumps(schema, option=orjson.OPT_INDENT_2))
