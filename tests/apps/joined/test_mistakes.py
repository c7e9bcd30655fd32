"""What is wrong with an order to join is said at once, and nothing is called."""

from __future__ import annotations

from pathlib import Path

from tests.adapters.stores.brokers import Broker, ended
from tests.apps.commands import run, written
from wolkvox_async.adapters.nats import NatsSettings, NatsStore
from wolkvox_async.clustering.terms import ClusterTerms, LeaseTerms
from wolkvox_async.testing import Profile, Simulator

from .lab import OPTIONS

NOWHERE = "nats://127.0.0.1:1"


async def test_options_that_do_not_go_with_a_cluster_are_all_said_at_once(secret_store: Path) -> None:
    async with Simulator(Profile(operations=2)) as simulator:
        options = [*written(simulator, secret_store), "--join", NOWHERE, "--output", "x.jsonl", "--state", "x"]
        done = await run("fetch", *options, "--resume", "--lease", "9", "--fast-failover")
    assert done.code == 2
    for option in ("--output", "--state", "--resume", "--lease"):
        assert any(line.startswith(option) or f"{option} " in line for line in done.complaints), option


async def test_what_is_for_a_cluster_needs_one(secret_store: Path) -> None:
    async with Simulator(Profile(operations=2)) as simulator:
        options = ("--partitions", "8", "--replicas", "3", "--lease", "9", "--fast-failover")
        done = await run("watch", *written(simulator, secret_store), *options)
    assert done.code == 2
    for option in ("--partitions", "--replicas", "--lease", "--fast-failover"):
        assert f"{option} is for --join" in done.err


async def test_a_broker_that_cannot_be_reached_is_said_and_ends_it(secret_store: Path) -> None:
    async with Simulator(Profile(operations=2)) as simulator:
        done = await run("fetch", *written(simulator, secret_store), *OPTIONS, "--join", NOWHERE)
        assert simulator.verdict().requests == 0
    assert done.code == 5
    assert "127.0.0.1:1 cannot be reached" in done.err


async def test_a_token_that_cannot_be_resolved_is_said_before_anything_is_started(secret_store: Path) -> None:
    async with Simulator(Profile(operations=2)) as simulator:
        options = written(simulator, secret_store)
        for file in secret_store.rglob("*"):
            if file.is_file() and str(file) != options[1]:
                file.unlink()
        done = await run("watch", *options, *OPTIONS, "--join", NOWHERE)
    assert done.code == 2
    assert "tenants.json:" in done.err


async def test_a_machine_with_other_partitions_than_the_cluster_is_turned_away(
    secret_store: Path, tmp_path: Path
) -> None:
    broker = Broker(tmp_path)
    with ended(broker):
        await broker.start()
        async with (
            Simulator(Profile(operations=2)) as simulator,
            await NatsStore.open(NatsSettings((broker.address,))) as store,
        ):
            await store.cas("c", 0, ClusterTerms.of(LeaseTerms.default(70.0), 32).encode())
            done = await run("fetch", *written(simulator, secret_store), *OPTIONS, "--join", broker.address)
            assert simulator.verdict().requests == 0
    assert done.code == 2
    assert "--partitions 16: the cluster has 32" in done.err
    assert "--lease 6: the cluster has 120 s" in done.err
