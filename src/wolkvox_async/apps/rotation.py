"""Tokens that are exchanged while a watch goes on, and how it comes to know the new ones.

A refused token is looked up at once by the engine, and the refused call goes on under the
new one. What remains is done here, because people exchange tokens in the other order too:

- The vendor refuses the token first, and the new one is stored minutes later. References
  whose token is refused are asked again, one after the other, twice a minute.
- A file with a token changes. That is looked at every few seconds, so that every machine of a
  cluster knows the new token before the old one is refused on one of them. A file counts
  as changed once it stays the same from one look to the next. Of many files only some are
  looked at each time.

Either has the tenants file read again, with all its references, as SIGHUP does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from wolkvox_async.adapters.secrets import Secrets
from wolkvox_async.model import ErrorKind, GapReason, Ok, Operation, Token
from wolkvox_async.ports import CallSettled, Event, SlotMissed, TokenClosed
from wolkvox_async.references import FileReference, SecretReference, TokenReference
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.resolution import References, secrets_of

from .rereading import LOOK_EVERY, signs_of

ASK_EVERY: Final = 30.0  # seconds
_LOOKED_AT: Final = 500  # files at once
_REFUSALS: Final = frozenset({ErrorKind.UNAUTHORIZED, ErrorKind.FORBIDDEN})


class CurrentReferences:
    """The token source of the tenants file as it was read last, and a hook that hears which tokens are refused."""

    def __init__(self, tenants: Tenants, *, ask_every: float = ASK_EVERY, look_every: float = LOOK_EVERY) -> None:
        """Take how many seconds pass between two looks at refused references, and at files."""
        self._ask_every: Final = ask_every
        self._look_every: Final = look_every
        self._refused: Final[dict[str, Operation]] = {}  # at most as many as there are operations
        self._proposed: Final[dict[str, Token]] = {}  # for these of them it was asked to be read again
        # What files were like, as hashes: of each reference to a file that was looked at, some 120 bytes.
        self._seen: dict[TokenReference, int] = {}
        self._references: References
        self._secrets: Secrets
        self._files: Sequence[TokenReference]
        self.replace(tenants)

    def replace(self, tenants: Tenants) -> None:
        """Have what is resolved from now on be what `tenants` says."""
        self._secrets = secrets_of(tenants)
        self._references = References(tenants.entries, self._secrets)
        self._files = tuple(dict.fromkeys(entry.reference for entry in tenants.entries if _is_file(entry.reference)))
        self._seen = {reference: self._seen[reference] for reference in self._files if reference in self._seen}
        for reference in self._files[:_LOOKED_AT]:  # of more than these it is found out later what they are like
            if reference not in self._seen and (signs := self._signs(reference)) is not None:
                self._seen[reference] = signs
        if self._refused:
            for path in self._refused.keys() - {entry.path for entry in tenants.entries}:
                self._forget(path)

    async def resolve(self, operation: Operation) -> Token | None:
        """Return what the operation's reference gives now; None when it gives nothing."""
        return await self._references.resolve(operation)

    def observe(self, event: Event) -> None:
        """Take notice of which operations' tokens are refused, and of answers."""
        match event:
            case TokenClosed(operation=operation, kind=kind) if kind in _REFUSALS:
                self._refused[operation.path] = operation
            case SlotMissed(operation=operation, reason=GapReason.HELD):
                self._refused.setdefault(operation.path, operation)
            case CallSettled(call=call, outcome=Ok()) if self._refused:
                self._forget(call.operation.path)
            case _:
                pass

    def _forget(self, path: str) -> None:
        self._refused.pop(path, None)
        self._proposed.pop(path, None)

    async def look_for_others(self, ask: Callable[[], None]) -> None:
        """For ever, `ask` to read again when a refused token's reference gives another one."""
        while True:
            await asyncio.sleep(self._ask_every)
            for path, operation in list(self._refused.items()):
                token = await self.resolve(operation)
                if token is None or token in (operation.token, self._proposed.get(path)):
                    continue
                self._proposed[path] = token
                ask()

    async def look_at_files(self, ask: Callable[[], None]) -> None:
        """For ever, `ask` to read again when a file with a token has changed."""
        rest: Iterator[TokenReference] = iter(())
        changing: set[TokenReference] = set()
        while True:
            await asyncio.sleep(self._look_every)
            settled = {reference for reference in changing if self._signs(reference) == self._seen.get(reference)}
            some = list(islice(rest, _LOOKED_AT))
            if not some:
                rest = iter(self._files)
                some = list(islice(rest, _LOOKED_AT))
            changing -= settled
            changing.update(reference for reference in (*changing, *some) if self._is_changed(reference))
            if settled:
                ask()

    def _is_changed(self, reference: TokenReference) -> bool:
        """Tell whether a file is another one than when it was looked at last, if it ever was."""
        signs = self._signs(reference)
        # What is gone may be on its way: whoever exchanges a file may take the old one away first.
        if signs is None:
            return False
        before = self._seen.get(reference, signs)
        self._seen[reference] = signs
        return signs != before

    def _signs(self, reference: TokenReference) -> int | None:
        path = self._secrets.path_of(reference)
        signs = None if path is None else signs_of(path)
        return None if signs is None else hash(signs)


def _is_file(reference: TokenReference) -> bool:
    return isinstance(reference, FileReference | SecretReference)
