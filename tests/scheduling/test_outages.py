"""Servers that are down: who probes, who waits, for how long, and what it costs the others."""

from __future__ import annotations

from typing import Any, Final

import pytest

from wolkvox_async.model import AttemptOutcome, Call, ErrorKind, Failed, Operation, Outcome, Token
from wolkvox_async.scheduling.decisions import Attempt, Ended, Requeued, Settled
from wolkvox_async.scheduling.queues import SerialQueue, State
from wolkvox_async.scheduling.retry import RetryPolicy, ServerPolicy
from wolkvox_async.scheduling.scheduler import Scheduler
from wolkvox_async.scheduling.servers import Server

from .desk import Desk
from .samples import EMPTY, OK, UNREACHABLE, call, failed, lane

SILENCE: Final = failed(ErrorKind.TIMEOUT)


def cut_off(*names: str, **parts: Any) -> Desk:
    """Return a desk at which A0 found its server down at 0 s; `names` wait for it too, the probe is due at 0.5 s."""
    desk = Desk(servers=ServerPolicy(failures=1), **parts)
    desk.add("A0", *names)
    desk.start()
    for name in desk.flying:
        desk.end(name, UNREACHABLE)
    assert desk.start() == []
    return desk


def kind(outcome: Outcome) -> ErrorKind:
    assert isinstance(outcome, Failed)
    return outcome.error.kind


# --- probes -----------------------------------------------------------------------------


def test_after_three_failures_in_a_row_one_probe_goes_out_and_nothing_else() -> None:
    desk = Desk()
    desk.add("A0", "B0", "C0")
    desk.start()
    for name in ("A0", "B0", "C0"):
        desk.end(name, UNREACHABLE, jitter=0.5)
    desk.add("D0", "E0")
    assert desk.start() == []
    desk.now = 0.74
    assert desk.start() == []
    desk.now = 0.75
    assert desk.start() == ["D0"]
    desk.now = 10
    assert desk.start() == []


def test_the_turn_of_the_call_that_found_the_server_down_is_over() -> None:
    desk = cut_off("A1")
    assert desk.flying == []
    assert desk.scheduler.snapshot().in_flight == 0


def test_a_turn_that_was_under_way_ends_as_well() -> None:
    desk = Desk(servers=ServerPolicy(failures=1))
    desk.add("A0", "B0", "B1")
    desk.start()
    desk.end("A0", UNREACHABLE)
    assert desk.end("B0", SILENCE, jitter=0.5, open_at=1.0).following is None
    assert desk.start() == []


def test_who_probes_rotates() -> None:
    desk = cut_off("B0", "C0", per_server=1)
    probes = []
    for _ in range(6):
        (probe,) = desk.wait()
        probes.append(probe)
        desk.end(probe, UNREACHABLE)
    assert probes == ["B0", "C0", "A0", "B0", "C0", "A0"]


def test_a_token_without_room_in_its_lane_is_passed_over() -> None:
    desk, narrow = Desk(servers=ServerPolicy(failures=1)), lane(1)
    desk.add("Z0", server="0002", lane=narrow)
    desk.add("A0")
    desk.start()
    desk.add("B0", lane=narrow)
    desk.end("A0", UNREACHABLE)
    assert desk.wait() == ["A0"]
    desk.end("A0", UNREACHABLE)
    desk.end("Z0")
    assert desk.wait() == ["B0"]


def test_a_probe_that_works_lets_everybody_go_on() -> None:
    desk = cut_off("A1", "B0", "C0")
    assert desk.wait() == ["A0"]
    desk.end("A0")
    assert desk.flying == ["A1"]
    assert desk.start() == ["B0", "C0"]
    assert desk.scheduler.down() == {}


def test_no_more_go_on_than_the_server_has_slots_for() -> None:
    desk = cut_off("B0", "C0", "D0", per_server=2)
    (probe,) = desk.wait()
    desk.end(probe)
    assert len(desk.start()) == 2


@pytest.mark.parametrize("outcome", [OK, EMPTY, failed(ErrorKind.BAD_REQUEST, status=400)])
def test_an_answer_to_an_attempt_that_was_under_way_opens_the_way_again(outcome: AttemptOutcome) -> None:
    desk = Desk(servers=ServerPolicy(failures=1))
    desk.add("A0", "B0")
    desk.start()
    desk.end("A0", UNREACHABLE)
    desk.end("B0", outcome)
    assert desk.start() == ["A0"]


