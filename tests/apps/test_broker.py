"""`broker` becomes a real server: who is let in, what it holds to, how it ends, how three find each other."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.apps.brokers import Broker, broker, client, need_a_server
from tests.apps.commands import command, run
from wolkvox_async.apps.broking.credentials import Credentials


@pytest.fixture(autouse=True)
def a_server() -> None:
    need_a_server()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the options that name a certificate for 127.0.0.1, its key and its authority."""
    folder, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    paths = {f"--tls-{name}": str(folder / f"{name}.pem") for name in ("cert", "key", "ca")}
    issued.cert_chain_pems[0].write_to_path(paths["--tls-cert"])
    issued.private_key_pem.write_to_path(paths["--tls-key"])
    authority.cert_pem.write_to_path(paths["--tls-ca"])
    return paths


async def test_only_who_shows_the_password_is_let_in(tmp_path: Path) -> None:
    async with broker(tmp_path / "data") as one:
        answers = []
        wrong = Credentials(one.credentials.user, "some-other-password")
        for shown in (one.credentials, wrong, None):
            async with client(one.port) as asking:
                assert asking.info["auth_required"]
                answers.append(await asking.admitted(shown))
    assert answers == ["PONG", "-ERR 'Authorization Violation'", "-ERR 'Authorization Violation'"]


async def test_signals_go_to_the_server_itself_and_it_ends_well(tmp_path: Path) -> None:
    async with broker(tmp_path / "data") as one:
        one.process.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(one.process.communicate(), 15)
    assert one.process.returncode in (0, 1)  # which of them depends on its version
    assert out == b""
    assert "JetStream Shutdown" in err.decode()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", one.port)


async def test_the_password_is_in_private_files_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with broker(data) as one:
        password = one.credentials.password
        arguments = Path(f"/proc/{one.process.pid}/cmdline").read_bytes()
        holding = [path for path in data.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
        one.process.terminate()
        out, err = await one.process.communicate()
    assert password not in one.said + err.decode() + out.decode()
    assert password.encode() not in arguments
    assert {path.name for path in holding} == {"credentials", "nats-server.conf"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in holding} == {0o600}
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


async def test_the_line_to_join_with_names_the_file_and_the_port_stands_in_the_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with broker(data) as one:
        async with asyncio.timeout(15):  # the server writes it once it is ready
            while not (written := [path.read_bytes() for path in data.glob("*.ports")]) or not written[0]:
                await asyncio.sleep(0.01)
        (told,) = map(json.loads, written)
    assert f"--join nats://127.0.0.1:PORT --join-credentials file:{data / 'credentials'}\n" in one.said
    assert told == {"nats": [f"nats://127.0.0.1:{one.port}"]}


async def test_the_password_and_what_is_stored_outlive_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with broker(data) as one:
        first = one.credentials
        async with client(one.port) as asking:
            await asking.admitted(first)
            made = await asking.ask("$JS.API.STREAM.CREATE.s", name="s", subjects=["s.>"])
            stored = await asking.ask("s.1", hello="there")
        one.process.kill()
        await one.process.communicate()
    async with broker(data) as one, client(one.port) as asking:
        assert one.credentials == first
        await asking.admitted(first)
        known = await asking.ask("$JS.API.STREAM.INFO.s")
    assert (made.get("error"), stored["seq"]) == (None, 1)
    assert known["state"]["messages"] == 1


async def test_sizes_are_held_to(tmp_path: Path) -> None:
    sizes = ("--max-store", str(8 << 20), "--max-payload", str(2 << 20), "--max-connections", "1")
    async with broker(tmp_path / "data", *sizes) as one, client(one.port) as asking:
        assert asking.info["max_payload"] == 2 << 20
        await asking.admitted(one.credentials)
        large = await asking.ask("$JS.API.STREAM.CREATE.s", name="s", subjects=["s.>"], max_bytes=9 << 20)
        small = await asking.ask("$JS.API.STREAM.CREATE.s", name="s", subjects=["s.>"], max_bytes=7 << 20)
        told = await asking.ask("$JS.API.INFO")
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        refused = (await asyncio.wait_for(reader.read(), 15)).decode()
        writer.close()
    assert told["limits"]["max_storage"] == 8 << 20
    assert "storage" in large["error"]["description"]
    assert "error" not in small
    assert "maximum connections exceeded" in refused


async def test_a_folder_may_be_called_anything(tmp_path: Path) -> None:
    data = tmp_path / 'o\'dd "$HOME" #{x}; \\n [é]\n\t日 \udcff'
    async with broker(data) as one:
        listed = {path.name for path in data.iterdir()}
    assert {"credentials", "jetstream", "lock", "nats-server.conf"} <= listed
    assert "\t" not in one.said.partition("[INF]")[0]


async def test_two_brokers_do_not_share_a_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with broker(data) as one:
        second = await run("broker", "--listen", "127.0.0.1:0", "--data", str(data))
        assert one.process.returncode is None
    assert second.code == 2
    assert "a broker runs in this folder already" in second.err


async def test_under_tls_the_password_is_shown_to_whom_the_certificate_names(
    tmp_path: Path, tls: dict[str, str]
) -> None:
    chain = [part for option in ("--tls-cert", "--tls-key") for part in (option, tls[option])]
    async with broker(tmp_path / "data", *chain) as one, client(one.port) as asking:
        assert asking.info["tls_required"]
        await asking.secure(Path(tls["--tls-ca"]))
        answer = await asking.admitted(one.credentials)
    assert answer == "PONG"
    assert "--join tls://127.0.0.1:PORT" in one.said


async def test_beyond_this_machine_it_does_not_listen_without_tls(tmp_path: Path) -> None:
    done = await run("broker", "--listen", "0.0.0.0:0", "--data", str(tmp_path / "data"))
    assert done.code == 2
    assert "it needs TLS" in done.err
    assert not (tmp_path / "data").exists()


async def test_all_mistakes_are_said_at_once_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = (
            *("--listen", f"127.0.0.1:{taken.getsockname()[1]}", "--data", str(tmp_path / "data")),
            *("--max-store", "some", "--cluster", "a", "--tls-cert", "/nowhere.pem", "--nats-server", "./nope"),
        )
        done = await run("broker", *wrong, cwd=tmp_path)
    assert (done.code, done.out) == (2, b"")
    starts = (
        "--max-store 'some'",
        "--cluster 'a'",
        "--tls-cert needs --tls-key",
        "--tls-cert '/nowhere.pem'",
        "--listen 127.0.0.1",
        "--nats-server './nope'",
    )
    assert [line[: len(start)] for start, line in zip(starts, done.complaints, strict=True)] == list(starts)
    assert not (tmp_path / "data").exists()


async def test_a_server_that_is_too_old_is_not_started(tmp_path: Path) -> None:
    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho 'nats-server: v2.9.10'\n")
    old.chmod(0o755)
    done = await run("broker", "--nats-server", str(old), "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data"))
    assert done.code == 2
    assert "2.9.10" in done.err
    assert "2.11 or newer" in done.err


