"""`plan`: what a pass, or watching, would call, how long it takes, and what cannot be met."""

from __future__ import annotations

from typing import Any

import click

from wolkvox_async.settings.options import ENGINE_OPTIONS, Option, some_seconds

from .known import STATE
from .options import API, DATES, ONLY, SECRETS_DIR, TENANTS, options, read

LATENCY = Option("latency", 1.0, some_seconds, "SECONDS", "how long the vendor is assumed to take for a call")
TABLE = (TENANTS, SECRETS_DIR, STATE, *ENGINE_OPTIONS, *DATES, LATENCY)


@click.command()
@options(TABLE, repeated=(API, ONLY))
@click.option("--watch", is_flag=True, help="show what `watch` would do, instead of one pass")
@click.option("--calls", "--list", "list_calls", is_flag=True, help="list every call (slot) as a JSON line instead")
def command(watch: bool, list_calls: bool, api: tuple[str, ...], only: tuple[str, ...], **given: Any) -> int:
    """Show what one pass would call and how long it takes; calls nothing.

    What the state folder knows to be not due yet, or held because its token was refused,
    is no part of the pass and shown apart; in the list, by `skipped` and `due`.

    With --watch: calls a minute and server, how late slots begin, the closing readings of
    the month, and what cannot be met; in the list, when each endpoint is due next.
    """
    from .outlook import look_ahead, look_on  # noqa: PLC0415 - `--help` needs none of it

    look = look_on if watch else look_ahead
    return look(read(given, TABLE), api, only, list_calls=list_calls)
