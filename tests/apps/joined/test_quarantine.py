"""After a take-over from a machine that went silent, what looked due then waits for its interval."""

from __future__ import annotations

import pytest

from wolkvox_async.apps.joined.quarantine import Quarantine, fetched, question_waits, token_waits, watched
from wolkvox_async.catalog import Endpoint
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.ports import Closed

from .desk import OPERATION, PARTITION, PARTITIONS, TOKEN, Desk

INTERVAL = 300.0
SUBSCRIPTION = Subscription(OPERATION, (Wanted(Endpoint("interactions")), Wanted(Endpoint("vision"))))


def watch() -> Quarantine:
    quarantine = Quarantine(watched(INTERVAL, None), question_waits, PARTITIONS, INTERVAL)
    quarantine.know([SUBSCRIPTION])
    return quarantine


async def test_what_is_not_known_may_have_been_asked_at_the_take_over() -> None:
    desk = Desk()
    now = desk.clock.utc()
    watch().apply(PARTITION, now.timestamp() - 20 + INTERVAL, desk.state, now)
    assert desk.state.since(TOKEN, "interactions") == pytest.approx(20, abs=0.01)
    assert desk.state.since(TOKEN, "vision") == pytest.approx(20, abs=0.01)


async def test_what_was_not_due_at_the_take_over_was_not_asked() -> None:
    desk = Desk()
    now = desk.clock.utc()
    desk.state.asked.learn(TOKEN, "interactions", now.timestamp() - 200)
    desk.state.asked.learn(TOKEN, "vision", now.timestamp() - 330)
    watch().apply(PARTITION, now.timestamp() - 20 + INTERVAL, desk.state, now)
    assert desk.state.since(TOKEN, "interactions") == pytest.approx(200, abs=0.01)
    assert desk.state.since(TOKEN, "vision") == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize("until", [None, -1.0])
async def test_without_a_quarantine_nothing_waits(until: float | None) -> None:
    desk = Desk()
    now = desk.clock.utc()
    watch().apply(PARTITION, None if until is None else now.timestamp() + until, desk.state, now)
    assert desk.state.since(TOKEN, "interactions") is None


async def test_other_partitions_are_left_alone() -> None:
    desk = Desk()
    now = desk.clock.utc()
    watch().apply((PARTITION + 1) % PARTITIONS, now.timestamp() + INTERVAL, desk.state, now)
    assert desk.state.since(TOKEN, "interactions") is None


async def test_in_a_pass_the_token_waits_and_its_calls_are_not_skipped() -> None:
    desk = Desk()
    await desk.take(for_seconds=1000.0)
    quarantine = Quarantine(fetched(INTERVAL, None), token_waits, PARTITIONS, INTERVAL)
    quarantine.know([SUBSCRIPTION])
    now = desk.clock.utc()
    quarantine.apply(PARTITION, now.timestamp() - 20 + INTERVAL, desk.state, now)
    claim = desk.state.claim(TOKEN)
    assert isinstance(claim, Closed)
    assert claim.seconds == pytest.approx(280, abs=0.01)
    assert desk.state.since(TOKEN, "interactions") is None
