"""A server as the scheduler sees it: slots, a circuit, and a budget of retries.

Tokens that cannot have a slot of it are parked here: behind the slots or the open circuit
in `parked`, behind the empty retry budget in `short`. While the circuit is open nobody is
in `short` (a probe draws on no budget), and `waits` orders those in `parked` by when
their first call was added, which is the order in which patience with the server ends.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import Final

from .circuits import Circuit
from .queues import Budget, Entry, ReadyHeap, SerialQueue, State
from .retry import ServerPolicy


class Server(Budget):
    """One server; times in monotonic seconds, `patience` in seconds."""

    __slots__ = (
        "circuit",
        "crowded",
        "first_attempts",
        "name",
        "offered",
        "patience",
        "probing",
        "retries",
        "short",
        "waits",
    )

    def __init__(self, name: str, limit: int, policy: ServerPolicy, patience: float) -> None:
        super().__init__(limit)
        self.name: Final = name
        self.patience: Final = patience
        self.circuit: Final = Circuit(policy)
        self.probing: SerialQueue | None = None  # whose attempt is the probe
        self.offered = False  # somebody was woken for the probe that is due
        self.first_attempts = 0
        self.retries = 0  # that drew on the budget
        self.crowded = False  # somebody may be parked here: nobody is when this is false
        self.short: Final = ReadyHeap()
        self.waits = ReadyHeap()

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

    def affords(self, entry: Entry) -> bool:
        """Tell whether the budget of retries allows the call; it allows every probe."""
        return not entry.trials.owes or self.is_down or self._has_retries()

    def start_probe(self, queue: SerialQueue) -> None:
        """Let the attempt of `queue` that is about to start be the probe."""
        self.probing, self.offered = queue, True

    def goes_on_with(self, queue: SerialQueue, entry: Entry) -> bool:
        """Tell whether a turn may go on, as far as the circuit and the retries are concerned."""
        if self.circuit.opened_at is not None and self.probing is not queue:
            return False
        return not entry.trials.owes or self.affords(entry)

    def next_parked(self) -> SerialQueue | None:
        """Remove and return the queue that was ready first among those that could start, or None."""
        first = self.parked.peek()
        self.crowded = first is not None or bool(self.short)
        other = self.short.peek() if self.short and self._has_retries() else None
        if other is None or (first is not None and (first.due, first.stamp) < (other.due, other.stamp)):
            return self.parked.pop()
        return self.short.pop()

    def _has_retries(self) -> bool:
        return self.retries < self.circuit.policy.retries(self.first_attempts)

    # --- while it is down -------------------------------------------------------------

    def shut(self) -> None:
        """Have everybody wait for the circuit, which has opened."""
        while (queue := self.short.pop()) is not None:
            self.parked.push(queue)
        for queue in self.parked:
            self.waits.push(queue, queue.head.added)

    def reopen(self) -> None:
        """Have nobody wait for the circuit, which has closed."""
        self.waits = ReadyHeap()
        self.probing, self.offered = None, False

    # --- when something is due here ---------------------------------------------------

    def probe_due(self) -> float | None:
        """Return when a probe is to go out; None when none is, or nobody waits to be it."""
        nobody = self.probing is not None or self.offered or self.parked.peek() is None
        return None if nobody or not self.is_down else self.circuit.probe_at

    def patience_ends(self) -> float | None:
        """Return when patience ends first for a queue that is parked here; None when nobody's does."""
        queue = self.out_of_patience_first()
        if queue is None:
            return None
        opened_at = self.circuit.opened_at
        return self.patience + (queue.due if opened_at is None else max(opened_at, queue.head.added))

    def out_of_patience_first(self) -> SerialQueue | None:
        """Return the queue whose patience ends first; None when no queue waits for the circuit or retries."""
        if not self.is_down:
            return self.short.peek()
        while (queue := self.waits.peek()) is not None:
            if queue.state is State.PARKED and queue.parked_at is self:
                return queue
            self.waits.pop()
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

    def due(self, now: float) -> Server | None:
        """Return the server at which something is due first, when that is so by `now`."""
        first = self.first()
        return self._heap[0][2] if first is not None and first <= now else None
