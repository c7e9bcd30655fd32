"""What is known of each token: where it comes from, who uses it, when it was used, whether it was refused.

Two things, both found out before, are held against each other: what the references of a tenants
file give, and what a state folder remembers of token ids. A token is in one of these states:

1. `resolved`: a reference gives it now.
2. `not_asked`: its reference was not asked, because that would run something. Which token it
   gives is not known; the one that its operations used last stands for it.
3. `unresolved`: its reference gives no token now; as above.
4. `rotated`: operations of the tenants file used it and use another one by now.
5. `unreferenced`: the state folder knows it, and no operation of the tenants file has used it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from wolkvox_async.adapters.secrets import Resolution, Unresolved
from wolkvox_async.adapters.state import LastCall, Survey, TokenState
from wolkvox_async.model import ErrorKind, Token
from wolkvox_async.references import TokenReference
from wolkvox_async.settings.entries import Entry

_REFUSALS: Final = frozenset({ErrorKind.UNAUTHORIZED, ErrorKind.FORBIDDEN, ErrorKind.QUOTA})


class Bond(StrEnum):
    """How a token and the tenants file belong together; see above."""

    RESOLVED = "resolved"
    NOT_ASKED = "not_asked"
    UNRESOLVED = "unresolved"
    ROTATED = "rotated"
    UNREFERENCED = "unreferenced"


@dataclass(frozen=True, slots=True)
class Source:
    """A reference, the operations that have it, and what it gives now (None: it was not asked)."""

    reference: TokenReference
    operations: tuple[str, ...]
    found: Resolution | None

    @property
    def bond(self) -> Bond:
        """What that makes of its token."""
        if self.found is None:
            return Bond.NOT_ASKED
        return Bond.UNRESOLVED if isinstance(self.found, Unresolved) else Bond.RESOLVED


@dataclass(frozen=True, slots=True)
class LastRefusal:
    """Why and when the vendor refused a token last, and until when it holds (None: it is over, or unknown)."""

    kind: str
    message: str | None
    at: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Holding:
    """A token by its id (None: nobody knows it yet), and everything that is known of it. Times in UTC."""

    token: str | None
    bond: Bond
    sources: tuple[Source, ...]
    operations: tuple[str, ...]
    last_used: datetime | None = None
    in_use: bool = False
    refusal: LastRefusal | None = None


Found: TypeAlias = Mapping[TokenReference, Resolution]


def sources(entries: Iterable[Entry], found: Found) -> list[Source]:
    """Return the references of `entries` with what was `found`, each once, in the order of the file."""
    operations: dict[TokenReference, list[str]] = {}
    for entry in entries:
        operations.setdefault(entry.reference, []).append(entry.path)
    return [Source(reference, tuple(paths), found.get(reference)) for reference, paths in operations.items()]


def holdings(given: Sequence[Source], survey: Survey | None, now: datetime, *, others: bool) -> list[Holding]:
    """Return every token: those of references in their order, then those that were rotated.

    With `others`, tokens that operations of `given` never used come last.
    """
    memory = _Memory(survey, now)
    ours = dict.fromkeys(path for source in given for path in source.operations)
    by_token: dict[str, list[Source]] = {}
    unknown: list[Source] = []
    for source in given:
        token = memory.token_of(source)
        if token is None:
            unknown.append(source)
        else:
            by_token.setdefault(token, []).append(source)
    listed = [memory.holding(token, some) for token, some in by_token.items()]
    listed += [Holding(None, source.bond, (source,), source.operations) for source in unknown]
    left = [memory.forgotten(token, ours) for token in memory.tokens if token not in by_token]
    listed += [holding for holding in left if holding.bond is Bond.ROTATED]
    return listed + [holding for holding in left if others and holding.bond is Bond.UNREFERENCED]


@dataclass(slots=True)
class _Calls:
    """The last calls of one token."""

    calls: list[LastCall] = field(default_factory=list)

    @property
    def last_used(self) -> datetime | None:
        """When it was last sent, as far as that is known, or heard of."""
        known = [call.at if call.attempts else call.sent for call in self.calls]
        return max((moment for moment in known if moment is not None), default=None)

    @property
    def refused(self) -> LastCall | None:
        """The last call that the vendor refused."""
        refused = [call for call in self.calls if call.kind in _REFUSALS]
        return max(refused, key=lambda call: call.noted, default=None)


class _Memory:
    """What a state folder remembers, by token id."""

    def __init__(self, survey: Survey | None, now: datetime) -> None:
        self._now: Final = now
        self._states: Final[Mapping[str, TokenState]] = {} if survey is None else survey.tokens
        self._calls: Final[dict[str, _Calls]] = {}
        self._newest: Final[dict[str, LastCall]] = {}  # by operation
        for call in () if survey is None else survey.calls:
            self._calls.setdefault(call.token, _Calls()).calls.append(call)
            if call.path not in self._newest or call.noted > self._newest[call.path].noted:
                self._newest[call.path] = call

    @property
    def tokens(self) -> list[str]:
        """All that it knows."""
        return list(dict.fromkeys((*self._calls, *self._states)))

    def token_of(self, source: Source) -> str | None:
        """Return the token of a source: what it gives, else what its operations used last."""
        if isinstance(source.found, Token):
            return source.found.id
        used = [self._newest[path] for path in source.operations if path in self._newest]
        newest = max(used, key=lambda call: call.noted, default=None)
        return None if newest is None else newest.token

    def holding(self, token: str, some: Sequence[Source]) -> Holding:
        """Return what is known of a token that references give, or are taken to give."""
        bonds = {source.bond for source in some}
        bond = next(bond for bond in Bond if bond in bonds)
        operations = tuple(dict.fromkeys(path for source in some for path in source.operations))
        return self._holding(token, bond, tuple(some), operations)

    def forgotten(self, token: str, ours: Mapping[str, None]) -> Holding:
        """Return what is known of a token that no reference gives."""
        used = self._calls.get(token, _Calls()).calls
        operations = tuple(dict.fromkeys(call.path for call in used))
        bond = Bond.ROTATED if any(path in ours for path in operations) else Bond.UNREFERENCED
        return self._holding(token, bond, (), operations)

    def _holding(self, token: str, bond: Bond, given: tuple[Source, ...], operations: tuple[str, ...]) -> Holding:
        calls, state = self._calls.get(token, _Calls()), self._states.get(token, TokenState())
        return Holding(token, bond, given, operations, calls.last_used, state.held, self._refusal(calls, state))

    def _refusal(self, calls: _Calls, state: TokenState) -> LastRefusal | None:
        last = calls.refused
        at = None if last is None else last.at
        if state.refusal is not None:
            until = self._now + timedelta(seconds=state.refusal.seconds)
            return LastRefusal(state.refusal.kind.value, state.refusal.message, at, until)
        return None if last is None else LastRefusal(last.kind or "", last.message, at, None)
