"""Each server is worth so many retries; who finds none left waits without a slot, until there is one again."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice, product
from string import ascii_uppercase
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.model import ErrorKind, Failed
from wolkvox_async.scheduling.allowance import Allowance
from wolkvox_async.scheduling.queues import State
from wolkvox_async.scheduling.retry import RetryPolicy, ServerPolicy

from .desk import Desk
from .samples import OK, UNREACHABLE, failed, lane

FAULT: Final = failed(ErrorKind.SERVER_ERROR, status=500)
BUSY: Final = failed(ErrorKind.TOKEN_BUSY, 0.0)
SERVER: Final = "0001"
NEVER: Final = 2**60  # first attempts, or seconds: no retry comes back


def worth(retries: int, *, seconds: float = NEVER, calls: int = NEVER, failures: int = 3) -> ServerPolicy:
    """Return a policy by which a server that takes one call at once is worth so many retries."""
    return ServerPolicy(failures, reserve=retries, seconds_per_retry=seconds, calls_per_retry=calls)


def desk_with(left: int, *, patience: float = 300.0, **policy: Any) -> Desk:
    """Return a desk at which so many retries are left, one having been in vain; its server takes 100 at once."""
    policy = {"retry": RetryPolicy(max_attempts=2, patience=patience), "servers": worth(left + 1, **policy)}
    desk = Desk(per_server=1, **policy)
    desk.scheduler.resize_server(SERVER, 100)
    desk.add("Z0")
    desk.start()
    desk.end("Z0", FAULT)
    desk.end("Z0", FAULT)
    assert desk.scheduler.snapshot().queued == 0
    return desk


def short(*names: str, left: int = 0, **policy: Any) -> Desk:
    """Return such a desk at which those calls have failed once, at 0 s, and may be tried again from 0.5 s on."""
    desk = desk_with(left, **policy)
    desk.add(*names)
    desk.start()
    for name in names:
        desk.end(name, FAULT, jitter=0.5)
    desk.now = 0.5
    return desk


def many(number: int) -> list[str]:
    """Return the names of one call each of so many tokens."""
    return ["".join(letters) + "0" for letters in islice(product(ascii_uppercase, repeat=3), number)]


# --- what it holds ------------------------------------------------------------------------------


@given(
    at_once=st.sampled_from([1, 2, 32]),
    reserve=st.integers(1, 4),
    steps=st.lists(st.sampled_from(["draw", "give back", "earn", "wait"]), max_size=60),
)
def test_it_is_a_bucket_of_retries_that_nothing_fills_beyond_its_reserve(
    at_once: int, reserve: int, steps: list[str]
) -> None:
    allowance = Allowance(ServerPolicy(reserve=reserve, seconds_per_retry=4.0, calls_per_retry=8), at_once)
    most = Fraction(reserve * at_once)
    left, now = most, 0.0
    for step in steps:
        assert (allowance.next_at <= now) == (left >= 1)
        if step == "wait":
            now += 0.75
            left += Fraction(3, 4) * at_once / 4
        elif step == "earn":
            allowance.first_attempts += 1
            left += Fraction(1, 8)
        elif step == "give back":
            allowance.give_back()
            left += 1
        elif left >= 1:
            allowance.draw(now)
            left -= 1
        left = min(left, most)


@given(parts=st.lists(st.integers(1, 16), min_size=1, max_size=8))
def test_parts_of_a_limit_are_worth_as_many_retries_as_the_whole(parts: list[int]) -> None:
    def retries_within(seconds: float, at_once: int) -> int:
        allowance, drawn, now = Allowance(ServerPolicy(), at_once), 0, 0.0
        while (now := max(now, allowance.next_at)) <= seconds:
            allowance.draw(now)
            drawn += 1
        return drawn

    # Beside the moments at which one comes back.
    assert sum(retries_within(1e-6, part) for part in parts) == retries_within(1e-6, sum(parts)) == 3 * sum(parts)
    assert sum(retries_within(30 + 1e-6, part) for part in parts) == retries_within(30 + 1e-6, sum(parts))


@pytest.mark.parametrize(("left", "started"), [(0, []), (1, ["A0"]), (2, ["A0", "B0"]), (9, ["A0", "B0", "C0"])])
def test_a_retry_draws_on_the_budget_and_waits_without_a_slot_when_it_is_empty(left: int, started: list[str]) -> None:
    desk = short("A0", "B0", "C0", left=left)
    assert desk.start() == started
    seen = desk.scheduler.snapshot()
    assert (seen.in_flight, seen.tokens[State.PARKED]) == (len(started), 3 - len(started))


# --- what fills it ------------------------------------------------------------------------------


def test_first_attempts_refill_it() -> None:
    desk = short("A0", "B0", calls=4)  # whose own were two
    desk.add("C0", "D0", "E0", "F0")
    assert desk.start() == ["C0", "D0", "E0", "F0"]
    desk.end("C0")
    assert desk.start() == []
    desk.end("D0")
    assert desk.start() == ["A0"]
    desk.end("E0")
    desk.end("F0", FAULT)
    assert desk.start() == []


def test_retries_in_vain_do_not_refill_it() -> None:
    desk = short("A0", "B0", left=1)
    assert desk.start() == ["A0"]
    desk.end("A0", FAULT)
    assert desk.start() == []


def test_a_retry_that_ends_well_makes_room_for_the_next() -> None:
    desk = short("A0", "B0", "C0", left=1)
    assert desk.start() == ["A0"]
    desk.end("A0")
    assert desk.start() == ["B0"]
    desk.end("B0")
    assert desk.start() == ["C0"]


def test_a_retry_that_is_put_off_has_drawn_on_nothing() -> None:
    desk = short("A0", "B0", left=1)
    assert desk.start() == ["A0"]
    desk.postpone("A0", until=60)
    assert desk.start() == ["B0"]


def test_with_time_one_comes_back_after_the_other_and_it_is_known_when() -> None:
    desk = short("A0", "B0", "C0", seconds=2.0)
    assert desk.start() == []
    for moment, name in ((2.0, "A0"), (4.0, "B0"), (6.0, "C0")):
        assert desk.scheduler.next_ready_at() == moment
        desk.now = moment - 0.25
        assert desk.start() == []
        desk.now = moment
        assert desk.start() == [name]
        desk.end(name, FAULT)


def test_time_fills_it_up_to_the_reserve_only() -> None:
    desk = short("A0", "B0", "C0", left=1, seconds=2.0)
    desk.now = 100.0
    assert desk.start() == ["A0", "B0"]


def test_a_retry_that_came_back_while_all_slots_were_taken_is_used_when_one_is_free() -> None:
    desk = short("A0", seconds=2.0)
    desk.scheduler.resize_server(SERVER, 1)
    desk.add("B0")
    assert desk.start() == ["B0"]
    desk.now = 3.0
    assert desk.start() == []
    assert desk.scheduler.next_ready_at() == 300.5  # nothing but patience: whoever polls would poll in vain
    desk.end("B0")
    assert desk.start() == ["A0"]


def test_after_a_storm_of_failures_a_server_that_is_healthy_again_gets_every_retry_well_within_patience() -> None:
    names = many(2000)
    desk = Desk(max_in_flight=32)
    desk.add(*names)
    for _ in range(2000):
        desk.end((desk.flying or desk.start())[0], FAULT, jitter=0.5)
    desk.now, in_vain = 1.0, 0
    while desk.scheduler.snapshot().queued:
        assert desk.expire() == {}
        for name in desk.flying or desk.wait():
            in_vain += 1
            desk.end(name, FAULT if in_vain < 150 else OK, jitter=0.5)
    assert desk.now < 60


def test_a_server_that_fails_for_good_sees_no_more_retries_than_the_budget_has() -> None:
    names = many(2000)
    desk = Desk()
    desk.add(*names)
    while desk.scheduler.snapshot().queued:
        desk.expire()
        for name in desk.flying or desk.wait():
            desk.end(name, FAULT, jitter=0.5)
    policy = ServerPolicy()
    with_time = desk.now * 32 / policy.seconds_per_retry
    assert len(desk.sent) - 2000 <= 32 * policy.reserve + 2000 / policy.calls_per_retry + with_time
    assert desk.now <= 2 * RetryPolicy().patience


# --- who waits for it -----------------------------------------------------------------------------


def test_those_who_wait_for_a_retry_are_seen_with_the_time_by_which_all_have_had_one() -> None:
    desk = short("A0", "B0", "C0", seconds=2.0)
    assert desk.scheduler.short() == {}
    desk.start()
    assert desk.scheduler.short() == desk.scheduler.snapshot().short == {SERVER: 6.0}
    assert desk.wait() == ["A0"]
    assert desk.scheduler.short() == {SERVER: 6.0}
    desk.end("A0")
    assert desk.start() == ["B0"]
    desk.end("B0")
    assert desk.start() == ["C0"]
    assert desk.scheduler.short() == {}


def test_a_turn_does_not_go_on_with_a_retry_that_cannot_be_afforded() -> None:
    desk = desk_with(0)
    desk.add("A0")
    desk.start()
    assert desk.end("A0", FAULT).following is None
    assert desk.start() == []


def test_waiting_for_a_busy_token_draws_on_nothing() -> None:
    desk = desk_with(0)
    desk.add("A0")
    desk.start()
    for _ in range(5):
        assert desk.end("A0", BUSY).following is not None


def test_a_probe_draws_on_nothing_and_finds_the_way_with_an_empty_budget() -> None:
    desk = desk_with(0, failures=1)
    desk.add("A0", "B0")
    desk.start()
    desk.end("A0", FAULT)
    assert desk.start() == []
    desk.end("B0", UNREACHABLE)
    assert desk.wait() == ["A0"]
    desk.end("A0", UNREACHABLE)
    assert desk.wait() == ["B0"]
    desk.end("B0")
    assert desk.start() == ["A0"]


def test_when_patience_is_over_the_retry_ends_with_its_last_failure_and_holds_the_pass() -> None:
    desk = short("A0", patience=5)
    desk.add("A1")
    desk.add("A2", lane=lane())
    assert desk.start() == []
    assert desk.scheduler.next_ready_at() == 5.5
    desk.now = 5.25
    assert desk.expire() == {}
    desk.now = 5.5
    ends = desk.expire()
    assert (ends["A0"].outcome, ends["A0"].attempts) == (FAULT, 1)
    assert not isinstance(ends["A1"].outcome, Failed)
    assert desk.start() == ["A2"]


def test_who_waits_for_a_retry_waits_for_the_server_when_that_goes_down() -> None:
    desk = short("A0", patience=5)
    desk.start()
    desk.now = 4
    desk.add("B0", "C0", "D0")
    desk.start()
    for name in ("B0", "C0", "D0"):
        desk.end(name, UNREACHABLE)
    assert desk.scheduler.short() == {}
    desk.now = 4.25
    assert desk.expire() == {}
    assert desk.wait() == ["A0"]


def test_a_retry_that_waits_lets_other_calls_of_its_server_pass() -> None:
    desk = short("A0")
    desk.scheduler.resize_server(SERVER, 1)
    desk.add("B0")
    assert desk.start() == ["B0"]
