"""What a state folder knows, of the operations that a command is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.languages import translated
from wolkvox_async.settings.options import STATE_OPTIONS, Option, text

from .options import ONLY, Read, read
from .speech import refuse, say

if TYPE_CHECKING:
    from wolkvox_async.adapters.state import LastCall, Survey
    from wolkvox_async.selection import Selectable

STATE: Final = next(option for option in STATE_OPTIONS if option.name == "state")
FILE: Final = Option(
    "tenants", None, text, "FILE", "only operations of this tenants file, whose labels --only knows then"
)
TABLE: Final = (FILE, STATE)
SOME: Final = replace(ONLY, help="only tenant, tenant/operation (wildcards) or, with --tenants, label=value (repeats)")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known: everything, the calls that were chosen, and chosen operations without any."""

    survey: Survey
    calls: list[LastCall]
    unknown: list[str]


def known(given: dict[str, Any], only: Sequence[str]) -> Known | Exit:
    """Read what the options name and choose, or say why that cannot be and return the exit code."""
    from wolkvox_async.errors import StateError  # noqa: PLC0415 - `--help` needs none of it

    said = read(given, TABLE)
    entries = _entries(said)
    try:
        survey = _survey(Path(said.engine_with_state().state or ""))
    except StateError as error:
        say(str(error))
        return Exit.STATE
    return _choose(survey, entries, only)


def known_if_any(said: Read) -> Survey | None:
    """Return what the folder knows that `said` names, the user's own if none; None while there is nothing in it.

    Raises `StateError`.
    """
    from wolkvox_async.errors import StateError  # noqa: PLC0415 - `--help` needs none of it

    try:
        folder = Path(said.engine_with_state().state or "")
    except StateError:
        return None  # nobody has named one, and there is no place for the user's own
    try:
        return _survey(folder)
    except StateError:
        if not (folder / "state.db").exists():
            return None
        raise


def _survey(folder: Path) -> Survey:
    from wolkvox_async.adapters.state import survey  # noqa: PLC0415 - `--help` needs none of it

    return survey(folder)


def _entries(said: Read) -> Sequence[Selectable] | None:
    """Return the operations of the tenants file; None when none was named. Says all mistakes and raises."""
    from wolkvox_async.errors import ConfigurationError  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.settings.tenants import survey_tenants  # noqa: PLC0415

    path = said.values["tenants"]
    if path is None or said.mistakes:
        if said.mistakes:
            raise refuse(said.mistakes)
        return None
    try:
        found = survey_tenants(path)
    except ConfigurationError as error:
        raise refuse(error.mistakes, error.unlisted) from None
    if found.mistakes:
        raise refuse(found.mistakes.listed, found.mistakes.unlisted)
    return found.tenants.entries


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation that the state knows of; it knows no labels."""

    tenant: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()


def _choose(survey: Survey, entries: Sequence[Selectable] | None, only: Sequence[str]) -> Known:
    """Choose what `only` selects; says what selects nothing and raises."""
    from wolkvox_async.errors import SelectionError  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.selection import select  # noqa: PLC0415

    seen = dict.fromkeys((call.tenant, call.operation) for call in survey.calls)
    try:
        selected = select(tuple(_Operation(*names) for names in seen) if entries is None else entries, only)
    except SelectionError as error:
        raise refuse(error.mistakes) from None
    names = dict.fromkeys((one.tenant, one.name) for one in selected)
    calls = [call for call in survey.calls if (call.tenant, call.operation) in names]
    return Known(survey, calls, [f"{tenant}/{name}" for tenant, name in names if (tenant, name) not in seen])


def say_what_is_unknown(found: Known) -> None:
    """Say which operations nothing is known of."""
    if not found.unknown:
        return
    first, others = found.unknown[0], len(found.unknown) - 1
    if others:
        first = translated("{first} and {others} more", first=first, others=others)
    say(translated("nothing is known of {operations}: no call was planned yet (wolkvox-async fetch)", operations=first))