def test_what_was_in_flight_and_fails_later_does_not_put_off_the_probe() -> None:
    desk = Desk(servers=ServerPolicy(failures=1))
    desk.add("A0", "B0", "C0")
    desk.start()
    desk.end("A0", UNREACHABLE)
    desk.now = 0.4
    desk.end("B0", UNREACHABLE, jitter=0.9)
    desk.end("C0", SILENCE, jitter=0.9)
    assert desk.start() == []
    assert desk.scheduler.next_ready_at() == 0.5


def test_a_probe_that_meets_silence_is_followed_by_another_one_after_the_pause() -> None:
    desk = cut_off("B0")
    assert desk.wait() == ["A0"]
    desk.now = 65.5
    desk.end("A0", SILENCE, open_at=130)
    assert desk.start() == []
    assert desk.scheduler.next_ready_at() == 66.5
    assert desk.wait() == ["B0"]


def test_a_probe_that_is_put_off_leaves_it_to_another_token() -> None:
    desk = cut_off("B0")
    assert desk.wait() == ["A0"]
    desk.postpone("A0", until=60)
    assert desk.start() == ["B0"]


def test_when_the_probes_call_is_dismissed_the_next_one_of_its_token_is_the_probe() -> None:
    desk = Desk(servers=ServerPolicy(failures=1))
    desk.add("A0", "B0")
    desk.start()
    desk.end("A0", UNREACHABLE)
    desk.end("B0", UNREACHABLE)
    desk.add("C0", "C1")
    assert desk.wait() == ["A0"]
    desk.end("A0", UNREACHABLE)
    assert desk.wait() == ["B0"]
    desk.end("B0", UNREACHABLE)
    assert desk.wait() == ["C0"]
    assert desk.dismiss("C0").following is not None
    assert desk.flying == ["C1"]
    assert desk.start() == []


def test_a_call_that_was_withdrawn_before_it_was_the_probe_leaves_it_to_another() -> None:
    desk, own = Desk(servers=ServerPolicy(failures=1), max_in_flight=1), lane(1)
    desk.add("A0")
    desk.start()
    desk.add("B0", lane=own)
    desk.add("C0")
    desk.end("A0", UNREACHABLE)
    assert desk.start() == []
    desk.add("Z0", server="0002")
    desk.start()
    desk.now = 0.5
    assert desk.start() == []
    assert desk.scheduler.withdraw(call("B0"), own, now=0.5)
    desk.end("Z0")
    assert desk.start() == ["C0"]


# --- what waits costs nothing ---------------------------------------------------------------


def test_calls_that_wait_for_a_server_hold_no_slot_and_no_room_in_their_lane() -> None:
    desk, narrow = Desk(servers=ServerPolicy(failures=1), max_in_flight=1, per_server=1), lane(1)
    desk.add("A0", "B0", "C0", lane=narrow)
    desk.add("D0", server="0002", lane=narrow)
    desk.start()
    desk.end("A0", UNREACHABLE)
    assert desk.start() == ["D0"]
    desk.end("D0")
    assert desk.start() == []
    assert desk.scheduler.snapshot().tokens[State.PARKED] == 3
    assert narrow.budget.used == 0


def test_the_retry_after_of_a_server_that_is_down_is_for_the_call_that_got_it() -> None:
    desk = Desk(servers=ServerPolicy(failures=1))
    desk.add("A0", "B0")
    desk.start()
    desk.end("B0", UNREACHABLE)
    answer = desk.end("A0", failed(ErrorKind.SERVER_ERROR, 30, status=503))
    assert isinstance(answer, Requeued)
    assert answer.ready_at == 30
    for _ in range(3):
        assert desk.wait() == ["B0"]
        desk.end("B0", UNREACHABLE)


def test_failures_of_a_server_that_is_down_use_up_no_attempts() -> None:
    desk = Desk(servers=ServerPolicy(failures=1), retry=RetryPolicy(max_attempts=2))
    desk.add("A0")
    desk.start()
    desk.end("A0", UNREACHABLE)
    for number in (2, 3, 4):
        assert desk.wait() == ["A0"]
        assert desk.number("A0") == number
        assert isinstance(desk.end("A0", UNREACHABLE), Requeued)


