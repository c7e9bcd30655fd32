"""`status`: how every call ended last, and when it is due."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.languages import translated

from .known import SOME, TABLE, known, say_what_is_unknown
from .options import options
from .speech import say
from .tables import plain, table, write

if TYPE_CHECKING:
    from wolkvox_async.adapters.state import LastCall, RunState, Survey

_HEAD: Final = ("OPERATION", "ENDPOINT", "OUTCOME", "WHEN", "ROWS", "DUE", "RUN")
_NUMBERS: Final = frozenset({"ROWS"})


@click.command()
@options(TABLE, repeated=(SOME,))
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line")
def command(as_json: bool, only: tuple[str, ...], **given: Any) -> int:
    """Show how every call ended last and when it is due, as the state folder knows it.

    What is planned and was never called yet shows as `never` (--json: outcome null).

    Servers that are down or have used up their retries, and runs that are alive, come first. Times are local ones; with
    --json they are UTC, and names are not cut.
    """
    from datetime import UTC  # noqa: PLC0415 - `--help` needs none of it

    found = known(given, only)
    if isinstance(found, Exit):
        return found
    now = datetime.now(UTC)  # noqa: TID251 - the boundary
    write((_as_json if as_json else _as_text)(found.survey, found.calls, now))
    if not found.calls and not found.unknown:
        say(translated("nothing is known yet: no call was planned (wolkvox-async fetch)"))
    say_what_is_unknown(found)
    return Exit.OK


def local(moment: datetime) -> str:
    """Write a moment for people who are here."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


# --- for people -------------------------------------------------------------------------------


def _as_text(survey: Survey, calls: Sequence[LastCall], now: datetime) -> Iterator[str]:
    from wolkvox_async.apps.standing import latest  # noqa: PLC0415 - `--help` needs none of it

    above = [*_servers(survey, now), *(_run(run) for run in survey.runs if run.alive)]
    yield from above
    if not calls:
        return
    if above:
        yield ""
    head, numbers = [translated(name) for name in _HEAD], {translated(name) for name in _NUMBERS}
    yield from table(head, (_row(call, now) for call in latest(calls)), numbers=numbers)


def _servers(survey: Survey, now: datetime) -> Iterator[str]:
    for server, seconds in survey.servers_down.items():
        again = local(now + timedelta(seconds=seconds))
        yield translated("server {server} is down: tried again at {at}", server=plain(server), at=again)
    for server, seconds in survey.servers_short.items():
        until = local(now + timedelta(seconds=seconds))
        said = "server {server} has used up its retries: what failed is tried again by {until}"
        yield translated(said, server=plain(server), until=until)


def _run(run: RunState) -> str:
    sums = run.counters
    named = f" ({plain(run.name)})" if run.name else ""
    counts = "ok {ok}, empty {empty}, failed {failed}, skipped {skipped}"
    said = translated(counts, ok=sums.ok, empty=sums.empty, failed=sums.failed, skipped=sums.skipped)
    return translated("run {run} is alive since {at}: ", run=f"{run.id}{named}", at=local(run.at)) + said


def _row(call: LastCall, now: datetime) -> tuple[str, ...]:
    outcome = translated(call.outcome or "never")
    if call.kind is not None:
        outcome = f"{outcome} ({call.kind})"
    at = "-" if call.at is None else local(call.at)
    due = "-" if call.due is None else translated("now") if call.due <= now else local(call.due)
    return (call.path, call.question, outcome, at, str(call.rows), due, call.run)


# --- for machines -----------------------------------------------------------------------------


def _as_json(survey: Survey, calls: Sequence[LastCall], now: datetime) -> Iterator[str]:
    from wolkvox_async.apps.standing import latest  # noqa: PLC0415 - `--help` needs none of it

    for server, seconds in survey.servers_down.items():
        yield in_json({"type": "server", "server": server, "down_until": now + timedelta(seconds=seconds)})
    for server, seconds in survey.servers_short.items():
        yield in_json({"type": "server", "server": server, "retries_until": now + timedelta(seconds=seconds)})
    for run in survey.runs:
        if run.alive:
            yield in_json(_run_fields(run))
    for call in latest(calls):
        yield in_json(_call_fields(call))


def in_json(fields: dict[str, Any]) -> str:
    """Write `fields` as a line, with times as records have them."""
    import orjson  # noqa: PLC0415 - `--help` needs none of it

    from wolkvox_async.fields import timestamp  # noqa: PLC0415

    said = {name: timestamp(value) if isinstance(value, datetime) else value for name, value in fields.items()}
    return orjson.dumps(said).decode()


def _run_fields(run: RunState) -> dict[str, Any]:
    sums = run.counters
    counts = {"ok": sums.ok, "empty": sums.empty, "failed": sums.failed, "skipped": sums.skipped, "rows": sums.rows}
    return {"type": "run", "run": run.id, "name": run.name, "at": run.at, "touched": run.touched, **counts}


def _call_fields(call: LastCall) -> dict[str, Any]:
    from wolkvox_async.apps.standing import endpoint  # noqa: PLC0415 - `--help` needs none of it

    return {
        "type": "call",
        "tenant": call.tenant,
        "operation": call.operation,
        "server": call.server,
        "token": call.token,
        "api": endpoint(call.question),
        "question": call.question,
        "outcome": call.outcome,
        "error": None if call.kind is None else {"kind": call.kind, "message": call.message},
        "at": call.at,
        "rows": call.rows,
        "attempts": call.attempts,
        "next_at": call.due,
        "run": call.run,
    }
