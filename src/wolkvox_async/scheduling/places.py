"""Where every token stands, and who is woken when something comes free.

A token is in exactly one state: idle, waiting for its time, ready, parked, or in flight.
Ready tokens stand in one heap by (due time, sequence). One that comes up there and finds
its server or its lane short, its server down, or no retry left in its server's budget, is
parked there. It costs nothing until something of that comes free; then the one that was
ready first is woken, and stands in the heap where it stood before.

One is woken at a time, and passes it on: to the next when it starts and there is room
for more, to somebody else when it finds that it cannot start or goes away.
"""

from __future__ import annotations

from typing import Final

from wolkvox_async.model import AttemptOutcome, Token

from .circuits import sign
from .queues import Budget, Entry, Lane, ReadyHeap, SerialQueue, State
from .retry import ServerPolicy
from .servers import Calendar, Server, Servers


class Places:
    """All tokens and servers ever seen; `patience` in seconds."""

    def __init__(self, per_server: int, policy: ServerPolicy, patience: float) -> None:
        self.queues: Final[dict[Token, SerialQueue]] = {}
        self.servers: Final = Servers(lambda name: Server(name, per_server, policy, patience))
        self.down: Final[dict[str, Server]] = {}  # those whose circuit is open
        self.later: Final = ReadyHeap()  # WAITING queues
        self.census: Final = [0] * len(State)  # tokens by state
        self._ready: Final = ReadyHeap()  # READY queues
        self._probes: Final = Calendar(Server.probe_due)
        self._ends: Final = Calendar(Server.patience_ends)
        self._sequence = 0

    def queue(self, token: Token) -> SerialQueue:
        """Return the token's queue."""
        queue = self.queues.get(token)
        if queue is None:
            queue = self.queues[token] = SerialQueue()
            self.census[State.IDLE] += 1
        return queue

    # --- from state to state ----------------------------------------------------------

    def move(self, queue: SerialQueue, state: State) -> None:
        """Note that `queue` is in `state` now."""
        self.census[queue.state] -= 1
        self.census[state] += 1
        queue.state = state

    def place(self, queue: SerialQueue, now: float, *, since: float) -> None:
        """Find the place of a queue whose first call changed; it leaves any heap it stood in."""
        if queue.entries:
            self.arm(queue, now, since=since)
        else:
            queue.stamp = 0
            self.move(queue, State.IDLE)

    def arm(self, queue: SerialQueue, now: float, *, since: float) -> None:
        """Have the queue stand where its first call belongs; if that is ready, as ready `since` then."""
        self._sequence += 1
        queue.stamp = self._sequence
        queue.due = queue.head_due()
        if queue.due > now:
            self.move(queue, State.WAITING)
            self.later.push(queue)
        else:
            queue.due = since
            self._make_ready(queue)

    def ripen(self, now: float) -> None:
        """Make ready the queues whose time has come, and one for each probe that is due."""
        while (queue := self.later.peek()) is not None and queue.due <= now:
            self.later.pop()
            self._make_ready(queue)
        while (server := self._probes.due(now)) is not None:
            server.offered = True
            self.wake_server(server, now)

    def next_ready(self) -> SerialQueue | None:
        """Remove and return the first ready queue, or None."""
        return self._ready.pop()

    def admit(self, queue: SerialQueue, server: Server, now: float) -> bool:
        """Tell whether `queue` may start; if not, it is parked, and what it was woken for is passed on."""
        head = queue.entries[0]
        lane = head.lane.budget
        if not server.admits(now):
            self._park_until_it_admits(queue, server)
        elif lane.used >= lane.limit:
            self._park(queue, lane, lane.parked)
        elif head.trials.owes and not server.affords(head):
            self._park(queue, server, server.short)
            server.crowded = True
            self._ends.note(server)
        else:
            return True
        # It may have been woken for what is free: somebody else can use that.
        self.wake_server(server, now)
        self.wake(lane)
        return False

    def take_out(self, queue: SerialQueue, lane: Lane | None, now: float) -> list[Entry]:
        """Remove what is queued of `lane` (None: of any); what it was woken for is passed on."""
        first = queue.entries[:1]
        leaving = queue.take_out(lane)
        if leaving and leaving[0] in first:
            # A token that was ready stays so: it does not queue anew because a call of it went away.
            self.place(queue, now, since=min(queue.due, now))
            self.wake_server(self.servers[leaving[0].call.operation.server], now)
            if not leaving[0].lane.closed:
                self.wake(leaving[0].lane.budget)
        return leaving

    # --- what comes free ----------------------------------------------------------------

    def give_back(self, lane: Budget) -> None:
        """Take back one unit of a lane's room."""
        lane.used -= 1
        self.wake(lane)

    def wake(self, lane: Budget) -> None:
        """Wake the first queue that waits for room in a lane, if there is room."""
        if lane.used < lane.limit and (queue := lane.parked.pop()) is not None:
            self._make_ready(queue)

    def wake_server(self, server: Server, now: float) -> None:
        """Wake the first queue that waits for a server, if it admits anybody."""
        if server.crowded and server.admits(now) and (queue := server.next_parked()) is not None:
            self._make_ready(queue)

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
        """Return when a token's time comes, a probe is due or patience ends; None when nothing does."""
        queue = self.later.peek()
        times = (None if queue is None else queue.due, self._probes.first(), self._ends.first())
        return min((time for time in times if time is not None), default=None)

    # --- how ------------------------------------------------------------------------------

    def _make_ready(self, queue: SerialQueue) -> None:
        self.move(queue, State.READY)
        self._ready.push(queue)

    def _park(self, queue: SerialQueue, budget: Budget, heap: ReadyHeap) -> None:
        self.move(queue, State.PARKED)
        queue.parked_at = budget
        heap.push(queue)

    def _park_until_it_admits(self, queue: SerialQueue, server: Server) -> None:
        self._park(queue, server, server.parked)
        server.crowded = True
        if server.is_down:
            server.waits.push(queue, queue.head.added)
            self._ends.note(server)
            self._probes.note(server)

    def _open(self, server: Server) -> None:
        self.down[server.name] = server
        server.shut()
        self._probes.note(server)
        self._ends.note(server)
