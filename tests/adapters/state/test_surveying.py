"""What is told of a state folder without opening it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.adapters.state.houses import NOON, OTHER, RUN, SECRET, TOKEN, FolderHouse, mark, planned
from tests.adapters.state.test_contract import OUTPUT, asked, begun, order, settle
from wolkvox_async.adapters.state import Closing, LastCall, RunState, Survey, TokenState, survey
from wolkvox_async.counters import Counters
from wolkvox_async.errors import StateError
from wolkvox_async.model import ErrorKind, Token
from wolkvox_async.ports import Granted, Refusal


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
        await asked(state, replace(mark(), due=due.timestamp()), mark("failed", question="gamification"))
        await settle(state, mark("failed", at=NOON + timedelta(seconds=1)))
        await state.flush()
        gamification, interactions = seen(folder).calls
        assert (gamification.due, interactions.outcome, interactions.due) == (None, "failed", due)
        await settle(state, replace(mark(at=NOON + timedelta(seconds=301)), due=later.timestamp()))
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
        state.note_servers({"0010": 30, "0011": 60}, {})
        state.note_servers({"0010": 20}, {})
        await state.flush()
        folder.advance(5)
        assert seen(folder).servers_down == {"0010": 15.0}
        folder.advance(15)
        assert seen(folder).servers_down == {}


async def test_it_tells_where_retries_are_used_up(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        state.note_servers({"0012": 60}, {"0010": 30, "0011": 60})
        state.note_servers({"0012": 60}, {"0010": 20})
        await state.flush()
        folder.advance(5)
        assert seen(folder).servers_short == {"0010": 15.0}
        folder.advance(15)
        assert seen(folder).servers_short == {}


async def test_a_folder_of_an_older_version_knows_nothing_of_retries_until_it_is_used(folder: FolderHouse) -> None:
    async with await folder.open():
        pass
    with closing(sqlite3.connect(folder.folder / "state.db")) as db:
        db.execute("DROP TABLE short")
        db.commit()
    assert seen(folder).servers_short == {}
    async with await folder.open() as state:
        state.note_servers({}, {"0010": 20})
        await state.flush()
        assert seen(folder).servers_short == {"0010": 20.0}


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


async def test_it_tells_what_is_planned_and_was_never_called(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await state.look([SECRET.id])
        state.expect(RUN, [planned(), planned("gamification", operation="quito")])
        await state.flush()
        interactions, gamification = seen(folder).calls
        assert (gamification.operation, gamification.question, gamification.at) == ("quito", "gamification", None)
        assert interactions == LastCall(
            tenant="acme",
            operation="bogota",
            server="0010",
            token=SECRET.id,
            question="interactions",
            outcome=None,
            kind=None,
            message=None,
            noted=NOON,
            rows=0,
            attempts=0,
            run=RUN,
            due=None,
            since=None,
            sent=None,
        )
        await asked(state, mark("failed", token=SECRET.id))
        (interactions, _) = seen(folder).calls
        assert (interactions.outcome, interactions.at, interactions.attempts) == ("failed", NOON, 1)


async def test_planning_changes_nothing_of_what_was_called(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await asked(state, replace(mark(token=SECRET.id, ago=2), due=NOON.timestamp() + 300))
        before = seen(folder).calls
        state.expect("another run", [planned(server="0011")])
        await state.flush()
        assert seen(folder).calls == before


async def test_what_is_planned_again_is_planned_by_the_latest(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await state.look([SECRET.id])
        state.expect("first run", [planned()])
        await state.flush()
        folder.advance(60)
        state.expect(RUN, [planned(server="0011")])
        await state.flush()
        (call,) = seen(folder).calls
        assert (call.run, call.noted, call.server) == (RUN, NOON + timedelta(seconds=60), "0011")


async def test_what_is_planned_of_a_token_that_was_never_looked_at_is_passed_over(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await state.look([SECRET.id])
        state.expect(RUN, [planned(token=Token("another-secret")), planned()])
        await state.flush()
        assert [call.token for call in seen(folder).calls] == [SECRET.id]


async def test_many_planned_calls_are_all_told(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await state.look([SECRET.id])
        calls = [planned(operation=f"operation-{number:04}") for number in range(1_237)]
        for start in range(0, len(calls), 500):
            state.expect(RUN, calls[start : start + 500])
        await state.flush()
        assert [call.operation for call in seen(folder).calls] == [call.operation.name for call in calls]


async def test_what_was_taken_back_is_planned_and_was_never_called(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await state.open_run(order(1))
        await asked(state, replace(mark(), due=NOON.timestamp() + 300))
        state.unsettle(RUN, [mark()])
        await state.flush()
        (call,) = seen(folder).calls
        assert (call.outcome, call.at, call.due, call.sent, call.rows) == (None, None, None, None, 0)


async def test_an_adopted_mark_counts_for_what_was_only_planned_however_old_it_is(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await state.look([SECRET.id])
        state.expect(RUN, [planned()])
        await state.adopt(OUTPUT, [mark(token=SECRET.id, at=NOON - timedelta(days=1))], 100)
        (call,) = seen(folder).calls
        assert (call.outcome, call.at) == ("ok", NOON - timedelta(days=1))


async def test_what_was_planned_and_never_called_is_forgotten_after_40_days(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await state.look([SECRET.id])
        await asked(state, mark("failed"))
        state.expect(RUN, [planned()])
    folder.advance(41 * 86_400)
    async with await folder.open() as state:
        await state.open_run(order(1))
    folder.advance(86_400)
    async with await folder.open():
        assert [call.token for call in seen(folder).calls] == [TOKEN]


async def test_whoever_has_the_folder_to_himself_for_a_moment_is_waited_for(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await asked(state, mark())
    database = sqlite3.connect(folder.folder / "state.db", isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("BEGIN EXCLUSIVE")
    # SQLite waits by its own clock; it would have given up after a tenth of a second.
    leaving = threading.Timer(0.3, database.close)
    leaving.start()
    assert len(seen(folder).calls) == 1
    leaving.join()
