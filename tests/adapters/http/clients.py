"""How the tests of transports ask, and what they call the ends of an attempt."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from tests.faultserver import HOST, FaultServer
from wolkvox_async.adapters.http import HttpSettings
from wolkvox_async.catalog import BILLING
from wolkvox_async.classify import classify
from wolkvox_async.model import Answer, Breakdown, Call, Empty, Failed, Ok, Operation, Token
from wolkvox_async.planning import call
from wolkvox_async.ports import Transport, Turn

NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
INTERACTIONS: Final = next(endpoint for endpoint in BILLING if endpoint.name == "interactions")
BODY: Final = b'{"code":200,"error":null,"msg":"found","data":[{"operation":"ACME","items":"12"}]}'

Met: TypeAlias = Answer | Breakdown
TransportFactory: TypeAlias = Callable[[HttpSettings], Transport]


def answer(body: bytes = BODY, *lines: str, status: str = "200 OK", length: object = None) -> bytes:
    """Build an answer with further header lines; `length` replaces the true one."""
    told = len(body) if length is None else length
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {told}", *lines, "", ""))
    return head.encode("latin-1") + body


def headed(*lines: str, status: str = "200 OK") -> bytes:
    """Build a head of nothing but these lines."""
    return "\r\n".join((f"HTTP/1.1 {status}", *lines, "", "")).encode("latin-1")


def chunked(*pieces: bytes) -> bytes:
    """Build a body of these chunks and the last one."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


CHUNKED: Final = headed("Transfer-Encoding: chunked")
OK: Final = answer()


def ending(met: Met) -> str:
    """Name how the attempt ended once it is classified: `ok`, `empty` or the kind of its error."""
    match classify(met, now=NOW):
        case Ok():
            return "ok"
        case Empty():
            return "empty"
        case Failed(error=error):
            return error.kind.value


class Client:
    """Makes transports for one test, and calls of one token; the fixture closes the transports."""

    def __init__(self, factory: TransportFactory, token: Token) -> None:
        self._factory = factory
        self._token = token
        self.opened: list[Transport] = []

    def operation(self, server: object = "0001", token: Token | None = None) -> Operation:
        return Operation("acme", "bogota", str(server), token or self._token)

    def question(self, server: object = "0001", token: Token | None = None) -> Call:
        return call(self.operation(server, token), INTERACTIONS, run="01K" + "0" * 23)

    def transport(self, server: FaultServer | None = None, *, scheme: str = "http", **settings: Any) -> Transport:
        """Open a transport to `server`, or to where `settings` say."""
        if server is not None:
            settings.setdefault("base_url", f"{scheme}://{HOST}:{server.port}")
        made = self._factory(HttpSettings(**settings))
        self.opened.append(made)
        return made

    def turn(self, server: FaultServer | None = None, **settings: Any) -> AbstractAsyncContextManager[Turn]:
        """Open a turn in a transport of its own."""
        return self.transport(server, **settings).turn(self.operation())

    async def ask(self, server: FaultServer | None = None, **settings: Any) -> Met:
        """Make one attempt, in a turn and a transport of its own."""
        (met,) = await self.ask_often(1, server, **settings)
        return met

    async def ask_often(self, times: int, server: FaultServer | None = None, **settings: Any) -> list[Met]:
        """Make several attempts in one turn."""
        async with self.turn(server, **settings) as turn:
            return [await turn.attempt(self.question()) for _ in range(times)]


async def asked(client: Client, turn: Turn) -> Met:
    """Make one attempt in a turn that is open."""
    return await turn.attempt(client.question())
