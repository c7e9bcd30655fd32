"""Every rule over real sockets: a client that breaks it is caught, one that keeps it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from tests.testing.raw_client import RawClient, call, request
from wolkvox_async.testing import FAULTS, Ending, Fixed, Profile, Raw, Rule, SimulatedOperation, Simulator

pytestmark = pytest.mark.looptime


@asynccontextmanager
async def judging(profile: Profile) -> AsyncIterator[tuple[Simulator, RawClient, SimulatedOperation]]:
    """Give a simulator, a connection to its first operation's server, and that operation."""
    async with (
        Simulator(profile) as simulator,
        RawClient(simulator.operations[0].server) as client,
    ):
        yield simulator, client, simulator.operations[0]


def two_on_one_server(**changes: object) -> Profile:
    return Profile(**{"servers": 1, "operations": 2, "interval": 0, **changes})  # type: ignore[arg-type]


async def in_flight(simulator: Simulator, number: int = 1) -> None:
    while simulator.verdict().in_flight_now < number:
        await asyncio.sleep(0)


def found(simulator: Simulator) -> Mapping[Rule, int]:
    return simulator.verdict().violations


# overlap


async def test_a_token_used_twice_at_once_is_refused_and_an_overlap() -> None:
    async with judging(two_on_one_server(latency=Fixed(0.05))) as (simulator, client, one):
        client.send(request(one))
        await in_flight(simulator)
        status, body = await call(one, "vision")
        first, _, _ = await client.answer()
    assert (status, first) == (403, 200)
    assert b"EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN" in body
    assert found(simulator) == {Rule.OVERLAP: 1}
    assert simulator.verdict().details[0].token == one.token.id


async def test_two_tokens_at_once_and_one_token_in_a_row_are_no_overlap() -> None:
    async with judging(two_on_one_server(latency=Fixed(0.01))) as (simulator, client, one):
        other = simulator.operations[1]
        answers = await asyncio.gather(client.ask(one), call(other))
        again = await client.ask(one, "vision")
    assert [status for status, _ in (*answers, again)] == [200] * 3
    assert simulator.verdict().max_in_flight == 2
    assert found(simulator) == {}


async def test_a_call_that_the_client_left_keeps_its_token_busy_until_it_would_have_ended() -> None:
    async with judging(two_on_one_server(latency=Fixed(20))) as (simulator, _, one):
        async with RawClient(one.server) as leaving:
            leaving.send(request(one))
            await in_flight(simulator)
        await asyncio.sleep(10)
        assert (await call(one))[0] == 403
        await asyncio.sleep(10)
        assert (await call(one))[0] == 200
    assert found(simulator) == {Rule.OVERLAP: 1}
    assert simulator.verdict().unanswered == 1


@pytest.mark.parametrize("name", ["hang", "close", "reset-in-head", "close-in-body", "slow-body", "chunk-torn"])
async def test_a_call_without_a_whole_answer_keeps_its_token_busy_until_the_vendors_limit(name: str) -> None:
    profile = two_on_one_server(faults={"0": (FAULTS[name],)}, limit=60, grace=0.5)
    async with judging(profile) as (simulator, _, one):
        async with RawClient(one.server) as leaving:
            leaving.send(request(one))
            await asyncio.sleep(2)
        await asyncio.sleep(57)
        assert (await call(one))[0] == 403
        await asyncio.sleep(0.7)  # past the limit less its grace, not past the limit
        assert (await call(one))[0] == 200
    assert found(simulator) == {Rule.OVERLAP: 1}


# early


async def test_the_same_call_before_its_interval_is_over_is_early() -> None:
    async with judging(two_on_one_server(interval=300)) as (simulator, client, one):
        await client.ask(one)
        await asyncio.sleep(298)
        await client.ask(one)
    assert found(simulator) == {Rule.EARLY: 1}


async def test_a_call_on_time_another_endpoint_or_other_dates_are_not_early() -> None:
    async with judging(two_on_one_server(interval=300)) as (simulator, client, one):
        await client.ask(one)
        await client.ask(one, "gamification&date_ini=20261101000000&date_end=20261101235959")
        await client.ask(one, "gamification&date_ini=20261102000000&date_end=20261102235959")
        await asyncio.sleep(299.5)
        await client.ask(one)
    assert found(simulator) == {}


