"""`why`: the one thing that each token of a tenant waits for."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.languages import translated

from .known import TABLE, known, say_what_is_unknown
from .options import options
from .status import in_json, local
from .tables import plain

if TYPE_CHECKING:
    from wolkvox_async.apps.standing import Standing


@click.command()
@click.argument("tenant", metavar="TENANT[/OPERATION]")
@options(TABLE)
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line")
def command(tenant: str, as_json: bool, **given: Any) -> int:
    """Say what each token of TENANT waits for, and until when, as the state folder knows it.

    TENANT and OPERATION may have the wildcards of --only. A tenant is known from the
    first time that a call of it was planned.
    """
    from datetime import UTC  # noqa: PLC0415 - `--help` needs none of it

    from wolkvox_async.apps.standing import standings  # noqa: PLC0415

    found = known(given, (tenant,))
    if isinstance(found, Exit):
        return found
    now = datetime.now(UTC)  # noqa: TID251 - the boundary
    for standing in standings(found.survey, found.calls, now):
        click.echo(in_json(_fields(standing)) if as_json else _line(standing))
    say_what_is_unknown(found)
    return Exit.OK


def _line(standing: Standing) -> str:
    from wolkvox_async.apps.reasons import sentence  # noqa: PLC0415 - `--help` needs none of it

    names = ", ".join(f"{standing.tenant}/{operation}" for operation in standing.operations)
    said = sentence(standing.wait)
    if standing.wait.until is not None:
        said = translated("{what}; until {at}", what=said, at=local(standing.wait.until))
    return plain(f"{names} ({standing.token}): {said}")


def _fields(standing: Standing) -> dict[str, Any]:
    from wolkvox_async.apps.reasons import message  # noqa: PLC0415 - `--help` needs none of it

    return {
        "tenant": standing.tenant,
        "operations": standing.operations,
        "token": standing.token,
        "waits_for": standing.wait.reason,
        "until": standing.wait.until,
        "message": message(standing.wait),
    }
