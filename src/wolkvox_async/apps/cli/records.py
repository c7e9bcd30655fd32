"""`records`: the stream of a cluster as lines."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.errors import one_line
from wolkvox_async.settings.options import STATE_OPTIONS, Option

from .destination import output_mistakes
from .joining import JOINING, join_settings
from .options import OUTPUT, options, read
from .speech import refuse, say

_HIGHEST: Final = 2**63


def _sequence(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:20]) < _HIGHEST:
        raise ValueError("write a number of the stream, from 1 on")
    return int(value)


FIRST: Final = Option(
    "from", None, _sequence, "SEQ", "first message to read  [default: where the file is, else the first there is]"
)
DURABILITY: Final = next(option for option in STATE_OPTIONS if option.name == "durability")
TABLE: Final = (*JOINING, OUTPUT, FIRST, DURABILITY)


@click.command()
@options(TABLE)
@click.option("--follow", is_flag=True, envvar="WOLKVOX_FOLLOW", help="go on with what comes, until told to stop")
def command(follow: bool, **given: Any) -> int:
    """Read the records that all machines of a cluster store, as JSON lines in their order.

    They are the same as on one machine, each once. Without --follow it ends with the last
    that there is when it starts.

    A file goes on by itself where it ended, however its reader ended (FILE.bookmark beside
    it says where). Into a pipe, --from says where to begin; standard error tells it as a line
    `next: --from SEQ`, every ten seconds and at the end.
    """
    said = read(given, TABLE)
    settings = join_settings(said, needed=True)
    said.mistakes.extend(output_mistakes({**said.values, "tenants": None}, rotates=False))
    if said.mistakes or settings is None:
        raise refuse(said.mistakes)
    from wolkvox_async.apps.reading.reader import Order, Reader  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.errors import ConfigurationError, StateError  # noqa: PLC0415 - as above

    values = said.values
    order = Order(settings, values["output"], values["from"], follow, durable=values["durability"] == "power")

    async def main() -> Exit:
        return await Reader(order, say).run()

    try:
        return asyncio.run(main())
    except StateError as error:
        say(one_line(str(error)))
        return Exit.STATE
    except ConfigurationError as error:
        raise refuse(error.mistakes) from None
