"""What `plan` does; apart from its options, because `--help` needs none of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import click
import orjson

from wolkvox_async.apps.forecast import Forecast, forecast
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.model import Call
from wolkvox_async.planning import plan
from wolkvox_async.selection import subscribed
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.resolution import resolve, secrets_of

from .loading import load
from .options import Read
from .speech import refuse


def look_ahead(said: Read, api: Sequence[str], only: Sequence[str], *, list_calls: bool) -> None:
    """Print the calls of one pass, or what they come to."""
    tenants = load(said, only, api)
    try:
        calls = _calls(said, tenants, api)
    except ConfigurationError as error:
        raise refuse(error.mistakes, error.unlisted) from None
    if list_calls:
        for call in calls:
            click.echo(_line(call))
        return
    licences = {entry.path: entry.licences for entry in tenants.entries if entry.licences is not None}
    _show(forecast(calls, said.engine(), said.values["latency"], licences))


def _calls(said: Read, tenants: Tenants, apis: Sequence[str]) -> list[Call]:
    found = asyncio.run(resolve(tenants, said.values["base_url"], secrets_of(tenants)))
    chosen = subscribed(found, apis, tenants.catalog)
    return list(plan(chosen, run="0" * 26, now=datetime.now(UTC), dates=said.dates()))  # noqa: TID251 - the boundary


def _line(call: Call) -> bytes:
    window = None if call.window is None else {"from": call.window.date_ini, "to": call.window.date_end}
    operation = call.operation
    return orjson.dumps(
        {
            "tenant": operation.tenant,
            "operation": operation.name,
            "server": operation.server,
            "token": operation.token.id,
            "api": call.api,
            "window": window,
            "params": dict(call.params) or None,
        }
    )


def _show(seen: Forecast) -> None:
    click.echo(f"{seen.calls} calls: {seen.operations} operations, {seen.tokens} tokens, {seen.servers} servers")
    for name, count in seen.by_api:
        click.echo(f"  {count:>8}  {name}")
    click.echo(f"at least {seen.seconds:.1f} s at {seen.latency:g} s a call: {seen.bound_by}")
    for line in seen.cannot:
        click.echo(f"cannot be met: {line}")
