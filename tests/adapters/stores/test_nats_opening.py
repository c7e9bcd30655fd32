"""Which brokers are accepted, what is made in them, and what is said about the others."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
import trustme

import wolkvox_async.adapters.nats as adapter
from tests.adapters.stores.brokers import Broker, ended, settings
from tests.adapters.stores.houses import told
from wolkvox_async.adapters.nats import NatsLogin, NatsSettings, NatsStore, streams
from wolkvox_async.errors import ConfigurationError, StateError, StoreUnavailableError
from wolkvox_async.ports import Append, Conflict, Full, Stored

SECRET = "made-up-password-of-a-broker"


@asynccontextmanager
async def said(info: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve an address that introduces itself with `info`, and give what it is told."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"INFO {info}\r\n".encode())
        try:
            while line := await reader.readline():
                heard.append(line)
                if line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


def texts(error: BaseException | None) -> Iterator[str]:
    """Yield all that an exception and those behind it say."""
    while error is not None:
        yield from (str(error), repr(error), repr(error.args))
        error = error.__cause__ or error.__context__


# --- who answers


@pytest.mark.parametrize("version", ["2.9.22", "2.10.29", "1.4.1", "nightly"])
async def test_an_old_broker_is_refused_with_what_to_do(version: str) -> None:
    async with said(f'{{"version": "{version}", "headers": true, "max_payload": 1048576}}') as (address, _):
        with pytest.raises(StateError, match=r"install nats-server 2\.11 or newer") as raised:
            await NatsStore.open(NatsSettings((address,)))
    assert not isinstance(raised.value, StoreUnavailableError)


async def test_nobody_there_is_said_with_the_address(broker: Broker) -> None:
    broker.kill()
    with pytest.raises(StoreUnavailableError, match=f"127.0.0.1:{broker.port} cannot be reached"):
        await NatsStore.open(settings(broker))


async def test_one_that_speaks_something_else_is_no_broker() -> None:
    async with said("") as (address, _):
        with pytest.raises(StateError, match="cannot be reached"):
            await NatsStore.open(NatsSettings((address,), deadline=1.0))


async def test_one_of_several_addresses_is_enough(broker: Broker) -> None:
    store = await NatsStore.open(NatsSettings(("nats://127.0.0.1:1", broker.address, "nats://127.0.0.1:2")))
    assert await store.keys() == {}
    await store.close()


async def test_a_broker_without_jetstream_is_told_of(tmp_path: Path) -> None:
    broker = Broker(tmp_path, jetstream=False)
    with ended(broker):
        await broker.start()
        with pytest.raises(StoreUnavailableError, match="nats-server -js"):
            await NatsStore.open(settings(broker))


# --- signing in


@pytest.mark.parametrize(
    ("config", "login"),
    [
        (f"authorization {{ user: worker, password: {SECRET} }}", NatsLogin(user="worker", password=SECRET)),
        (f"authorization {{ token: {SECRET} }}", NatsLogin(token=SECRET)),
    ],
)
async def test_only_who_signs_in_gets_in(tmp_path: Path, config: str, login: NatsLogin) -> None:
    broker = Broker(tmp_path, config=config)
    with ended(broker):
        broker.launch()
        await broker.ready()
        store = await NatsStore.open(settings(broker, login=login))
        assert isinstance(await store.cas("c", 0, b""), Stored)
        await store.close()
        for wrong in (NatsLogin(), NatsLogin(token="wrong-" + SECRET), NatsLogin(user="x", password="wrong-" + SECRET)):
            with pytest.raises(StateError, match="refuses the login") as raised:
                await NatsStore.open(settings(broker, login=wrong))
            assert not any(SECRET in text for text in texts(raised.value))


def test_a_login_shows_itself_nowhere() -> None:
    logins = [NatsLogin(user="u" + SECRET, password=SECRET), NatsLogin(token=SECRET), NatsLogin(credentials=SECRET)]
    for login in logins:
        assert SECRET not in repr(NatsSettings(("nats://a",), login=login)) + str(login)


async def test_credentials_need_what_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nkeys", None)
    with pytest.raises(ConfigurationError, match="pip install nkeys"):
        await NatsStore.open(NatsSettings(("nats://127.0.0.1:1",), login=NatsLogin(credentials=SECRET)))


async def test_who_is_told_nothing_without_tls(broker: Broker) -> None:
    login = NatsLogin(user="worker", password=SECRET)
    info = '{"version": "2.15.1", "headers": true, "max_payload": 1048576, "auth_required": true}'
    async with said(info) as (address, heard):
        with pytest.raises(StateError, match="wants no TLS"):
            await NatsStore.open(NatsSettings((address.replace("nats:", "tls:"),), login=login))
        assert not any(SECRET.encode() in line for line in heard)
    with pytest.raises(StateError, match="wants no TLS"):
        await NatsStore.open(NatsSettings((broker.address.replace("nats:", "tls:"),)))


async def test_tls_proves_who_the_broker_is(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "other", "cert", "key")}
    authority.cert_pem.write_to_path(files["ca"])
    other.cert_pem.write_to_path(files["other"])
    certificate.cert_chain_pems[0].write_to_path(files["cert"])
    certificate.private_key_pem.write_to_path(files["key"])
    config = f'authorization {{ token: {SECRET} }}\ntls {{ cert_file: "{files["cert"]}", key_file: "{files["key"]}" }}'
    broker = Broker(tmp_path, config=config)
    with ended(broker):
        broker.launch()
        await broker.ready()
        login = NatsLogin(token=SECRET)
        store = await NatsStore.open(NatsSettings((broker.address,), login=login, ca_file=str(files["ca"])))
        assert await store.append([told("tk_a")]) == [Stored(1)]
        await store.close()
        with pytest.raises(StateError, match="does not prove who it is") as raised:
            await NatsStore.open(NatsSettings((broker.address,), login=login, ca_file=str(files["other"])))
        assert not any(isinstance(error, ssl.SSLError) for error in (raised.value, raised.value.__context__))
        with pytest.raises(StateError, match="cannot be read"):
            await NatsStore.open(NatsSettings((broker.address,), ca_file=str(tmp_path / "none.pem")))


# --- what is made


async def config_of(broker: Broker, stream: str) -> dict[str, Any]:
    client = await nats.connect(broker.address)
    found = await client.jsm().stream_info(stream)
    await client.close()
    return found.config.as_dict()


async def test_a_stream_is_made_that_drops_nothing(broker: Broker) -> None:
    store = await NatsStore.open(settings(broker, most_bytes=1_000_000))
    await store.close()
    config = await config_of(broker, "wolkvox")
    assert (config["discard"], config["max_msgs_per_subject"], config["max_age"]) == ("new", -1, 0)
    assert (config["max_bytes"], config["num_replicas"], config["storage"]) == (1_000_000, 1, "file")


async def test_records_leave_room_for_leases(tmp_path: Path) -> None:
    user = f"{{ user: worker, password: {SECRET} }}"
    broker = Broker(
        tmp_path, config=f"accounts {{ W {{ jetstream: {{ max_mem: 0, max_file: 10000000 }}, users: [{user}] }} }}"
    )
    with ended(broker):
        broker.launch()
        await broker.ready()
        login = NatsLogin(user="worker", password=SECRET)
        store = await NatsStore.open(settings(broker, login=login))
        became: list[object] = []
        while Full() not in became:
            became += await store.append([Append(1, f"tk_{len(became)}", 0, b"x" * 500_000)])
        assert 15 < len(became) < 19
        assert isinstance(await store.cas("p.1", 0, b"x" * 100_000), Stored)
        await store.close()


async def test_who_only_reads_makes_nothing(broker: Broker) -> None:
    with pytest.raises(StoreUnavailableError, match="no machine has joined"):
        await NatsStore.open(settings(broker, makes=False))
    await (await NatsStore.open(settings(broker))).close()
    reader = await NatsStore.open(settings(broker, makes=False))
    assert await reader.keys() == {}
    await reader.close()


async def test_the_bucket_is_one_that_other_tools_read(broker: Broker) -> None:
    store = await NatsStore.open(settings(broker))
    await store.cas("p.1", 0, b"lease")
    client = await nats.connect(broker.address)
    bucket = await client.jetstream().key_value("wolkvox")
    assert (await bucket.get("p.1")).value == b"lease"
    await client.close()
    await store.close()


async def test_a_key_that_another_tool_removed_can_be_made_again(broker: Broker) -> None:
    store = await NatsStore.open(settings(broker))
    first = await store.cas("w.old", 0, b"worker")
    client = await nats.connect(broker.address)
    await (await client.jetstream().key_value("wolkvox")).delete("w.old")
    await client.close()
    assert await store.keys() == {}
    assert isinstance(first, Stored)
    assert await store.cas("w.old", first.number, b"late") == Conflict()
    assert isinstance(await store.cas("w.old", 0, b"again"), Stored)
    assert (await store.keys())["w.old"].value == b"again"
    await store.close()


async def test_prefixes_are_worlds_of_their_own(broker: Broker) -> None:
    one = await NatsStore.open(NatsSettings((broker.address,), prefix="one"))
    two = await NatsStore.open(NatsSettings((broker.address,), prefix="two"))
    await one.cas("c", 0, b"")
    await one.append([told("tk_a")])
    assert await two.keys() == {}
    assert await two.append([told("tk_a")]) == [Stored(1)]
    await one.close()
    await two.close()


async def test_several_who_open_at_first_use_find_one_another(broker: Broker) -> None:
    stores = await asyncio.gather(*(NatsStore.open(settings(broker)) for _ in range(8)))
    assert await stores[0].append([told("tk_a")]) == [Stored(1)]
    assert [await store.append([told("tk_a")]) for store in stores] == [[Conflict()]] * 8
    for store in stores:
        await store.close()


async def test_a_stream_that_forgets_is_refused(broker: Broker) -> None:
    client = await nats.connect(broker.address)
    await client.jetstream().add_stream(name="wolkvox", subjects=["wolkvox.*.*"], max_age=60, allow_direct=True)
    await client.close()
    with pytest.raises(StateError, match="was made otherwise"):
        await NatsStore.open(settings(broker))


async def test_one_broker_does_not_keep_three_copies(broker: Broker) -> None:
    with pytest.raises(StateError, match="does not make the stream"):
        await NatsStore.open(settings(broker, replicas=3))


async def test_fewer_copies_than_asked_for_are_noticed(broker: Broker) -> None:
    first = await NatsStore.open(settings(broker))
    second = await NatsStore.open(settings(broker, replicas=3))
    assert first.notices == ()
    assert [notice for notice in second.notices if "1 copies, not 3" in notice] == list(second.notices) != []
    await first.close()
    await second.close()


async def test_a_broker_of_2_11_takes_batches_one_by_one(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "ATOMIC_SINCE", (99, 0))
    store = await NatsStore.open(settings(broker))
    assert not (await config_of(broker, "wolkvox")).get("allow_atomic")
    assert await store.append([told(f"tk_{n}") for n in range(50)]) == [Stored(n + 1) for n in range(50)]
    assert await store.append([told("tk_0"), told("tk_a")]) == [Conflict(), Stored(51)]
    await store.close()


# --- settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"servers": ()},
        {"servers": (f"nats://worker:{SECRET}@broker:4222",)},
        {"servers": ("http://broker",)},
        {"servers": ("broker:4222",)},
        {"servers": ("nats://broker:port",)},
        {"servers": ("nats://",)},
        {"prefix": "a.b"},
        {"prefix": ""},
        {"replicas": 2},
        {"deadline": 0.0},
        {"most_bytes": 0},
        {"login": NatsLogin(user="worker")},
        {"login": NatsLogin(user="worker", password=SECRET, token=SECRET)},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        NatsSettings(**({"servers": ("nats://broker",)} | wrong))
    assert len(raised.value.mistakes) == 1
    assert not any(SECRET in text for text in texts(raised.value))


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("wolkvox_async.adapters.nats.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nats", None)
    with pytest.raises(ConfigurationError, match=r"wolkvox-async\[cluster\]"):
        adapter.__getattr__("NatsStore")
    with pytest.raises(AttributeError):
        adapter.__getattr__("Other")
