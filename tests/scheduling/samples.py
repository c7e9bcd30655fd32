"""Made-up tokens, calls, lanes and outcomes."""

from __future__ import annotations

from typing import Final

from wolkvox_async.classify import error
from wolkvox_async.model import Call, Empty, ErrorKind, Failed, Ok, Operation, Skipped, Token
from wolkvox_async.scheduling.queues import Budget, Lane

OK: Final = Ok(rows=[{}], status=200, code=200, msg="")
MADE_UP: Final = "made up"  # what every failure of an attempt says here
EMPTY: Final = Empty(status=200, code=200, msg="")
NOT_DUE: Final = Skipped(error(ErrorKind.NOT_DUE, MADE_UP))

# What an attempt can end with; the others say why a call was not made.
ATTEMPT_KINDS: Final = tuple(
    kind
    for kind in ErrorKind
    if kind not in (ErrorKind.HELD, ErrorKind.NOT_DUE, ErrorKind.STOPPING, ErrorKind.SERVER_DOWN)
)
UNREACHABLE: Final = Failed(error(ErrorKind.CONNECT, MADE_UP))


def call(name: str, *, server: str = "0001") -> Call:
    """Build a call whose token is named by its letters: `A0`, `A1`, `B0`."""
    letters = name.rstrip("0123456789")
    token = Token(f"made-up-token-{letters}")
    return Call(name, Operation("acme", letters, server, token), "interactions", "billing", ())


def lane(room: int = 1_000_000) -> Lane:
    return Lane(Budget(room))


def failed(kind: ErrorKind, retry_after: float | None = None, *, status: int | None = None) -> Failed:
    return Failed(error(kind, MADE_UP), status, retry_after=retry_after)
