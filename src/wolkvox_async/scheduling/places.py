"""Where every token stands, and who is woken when something comes free.

A token is in exactly one state: idle, waiting for its time, ready, parked, or in flight.
Ready tokens stand in one line by (due time, stamp). One that comes up there and finds
its server or its lane short, its server down, or no retry left in its server's budget, is
parked there. It costs nothing until something of that comes free (a retry does so with
time, too); then the one that was ready first is woken, and stands in the line where it
stood before.

One is woken at a time, and passes it on: to the next when it starts and there is room
for more, to somebody else when it finds that it cannot start or goes away.

A token that has no calls has no queue. What is kept of it is that it was here, and its
past while it is closed: an entry of one dictionary, about 50 bytes.
"""

from __future__ import annotations

from typing import Final

from wolkvox_async.model import AttemptOutcome, GapReason, Token

from .circuits import sign
from .missing import waited_after
from .queues import LATER, Budget, Entry, Lane, Line, Past, SerialQueue, State, outlived
from .retry import ServerPolicy
from .servers import Calendar, Server, Servers


class Places:
    """All tokens and servers ever seen; `patience` in seconds."""

    def __init__(self, per_server: int, policy: ServerPolicy, patience: float) -> None:
        self.tokens: Final[dict[Token, SerialQueue | Past | None]] = {}  # None, or a past: it has no calls
        self.servers: Final = Servers(lambda name: Server(name, per_server, policy, patience))
        self.down: Final[dict[str, Server]] = {}  # those whose circuit is open
        self.short: Final[dict[str, Server]] = {}  # those where tokens wait for a retry, or did a moment ago
        self.busy = 0  # tokens that have calls
        self.ready: Final = Line(State.READY)
        self.later: Final = Line(State.WAITING)
        self._probes: Final = Calendar(Server.probe_due)
        self._ends: Final = Calendar(Server.patience_ends)
        self._retries: Final = Calendar(self._retry_due)
        self._looked_at = 0.0  # for every retry that was allowed by then somebody was woken
        self._stamp = 0

    def queue(self, token: Token) -> SerialQueue | None:
        """Return the token's queue; None when it has no calls."""
        found = self.tokens.get(token)
        return found if isinstance(found, SerialQueue) else None

    def queues(self) -> list[SerialQueue]:
        """Return the queues of all tokens that have calls."""
        return [found for found in self.tokens.values() if isinstance(found, SerialQueue)]

    def past(self, token: Token) -> Past:
        """Return what happened to the token, to be written to; it is known from now on."""
        found = self.tokens.get(token)
        if isinstance(found, SerialQueue):
            return found.history()
        if found is None:
            found = self.tokens[token] = Past()
        return found

    def census(self, flying: int) -> dict[State, int]:
        """Return how many tokens are in each state when so many are in flight."""
        ready, waiting = self.ready.count, self.later.count
        return {
            State.IDLE: len(self.tokens) - self.busy,
            State.WAITING: waiting,
            State.READY: ready,
            State.PARKED: self.busy - waiting - ready - flying,
            State.IN_FLIGHT: flying,
        }

    # --- from place to place ------------------------------------------------------------

    def enter(self, queue: SerialQueue, now: float) -> None:
        """Have a token that had no calls stand where its first call belongs."""
        self.tokens[queue.call.operation.token] = queue
        self.busy += 1
        self.arm(queue, now, since=now)

    def leave(self, queue: SerialQueue, now: float) -> None:
        """Forget a queue that has no calls any more, but not that its token is closed."""
        past = queue.past
        self.tokens[queue.call.operation.token] = None if past is None else outlived(past, None, now)
        self.busy -= 1

    def arm(self, queue: SerialQueue, now: float, *, since: float) -> None:
        """Have the queue stand where its first call belongs; if that is ready, as ready `since` then."""
        self._stamp += 1
        queue.stamp = self._stamp
        if queue.past is not None and (due := queue.past.due) > now:
            queue.due = due
            self.later.push(queue)
        else:
            queue.due = since + LATER if queue.lane.yields else since
            self.ready.push(queue)

    def lose_first(self, queue: SerialQueue, rest: list[Entry], now: float) -> None:
        """Have `rest` be what is left of a queue that stands in a line and has lost its first call.

        A token that was ready stays so: it does not queue anew because a call of it went away.
        """
        if queue.line is None:
            raise AssertionError("what is in flight is not lost")
        queue.line.leave(queue)
        if not rest:
            self.leave(queue, now)
            return
        (call, lane, added, past), *others = rest
        heir = SerialQueue(call, lane, added, outlived(queue.past, past, now))
        for entry in others:
            heir.append(entry)
        self.tokens[queue.token] = heir
        self.arm(heir, now, since=min(queue.since, now))

    def put_before_yielding(self, queue: SerialQueue, entry: Entry, now: float) -> None:
        """Have a call go before those of its token that yield, but for the one in flight."""
        if queue.line is not None and queue.lane.yields:
            self.put_first(queue, entry, now)
        else:
            queue.insert(entry, behind=queue.before_yielding())

    def put_first(self, queue: SerialQueue, entry: Entry, now: float) -> None:
        """Have a call go before the others of its token, but for the one in flight."""
        if queue.line is None:
            queue.insert(entry)
            return
        call, lane, added, past = entry
        queue.line.leave(queue)
        heir = SerialQueue(call, lane, added, outlived(queue.past, past, now))
        for other in queue.entries():
            heir.append(other)
        self.tokens[queue.token] = heir
        self.arm(heir, now, since=min(queue.since, now))

    def take_call(self, queue: SerialQueue, call: str, now: float) -> Entry | None:
        """Remove the call of that id, unless it is in flight; what the token was woken for is passed on."""
        if queue.call.id != call:
            return queue.take_from_rest(call)
        if queue.line is None:
            return None
        first, *rest = queue.entries()
        self.lose_first(queue, rest, now)
        self._pass_on(queue, now)
        return first

    def _pass_on(self, queue: SerialQueue, now: float) -> None:
        """Wake others for what `queue` may have been woken for."""
        self.wake_server(self.servers[queue.call.operation.server], now)
        if not queue.lane.closed:
            self.wake(queue.lane.budget)

    def why_unsent(self, queue: SerialQueue) -> GapReason:
        """Return what keeps back a call of `queue` that was never sent."""
        past = queue.past
        if past is not None and past.closed_by is not None:
            return GapReason.QUOTA if past.short_of_quota else GapReason.HELD
        if past is not None and past.trials.busy_since is not None:
            return GapReason.BUSY
        if self.servers[queue.call.operation.server].is_down and queue.state is not State.IN_FLIGHT:
            return GapReason.DOWN
        if queue.line is queue.lane.budget.parked:
            return GapReason.SINK
        if queue.state is State.WAITING and past is not None:
            return waited_after(past.trials.failure)
        return GapReason.OVERRUN if queue.state is State.IN_FLIGHT else GapReason.INFEASIBLE

    def ripen(self, now: float) -> None:
        """Make ready the queues whose time has come, and one for each probe and each server's retry that is due."""
        later = self.later
        while later.count and (queue := later.first()) is not None and queue.due <= now:
            later.pop()
            if queue.lane.yields:
                queue.due += LATER
            self.ready.push(queue)
        while self.down and (server := self._probes.due(now)) is not None:
            server.offered = True
            self.wake_server(server, now)
        if self.short:
            due, self._looked_at = self._retries.take_due(now), now
            for server in due:
                self.wake_server(server, now)

    def admit(self, queue: SerialQueue, server: Server, now: float) -> bool:
        """Tell whether `queue` may start; if not, it is parked, and what it was woken for is passed on."""
        lane = queue.lane.budget
        if server.used >= server.limit or not server.admits(now):
            self._park_until_it_admits(queue, server, now)
        elif lane.used >= lane.limit:
            lane.parked.push(queue)
        elif queue.past is not None and not server.affords(queue, now):
            self._park_until_it_may_retry(queue, server, now)
        else:
            return True
        # It may have been woken for what is free: somebody else can use that.
        self.wake_server(server, now)
        if lane.parked.count:
            self.wake(lane)
        return False

    def take_out(self, queue: SerialQueue, lane: Lane | None, now: float) -> list[Entry]:
        """Remove what is queued of `lane` (None: of any); what it was woken for is passed on."""
        if queue.line is None or (lane is not None and queue.lane is not lane):
            return queue.take_rest(lane)
        leaving = queue.take_rest(lane)
        first, *rest = queue.entries()
        self.lose_first(queue, rest, now)
        self._pass_on(queue, now)
        return [first, *leaving]

    @property
    def has_urgent(self) -> bool:
        """Whether a token is ready whose first call does not yield."""
        first = self.ready.first()
        return first is not None and first.due < LATER

    def is_waited_for(self, server: Server) -> bool:
        """Tell whether a token whose first call does not yield waits for a slot, in all or at `server`."""
        first = server.parked.first()
        return self.has_urgent or (first is not None and first.due < LATER)

    # --- what comes free ----------------------------------------------------------------

    def give_back(self, lane: Budget) -> None:
        """Take back one unit of a lane's room."""
        lane.used -= 1
        if lane.parked.count:
            self.wake(lane)

    def wake(self, lane: Budget) -> None:
        """Wake the first queue that waits for room in a lane, if there is room."""
        if lane.used < lane.limit and (queue := lane.parked.pop()) is not None:
            self.ready.push(queue)

    def wake_server(self, server: Server, now: float) -> None:
        """Wake the first queue that waits for a server, if it admits anybody."""
        if server.crowded and server.used < server.limit and server.admits(now):
            if (queue := server.next_parked(now)) is not None:
                self.ready.push(queue)
            if server.name in self.short:
                self._mind_retries(server)

    def resize(self, server: Server, limit: int) -> None:
        """Give a server another limit; who is woken for it finds out in `admit` whether it may start."""
        server.resize(limit)
        if server.crowded and server.free and (queue := server.next_parked(self._looked_at)) is not None:
            self.ready.push(queue)
        if server.name in self.short:
            self._mind_retries(server)

    # --- servers that are down ------------------------------------------------------------

    def hear(self, server: Server, queue: SerialQueue, outcome: AttemptOutcome, now: float, *, jitter: float) -> None:
        """Take in what an attempt of `queue` says about its server."""
        probe, was_down = server.probing is queue, server.is_down
        server.circuit.take_in(sign(outcome), probe=probe, now=now, jitter=jitter)
        if probe:
            server.probing, server.offered = None, False
        if server.is_down and not was_down:
            self._open(server)
        elif was_down and not server.is_down:
            # Those who waited are woken as the turn of the attempt goes on, or ends.
            del self.down[server.name]
            server.reopen()
        elif probe:
            self._probes.note(server)

    def out_of_patience(self, now: float) -> tuple[Server, SerialQueue] | None:
        """Return a queue whose first call has waited long enough for its server or a retry, and that server."""
        server = self._ends.due(now)
        queue = None if server is None else server.out_of_patience_first()
        return None if server is None or queue is None else (server, queue)

    def next_due(self) -> float | None:
        """Return when a token's time comes, a probe or a retry is due or patience ends; None when nothing does."""
        queue = self.later.first()
        due = None if queue is None else queue.due
        times = (due, self._probes.first(), self._retries.first(), self._ends.first())
        return min((time for time in times if time is not None), default=None)

    # --- how ------------------------------------------------------------------------------

    def _park_until_it_admits(self, queue: SerialQueue, server: Server, now: float) -> None:
        server.parked.push(queue)
        server.crowded = True
        if server.is_down:
            server.park_while_down(queue, now)
            self._ends.note(server)
            self._probes.note(server)

    def _park_until_it_may_retry(self, queue: SerialQueue, server: Server, now: float) -> None:
        server.park_short(queue)
        self.short[server.name] = server
        self._looked_at = now
        self._ends.note(server)

    def _mind_retries(self, server: Server) -> None:
        """Keep in mind when the next retry is due at a server where somebody waits, or did, for one."""
        if server.short.count:
            self._retries.note(server)
        else:
            del self.short[server.name]

    def _retry_due(self, server: Server) -> float | None:
        at = server.retry_due()
        return None if at is None or at <= self._looked_at else at

    def _open(self, server: Server) -> None:
        self.down[server.name] = server
        server.shut()
        self.short.pop(server.name, None)
        self._probes.note(server)
        self._ends.note(server)
