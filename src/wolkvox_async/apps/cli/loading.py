"""The tenants file for a command, or every mistake that stands in the command's way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.selection import select, subscribed
from wolkvox_async.settings.entries import Entry, Tenants
from wolkvox_async.settings.resolution import secrets_of, survey_tokens
from wolkvox_async.settings.tenants import load_tenants, survey_tenants

from .options import Read
from .speech import refuse


def load(said: Read, only: Sequence[str], api: Sequence[str]) -> Tenants:
    """Read the tenants file and keep what `only` selects.

    With mistakes in the options or the file, token references are looked at too, so that
    all of them are said at once.
    """
    try:
        survey = survey_tenants(
            said.values["tenants"], base_url=said.values.get("base_url"), secrets_dir=said.values["secrets_dir"]
        )
    except ConfigurationError as error:
        raise refuse([*said.mistakes, *error.mistakes], error.unlisted) from None
    chosen, fruitless = (survey.tenants.entries, []) if survey.mistakes else _choose(survey.tenants, only, api)
    if said.mistakes or survey.mistakes or fruitless:
        _, unresolved = asyncio.run(survey_tokens(survey.tenants, secrets_of(survey.tenants)))
        found = survey.mistakes + unresolved
        raise refuse([*said.mistakes, *fruitless, *found.listed], found.unlisted)
    return replace(survey.tenants, entries=chosen)


def reread(said: Read, only: Sequence[str], api: Sequence[str]) -> Tenants:
    """Read the tenants file again and keep what `only` selects; raises `ConfigurationError` with every mistake."""
    values = said.values
    tenants = load_tenants(values["tenants"], base_url=values["base_url"], secrets_dir=values["secrets_dir"])
    chosen, fruitless = _choose(tenants, only, api)
    if fruitless:
        raise ConfigurationError(fruitless)
    return replace(tenants, entries=chosen)


def _choose(tenants: Tenants, only: Sequence[str], api: Sequence[str]) -> tuple[tuple[Entry, ...], list[Mistake]]:
    chosen = tenants.entries
    mistakes: list[Mistake] = []
    try:
        chosen = select(tenants.entries, only)
    except ConfigurationError as error:
        mistakes += error.mistakes
    try:
        subscribed(chosen, api, tenants.catalog)
    except ConfigurationError as error:
        mistakes += error.mistakes
    return chosen, mistakes
