"""`watch`: the same for ever, every operation and endpoint on its own grid."""

from __future__ import annotations

import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wolkvox_async.errors import Mistake
from wolkvox_async.settings.options import ENGINE_OPTIONS, STATE_OPTIONS, WORKERS, Option, text

from .destination import output_mistakes
from .ending import exit_code
from .machines import FAST_HELP, MACHINES, joining, options_of
from .options import API, DATES, DRAIN, LOGGING, ONLY, OUTPUT, SECRETS_DIR, TENANTS, options, read

LISTEN = Option("listen", "127.0.0.1:9464", text, "HOST:PORT", "metrics, health and status page; off: none of them")
LISTEN_TOKEN = Option(
    "listen-token", None, text, "REFERENCE", "env:NAME or file:PATH, the bearer token that others have to show"
)
if TYPE_CHECKING:
    from wolkvox_async.apps.joined.errand import Joining
    from wolkvox_async.apps.passing import Ending
    from wolkvox_async.apps.watching import WatchOrder

_ONE_PROCESS = (
    "--workers is for --join: a watch with a state folder is one process; several share its tokens through a broker "
    "(`wolkvox-async broker`, then watch --join URL --workers N)"
)
_INTERVAL_HELP = "how often each endpoint is asked"
_NOT_WHILE_WATCHING = ("after-failure", "wait")
_ENGINE = tuple(
    replace(option, help=_INTERVAL_HELP) if option.name == "interval" else option
    for option in ENGINE_OPTIONS
    if option.name not in _NOT_WHILE_WATCHING
)
_WORKERS = replace(WORKERS, help="with --join: machines of the cluster that run here; the limits are totals")
TABLE = (
    LISTEN,
    LISTEN_TOKEN,
    TENANTS,
    SECRETS_DIR,
    OUTPUT,
    *MACHINES,
    *STATE_OPTIONS,
    *_ENGINE,
    _WORKERS,
    *DATES,
    DRAIN,
    *LOGGING,
)


@click.command()
@options(TABLE, repeated=(API, ONLY))
@click.option(
    "--progress/--no-progress",
    default=None,
    envvar="WOLKVOX_PROGRESS",
    help="show progress on standard error  [default: on a terminal]",
)
@click.option(
    "--only-changes", is_flag=True, envvar="WOLKVOX_ONLY_CHANGES", help="rows only when they differ from the last ones"
)
@click.option("--fast-failover", is_flag=True, envvar="WOLKVOX_FAST_FAILOVER", help=FAST_HELP)
@click.option(
    "--retry-refused", is_flag=True, envvar="WOLKVOX_RETRY_REFUSED", help="forget that tokens were refused earlier"
)
def command(progress: bool | None, api: tuple[str, ...], only: tuple[str, ...], **given: Any) -> int:
    """Watch the tenants: ask every operation and endpoint once in each interval, for ever.

    Every slot ends with a `call` record or with a `gap` that says why nothing was captured,
    also for the time in which this program did not run. The last reading of a month is taken
    as late as possible. --output may hold {date} or {month}, and end in .zst. SIGHUP, or a
    changed tenants file, has that read again. With --join it is one of many machines: each token
    is used by one of them, and `records --join` reads what all of them write.
    """
    from wolkvox_async.apps.rereading import signs_of  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.scheduling.subjects import LONGEST, SHORTEST  # noqa: PLC0415 - as above

    from .loading import load, reread  # noqa: PLC0415 - as above

    said = read(given, TABLE)
    said.mistakes.extend(output_mistakes(said.values, rotates=True))
    interval = said.values["interval"]
    if interval is not None and not SHORTEST <= interval <= LONGEST:
        said.mistakes.append(
            Mistake(
                f"--interval {interval:g}: what is watched is asked again and again, each {SHORTEST:g} s to 31 days"
            )
        )
    if given["join"] is None and said.values["workers"] not in (1, None):
        said.mistakes.append(Mistake(_ONE_PROCESS))
    join = joining(said, given)
    signs, hangups = signs_of(Path(said.values["tenants"])), _noted_hangups()
    tenants = load(said, only, api)
    from wolkvox_async.apps import logs, watching  # noqa: PLC0415 - structlog and aiohttp, once needed

    logs.configure(said.values["log_format"], said.values["log_level"])

    # Several machines of a cluster may be one, and then the first to come has the usual port.
    look_in = watching.window if join is None or given["listen"] is not None else watching.window_if_free

    def order() -> WatchOrder:
        return watching.WatchOrder(
            tenants=tenants,
            options=options_of(said, join, retry_refused=given["retry_refused"]),
            output=said.values["output"],
            apis=api,
            dates=said.dates(),
            drain=said.values["drain"],
            progress=progress,
            only_changes=given["only_changes"],
            window=look_in(said.values["listen"], said.values["listen_token"]),
            seen=signs,
            hung_up=lambda: bool(hangups),
            reread=partial(reread, said, only, api),
        )

    return exit_code(lambda: _run(order(), join, said.values["workers"]))


def _run(order: WatchOrder, join: Joining | None, workers: int) -> Ending:
    from wolkvox_async.apps import passing, watching  # noqa: PLC0415 - as above

    if join is not None:
        from wolkvox_async.apps.joined import watching as joined  # noqa: PLC0415 - only for several machines

        return joined.run(order, join, workers)
    return passing.run(lambda: watching.run_watch(order))


def _noted_hangups() -> list[int]:
    """Have SIGHUP end nothing while the program starts; the list says whether one came."""
    noted: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: noted.append(number))
    return noted
