"""`status`: how every call ended last, and when it is due."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.settings.options import STATE_OPTIONS

from .options import ONLY, options, read
from .speech import refuse, say

if TYPE_CHECKING:
    from wolkvox_async.adapters.state import LastCall, RunState, Survey

STATE: Final = next(option for option in STATE_OPTIONS if option.name == "state")
TABLE: Final = (STATE,)
SOME: Final = replace(ONLY, help="only tenant or tenant/operation, with wildcards (repeats); labels are not known here")

_HEAD: Final = ("OPERATION", "ENDPOINT", "OUTCOME", "WHEN", "ROWS", "DUE", "RUN")
_NUMBERS: Final = frozenset({"ROWS"})
_WIDEST: Final = 40  # cells of a column
_AT_ONCE: Final = 500  # lines


@click.command()
@options(TABLE, repeated=(SOME,))
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line")
def command(as_json: bool, only: tuple[str, ...], **given: Any) -> int:
    """Show how every call ended last and when it is due, from the state folder alone.

    What is planned and was never called yet shows as `never` (--json: outcome null).

    Servers that are down and runs that are alive come first. Times are local ones; with
    --json they are UTC, and names are not cut.
    """
    from datetime import UTC  # noqa: PLC0415 - `--help` needs none of it

    survey = surveyed(given)
    if isinstance(survey, Exit):
        return survey
    calls = chosen(survey.calls, only) if survey.calls else ()
    now = datetime.now(UTC)  # noqa: TID251 - the boundary
    _write(_as_json(survey, calls, now) if as_json else _as_text(survey, calls, now))
    if not calls:
        say("nothing is known yet: no call was planned (wolkvox-async fetch)")
    return Exit.OK


def surveyed(given: dict[str, Any]) -> Survey | Exit:
    """Read the state folder that the options name, or say why that cannot be and return the exit code."""
    from wolkvox_async.adapters.state import survey  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.errors import StateError  # noqa: PLC0415

    said = read(given, TABLE)
    if said.mistakes:
        raise refuse(said.mistakes)
    try:
        return survey(Path(said.engine_with_state().state or ""))
    except StateError as error:
        say(str(error))
        return Exit.STATE


@dataclass(frozen=True, slots=True)
class _Known:
    """An operation that the state knows of, to be selected; it knows no labels."""

    tenant: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()


def chosen(calls: Sequence[LastCall], only: Sequence[str]) -> list[LastCall]:
    """Return the calls of the operations that `only` selects; says what selects nothing and raises."""
    from wolkvox_async.errors import SelectionError  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.selection import select  # noqa: PLC0415

    known = dict.fromkeys(_Known(call.tenant, call.operation) for call in calls)
    try:
        selected = set(select(tuple(known), only))
    except SelectionError as error:
        raise refuse(error.mistakes) from None
    return [call for call in calls if _Known(call.tenant, call.operation) in selected]


def local(moment: datetime) -> str:
    """Write a moment for people who are here."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def plain(text: str) -> str:
    """Escape what a terminal would obey: others may have written it."""
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text)


def _write(lines: Iterator[str]) -> None:
    while some := list(islice(lines, _AT_ONCE)):
        click.echo("\n".join(some))


# --- for people -------------------------------------------------------------------------------


def _as_text(survey: Survey, calls: Sequence[LastCall], now: datetime) -> Iterator[str]:
    from wolkvox_async.apps.standing import latest  # noqa: PLC0415 - `--help` needs none of it

    above = [*_servers(survey, now), *(_run(run) for run in survey.runs if run.alive)]
    yield from above
    if not calls:
        return
    if above:
        yield ""
    rows = [_HEAD, *(_row(call, now) for call in latest(calls))]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        cells = zip(_HEAD, row, widths, strict=True)
        yield "  ".join(_aligned(cell, width, right=name in _NUMBERS) for name, cell, width in cells).rstrip()


def _servers(survey: Survey, now: datetime) -> Iterator[str]:
    for server, seconds in survey.servers_down.items():
        yield f"server {plain(server)} is down: tried again at {local(now + timedelta(seconds=seconds))}"


def _run(run: RunState) -> str:
    sums = run.counters
    named = f" ({plain(run.name)})" if run.name else ""
    counts = f"ok {sums.ok}, empty {sums.empty}, failed {sums.failed}, skipped {sums.skipped}"
    return f"run {run.id}{named} is alive since {local(run.at)}: {counts}"


def _row(call: LastCall, now: datetime) -> tuple[str, ...]:
    outcome = call.outcome or "never"
    if call.kind is not None:
        outcome = f"{outcome} ({call.kind})"
    at = "-" if call.at is None else local(call.at)
    due = "-" if call.due is None else "now" if call.due <= now else local(call.due)
    cells = (f"{call.tenant}/{call.operation}", call.question, outcome, at, str(call.rows), due, call.run)
    return tuple(_cut(plain(cell)) for cell in cells)


def _cut(text: str) -> str:
    """Cut a text that is too wide for its column."""
    if _width(text) <= _WIDEST:
        return text
    while _width(text) > _WIDEST - 3:
        text = text[: -max(1, (_width(text) - _WIDEST) // 2)]
    return f"{text}..."


def _width(text: str) -> int:
    """Return how many cells of a terminal a text takes up."""
    if text.isascii():
        return len(text)
    return sum(_cells(sign) for sign in text)


def _cells(sign: str) -> int:
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _aligned(cell: str, width: int, *, right: bool) -> str:
    gap = " " * (width - _width(cell))
    return gap + cell if right else cell + gap


# --- for machines -----------------------------------------------------------------------------


def _as_json(survey: Survey, calls: Sequence[LastCall], now: datetime) -> Iterator[str]:
    from wolkvox_async.apps.standing import latest  # noqa: PLC0415 - `--help` needs none of it

    for server, seconds in survey.servers_down.items():
        yield in_json({"type": "server", "server": server, "down_until": now + timedelta(seconds=seconds)})
    for run in survey.runs:
        if run.alive:
            yield in_json(_run_fields(run))
    for call in latest(calls):
        yield in_json(_call_fields(call))


def in_json(fields: dict[str, Any]) -> str:
    """Write `fields` as a line, with times as records have them."""
    import orjson  # noqa: PLC0415 - `--help` needs none of it

    from wolkvox_async.records import timestamp  # noqa: PLC0415

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
