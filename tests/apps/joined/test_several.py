"""Several machines from one command: they are a cluster like any other, and one program to whoever started it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apps.commands import command, run, written
from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.joined.dealing import dealt
from wolkvox_async.apps.joined.endings import Ended, added, ending_of_all
from wolkvox_async.apps.joined.labour import Outcome
from wolkvox_async.apps.passing import Ending
from wolkvox_async.apps.signals import PassedSignals, Reactions, StopSignals
from wolkvox_async.apps.working.shares import Part
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.settings.options import Options
from wolkvox_async.testing import Fixed, Profile, Simulator

from .lab import OPTIONS, PARTITIONS, Lab, children, count, doubled_slots, lab, missing, said, send, unordered
from .test_machines import is_spread

NOWHERE = "nats://127.0.0.1:1"
TWO = ("--workers", "2")
SLOW = Profile(servers=2, operations=16, interval=2, limit=1.0, latency=Fixed(0.3))
CALLS = 32


def usual(outcome: Outcome) -> Ending:
    troubled, fine = outcome.counters.get("failed", 0), outcome.counters.get("ok", 0)
    return Ending(Exit.OK if not troubled else Exit.SOME_FAILED if fine else Exit.NOTHING_WORKED)


def everybody(process: Process) -> list[int]:
    """Return the processes of a command but for itself: machines, and what they have forked."""
    machines = children(process)
    return [*machines, *(int(pid) for machine in machines for pid in _forked(machine))]


def _forked(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


async def until_gone(pids: list[int]) -> None:
    async with asyncio.timeout(20):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            await asyncio.sleep(0.02)


async def sessions(it: Lab) -> set[str]:
    return {lease.session for lease in (await it.leases()).values() if not lease.free}


# --- a cluster


async def test_two_machines_of_one_command_share_and_a_killed_one_is_started_anew(
    secret_store: Path, tmp_path: Path
) -> None:
    async with lab(tmp_path, secret_store) as it, it.watching(*TWO) as process:
        await it.open_up(machines=2)
        assert sum((await it.until_held(is_spread)).values()) == PARTITIONS
        await it.calls(10)
        machines, before = everybody(process), await sessions(it)
        assert len(machines) == 4

        send(children(process)[0], signal.SIGKILL)
        async with asyncio.timeout(50):
            while len(now := await sessions(it)) != 2 or now == before:
                await asyncio.sleep(0.05)
        assert len(now & before) == 1
        assert sum((await it.until_held(is_spread)).values()) == PARTITIONS
        await it.calls(20)

        machines = everybody(process)
        for pid in [*machines, process.pid]:  # as an init system and a terminal do it
            send(pid, signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 128 + signal.SIGTERM
        heard = await said(process)
        assert "machine 1 of 2 was killed by SIGKILL: the others take over what it had, it is started anew" in heard
        await until_gone(machines)
        assert await it.holders() == {}
        await it.look()
    assert count(it.records) >= 30
    assert doubled_slots(it.records) == unordered(it.records) == missing(it.records) == []


async def test_a_pass_of_two_machines_ends_with_its_command_however_that_ends(
    secret_store: Path, tmp_path: Path
) -> None:
    async with lab(tmp_path, secret_store, SLOW) as it:
        options = [*OPTIONS, *it.options, "--per-server", "2", *TWO]
        async with command("fetch", *options) as process:
            await it.open_up(machines=2)
            await it.calls(6)
            processes = everybody(process)
            assert len(processes) == 4
            process.kill()
            await process.wait()
            await until_gone(processes)
        assert 6 <= count(await it.look()) < CALLS
        async with command("fetch", *options) as process:
            assert await asyncio.wait_for(process.wait(), 50) == 0, await said(process)
        records = await it.look()
        assert await it.holders() == {}
        assert set(it.simulator.verdict().max_in_flight_by_server.values()) <= {1, 2}
    calls = [record for record in records if record["type"] == "call"]
    assert Counter(record["outcome"] for record in calls) == {"ok": CALLS}
    assert len({record["call"] for record in calls}) == CALLS
    assert [record["event"] for record in records if record["type"] == "run"] == ["started", "finished"]


# --- what is wrong is said once


async def test_a_broker_that_cannot_be_reached_is_said_once(secret_store: Path) -> None:
    async with Simulator(Profile(operations=2)) as simulator:
        runs = secret_store / "runs"
        options = written(simulator, secret_store)
        given_by_command(Path(options[1]), runs)
        done = await run("fetch", *options, *OPTIONS, "--join", NOWHERE, "--workers", "3", "--per-server", "2")
    assert done.code == Exit.STATE
    assert done.err.count("127.0.0.1:1 cannot be reached") == 1
    assert done.err.count("--workers 3: 2 at most") == 1
    assert runs.read_text() == "run\n" * 2, "each token was asked for once"


def given_by_command(tenants: Path, runs: Path) -> None:
    """Have tokens come from commands that leave a line."""
    whole = json.loads(tenants.read_text())
    for number, operation in enumerate(one for tenant in whole["tenants"] for one in tenant["operations"]):
        operation["token"] = {"command": ["sh", "-c", f"echo run >> {runs}; echo a-token-of-number-{number}"]}
    tenants.write_text(json.dumps(whole))


async def test_a_watch_without_a_cluster_is_one_process(secret_store: Path) -> None:
    async with Simulator(Profile(operations=2)) as simulator:
        done = await run("watch", *written(simulator, secret_store), *TWO)
    assert done.code == Exit.USAGE
    assert done.err.count("--workers is for --join") == len(done.complaints) == 1


# --- signals that are passed on


async def test_a_signal_that_was_passed_on_before_anybody_listened_is_heard_and_those_of_a_terminal_are_not() -> None:
    ours, theirs = socket.socketpair()
    heard: list[str] = []
    reactions = Reactions(*(partial(heard.append, name) for name in ("stop", "abandon", "abort")))
    with ours, theirs:
        signals = PassedSignals(theirs, partial(heard.append, "gone"))
        ours.send(bytes([signal.SIGHUP, signal.SIGTERM]))
        signals.listen(signal.SIGHUP, partial(heard.append, "hung up"))
        with StopSignals(reactions, 60.0, signals) as stopping:
            await until(lambda: len(heard) == 2)
            assert (heard, stopping.received) == (["hung up", "stop"], signal.SIGTERM)
            ours.send(bytes([signal.SIGINT]))
            await until(lambda: len(heard) == 3)
            assert (heard[-1], stopping.received) == ("abort", signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "it is not listened to"
        ours.close()
        await until(lambda: "gone" in heard)
        signals.leave_off(signal.SIGHUP)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


# --- limits and endings


@given(
    st.integers(1, 2000) | st.just("auto"),
    st.integers(1, 64),
    st.integers(1, 2000),
    st.integers(1, 256),
)
def test_what_machines_have_of_the_limits_adds_up_to_them(
    asked: int | str, per_server: int, found: int, workers: int
) -> None:
    options = Options(max_in_flight=asked, per_server=per_server)  # type: ignore[arg-type]
    limits = Part(found if isinstance(asked, str) else asked, per_server)
    shares = dealt(options, limits, workers)
    assert sum(share.options.per_server for share in shares) == per_server
    assert sum(share.most_in_flight or 0 for share in shares) == limits.max_in_flight
    assert [share.is_first for share in shares] == [True] + [False] * (len(shares) - 1)
    assert all(share.options.max_in_flight in ("auto", share.most_in_flight) for share in shares)
    assert (limits.shortage(workers) is None) == (len(shares) == workers)


FINE, WORSE = Ended(0, counters={"ok": 3, "failed": 0}), Ended(0, counters={"ok": 0, "failed": 2})
STOPPED, LOST, NO_STORE = Ended(143), Ended.because("was killed by SIGKILL"), Ended(5, ["the store is gone"])


@pytest.mark.parametrize(
    ("ended", "received", "code"),
    [
        ([FINE, FINE], None, 0),
        ([FINE, WORSE], None, 1),
        ([WORSE, WORSE], None, 3),
        ([WORSE, Ended(0)], None, 3),
        ([FINE, LOST], None, 1),
        ([STOPPED, STOPPED], signal.SIGTERM, 143),
        ([STOPPED, LOST, Ended(2, ["a mistake"])], signal.SIGINT, 130),
        ([STOPPED, NO_STORE, NO_STORE], signal.SIGTERM, 5),
        ([STOPPED, NO_STORE], None, 5),
    ],
)
def test_the_exit_code_is_the_first_that_applies_to_all_together(
    ended: list[Ended], received: int | None, code: int
) -> None:
    ending = ending_of_all(ended, received, usual)
    assert ending.code == code
    assert ending.message == ("the store is gone" if code == Exit.STATE else None)


def test_a_mistake_that_all_machines_found_is_said_once() -> None:
    with pytest.raises(ConfigurationError) as found:
        ending_of_all([Ended(2, ["a mistake"]), STOPPED, Ended(2, ["a mistake", "another"])], None, usual)
    assert [str(mistake) for mistake in found.value.mistakes] == ["a mistake", "another"]


def test_what_machines_counted_is_added_and_the_latest_time_kept() -> None:
    counted: list[dict[str, Any]] = [{"ok": 1, "due": 5.0}, {"ok": 2, "due": None}, {"empty": 1, "due": 9.0}, {}]
    assert added(counted) == {"ok": 3, "empty": 1, "due": 9.0}


def test_how_a_machine_ended_is_read_as_it_was_told_or_not_at_all() -> None:
    told = Ended(5, ["the store is gone"], {"ok": 1}).encode()
    assert Ended.decode(told) == Ended(5, ["the store is gone"], {"ok": 1})
    assert Ended.decode(b"") is None
    assert Ended.decode(told[:-1]) is None
