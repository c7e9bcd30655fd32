"""Whatever happens, in whatever order: the rules hold after every step.

The machine puts the same questions to two schedulers and to the naive one. The two must
answer alike (same inputs, same trace), and as the naive one does. A witness, who knows
only what was sent and what came back, checks the promises themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wolkvox_async.classify import RETRYABLE
from wolkvox_async.model import AttemptOutcome, Call, ErrorKind, Failed, Skipped, Token
from wolkvox_async.scheduling.decisions import AfterFailure, Attempt, Ended, Limits, Settled
from wolkvox_async.scheduling.queues import Lane, State
from wolkvox_async.scheduling.retry import RetryPolicy, ServerPolicy
from wolkvox_async.scheduling.scheduler import Scheduler
from wolkvox_async.scheduling.skipping import CLOSING

from . import samples
from .naive import Again, Answer, End, Leave, NaiveScheduler
from .witness import Witness

T = TypeVar("T")

TOKENS: Final = "ABCDEFG"
SERVERS: Final = ("0001", "0002")
ROOMS: Final = {"wide": 1_000, "narrow": 2, "single": 1}

# Halves and quarters add up without rounding: whoever adds them gets the same sum.
pauses: Final = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0, 100.0])
jitters: Final = st.sampled_from([0.0, 0.25, 0.5, 0.75])
tokens: Final = st.sampled_from(TOKENS)
servers: Final = st.sampled_from(SERVERS)
kinds_of_lane: Final = st.sampled_from(["wide", "narrow", "single", "single"])
closures: Final = st.just(0.0) | pauses
picks: Final = st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True)
kinds: Final = st.sampled_from(samples.ATTEMPT_KINDS)
statuses: Final = st.sampled_from([None, 200, 502, 503, 504])
failures: Final = st.builds(samples.failed, kinds, st.none() | pauses, status=statuses)
retried: Final = st.builds(samples.failed, kinds.filter(RETRYABLE.__contains__), st.none() | pauses, status=statuses)
unreachable: Final = st.builds(samples.failed, st.just(ErrorKind.CONNECT), st.none() | st.just(2.0))
refusals: Final = st.builds(samples.failed, st.sampled_from(sorted(CLOSING)))
outcomes: Final = st.sampled_from([samples.OK, samples.EMPTY]) | failures
limits: Final = st.builds(
    Limits,
    max_in_flight=st.sampled_from([1, 2, 3, 8, 8]),
    per_server=st.sampled_from([1, 1, 2, 8]),
    turn_calls=st.integers(1, 4),
    turn_seconds=st.sampled_from([0.5, 2.0, 5.0]),
    token_gap=st.sampled_from([0.0, 0.0, 0.5, 2.0]),
)
policies: Final = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 4),
    backoff=st.sampled_from([0.0, 1.0]),
    longest=st.sampled_from([1.0, 60.0]),
    patience=st.sampled_from([0.0, 5.0, 300.0]),
)
spared: Final = st.builds(
    ServerPolicy,
    failures=st.integers(1, 3),
    longest_pause=st.sampled_from([4.0, 60.0]),
    reserve=st.sampled_from([1, 1, 100]),
    seconds_per_retry=st.sampled_from([0.5, 4.0, 1024.0]),
    calls_per_retry=st.sampled_from([1, 2, 8]),
)


@dataclass(frozen=True)
class Setting:
    """How a scheduler is set, and whether it is asked at once for what may start, as the engine does."""

    limits: Limits
    policy: RetryPolicy
    after_failure: AfterFailure
    eager: bool
    servers: ServerPolicy = field(default_factory=ServerPolicy)

    def scheduler(self) -> Scheduler:
        return Scheduler(self.limits, self.policy, after_failure=self.after_failure, servers=self.servers)


held_or_not: Final = st.sampled_from(["hold", "continue"])
every_setting: Final = st.builds(Setting, limits, policies, held_or_not, eager=st.booleans(), servers=spared)


@dataclass
class Party:
    """A scheduler with lanes of its own, and the attempts that it gave leave for."""

    scheduler: Scheduler
    lanes: dict[str, Lane] = field(default_factory=dict)
    flying: dict[Token, Attempt] = field(default_factory=dict)

    def take(self, now: float) -> Leave | None:
        return self._leave(self.scheduler.take(now=now))

    def add(self, call: Call, lane: str, now: float, attempts: int, due: float | None) -> End | None:
        ended = self.scheduler.add(call, self.lanes[lane], now=now, attempts=attempts, due=due)
        return None if ended is None else self._end(ended)

    def done(self, token: Token, outcome: AttemptOutcome, now: float, jitter: float, open_at: float) -> Answer:
        attempt = self.flying.pop(token)
        answer = self.scheduler.done(attempt, outcome, now=now, jitter=jitter, open_at=open_at)
        if isinstance(answer, Settled):
            return self._settled(answer)
        return Answer(Again(answer.failure, answer.ready_at), (), self._leave(answer.following))

    def postpone(self, token: Token, now: float, until: float, busy: bool) -> Answer | None:
        settled = self.scheduler.postpone(self.flying.pop(token), now=now, until=until, busy=busy)
        return None if settled is None else self._settled(settled)

    def dismiss(self, token: Token, outcome: Skipped, now: float) -> Answer:
        return self._settled(self.scheduler.dismiss(self.flying.pop(token), outcome, now=now))

    def expired(self, now: float) -> list[End]:
        return self._once(self.scheduler.expired(now=now))

    def close(self, token: Token, failure: Failed, now: float, until: float) -> list[End]:
        return self._once(self.scheduler.close(token, failure, now=now, until=until))

    def impatient(self) -> set[Token]:
        """Return the tokens that wait for a server that is down, or for a retry."""
        servers = self.scheduler._places.servers.values()
        waiting = [queue for server in servers for queue in server.short]
        waiting += [queue for server in servers if server.is_down for queue in server.parked]
        return {queue.token for queue in waiting}

    def drain(self, lane: str | None, now: float) -> dict[str, End]:
        ends = self.scheduler.drain(None if lane is None else self.lanes[lane], now=now)
        return {end.call: end for end in self._once(ends)}

    def _once(self, ends: list[Ended]) -> list[End]:
        assert len({ended.call.id for ended in ends}) == len(ends), "a call settles once"
        return [self._end(ended) for ended in ends]

    def _settled(self, answer: Settled) -> Answer:
        skipped = tuple(self._end(each) for each in answer.skipped)
        return Answer(self._end(answer.ended), skipped, self._leave(answer.following))

    def _leave(self, attempt: Attempt | None) -> Leave | None:
        if attempt is None:
            return None
        self.flying[attempt.call.operation.token] = attempt
        return Leave(attempt.call.id, self._name(attempt.lane), attempt.number)

    def _end(self, ended: Ended) -> End:
        outcome = ended.outcome
        if isinstance(outcome, Skipped) or (isinstance(outcome, Failed) and outcome.error.message != samples.MADE_UP):
            return End(ended.call.id, self._name(ended.lane), outcome.error.kind, ended.attempts)
        return End(ended.call.id, self._name(ended.lane), outcome, ended.attempts)

    def _name(self, lane: Lane) -> str:
        return next(name for name, mine in self.lanes.items() if mine is lane)


class SchedulerMachine(RuleBasedStateMachine):
    """Adds, takes, ends, delivers, drains, withdraws and changes limits, in any order, while time passes."""

    @initialize(setting=every_setting, first=st.lists(st.tuples(tokens, servers, kinds_of_lane), max_size=20))
    def begin(self, setting: Setting, first: list[tuple[str, str, str]]) -> None:
        self.now = 0.0
        self.limits = setting.limits
        self.eager = setting.eager
        self.count = 0
        self.alone: dict[str, Call] = {}  # in lanes of their own
        self.parties = [Party(setting.scheduler()) for _ in range(2)]
        holds = setting.after_failure == "hold"
        self.naive = NaiveScheduler(setting.limits, setting.policy, setting.servers, SERVERS, holds=holds)
        self.witness = Witness(setting.limits, setting.servers, SERVERS)
        self.lanes = {kind: self._open(kind, room) for kind, room in ROOMS.items()}
        for token, server, kind in first:
            self._add(token, server, self.lanes[kind])
        self._dispatch()

    # --- what is done ---------------------------------------------------------------

    @rule(token=tokens, server=servers, kind=kinds_of_lane, count=st.integers(1, 9))
    def add(self, token: str, server: str, kind: str, count: int) -> None:
        for _ in range(count):
            self._add(token, server, self.lanes[kind])
        self._dispatch()

    @rule(token=tokens, attempts=st.integers(1, 4))
    def add_what_was_tried_before(self, token: str, attempts: int) -> None:
        self._add(token, SERVERS[0], self.lanes["wide"], attempts)

    @rule(token=tokens, server=servers, kind=kinds_of_lane, seconds=pauses)
    def add_what_is_not_due(self, token: str, server: str, kind: str, seconds: float) -> None:
        self._add(token, server, self.lanes[kind], due=self.now + seconds)

    @rule(token=tokens, server=servers)
    def add_alone(self, token: str, server: str) -> None:
        lane = self._open("alone", 1)
        self.alone[lane] = self._add(token, server, lane)
        self._dispatch()

    @rule(kind=kinds_of_lane)
    def open_another_lane(self, kind: str) -> None:
        self.lanes[kind] = self._open(kind, ROOMS[kind])

    @rule()
    def take(self) -> None:
        self._take()

    @rule()
    def take_all(self) -> None:
        """`None` means: there is no slot, or every token that is due lacks room at its server or lane."""
        while self._take() is not None:
            pass
        if len(self.witness.flying) < self.naive.most:
            assert not self.naive.may_start(self.now)
            impatient = self._ask(lambda party: party.impatient())
            assert all(line.token in impatient for line in self.naive.cut_off()), "patience runs"

    @rule()
    def end_patience(self) -> None:
        """Which tokens wait for their server, and not for a slot or a lane, only the real one knows."""
        ends = self._ask(lambda party: party.expired(self.now))
        ended = dict.fromkeys(self.naive.calls[end.call].operation.token for end in ends)
        assert ends == self.naive.expired(self.now, ended)
        self.witness.settled(end.call for end in ends)
        impatient = self._ask(lambda party: party.impatient())
        assert all(self.naive.patience_ends(token) > self.now for token in impatient)

    @rule(picks=picks, outcome=outcomes, jitter=jitters, closed_for=closures)
    def end(self, picks: list[int], outcome: AttemptOutcome, jitter: float, closed_for: float) -> None:
        for token in self._flying(picks):
            self._end(token, outcome, jitter, closed_for)
        self._dispatch()

    @rule(picks=picks, failure=retried, jitter=jitters, closed_for=closures)
    def fail_for_now(self, picks: list[int], failure: Failed, jitter: float, closed_for: float) -> None:
        for token in self._flying(picks):
            self._end(token, failure, jitter, closed_for)
        self._dispatch()

    @rule(picks=picks, failure=unreachable, jitter=jitters)
    def find_no_server(self, picks: list[int], failure: Failed, jitter: float) -> None:
        for token in self._flying(picks):
            self._end(token, failure, jitter)
        self._dispatch()

    @rule(picks=picks, seconds=pauses, busy=st.booleans())
    def postpone(self, picks: list[int], seconds: float, busy: bool) -> None:
        for token in self._flying(picks):
            self._postpone(token, self.now + seconds, busy)
        self._dispatch()

    @rule(picks=picks)
    def dismiss(self, picks: list[int]) -> None:
        for token in self._flying(picks):
            lane = self.naive.lines[token].items[0].lane
            answer = self._ask(lambda party, token=token: party.dismiss(token, samples.NOT_DUE, self.now))  # type: ignore[misc]
            self._ended_unmade(answer, self.witness.called_off(token, lane, 0.0))
            assert answer == self.naive.dismiss(token, ErrorKind.NOT_DUE, self.now)
        self._dispatch()

    @rule(name=tokens, failure=refusals, seconds=pauses)
    def close(self, name: str, failure: Failed, seconds: float) -> None:
        token, until = samples.call(name).operation.token, self.now + seconds
        ends = self._ask(lambda party: party.close(token, failure, self.now, until))
        assert ends == self.naive.close(token, failure, self.now, until)
        self.witness.settled(end.call for end in ends)
        self.witness.closed(token, until)
        self._dispatch()

    @rule(picks=picks)
    def end_well(self, picks: list[int]) -> None:
        for token in self._flying(picks):
            self._end(token, samples.OK)
        self._dispatch()

    @precondition(lambda self: +self.naive.undelivered)
    @rule(data=st.data(), units=st.integers(1, 3))
    def charge(self, data: st.DataObject, units: int) -> None:
        lane = data.draw(st.sampled_from(sorted(+self.naive.undelivered)))
        for party in self.parties:
            party.scheduler.charge(party.lanes[lane], units)
        self.naive.charge(lane, units)
        self.witness.charged(lane, units)

    @precondition(lambda self: +self.naive.undelivered)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from(sorted(+self.naive.undelivered)))
        self._release(lane, data.draw(st.integers(1, self.naive.undelivered[lane])))
        self._dispatch()

    @precondition(lambda self: +self.naive.undelivered)
    @rule()
    def release_all(self) -> None:
        for lane, units in (+self.naive.undelivered).items():
            self._release(lane, units)
        self._dispatch()

    @rule(limit=st.sampled_from([1, 2, 3, 8]))
    def resize(self, limit: int) -> None:
        for party in self.parties:
            party.scheduler.resize(limit)
        self.naive.most = self.witness.most = limit
        self._dispatch()

    @rule(server=servers, limit=st.sampled_from([1, 1, 2, 8]))
    def resize_server(self, server: str, limit: int) -> None:
        for party in self.parties:
            party.scheduler.resize_server(server, limit)
        self.naive.per_server[server] = self.witness.per_server[server] = limit
        self._dispatch()

    @rule(seconds=pauses)
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self._next() is not None)
    @rule()
    def wait_for_the_next(self) -> None:
        self.now = max(self.now, self._next() or 0.0)

    @precondition(lambda self: self.naive.queued() > 4)
    @rule(data=st.data())
    def drain(self, data: st.DataObject) -> None:
        self._drain(data.draw(st.sampled_from(sorted(self.naive.rooms))))
        self._dispatch()

    @precondition(lambda self: self.naive.queued() > 12)
    @rule()
    def drain_all(self) -> None:
        self._drain(None)

    @precondition(lambda self: self.alone)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        self.withdraw_from(data.draw(st.sampled_from(sorted(self.alone))))

    # --- what holds after each of it ------------------------------------------------

    @invariant()
    def what_there_is_to_see_is_so(self) -> None:
        seen = self._ask(lambda party: party.scheduler.snapshot())
        states = Counter({state.name: count for state, count in seen.tokens.items()})
        states["READY"] += states.pop(State.PARKED.name, 0)  # waiting for a slot, or for a budget
        assert states == self.naive.states()
        assert seen.queued == len(self.witness.unsettled()) == self.naive.queued()
        assert seen.in_flight == len(self.witness.flying)
        assert +Counter(seen.servers) == self.witness.servers()
        assert Counter(seen.waiting_after) == self.naive.waiting_after()
        assert seen.down == self._ask(lambda party: party.scheduler.down()) == self.naive.down()

    @invariant()
    def it_is_known_when_the_next_comes_due(self) -> None:
        assert self._next() == self.naive.next_ready_at(self._ask(lambda party: party.impatient()))

    def teardown(self) -> None:
        """Whatever is left ends too, once attempts end, records are delivered and time passes."""
        if not hasattr(self, "witness"):
            return
        rounds = 4 * len(self.witness.unsettled()) + 8
        while self.witness.unsettled() and rounds:
            rounds -= 1
            self.release_all()
            self.end_patience()
            self.take_all()
            for token in list(self.witness.flying):
                self._end(token, samples.OK)
            self.wait_for_the_next()
        assert self.witness.unsettled() == []

    def withdraw_from(self, lane: str) -> None:
        call = self.alone[lane]
        gone = self._ask(lambda party: party.scheduler.withdraw(call, party.lanes[lane], now=self.now))
        assert gone == self.naive.withdraw(call, lane, self.now)
        if gone:
            self.witness.settled([call.id])
        self._dispatch()

    # --- how ------------------------------------------------------------------------

    def _ask(self, question: Callable[[Party], T]) -> T:
        first, second = (question(party) for party in self.parties)
        assert first == second, "same inputs, same trace"
        return first

    def _dispatch(self) -> None:
        if self.eager:
            self.end_patience()
            self.take_all()

    def _next(self) -> float | None:
        return self._ask(lambda party: party.scheduler.next_ready_at())

    def _open(self, kind: str, room: int) -> str:
        name = f"{kind}-{len(self.naive.rooms)}"
        self.naive.rooms[name] = self.witness.rooms[name] = room
        for party in self.parties:
            party.lanes[name] = samples.lane(room)
        return name

    def _add(self, token: str, server: str, lane: str, attempts: int = 0, due: float | None = None) -> Call:
        self.count += 1
        call = samples.call(f"{token}{self.count}", server=server)
        refused = self._ask(lambda party: party.add(call, lane, self.now, attempts, due))
        assert refused == self.naive.add(call, lane, self.now, attempts, due)
        if refused is None:
            self.witness.added(call, attempts, due)
        return call

    def _take(self) -> Leave | None:
        leave = self._ask(lambda party: party.take(self.now))
        if leave is not None:
            self.witness.started(leave, self.now)
        assert leave == self.naive.take(self.now)
        return leave

    def _flying(self, picks: list[int]) -> list[Token]:
        """Pick among the tokens in flight; nothing is in flight only when nothing can be."""
        if not self.witness.flying:
            self.take_all()
        flying = sorted(self.witness.flying, key=lambda token: token.id)
        return [flying[pick] for pick in picks if pick < len(flying)]

    def _end(self, token: Token, outcome: AttemptOutcome, jitter: float = 0.0, closed_for: float = 0.0) -> None:
        open_at = self.now + closed_for if closed_for else 0.0
        lane = self.naive.lines[token].items[0].lane
        answer = self._ask(lambda party: party.done(token, outcome, self.now, jitter, open_at))
        self.witness.told(token, outcome, self.now)
        self.witness.came_back(answer, token, max(open_at, self.now + self.limits.token_gap))
        if isinstance(answer.call, Again):
            self.witness.gave_back(lane, 1)
        if answer.following is not None:
            self.witness.sent(answer.following, self.now)
        assert answer == self.naive.done(token, outcome, self.now, jitter, open_at)

    def _postpone(self, token: Token, until: float, busy: bool) -> None:
        lane = self.naive.lines[token].items[0].lane
        answer = self._ask(lambda party: party.postpone(token, self.now, until, busy))
        name = self.witness.called_off(token, lane, 0.0 if busy or answer is not None else until)
        if answer is not None:
            self._ended_unmade(answer, name)
        assert answer == self.naive.postpone(token, self.now, until, busy)

    def _ended_unmade(self, answer: Answer, name: str) -> None:
        self.witness.ended_unmade(answer, name)
        if answer.following is not None:
            self.witness.sent(answer.following, self.now)

    def _release(self, lane: str, units: int) -> None:
        for party in self.parties:
            party.scheduler.release(party.lanes[lane], units)
        self.naive.release(lane, units)
        self.witness.gave_back(lane, units)

    def _drain(self, lane: str | None) -> None:
        gone = self._ask(lambda party: party.drain(lane, self.now))
        assert gone == self.naive.drain(lane, self.now)
        self.witness.settled(gone)


TIGHT: Final = Limits(max_in_flight=8, per_server=1)
added: Final = st.tuples(tokens, servers, st.sampled_from(["wide", "single", "alone"]))
moves: Final = added | st.integers(0, 1) | st.sampled_from(["deliver", "withdraw"])


@settings(max_examples=200)
@given(steps=st.lists(moves, min_size=10, max_size=60), eager=st.booleans())
def test_who_waits_for_a_server_and_a_lane_is_not_forgotten_where_both_are_short(
    steps: list[tuple[str, str, str] | int | str], eager: bool
) -> None:
    machine = SchedulerMachine()
    machine.begin(Setting(TIGHT, RetryPolicy(), "hold", eager), [])
    for step in steps:
        machine.let_time_pass(1.0)
        match step:
            case (token, server, "alone"):
                machine.add_alone(token, server)
            case (token, server, kind):
                machine.add(token, server, kind, 1)
            case int():
                machine.end_well([step])
            case "withdraw" if machine.alone:
                machine.withdraw_from(max(machine.alone))
            case _:
                machine.release_all()
        machine.what_there_is_to_see_is_so()
    machine.teardown()
    assert machine.witness.unsettled() == []


FEW: Final = Limits(max_in_flight=3, per_server=2, turn_calls=3)
PATIENT: Final = RetryPolicy(max_attempts=9, backoff=0.0, patience=8.0)
FRAGILE: Final = ServerPolicy(failures=2, reserve=1, calls_per_retry=2)
OUTCOMES: Final = {
    "ok": samples.OK,
    "fault": samples.failed(ErrorKind.SERVER_ERROR, status=500),
    "down": samples.UNREACHABLE,
    "nothing": samples.failed(ErrorKind.TIMEOUT),
}
ended: Final = st.tuples(st.sampled_from(["ok", "fault", "fault", "down", "down", "nothing"]), st.integers(0, 2))
troubles: Final = added | ended | ended | st.sampled_from(["wait", "put off", "deliver", "withdraw"])


@settings(max_examples=200)
@given(steps=st.lists(troubles, min_size=10, max_size=60), eager=st.booleans())
def test_nobody_is_forgotten_while_servers_come_and_go_and_retries_run_short(
    steps: list[tuple[str, str, str] | tuple[str, int] | str], eager: bool
) -> None:
    machine = SchedulerMachine()
    machine.begin(Setting(FEW, PATIENT, "hold", eager, FRAGILE), [])
    for step in steps:
        machine.let_time_pass(0.25)
        match step:
            case (token, server, "alone"):
                machine.add_alone(token, server)
            case (token, server, kind):
                machine.add(token, server, kind, 2)
            case (outcome, int(pick)):
                machine.end([pick], OUTCOMES[outcome], 0.0, 0.0)
            case "put off":
                machine.postpone([0], 1.0, busy=True)
            case "withdraw" if machine.alone:
                machine.withdraw_from(max(machine.alone))
            case "deliver":
                machine.release_all()
            case _:
                machine.let_time_pass(2.0)
                machine.end_patience()
        machine.what_there_is_to_see_is_so()
        machine.it_is_known_when_the_next_comes_due()
    machine.teardown()
    assert machine.witness.unsettled() == []


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=120, stateful_step_count=60)
