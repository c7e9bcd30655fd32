"""What `plan --watch` says of delays, gaps and closing readings is what the engine then does, in virtual time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.apps.virtual import APIS, Shape, by_chance, constant, watched
from tests.engine.stage import many, subscription
from wolkvox_async.apps.delays import closings, steady, worst_by_operation
from wolkvox_async.apps.rehearsal import Scene
from wolkvox_async.apps.timetables import settled
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.leads import LeadTerms
from wolkvox_async.scheduling.subjects import Subject, Subjects

pytestmark = pytest.mark.looptime

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT = round(NOW.timestamp() * 1000)
INTERVAL = 300_000
SECOND = range(AT + INTERVAL, AT + 2 * INTERVAL)  # the interval that is judged
MOMENT = 0.01  # seconds: the engine's wall clock counts whole milliseconds


def subjects(shape: Shape, now: datetime = NOW) -> list[Subject]:
    return list(Subjects(300.0).of(shape.subscriptions, now))


def scene(shape: Shape) -> Scene:
    return Scene(shape.seconds, shape.limits)


SHAPES = {
    "a server with few slots": Shape(many(200, APIS[:2]), constant, Limits(per_server=2)),
    "few slots in all": Shape(many(200, APIS[:2], servers=30), constant, Limits(2)),
    "latencies by chance": Shape(many(200, APIS[:2], servers=3), by_chance, Limits(per_server=2)),
    "a token with every endpoint": Shape([subscription("a/b", APIS)], lambda _o, _a: 8.0),
    "a token with pauses": Shape([subscription("a/b", APIS)], lambda _o, _a: 5.0, Limits(token_gap=3.0)),
    "a token with too much to do": Shape([subscription("a/b", APIS)], lambda _o, _a: 15.0),
    "a server with too much to do": Shape(many(100), lambda _o, _a: 4.0, Limits(per_server=1)),
    "a server that just bears it": Shape(many(100), lambda _o, _a: 2.9, Limits(per_server=1)),
}


@pytest.mark.parametrize("name", SHAPES)
async def test_delays_and_gaps_are_those_of_the_engine(name: str) -> None:
    shape = SHAPES[name]
    found, seen = steady(subjects(shape), scene(shape), AT), await watched(shape, NOW, timedelta(minutes=15))
    worst = seen.worst(SECOND)
    for subject, late in zip(subjects(shape), found.worst, strict=True):
        assert late == pytest.approx(worst.get((subject.operation.path, subject.api), 0.0), abs=MOMENT)
    assert sum(found.lost) == sum(at in SECOND for at in seen.lost)
    assert found.flying.most_in_all == seen.most_in_flight


async def test_closing_readings_are_answered_when_the_engine_has_them_answered() -> None:
    shape = Shape(many(30, APIS[3:6], servers=2), lambda _o, _a: 2.0, Limits(per_server=4))
    turn = datetime(2026, 12, 1, 5, tzinfo=UTC)
    start = turn - timedelta(minutes=70)
    watching = subjects(shape, start)
    leads = settled(watching, LeadTerms(65.0, 60.0, 4, 1000), shape.seconds)
    (closing,) = closings(watching, scene(shape), leads, round(start.timestamp() * 1000))
    seen = await watched(shape, start, timedelta(minutes=71))
    assert (closing.turn, closing.readings, closing.late) == (round(turn.timestamp() * 1000), 90, ())
    assert set(closing.delays.answered) == set(range(90))
    # Leads are measured: the engine's still lie within a hundredth of what they settle at.
    assert closing.last == pytest.approx(max(seen.answered.values()), abs=2_000)
    assert len(seen.answered) == 90


async def test_what_the_month_closes_on_too_little_is_said_to_come_too_late() -> None:
    shape = Shape(many(60, APIS[3:9]), lambda _o, _a: 2.0, Limits(per_server=2))
    watching = subjects(shape)
    leads = settled(watching, LeadTerms(1.0, 0.0, 32, 1000), shape.seconds)  # as if 32 could go at once
    (closing,) = closings(watching, scene(shape), leads, AT)
    assert closing.late
    assert closing.last > closing.turn


def test_the_delay_of_an_operation_is_the_longest_of_its_endpoints() -> None:
    shape = Shape([subscription("a/b", APIS[:3]), subscription("c/d")], lambda _o, _a: 8.0)
    watching = subjects(shape)
    found = steady(watching, scene(shape), AT)
    found.worst[:] = [1.0, 5.0, 2.0, 0.5]
    assert worst_by_operation(watching, [found]) == {"a/b": 5.0, "c/d": 0.5}
    assert worst_by_operation(watching, []) == {"a/b": 0.0, "c/d": 0.0}


def test_nothing_to_watch_is_never_late() -> None:
    found = steady([], Scene(constant), AT)
    assert (found.slots, found.worst) == (0, [])
    assert list(closings([], Scene(constant), settled([], LeadTerms(1, 1, 1, 1), constant), AT)) == []
