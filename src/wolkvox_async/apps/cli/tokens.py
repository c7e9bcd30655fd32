"""`tokens`: where every token comes from, who uses it, when it was used, whether it was refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.languages import translated

from .known import STATE
from .options import ONLY, SECRETS_DIR, TENANTS, options, read
from .speech import refuse, say
from .status import in_json, local
from .tables import table, write

if TYPE_CHECKING:
    from wolkvox_async.apps.tokens import Holding, LastRefusal, Source
    from wolkvox_async.settings.entries import Entry, Tenants

TABLE: Final = (TENANTS, SECRETS_DIR, STATE)
_HEAD: Final = ("TOKEN", "STATE", "FROM", "OPERATIONS", "LAST USED", "REFUSED")
_BONDS: Final = {
    "resolved": "resolved",
    "not_asked": "not asked",
    "unresolved": "unresolved",
    "rotated": "rotated",
    "unreferenced": "unreferenced",
}
_ONE_NOT_ASKED: Final = (
    "1 reference was not asked, because that runs a command, the keyring or a plug-in: --resolve asks them too"
)
_NOT_ASKED: Final = (
    "{references} references were not asked, because that runs a command, the keyring or a plug-in: --resolve asks "
    "them too"
)


@click.command()
@options(TABLE, repeated=(ONLY,))
@click.option("--resolve", is_flag=True, help="ask commands, the keyring and plug-ins too")
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line")
def command(resolve: bool, as_json: bool, only: tuple[str, ...], **given: Any) -> int:
    """List the tokens: ids, where each comes from, who uses it, when it was used and refused last.

    A token itself is never shown, and nothing is called. Environment variables and files are
    looked at; commands, the keyring and plug-ins only with --resolve, because that runs them.

    `resolved`: its reference gives it now. `not asked`, `unresolved`: its reference was not asked, or
    gives none; shown is the token that was used last. `rotated`: its operations use another one
    by now. `unreferenced`: the state folder knows it, the tenants file does not.
    """
    from datetime import UTC  # noqa: PLC0415 - `--help` needs none of it

    from wolkvox_async.apps.tokens import holdings  # noqa: PLC0415
    from wolkvox_async.errors import StateError  # noqa: PLC0415

    from .known import known_if_any  # noqa: PLC0415

    said = read(given, TABLE)
    tenants, chosen = _tenants(said.values["tenants"], said.values["secrets_dir"], only)
    asked = _ask(tenants, chosen, everything=resolve)
    try:
        survey = known_if_any(said)
    except StateError as error:
        say(str(error))
        return Exit.STATE
    now = datetime.now(UTC)  # noqa: TID251 - the boundary
    found = holdings(asked, survey, now, others=not only)
    head = [translated(name) for name in _HEAD]
    write(map(in_json, map(_fields, found)) if as_json else table(head, map(_row, found)))
    _say_what_is_missing(tenants, chosen, asked)
    return Exit.OK


def _tenants(path: str, secrets_dir: str | None, only: Sequence[str]) -> tuple[Tenants, Sequence[Entry]]:
    """Return the tenants file and what `only` selects of it; says all mistakes and raises."""
    from wolkvox_async.errors import ConfigurationError  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.selection import select  # noqa: PLC0415
    from wolkvox_async.settings.tenants import survey_tenants  # noqa: PLC0415

    try:
        survey = survey_tenants(path, secrets_dir=secrets_dir)
        if survey.mistakes:
            raise survey.mistakes.error()
        return survey.tenants, select(survey.tenants.entries, only)
    except ConfigurationError as error:
        raise refuse(error.mistakes, error.unlisted) from None


def _ask(tenants: Tenants, chosen: Sequence[Entry], *, everything: bool) -> list[Source]:
    """Ask the references; without `everything` only those that are merely looked at."""
    import asyncio  # noqa: PLC0415 - `--help` needs none of it

    from wolkvox_async.apps.tokens import sources  # noqa: PLC0415
    from wolkvox_async.references import is_looked_at  # noqa: PLC0415
    from wolkvox_async.settings.resolution import secrets_of  # noqa: PLC0415

    references = dict.fromkeys(one.reference for one in chosen if everything or is_looked_at(one.reference))
    found = asyncio.run(secrets_of(tenants).resolve_all(list(references)))
    return sources(chosen, dict(zip(references, found, strict=True)))


def _say_what_is_missing(tenants: Tenants, chosen: Sequence[Entry], asked: Sequence[Source]) -> None:
    """Say which references give no token, each where it stands, and how many were not asked."""
    from wolkvox_async.adapters.secrets import Unresolved  # noqa: PLC0415 - `--help` needs none of it

    bad = {source.reference: source.found.message for source in asked if isinstance(source.found, Unresolved)}
    mistakes = tenants.mistakes((one, bad[one.reference]) for one in chosen if one.reference in bad)
    for mistake in mistakes.listed:
        say(str(mistake))
    if left := sum(source.found is None for source in asked):
        say(translated(_ONE_NOT_ASKED) if left == 1 else translated(_NOT_ASKED, references=left))


# --- for people ---------------------------------------------------------------------------


def _row(holding: Holding) -> tuple[str, ...]:
    return (
        holding.token or "-",
        translated(_BONDS[holding.bond]),
        _some([_origin(source) for source in holding.sources]),
        _some(holding.operations),
        translated("now") if holding.in_use else "-" if holding.last_used is None else local(holding.last_used),
        _refused(holding.refusal),
    )


def _origin(source: Source) -> str:
    from wolkvox_async.references import way_and_place  # noqa: PLC0415 - `--help` needs none of it

    return " ".join(filter(None, way_and_place(source.reference)))


def _some(texts: Sequence[str]) -> str:
    if not texts:
        return "-"
    return texts[0] if len(texts) == 1 else f"{texts[0]} +{len(texts) - 1}"


def _refused(refusal: LastRefusal | None) -> str:
    if refusal is None:
        return "-"
    if refusal.until is not None:
        return translated("{kind}, until {at}", kind=refusal.kind, at=local(refusal.until))
    if refusal.at is not None:
        return translated("{kind}, at {at}", kind=refusal.kind, at=local(refusal.at))
    return refusal.kind


# --- for machines -------------------------------------------------------------------------


def _fields(holding: Holding) -> dict[str, Any]:
    return {
        "token": holding.token,
        "state": holding.bond,
        "references": [_source_fields(source) for source in holding.sources],
        "operations": holding.operations,
        "in_use": holding.in_use,
        "last_used": holding.last_used,
        "refusal": None if holding.refusal is None else _refusal_fields(holding.refusal),
    }


def _source_fields(source: Source) -> dict[str, Any]:
    from wolkvox_async.adapters.secrets import Unresolved  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.references import way_and_place  # noqa: PLC0415

    way, place = way_and_place(source.reference)
    message = source.found.message if isinstance(source.found, Unresolved) else None
    resolves = None if source.found is None else message is None
    return {"way": way, "name": place, "operations": source.operations, "resolves": resolves, "message": message}


def _refusal_fields(refusal: LastRefusal) -> dict[str, Any]:
    from wolkvox_async.fields import timestamp  # noqa: PLC0415 - `--help` needs none of it

    times = {"at": refusal.at, "until": refusal.until}
    written = {name: None if moment is None else timestamp(moment) for name, moment in times.items()}
    return {"kind": refusal.kind, "message": refusal.message, **written}
