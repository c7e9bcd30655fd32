"""`cluster`, with a real broker and a machine that renews its leases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.adapters.stores.brokers import Broker, ended, settings
from tests.apps.commands import run
from tests.apps.reading.lines import fill, lines_of_call
from wolkvox_async.adapters.nats import NatsStore
from wolkvox_async.apps.cli import cluster
from wolkvox_async.clustering.leases import Lease, Worker
from wolkvox_async.clustering.terms import ClusterTerms
from wolkvox_async.ports import Stored

ODD = "ana\x1b[31m"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    made = Broker(tmp_path / "broker")
    made.folder.mkdir()
    with ended(made):
        await made.start()
        yield made


async def live(store: NatsStore) -> None:
    """Renew two leases of three for ever; the third one's holder is dead."""
    await store.cas("c", 0, ClusterTerms(3, 120.0, 2.0, 0.5).encode())
    await store.cas("p.2", 0, Lease("bea", "s", 1, 4).encode())
    revisions = dict.fromkeys(("p.0", "p.1", "w.ana"), 0)
    for counter in range(1, 10_000):
        for key, revision in revisions.items():
            value = Worker("s", counter, name=ODD) if key == "w.ana" else Lease("ana", "s", counter, 2)
            outcome = await store.cas(key, revision, value.encode())
            assert isinstance(outcome, Stored)
            revisions[key] = outcome.number
        await asyncio.sleep(0.1)


async def test_who_lives_is_shown_and_who_does_not(broker: Broker) -> None:
    async with await NatsStore.open(settings(broker)) as store:
        await fill(store, [lines_of_call(number) for number in range(5)])
        living = asyncio.create_task(live(store))
        try:
            shown, told, dicho = await asyncio.gather(
                run("cluster", "--join", broker.address),
                run("cluster", "--json", "--join", broker.address, env={"WOLKVOX_LANG": "es"}),
                run("--lang", "es", "cluster", "--join", broker.address),
            )
        finally:
            living.cancel()
    assert (shown.code, told.code) == (0, 0)
    text = shown.out.decode()
    assert "the last message of the stream is 5" in text
    assert "leases: 2 renewed, 1 silent" in text
    assert "not renewed by bea: 2" in text
    assert "\x1b" not in text
    assert "ana\\x1b[31m" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "looking for up to 2.5 s" in shown.err
    kinds = [record["type"] for record in told.records]
    assert kinds == ["cluster", "worker", "lease", "lease", "lease"]
    assert [lease["standing"] for lease in told.records[2:]] == ["renewed", "renewed", "silent"]
    assert told.records[1]["partitions"] == 2
    hoja = dicho.out.decode().splitlines()
    assert hoja[0] == "particiones: 3; una concesión dura 120 s y se renueva cada 0.5 s"
    assert hoja[1].startswith("último mensaje guardado: 5; se miró el clúster durante ")
    assert hoja[3].split() == ["MÁQUINA", "PARTICIONES", "SEÑAL", "HACE", "ESTADO"]
    assert hoja[4].endswith("en marcha")
    assert "concesiones: renovadas 2, sin renovar 1" in hoja
    assert "sin renovar por bea: 2" in hoja
    assert dicho.err.startswith("se mira qué se renueva, durante 2.5 s como máximo")


def test_no_broker_is_said_with_code_5(unused_tcp_port: int) -> None:
    address = f"nats://127.0.0.1:{unused_tcp_port}"
    done = CliRunner().invoke(cluster.command, ["--join", address], standalone_mode=False)
    assert (done.return_value, done.stdout) == (5, "")
    assert "cannot be reached" in done.stderr