def test_failures_before_the_server_counts_as_down_use_up_attempts() -> None:
    desk = Desk(servers=ServerPolicy(failures=3), retry=RetryPolicy(max_attempts=3))
    desk.add("A0")
    for _ in range(2):
        desk.start()
        assert isinstance(desk.end("A0", UNREACHABLE), Requeued)
        desk.now += 1
    desk.start()
    assert isinstance(desk.end("A0", UNREACHABLE), Settled)


# --- patience -----------------------------------------------------------------------------------


def test_when_patience_is_over_tried_calls_keep_their_failure_and_the_others_were_never_sent() -> None:
    desk = cut_off("A1", "B0", per_server=1, retry=RetryPolicy(patience=0.25))
    assert desk.scheduler.next_ready_at() == 0.25
    desk.now = 0.25
    ends = desk.expire()
    assert {name: (kind(end.outcome), end.attempts) for name, end in ends.items()} == {
        "A0": (ErrorKind.CONNECT, 1),
        "A1": (ErrorKind.SERVER_DOWN, 0),
        "B0": (ErrorKind.SERVER_DOWN, 0),
    }
    assert desk.scheduler.snapshot().queued == 0
    assert desk.scheduler.next_ready_at() is None


def test_a_call_that_was_never_sent_says_since_when_its_server_is_down_and_what_to_do() -> None:
    desk = Desk(servers=ServerPolicy(failures=1, first_pause=60), retry=RetryPolicy(patience=7))
    desk.add("A0", "A1")
    desk.start()
    desk.end("A0", UNREACHABLE)
    assert desk.start() == []
    desk.now = 7
    outcome = desk.expire()["A1"].outcome
    assert isinstance(outcome, Failed)
    assert "server 0001 has been down for 7 s" in outcome.error.message
    assert "call again later" in outcome.error.message


def test_a_call_that_was_added_later_has_its_own_patience() -> None:
    desk = cut_off(retry=RetryPolicy(patience=0.25))
    desk.now = 0.125
    desk.add("A1", "B0")
    desk.start()
    desk.now = 0.25
    assert list(desk.expire()) == ["A0"]
    desk.start()
    assert desk.scheduler.next_ready_at() == 0.375
    desk.now = 0.375
    assert sorted(desk.expire()) == ["A1", "B0"]


def test_the_patience_of_a_call_does_not_begin_anew_with_each_probe() -> None:
    desk = cut_off(retry=RetryPolicy(patience=10))
    while not (ends := desk.expire()):
        for name in desk.wait():
            desk.end(name, UNREACHABLE)
    assert (desk.now, kind(ends["A0"].outcome)) == (10, ErrorKind.CONNECT)


def test_a_probe_that_comes_back_when_patience_is_over_ends_its_call_and_holds_nothing() -> None:
    desk = cut_off("A1", retry=RetryPolicy(patience=5))
    desk.add("A2", server="0002")
    assert desk.wait() == ["A0"]
    desk.now = 5
    answer = desk.end("A0", UNREACHABLE)
    assert isinstance(answer, Settled)
    assert answer.skipped == ()
    desk.start()
    assert list(desk.expire()) == ["A1"]
    assert desk.start() == ["A2"]


def test_without_patience_nobody_waits_but_somebody_probes() -> None:
    desk = cut_off("A1", "B0", retry=RetryPolicy(patience=0))
    assert list(desk.expire()) == ["A0", "A1"]
    desk.now = 0.25
    desk.add("C0")
    assert desk.start() == []
    assert list(desk.expire()) == ["C0"]
    desk.now = 100
    desk.add("D0", "E0")
    assert desk.expire() == {}
    assert desk.start() == ["D0"]
    assert list(desk.expire()) == ["E0"]
    desk.end("D0")
    desk.add("F0", "G0")
    assert desk.start() == ["F0", "G0"]


def test_who_was_woken_to_be_the_probe_does_not_end_while_it_waits_for_a_slot() -> None:
    desk = Desk(servers=ServerPolicy(failures=1), retry=RetryPolicy(patience=0.5), max_in_flight=1)
    desk.add("A0", "B0", "C0")
    desk.start()
    desk.end("A0", UNREACHABLE)
    assert desk.start() == []
    desk.add("Z0", server="0002")
    assert desk.start() == ["Z0"]
    desk.now = 0.5
    assert sorted(desk.expire()) == ["A0", "C0"]
    desk.end("Z0")
    assert desk.start() == ["B0"]


