"""Which call goes next: decided here, done elsewhere.

The theory. A token is in exactly one state: idle, waiting for its time, ready, parked
behind a budget, or in flight. Ready tokens stand in one heap by (due time, sequence).
`take` walks it from the front; a token whose server or lane has nothing free is parked
there and costs nothing until something of that budget is given back. A token that gets
a slot keeps it for a *turn*: its ready calls to one server back to back, at most
`turn_calls` or `turn_seconds`, then it queues last. So while n tokens are ready and k
slots exist, a ready token starts within ceil(n / k) turns. (One exception: a token whose
server and lane are both short gives way to tokens that can use what is free of either.)

The invariants, held after every method:

* at most one attempt per token is in flight, and it is the first of its queue;
* a call that is tried again keeps its place;
* no budget is exceeded, and no ready token waits while a slot that it may use is free;
* every call that was added settles exactly once.

`now` is monotonic seconds and never goes back; `jitter` is chance from [0, 1).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from wolkvox_async.model import AttemptOutcome, Call, ErrorKind, Failed, Token

from .decisions import AfterFailure, Attempt, Ended, Limits, Requeued, Settled, Snapshot
from .queues import Budget, Entry, Lane, ReadyHeap, SerialQueue, State
from .retry import UNTRIED, Retry, RetryPolicy, Trials
from .skipping import NEVER_HOLD, STOPPING, held_by, refusal

CLOSING: Final = frozenset({ErrorKind.UNAUTHORIZED, ErrorKind.FORBIDDEN, ErrorKind.QUOTA})


class Scheduler:
    """Turns added calls into attempts; see the module for the theory."""

    def __init__(
        self, limits: Limits | None = None, retry: RetryPolicy | None = None, *, after_failure: AfterFailure = "hold"
    ) -> None:
        self._limits: Final = limits or Limits()
        self._retry: Final = retry or RetryPolicy()
        self._holds: Final = after_failure == "hold"
        per_server = self._limits.per_server
        self._queues: Final[dict[Token, SerialQueue]] = {}  # one per token ever seen
        self._servers: Final = defaultdict[str, Budget](lambda: Budget(per_server))  # one per server ever seen
        self._slots: Final = Budget(self._limits.max_in_flight)
        self._later: Final = ReadyHeap()  # WAITING queues
        self._ready: Final = ReadyHeap()  # READY queues
        self._sequence = 0
        self._census: Final = [0] * len(State)  # tokens by state
        self._queued = 0

    # --- calls come in, attempts go out ---------------------------------------------

    def add(self, call: Call, lane: Lane, *, now: float, attempts: int = 0) -> Ended | None:
        """Queue `call` behind the others of its token; a call that cannot be made ends at once.

        `attempts` counts what was tried already, under a token that was replaced since.
        """
        queue = self._queue(call.operation.token)
        reason = refusal(call, lane, queue, now=now)
        if reason is not None:
            return Ended(call, lane, reason, attempts)
        queue.entries.append(Entry(call, lane, now, attempts, Trials(faults=attempts) if attempts else UNTRIED))
        self._queued += 1
        if queue.state is State.IDLE:
            self._arm(queue, now, since=now)
        return None

    def take(self, *, now: float) -> Attempt | None:
        """Start the next turn, or return None when no token may start one now."""
        self._ripen(now)
        while self._slots.free and (queue := self._ready.pop()) is not None:
            server, lane = self._servers[queue.head.call.operation.server], queue.head.lane.budget
            if server.free and lane.free:
                return self._start_turn(queue, server, now)
            self._move(queue, State.PARKED)
            (lane if server.free else server).parked.push(queue)
            # It may have been woken for the budget that is free: somebody else can use that.
            self._wake(server)
            self._wake(lane)
        return None

    def done(
        self, attempt: Attempt, outcome: AttemptOutcome, *, now: float, jitter: float, open_at: float = 0.0
    ) -> Settled | Requeued:
        """Take in how `attempt` ended. Before `open_at` nothing more is sent with its token.

        A refusal of the token, or a quota, closes it until then: its calls are skipped.
        Raises `ValueError` for an attempt that is not in flight, or no longer.
        """
        queue = self._in_flight(attempt)
        entry = queue.head
        entry.attempts += 1
        queue.open_at = max(queue.open_at, open_at, now + self._limits.token_gap)
        delay = self._retry_delay(entry, outcome, now, jitter) if isinstance(outcome, Failed) else None
        if isinstance(outcome, Failed) and delay is not None:
            return self._requeue(queue, outcome, now, delay)
        return self._settle(queue, outcome, now)

    def charge(self, lane: Lane, units: int) -> None:
        """Say that a settled call of `lane` takes up so many units of room more than the one it has."""
        lane.budget.used += units

    def release(self, lane: Lane, units: int = 1) -> None:
        """Say that what took up `units` of room in `lane` was delivered.

        A call takes up one from its attempt until its delivery (`Settled.ended`), and more
        when it was charged; a call that ended otherwise takes up none.
        """
        for _ in range(units):
            self._give_back(lane.budget)

    # --- leaving early --------------------------------------------------------------

    def drain(self, lane: Lane | None = None, *, now: float) -> list[Ended]:
        """End what is queued (of `lane`, or everything) and retry nothing; attempts in flight go on.

        A call that was tried before ends with its last failure, the others as skipped.
        """
        queues = list(self._queues.values())
        for closing in (lane,) if lane is not None else {e.lane for queue in queues for e in queue.entries}:
            closing.closed = True
        return [
            Ended(entry.call, entry.lane, entry.failure or STOPPING, entry.attempts)
            for queue in queues
            for entry in self._take_out(queue, lane, now)
        ]

    def withdraw(self, call: Call, lane: Lane, *, now: float) -> bool:
        """Forget the queued call of a lane of its own; False when it is in flight or has ended."""
        lane.closed = True
        queue = self._queues.get(call.operation.token)
        return queue is not None and bool(self._take_out(queue, lane, now))

    # --- looking in -----------------------------------------------------------------

    def next_ready_at(self) -> float | None:
        """Return when the next waiting token comes due; None when no token waits for its time."""
        queue = self._later.peek()
        return None if queue is None else queue.due

    def snapshot(self) -> Snapshot:
        """Return what there is to see; costs a walk over the tokens that wait for their time."""
        failures = (queue.head.failure for queue in self._later)
        return Snapshot(
            tokens={state: self._census[state] for state in State},
            queued=self._queued,
            in_flight=self._slots.used,
            waiting_after=Counter(failure.error.kind for failure in failures if failure is not None),
            servers={name: budget.used for name, budget in self._servers.items()},
        )

    # --- a turn ---------------------------------------------------------------------

    def _start_turn(self, queue: SerialQueue, server: Budget, now: float) -> Attempt:
        self._slots.used += 1
        server.used += 1
        queue.turn_started, queue.turn_calls, queue.turn_server = now, 0, queue.head.call.operation.server
        self._move(queue, State.IN_FLIGHT)
        return self._launch(queue)

    def _launch(self, queue: SerialQueue) -> Attempt:
        entry = queue.head
        entry.lane.budget.used += 1
        queue.turn_calls += 1
        return Attempt(entry.call, entry.lane, entry.attempts + 1)

    def _go_on(self, queue: SerialQueue, now: float) -> Attempt | None:
        if self._turn_goes_on(queue, now):
            return self._launch(queue)
        self._slots.used -= 1
        # Those who waited are woken before the token queues again; due earlier, they also go before it.
        self._give_back(self._servers[queue.turn_server])
        self._place(queue, now, since=now)
        return None

    def _turn_goes_on(self, queue: SerialQueue, now: float) -> bool:
        return (
            bool(queue.entries)
            and queue.head_due() <= now
            and queue.turn_calls < self._limits.turn_calls
            and now - queue.turn_started < self._limits.turn_seconds
            and queue.head.call.operation.server == queue.turn_server
            and queue.head.lane.budget.free
        )

    # --- how an attempt ends --------------------------------------------------------

    def _in_flight(self, attempt: Attempt) -> SerialQueue:
        queue = self._queues.get(attempt.call.operation.token)
        if queue is not None and queue.state is State.IN_FLIGHT:
            entry = queue.head
            if entry.call is attempt.call and entry.attempts + 1 == attempt.number:
                return queue
        raise ValueError("this attempt is not in flight")

    def _retry_delay(self, entry: Entry, failure: Failed, now: float, jitter: float) -> float | None:
        entry.failure = failure
        entry.trials = entry.trials.after(failure.error.kind, now=now)
        if entry.lane.closed:
            return None
        decision = self._retry.decide(failure, entry.trials, jitter=jitter)
        return decision.delay if isinstance(decision, Retry) else None

    def _requeue(self, queue: SerialQueue, failure: Failed, now: float, delay: float) -> Requeued:
        entry = queue.head
        entry.ready_at = max(now + delay, queue.open_at)
        self._give_back(entry.lane.budget)
        return Requeued(failure, entry.ready_at, self._go_on(queue, now))

    def _settle(self, queue: SerialQueue, outcome: AttemptOutcome, now: float) -> Settled:
        entry = queue.head
        skipped = tuple(self._consequences(queue, outcome, now))
        del queue.entries[0]
        self._queued -= 1
        ended = Ended(entry.call, entry.lane, outcome, entry.attempts)
        return Settled(ended, skipped, self._go_on(queue, now))

    def _consequences(self, queue: SerialQueue, outcome: AttemptOutcome, now: float) -> Iterator[Ended]:
        """End the calls that must not follow `outcome`: all of a closed token, or a held pass's."""
        if not isinstance(outcome, Failed):
            return
        call, lane = queue.head.call, queue.head.lane
        leaving: list[Entry] = []
        if outcome.error.kind in CLOSING:
            queue.closed_by = outcome
            leaving = self._take_out(queue, None, now)
        elif self._holds and outcome.error.kind not in NEVER_HOLD:
            lane.held[call.operation.token] = outcome
            leaving = self._take_out(queue, lane, now)
        for entry in leaving:
            yield Ended(entry.call, entry.lane, held_by(outcome), entry.attempts)

    # --- where a queue stands -------------------------------------------------------

    def _queue(self, token: Token) -> SerialQueue:
        queue = self._queues.get(token)
        if queue is None:
            queue = self._queues[token] = SerialQueue()
            self._census[State.IDLE] += 1
        return queue

    def _move(self, queue: SerialQueue, state: State) -> None:
        self._census[queue.state] -= 1
        self._census[state] += 1
        queue.state = state

    def _place(self, queue: SerialQueue, now: float, *, since: float) -> None:
        """Find the place of a queue whose first call changed; it leaves any heap it stood in."""
        if queue.entries:
            self._arm(queue, now, since=since)
        else:
            queue.stamp = 0
            self._move(queue, State.IDLE)

    def _arm(self, queue: SerialQueue, now: float, *, since: float) -> None:
        """Have the queue stand where its first call belongs; if that is ready, as ready `since` then."""
        self._sequence += 1
        queue.stamp = self._sequence
        queue.due = queue.head_due()
        if queue.due > now:
            self._move(queue, State.WAITING)
            self._later.push(queue)
        else:
            queue.due = since
            self._move(queue, State.READY)
            self._ready.push(queue)

    def _ripen(self, now: float) -> None:
        while (queue := self._later.peek()) is not None and queue.due <= now:
            self._later.pop()
            self._move(queue, State.READY)
            self._ready.push(queue)

    def _give_back(self, budget: Budget) -> None:
        budget.used -= 1
        self._wake(budget)

    def _wake(self, budget: Budget) -> None:
        if budget.free and (queue := budget.parked.pop()) is not None:
            self._move(queue, State.READY)
            self._ready.push(queue)

    def _take_out(self, queue: SerialQueue, lane: Lane | None, now: float) -> list[Entry]:
        """Remove what is queued of `lane` (None: of any); its server may have become free for another."""
        first = queue.entries[:1]
        leaving = queue.take_out(lane)
        self._queued -= len(leaving)
        if leaving and leaving[0] in first:
            # A token that was ready stays so: it does not queue anew because a call of it went away.
            self._place(queue, now, since=min(queue.due, now))
            self._wake(self._servers[leaving[0].call.operation.server])
        return leaving
