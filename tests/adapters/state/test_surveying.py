"""What is told of a state folder without opening it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.adapters.state.houses import NOON, OTHER, RUN, TOKEN, FolderHouse, mark
from tests.adapters.state.test_contract import asked, begun, order, settle
from wolkvox_async.adapters.state import Closing, RunState, Survey, TokenState, survey
from wolkvox_async.errors import StateError
from wolkvox_async.model import ErrorKind
from wolkvox_async.ports import Granted, Refusal
from wolkvox_async.records import Counters


@pytest.fixture
def folder(tmp_path: Path) -> FolderHouse:
    return FolderHouse(tmp_path / "state")


def seen(folder: FolderHouse) -> Survey:
    return survey(folder.folder, folder.machine.clocks())


def test_where_there_is_no_state_there_is_nothing_to_tell(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no state"):
        survey(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


async def test_it_tells_the_last_outcome_of_every_question(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await asked(state, mark(ago=2), mark("failed", question="gamification"))
        folder.advance(60)
        later = folder.now
        await settle(state, mark("failed", at=later, attempts=4))
    folder.advance(40)
    gamification, interactions = seen(folder).calls
    assert (gamification.outcome, gamification.since, gamification.sent) == ("failed", None, None)
    assert (interactions.tenant, interactions.operation, interactions.server) == ("acme", "bogota", "0010")
    assert (interactions.token, interactions.question, interactions.run) == (TOKEN, "interactions", RUN)
    assert (interactions.outcome, interactions.kind, interactions.message) == ("failed", "timeout", "no answer")
    assert (interactions.at, interactions.rows, interactions.attempts) == (later, 0, 4)
    assert interactions.since == pytest.approx(102)
    assert interactions.sent == NOON - timedelta(seconds=2)


async def test_when_a_call_is_due_outlasts_a_failure(folder: FolderHouse) -> None:
    due, later = NOON + timedelta(seconds=300), NOON + timedelta(seconds=600)
    async with await folder.open() as state:
        await asked(state, replace(mark(), due=due), mark("failed", question="gamification"))
        await settle(state, mark("failed", at=NOON + timedelta(seconds=1)))
        await state.flush()
        gamification, interactions = seen(folder).calls
        assert (gamification.due, interactions.outcome, interactions.due) == (None, "failed", due)
        await settle(state, replace(mark(at=NOON + timedelta(seconds=301)), due=later))
    assert seen(folder).calls[1].due == later


async def test_a_damaged_lease_file_is_an_error_and_stays_as_it_is(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await asked(state, mark())
    (folder.folder / "leases").write_bytes(b"garbage" * 1000)
    with pytest.raises(StateError, match="damaged"):
        seen(folder)
    assert (folder.folder / "leases").read_bytes() == b"garbage" * 1000


async def test_it_tells_why_a_token_waits(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await begun(state, hold=70)
        await state.look([OTHER])
        assert state.claim(OTHER) == Granted()
        assert seen(folder).tokens == {
            TOKEN: TokenState(held=True, closed_for=70.0, closing=Closing.IN_FLIGHT),
            OTHER: TokenState(held=True),
        }
        state.end(TOKEN, 60, 0)
        state.release(TOKEN)
        state.refuse(OTHER, Refusal(ErrorKind.QUOTA, "TOKEN LIMIT EXCEEDED", 500))
        await state.flush()
        state.release(OTHER)
        folder.advance(10)
        assert seen(folder).tokens == {
            TOKEN: TokenState(closed_for=50.0, closing=Closing.AT_WORK),
            OTHER: TokenState(refusal=Refusal(ErrorKind.QUOTA, "TOKEN LIMIT EXCEEDED", 490.0)),
        }
        folder.advance(500)
        assert seen(folder).tokens == {TOKEN: TokenState(), OTHER: TokenState()}
        await begun(state)
        state.end(TOKEN, 1, 3)
        state.release(TOKEN)
        assert seen(folder).tokens[TOKEN] == TokenState(closed_for=3.0, closing=Closing.PAUSE)
        folder.advance(3)
        await begun(state, hold=70)
    assert seen(folder).tokens[TOKEN] == TokenState(closed_for=70.0, closing=Closing.LOST)
    folder.machine.reboot(up=20)
    assert seen(folder).tokens[TOKEN] == TokenState(closed_for=50.0, closing=Closing.UNKNOWN)


async def test_it_tells_of_runs(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await state.open_run(order(1, "november"))
        await settle(state, mark(attempts=2), mark("skipped", question="vision", kind="held", attempts=0))
        folder.advance(5)
        await settle(state, mark("failed", question="gamification"))
        (run,) = seen(folder).runs
        assert run == RunState(
            id=RUN,
            name="november",
            tenants="tenants.json",
            output="/var/out/usage.jsonl",
            at=NOON,
            touched=NOON + timedelta(seconds=5),
            alive=True,
            complete=False,
            counters=Counters(ok=1, failed=1, skipped=1, held=1, rows=3, attempts=3),
        )
        await state.close_run(RUN, complete=True)
        (run,) = seen(folder).runs
        assert (run.alive, run.complete) == (False, True)


async def test_it_tells_which_servers_are_down(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        state.note_servers({"0010": 30, "0011": 60})
        state.note_servers({"0010": 20})
        await state.flush()
        folder.advance(5)
        assert seen(folder).servers_down == {"0010": 15.0}
        folder.advance(15)
        assert seen(folder).servers_down == {}


async def test_it_tells_that_the_memory_was_lost(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await asked(state, mark())
        assert seen(folder).damaged_for is None
    (folder.folder / "leases").unlink()
    async with await folder.open():
        folder.advance(7)
        assert seen(folder).damaged_for == pytest.approx(7)
        assert seen(folder).tokens[TOKEN] == TokenState(closed_for=123.0, closing=Closing.UNKNOWN)


async def test_it_leaves_no_trace(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await asked(state, mark())
    before = {path.name: path.read_bytes() for path in folder.folder.iterdir()}
    assert seen(folder).calls
    after = {path.name: path.read_bytes() for path in folder.folder.iterdir()}
    assert {name: after[name] for name in before} == before


async def test_a_damaged_database_is_an_error_and_stays_where_it_is(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await asked(state, mark())
    (folder.folder / "state.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(StateError, match="damaged"):
        seen(folder)
    assert (folder.folder / "state.db").exists()
