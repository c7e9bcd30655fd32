"""The vendor without sockets: the same vendor, faults and judge, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

import orjson
import pytest

from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.catalog import Catalog
from wolkvox_async.classify import classify
from wolkvox_async.model import Answer, Breakdown, Call, ErrorKind, Failed, Ok
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.ports import Transport
from wolkvox_async.settings.composition import Parts, assemble
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options
from wolkvox_async.testing import (
    FAULTS,
    Asked,
    Disconnected,
    Fixed,
    InProcess,
    LogNormal,
    Profile,
    Rule,
    Unreachable,
    VirtualClock,
    VirtualLoop,
)

T = TypeVar("T")
BEGIN = datetime(2026, 11, 30, 12, tzinfo=UTC)
TURN = datetime(2026, 12, 1, 5, tzinfo=UTC).timestamp()


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def vendor(**profile: Any) -> InProcess:
    given: dict[str, Any] = {"servers": 2, "operations": 4, "latency": Fixed(0.25), "journal": True}
    given.update(profile)
    return InProcess(Profile(**given), VirtualClock(BEGIN))


def call(of: InProcess, number: int = 0, api: str = "interactions") -> Call:
    return Call("A", of.operations[number].as_operation(), api, "billing", (("api", api),))


async def ask(of: InProcess, number: int = 0, api: str = "interactions") -> Answer | Breakdown:
    asked = call(of, number, api)
    async with of.turn(asked.operation) as turn:
        return await turn.attempt(asked)


def items(answer: Answer | Breakdown) -> int:
    assert isinstance(answer, Answer)
    return int(orjson.loads(answer.body)["data"][0]["items"])


def kind(of: InProcess, met: Answer | Breakdown) -> ErrorKind | None:
    outcome = classify(met, now=of.clock.utc())
    return outcome.error.kind if isinstance(outcome, Failed) else None


def broken(of: InProcess) -> dict[Rule, int]:
    return dict(of.verdict().violations)


def test_an_answer_takes_the_vendors_time_and_is_the_simulators() -> None:
    async def main() -> None:
        served = vendor()
        transport: Transport = served
        asked = call(served)
        async with transport.turn(asked.operation) as turn:
            sent_at = served.clock.now()
            first = await turn.attempt(asked)
            assert served.clock.now() - sent_at == 0.25
            other = await turn.attempt(call(served, api="vision"))
        assert isinstance(first, Answer)
        assert isinstance(other, Answer)
        assert (first.status, first.kept, first.sent_at, other.kept) == (200, False, sent_at, True)
        outcome = classify(first, now=BEGIN)
        assert isinstance(outcome, Ok)
        assert outcome.rows[0]["operation"] == served.operations[0].vendor_name
        assert (str(served.verdict()), served.verdict().requests) == ("1 operations, 1 servers, 0 overlaps", 2)

    run(main)


def test_readings_grow_and_begin_anew_when_the_month_turns() -> None:
    async def main() -> None:
        served = vendor(interval=0)
        noon = items(await ask(served))
        await asyncio.sleep(TURN - served.clock.unix() - 90)
        late = items(await ask(served))
        await asyncio.sleep(120)
        assert 0 == items(await ask(served)) < noon < late

    run(main)


def test_two_calls_of_a_token_at_once_are_an_overlap_and_the_second_is_turned_away() -> None:
    async def main() -> None:
        served = vendor()
        met = await asyncio.gather(ask(served), ask(served, api="vision"), ask(served, 1))
        assert [kind(served, each) for each in met] == [None, ErrorKind.TOKEN_BUSY, None]
        assert broken(served) == {Rule.OVERLAP: 1}

    run(main)


def test_the_same_is_asked_too_early_within_an_interval_of_the_world() -> None:
    async def main() -> None:
        served = vendor()
        await ask(served)
        served.clock.suspend(299)
        await ask(served)
        assert served.verdict().ok
        await asyncio.sleep(60)
        await ask(served)
        assert broken(served) == {Rule.EARLY: 1}

    run(main)


def test_a_token_at_another_server_is_a_wrong_request() -> None:
    async def main() -> None:
        served = vendor()
        stray = served.operations[0].as_operation()
        elsewhere = type(stray)(stray.tenant, stray.name, "0002", stray.token)
        async with served.turn(elsewhere) as turn:
            await turn.attempt(Call("A", elsewhere, "interactions", "billing", (("api", "interactions"),)))
        assert broken(served) == {Rule.WRONG_SERVER: 1}

    run(main)


def test_who_gives_an_attempt_up_leaves_the_vendor_at_work() -> None:
    async def main() -> None:
        served = vendor(latency=Fixed(30.0))
        attempt = asyncio.create_task(ask(served))
        await asyncio.sleep(1)
        attempt.cancel()
        await asyncio.wait([attempt])
        await asyncio.sleep(10)
        assert kind(served, await ask(served, api="vision")) == ErrorKind.TOKEN_BUSY
        await asyncio.sleep(20)
        assert kind(served, await ask(served, api="vision")) is None
        assert broken(served) == {Rule.OVERLAP: 1}

    run(main)


def test_a_silent_token_times_out_and_stays_busy_until_the_vendors_limit() -> None:
    async def main() -> None:
        served = vendor(faults={"acme/bogota": FAULTS["hang"]}, limit=120.0)
        began = served.clock.now()
        met = await ask(served)
        assert met == Breakdown(ErrorKind.TIMEOUT, "no answer within 65 s", began)
        assert served.clock.now() - began == 65.0
        assert isinstance(served.journal[-1], Disconnected)
        served.break_token("acme/bogota", ())
        await asyncio.sleep(50)
        assert kind(served, await ask(served)) == ErrorKind.TOKEN_BUSY
        await asyncio.sleep(10)
        assert kind(served, await ask(served)) is None

    run(main)


def test_a_call_that_takes_longer_than_the_client_waits_is_a_time_out() -> None:
    async def main() -> None:
        served = vendor(latency=Fixed(80.0))
        assert kind(served, await ask(served)) == ErrorKind.TIMEOUT

    run(main)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("refused", ErrorKind.FORBIDDEN),
        ("quota", ErrorKind.QUOTA),
        ("busy", ErrorKind.TOKEN_BUSY),
        ("maintenance", ErrorKind.MAINTENANCE),
        ("unavailable", ErrorKind.SERVER_ERROR),
        ("rate-limited", ErrorKind.RATE_LIMITED),
        ("reset", ErrorKind.DISCONNECTED),
        ("html", ErrorKind.MALFORMED),
    ],
)
def test_a_server_in_trouble_answers_so_until_it_is_out_of_it(fault: str, expected: ErrorKind) -> None:
    async def main() -> None:
        served = vendor(limit=0.0)
        served.break_server("0001", FAULTS[fault])
        assert kind(served, await ask(served, 0)) == expected
        assert kind(served, await ask(served, 1)) is None
        served.break_server("0001", None)
        served.forgive_refusals()
        assert kind(served, await ask(served, 2)) is None
        assert served.verdict().ok

    run(main)


def test_a_server_that_cannot_be_reached_breaks_what_is_in_flight_and_hears_of_nothing_more() -> None:
    async def main() -> None:
        served = vendor(latency=Fixed(10.0))
        attempt = asyncio.create_task(ask(served))
        await asyncio.sleep(1)
        served.break_server("0001", Unreachable(2.0))
        met = await attempt
        assert isinstance(met, Breakdown)
        assert (met.kind, met.unanswered_since) == (ErrorKind.DISCONNECTED, served.clock.now() - 1)
        began = served.clock.now()
        met = await ask(served)
        assert isinstance(met, Breakdown)
        assert (met.kind, met.unanswered_since, served.clock.now() - began) == (ErrorKind.CONNECT, None, 2.0)
        assert sum(isinstance(event, Asked) for event in served.journal) == 1

    run(main)


def test_a_quota_is_used_up_until_the_vendors_day_is_over() -> None:
    async def main() -> None:
        served = vendor(interval=0)
        served.limit("acme/bogota", 2)
        met = [kind(served, await ask(served)) for _ in range(3)]
        assert met == [None, None, ErrorKind.QUOTA]
        await asyncio.sleep(TURN - served.clock.unix() - 1)
        assert kind(served, await ask(served)) == ErrorKind.QUOTA
        await asyncio.sleep(1)
        met = [kind(served, await ask(served)) for _ in range(3)]
        assert met == [None, None, ErrorKind.QUOTA]
        served.limit("acme/bogota", None)
        assert kind(served, await ask(served)) is None

    run(main)


def test_an_answer_that_comes_while_the_machine_is_suspended_is_there_when_it_wakes_up() -> None:
    async def main() -> None:
        served = vendor()
        attempt = asyncio.create_task(ask(served))
        await asyncio.sleep(0.1)
        began = served.clock.elapsed() - 0.1
        served.clock.suspend(3_600)
        assert kind(served, await attempt) is None
        assert served.clock.elapsed() - began == pytest.approx(3_600.1)
        answered = [event.at for event in served.journal if type(event).__name__ == "Answered"]
        assert answered == pytest.approx([began + 0.25])

    run(main)


def test_a_killed_clients_connections_are_gone_at_once_and_the_vendor_works_on() -> None:
    async def main() -> None:
        served = vendor(latency=Fixed(5.0))
        attempt = asyncio.create_task(ask(served))
        await asyncio.sleep(1)
        served.cut()
        assert isinstance(await attempt, Breakdown)
        assert sum(isinstance(event, Disconnected) for event in served.journal) == 1
        assert kind(served, await ask(served, api="vision")) == ErrorKind.TOKEN_BUSY
        await asyncio.sleep(5)
        assert kind(served, await ask(served, api="vision")) is None

    run(main)


@pytest.mark.parametrize("name", ["gzip", "gzip-bomb", "huge", "chunk-odd", "unknown-coding"])
def test_a_fault_about_bytes_is_refused(name: str) -> None:
    async def main() -> None:
        served = vendor()
        with pytest.raises(ValueError, match="needs a socket"):
            served.break_server("0001", FAULTS[name])
        with pytest.raises(ValueError, match="needs a socket"):
            served.break_token("acme/bogota", (None, FAULTS[name]))
        with pytest.raises(KeyError):
            served.break_token("nobody/nowhere", ())

    run(main)


def test_a_pass_over_it_is_judged_and_is_the_same_again() -> None:
    async def main() -> bytes:
        served = vendor(operations=30, servers=3, latency=LogNormal(0.2), journal=False)
        endpoints = [Catalog().get(api) for api in ("interactions", "vision", "gamification")]
        wanted = tuple(Wanted(endpoint) for endpoint in endpoints if endpoint is not None)
        subscriptions = [Subscription(each.as_operation(), wanted) for each in served.operations]
        parts = Parts(transport=served, clock=served.clock, chance=Random(7).random, state=MemoryState(served.clock))
        output = bytearray()
        async with assemble(subscriptions, Tenants((), Catalog()), Options(), parts) as engine:
            for _ in range(3):
                async with engine.fetch() as records:
                    async for lines in records.lines():
                        output += lines
                await asyncio.sleep(300)
        assert served.verdict().ok, served.verdict()
        assert served.verdict().requests == output.count(b'"type":"call"') == 270
        assert served.verdict().answers == {200: 270}
        return bytes(output)

    assert run(main) == run(main)
