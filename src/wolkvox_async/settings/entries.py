"""What a tenants file comes to: its operations, checked, with tokens still to be resolved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from wolkvox_async.catalog import Catalog
from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.model import Operation, Token
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.references import SECRETS_DIR, TokenReference

from .complaints import Complaints, in_order
from .documents import Source
from .places import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation as the file describes it.

    `licences` is None where the file names none; `tenant_index` and `operation_index`
    count from 0 and say where in the document it stands.
    """

    tenant: str
    name: str
    server: str
    reference: TokenReference
    timezone: str
    labels: tuple[tuple[str, str], ...]
    wanted: tuple[Wanted, ...]
    licences: int | None
    tenant_index: int
    operation_index: int

    @property
    def path(self) -> str:
        """The name by which people, selectors and `engine.call` address it."""
        return f"{self.tenant}/{self.name}"

    @property
    def location(self) -> Path:
        """Where in the document it stands."""
        return ("tenants", self.tenant_index, "operations", self.operation_index)

    def subscription(self, token: Token) -> Subscription:
        """Return it as the planner takes it, with the token that its reference gave."""
        return Subscription(
            Operation(self.tenant, self.name, self.server, token, self.timezone),
            self.wanted,
            self.labels,
            self.licences,
        )


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Mistakes in the order of the file, at most 1,000, and how many there are beyond them."""

    listed: tuple[Mistake, ...] = ()
    unlisted: int = 0

    def __bool__(self) -> bool:
        return bool(self.listed)

    def __add__(self, other: Mistakes) -> Mistakes:
        return Mistakes(tuple(in_order((*self.listed, *other.listed))), self.unlisted + other.unlisted)

    def error(self) -> ConfigurationError:
        """Return the exception that names them."""
        return ConfigurationError(self.listed, self.unlisted)


@dataclass(frozen=True, slots=True)
class Tenants:
    """A whole tenants file; `path` is None when the description came from no file.

    `secrets_dir` is where secrets are, relative to `folder`.
    """

    entries: tuple[Entry, ...]
    catalog: Catalog
    path: FilePath | None = None
    warnings: tuple[Mistake, ...] = ()
    source: Source = field(default=Source(), repr=False)
    secrets_dir: FilePath = FilePath(SECRETS_DIR)

    @property
    def folder(self) -> FilePath:
        """The folder that file references are relative to: the file's own, else the current one."""
        return FilePath() if self.path is None else self.path.parent

    def mistakes(self, found: Iterable[tuple[Entry, str]], *, key: str = "token") -> Mistakes:
        """Place messages about entries at the `key` of each, in the order of the file."""
        complaints = Complaints()
        for entry, message in found:
            complaints.add((*entry.location, key), message)
        return Mistakes(tuple(complaints.mistakes(self.source)), complaints.unlisted)


@dataclass(frozen=True, slots=True)
class Survey:
    """A tenants file with what is wrong in it.

    With mistakes, `tenants` holds what could be read in spite of them: good for finding
    more mistakes (in token references), and for nothing else.
    """

    tenants: Tenants
    mistakes: Mistakes
