"""The tenants file: from a path, or a mapping that is built like the file, to entries.

Every mistake is found in one go and said with its line and column. Nothing here knows
about options, resolves a token or touches the network.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any

from wolkvox_async.errors import ConfigurationError, Mistake

from .documents import Document, read_document
from .entries import Entry, Mistakes, Survey, Tenants
from .servers import complain_about_server, has_vendor_names

__all__ = ["Entry", "Mistakes", "Survey", "Tenants", "load_tenants", "server_mistakes", "survey_tenants"]


def load_tenants(
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    base_url: str | None = None,
    now: datetime | None = None,
    secrets_dir: str | os.PathLike[str] | None = None,
) -> Tenants:
    """Read and check a tenants file, or a mapping built like one.

    With `base_url`, servers must have names that go with it; without it, that is found when an
    engine is opened. A mapping may hold a `Token` where the file refers to one. `now`
    (aware) is the moment after which no range of dates may start, by default the present.
    Secrets are looked for in `secrets_dir`, whatever the file says.

    Raises `ConfigurationError` with every mistake, each at `file:line:column`.
    """
    survey = survey_tenants(source, base_url=base_url, now=now, secrets_dir=secrets_dir)
    if survey.mistakes:
        raise survey.mistakes.error()
    return survey.tenants


def survey_tenants(
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    base_url: str | None = None,
    now: datetime | None = None,
    secrets_dir: str | os.PathLike[str] | None = None,
) -> Survey:
    """Read a tenants file as `load_tenants` does, and return it with its mistakes.

    Raises `ConfigurationError` only for what cannot be read as JSON at all.
    """
    # pydantic costs more to import than the rest of the package together.
    from .reader import read_survey  # noqa: PLC0415

    document = _from_mapping(source) if isinstance(source, Mapping) else read_document(os.fspath(source))
    moment = now or datetime.now(UTC)  # noqa: TID251 - the boundary: whoever has a clock passes the time in
    survey = read_survey(document, now=moment, four_digits=base_url is not None and has_vendor_names(base_url))
    if secrets_dir is None:
        return survey
    # What is named beside the file is relative to where one stands, not to the file.
    return replace(survey, tenants=replace(survey.tenants, secrets_dir=FilePath(secrets_dir).absolute()))


def server_mistakes(tenants: Tenants, base_url: str) -> list[Mistake]:
    """Return a mistake for every server whose name does not go with `base_url`.

    The vendor's own address takes four digits, any other what a host name may hold.
    """
    four_digits = has_vendor_names(base_url)
    judged = {entry.server for entry in tenants.entries}
    wrong = {server: complain_about_server(server, four_digits=four_digits) for server in judged}
    found = ((entry, message) for entry in tenants.entries if (message := wrong[entry.server]) is not None)
    return list(tenants.mistakes(found, key="server").listed)


def _from_mapping(source: Mapping[str, Any]) -> Document:
    try:
        return Document(_as_json(source))
    except RecursionError:
        pass
    raise ConfigurationError([Mistake("the tenants are nested too deeply, or hold themselves")])


def _as_json(value: Any) -> Any:
    """Return `value` with the containers that JSON has; what is in them stays as it is."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(inner) for inner in value]
    return value
