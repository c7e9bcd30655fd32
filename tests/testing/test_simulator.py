"""The simulator as a whole: who is there, what it answers, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.testing.raw_client import RawClient, call, request
from wolkvox_async.catalog import BILLING
from wolkvox_async.testing import FAULTS, Fixed, Profile, Rule, Simulator
from wolkvox_async.testing.reception import Reception

NOVEMBER = datetime(2026, 11, 18, 15, tzinfo=UTC).timestamp()


async def test_every_server_answers_for_its_own_operations() -> None:
    async with Simulator(Profile(servers=3, operations=7)) as simulator:
        answers = [await call(operation) for operation in simulator.operations]
        names = [json.loads(body)["data"][0]["operation"] for _, body in answers]
    assert [status for status, _ in answers] == [200] * 7
    assert names == [operation.vendor_name for operation in simulator.operations]
    assert len({operation.server for operation in simulator.operations}) == 3
    assert simulator.verdict().ok


async def test_all_27_endpoints_answer_in_the_documented_shape() -> None:
    async with (
        Simulator(Profile(servers=1, operations=1), unix=lambda: NOVEMBER) as simulator,
        RawClient(simulator.operations[0].server) as client,
    ):
        for endpoint in BILLING:
            status, body = await client.ask(simulator.operations[0], endpoint.api)
            answer = json.loads(body)
            assert (status, answer["code"], answer["error"]) == (200, 200, None)
            assert set(answer["data"][0]) == {"operation", "description", "items", "date"}
            assert all(isinstance(value, str) for value in answer["data"][0].values())
            assert answer["data"][0]["items"].isdigit()
    assert sum(len(apis) for apis in simulator.verdict().sent.values()) == 27


async def test_the_same_seed_gives_the_same_world() -> None:
    worlds = []
    for _ in range(2):
        async with Simulator(Profile(servers=1, operations=5, seed=7), unix=lambda: NOVEMBER) as simulator:
            worlds.append([(one.path, one.token.id, (await call(one))[1]) for one in simulator.operations])
    assert worlds[0] == worlds[1]


async def test_names_and_tokens_are_everybodys_own() -> None:
    async with Simulator(Profile(servers=2, operations=500, tenants=40)) as simulator:
        operations = simulator.operations
    assert len({one.path for one in operations}) == 500
    assert len({one.token for one in operations}) == 500
    assert len({one.vendor_name for one in operations}) == 500
    assert len({one.tenant for one in operations}) == 40
    assert all(len(one.token.reveal()) == 64 for one in operations)


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        (lambda one: request(one, "no_such"), 400, b"THE API NO_SUCH DOES NOT EXIST"),
        (lambda one: request(one, target="/api/v2/billing.php"), 400, b"SOME PARAMETERS ARE REQUIRED"),
        (lambda one: request(one, target="/api/v2/information.php?api=token_info"), 400, b"DOES NOT EXIST"),
        (lambda one: request(one, target="/elsewhere"), 404, b"<html>"),
        (lambda _: request(None), 401, b"PLEASE ENTER THE WOLKVOX-TOKEN"),
        (lambda _: request(None, headers="wolkvox-token: 0123456789abcdef\r\n"), 403, b"PLEASE VALIDATE TOKEN"),
        (lambda one: request(one, target="/below/a/prefix/api/v2/billing.php?api=vision"), 200, b'"Vision"'),
        (lambda one: request(one, "gamification&date_ini=20261101000000&date_end=x"), 400, b"SOME PARAMETERS"),
    ],
)  # fmt: skip
async def test_it_refuses_in_the_vendors_words(sent: Any, status: int, says: bytes) -> None:
    async with (
        Simulator(Profile(servers=1, operations=1)) as simulator,
        RawClient(simulator.operations[0].server) as client,
    ):
        client.send(sent(simulator.operations[0]))
        found, _, body = await client.answer()
    assert found == status
    assert says in body


async def test_an_endpoint_of_another_family_is_there_when_asked_for() -> None:
    async with (
        Simulator(Profile(servers=1, operations=1, apis=("information/token_info",))) as simulator,
        RawClient(simulator.operations[0].server) as client,
    ):
        client.send(request(simulator.operations[0], target="/api/v2/information.php?api=token_info"))
        status, _, _ = await client.answer()
        document = simulator.tenants_document()
    assert status == 200
    assert document["endpoints"] == [{"file": "information", "api": "token_info"}]


async def test_an_answer_has_as_many_rows_as_the_profile_says() -> None:
    for rows in (0, 1, 3, 1_000):
        async with Simulator(Profile(servers=1, operations=1, rows=rows)) as simulator:
            _, body = await call(simulator.operations[0])
        data = json.loads(body)["data"]
        sent = simulator.verdict().sent[simulator.operations[0].token.id]["interactions"]
        assert len(data) == sent.rows == rows
        assert sum(int(row["items"]) for row in data) == sent.items
        assert {row["operation"] for row in data} <= {simulator.operations[0].vendor_name}


async def test_usage_follows_the_clock_that_is_passed_in() -> None:
    moment = datetime(2026, 11, 30, 23, 0, tzinfo=UTC).timestamp()
    readings = []
    async with Simulator(Profile(servers=1, operations=1, interval=0), unix=lambda: moment) as simulator:
        for hours in (0, 5, 6, 30):
            moment = datetime(2026, 11, 30, 23, 0, tzinfo=UTC).timestamp() + hours * 3600
            readings.append(int(json.loads((await call(simulator.operations[0]))[1])["data"][0]["items"]))
    assert readings[0] <= readings[1]
    assert readings[2] < readings[1], "the month turned at midnight in Bogota"
    assert readings[3] > readings[2]


@pytest.mark.looptime
async def test_an_answer_takes_the_latency() -> None:
    loop = asyncio.get_running_loop()
    async with Simulator(Profile(servers=1, operations=1, latency=Fixed(12.5))) as simulator:
        before = loop.time()
        await call(simulator.operations[0])
        assert loop.time() - before == pytest.approx(12.5, abs=0.5)


async def test_the_verdict_is_told_over_http_and_not_judged() -> None:
    async with Simulator(Profile(servers=2, operations=2)) as simulator:
        one, other = simulator.operations
        await call(one)
        async with RawClient(other.server) as client:
            client.send(request(None, target="/_simulator"))
            status, _, body = await client.answer()
    told = json.loads(body)
    assert status == 200
    assert told == json.loads(json.dumps(simulator.verdict().document()))
    assert told["ok"] is True
    assert told["requests"] == told["connections"] == 1
    assert told["sent"][one.token.id]["interactions"]["rows"] == 1
    assert one.token.reveal().encode() not in body


@pytest.mark.looptime
async def test_the_facts_are_counted() -> None:
    async with Simulator(Profile(servers=2, operations=4, latency=Fixed(0.02))) as simulator:
        await asyncio.gather(*(call(operation) for operation in simulator.operations))
        await call(simulator.operations[0], "no_such")
    verdict = simulator.verdict()
    assert (verdict.requests, verdict.answers, verdict.unanswered) == (5, {200: 4, 400: 1}, 0)
    assert (verdict.operations, verdict.servers, verdict.connections) == (4, 2, 5)
    assert verdict.max_in_flight == 4
    assert set(verdict.max_in_flight_by_server.values()) == {2}
    assert verdict.in_flight_now == 0
    assert verdict.connections_by_token[simulator.operations[0].token.id] == 2
    assert verdict.sent[simulator.operations[0].token.id]["no_such"].requests == 1
    assert str(verdict) == "4 operations, 2 servers, 0 overlaps"


async def test_the_journal_is_kept_only_when_asked_for() -> None:
    kept = []
    for journal in (True, False):
        async with Simulator(Profile(servers=1, operations=1, journal=journal)) as simulator:
            await call(simulator.operations[0])
        kept.append(len(simulator.journal))
    assert kept == [3, 0], "asked, answered, disconnected"


async def test_it_speaks_tls_when_it_is_given_a_context() -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    async with Simulator(Profile(servers=1, operations=1), tls=server) as simulator:
        operation = simulator.operations[0]
        async with RawClient(operation.server, tls=client) as connection:
            status, _ = await connection.ask(operation)
        assert simulator.base_url == "https://127.0.0.1:{server}"
    assert status == 200


async def test_nothing_is_left_when_the_block_is_over() -> None:
    tasks = len(asyncio.all_tasks())
    async with Simulator(Profile(servers=2, operations=2, latency=Fixed(60))) as simulator:
        server = simulator.operations[0].server
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server))
        writer.write(request(simulator.operations[0]))
        while not simulator.verdict().in_flight_now:
            await asyncio.sleep(0)
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(server))
    assert len(asyncio.all_tasks()) == tasks
    assert simulator.verdict().in_flight_now == 0


async def test_a_taken_port_is_an_error_and_leaves_nothing_open() -> None:
    async with Simulator(Profile(servers=1, operations=1)) as first:
        port = int(first.operations[0].server)
        with pytest.raises(OSError, match="address already in use"):
            await Simulator(Profile(servers=1, operations=1, port=port)).start()


async def test_a_mistake_of_the_simulators_own_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    loud: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: loud.append(context))

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Reception, "reply", fail)
    async with Simulator(Profile(servers=1, operations=1)) as simulator:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await call(simulator.operations[0])
    assert simulator.verdict().violations == {Rule.SIMULATOR_ERROR: 1}
    assert "ZeroDivisionError" in simulator.verdict().details[0].text
    assert isinstance(loud[0]["exception"], ZeroDivisionError)


async def test_the_tenants_file_refers_to_tokens_that_only_the_owner_reads(tmp_path: Path) -> None:
    async with Simulator(Profile(servers=2, operations=9, tenants=4, apis=("interactions", "vision"))) as simulator:
        path = simulator.write_tenants(tmp_path / "made")
        operations = simulator.operations
    document = json.loads(path.read_text())
    found = {
        f"{tenant['name']}/{one['name']}": (one["server"], (path.parent / one["token"]["file"]).read_text().strip())
        for tenant in document["tenants"]
        for one in tenant["operations"]
    }
    assert found == {one.path: (one.server, one.token.reveal()) for one in operations}
    assert document["defaults"] == {"apis": ["interactions", "vision"], "timezone": "America/Bogota"}
    assert stat.S_IMODE((path.parent / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (path.parent / "secrets").iterdir()} == {0o600}
    assert all(one.token.reveal() not in path.read_text() for one in operations)


async def test_the_tenants_document_goes_with_its_environment() -> None:
    async with Simulator(Profile(servers=1, operations=30)) as simulator:
        document, variables = simulator.tenants_document(), simulator.environment()
        operations = simulator.operations
    found = [variables[one["token"]["env"]] for tenant in document["tenants"] for one in tenant["operations"]]
    assert found == [one.token.reveal() for one in operations]


async def test_poison_reaches_its_share_and_the_same_ones_again() -> None:
    poisoned = []
    for _ in range(2):
        async with Simulator(Profile(servers=1, operations=50, poison=0.2)) as simulator:
            poisoned.append(dict(simulator.broken))
    assert len(poisoned[0]) == 10
    assert set(poisoned[0].values()) == {FAULTS["refused"], FAULTS["hang"], FAULTS["garbage"]}
    assert poisoned[0] == poisoned[1]


async def test_a_script_goes_call_by_call_and_then_all_is_well() -> None:
    unavailable = FAULTS["unavailable"]
    profile = Profile(servers=1, operations=2, faults={"0": (unavailable, None, unavailable)}, interval=0)
    async with Simulator(profile) as simulator:
        statuses = [(await call(simulator.operations[0]))[0] for _ in range(5)]
        healthy = (await call(simulator.operations[1]))[0]
    assert statuses == [503, 200, 503, 200, 200]
    assert healthy == 200


async def test_an_operation_is_broken_and_healed_by_path_number_or_token_id() -> None:
    async with Simulator(Profile(servers=1, operations=1, interval=0)) as simulator:
        operation = simulator.operations[0]
        for which in (0, "0", operation.path, operation.token.id):
            simulator.break_token(which, FAULTS["unavailable"])
            broken = (await call(operation))[0]
            simulator.break_token(which, ())
            assert (broken, (await call(operation))[0]) == (503, 200)
        with pytest.raises(KeyError, match="nobody/here"):
            simulator.break_token("nobody/here", ())


@pytest.mark.parametrize(
    "wrong",
    [
        {"servers": 0},
        {"operations": 0},
        {"rows": -1},
        {"poison": 1.5},
        {"poison": 0.1, "poisons": ()},
        {"tenants": 41},
        {"port": 65_535},
        {"apis": ()},
        {"interval": float("nan")},
    ],
)
def test_a_profile_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=" "):
        Profile(**wrong)
