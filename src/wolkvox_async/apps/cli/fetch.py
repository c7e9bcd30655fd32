"""`fetch`: one pass over the tenants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.settings.options import ENGINE_OPTIONS

from .options import API, DATES, DRAIN, LOGGING, ONLY, OUTPUT, TENANTS, options, read
from .speech import refuse, say

TABLE = (TENANTS, OUTPUT, *ENGINE_OPTIONS, *DATES, DRAIN, *LOGGING)


@click.command()
@options(TABLE, repeated=(API, ONLY))
@click.option(
    "--progress/--no-progress",
    default=None,
    envvar="WOLKVOX_PROGRESS",
    help="show progress on standard error  [default: on a terminal]",
)
def command(progress: bool | None, api: tuple[str, ...], only: tuple[str, ...], **given: Any) -> int:
    """Make one pass over the tenants: one call per operation and endpoint.

    Records go out as JSON lines, each call's rows before its `call` record.
    """
    from .loading import load  # noqa: PLC0415 - `--help` needs none of it

    said = read(given, TABLE)
    if _is_same_file(said.values["output"], said.values["tenants"]):
        said.mistakes.append(Mistake("--output: this is the tenants file, which records would destroy"))
    tenants = load(said, only, api)
    from wolkvox_async.apps import logs, passing  # noqa: PLC0415 - structlog and aiohttp, once they are needed

    logs.configure(said.values["log_format"], said.values["log_level"])
    order = passing.Order(
        tenants, said.engine(), said.values["output"], api, said.dates(), said.values["drain"], progress
    )
    try:
        ending = passing.run(lambda: passing.run_pass(order))
    except ConfigurationError as error:
        raise refuse(error.mistakes) from None
    if ending.message:
        say(ending.message)
    return int(ending.code)


def _is_same_file(output: str | None, tenants: str | None) -> bool:
    try:
        return output is not None and tenants is not None and Path(output).samefile(tenants)
    except OSError:
        return False
