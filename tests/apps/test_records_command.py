"""`records`, with a real broker and real processes."""

from __future__ import annotations

import asyncio
import re
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.adapters.stores.brokers import Broker, ended, settings
from tests.apps.commands import PROGRAM, command, run
from tests.apps.reading.lines import fill, lines_of_call, whole
from wolkvox_async.adapters.nats import NatsStore
from wolkvox_async.apps.cli import records
from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.reading.reader import Order, Reader

SOON = 0.01


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    made = Broker(tmp_path / "broker")
    made.folder.mkdir()
    with ended(made):
        await made.start()
        yield made


@pytest.fixture
async def store(broker: Broker) -> AsyncIterator[NatsStore]:
    async with await NatsStore.open(settings(broker)) as opened:
        yield opened


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(SOON)


def told(said: str) -> int:
    """Return the next sequence that standard error told last."""
    return int(re.findall(r"^next: --from (\d+)$", said, re.MULTILINE)[-1])


async def test_a_reader_that_is_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, broker: Broker, store: NatsStore
) -> None:
    path, lines, stopped = tmp_path / "all.jsonl", bytearray(), asyncio.Event()

    async def write() -> None:
        number = 0
        while not stopped.is_set():
            calls = [lines_of_call(number + more, rows=more % 4, size=50 * more) for more in range(40)]
            lines.extend(await fill(store, calls, start=number))
            number += 40
            await asyncio.sleep(0.002)

    def size() -> int:
        return path.stat().st_size if path.exists() else 0

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        for _ in range(2):
            before = size()
            async with command("records", "--join", broker.address, "--follow", "--output", str(path)) as reader:
                await until(lambda: size() > before + 300_000)  # noqa: B023 - it is waited for here
                reader.kill()
                await reader.wait()
        stopped.set()
    assert await Reader(Order(settings(broker), str(path)), print).run() is Exit.OK
    assert path.read_bytes() == bytes(lines)


async def _read_lines(reader: Process, most: int) -> bytes:
    assert reader.stdout is not None
    async with asyncio.timeout(30):
        return b"".join([await reader.stdout.readline() for _ in range(most)])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_ends_it_and_the_next_sequence_is_told(
    broker: Broker, store: NatsStore, number: int, code: int
) -> None:
    lines = await fill(store, [lines_of_call(one) for one in range(3)])
    async with command("records", "--join", broker.address, "--follow") as reader:
        got = await _read_lines(reader, lines.count(b"\n"))
        await asyncio.sleep(0.1)
        reader.send_signal(number)
        _, said = await reader.communicate()
    assert (got, reader.returncode, told(said.decode())) == (lines, code, 4)


async def test_a_reader_that_stands_still_is_given_up_after_a_signal(broker: Broker, store: NatsStore) -> None:
    await fill(store, [lines_of_call(one, size=2_000) for one in range(200)])
    async with command("records", "--join", broker.address) as reader:
        assert reader.stdout is not None
        got = await _read_lines(reader, 1)
        reader.stdout._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.2)
        reader.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            while reader.returncode is None:
                await asyncio.sleep(SOON)
        reader.stdout._transport.resume_reading()  # type: ignore[attr-defined]
        rest, said = await reader.communicate()
    assert reader.returncode == 143
    complete = [record["call"] for record in whole(got + rest) if record["type"] == "call"]
    assert len(complete) >= told(said.decode()) - 1


async def _into_head(broker: Broker, *options: str) -> tuple[int | None, bytes, bytes]:
    """Read into `head -n 3`, and return how the reader ended, what head had, and what was said."""
    script = '"$@"; echo "code $?" >&2'
    shell = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        f"{{ {script}; }} | head -n 3",
        "sh",
        *PROGRAM,
        "records",
        "--join",
        broker.address,
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, said = await shell.communicate()
    return int(said.rpartition(b"code ")[2]), out, said


async def test_a_pipe_that_is_closed_ends_it_with_code_4(broker: Broker, store: NatsStore) -> None:
    lines = await fill(store, [lines_of_call(one, size=2_000) for one in range(200)])
    code, out, said = await _into_head(broker)
    assert (code, out) == (4, b"".join(lines.splitlines(keepends=True)[:3]))
    assert 1 <= told(said.decode()) < 200


async def test_a_pipe_that_is_closed_is_noticed_while_nothing_comes(broker: Broker, store: NatsStore) -> None:
    await fill(store, [lines_of_call(1)])
    code, out, said = await _into_head(broker, "--follow")
    assert (code, out, told(said.decode())) == (4, lines_of_call(1), 2)


async def test_a_pipe_begins_where_a_person_says_and_the_next_sequence_is_told(
    broker: Broker, store: NatsStore
) -> None:
    lines = await fill(store, [lines_of_call(number) for number in range(3)])
    done = await run("records", "--from", "2", env={"WOLKVOX_JOIN": broker.address})
    assert (done.code, done.out, done.err) == (0, lines[len(lines_of_call(0)) :], "next: --from 4\n")
    assert whole(done.out)


async def test_a_broker_that_is_away_is_waited_for(tmp_path: Path, broker: Broker, store: NatsStore) -> None:
    path, said = tmp_path / "all.jsonl", list[str]()
    lines = await fill(store, [lines_of_call(1)])
    reader = Reader(Order(settings(broker, deadline=1.0), str(path), follow=True), said.append)
    reading = asyncio.create_task(reader.run())
    await until(lambda: path.exists() and path.read_bytes() == lines)
    broker.kill()
    await until(lambda: any(line.startswith("waiting: ") for line in said))
    await broker.start()
    async with await NatsStore.open(settings(broker)) as later:
        lines += await fill(later, [lines_of_call(2)], start=1)
    await until(lambda: path.read_bytes() == lines)
    reader.stopping.set()
    assert await reading is Exit.OK
    assert said[1:] == ["the broker answers again", "next: --from 3"]


async def test_every_mistake_comes_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    done = await run(
        "records", "--from", "0", "--output", str(tmp_path / "{date}.jsonl"), "--join-credentials", "wolkvox:hunter22"
    )
    assert (done.code, done.out) == (2, b"")
    for part in ("--from '0'", "--output", "--join"):
        assert part in done.err
    assert "hunter22" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_no_broker_is_said_with_code_5(unused_tcp_port: int) -> None:
    address = f"nats://127.0.0.1:{unused_tcp_port}"
    done = CliRunner().invoke(records.command, ["--join", address], standalone_mode=False)
    assert (done.return_value, done.stdout) == (5, "")
    assert "cannot be reached" in done.stderr
