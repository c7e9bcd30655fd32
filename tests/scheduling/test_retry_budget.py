"""Each server is worth so many retries; who finds none left waits without a slot."""

from __future__ import annotations

from typing import Any, Final

import pytest

from wolkvox_async.model import ErrorKind, Failed
from wolkvox_async.scheduling.retry import RetryPolicy, ServerPolicy

from .desk import Desk
from .samples import UNREACHABLE, failed, lane

FAULT: Final = failed(ErrorKind.SERVER_ERROR, status=500)
BUSY: Final = failed(ErrorKind.TOKEN_BUSY, 0.0)


def short(*names: str, reserve: int = 0, calls_per_retry: int = 2, patience: float = 300.0, **limits: Any) -> Desk:
    """Return a desk at which those calls have failed once, and may be tried again if there are retries left."""
    servers = ServerPolicy(reserve=reserve, calls_per_retry=calls_per_retry)
    desk = Desk(servers=servers, retry=RetryPolicy(patience=patience), **limits)
    desk.add(*names)
    while flying := desk.flying or desk.start():
        desk.end(flying[0], FAULT, jitter=0.5)
    desk.now = 0.5
    return desk


def test_a_server_is_worth_its_reserve_and_one_retry_for_every_ten_first_attempts() -> None:
    policy = ServerPolicy()
    assert [policy.retries(firsts) for firsts in (0, 9, 10, 1000)] == [100, 100, 101, 200]


@pytest.mark.parametrize(("reserve", "started"), [(0, []), (1, ["A0"]), (2, ["A0", "B0"]), (9, ["A0", "B0", "C0"])])
def test_a_retry_draws_on_the_budget_and_waits_when_it_is_empty(reserve: int, started: list[str]) -> None:
    desk = short("A0", "B0", "C0", reserve=reserve, calls_per_retry=10)
    assert desk.start() == started
    assert desk.scheduler.snapshot().in_flight == len(started)


def test_first_attempts_refill_it() -> None:
    desk = short("A0", "B0", calls_per_retry=4)
    desk.add("C0", "D0", "E0", "F0")
    assert desk.start() == ["C0", "D0", "E0", "F0"]
    desk.end("C0")
    assert desk.start() == []
    desk.end("D0")
    assert desk.start() == ["A0"]
    desk.end("E0")
    desk.end("F0")
    assert desk.start() == []


def test_retries_do_not_refill_it() -> None:
    desk = short("A0", "B0", reserve=1, calls_per_retry=3)
    assert desk.start() == ["A0"]
    desk.end("A0", FAULT)
    assert desk.start() == []


def test_a_turn_does_not_go_on_with_a_retry_that_cannot_be_afforded() -> None:
    desk = Desk(servers=ServerPolicy(reserve=0))
    desk.add("A0")
    desk.start()
    assert desk.end("A0", FAULT).following is None
    assert desk.start() == []


def test_waiting_for_a_busy_token_draws_on_nothing() -> None:
    desk = Desk(servers=ServerPolicy(reserve=0))
    desk.add("A0")
    desk.start()
    for _ in range(5):
        assert desk.end("A0", BUSY).following is not None


def test_a_probe_draws_on_nothing_and_finds_the_way_with_an_empty_budget() -> None:
    desk = Desk(servers=ServerPolicy(failures=1, reserve=0))
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


def test_a_retry_that_is_put_off_has_drawn_on_nothing() -> None:
    desk = short("A0", "B0", reserve=1, calls_per_retry=10)
    assert desk.start() == ["A0"]
    desk.postpone("A0", until=60)
    assert desk.start() == ["B0"]


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
    desk.now = 4.25
    assert desk.expire() == {}
    assert desk.wait() == ["A0"]


def test_a_retry_that_waits_lets_other_calls_of_its_server_pass() -> None:
    desk = short("A0", per_server=1)
    desk.add("B0")
    assert desk.start() == ["B0"]
