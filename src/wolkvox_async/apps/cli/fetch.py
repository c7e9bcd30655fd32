"""`fetch`: one pass over the tenants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.errors import ConfigurationError, Mistake, StateError
from wolkvox_async.settings.options import ENGINE_OPTIONS, STATE_OPTIONS, WORKERS

from .options import API, DATES, DRAIN, LOGGING, ONLY, OUTPUT, RUN, TENANTS, options, read
from .speech import refuse, say

if TYPE_CHECKING:
    from wolkvox_async.apps.passing import Ending, Order

TABLE = (TENANTS, OUTPUT, *STATE_OPTIONS, RUN, *ENGINE_OPTIONS, WORKERS, *DATES, DRAIN, *LOGGING)


@click.command()
@options(TABLE, repeated=(API, ONLY))
@click.option(
    "--progress/--no-progress",
    default=None,
    envvar="WOLKVOX_PROGRESS",
    help="show progress on standard error  [default: on a terminal]",
)
@click.option("--resume", is_flag=True, envvar="WOLKVOX_RESUME", help="take up the newest run that is not complete")
@click.option(
    "--retry-refused", is_flag=True, envvar="WOLKVOX_RETRY_REFUSED", help="forget that tokens were refused earlier"
)
def command(progress: bool | None, api: tuple[str, ...], only: tuple[str, ...], **given: Any) -> int:
    """Make one pass over the tenants: one call per operation and endpoint.

    Records go out as JSON lines, each call's rows before its `call` record. What ended ok
    or empty is not asked again before its interval is over (--interval), nor within a run
    that is taken up again (--run, --resume), whatever happened in between.
    """
    from .loading import load  # noqa: PLC0415 - `--help` needs none of it

    said = read(given, TABLE)
    if is_same_file(said.values["output"], said.values["tenants"]):
        said.mistakes.append(Mistake("--output: this is the tenants file, which records would destroy"))
    said.mistakes.extend(output_mistakes(said.values["output"], rotates=False))
    if given["resume"] and said.values["run"] is not None:
        said.mistakes.append(Mistake("--resume takes up the newest run, --run the named one: use one of them"))
    tenants = load(said, only, api)
    from wolkvox_async.apps import logs, passing  # noqa: PLC0415 - structlog and aiohttp, once they are needed

    logs.configure(said.values["log_format"], said.values["log_level"])
    try:
        order = passing.Order(
            tenants=tenants,
            options=said.engine_with_state(retry_refused=given["retry_refused"]),
            output=said.values["output"],
            run=said.values["run"],
            resume=given["resume"],
            apis=api,
            dates=said.dates(),
            drain=said.values["drain"],
            progress=progress,
            workers=said.values["workers"],
        )
        ending = _run(order)
    except StateError as error:
        say(str(error))
        return Exit.STATE
    except ConfigurationError as error:
        raise refuse(error.mistakes) from None
    if ending.message:
        say(ending.message)
    return int(ending.code)


def _run(order: Order) -> Ending:
    from wolkvox_async.apps import passing  # noqa: PLC0415 - as above

    if order.workers == 1:
        return passing.run(lambda: passing.run_pass(order))
    from wolkvox_async.apps.working import fetching  # noqa: PLC0415 - only for several

    return fetching.run(order)


def output_mistakes(output: str | None, *, rotates: bool) -> list[Mistake]:
    """Say what is wrong with the name of an output, which may stand for one file after the other if it `rotates`."""
    if output is None or "{" in output:
        only_watch = "--output: only watch writes one file after the other ({date}, {month}): name one file"
        return [] if rotates or output is None else [Mistake(only_watch)]
    if output.endswith(".zst"):
        return [
            Mistake("--output: only files that are finished one after the other are compressed: put {date} into it")
        ]
    return []


def is_same_file(output: str | None, tenants: str | None) -> bool:
    """Tell whether records would go into the tenants file."""
    try:
        return output is not None and tenants is not None and Path(output).samefile(tenants)
    except OSError:
        return False
