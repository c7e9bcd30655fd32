"""Which call goes next: decided here, done elsewhere.

The theory. A token is in exactly one state: idle, waiting for its time, ready, parked, or
in flight (see places). `take` walks the ready tokens from the front; a token whose server
or lane has nothing free is parked there and costs nothing until something of that is
given back. A token that gets a slot keeps it for a *turn*: its ready calls to one server
back to back, at most `turn_calls` or `turn_seconds`, then it queues last. So while n
tokens are ready and k slots exist, a ready token starts within ceil(n / k) turns. (One
exception: a token whose server and lane are both short gives way to tokens that can use
what is free of either.)

A server that is down (see circuits) has nothing free, but for one probe at a time. Who is
probe rotates: after it the token queues last, and a token without room in its lane is
passed over. A call that finds the circuit open when it fails has used up no attempt. It
waits for its server for at most `patience` seconds since it was added, or since the
circuit opened if that is later; then it ends with its last failure, or as `server_down`
when it was never sent. Such an end holds no other call, for it says nothing about the
token; those that wait for the same server end by themselves.

So a dead server costs what was in flight when it died (at most `per_server`, at least the
failures that open the circuit) and its probes, which are about a dozen while the default
patience lasts, however many calls there are: the more calls, the nearer to nothing each.

Patience ends only for who waits for the server: not
for a token that waits for a slot, for room in its lane or for its time (its calls end
when they come to wait for the server), nor for the one that was woken to be the probe.
So somebody always finds out whether the server is back, even with no patience at all.

Each retry of a fault draws on its server's budget of retries; a probe does not, and the
retry that it was has nothing to pay any more. A retry that finds the budget empty is
parked until first attempts on that server refill it. When it has been ready for
`patience` seconds it ends with its last failure, as it would when its attempts were used up.

The invariants, held after every method:

* at most one attempt per token is in flight, and it is the first of its queue;
* a call that is tried again, or was not made after all, keeps its place;
* no budget is exceeded, and no ready token waits while a slot that it may use is free;
* to a server that is down nothing is started but one probe at a time;
* every call that was added settles exactly once.

`now` is monotonic seconds and never goes back; `jitter` is chance from [0, 1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from wolkvox_async.model import AttemptOutcome, Call, Failed, Outcome, Skipped, Token

from .circuits import Sign, sign
from .decisions import AfterFailure, Attempt, Ended, Limits, Requeued, Settled, Snapshot
from .endings import Endings, unsent
from .places import Places
from .queues import Entry, Lane, SerialQueue, State
from .retry import UNTRIED, GiveUp, RetryPolicy, ServerPolicy, Trials
from .servers import Server
from .skipping import BUSY, STOPPING, held_by, refusal
from .turns import Turns


class Scheduler:
    """Turns added calls into attempts; see the module for the theory."""

    def __init__(
        self,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        *,
        after_failure: AfterFailure = "hold",
        servers: ServerPolicy | None = None,
    ) -> None:
        self._limits: Final = limits or Limits()
        self._retry: Final = retry or RetryPolicy()
        self._places: Final = Places(self._limits.per_server, servers or ServerPolicy(), self._retry.patience)
        self._turns: Final = Turns(self._places, self._limits)
        self._endings: Final = Endings(self._places, self._retry, holds=after_failure == "hold")

    # --- calls come in, attempts go out ---------------------------------------------

    def add(self, call: Call, lane: Lane, *, now: float, attempts: int = 0, due: float | None = None) -> Ended | None:
        """Queue `call` behind the others of its token; a call that cannot be made ends at once.

        Before `due` it is not sent, nor is what stands behind it. `attempts` counts what was
        tried already, under a token that was replaced since.
        """
        queue = self._places.queue(call.operation.token)
        reason = refusal(call, lane, queue, now=now)
        if reason is not None:
            return Ended(call, lane, reason, attempts)
        trials = Trials(faults=attempts) if attempts else UNTRIED
        queue.entries.append(Entry(call, lane, now, now if due is None else due, attempts, trials))
        self._endings.queued += 1
        if queue.state is State.IDLE:
            self._places.arm(queue, now, since=now)
        return None

    def take(self, *, now: float) -> Attempt | None:
        """Start the next turn, or return None when no token may start one now."""
        places = self._places
        places.ripen(now)
        while self._turns.slots.free and (queue := places.next_ready()) is not None:
            server = places.servers[queue.entries[0].call.operation.server]
            if places.admit(queue, server, now):
                return self._turns.start(queue, server, now)
        return None

    def done(
        self, attempt: Attempt, outcome: AttemptOutcome, *, now: float, jitter: float, open_at: float = 0.0
    ) -> Settled | Requeued:
        """Take in how `attempt` ended. Before `open_at` nothing more is sent with its token.

        A refusal of the token, or a quota, closes it until then: its calls are skipped.
        Raises `ValueError` for an attempt that is not in flight, or no longer.
        """
        queue = self._turns.in_flight(attempt)
        entry, server = queue.head, self._places.servers[attempt.call.operation.server]
        entry.attempts += 1
        if entry.attempts == 1:
            server.first_attempts += 1
        if queue.closed_by is not None:
            queue.reopen(now)
        queue.open_at = max(queue.open_at, open_at, now + self._limits.token_gap)
        if isinstance(outcome, Failed):
            return self._fail(queue, server, outcome, now, jitter)
        if server.circuit.failures:
            self._places.hear(server, queue, outcome, now, jitter=jitter)
        return self._finish(queue, server, outcome, now)

    def postpone(self, attempt: Attempt, *, now: float, until: float, busy: bool = False) -> Settled | None:
        """Put off `attempt`, which is not made after all: its token waits until `until`, its call keeps its place.

        When another process has the token (`busy`) that lasts at most `patience` seconds since
        the call was first put off for this reason without an attempt in between; then the call
        ends as `token_busy`. A call that may not be made any more (its lane was stopped, its
        token closed) ends too. Raises `ValueError` as `done` does.
        """
        queue, server, entry = self._call_off(attempt)
        reason = refusal(entry.call, entry.lane, queue, now=now)
        if reason is not None:
            return self._finish(queue, server, entry.trials.failure or reason, now, holds=False)
        if busy:
            entry.trials = entry.trials.put_off(now)
            since = entry.trials.busy_since or 0.0
            if self._retry.is_over(now - since):
                queue.open_at = max(queue.open_at, min(until, now + self._retry.patience))
                return self._finish(queue, server, BUSY, now)
            until = min(until, since + self._retry.patience)
        queue.open_at = max(queue.open_at, until)
        self._turns.end(queue, server, now)
        return None

    def dismiss(self, attempt: Attempt, outcome: Skipped, *, now: float) -> Settled:
        """End the call of `attempt`, which is not made after all; one that was tried ends with its last failure.

        It holds no other call. Raises `ValueError` as `done` does.
        """
        queue, server, entry = self._call_off(attempt)
        return self._finish(queue, server, entry.trials.failure or outcome, now, holds=False)

    def charge(self, lane: Lane, units: int) -> None:
        """Say that a settled call of `lane` takes up so many units of room more than the one it has."""
        lane.budget.used += units

    def release(self, lane: Lane, units: int = 1) -> None:
        """Say that what took up `units` of room in `lane` was delivered.

        A call takes up one from its attempt until its delivery (`Settled.ended`), and more
        when it was charged; a call that ended without an attempt takes up none, whatever
        `postpone`, `dismiss`, `expired`, `close` or `drain` said of it.
        """
        for _ in range(units):
            self._places.give_back(lane.budget)

    # --- calls that end without being sent ------------------------------------------

    def expired(self, *, now: float) -> list[Ended]:
        """End the calls whose patience with their server is over; to be asked before `take`."""
        self._places.ripen(now)
        return self._endings.out_of_patience(now)

    def close(self, token: Token, failure: Failed, *, now: float, until: float) -> list[Ended]:
        """Close `token` until then for a refusal that was learned elsewhere; end its calls that are queued.

        The one in flight goes on, but is not tried again. Calls that were tried end with
        their last failure, the others as skipped; those added before `until` are refused.
        """
        queue = self._places.queue(token)
        queue.open_at = max(queue.open_at, until)
        queue.closed_by = failure
        return unsent(self._endings.take_out(queue, None, now), held_by(failure))

    def drain(self, lane: Lane | None = None, *, now: float) -> list[Ended]:
        """End what is queued (of `lane`, or everything) and retry nothing; attempts in flight go on.

        A call that was tried before ends with its last failure, the others as skipped.
        """
        queues = list(self._places.queues.values())
        for closing in (lane,) if lane is not None else {e.lane for queue in queues for e in queue.entries}:
            closing.closed = True
        leaving = [entry for queue in queues for entry in self._endings.take_out(queue, lane, now)]
        return unsent(leaving, STOPPING)

    def withdraw(self, call: Call, lane: Lane, *, now: float) -> bool:
        """Forget the queued call of a lane of its own; False when it is in flight or has ended."""
        lane.closed = True
        queue = self._places.queues.get(call.operation.token)
        return queue is not None and bool(self._endings.take_out(queue, lane, now))

    # --- looking in -----------------------------------------------------------------

    def knows(self, token: Token) -> bool:
        """Tell whether a call of `token` was ever queued."""
        return token in self._places.queues

    @property
    def ready(self) -> int:
        """How many tokens could start if there were slots."""
        return self._places.census[State.READY]

    def next_ready_at(self) -> float | None:
        """Return when a waiting token, a probe or the end of somebody's patience comes due; None when nothing does."""
        return self._places.next_due()

    def down(self) -> Mapping[str, float]:
        """Return the servers that are down, each with the time of its next probe.

        That time is past while a probe is in flight, and when no call waits to be one.
        """
        return {name: server.circuit.probe_at for name, server in self._places.down.items()}

    def snapshot(self) -> Snapshot:
        """Return what there is to see; costs a walk over the tokens that wait for their time."""
        failures = (queue.head.trials.failure for queue in self._places.later)
        return Snapshot(
            tokens={state: self._places.census[state] for state in State},
            queued=self._endings.queued,
            in_flight=self._turns.slots.used,
            waiting_after=Counter(failure.error.kind for failure in failures if failure is not None),
            servers={name: server.used for name, server in self._places.servers.items()},
            down=self.down(),
        )

    # --- how a call ends ------------------------------------------------------------

    def _call_off(self, attempt: Attempt) -> tuple[SerialQueue, Server, Entry]:
        queue = self._turns.in_flight(attempt)
        server = self._places.servers[attempt.call.operation.server]
        self._turns.call_off(queue, server)
        return queue, server, queue.head

    def _fail(
        self, queue: SerialQueue, server: Server, failure: Failed, now: float, jitter: float
    ) -> Settled | Requeued:
        entry, opened_at = queue.head, server.circuit.opened_at
        outage = opened_at is not None and sign(failure) is Sign.DOWN
        self._places.hear(server, queue, failure, now, jitter=jitter)
        entry.trials = entry.trials.after(failure, now=now, outage=outage)
        if opened_at is not None and outage:
            decision = self._retry.outlast(failure, waited=now - max(opened_at, entry.added))
        else:
            decision = self._retry.decide(failure, entry.trials, jitter=jitter)
        if isinstance(decision, GiveUp) or entry.lane.closed or queue.closed_by is not None:
            return self._finish(queue, server, failure, now, holds=not outage)
        entry.ready_at = max(now + decision.delay, queue.open_at)
        self._places.give_back(entry.lane.budget)
        return Requeued(failure, entry.ready_at, self._turns.go_on(queue, server, now))

    def _finish(
        self, queue: SerialQueue, server: Server, outcome: Outcome, now: float, *, holds: bool = True
    ) -> Settled:
        entry = queue.entries[0]
        skipped = self._endings.after(outcome, queue, entry, now, holds=holds) if isinstance(outcome, Failed) else ()
        del queue.entries[0]
        self._endings.queued -= 1
        ended = Ended(entry.call, entry.lane, outcome, entry.attempts)
        return Settled(ended, skipped, self._turns.go_on(queue, server, now))