async def test_a_folder_that_cannot_be_used_ends_it_with_code_5(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = await run("broker", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "file" / "data"))
    assert done.code == 5
    assert "--data" in done.err


async def test_its_folder_lies_beside_the_state_unless_named(tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path)}
    async with command("broker", "--listen", "127.0.0.1:0", env=env) as process:
        assert process.stderr is not None
        first = (await asyncio.wait_for(process.stderr.readline(), 15)).decode()
    assert first.endswith(f", data in {tmp_path / 'wolkvox-async-broker'}\n")


def free_ports(number: int) -> Iterator[int]:
    """Yield ports of 127.0.0.1 that the system says are free."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    for one in sockets:
        yield one.getsockname()[1]
        one.close()


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
async def test_three_nodes_find_each_other_and_keep_a_stream_together(
    tmp_path: Path, tls: dict[str, str], is_secure: bool
) -> None:
    options = [part for option in tls.items() for part in option] if is_secure else []
    for name, port in zip("abc", list(free_ports(3)), strict=True):
        options += ["--cluster", f"{name}@127.0.0.1:{port}"]
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(broker(tmp_path / "a", *options, "--name", "a"))]
        for name in "bc":
            (tmp_path / name).mkdir(mode=0o700)
            for file in ("credentials", "routes"):
                shutil.copy2(tmp_path / "a" / file, tmp_path / name / file)
            nodes.append(await stack.enter_async_context(broker(tmp_path / name, *options, "--name", name)))
        made = await replicated(nodes[2], Path(tls["--tls-ca"]) if is_secure else None)
        said = "".join(node.said for node in nodes)
    assert (made["config"]["num_replicas"], made["cluster"]["name"]) == (3, "wolkvox")
    peers = {made["cluster"]["leader"], *(peer["name"] for peer in made["cluster"]["replicas"])}
    assert peers == {"a", "b", "c"}
    for file in ("credentials", "routes"):
        assert (tmp_path / "a" / file).read_text().strip().partition(":")[2] not in said


async def replicated(node: Broker, authority: Path | None) -> dict[str, Any]:
    """Have a stream kept three times, as soon as the cluster can."""
    async with asyncio.timeout(45), client(node.port) as asking:
        if authority is not None:
            await asking.secure(authority)
        assert await asking.admitted(node.credentials) == "PONG"
        while True:
            made = await asking.ask(
                "$JS.API.STREAM.CREATE.s", name="s", subjects=["s.>"], num_replicas=3, max_bytes=1 << 29
            )
            if "error" not in made:
                return made
            await asyncio.sleep(0.1)


async def test_a_node_that_is_not_the_first_waits_for_the_passwords_to_be_copied(tmp_path: Path) -> None:
    nodes = [part for name in "abc" for part in ("--cluster", f"{name}@127.0.0.{ord(name) - 95}:16222")]
    data = tmp_path / "data"
    done = await run("broker", *nodes, "--name", "b", "--listen", "127.0.0.1:0", "--data", str(data))
    assert done.code == 2
    assert [line.split()[0] for line in done.complaints] == [str(data / "credentials"), str(data / "routes")]
    assert all("node a makes it" in line for line in done.complaints)
