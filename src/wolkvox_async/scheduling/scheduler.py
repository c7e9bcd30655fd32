"""Which call goes next: decided here, done elsewhere.

The theory. A token is in exactly one state: idle, waiting for its time, ready, parked, or
in flight (see places). `take` walks the ready tokens from the front; a token whose server
or lane has nothing free is parked there and costs nothing until something of that is
given back. A token that gets a slot keeps it for a *turn*: its ready calls to one server
back to back, at most `turn_calls` or `turn_seconds`, then it queues last. So while n
tokens are ready and k slots exist, a ready token starts within ceil(n / k) turns. (One
exception: a token whose server and lane are both short gives way to tokens that can use
what is free of either.)

A lane may yield (a backfill does). Its calls stand behind all others of their token, and a
token whose first call yields behind all other tokens, wherever it stands; its turn ends
after the call in flight when others wait for its slot. So a call that does not yield waits
for one that does no longer than until one that is in flight has ended.

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

Patience ends only for who waits for the server: not for a token that waits for a slot, for
room in its lane or for its time (its calls end when they come to wait for the server), nor
for the one that was woken to be the probe. So somebody always finds out whether it is back.

Each retry of a fault draws on its server's budget of retries (see allowance); a probe does
not, and the retry that it was has nothing to pay any more. A retry that finds it empty is
parked until there is one again: because another ended well, from first attempts, or with
time. So after a storm of failures retries trickle, and swell when they end well. One that
has been ready for `patience` seconds ends with its last failure.

The invariants, held after every method:

* at most one attempt per token is in flight, and it is the first of its queue;
* a call that is tried again, or was not made after all, keeps its place;
* no budget is exceeded, but a lane's by turns that go on, up to twice;
* no ready token waits while a slot that it may use is free;
* to a server that is down nothing is started but one probe at a time;
* every call that was added settles exactly once.

`now` is monotonic seconds and never goes back; `jitter` is chance from [0, 1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from wolkvox_async.model import AttemptOutcome, Call, Failed, GapReason, Outcome, Skipped, Token

from .circuits import Sign, sign
from .decisions import AfterFailure, Attempt, Ended, Limits, Requeued, Settled, Snapshot
from .endings import Endings, attempts, last_failure, tries, unsent
from .places import Places
from .queues import Lane, Past, SerialQueue, outlived
from .retry import GiveUp, RetryPolicy, ServerPolicy, Trials
from .skipping import BUSY, STOPPING, held_by, refusal
from .turns import Turn, Turns


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
        limits = limits or Limits()
        self._gap: Final = limits.token_gap
        self._retry: Final = retry or RetryPolicy()
        self._places: Final = Places(limits.per_server, servers or ServerPolicy(), self._retry.patience)
        self._turns: Final = Turns(self._places, limits)
        self._endings: Final = Endings(self._places, self._retry, holds=after_failure == "hold")
        self._yields = False  # there were calls that yield

    # --- calls come in, attempts go out ---------------------------------------------

    def add(
        self,
        call: Call,
        lane: Lane,
        *,
        now: float,
        attempts: int = 0,
        due: float | None = None,
        first: bool = False,
    ) -> Ended | None:
        """Queue `call` behind the others of its token; a call that cannot be made ends at once.

        Before `due` it is not sent, nor is what stands behind it. `attempts` counts what was
        tried already, under a token that was replaced since. A closing reading goes first, and
        is queued though the token's quota is used up. What comes `first` goes before other calls
        of its token, but not before those that its lane yields to.
        """
        self._yields = self._yields or lane.yields
        found = self._places.tokens.get(call.operation.token)
        queue, past = (found, found.past) if isinstance(found, SerialQueue) else (None, found)
        is_closing = call.is_closing
        if is_closing and past is not None:
            past.open_for_closing()
        if past is not None or lane.closed or lane.held:
            reason = refusal(call, lane, past, now=now)
            if reason is not None:
                return Ended(call, lane, reason, attempts)
        own = Past(attempts, 0.0 if due is None else due, Trials(faults=attempts)) if attempts or due else None
        self._endings.queued += 1
        if queue is None:
            own = own if past is None else outlived(past, own, now)
            self._places.enter(SerialQueue(call, lane, now, own), now)
        elif is_closing or (first and not lane.yields):
            self._places.put_first(queue, (call, lane, now, own), now)
        elif first or (self._yields and not lane.yields):
            self._places.put_before_yielding(queue, (call, lane, now, own), now)
        else:
            queue.append((call, lane, now, own))
        return None

    def take(self, *, now: float) -> Attempt | None:
        """Start the next turn, or return None when no token may start one now."""
        places, turns = self._places, self._turns
        if places.later.count or places.down or places.short:
            places.ripen(now)
        while len(turns.in_flight) < turns.most and (queue := places.ready.pop()) is not None:
            server = places.servers[queue.call.operation.server]
            if places.admit(queue, server, now):
                return turns.start(queue, server, now)
        return None

    def done(
        self, attempt: Attempt, outcome: AttemptOutcome, *, now: float, jitter: float, open_at: float = 0.0
    ) -> Settled | Requeued:
        """Take in how `attempt` ended. Before `open_at` nothing more is sent with its token.

        A refusal of the token, or a quota, closes it until then: its calls are skipped.
        Raises `ValueError` for an attempt that is not in flight, or no longer.
        """
        turn = self._turns.come_back(attempt)
        queue, server = turn.queue, turn.server
        if attempt.number == 1:
            server.retries.first_attempts += 1
        if queue.past is not None:
            queue.past.reopen(now)
            if queue.owes and not isinstance(outcome, Failed):
                server.retries.give_back()
        if open_at > now or self._gap:
            past = queue.history()
            past.open_at = max(past.open_at, open_at, now + self._gap)
        if isinstance(outcome, Failed):
            return self._fail(turn, attempt.number, outcome, now, jitter)
        if server.circuit.failures:
            self._places.hear(server, queue, outcome, now, jitter=jitter)
        return self._finish(turn, attempt.number, outcome, now)

    def postpone(self, attempt: Attempt, *, now: float, until: float, busy: bool = False) -> Settled | None:
        """Put off `attempt`, which is not made after all: its token waits until `until`, its call keeps its place.

        When another process has the token (`busy`) that lasts at most `patience` seconds since
        the call was first put off for this reason without an attempt in between; then the call
        ends as `token_busy`. A call that may not be made any more (its lane was stopped, its
        token closed) ends too. Raises `ValueError` as `done` does.
        """
        turn = self._turns.call_off(attempt)
        tried = attempt.number - 1
        past = turn.queue.history()
        reason = refusal(attempt.call, attempt.lane, past, now=now)
        if reason is not None:
            return self._finish(turn, tried, past.trials.failure or reason, now, holds=False)
        if busy:
            past.trials = past.trials.put_off(now)
            since = past.trials.busy_since or 0.0
            if self._retry.is_over(now - since):
                past.open_at = max(past.open_at, min(until, now + self._retry.patience))
                return self._finish(turn, tried, BUSY, now)
            until = min(until, since + self._retry.patience)
        past.open_at = max(past.open_at, until)
        self._turns.end(turn, now)
        return None

    def dismiss(self, attempt: Attempt, outcome: Skipped, *, now: float) -> Settled:
        """End the call of `attempt`, which is not made after all; one that was tried ends with its last failure.

        It holds no other call. Raises `ValueError` as `done` does.
        """
        turn = self._turns.call_off(attempt)
        failure = last_failure(turn.queue.past)
        return self._finish(turn, attempt.number - 1, failure or outcome, now, holds=False)

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

    # --- limits that change -------------------------------------------------------------

    def resize(self, limit: int) -> None:
        """Let so many calls be in flight in all.

        With less, nothing starts until enough have ended, and turns end after their current call
        while there are too many. Raises `ValueError` when that is less than one.
        """
        self._turns.resize(limit)

    def resize_server(self, name: str, limit: int) -> None:
        """Let so many calls be in flight to one server, known or not; otherwise as `resize`."""
        self._places.resize(self._places.servers[name], limit)

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
        self._places.past(token).close(until, failure)
        queue = self._places.queue(token)
        leaving = [] if queue is None else self._endings.take_out(queue, None, now)
        ended = unsent([entry for entry in leaving if not tries(entry[0], failure)], held_by(failure))
        for call, lane, _, past in leaving:
            if tries(call, failure) and (refused := self.add(call, lane, now=now, attempts=attempts(past))) is not None:
                ended.append(refused)
        return ended

    def drain(self, lane: Lane | None = None, *, now: float) -> list[Ended]:
        """End what is queued (of `lane`, or everything) and retry nothing; attempts in flight go on.

        A call that was tried before ends with its last failure, the others as skipped.
        """
        queues = self._places.queues()
        for closing in (lane,) if lane is not None else {e[1] for queue in queues for e in queue.entries()}:
            closing.closed = True
        leaving = [entry for queue in queues for entry in self._endings.take_out(queue, lane, now)]
        return unsent(leaving, STOPPING)

    def withdraw(self, call: Call, lane: Lane, *, now: float) -> bool:
        """Forget the queued call of a lane of its own; False when it is in flight or has ended."""
        lane.closed = True
        queue = self._places.queue(call.operation.token)
        return queue is not None and bool(self._endings.take_out(queue, lane, now))

    def give_up(self, call: Call, lane: Lane, *, now: float) -> Ended | GapReason | None:
        """Take back a call of a slot that is over; None when it is in flight (it is not tried again), or has ended.

        One that was tried ends with its last failure; of one that never was, return what kept it back.
        """
        queue = self._places.queue(call.operation.token)
        if queue is None:
            return None
        reason = self._places.why_unsent(queue)
        entry = self._endings.take_call(queue, call.id, now)
        if entry is None:
            if queue.call.id == call.id:
                queue.history().is_over = True
            return None
        failure = last_failure(entry[3])
        return reason if failure is None else Ended(call, lane, failure, attempts(entry[3]))

    def waits_for(self, call: Call) -> GapReason | None:
        """Return what keeps back a call that is queued; None when it is in flight or not queued."""
        queue = self._places.queue(call.operation.token)
        if queue is None or (queue.line is None and queue.call.id == call.id):
            return None
        return self._places.why_unsent(queue)

    # --- looking in -----------------------------------------------------------------

    def knows(self, token: Token) -> bool:
        """Tell whether a call of `token` was ever queued, or the token closed."""
        return token in self._places.tokens

    @property
    def in_flight(self) -> int:
        """How many attempts are in flight."""
        return len(self._turns.in_flight)

    @property
    def ready(self) -> int:
        """How many tokens could start if there were slots."""
        return self._places.ready.count

    def has_use_for(self, lane: Lane, enough: int) -> bool:
        """Tell whether fewer than `enough` tokens could start; those that yield to `lane` do not count if all yield."""
        ready = self._places.ready
        return ready.count < enough or not (lane.yields or self._places.has_urgent)

    @property
    def is_waited_for(self) -> bool:
        """Whether a token could start, or waits for its time, a probe, a retry or the end of its patience."""
        places = self._places
        return bool(places.ready.count or places.later.count or places.down or places.short)

    def next_ready_at(self) -> float | None:
        """Return when a token, a probe, a retry or the end of a call's patience is due; None when nothing is."""
        return self._places.next_due()

    def down(self) -> Mapping[str, float]:
        """Return the servers that are down, each with the time of its next probe; past while one is in flight."""
        return {name: server.circuit.probe_at for name, server in self._places.down.items()}

    def short(self) -> Mapping[str, float]:
        """Return the servers where calls wait for a retry, each with the time by which time alone has brought all."""
        return {name: server.last_retry_at() for name, server in self._places.short.items() if server.short.count}

    def snapshot(self) -> Snapshot:
        """Return what there is to see; costs a walk over the tokens that wait for their time."""
        places, flying = self._places, len(self._turns.in_flight)
        failures = (last_failure(queue.past) for queue in places.later)
        return Snapshot(
            tokens=places.census(flying),
            queued=self._endings.queued,
            in_flight=flying,
            waiting_after=Counter(failure.error.kind for failure in failures if failure is not None),
            servers={name: server.used for name, server in places.servers.items()},
            down=self.down(),
            short=self.short(),
        )

    # --- how a call ends ------------------------------------------------------------

    def _fail(self, turn: Turn, number: int, failure: Failed, now: float, jitter: float) -> Settled | Requeued:
        queue, server, past = turn.queue, turn.server, turn.queue.history()
        opened_at = server.circuit.opened_at
        outage = opened_at is not None and sign(failure) is Sign.DOWN
        self._places.hear(server, queue, failure, now, jitter=jitter)
        past.attempts, past.trials = number, past.trials.after(failure, now=now, outage=outage)
        if opened_at is not None and outage:
            decision = self._retry.outlast(failure, waited=now - max(opened_at, queue.added))
        else:
            decision = self._retry.decide(failure, past.trials, jitter=jitter)
        if isinstance(decision, GiveUp) or queue.lane.closed or past.is_over or past.closed_by is not None:
            return self._finish(turn, number, failure, now, holds=not outage)
        past.ready_at = ready_at = max(now + decision.delay, past.open_at)
        self._places.give_back(queue.lane.budget)
        return Requeued(failure, ready_at, self._turns.go_on(turn, now))

    def _finish(self, turn: Turn, tried: int, outcome: Outcome, now: float, *, holds: bool = True) -> Settled:
        """End the first call of the turn, after so many attempts."""
        queue = turn.queue
        ended = Ended(queue.call, queue.lane, outcome, tried)
        skipped = self._endings.after(outcome, queue, holds=holds) if isinstance(outcome, Failed) else ()
        self._endings.queued -= 1
        return Settled(ended, skipped, self._turns.follow(turn, now))
