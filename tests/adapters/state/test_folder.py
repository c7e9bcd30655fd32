"""What only a folder has: files, boots, damage, and more than one clock."""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapters.state.houses import NOON, OTHER, RUN, TOKEN, FolderHouse, Machine, mark
from tests.adapters.state.test_contract import asked, begun, order, settle
from wolkvox_async.adapters.state import SqliteState, default_folder, machine_clocks
from wolkvox_async.adapters.state.folder import Folder, Presence
from wolkvox_async.adapters.state.opening import DEFAULT_HOLD
from wolkvox_async.errors import StateError
from wolkvox_async.model import ErrorKind
from wolkvox_async.ports import Closed, Granted, Refusal, Unread


@pytest.fixture
def folder(tmp_path: Path) -> FolderHouse:
    return FolderHouse(tmp_path / "state")


def open_things() -> tuple[int, int]:
    """Count open descriptors and threads."""
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


async def used(folder: FolderHouse, hold: float = 70.0) -> None:
    """Make one call, told to the folder, and begin another that is never heard of again."""
    async with await folder.open() as state:
        await state.open_run(order(1, "november"))
        await asked(state, mark(at=folder.now))
        await begun(state, OTHER, hold)


# --- files


async def test_nobody_else_may_read_it(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await asked(state, mark())
        assert stat.S_IMODE(folder.folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.folder.iterdir()}
    assert {"state.db", "state.db-wal", "leases", "lock", "locks.0"} <= modes.keys()
    assert set(modes.values()) == {0o600}


async def test_no_thread_and_no_descriptor_is_left(folder: FolderHouse) -> None:
    before = open_things()
    for _ in range(3):
        async with await folder.open() as state:
            await asked(state, mark())
    assert open_things() == before


async def test_a_failed_opening_leaves_nothing_open(folder: FolderHouse) -> None:
    folder.folder.mkdir()
    (folder.folder / "state.db").mkdir()
    before = open_things()
    with pytest.raises(StateError):
        await folder.open()
    assert open_things() == before


async def test_a_file_in_its_place_is_an_error_that_says_so(folder: FolderHouse) -> None:
    folder.folder.write_text("mine")
    with pytest.raises(StateError, match="this is a file"):
        await folder.open()
    assert folder.folder.read_text() == "mine"


async def test_a_database_of_another_program_is_left_alone(folder: FolderHouse) -> None:
    folder.folder.mkdir()
    path = folder.folder / "state.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    content = path.read_bytes()
    with pytest.raises(StateError, match="another program"):
        await folder.open()
    assert path.read_bytes() == content


async def test_a_newer_schema_is_refused_and_left_alone(folder: FolderHouse) -> None:
    await used(folder)
    with sqlite3.connect(folder.folder / "state.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match="newer wolkvox-async made it"):
        await folder.open()
    assert not list(folder.folder.glob("*.damaged-*"))


@pytest.mark.parametrize(
    ("environment", "platform", "path"),
    [
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "linux", "/x/wolkvox-async"),
        ({"HOME": "/h"}, "linux", "/h/.local/state/wolkvox-async"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "linux", "/h/.local/state/wolkvox-async"),
        ({"HOME": "/h"}, "darwin", "/h/Library/Application Support/wolkvox-async"),
    ],
)
def test_the_default_folder_is_the_users(environment: dict[str, str], platform: str, path: str) -> None:
    assert default_folder(environment, platform) == Path(path)


def test_without_a_home_there_is_no_default_folder() -> None:
    with pytest.raises(StateError, match="--state"):
        default_folder({}, "linux")


async def test_a_token_is_not_taken_for_its_id(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        for poison in ("0123456789abcdef0123456789abcdef", "tk_short", ""):
            with pytest.raises(ValueError, match="no token id") as caught:
                await state.look([poison])
            assert not poison or poison not in str(caught.value)
            with pytest.raises(ValueError, match="no token id"):
                state.claim(poison)


# --- one opening after the other


async def test_what_was_settled_outlives_the_process(folder: FolderHouse) -> None:
    await used(folder, hold=70)
    folder.advance(30)
    async with await folder.open() as state:
        await state.look([TOKEN, OTHER])
        assert state.since(TOKEN, "interactions") == pytest.approx(30)
        assert state.claim(TOKEN) == Granted()
        assert state.claim(OTHER) == Closed(40.0)
        assert (await state.open_run(order(2, "november"))).counters.ok == 1


async def test_many_tokens_keep_their_slots(folder: FolderHouse) -> None:
    tokens = [f"tk_{number * 7919:012x}" for number in range(9_000)]
    async with await folder.open() as state, await folder.open() as another:
        await state.look(tokens[:5_000])
        await another.look(tokens)
        await state.look(tokens)
        await begun(another, tokens[-1])
        await begun(another, tokens[0])
        another.end(tokens[0], 60, 0)
        another.release(tokens[0])
        assert state.claim(tokens[0]) == Closed(60.0)
    async with await folder.open() as state:
        await state.look(reversed(tokens))  # type: ignore[arg-type]
        closed = [token for token in tokens if isinstance(state.claim(token), Closed)]
        assert closed == [tokens[0], tokens[-1]]


async def test_names_outlive_the_process(folder: FolderHouse) -> None:
    tokens = [f"tk_{number:012x}" for number in range(1_200)]
    async with await folder.open() as state:
        await state.look(tokens)
        for number, token in enumerate(tokens):
            state.name(token, [number, -number])
        state.name(tokens[7], [7_000])
    async with await folder.open() as state:
        assert not state.is_anothers(TOKEN, [8]), "nothing is known of tokens that nobody looked at"
        await state.look(tokens)
        assert state.names(tokens[7]) == {7_000}
        assert all(state.names(token) == {n, -n} for n, token in enumerate(tokens) if n != 7)
        assert state.is_anothers(TOKEN, [8])
        assert not state.is_anothers(TOKEN, [7])


async def without_names(folder: FolderHouse) -> None:
    """Use the folder, and make it one of the time before names."""
    await used(folder)
    with sqlite3.connect(folder.folder / "state.db") as db:
        db.execute("DROP TABLE names")
    db.close()


async def test_a_folder_of_the_time_before_names_opens_and_keeps_what_it_knows(folder: FolderHouse) -> None:
    await without_names(folder)
    for _ in range(2):
        async with await folder.open() as state:
            assert not state.notices
            await state.look([TOKEN])
            assert state.since(TOKEN, "interactions") == pytest.approx(0)
            state.name(TOKEN, [1])
    async with await folder.open() as state:
        await state.look([TOKEN])
        assert state.names(TOKEN) == {1}


async def test_a_folder_that_an_older_program_has_open_is_given_names_all_the_same(folder: FolderHouse) -> None:
    await without_names(folder)
    presence = Presence(Folder(folder.folder))
    presence.settle_in()
    assert presence.alone
    async with await folder.open() as state:
        await state.look([TOKEN])
        state.name(TOKEN, [1])
        await state.flush()
        assert state.names(TOKEN) == {1}
    presence.leave()


# --- clocks


async def test_suspend_does_not_shorten_a_lease_but_counts_for_the_pace(folder: FolderHouse) -> None:
    await used(folder, hold=70)
    folder.machine.suspend(3600)
    async with await folder.open() as state:
        await state.look([TOKEN, OTHER])
        assert state.claim(OTHER) == Closed(70.0)
        assert state.since(TOKEN, "interactions") == pytest.approx(3600)


@pytest.mark.parametrize("step", [-3600, 3600])
async def test_setting_the_clock_changes_nothing(folder: FolderHouse, step: float) -> None:
    await used(folder, hold=70)
    async with await folder.open() as state:
        await state.look([TOKEN])
        state.refuse(TOKEN, Refusal(ErrorKind.FORBIDDEN, "no", 600))
    folder.machine.wall += step
    folder.advance(10)
    async with await folder.open() as state:
        await state.look([TOKEN, OTHER])
        assert state.claim(OTHER) == Closed(60.0)
        assert state.since(TOKEN, "interactions") == pytest.approx(10)
        assert state.refusal(TOKEN) == Refusal(ErrorKind.FORBIDDEN, "no", 590.0)


async def test_a_clock_set_while_a_call_is_settled_never_makes_it_older(folder: FolderHouse) -> None:
    async with await folder.open() as state, await folder.open() as another:
        await state.look([TOKEN])
        state.arm(TOKEN, "interactions", 1)
        folder.machine.wall += 3600
        await settle(state, mark(ago=1))
        await another.look([TOKEN])
        assert another.since(TOKEN, "interactions") == pytest.approx(1)


async def test_after_a_boot_the_wall_clock_tells_the_pace(folder: FolderHouse) -> None:
    await used(folder)
    folder.machine.reboot(up=500)
    folder.machine.wall += 200
    async with await folder.open() as state:
        await state.look([TOKEN])
        assert state.since(TOKEN, "interactions") == pytest.approx(200)
    folder.machine.reboot("boot-3", up=500)
    folder.machine.wall -= 7200
    async with await folder.open() as state:
        await state.look([TOKEN])
        assert state.since(TOKEN, "interactions") == pytest.approx(0)


async def test_a_clock_set_back_over_a_boot_makes_no_refusal_longer(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await state.look([TOKEN])
        state.refuse(TOKEN, Refusal(ErrorKind.FORBIDDEN, "no", 600))
    folder.machine.reboot(up=500)
    folder.machine.wall -= 86_400
    async with await folder.open() as state:
        await state.look([TOKEN])
        assert state.refusal(TOKEN) == Refusal(ErrorKind.FORBIDDEN, "no", 600.0)


async def test_after_a_boot_tokens_wait_until_no_lost_call_can_be_at_work(folder: FolderHouse) -> None:
    await used(folder, hold=70)
    folder.machine.reboot(up=20)
    async with await folder.open() as state:
        assert not state.notices
        await state.look([TOKEN, OTHER])
        assert state.claim(TOKEN) == Closed(50.0)
        assert state.claim(OTHER) == Closed(50.0)
        folder.advance(50)
        assert state.claim(TOKEN) == Granted()


async def test_a_machine_that_is_up_for_long_keeps_nobody_waiting(folder: FolderHouse) -> None:
    await used(folder, hold=600)
    folder.machine.reboot(up=600)
    async with await folder.open() as state:
        await state.look([TOKEN, OTHER])
        assert (state.claim(TOKEN), state.claim(OTHER)) == (Granted(), Granted())


async def test_another_machine_cannot_use_it_at_the_same_time(folder: FolderHouse) -> None:
    async with await folder.open():
        elsewhere = FolderHouse(folder.folder, Machine(boot="elsewhere"))
        with pytest.raises(StateError, match="another machine"):
            await elsewhere.open()


async def test_the_machines_own_clocks_do(tmp_path: Path) -> None:
    clocks = machine_clocks()
    assert clocks.boot
    async with await SqliteState.open(tmp_path / "state", durability="power") as state:
        await begun(state, hold=50)
        state.end(TOKEN, 20, 0)
        state.release(TOKEN)
        claim = state.claim(TOKEN)
        assert isinstance(claim, Closed)
        assert 0 < claim.seconds <= 20


# --- damage


def _overwrite(path: Path) -> None:
    path.write_bytes(b"garbage " * 4000)


def _truncate(path: Path) -> None:
    os.truncate(path, 100)


def _tear(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(min(size - 4096, 20_000)))


@pytest.mark.parametrize("damage", [_overwrite, _truncate, _tear, Path.unlink])
async def test_the_worst_is_assumed_when_the_database_is_lost(
    folder: FolderHouse, damage: Callable[[Path], None]
) -> None:
    await used(folder, hold=600)
    folder.advance(10)
    damage(folder.folder / "state.db")
    async with await folder.open() as state, await folder.open() as another:
        assert "600 s" in state.notices[0]
        assert (damage is Path.unlink) or list(folder.folder.glob("state.db.damaged-*"))
        for one in (state, another):
            await one.look([TOKEN, OTHER])
            assert one.claim(TOKEN) == Closed(600.0)
            assert one.since(TOKEN, "interactions") == pytest.approx(0)
            assert one.since(OTHER, "never asked") == pytest.approx(0)
    folder.advance(600)
    async with await folder.open() as state:
        assert not state.notices
        await state.look([TOKEN])
        assert state.claim(TOKEN) == Granted()
        assert state.since(TOKEN, "interactions") == pytest.approx(600)
        folder.advance(86_400)
        assert state.since(TOKEN, "interactions") is None


@pytest.mark.parametrize("damage", [_overwrite, _truncate, Path.unlink])
async def test_the_worst_is_assumed_when_the_leases_are_lost_and_runs_are_kept(
    folder: FolderHouse, damage: Callable[[Path], None]
) -> None:
    await used(folder, hold=70)
    damage(folder.folder / "leases")
    async with await folder.open() as state:
        assert "leases" in state.notices[0]
        await state.look([TOKEN])
        assert state.claim(TOKEN) == Closed(DEFAULT_HOLD)
        assert state.since(TOKEN, "never asked") == pytest.approx(0)
        assert (await state.open_run(order(2, "november"))).counters.ok == 1
        folder.advance(DEFAULT_HOLD)
        assert state.claim(TOKEN) == Granted()


async def test_without_database_and_leases_nothing_was_ever_known(folder: FolderHouse) -> None:
    await used(folder)
    for path in folder.folder.iterdir():
        path.unlink()
    async with await folder.open() as state:
        assert not state.notices
        await state.look([TOKEN])
        assert state.claim(TOKEN) == Granted()


async def test_a_database_that_others_have_open_is_not_moved(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await asked(state, mark())
        (folder.folder / "leases").rename(folder.folder / "elsewhere")
        with pytest.raises(StateError, match="other processes use the folder"):
            await folder.open()
    assert not list(folder.folder.glob("*.damaged-*"))


def _spoil(folder: FolderHouse, offset: int, text: bytes) -> None:
    with (folder.folder / "leases").open("r+b") as file:
        file.seek(offset)
        file.write(text)


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (24, struct.pack("<d", float("nan"))),
        (4096 + 32, struct.pack("<d", float("nan"))),
        (4096 + 64, struct.pack("<d", float("inf"))),
        (4096 + 32, struct.pack("<d", -1.0)),
        (4096 + 64 + 17, b"wrong!"),
        (4096, b"garbage " * 12),
        (4096 + 32, bytes(64)),
    ],
)
async def test_a_damaged_entry_is_found_before_anything_is_claimed(
    folder: FolderHouse, offset: int, text: bytes
) -> None:
    await used(folder)
    _spoil(folder, offset, text)
    async with await folder.open() as state:
        assert "leases was damaged" in state.notices[0]
        assert list(folder.folder.glob("leases.damaged-*"))
        await state.look([TOKEN, OTHER])
        assert [state.claim(token) for token in (TOKEN, OTHER)] == [Closed(DEFAULT_HOLD)] * 2
        assert state.since(TOKEN, "never asked") == pytest.approx(0)


async def test_leases_that_were_cut_off_are_found_before_anything_is_claimed(folder: FolderHouse) -> None:
    await used(folder)
    os.truncate(folder.folder / "leases", 4096 + 64)
    async with await folder.open() as state:
        assert "leases was damaged" in state.notices[0]
        await state.look([TOKEN])
        assert state.claim(TOKEN) == Closed(DEFAULT_HOLD)


async def test_a_slot_of_another_token_is_damage(folder: FolderHouse) -> None:
    await used(folder)
    async with await folder.open() as state:
        _spoil(folder, 4096 + 32 + 17, b"wrong!")
        with pytest.raises(StateError, match="damaged"):
            await state.look([TOKEN])
        with pytest.raises(StateError, match="damaged"):
            state.claim(TOKEN)
        with pytest.raises(StateError, match="damaged"):
            await state.close()
    async with await folder.open() as state:
        assert state.notices
        await state.look([TOKEN])
        assert state.claim(TOKEN) == Closed(DEFAULT_HOLD)


async def test_a_closure_beyond_all_measure_is_damage(folder: FolderHouse) -> None:
    await used(folder)
    async with await folder.open() as state:
        _spoil(folder, 4096 + 32, b"\xff" * 8)
        await state.look([TOKEN])
        with pytest.raises(StateError, match="damaged"):
            state.claim(TOKEN)
    async with await folder.open() as state:
        assert state.notices


# --- failures


async def test_after_a_failure_nothing_more_is_granted(folder: FolderHouse) -> None:
    state = await folder.open()
    await state.look([TOKEN, OTHER])
    assert state.claim(TOKEN) == Granted()
    with sqlite3.connect(folder.folder / "state.db") as db:
        db.execute("DROP TABLE calls")
    db.close()
    told: list[StateError | None] = []
    state.settle(RUN, [mark()], None, told.append)
    with pytest.raises(StateError):
        await state.flush()
    assert isinstance(told[0], StateError)
    with pytest.raises(StateError):
        state.claim(OTHER)
    with pytest.raises(StateError):
        state.begin(TOKEN, 70)
    with pytest.raises(StateError):
        await state.close()
    await state.close()


async def test_a_writer_that_stands_still_keeps_nobody_from_reading(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await state.look([TOKEN])
        db = sqlite3.connect(folder.folder / "state.db", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        told: list[StateError | None] = []
        await begun(state)
        state.end(TOKEN, 0, 0)
        state.settle(RUN, [mark()], None, told.append)
        state.release(TOKEN)
        await state.look([TOKEN])
        assert not told
        async with await folder.open() as another:
            assert another.claim(TOKEN) != Granted()
            db.execute("ROLLBACK")
            db.close()
            await state.flush()
            assert told == [None]
            assert another.claim(TOKEN) == Unread()
            await another.look([TOKEN])
            assert another.since(TOKEN, "interactions") == pytest.approx(0)
    assert mark().at == NOON.timestamp()
