"""The engine over real sockets: against the simulated vendor, who judges it, and against a server that misbehaves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.adapters.http.clients import answer
from tests.faultserver import HOST, Do, FaultServer
from wolkvox_async import Engine, Parts, Token, load_tenants, open_engine
from wolkvox_async.records import Record
from wolkvox_async.testing import FAULTS, Fixed, Profile, Rule, Simulator, Uniform

from .consumers import INTERRUPTED, Consumer, Use, call, lines, records
from .stage import ends, left, outcomes, read_all, settle_down, soon_only

THREE = ("interactions", "gamification", "ivr_calls")


@asynccontextmanager
async def engine_for(vendor: Simulator, **options: Any) -> AsyncIterator[Engine]:
    tenants = load_tenants(vendor.tenants_document())
    parts = Parts(environment=vendor.environment())
    async with open_engine(tenants, parts=parts, base_url=vendor.base_url, **options) as engine:
        yield engine


@asynccontextmanager
async def engine_at(server: FaultServer, *tokens: Token, **options: Any) -> AsyncIterator[Engine]:
    """Open an engine for operations `acme/op0`, `acme/op1`, ... that are all at `server`."""
    operations = [{"name": f"op{n}", "server": "0001", "token": token} for n, token in enumerate(tokens)]
    tenants = load_tenants({"defaults": {"apis": list(THREE)}, "tenants": [{"name": "acme", "operations": operations}]})
    async with open_engine(tenants, base_url=f"http://{HOST}:{server.port}", **options) as engine:
        yield engine


def body(name: str) -> bytes:
    return b'{"code":200,"error":null,"msg":"","data":[{"operation":"%b","items":"1"}]}' % name.encode()


def named(records: list[Record]) -> list[str]:
    return [record["row"]["operation"] for record in records if record["type"] == "row"]


# --- against the vendor -------------------------------------------------------------------


async def test_a_pass_brings_every_tenant_its_own_rows_and_breaks_no_rule() -> None:
    before = left()
    profile = Profile(servers=5, operations=60, apis=THREE, rows=3, latency=Uniform(0.0, 0.01))
    async with Simulator(profile) as vendor:
        async with engine_for(vendor, max_in_flight=40, per_server=4) as engine:
            seen = await read_all(engine)
        verdict = vendor.verdict()
        rows = Counter((r["tenant"], r["operation"], r["row"]["operation"]) for r in seen if r["type"] == "row")
        assert rows == {(one.tenant, one.name, one.vendor_name): 9 for one in vendor.operations}
        for one in vendor.operations:
            items = sum(r["items"] or 0 for r in seen if r["type"] == "row" and r["operation"] == one.name
                        and r["tenant"] == one.tenant)  # fmt: skip
            assert items == sum(sent.items for sent in verdict.sent[one.token.id].values())
    assert outcomes(seen) == {"ok": 180}
    assert verdict.ok, verdict
    assert verdict.requests == 180
    assert set(verdict.connections_by_token.values()) == {1}, "a connection for each turn"
    assert max(verdict.max_in_flight_by_server.values()) <= 4
    assert await soon_only(before)


async def test_a_thousand_calls_at_once_never_use_a_token_twice() -> None:
    async with Simulator(Profile(servers=2, operations=9, interval=0, latency=Fixed(0.002))) as vendor:
        async with engine_for(vendor) as engine:
            paths = [vendor.operations[n % 9].path for n in range(1_000)]
            results = await asyncio.gather(*[engine.call(path, "interactions") for path in paths])
        verdict = vendor.verdict()
    assert Counter(result.outcome for result in results) == {"ok": 1_000}
    assert verdict.ok, verdict
    assert (verdict.requests, verdict.max_in_flight) == (1_000, 9)


@pytest.mark.looptime
async def test_poisoned_tokens_cost_nobody_else() -> None:
    poisons = tuple(FAULTS[name] for name in ("refused", "hang", "garbage", "reset", "busy", "redirect-302"))
    profile = Profile(servers=3, operations=60, apis=THREE, latency=Fixed(0.2), poison=0.2, poisons=poisons)
    async with Simulator(profile) as vendor:
        broken = {one.path for one in vendor.operations if one.token.id in vendor.broken}
        async with engine_for(vendor, patience=90) as engine, engine.fetch() as found:
            healthy = Counter[str]()
            took = 0.0
            async for record in found:
                if record["type"] == "call" and f"{record['tenant']}/{record['operation']}" not in broken:
                    healthy[record["outcome"]] += 1
                    took = asyncio.get_running_loop().time()
        verdict = vendor.verdict()
    assert len(broken) == 12
    assert healthy == {"ok": 144}
    assert took == pytest.approx(0.6, abs=0.1), "three calls one after the other, as if nothing were wrong"
    assert verdict.ok, verdict


@pytest.mark.looptime
async def test_after_a_time_out_the_vendor_sees_no_second_call_before_its_limit() -> None:
    script = (FAULTS["hang"], None, FAULTS["slow-body"], None, None)
    profile = Profile(servers=1, operations=1, apis=THREE, faults={"0": script}, interval=0)
    async with Simulator(profile) as vendor:
        async with engine_for(vendor, timeout=5) as engine:
            seen = await read_all(engine)
        verdict = vendor.verdict()
    assert [(end["outcome"], end["attempts"]) for end in ends(seen)] == [("ok", 2), ("ok", 2), ("ok", 1)]
    assert verdict.ok, verdict
    assert verdict.requests == 5


@pytest.mark.looptime
async def test_a_call_whose_caller_went_away_keeps_its_token_until_it_is_answered() -> None:
    async with Simulator(Profile(servers=1, operations=1, latency=Fixed(20), interval=0)) as vendor:
        path = vendor.operations[0].path
        async with engine_for(vendor) as engine:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1):
                        await engine.call(path, "vision")
            assert (await engine.call(path, "interactions")).ok
            took = asyncio.get_running_loop().time()
        verdict = vendor.verdict()
    assert verdict.ok, verdict
    assert verdict.requests == 2, "those who gave up in the queue were not called"
    assert took == pytest.approx(40, abs=0.5)


async def test_after_a_refusal_the_vendor_sees_that_token_no_more() -> None:
    faults = {"0": FAULTS["refused"], "1": FAULTS["no-token"], "2": FAULTS["code-401-text"]}
    async with Simulator(Profile(servers=1, operations=4, apis=THREE, faults=faults)) as vendor:
        async with engine_for(vendor, after_failure="continue", interval=0) as engine:
            for _ in range(3):
                await read_all(engine)
        verdict = vendor.verdict()
    assert Rule.REFUSED_TOKEN_REUSED not in verdict.violations
    assert [sum(s.requests for s in verdict.sent[one.token.id].values()) for one in vendor.operations] == [1, 1, 1, 9]


async def test_a_token_that_was_replaced_in_its_file_is_used_at_once(secret_store: Any) -> None:
    async with Simulator(Profile(servers=1, operations=2, apis=THREE)) as vendor:
        path = vendor.write_tenants(secret_store)
        one = vendor.operations[0]
        file = secret_store / "secrets" / f"{one.tenant}-{one.name}"
        good = file.read_text()
        file.write_text("0123456789abcdef0123456789abcdef\n")
        async with open_engine(load_tenants(path), base_url=vendor.base_url) as engine:
            file.write_text(good)
            seen = await read_all(engine)
        verdict = vendor.verdict()
    assert outcomes(seen) == {"ok": 6}
    assert sorted(end["attempts"] for end in ends(seen)) == [1, 1, 1, 1, 1, 2]
    assert verdict.requests == 7


async def test_big_answers_are_read_while_small_ones_go_by() -> None:
    big = Profile(servers=2, operations=6, rows=16_000, apis=THREE[:1])
    before = left()
    async with Simulator(big) as vendor:
        async with engine_for(vendor) as engine:
            one, other = await asyncio.gather(read_all(engine, only=["*/bogota"]), read_all(engine, only=["*/quito"]))
        assert vendor.verdict().ok
    assert len([r for r in one if r["type"] == "row"]) == 16_000 * sum(outcomes(one).values())
    assert outcomes(one)["ok"] + outcomes(other)["ok"] == 4
    assert await soon_only(before)


@pytest.mark.parametrize("way", INTERRUPTED.values(), ids=INTERRUPTED)
@pytest.mark.parametrize("use", [records, lines, call], ids=["records", "lines", "call"])
async def test_cancelled_at_any_await_no_socket_is_left_and_no_rule_is_broken(use: Use, way: Consumer) -> None:
    before = left()
    async with Simulator(Profile(servers=2, operations=4, tenants=4, interval=0)) as vendor:
        serving = left()
        for count in range(0, 48, 3):
            async with engine_for(vendor, interval=0) as engine:
                await way(use if use is not call else _first(vendor), engine, count)
                while engine.snapshot().queued:
                    await asyncio.sleep(0)
                assert outcomes(await read_all(engine)) == {"ok": 8}
            assert await soon_only(serving), count
        assert vendor.verdict().ok, vendor.verdict()
    assert await soon_only(before)


def _first(vendor: Simulator) -> Use:
    async def use(engine: Engine) -> None:
        await engine.call(vendor.operations[0].path, "interactions")

    return use


async def test_given_up_at_any_await_no_socket_is_left_and_every_call_ends() -> None:
    before = left()
    for count in range(0, 40, 2):
        async with Simulator(Profile(servers=2, operations=4, interval=0)) as vendor:
            async with engine_for(vendor, max_in_flight=3) as engine:
                reading = asyncio.create_task(read_all(engine))
                await settle_down(count)
                engine.abandon()
                assert sum(outcomes(await reading).values()) == 8
            await settle_down()
            assert vendor.verdict().ok, vendor.verdict()
        assert await soon_only(before), count


@pytest.mark.looptime
async def test_leaving_in_the_middle_leaves_no_socket() -> None:
    before = left()
    async with Simulator(Profile(servers=3, operations=30, latency=Fixed(30))) as vendor:
        async with engine_for(vendor) as engine:
            passes = [asyncio.create_task(read_all(engine)) for _ in range(2)]
            await asyncio.sleep(5)
            assert engine.snapshot().in_flight == 30
        ended = Counter[str]()
        for one in passes:
            ended += outcomes(await one)
    assert ended == {"failed stopping": 30, "skipped stopping": 90}
    assert await soon_only(before)


# --- answers that nobody asked for, after the next question was written -------------------


@pytest.mark.looptime
async def test_an_answer_that_comes_between_a_question_and_its_answer_lands_nowhere(canary: Token) -> None:
    ours, theirs = answer(body("ACME BOG")), answer(body("GLOBEX LIM"))
    async with FaultServer(Do.READ, ours, Do.REPEAT) as server:
        server.on_connection(Do.READ, ours, Do.READ, theirs, 0.01, ours)
        async with engine_at(server, canary) as engine:
            seen = await read_all(engine)
        await server.all_gone()
    assert named(seen) == ["ACME BOG"] * 3
    assert [(end["outcome"], end["attempts"]) for end in ends(seen)] == [("ok", 1), ("ok", 2), ("ok", 1)]
    assert [len(connection.heads) for connection in server.journal] == [2, 2]
    assert "GLOBEX" not in str(seen)
    assert asyncio.get_running_loop().time() >= 60


@pytest.mark.looptime
async def test_an_operation_whose_name_really_changes_gets_its_rows_after_one_more_attempt(canary: Token) -> None:
    old, new = answer(body("ACME BOG")), answer(body("ACME BOGOTA"))
    async with FaultServer(Do.READ, new, Do.REPEAT) as server:
        server.on_connection(Do.READ, old, Do.READ, new, Do.READ, new)
        async with engine_at(server, canary) as engine:
            seen = await read_all(engine)
        await server.all_gone()
    assert named(seen) == ["ACME BOG", "ACME BOGOTA", "ACME BOGOTA"]
    assert [end["attempts"] for end in ends(seen)] == [1, 2, 1]


@pytest.mark.looptime
async def test_without_attempts_left_rows_of_somebody_else_land_nowhere_either(canary: Token) -> None:
    async with FaultServer(Do.READ, answer(body("ACME BOG")), Do.READ, answer(body("GLOBEX LIM"))) as server:
        async with engine_at(server, canary, max_attempts=1) as engine:
            seen = await read_all(engine)
        await server.all_gone()
    assert outcomes(seen) == {"ok": 1, "failed protocol": 1, "skipped held": 1}
    assert "GLOBEX" not in str(seen)


# --- what nobody may see ------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["refused", "html", "reset", "unasked", "redirect-302", "code-403"])
async def test_the_token_is_in_no_record_result_or_log(
    fault: str, canary: Token, assert_no_canary: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulator(Profile(servers=1, operations=1, faults={"0": FAULTS[fault]})) as vendor:
        operation = {"name": "main", "server": vendor.operations[0].server, "token": canary}
        tenants = load_tenants({"tenants": [{"name": "acme", "operations": [operation]}]})
        async with open_engine(tenants, base_url=vendor.base_url, max_attempts=2, backoff=0) as engine:
            seen = await read_all(engine)
            result = await engine.call("acme/main", "vision")
            assert_no_canary("the engine", engine, engine.operations(), engine.snapshot(), tenants)
    assert_no_canary("what came of it", seen, result, result.records, caplog.text)
    assert outcomes(seen)
