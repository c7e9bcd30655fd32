"""`fetch`: one pass over the tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wolkvox_async.errors import Mistake
from wolkvox_async.settings.options import ENGINE_OPTIONS, STATE_OPTIONS, WORKERS

from .destination import output_mistakes
from .ending import exit_code
from .machines import FAST_HELP, MACHINES, joining, options_of
from .options import API, DATES, DRAIN, FORMAT, LOGGING, ONLY, OUTPUT, RUN, SECRETS_DIR, TENANTS, options, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from wolkvox_async.adapters.jsonlines import MessageLines
    from wolkvox_async.apps.joined.errand import Joining
    from wolkvox_async.apps.passing import Ending, Order
    from wolkvox_async.apps.tapping import Tap

TABLE = (
    TENANTS,
    SECRETS_DIR,
    OUTPUT,
    FORMAT,
    *MACHINES,
    *STATE_OPTIONS,
    RUN,
    *ENGINE_OPTIONS,
    WORKERS,
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
@click.option("--fast-failover", is_flag=True, envvar="WOLKVOX_FAST_FAILOVER", help=FAST_HELP)
@click.option("--resume", is_flag=True, envvar="WOLKVOX_RESUME", help="take up the newest run that is not complete")
@click.option(
    "--retry-refused", is_flag=True, envvar="WOLKVOX_RETRY_REFUSED", help="forget that tokens were refused earlier"
)
def command(progress: bool | None, api: tuple[str, ...], only: tuple[str, ...], **given: Any) -> int:
    """Make one pass over the tenants: one call per operation and endpoint.

    Records go out as JSON lines (or --format singer), each call's rows before its `call` record. What ended ok
    or empty is not asked again before its interval is over (--interval), nor within a run
    that is taken up again (--run, --resume), whatever happened in between. With --join machines
    make one pass together: those that join take part in the run that goes on, and each ends when
    all of it is done; `records --join` reads what they write.
    """
    from .loading import load  # noqa: PLC0415 - `--help` needs none of it

    said = read(given, TABLE)
    said.mistakes.extend(output_mistakes(said.values, rotates=False))
    if given["resume"] and said.values["run"] is not None:
        said.mistakes.append(Mistake("--resume takes up the newest run, --run the named one: use one of them"))
    join = joining(said, given, "resume")
    tenants = load(said, only, api)
    from wolkvox_async.apps import logs, passing  # noqa: PLC0415 - structlog and aiohttp, once they are needed

    logs.configure(said.values["log_format"], said.values["log_level"])

    def order() -> Order:
        return passing.Order(
            tenants=tenants,
            options=options_of(said, join, retry_refused=given["retry_refused"]),
            output=said.values["output"],
            run=said.values["run"],
            resume=given["resume"],
            apis=api,
            dates=said.dates(),
            drain=said.values["drain"],
            progress=progress,
            workers=said.values["workers"],
            opens=_messages(said.values["output"]) if said.values["format"] == "singer" else None,
        )

    tap: Tap | None = click.get_current_context().obj
    if tap is not None:
        return exit_code(lambda: tap.run(order(), lambda order: _run(order, None)))
    return exit_code(lambda: _run(order(), join))


def _messages(output: str) -> Callable[[bool], MessageLines]:
    from wolkvox_async.adapters.jsonlines import MessageLines  # noqa: PLC0415 - as above
    from wolkvox_async.singer import Translator  # noqa: PLC0415

    return lambda durable: MessageLines(output, Translator(), durable=durable)


def _run(order: Order, join: Joining | None) -> Ending:
    from wolkvox_async.apps import passing  # noqa: PLC0415 - as above

    if join is not None:
        from wolkvox_async.apps.joined import fetching as joined  # noqa: PLC0415 - only for several machines

        return joined.run(order, join)
    if order.workers == 1:
        return passing.run(lambda: passing.run_pass(order))
    from wolkvox_async.apps.working import fetching  # noqa: PLC0415 - only for several

    return fetching.run(order)
