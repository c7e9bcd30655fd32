"""The tenants file for a command, or every mistake that stands in the command's way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from wolkvox_async.errors import ConfigurationError
from wolkvox_async.selection import select
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.resolution import secrets_of, survey_tokens
from wolkvox_async.settings.tenants import survey_tenants

from .options import Read
from .speech import refuse


def load(said: Read, only: Sequence[str]) -> Tenants:
    """Read the tenants file and keep what `only` selects.

    With mistakes in the options or the file, token references are looked at too, so that
    all of them are said at once.
    """
    base_url = said.values.get("base_url")
    try:
        survey = survey_tenants(said.values["tenants"], base_url=base_url)
    except ConfigurationError as error:
        raise refuse([*said.mistakes, *error.mistakes], error.unlisted) from None
    if said.mistakes or survey.mistakes:
        _, unresolved = asyncio.run(survey_tokens(survey.tenants, secrets_of(survey.tenants)))
        found = survey.mistakes + unresolved
        raise refuse([*said.mistakes, *found.listed], found.unlisted)
    try:
        return replace(survey.tenants, entries=select(survey.tenants.entries, only))
    except ConfigurationError as error:
        raise refuse(error.mistakes) from None
