"""One operation of a tenants file: from a JSON object to an `Entry`.

Each field is read on its own, also when another one is wrong, so that one reading finds
everything. An operation whose token reference can be read becomes an entry whatever
else is wrong with it: the file is refused anyway, but its token can be tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from wolkvox_async.model import normalise_server
from wolkvox_async.planning import Wanted
from wolkvox_async.references import LiteralReference, TokenReference
from wolkvox_async.spelling import shown
from wolkvox_async.windows import DEFAULT_TIMEZONE

from .complaints import Complaints
from .entries import Entry
from .names import complain_about_name
from .places import Path
from .servers import complain_about_server
from .shapes import OperationShape
from .timezones import Timezones
from .tokens import Plugins, read_reference
from .wanted import DEFAULT_APIS, WantedReader
from .wording import check

Labels: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What depends on where the description came from and where calls go.

    `four_digits` asks for the vendor's names of servers, `exposed` says that others may
    read the file, `from_file` that there is one.
    """

    four_digits: bool
    exposed: bool
    from_file: bool


@dataclass(slots=True)
class Owner:
    """The tenant whose operations are read; `names` are theirs, with the place of the first."""

    name: str
    labels: Labels
    index: int
    names: dict[str, int] = field(default_factory=dict)


class _Defaults:
    """What operations have that do not say otherwise."""

    def __init__(self, root: Mapping[str, Any], timezones: Timezones, wanted: WantedReader) -> None:
        written = root.get("defaults")
        given = written if isinstance(written, dict) else {}
        apis = given.get("apis")
        self._apis: Final = apis if isinstance(apis, list) else list(DEFAULT_APIS)
        self._reader: Final = wanted
        # At most as many as there are timezones; wrong ones too, so that each is complained about once.
        self._wanted: Final[dict[str, tuple[Wanted, ...]]] = {}
        self.timezone: Final = timezones.read(given.get("timezone", DEFAULT_TIMEZONE), ("defaults", "timezone"))
        # Read in any case: no operation may need them, and they may be wrong.
        self.wanted(self.timezone)

    def wanted(self, zone: str) -> tuple[Wanted, ...]:
        """Return what an operation in that timezone is asked for."""
        if zone not in self._wanted:
            self._wanted[zone] = self._reader.read(self._apis, zone, ("defaults", "apis"))
        return self._wanted[zone]


class OperationReader:
    """Reads operations; what many have in common they share."""

    def __init__(self, root: Mapping[str, Any], rules: Rules, wanted: WantedReader, complaints: Complaints) -> None:
        """Take the document, which holds the defaults, and what all operations are read with."""
        self._rules: Final = rules
        self._wanted: Final = wanted
        self._complaints: Final = complaints
        self._timezones: Final = Timezones(complaints)
        self._defaults: Final = _Defaults(root, self._timezones, wanted)
        self._servers: Final[dict[str, str]] = {}
        self._plugins: Final = Plugins()
        self.literals: Final[list[Path]] = []
        """Where tokens stand in the file itself."""

    def read(self, item: Any, owner: Owner, index: int) -> Entry | None:
        """Return the entry that `item` describes, complaining about everything wrong with it."""
        path: Path = ("tenants", owner.index, "operations", index)
        check(OperationShape, item, path, self._complaints)
        if not isinstance(item, dict):
            return None
        name = _read_name(item, owner, path, self._complaints)
        server = self._read_server(item, path)
        zone = self._read_timezone(item, path)
        wanted = self._read_wanted(item, zone, path)
        licences = _read_licences(item, path, self._complaints)
        reference = self._read_reference(item, path)
        if reference is None:
            return None
        whose, whence = (owner.name, name, server), (owner.index, index)
        return Entry(*whose, reference, zone, owner.labels, wanted, licences, *whence)

    def _read_server(self, item: Mapping[str, Any], path: Path) -> str:
        written = item.get("server")
        if not isinstance(written, str):
            return ""
        server = normalise_server(written)
        problem = complain_about_server(server, four_digits=self._rules.four_digits)
        if problem:
            self._complaints.add((*path, "server"), problem)
        return self._servers.setdefault(server, server)

    def _read_timezone(self, item: Mapping[str, Any], path: Path) -> str:
        if "timezone" not in item:
            return self._defaults.timezone
        return self._timezones.read(item["timezone"], (*path, "timezone"))

    def _read_wanted(self, item: Mapping[str, Any], zone: str, path: Path) -> tuple[Wanted, ...]:
        if "apis" not in item:
            return self._defaults.wanted(zone)
        apis = item["apis"]
        return self._wanted.read(apis, zone, (*path, "apis")) if isinstance(apis, list) else ()

    def _read_reference(self, item: Mapping[str, Any], path: Path) -> TokenReference | None:
        place = (*path, "token")
        written = item.get("token")
        reference = read_reference(written, place, self._complaints, self._plugins)
        if isinstance(reference, LiteralReference) and isinstance(written, str):
            self.literals.append(place)
            if self._rules.exposed:
                self._complaints.add(place, "a token stands in this file, which others may read: chmod 600 it")
        return reference


def _read_name(item: Mapping[str, Any], owner: Owner, path: Path, complaints: Complaints) -> str:
    name = item.get("name")
    if not isinstance(name, str):
        return "?"
    problem = complain_about_name(name)
    if problem:
        complaints.add((*path, "name"), problem)
        return "?"
    first = owner.names.setdefault(name, path[-1] if isinstance(path[-1], int) else 0)
    if first != path[-1]:
        before = (*path[:-1], first, "name")
        complaints.add((*path, "name"), f"two operations of the tenant are called {shown(name)}", first=before)
    return name


def _read_licences(item: Mapping[str, Any], path: Path, complaints: Complaints) -> int | None:
    licences = item.get("licences")
    if isinstance(licences, bool) or not isinstance(licences, int):
        return None
    if licences < 1:
        complaints.add((*path, "licences"), f"licences must be at least 1, not {licences}")
    return licences
