"""From token references to tokens, with every reference that gives none as a mistake.

Nothing here needs the engine: `check` uses it without paying for one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from wolkvox_async.adapters.secrets import Secrets, Unresolved
from wolkvox_async.model import Operation, Token
from wolkvox_async.planning import Subscription
from wolkvox_async.ports import TokenSource
from wolkvox_async.references import FileReference, TokenReference

from .entries import Entry, Mistakes, Tenants
from .tenants import server_mistakes


def secrets_of(tenants: Tenants, environment: Mapping[str, str] | None = None) -> Secrets:
    """Return what resolves the references of `tenants`; `environment` is the process's unless given."""
    around = os.environ if environment is None else environment
    return Secrets(tenants.folder, around, secrets_dir=tenants.secrets_dir)


def exposed_files(secrets: Secrets) -> list[str]:
    """Return messages for the files resolved so far that all users of the machine may read; one for all secrets."""
    files = [reference for reference in secrets.exposed if isinstance(reference, FileReference)]
    found = [f"the token file {file.path} may be read by every user of this machine: chmod 600" for file in files]
    if many := len(secrets.exposed) - len(files):
        which = "a secret" if many == 1 else f"{many} secrets"
        found.append(
            f"{which} in {secrets.secrets_dir} may be read by every user of this machine: "
            "set mode 0400 (Docker: mode, Kubernetes: defaultMode)"
        )
    return found


async def survey_tokens(tenants: Tenants, secrets: Secrets) -> tuple[list[Subscription], Mistakes]:
    """Resolve every token reference; return what came of it, and a mistake for each that gave none."""
    found = await secrets.resolve_all([entry.reference for entry in tenants.entries])
    pairs = list(zip(tenants.entries, found, strict=True))
    subscriptions = [entry.subscription(got) for entry, got in pairs if isinstance(got, Token)]
    return subscriptions, tenants.mistakes((entry, got.message) for entry, got in pairs if isinstance(got, Unresolved))


async def resolve(tenants: Tenants, base_url: str, secrets: Secrets) -> list[Subscription]:
    """Resolve every token reference; raises `ConfigurationError` with every mistake."""
    subscriptions, unresolved = await survey_tokens(tenants, secrets)
    mistakes = Mistakes(tuple(server_mistakes(tenants, base_url))) + unresolved
    if mistakes:
        raise mistakes.error()
    return subscriptions


class References:
    """Resolves an operation's reference again; the token source of a tenants file."""

    def __init__(self, entries: Iterable[Entry], secrets: Secrets) -> None:
        self._references: Final[dict[str, TokenReference]] = {entry.path: entry.reference for entry in entries}
        self._secrets: Final = secrets

    async def resolve(self, operation: Operation) -> Token | None:
        """Return what the operation's reference gives now; None when it gives nothing."""
        reference = self._references.get(operation.path)
        if reference is None:  # the tenants file has lost it meanwhile, or does not have it yet
            return None
        found = await self._secrets.resolve(reference)
        return found if isinstance(found, Token) else None


class Guarded:
    """A service's own token source: when it fails, that is reported, and it has given no token."""

    def __init__(self, source: TokenSource, log: Any) -> None:
        self._source: Final = source
        self._log: Final = log

    async def resolve(self, operation: Operation) -> Token | None:
        """Return what the source gives."""
        try:
            return await self._source.resolve(operation)
        except Exception as error:  # noqa: BLE001 - the host's source may raise anything; its text may hold a token
            self._log.error("the token source failed", operation=operation.path, error=type(error).__name__)
        return None
