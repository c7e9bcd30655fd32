"""The simulated vendor without sockets, in virtual time: a transport that is judged as any client.

    vendor = InProcess(Profile(operations=100), VirtualClock(begin))
    tenants = load_tenants(vendor.tenants_document())
    parts = Parts(transport=vendor, clock=vendor.clock, environment=vendor.environment())
    async with open_engine(tenants, parts=parts) as engine:
        ...
    assert vendor.verdict().ok, vendor.verdict()

Vendor, figures, latencies, faults and judge are those of the `Simulator`; its servers are
called `0001`, `0002`, ... Faults that are about bytes (codings, framings, bombs) need a
socket, and are refused.

What the vendor does happens by the world's time, while the client's machine stands still as
well; what the client waits for, by the machine's. Once closed it may be used again, by the
next engine; `cut` is what happens when the process of a client is killed.
"""

from __future__ import annotations

import asyncio
import itertools
from random import Random
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from urllib.parse import urlencode

from wolkvox_async.model import Answer, Breakdown, Call, ErrorKind, Operation, Params

from .answers import Reply
from .faults import WHOLE, Cut, Ending, Fault, Script, Whole
from .journal import Event
from .judge import Judge
from .moods import Moods, Trouble, Unreachable, playable
from .population import SimulatedOperation, populate
from .profile import Profile
from .reception import Reception, Visit, Work
from .requests import Request, Target
from .tenants_file import environment, tenants_document
from .vendor import Vendor
from .verdict import Verdict
from .virtual_clock import Happening, VirtualClock

Met: TypeAlias = Answer | Breakdown

TIMEOUT: Final = 65.0
"""Seconds after which a client gives an attempt up, unless told otherwise."""

_MOST_REQUESTS: Final = 65_536
_MINUTE: Final = 60


class Question:
    """A request that the vendor works on; `met` is what becomes of it."""

    __slots__ = ("met", "sent_at", "timer", "turn", "work")

    def __init__(self, turn: InProcessTurn, work: Work, sent_at: float, met: asyncio.Future[Met]) -> None:
        self.turn: Final = turn
        self.work: Final = work
        self.sent_at: Final = sent_at
        self.met: Final = met
        self.timer: Happening | asyncio.TimerHandle | None = None


