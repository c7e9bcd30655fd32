"""What `plan` does; apart from its options, because `--help` needs none of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from wolkvox_async.adapters.state import Survey
from wolkvox_async.apps.almanac import almanac
from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.feasibility import Watching, held_in_words
from wolkvox_async.apps.forecast import Forecast, forecast
from wolkvox_async.apps.languages import translated
from wolkvox_async.apps.pacing import Outlook, in_words, outlooks
from wolkvox_async.apps.rehearsal import Scene
from wolkvox_async.apps.sheets import sheet
from wolkvox_async.apps.timetables import Row, rows, settled
from wolkvox_async.errors import ConfigurationError, SelectionError, StateError
from wolkvox_async.fields import WindowField, timestamp, window_field
from wolkvox_async.model import Operation, Slot
from wolkvox_async.planning import Subscription, plan
from wolkvox_async.scheduling.leads import LeadTerms
from wolkvox_async.scheduling.subjects import Subjects
from wolkvox_async.selection import subscribed, without_dates
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.limits import choose_limits
from wolkvox_async.settings.resolution import resolve, secrets_of
from wolkvox_async.windows import Window

from .known import known_if_any
from .loading import load
from .options import Read
from .speech import refuse, say


@dataclass(frozen=True, slots=True)
class _Given:
    """What a command line names: operations and what they are asked for, what is known, limits, the time."""

    said: Read
    subscriptions: Sequence[Subscription]
    known: Survey | None
    scene: Scene
    licences: dict[str, int]
    now: datetime


def look_ahead(said: Read, api: Sequence[str], only: Sequence[str], *, list_calls: bool) -> int:
    """Print the calls of one pass, or what they come to; returns the exit code."""
    given = _given(said, api, only)
    if isinstance(given, Exit):
        return given
    found = _outlooks(given)
    if list_calls:
        for one in found:
            click.echo(_call_line(one))
        return Exit.OK
    made = [one.call for one in found if one.skipped is None]
    dues = {one.call.id: (one.due - given.now).total_seconds() for one in found if one.due is not None}
    _show(forecast(made, given.scene, given.licences, dues=dues), said.values["latency"])
    for line in in_words(found, wait=said.values["wait"]):
        click.echo(line)
    return Exit.OK


def look_on(said: Read, api: Sequence[str], only: Sequence[str], *, list_calls: bool) -> int:
    """Print when everything that is watched is due, or what watching comes to; returns the exit code."""
    given = _given(said, api, only)
    if isinstance(given, Exit):
        return given
    watching, now = _watching(given), round(given.now.timestamp() * 1000)
    leads = settled(watching.subjects, _lead_terms(given), given.scene.seconds)
    if list_calls:
        for row in rows(watching.subjects, leads, now):
            click.echo(_row_line(row))
        return Exit.OK
    for line in sheet(almanac(watching, leads, now), said.values["latency"]):
        click.echo(line)
    for line in held_in_words(given.known, watching.subjects):
        click.echo(line)
    return Exit.OK


# --- what it is about -----------------------------------------------------------------


def _given(said: Read, apis: Sequence[str], only: Sequence[str]) -> _Given | Exit:
    """Read what the options name; says what is wrong, and raises or returns the exit code."""
    tenants = load(said, only, apis)
    now = datetime.now(UTC)  # noqa: TID251 - the boundary
    licences = {entry.path: entry.licences for entry in tenants.entries if entry.licences is not None}
    try:
        chosen = _subscriptions(said, tenants, apis)
        return _Given(said, chosen, known_if_any(said), _scene(said), licences, now)
    except ConfigurationError as error:
        raise refuse(error.mistakes, error.unlisted) from None
    except StateError as error:
        say(str(error))
        return Exit.STATE


def _subscriptions(said: Read, tenants: Tenants, apis: Sequence[str]) -> Sequence[Subscription]:
    found = asyncio.run(resolve(tenants, said.values["base_url"], secrets_of(tenants)))
    chosen = subscribed(found, apis, tenants.catalog)
    lists = {id(one.wanted): one.wanted for one in chosen}
    if complaints := without_dates(lists.values(), said.dates()):
        raise SelectionError(complaints)
    return chosen


class _Aloud:
    """A log of people who plan."""

    def warning(self, message: str, **facts: Any) -> None:
        """Say it on standard error."""
        say(message + "".join(f" ({name}={value})" for name, value in facts.items()))


def _scene(said: Read) -> Scene:
    options, latency = said.engine(), float(said.values["latency"])
    limits = choose_limits(options, now=0.0, log=_Aloud()).most
    return Scene(lambda _operation, _api: latency, limits, auto=options.max_in_flight == "auto")


def _outlooks(given: _Given) -> list[Outlook]:
    values = given.said.values
    try:
        calls = list(
            plan(
                given.subscriptions,
                run="0" * 26,
                now=given.now,
                dates=given.said.dates(),
                interval=values["interval"],
            )
        )
    except ValueError as error:
        raise refuse([str(error)]) from None
    return outlooks(calls, given.known, wait=values["wait"], now=given.now)


def _watching(given: _Given) -> Watching:
    try:
        subjects = Subjects(given.said.values["interval"], dates=given.said.dates())
        found = list(subjects.of(given.subscriptions, given.now))
    except ValueError as error:
        raise refuse([str(error)]) from None
    return Watching(found, subjects.doubles, given.scene, given.licences)


def _lead_terms(given: _Given) -> LeadTerms:
    options, limits = given.said.engine(), given.scene.limits
    return LeadTerms(options.timeout, options.server_limit, limits.per_server, limits.max_in_flight)


# --- what is printed ------------------------------------------------------------------


def _call_line(one: Outlook) -> bytes:
    call = one.call
    return orjson.dumps(
        {
            **_whose(call.operation),
            "api": call.api,
            "window": _range(call.window),
            "params": dict(call.params) or None,
            "due": None if one.due is None else timestamp(one.due),
            "skipped": one.skipped,
        }
    )


def _row_line(row: Row) -> bytes:
    subject = row.subject
    return orjson.dumps(
        {
            **_whose(subject.operation),
            "api": subject.api,
            "window": _range(subject.window(Slot(row.due, row.due))),
            "params": dict(subject.wanted.endpoint.params) or None,
            "interval": subject.interval,
            "due": _moment(row.due),
            "closing": None if row.closing is None else _moment(row.closing),
        }
    )


def _whose(operation: Operation) -> dict[str, str]:
    return {
        "tenant": operation.tenant,
        "operation": operation.name,
        "server": operation.server,
        "token": operation.token.id,
    }


def _range(window: Window | None) -> WindowField | None:
    return None if window is None else window_field(window)


def _moment(milliseconds: int) -> str:
    return timestamp(datetime.fromtimestamp(milliseconds / 1000, UTC))


def _show(seen: Forecast, latency: float) -> None:
    said = "{calls} calls: {operations} operations, {tokens} tokens, {servers} servers"
    counts = {"operations": seen.operations, "tokens": seen.tokens, "servers": seen.servers}
    click.echo(translated(said, calls=seen.calls, **counts))
    for name, count in seen.by_api:
        click.echo(f"  {count:>8}  {name}")
    if seen.calls:
        about = "about {seconds:.1f} s at {latency:g} s a call (--latency), {most} in flight at most"
        click.echo(translated(about, seconds=seen.about, latency=latency, most=seen.most_in_flight))
        least = "at least {seconds:.1f} s at {latency:g} s a call: {bound_by}"
        click.echo(translated(least, seconds=seen.seconds, latency=latency, bound_by=seen.bound_by))
    for line in seen.cannot:
        click.echo(translated("cannot be met: {what}", what=line))
