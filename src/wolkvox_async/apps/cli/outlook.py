"""What `plan` does; apart from its options, because `--help` needs none of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import click
import orjson

from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.forecast import Forecast, forecast
from wolkvox_async.apps.pacing import Outlook, in_words, outlooks
from wolkvox_async.errors import ConfigurationError, StateError
from wolkvox_async.model import Call
from wolkvox_async.planning import plan
from wolkvox_async.records import timestamp
from wolkvox_async.selection import subscribed
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.resolution import resolve, secrets_of

from .known import known_if_any
from .loading import load
from .options import Read
from .speech import refuse, say


def look_ahead(said: Read, api: Sequence[str], only: Sequence[str], *, list_calls: bool) -> int:
    """Print the calls of one pass, or what they come to; returns the exit code."""
    tenants = load(said, only, api)
    now = datetime.now(UTC)  # noqa: TID251 - the boundary
    try:
        calls = _calls(said, tenants, api, now)
        found = outlooks(calls, known_if_any(said), wait=said.values["wait"], now=now)
    except ConfigurationError as error:
        raise refuse(error.mistakes, error.unlisted) from None
    except StateError as error:
        say(str(error))
        return Exit.STATE
    if list_calls:
        for one in found:
            click.echo(_line(one))
        return Exit.OK
    licences = {entry.path: entry.licences for entry in tenants.entries if entry.licences is not None}
    made = [one.call for one in found if one.skipped is None]
    _show(forecast(made, said.engine(), said.values["latency"], licences))
    for line in in_words(found, wait=said.values["wait"]):
        click.echo(line)
    return Exit.OK


def _calls(said: Read, tenants: Tenants, apis: Sequence[str], now: datetime) -> list[Call]:
    found = asyncio.run(resolve(tenants, said.values["base_url"], secrets_of(tenants)))
    chosen = subscribed(found, apis, tenants.catalog)
    return list(plan(chosen, run="0" * 26, now=now, dates=said.dates(), interval=said.values["interval"]))


def _line(one: Outlook) -> bytes:
    call = one.call
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
            "due": None if one.due is None else timestamp(one.due),
            "skipped": one.skipped,
        }
    )


def _show(seen: Forecast) -> None:
    click.echo(f"{seen.calls} calls: {seen.operations} operations, {seen.tokens} tokens, {seen.servers} servers")
    for name, count in seen.by_api:
        click.echo(f"  {count:>8}  {name}")
    if seen.calls:
        click.echo(f"at least {seen.seconds:.1f} s at {seen.latency:g} s a call: {seen.bound_by}")
    for line in seen.cannot:
        click.echo(f"cannot be met: {line}")