def test_who_finds_the_probe_due_and_no_slot_free_waits_for_the_slot_and_not_for_a_time_that_is_over() -> None:
    desk = Desk(servers=ServerPolicy(failures=1), per_server=2)
    desk.add("A0", "B0")
    desk.start()
    desk.end("A0", UNREACHABLE)
    desk.scheduler.resize_server("0001", 1)
    desk.now = 10
    assert desk.start() == []
    assert desk.scheduler.next_ready_at() == 300  # when patience ends
    desk.end("B0", SILENCE)
    assert desk.start() == ["A0"]


def test_those_who_come_to_wait_for_a_server_again_and_again_do_not_pile_up_there() -> None:
    server = Server("0001", 1, ServerPolicy(), patience=300)
    server.circuit.opened_at = 0.0
    queues = [SerialQueue(call("A0"), lane(), added=0.0) for _ in range(1_000)]
    for stamp, queue in enumerate(queues):
        queue.stamp = stamp
        server.parked.push(queue)
        server.park_while_down(queue, 0.0)
        if queue is not queues[-1]:
            server.parked.leave(queue)
    assert len(server._waits) < 200
    assert server.out_of_patience_first() is queues[-1]


def test_nothing_is_due_at_a_server_that_is_down_when_nobody_has_a_call_for_it() -> None:
    desk = cut_off(retry=RetryPolicy(patience=0.25))
    desk.now = 0.25
    desk.expire()
    assert desk.scheduler.next_ready_at() is None
    assert desk.scheduler.down() == desk.scheduler.snapshot().down == {"0001": 0.5}


# --- what it costs --------------------------------------------------------------------------------


class World:
    """Many tokens at healthy servers, which need a second for each call, and at one that is dead."""

    def __init__(self, calls: int, *, dead: bool) -> None:
        self.scheduler: Final = Scheduler()
        self.sent: Final[list[Attempt]] = []
        self.ended: list[Ended] = []
        self.finished_at = 0.0  # the healthy ones
        room = lane()
        for n in range(calls):
            for server in ("0001", "0002", "0003", "dead")[: 4 if dead else 3]:
                operation = Operation("acme", f"{server}-{n}", server, Token(f"made-up-token-{server}-{n}"))
                self.scheduler.add(Call(operation.name, operation, "vision", "information", ()), room, now=0.0)

    def run(self) -> World:
        now, flying = 0.0, dict[float, list[Attempt]]()
        while True:
            self.ended += self.scheduler.expired(now=now)
            while (attempt := self.scheduler.take(now=now)) is not None:
                self._send(attempt, now, flying)
            times = [*flying, self.scheduler.next_ready_at()]
            if not (coming := [time for time in times if time is not None]):
                return self
            now = max(now, min(coming))
            for attempt in flying.pop(now, []):
                self._end(attempt, now, flying)

    def _send(self, attempt: Attempt, now: float, flying: dict[float, list[Attempt]]) -> None:
        self.sent.append(attempt)
        takes = 0.125 if attempt.call.operation.server == "dead" else 1.0
        flying.setdefault(now + takes, []).append(attempt)

    def _end(self, attempt: Attempt, now: float, flying: dict[float, list[Attempt]]) -> None:
        dead = attempt.call.operation.server == "dead"
        answer = self.scheduler.done(attempt, UNREACHABLE if dead else OK, now=now, jitter=0.5)
        self.ended += [answer.ended] if isinstance(answer, Settled) else []
        self.finished_at = self.finished_at if dead else now
        if answer.following is not None:
            self._send(answer.following, now, flying)


def test_a_dead_server_costs_at_most_eleven_attempts_for_ten_calls_and_delays_nobody() -> None:
    world = World(100, dead=True).run()
    assert sum(attempt.call.operation.server == "dead" for attempt in world.sent) <= 110
    assert len(world.ended) == 400
    assert world.finished_at == World(100, dead=False).run().finished_at


def test_what_a_dead_server_costs_does_not_grow_with_its_calls() -> None:
    costs = [len(world.sent) - 3 * n for n in (40, 160) for world in [World(n, dead=True).run()]]
    assert costs[0] == costs[1] <= 44