class _ByTheMinute(Vendor):
    """A vendor that counts once a minute: to work out how far a month has come takes longer than all the rest."""

    def reply(self, operation: SimulatedOperation, target: Target, unix: float) -> Reply:
        """Answer a call as of the last full minute."""
        return super().reply(operation, target, unix // _MINUTE * _MINUTE)


class InProcess:
    """Fulfils `ports.Transport`; `timeout` in seconds."""

    def __init__(self, profile: Profile, clock: VirtualClock, *, timeout: float = TIMEOUT) -> None:
        names = [f"{number:04}" for number in range(1, profile.servers + 1)]
        self.profile: Final = profile
        self.clock: Final = clock
        self.operations: Final = tuple(
            populate(seed=profile.seed, operations=profile.operations, tenants=profile.tenant_count, servers=names)
        )
        self._by_path: Final = {operation.path: operation for operation in self.operations}
        self._timeout: Final = timeout
        self._judge: Final = Judge(profile.rules())
        self._journal: Final[list[Event]] = []
        self._reception: Final = self._open_reception()
        self._moods: Final = Moods()
        self._connections: Final = itertools.count(1)
        self._requests: Final[dict[tuple[str, str, Params], tuple[Request, Target]]] = {}
        self._connected: Final[dict[InProcessTurn, None]] = {}
        for path, script in profile.faults.items():
            self.break_token(path, script)

    def _open_reception(self) -> Reception:
        profile = self.profile
        vendor = _ByTheMinute(self.operations, apis=profile.apis, rows=profile.rows, reports=profile.reports)
        chance = Random(profile.seed)  # noqa: S311 - no security hangs on it
        reception = Reception(vendor, self._judge, latency=profile.latency, chance=chance, unix=self.clock.unix)
        reception.journal = self._journal if profile.journal else None
        return reception

    def tenants_document(self) -> dict[str, Any]:
        """Return a tenants file whose tokens are references to `environment`."""
        return tenants_document(self.operations, self.profile.apis, self.profile.reports)

    def environment(self) -> dict[str, str]:
        """Return the variables that the tenants document refers to, with the made-up tokens."""
        return environment(self.operations)

    # --- the transport

    def turn(self, operation: Operation) -> InProcessTurn:
        """Open a turn."""
        return InProcessTurn(self, operation)

    async def close(self) -> None:
        """Close every connection."""
        self.cut()

    def cut(self) -> None:
        """Have every connection gone at once; whoever still waits for an answer hears of that."""
        for turn in tuple(self._connected):
            turn.lose()

    # --- what goes wrong

    def break_token(self, path: str, script: Script) -> None:
        """Have an operation's calls go wrong from now on: a fault for all of them, or a script (empty: none).

        Raises `KeyError` when there is no such operation, `ValueError` for faults that need a socket.
        """
        for fault in (script,) if isinstance(script, Fault) else script:
            playable(fault)
        self._reception.break_token(self._find(path).token.id, script)

    def break_server(self, server: str, trouble: Trouble | None) -> None:
        """Have a server in trouble from now on, or (None) out of it; raises `ValueError` as `break_token` does."""
        self._moods.set(server, trouble)
        if isinstance(trouble, Unreachable):
            for turn in [turn for turn in self._connected if turn.operation.server == server]:
                turn.lose(by_vendor=True)

    def limit(self, path: str, calls: int | None) -> None:
        """Let an operation have so many calls a day (None: any number); others hear that its quota is used up."""
        self._moods.limit(self._find(path).token.id, calls)

    def forgive_refusals(self) -> None:
        """Forget which tokens were refused: the client begins a new run."""
        self._judge.forgive_refusals()

    def _find(self, path: str) -> SimulatedOperation:
        return self._by_path[path]

    # --- what came of it

    def verdict(self) -> Verdict:
        """Return what the client broke so far, and the facts."""
        return self._judge.verdict()

    @property
    def journal(self) -> tuple[Event, ...]:
        """Every event so far, when the profile asks for a journal; its times are those of `clock.elapsed`."""
        return tuple(self._journal)

    # --- for turns

    def connect(self, turn: InProcessTurn) -> int | Unreachable:
        """Return the number of a new connection, or why there is none."""
        unreachable = self._moods.unreachable(turn.operation.server)
        if unreachable is not None:
            return unreachable
        self._connected[turn] = None
        return next(self._connections)

    def disconnect(self, turn: InProcessTurn, connection: int) -> None:
        """Note that a connection is gone."""
        del self._connected[turn]
        self._reception.disconnected(connection, self.clock.elapsed())

    def ask(self, turn: InProcessTurn, connection: int, call: Call) -> Question:
        """Send a request; what it meets is set in time."""
        clock, operation = self.clock, call.operation
        request, target = self._request(call)
        work = self._reception.admit(request, target, Visit(connection, operation.server, clock.elapsed()))
        if work.fault is None and work.fixed is None and work.operation is not None:
            work.fault = self._moods.fault(operation.server, operation.token.id, clock.unix())
        question = Question(turn, work, clock.now(), clock.loop.create_future())
        wire = WHOLE if work.fault is None else work.fault.wire
        if isinstance(wire, Whole | Cut) and work.seconds < self._timeout:
            question.timer = clock.after(work.seconds, lambda: self._answer(question))
        else:
            question.timer = clock.loop.call_later(self._timeout, self._expire, question)
        return question

    def give_up(self, question: Question, *, by_vendor: bool = False) -> None:
        """Note that a request gets no answer: its client went away, or (`by_vendor`) the connection broke."""
        if question.timer is None:
            return
        question.timer.cancel()
        question.timer = None
        note = self._reception.dropped if by_vendor else self._reception.left
        note(question.work, self.clock.elapsed())

    def _answer(self, question: Question) -> None:
        work, turn = question.work, question.turn
        reply = self._reception.reply(work)
        if isinstance(reply.wire, Cut):
            turn.lose(by_vendor=True)
            return
        question.timer = None
        self._reception.answered(work, reply, self.clock.elapsed())
        if not question.met.done():
            question.met.set_result(turn.read(reply, question.sent_at))
        if isinstance(reply.wire, Whole) and reply.wire.ending is not Ending.KEEP:
            turn.lose()

    def _expire(self, question: Question) -> None:
        message = f"no answer within {self._timeout:g} s"
        if not question.met.done():
            question.met.set_result(Breakdown(ErrorKind.TIMEOUT, message, question.sent_at))
        question.turn.lose()

    def _request(self, call: Call) -> tuple[Request, Target]:
        key = (call.operation.token.id, call.file, call.query)
        found = self._requests.get(key)
        if found is None:
            address = f"/api/v2/{call.file}.php?{urlencode(call.query)}"
            request = Request("GET", address, (call.operation.token.reveal(),))
            found = (request, self._reception.target(address))
            if len(self._requests) >= _MOST_REQUESTS:
                self._requests.clear()
            self._requests[key] = found
        return found


class InProcessTurn:
    """A turn of an `InProcess`."""

    __slots__ = ("_answers", "_connection", "_question", "_vendor", "operation")

    def __init__(self, vendor: InProcess, operation: Operation) -> None:
        self.operation: Final = operation
        self._vendor: Final = vendor
        self._connection: int | None = None
        self._answers = 0  # on this connection
        self._question: Question | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lose()

    def distrust(self) -> None:
        """Close the connection."""
        self.lose()

    async def attempt(self, call: Call) -> Met:
        """Make one attempt."""
        if self._connection is None:
            connected = self._vendor.connect(self)
            if isinstance(connected, Unreachable):
                await asyncio.sleep(connected.seconds)
                return Breakdown(ErrorKind.CONNECT, "connection refused: the server is down, as a test has it", None)
            self._connection, self._answers = connected, 0
        self._question = question = self._vendor.ask(self, self._connection, call)
        try:
            return await question.met
        except asyncio.CancelledError:
            self.lose()
            raise
        finally:
            self._question = None

    def read(self, reply: Reply, sent_at: float) -> Answer:
        """Return an answer as it is read."""
        kept, self._answers = self._answers > 0, self._answers + 1
        body = self.operation.token.redact(reply.body)
        if not reply.headers:
            return Answer(reply.status, body, None, None, kept, sent_at)
        headers = {name.lower(): value for name, value in reply.headers}
        return Answer(reply.status, body, headers.get("retry-after"), headers.get("location"), kept, sent_at)

    def lose(self, *, by_vendor: bool = False) -> None:
        """Have the connection gone, if there is one, with the request on it."""
        if self._connection is None:
            return
        question = self._question
        if question is not None:
            self._vendor.give_up(question, by_vendor=by_vendor)
            if not question.met.done():
                message = "the connection was closed before it answered: the server, or something on the way, gave up"
                question.met.set_result(Breakdown(ErrorKind.DISCONNECTED, message, question.sent_at))
        self._vendor.disconnect(self, self._connection)
        self._connection = None
