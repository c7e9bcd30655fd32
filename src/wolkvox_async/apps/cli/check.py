"""`check`: every mistake in the tenants file and its token references."""

from __future__ import annotations

from typing import Any

import click

from wolkvox_async.settings.options import ENGINE_OPTIONS, STATE_OPTIONS

from .options import LOGGING, SECRETS_DIR, TENANTS, options, read

TABLE = (TENANTS, SECRETS_DIR, *STATE_OPTIONS, *ENGINE_OPTIONS, *LOGGING)


@click.command()
@options(TABLE)
@click.option("--probe", is_flag=True, help="make one call per token as well")
def command(probe: bool, **given: Any) -> int:
    """Check the tenants file and every token reference; say all mistakes at once.

    Each is printed as FILE:LINE:COLUMN: message, and the exit code is then 2. With
    --probe, a token whose call fails makes it 1.
    """
    from .checking import check  # noqa: PLC0415 - `--help` needs none of it

    return check(read(given, TABLE), probe=probe)
