"""A server as the scheduler sees it: slots, a circuit, and a budget of retries.

Tokens that cannot have a slot of it are parked here: behind the slots or the open circuit
in `parked`, behind the empty budget of retries (see allowance) in `short`. While the
circuit is open nobody is in `short` (a probe draws on no budget), and `_waits` orders
those in `parked` by when their first call was added, which is the order in which patience
with the server ends.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

from .allowance import Allowance
from .circuits import Circuit
from .queues import Budget, Line, SerialQueue, State
from .retry import ServerPolicy

_FIRST_SWEEP: Final = 64


class Server(Budget):
    """One server; times in monotonic seconds, `patience` in seconds."""

    __slots__ = (
        "_waits",
        "circuit",
        "crowded",
        "name",
        "offered",
        "patience",
        "probing",
        "retries",
        "short",
    )

    def __init__(self, name: str, limit: int, policy: ServerPolicy, patience: float) -> None:
        super().__init__(limit)
        self.name: Final = name
        self.patience: Final = patience
        self.circuit: Final = Circuit(policy)
        self.probing: SerialQueue | None = None  # whose attempt is the probe
        self.offered = False  # somebody was woken for the probe that is due
        self.retries: Final = Allowance(policy, limit)
        self.crowded = False  # somebody may be parked here: nobody is when this is false
        self.short: Final = Line(State.PARKED)
        self._waits: list[tuple[float, int, SerialQueue]] = []  # who was parked since it is down; some left already

    # --- who may start ----------------------------------------------------------------

    @property
    def is_down(self) -> bool:
        """Whether the circuit is open."""
        return self.circuit.opened_at is not None

    def admits(self, now: float) -> bool:
        """Tell whether one more attempt, or the probe, may start."""
        if self.used >= self.limit:
            return False
        circuit = self.circuit
        return circuit.opened_at is None or (self.probing is None and now >= circuit.probe_at)

    def affords(self, queue: SerialQueue, now: float) -> bool:
        """Tell whether the budget of retries allows the queue's first call; it allows every probe."""
        return not queue.owes or self.is_down or now >= self.retries.next_at

    def start_probe(self, queue: SerialQueue) -> None:
        """Let the attempt of `queue` that is about to start be the probe."""
        self.probing, self.offered = queue, True

    def goes_on_with(self, queue: SerialQueue, now: float) -> bool:
        """Tell whether a turn may go on, as far as the limit, the circuit and the retries are concerned."""
        if self.used > self.limit:
            return False
        if self.circuit.opened_at is not None and self.probing is not queue:
            return False
        return queue.past is None or self.affords(queue, now)

    def next_parked(self, now: float) -> SerialQueue | None:
        """Remove and return the queue that was ready first among those that could start, or None."""
        line = self._earlier_line(now) if self.short.count else self.parked
        queue = line.pop()
        self.crowded = self.parked.count > 0 or self.short.count > 0
        return queue

    def _earlier_line(self, now: float) -> Line:
        """Return the line whose first queue was ready first, of those that could start."""
        first, other = self.parked.first(), self.short.first()
        if other is None or now < self.retries.next_at:
            return self.parked
        return self.parked if first is not None and (first.due, first.stamp) < (other.due, other.stamp) else self.short

    # --- while its retries are used up --------------------------------------------------

    def park_short(self, queue: SerialQueue) -> None:
        """Have `queue` wait for a retry."""
        self.short.push(queue)
        self.crowded = True

    def retry_due(self) -> float | None:
        """Return when a retry is allowed; None when nobody waits for it, or could not start for want of a slot."""
        return None if not self.short.count or self.used >= self.limit else self.retries.next_at

    def last_retry_at(self) -> float:
        """Return when the last of those who wait for a retry has had one, if only time brings them."""
        return self.retries.next_at + (self.short.count - 1) * self.retries.each

    # --- while it is down -------------------------------------------------------------

    def shut(self) -> None:
        """Have everybody wait for the circuit, which has opened."""
        while (queue := self.short.pop()) is not None:
            self.parked.push(queue)
        self._order_waits()

    def reopen(self) -> None:
        """Have nobody wait for the circuit, which has closed."""
        self._waits = []
        self.probing, self.offered = None, False

    def park_while_down(self, queue: SerialQueue, now: float) -> None:
        """Note that `queue`, which was parked here, waits for the circuit."""
        if now >= self.circuit.probe_at:
            self.offered = True  # to this one, which has no slot: who has one next is the probe
        heappush(self._waits, (queue.added, queue.stamp, queue))
        if len(self._waits) > 2 * self.parked.count + _FIRST_SWEEP:
            self._order_waits()

    def _order_waits(self) -> None:
        self._waits = [(queue.added, queue.stamp, queue) for queue in self.parked]
        heapify(self._waits)

    # --- when something is due here ---------------------------------------------------

    def probe_due(self) -> float | None:
        """Return when a probe is to go out; None when none is, or nobody waits to be it."""
        nobody = self.probing is not None or self.offered or not self.parked.count
        return None if nobody or not self.is_down else self.circuit.probe_at

    def patience_ends(self) -> float | None:
        """Return when patience ends first for a queue that is parked here; None when nobody's does."""
        queue = self.out_of_patience_first()
        if queue is None:
            return None
        opened_at = self.circuit.opened_at
        return self.patience + (queue.since if opened_at is None else max(opened_at, queue.added))

    def out_of_patience_first(self) -> SerialQueue | None:
        """Return the queue whose patience ends first; None when no queue waits for the circuit or retries."""
        if not self.is_down:
            return self.short.first()
        while self._waits:
            _, stamp, queue = self._waits[0]
            if queue.line is self.parked and queue.stamp == stamp:
                return queue
            heappop(self._waits)
        return None


class Servers(dict[str, Server]):
    """Servers by name, each made when it is first asked for."""

    def __init__(self, make: Callable[[str], Server]) -> None:
        super().__init__()
        self._make: Final = make

    def __missing__(self, name: str) -> Server:
        server = self[name] = self._make(name)
        return server


class Calendar:
    """Servers by when something is due at them, which `when` says; None means: nothing.

    When it comes to be due earlier somebody has to `note` it; that it is due later, or not
    at all, is found out in time.
    """

    __slots__ = ("_heap", "_listed", "_sequence", "_when")

    def __init__(self, when: Callable[[Server], float | None]) -> None:
        self._when: Final = when
        self._heap: Final[list[tuple[float, int, Server]]] = []
        self._listed: Final[dict[Server, float]] = {}  # the only entry of a server that counts
        self._sequence = 0

    def note(self, server: Server) -> None:
        """Take in that something may be due earlier at `server`."""
        at = self._when(server)
        if at is None or self._listed.get(server, inf) <= at:
            return
        self._sequence += 1
        self._listed[server] = at
        heappush(self._heap, (at, self._sequence, server))

    def first(self) -> float | None:
        """Return when something is due first; None when nothing is."""
        while self._heap:
            at, _, server = self._heap[0]
            if self._listed.get(server) == at:
                if self._when(server) == at:
                    return at
                del self._listed[server]
            heappop(self._heap)
            self.note(server)
        return None

    def take_due(self, now: float) -> list[Server]:
        """Remove and return the servers at which something is due by `now`; they are to be noted anew."""
        found = []
        while (server := self.due(now)) is not None:
            del self._listed[server]
            heappop(self._heap)
            found.append(server)
        return found

    def due(self, now: float) -> Server | None:
        """Return the server at which something is due first, when that is so by `now`."""
        first = self.first()
        return self._heap[0][2] if first is not None and first <= now else None
