"""`cluster`: who holds what, and whether it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.errors import one_line
from wolkvox_async.settings.options import Option, seconds

from .joining import JOINING, join_settings
from .options import options, read
from .speech import refuse, say
from .status import in_json

if TYPE_CHECKING:
    from wolkvox_async.apps.overseeing.picture import Picture

SECONDS: Final = Option(
    "seconds", None, seconds, "SECONDS", "look for so long  [default: until all is renewed, a renewal and 2 s at most]"
)
TABLE: Final = (*JOINING, SECONDS)
_COLOURS: Final = {"good": "green", "bad": "red", "head": "cyan"}


@click.command()
@options(TABLE)
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line")
def command(as_json: bool, **given: Any) -> int:
    """Show who holds what in a cluster, and whether it lives.

    Whether a machine lives can only be seen while it renews its leases, every 10 s as a
    rule; so this looks for some seconds, ending as soon as everything was seen to be renewed.
    It changes nothing in the cluster.
    """
    said = read(given, TABLE)
    settings = join_settings(said, needed=True)
    if said.mistakes or settings is None:
        raise refuse(said.mistakes)
    from wolkvox_async.apps.overseeing.lookout import seen  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.errors import ConfigurationError, StateError  # noqa: PLC0415 - as above

    try:
        picture = asyncio.run(seen(settings, said.values["seconds"], say))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except StateError as error:
        say(one_line(str(error)))
        return Exit.STATE
    except ConfigurationError as error:
        raise refuse(error.mistakes) from None
    for line in (_as_json if as_json else _as_text)(picture):
        click.echo(line)
    return Exit.OK


def _as_text(picture: Picture) -> Iterator[str]:
    from wolkvox_async.apps.overseeing.sheet import sheet  # noqa: PLC0415 - `--help` needs none of it

    now = datetime.now(UTC)  # noqa: TID251 - the boundary
    for line, mood in sheet(picture, now.timestamp()):
        yield click.style(line, fg=_COLOURS[mood]) if mood else line


def _as_json(picture: Picture) -> Iterator[str]:
    """Yield the cluster, its workers, leases and runs; how long something takes is in seconds."""
    from wolkvox_async.apps.overseeing.picture import Standing  # noqa: PLC0415 - `--help` needs none of it

    terms = None if picture.terms is None else asdict(picture.terms)
    yield in_json(
        {
            "type": "cluster",
            "looked": picture.seconds,
            "last": picture.last,
            "unevenness": picture.unevenness,
            "terms": terms,
        }
    )
    for worker in picture.workers:
        yield in_json({"type": "worker", **asdict(worker)})
    for lease in picture.leases:
        if lease.standing is not Standing.UNCLAIMED:
            yield in_json({"type": "lease", **asdict(lease), "quarantine": _moment(lease.quarantine)})
    for run in picture.runs:
        at = _moment(run.at) if isinstance(run.at, int | float) else run.at
        yield in_json({"type": "run", **asdict(run), "at": at})


def _moment(unix: float | None) -> datetime | None:
    try:
        return None if unix is None else datetime.fromtimestamp(unix, UTC)
    except (OverflowError, OSError, ValueError):  # others wrote it
        return None
