"""What `plan` says of a pass is what the engine then does: compared in virtual time, to the end of the last call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random

import pytest

from tests.apps.virtual import (
    APIS,
    Shape,
    WholeWall,
    by_chance,
    constant,
    one_slow_endpoint,
    one_slow_server,
    passed,
)
from tests.engine.stage import GOOD, Stage, many, read_all, subscription
from wolkvox_async.apps.forecast import Forecast, forecast
from wolkvox_async.apps.rehearsal import Rehearsal, Scene
from wolkvox_async.model import Answer, Call
from wolkvox_async.planning import Subscription, plan
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.flow import Flow, FlowPolicy
from wolkvox_async.scheduling.level import Pace

pytestmark = pytest.mark.looptime

CLOSE = 0.05  # of the duration: what a prediction may be off
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def planned(shape: Shape) -> list[Call]:
    return list(plan(shape.subscriptions, run="0" * 26, now=NOW))


def predicted(shape: Shape, *, auto: bool = False, dues: Mapping[str, float] | None = None) -> Forecast:
    return forecast(planned(shape), Scene(shape.seconds, shape.limits, auto), {}, dues=dues)


def shared(*, alone: int, together: int) -> list[Subscription]:
    """Return operations with tokens of their own, and then some that share one."""
    return [
        *many(alone, servers=10),
        *[subscription(f"z/{n}", APIS[:1], key="one", server="0003") for n in range(together)],
        *[subscription(f"y/{n}") for n in range(50)],
    ]


SHAPES = {
    "one slow server": Shape(many(300, APIS[:3], servers=10), one_slow_server, Limits(100, per_server=8)),
    "many tokens on one server": Shape(many(300, APIS[:2])),
    "one token with every endpoint": Shape([subscription("a/b", APIS), *many(50)], by_chance),
    "a bound of all calls": Shape(many(350, APIS[:3], servers=70), by_chance, Limits(40)),
    "a bound of each server": Shape(many(90, APIS[:5], servers=3), by_chance, Limits(per_server=4)),
    "a token of many operations, planned late": Shape(shared(alone=900, together=40), limits=Limits(50)),
    "pauses between the calls of a token": Shape(many(40, APIS[:6]), limits=Limits(per_server=4, token_gap=0.5)),
    "turns that end by their time": Shape(many(20, APIS), one_slow_endpoint, Limits(per_server=3)),
}


@pytest.mark.parametrize("name", SHAPES)
async def test_the_predicted_duration_is_that_of_the_run(name: str) -> None:
    seen, (took, calls) = predicted(SHAPES[name]), await passed(SHAPES[name])
    assert seen.calls == calls
    assert seen.about == pytest.approx(took, rel=CLOSE)


@pytest.mark.parametrize("seed", range(12))
async def test_the_predicted_duration_is_that_of_the_run_for_populations_by_chance(seed: int) -> None:
    chance = Random(seed)
    servers = chance.randint(1, 12)
    subscriptions = [
        subscription(
            f"t{n}/main",
            chance.sample(APIS, chance.choice((1, 1, 2, 5, 27))),
            key=f"k{chance.randrange(60)}",
            server=f"{int(servers * chance.random() ** 2):04}",
        )
        for n in range(70)
    ]
    limits = Limits(chance.randint(1, 60), chance.randint(1, 20), token_gap=chance.choice((0.0, 0.0, 0.2)))
    shape = Shape(subscriptions, by_chance, limits)
    seen, (took, calls) = predicted(shape), await passed(shape)
    assert seen.calls == calls
    assert seen.about == pytest.approx(took, rel=CLOSE)


async def test_limits_that_are_found_while_calls_are_made_are_predicted_too() -> None:
    shape = Shape(many(600, APIS[:4], servers=60), constant, Limits(300))
    flow = Flow(FlowPolicy(Pace(ceiling=300)), now=asyncio.get_running_loop().time())
    seen, (took, _) = predicted(shape, auto=True), await passed(shape, flow=flow)
    assert seen.about == pytest.approx(took, rel=CLOSE)
    assert seen.about > predicted(shape).about


async def test_calls_that_are_waited_for_are_predicted_with_their_waits() -> None:
    shape = Shape(many(40, APIS[:3], servers=2), by_chance, Limits(per_server=5))
    asked: dict[str, float] = {}
    loop = asyncio.get_running_loop()

    async def script(call: Call, _number: int) -> Answer:
        asked[call.operation.path + call.api] = loop.time()
        await asyncio.sleep(shape.seconds(call.operation, call.api))
        return GOOD

    interval = 30.0
    stage = Stage(shape.subscriptions, script, WholeWall(), limits=shape.limits, interval=interval, wait=interval)
    async with stage.engine() as engine:
        await read_all(engine)
        began, calls = loop.time(), planned(shape)
        dues = {call.id: asked[call.operation.path + call.api] + interval - began for call in calls}
        await read_all(engine)
        took = loop.time() - began
    seen = predicted(shape, dues=dues)
    assert took > max(dues.values())
    assert seen.about == pytest.approx(took, rel=CLOSE)


async def test_what_is_in_flight_at_most_is_predicted() -> None:
    shape = SHAPES["a bound of each server"]
    rehearsal = Rehearsal(Scene(shape.seconds, shape.limits))
    rehearsal.go_through(planned(shape))
    assert rehearsal.flying.most == {"0000": 4, "0001": 4, "0002": 4}
    assert rehearsal.flying.most_in_all == 12
    assert not any(rehearsal.flying.now.values())
