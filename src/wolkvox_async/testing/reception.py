"""Between the connections and the vendor: takes requests in, says what each gets, keeps the journal.

Nothing here waits or touches a socket; connections call in with the moment they act at.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from wolkvox_async.model import Token

from .answers import BUSY, NO_METHOD, NO_TOKEN, NOT_FOUND, REFUSED, Reply
from .faults import Fault, Script, Whole, fault_of_call
from .journal import Answered, Asked, Crashed, Disconnected, Dropped, Event, Gibberish, Overhasty
from .judge import Judge
from .latencies import Latency
from .population import SimulatedOperation
from .requests import Aim, Request, Target, read_target
from .vendor import Vendor

_KNOWN_TARGETS: Final = 4_096


@dataclass(slots=True)
class Visit:
    """Where a request came in: connection, server, and the moment (monotonic seconds)."""

    connection: int
    server: str
    at: float
    trap: bool = False


@dataclass(slots=True)
class Work:
    """A request that the vendor works on for `seconds` before it answers.

    `fixed` is the answer when it does not depend on when it is given.
    """

    number: int
    request: Request
    target: Target
    began: float
    seconds: float
    operation: SimulatedOperation | None = None
    fault: Fault | None = None
    fixed: Reply | None = None


class Reception:
    """What all connections of a simulator share.

    `scripts` says what is wrong with an operation, by its token id; `unix` tells Unix seconds.
    """

    def __init__(self, vendor: Vendor, judge: Judge, *, latency: Latency, chance: Random, unix: Callable[[], float]):
        self.vendor: Final = vendor
        self.judge: Final = judge
        self.scripts: Final[dict[str, Script]] = {}
        self.journal: list[Event] | None = None
        self._latency: Final = latency
        self._chance: Final = chance
        self._unix: Final = unix
        self._targets: Final[dict[str, Target]] = {}
        self._calls: Final[dict[str, int]] = {}
        self._requests = 0

    def admit(self, request: Request, target: Target, visit: Visit) -> Work:
        """Take a request in; the journal has it from here on."""
        self._requests += 1
        operation = self.vendor.owner(request.tokens[0]) if request.tokens else None
        asked = self._asked(request, target, visit, operation)
        busy = bool(asked.tokens) and self.judge.is_busy(asked.tokens[0], visit.at)
        self._note(asked)
        work = Work(asked.request, request, target, visit.at, 0.0 if busy else self._latency.draw(self._chance))
        work.fixed = _refusal(request, target, asked, busy=busy)
        if work.fixed is None and operation is not None:
            work.operation = operation
            work.fault = self._fault(operation.token.id)
        return work

    def _asked(self, request: Request, target: Target, visit: Visit, operation: SimulatedOperation | None) -> Asked:
        return Asked(
            visit.at,
            self._requests,
            visit.connection,
            visit.server,
            request.method,
            (operation.token.id,) if operation and len(request.tokens) == 1 else _ids(request.tokens),
            operation.server if operation else None,
            target.api,
            target.query,
            target.credential,
            request.has_body,
            visit.trap or target.aim is Aim.TRAP,
        )

    def _fault(self, token: str) -> Fault | None:
        script = self.scripts.get(token)
        if script is None:
            return None
        number = self._calls.get(token, 0)
        self._calls[token] = number + 1
        return fault_of_call(script, number)

    def reply(self, work: Work) -> Reply:
        """Return the answer to a call, as of now."""
        if work.fixed is not None:
            return work.fixed
        if work.operation is None:
            return REFUSED
        if work.fault is not None:
            return self.vendor.broken_reply(work.operation, work.target, self._unix(), work.fault)
        return self.vendor.reply(work.operation, work.target, self._unix())

    def break_token(self, token: str, script: Script) -> None:
        """Have the calls of the token with that id go wrong from now on; the first one is its next."""
        self.scripts[token] = script
        self._calls.pop(token, None)

    def target(self, text: str) -> Target:
        """Read a request target, or remember it."""
        found = self._targets.get(text)
        if found is None:
            if len(self._targets) >= _KNOWN_TARGETS:
                self._targets.clear()
            found = self._targets[text] = read_target(text)
        return found

    def answered(self, work: Work, reply: Reply, at: float) -> None:
        """Note that the last bytes of the answer are about to be written."""
        self._note(Answered(at, work.number, reply.status, reply.effect, reply.rows, reply.items))

    def left(self, work: Work, at: float) -> None:
        """Note that the client went away; the vendor goes on until it would have answered."""
        prompt = work.fault is None or isinstance(work.fault.wire, Whole)
        self._note(Dropped(at, work.number, work.began + work.seconds if prompt else _UNTIL_LIMIT))

    def dropped(self, work: Work, at: float) -> None:
        """Note that there will be no whole answer; the vendor goes on to its limit."""
        self._note(Dropped(at, work.number, _UNTIL_LIMIT))

    def overhasty(self, visit: Visit) -> None:
        """Note bytes that came before an answer was complete."""
        self._note(Overhasty(visit.at, visit.connection, visit.server))

    def gibberish(self, visit: Visit) -> None:
        """Note bytes that are no request."""
        self._note(Gibberish(visit.at, visit.connection, visit.server))

    def disconnected(self, connection: int, at: float) -> None:
        """Note that a connection is gone."""
        self._note(Disconnected(at, connection))

    def crashed(self, error: Exception, visit: Visit) -> None:
        """Note a mistake of the simulator's own."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        self._note(Crashed(visit.at, visit.server, f"{type(error).__name__} in {frame.name}, line {frame.lineno}"))

    def _note(self, event: Event) -> None:
        if self.journal is not None:
            self.journal.append(event)
        self.judge.see(event)


_UNTIL_LIMIT: Final = float("inf")


def _refusal(request: Request, target: Target, asked: Asked, *, busy: bool) -> Reply | None:
    if target.aim is not Aim.API:
        return NOT_FOUND
    if request.method != "GET":
        return NO_METHOD
    if len(request.tokens) != 1:
        return NO_TOKEN
    if busy:
        return BUSY
    # A token of another server is as good as none here.
    return None if asked.home in (None, asked.server) else REFUSED


def _ids(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_id(text) for text in texts)


def _id(text: str) -> str:
    try:
        return Token(text).id
    except ValueError:
        return "tk_" + hashlib.sha256(text.encode()).hexdigest()[:12]