async def test_a_failed_call_may_be_tried_again_at_once_and_an_empty_one_may_not() -> None:
    profile = two_on_one_server(interval=300, faults={"0": (FAULTS["unavailable"],), "1": (FAULTS["not-found"],)})
    async with judging(profile) as (simulator, _, one):
        assert [(await call(one))[0] for _ in range(2)] == [503, 200]
        assert found(simulator) == {}
        assert [(await call(simulator.operations[1]))[0] for _ in range(2)] == [404, 200]
    assert found(simulator) == {Rule.EARLY: 1}


# the request itself


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT"])
async def test_another_method_than_get_is_caught(method: str) -> None:
    async with judging(two_on_one_server()) as (simulator, client, one):
        client.send(request(one, method=method))
        assert (await client.answer())[0] == 405
    assert found(simulator) == {Rule.METHOD: 1}


async def test_a_body_is_caught_and_an_announced_empty_one_is_not() -> None:
    async with judging(two_on_one_server()) as (simulator, client, one):
        client.send(request(one, headers="Content-Length: 0\r\n"))
        await client.answer()
        assert found(simulator) == {}
        client.send(request(one, headers="Content-Length: 2\r\n") + b"{}")
        await client.answer()
        async with RawClient(one.server) as chunked:
            chunked.send(request(one, headers="Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n")
            await chunked.answer()
    assert found(simulator) == {Rule.BODY: 2}


async def test_a_missing_and_a_doubled_token_are_caught() -> None:
    async with judging(two_on_one_server()) as (simulator, client, one):
        client.send(request(None))
        assert (await client.answer())[0] == 401
        client.send(request(one, headers=f"WOLKVOX-TOKEN: {one.token.reveal()}\r\n"))
        assert (await client.answer())[0] == 401
    assert found(simulator) == {Rule.TOKEN_MISSING: 1, Rule.TOKEN_DUPLICATED: 1}


async def test_a_token_in_the_address_is_caught() -> None:
    async with judging(two_on_one_server()) as (simulator, client, one):
        for target in (
            f"?api=vision&t={one.token.reveal()}",
            "?api=vision&wolkvox-token=x",
            "?api=vision&Wolkvox_Token=x",
        ):
            client.send(request(one, target=f"/api/v2/billing.php{target}"))
            await client.answer()
        text = repr(simulator.verdict())
    assert found(simulator) == {Rule.TOKEN_IN_URL: 3}
    assert one.token.reveal() not in text


async def test_a_token_at_a_server_that_is_not_its_own_is_caught() -> None:
    async with Simulator(Profile(servers=2, operations=2)) as simulator:
        one, other = simulator.operations
        async with RawClient(other.server) as client:
            status, body = await client.ask(one)
    assert status == 403
    assert b"PLEASE VALIDATE TOKEN" in body
    assert found(simulator) == {Rule.WRONG_SERVER: 1}


async def test_a_token_that_nobody_gave_out_is_refused_and_no_violation() -> None:
    async with AsyncExitStack() as stack:
        simulator, client, _ = await stack.enter_async_context(judging(two_on_one_server()))
        for text in ("0123456789abcdef", "short", "with spaces in it"):
            client.send(request(None, headers=f"wolkvox-token: {text}\r\n"))
            assert (await client.answer())[0] == 403
            client = await stack.enter_async_context(RawClient(simulator.operations[0].server))
    assert found(simulator) == {}
    assert simulator.verdict().operations == 0


# what came before


@pytest.mark.parametrize("name", ["refused", "no-token", "code-403", "code-401-text", "expired"])
async def test_a_refused_token_may_not_be_used_again(name: str) -> None:
    async with judging(two_on_one_server(faults={"0": FAULTS[name]})) as (simulator, client, one):
        await client.ask(one)
        assert found(simulator) == {}
        await client.ask(one, "vision")
    assert found(simulator) == {Rule.REFUSED_TOKEN_REUSED: 1}


@pytest.mark.parametrize("name", ["busy", "quota", "maintenance", "unavailable", "code-busy", "code-quota"])
async def test_a_token_may_be_used_again_after_other_refusals(name: str) -> None:
    async with judging(two_on_one_server(faults={"0": FAULTS[name]})) as (simulator, client, one):
        await client.ask(one)
        await client.ask(one)
    assert found(simulator) == {}


async def test_a_new_run_may_use_a_refused_token() -> None:
    async with judging(two_on_one_server(faults={"0": FAULTS["refused"]})) as (simulator, client, one):
        await client.ask(one)
        simulator.forgive_refusals()
        await client.ask(one)
    assert found(simulator) == {}


@pytest.mark.parametrize("name", ["redirect-301", "redirect-302", "redirect-307", "redirect-home"])
async def test_following_a_redirect_is_caught_and_reading_one_is_not(name: str) -> None:
    async with judging(two_on_one_server(faults={"0": FAULTS[name]})) as (simulator, client, one):
        client.send(request(one))
        status, headers, _ = await client.answer()
        assert 300 <= status <= 308
        assert found(simulator) == {}
        server, _, path = headers["location"].removeprefix("http://127.0.0.1:").partition("/")
        async with RawClient(server or one.server) as led_astray:
            led_astray.send(request(None, target=f"/{path}"))
            await led_astray.answer()
    assert found(simulator) == {Rule.REDIRECT_FOLLOWED: 1}


# connections


async def test_a_connection_for_two_tokens_is_caught_unless_the_profile_allows_it() -> None:
    for allowed, expected in ((False, {Rule.CONNECTION_SHARED: 1}), (True, {})):
        async with judging(two_on_one_server(shared_connections=allowed)) as (simulator, client, one):
            await client.ask(one)
            await client.ask(simulator.operations[1])
        assert found(simulator) == expected


async def test_a_connection_may_serve_one_token_many_times() -> None:
    async with judging(two_on_one_server()) as (simulator, client, one):
        for _ in range(5):
            await client.ask(one)
    assert found(simulator) == {}
    assert simulator.verdict().connections_by_token == {one.token.id: 1}


async def test_a_request_before_the_answer_to_the_last_one_is_caught_and_answered_later() -> None:
    async with judging(two_on_one_server(latency=Fixed(0.01))) as (simulator, client, one):
        client.send(request(one) + request(one, "vision"))
        statuses = [(await client.answer())[0] for _ in range(2)]
    assert statuses == [200, 200]
    assert found(simulator) == {Rule.PIPELINED: 1}


async def test_bytes_that_come_while_a_call_is_worked_on_are_caught() -> None:
    async with judging(two_on_one_server(latency=Fixed(10))) as (simulator, client, one):
        client.send(request(one))
        await asyncio.sleep(5)
        client.send(request(one, "vision"))
        await asyncio.sleep(1)
        assert found(simulator) == {Rule.PIPELINED: 1}
        statuses = [(await client.answer())[0] for _ in range(2)]
    assert statuses == [200, 200]
    assert found(simulator) == {Rule.PIPELINED: 1}


async def test_hundreds_of_requests_at_once_are_answered_in_their_order() -> None:
    async with judging(two_on_one_server()) as (simulator, client, one):
        client.send(b"".join(request(one, f"unknown{n}") for n in range(300)))
        bodies = [(await client.answer())[2] for _ in range(300)]
    assert all(f"UNKNOWN{n} ".encode() in body for n, body in enumerate(bodies))
    assert set(found(simulator)) == {Rule.PIPELINED}


async def test_a_request_in_many_small_pieces_is_one_request() -> None:
    async with judging(two_on_one_server()) as (simulator, client, one):
        for byte in request(one):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        status, _, _ = await client.answer()
    assert status == 200
    assert found(simulator) == {}


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x" * 70_000,
    ],
)
async def test_what_is_no_request_is_caught_and_the_connection_closed(sent: bytes) -> None:
    async with judging(two_on_one_server()) as (simulator, client, _):
        client.send(sent)
        answer = await client.everything()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert found(simulator) == {Rule.MALFORMED: 1}
    assert simulator.verdict().requests == 0


async def test_the_connection_is_closed_when_the_client_asks_for_it() -> None:
    async with judging(two_on_one_server()) as (simulator, client, one):
        client.send(request(one, headers="Connection: close\r\n"))
        answer = await client.everything()
    assert b"\r\nConnection: close\r\n" in answer
    assert found(simulator) == {}


async def test_bytes_after_an_answer_that_ends_with_a_pause_wait_for_their_turn() -> None:
    raw = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Ending.RESET)
    profile = two_on_one_server(faults={"0": replace(FAULTS["created"], wire=raw)})
    async with judging(profile) as (simulator, client, one):
        assert (await client.ask(one))[0] == 200
        client.send(request(one))
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await client.answer()
    assert simulator.verdict().requests == 1
    assert found(simulator) == {}
