"""Several real processes on one folder, killed and stopped at any moment."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.adapters.state.houses import OTHER, TOKEN, mark
from tests.adapters.state.test_contract import begun, order, settle
from wolkvox_async.adapters.state import Closing, SqliteState, survey
from wolkvox_async.errors import RunError, StateError
from wolkvox_async.marks import tail
from wolkvox_async.ports import Closed, Granted, Taken, Unread

ROOT = Path(__file__).parents[3]


class Staff:
    """Workers that are started anew when they were killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "state"
        self.journal = folder / "journal"
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int) -> None:
        where = [str(self.folder), str(self.journal)]
        command = [sys.executable, "-m", "tests.adapters.state.worker", *where, str(number)]
        self.processes[number] = subprocess.Popen(command, cwd=ROOT)

    def kill(self, number: int) -> None:
        self.processes[number].kill()
        self.processes[number].wait()

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.journal.read_text().splitlines()] if self.journal.exists() else []

    async def until_said(self, word: str, times: int) -> None:
        while sum(line[:1] == [word] for line in self.lines()) < times:
            await asyncio.sleep(0.01)
            assert all(process.poll() is None for process in self.processes.values())


@contextmanager
def staff(folder: Path) -> Iterator[Staff]:
    workers = Staff(folder)
    try:
        yield workers
    finally:
        for number in workers.processes:
            workers.kill(number)


def overlaps(lines: list[list[str]]) -> list[str]:
    """Return the tokens that were used while a call of theirs was, or might have been, going on."""
    free: dict[str, float] = {}
    found = []
    for line in lines:
        match line:
            case ["begin", token, now, hold]:
                if float(now) < free.get(token, 0.0):
                    found.append(token)
                free[token] = float(now) + float(hold)
            case ["end", token, now]:
                free[token] = float(now)
    return found


async def test_killed_at_any_moment_nothing_overlaps_and_nothing_settled_is_lost(tmp_path: Path) -> None:
    chance = random.Random(1)
    with staff(tmp_path) as workers:
        for number in range(3):
            workers.start(number)
        await workers.until_said("ready", 3)
        for kill in range(8):
            await asyncio.sleep(chance.random() * 0.2)
            workers.kill(kill % 3)
            workers.start(kill % 3)
            await workers.until_said("ready", 4 + kill)
        await workers.until_said("begin", 100)
    lines = workers.lines()
    assert overlaps(lines) == []
    await nothing_is_lost(workers.folder, {tail(line[1]) for line in lines if line[0] == "settled"})


async def nothing_is_lost(folder: Path, told: set[str]) -> None:
    db = sqlite3.connect(folder / "state.db")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    settled: set[str] = set()
    async with await SqliteState.open(folder) as state:
        assert not state.notices
        for number in range(3):
            run = await state.open_run(order(7, f"worker-{number}", output=f"out-{number}"))
            assert run.counters.ok == len(run.settled)
            settled |= run.settled
    assert told
    assert told <= settled


def test_the_journal_of_an_overlap_shows_it() -> None:
    assert overlaps([["begin", "a", "1", "9"], ["begin", "b", "2", "9"], ["begin", "a", "3", "9"]]) == ["a"]
    assert overlaps([["begin", "a", "1", "9"], ["end", "a", "3"], ["begin", "a", "3", "9"]]) == []
    assert overlaps([["begin", "a", "1", "9"], ["begin", "a", "10", "9"]]) == []


async def test_a_stopped_process_keeps_its_tokens_and_stops_nobody(tmp_path: Path) -> None:
    with staff(tmp_path) as workers:
        for number in range(2):
            workers.start(number)
        await workers.until_said("ready", 2)
        await workers.until_said("begin", 20)
        db = sqlite3.connect(workers.folder / "state.db", isolation_level=None, timeout=30)
        db.execute("BEGIN IMMEDIATE")  # so that it is not in the middle of a commit, which others would wait for
        os.kill(workers.processes[0].pid, signal.SIGSTOP)
        # The signal alone may be acted on after the commit; it takes no time to speak of.
        os.waitid(os.P_PID, workers.processes[0].pid, os.WSTOPPED)  # noqa: ASYNC222
        db.execute("ROLLBACK")
        db.close()
        begun = sum(line[:1] == ["begin"] for line in workers.lines())
        await workers.until_said("begin", begun + 20)
        os.kill(workers.processes[0].pid, signal.SIGCONT)
        await asyncio.sleep(0.2)
    assert overlaps_of_the_living(workers.lines()) == []


def overlaps_of_the_living(lines: list[list[str]]) -> list[str]:
    """Return the tokens that were used between a begin and its end, however long it took."""
    busy: set[str] = set()
    found = []
    for verb, *rest in lines:
        if verb == "begin":
            if rest[0] in busy:
                found.append(rest[0])
            busy.add(rest[0])
        elif verb == "end":
            busy.discard(rest[0])
    return found


HOLDER = """
import asyncio, sys
from pathlib import Path
from tests.adapters.state.houses import OTHER, TOKEN
from tests.adapters.state.test_contract import begun, order
from wolkvox_async.adapters.state import SqliteState
async def main():
    state = await SqliteState.open(Path(sys.argv[1]))
    await state.open_run(order(1, "november"))
    await begun(state, TOKEN, 60)
    await state.look([OTHER])
    state.claim(OTHER)
    print("ready", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@asynccontextmanager
async def holder(folder: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Have a process hold two tokens, one of them in use, and a run."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, folder], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        with process.stdout:
            assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
            yield process
    finally:
        process.kill()
        process.wait()


async def test_what_a_killed_process_held_is_free_and_what_it_used_is_closed(tmp_path: Path) -> None:
    async with holder(tmp_path) as process, await SqliteState.open(tmp_path) as state:
        await state.look([TOKEN, OTHER])
        assert (state.claim(TOKEN), state.claim(OTHER)) == (Taken(), Taken())
        with pytest.raises(RunError, match="alive"):
            await state.open_run(order(2, "november"))
        seen = survey(tmp_path)
        assert (seen.tokens[TOKEN].held, seen.tokens[TOKEN].closing) == (True, Closing.IN_FLIGHT)
        assert (seen.tokens[OTHER].held, seen.tokens[OTHER].closing) == (True, None)
        assert seen.runs[0].alive
        process.kill()
        process.wait()
        closed = state.claim(TOKEN)
        assert isinstance(closed, Closed)
        assert 50 < closed.seconds <= 60
        assert state.claim(OTHER) == Granted()
        state.release(OTHER)
        seen = survey(tmp_path)
        assert (seen.tokens[TOKEN].held, seen.tokens[TOKEN].closing) == (False, Closing.LOST)
        assert not seen.runs[0].alive
        assert (await state.open_run(order(2, "november"))).resumed


async def test_a_forked_copy_can_do_nothing_and_gives_nothing_back(tmp_path: Path) -> None:
    async with await SqliteState.open(tmp_path) as state, await SqliteState.open(tmp_path) as another:
        await another.look([TOKEN])
        await begun(state)
        child = os.fork()
        if child == 0:
            try:
                state.claim(OTHER)
            except StateError as error:
                os._exit(7 if "forked" in str(error) else 8)
            os._exit(9)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        assert another.claim(TOKEN) == Taken()
        state.end(TOKEN, 0, 0)
        await settle(state, mark())
        state.release(TOKEN)
        assert another.claim(TOKEN) == Unread()
