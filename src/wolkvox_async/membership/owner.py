"""Whom a member works for: what it tells, and what it asks.

All of it is called in the event loop, and waits for nothing. What one of these raises ends
the member, as any exception does that is not expected.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from wolkvox_async.clustering.messages import TokenState


class Board(Protocol):
    """Where whoever calls looks whether it may: by partition, in seconds of the boot clock."""

    def permit(self, partition: int, valid_until: float) -> None:
        """Let calls begin that are certain to be over by `valid_until`."""
        ...

    def revoke(self, partition: int) -> None:
        """Let no call begin any more."""
        ...


@dataclass(frozen=True, slots=True)
class TokenKnown:
    """A token, and what its last message says of it."""

    token: str
    state: TokenState


@dataclass(frozen=True, slots=True)
class Taking:
    """A partition that is ours from now on.

    `epoch` is to be written into its messages. `quarantine` (Unix seconds) is until when tokens that
    look due have to wait, because a former owner's last records may be missing; None: they need not.
    """

    partition: int
    epoch: int
    quarantine: float | None
    tokens: Collection[TokenKnown]


class Owner(Protocol):
    """Uses the partitions."""

    def taken(self, taking: Taking) -> None:
        """Use a partition; the board permits it already."""
        ...

    def finish(self, partition: int) -> None:
        """Begin nothing more in a partition, and say so (`Member.released`) when nothing is in flight or unstored."""
        ...

    def lost(self, partition: int) -> None:
        """Take in that a partition which was taken is ours no more; records that are on their way are still stored."""
        ...

    def may_renew(self, partition: int) -> bool:
        """Tell whether whoever uses a partition that was taken has just shown that it is alive."""
        ...

    def facts(self) -> Mapping[str, str | int | float]:
        """Return what other machines show of this one; few and short."""
        ...

    def broken(self, error: Exception) -> None:
        """Take in that the member has ended, and why; everything taken is lost."""
        ...


class Records(Protocol):
    """What knows the tokens of the partitions that are held."""

    async def load(self, partition: int) -> Collection[TokenKnown]:
        """Read the last message of each token of a partition; raises `StoreUnavailableError`."""
        ...

    def forget(self, partition: int) -> None:
        """Know no more of a partition than is needed to store what is on its way."""
        ...


@dataclass(frozen=True, slots=True)
class Parties:
    """Those with whom a member has to do."""

    owner: Owner
    board: Board
    records: Records
