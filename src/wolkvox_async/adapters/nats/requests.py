"""JetStream's requests: JSON to a subject, JSON back, from whoever leads what is asked about.

Errors have numbers. Of those, these are answers that mean something to us; all others mean
that nothing is known of what was asked:

    10059           there is no such stream
    10037           there is no such message
    10071, 10164    the last message of the subject is another (10164: one is just being written)
    10077           the stream is full
    10002, 10023,   the broker or the account has no room, or is out of memory
    10028, 10047
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from wolkvox_async.errors import StoreUnavailableError, one_line

from .dialling import Connection
from .outbox import Outgoing
from .replies import Gathering, Reply

NO_STREAM: Final = 10059
NO_MESSAGE: Final = 10037
CONFLICTS: Final = frozenset({10071, 10164})
FULL: Final = frozenset({10077, 10002, 10023, 10028, 10047})

_NO_HEADERS: Final[Mapping[str, str]] = {}
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker said no, and why."""

    number: int
    status: int
    text: str

    @property
    def is_passing(self) -> bool:
        """Whether the same may be asked again in a moment."""
        return self.status >= 500

    def error(self) -> StoreUnavailableError:
        """Return it as an error of ours."""
        return StoreUnavailableError(f"the broker says: {self.text} ({self.number})")


async def ask(connection: Connection, request: str, body: Mapping[str, object]) -> dict[str, Any] | Refused:
    """Ask, and return the answer; raises `StoreUnavailableError` where there is none."""
    told = orjson.dumps(body) if body else b""
    return understood(await exchange(connection, Outgoing(f"$JS.API.{request}", "", _NO_HEADERS, told)))


async def exchange(connection: Connection, message: Outgoing) -> Reply:
    """Publish a message that is replied to once, and return the reply."""
    gathering = Gathering()
    with connection.replies.to(gathering) as subject:
        await connection.outbox.publish([message._replace(reply=subject)])
        return (await gathering.all())[0]


def understood(reply: Reply) -> dict[str, Any] | Refused:
    """Read a reply; raises `StoreUnavailableError` for what is none of JetStream's."""
    if reply.status == "503":
        raise StoreUnavailableError(
            "nothing answers for JetStream there: is it switched on (nats-server -js), and are most of its nodes up?"
        )
    try:
        answer: dict[str, Any] = orjson.loads(reply.data)
        said = answer.get("error")
        refused = None if said is None else Refused(said.get("err_code", 0), said["code"], _text(said))
    except (ValueError, TypeError, KeyError, AttributeError):
        failure = StoreUnavailableError("the broker gave an answer that is none of JetStream's")
    else:
        return answer if refused is None else refused
    raise failure


def _text(said: Mapping[str, Any]) -> str:
    return one_line(str(said.get("description", "no reason")))[:_LONGEST]
