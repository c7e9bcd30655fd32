"""A state folder in virtual time: its thread takes none, and what was told is committed before time goes on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from wolkvox_async.errors import StateError
from wolkvox_async.marks import SlotMark
from wolkvox_async.ports import Closed, Granted, LastSlot, State
from wolkvox_async.testing import VirtualClock, VirtualLoop, open_virtual_state

T = TypeVar("T")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOKEN = "tk_9f86d081884c"


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def committed(folder: Path) -> int:
    with sqlite3.connect(folder / "state.db") as db:
        (count,) = db.execute("SELECT count(*) FROM slots").fetchone()
    db.close()
    return int(count)


def test_opening_asking_and_closing_take_no_time(tmp_path: Path) -> None:
    async def main() -> float:
        clock = VirtualClock(NOON)
        state: State = await open_virtual_state(tmp_path, clock)
        asyncio.get_running_loop().call_later(0.001, lambda: None)
        await state.look([TOKEN])
        await state.flush()
        await state.close()
        return clock.utc().timestamp() - NOON.timestamp()

    assert run(main) == 0.0


def test_what_was_told_is_committed_before_time_goes_on(tmp_path: Path) -> None:
    async def main() -> list[int]:
        state = await open_virtual_state(tmp_path, VirtualClock(NOON))
        found = []
        for number in range(3):
            state.note_slots([SlotMark("acme", f"op-{number}", "interactions", "", 1)])
            await asyncio.sleep(0.000_001)
            found.append(committed(tmp_path))
        await state.close()
        return found

    assert run(main) == [1, 2, 3]


def test_it_counts_by_the_clocks_of_the_virtual_machine(tmp_path: Path) -> None:
    async def main() -> None:
        clock = VirtualClock(NOON)
        state = await open_virtual_state(tmp_path, clock)
        await state.look([TOKEN])
        assert isinstance(state.claim(TOKEN), Granted)
        state.begin(TOKEN, 60.0)
        state.end(TOKEN, 30.0, 0.0)
        state.arm(TOKEN, "interactions", 0.0)
        state.release(TOKEN)
        clock.suspend(3_600)
        # A lease counts in time that the machine was awake, pace in time that went by.
        assert isinstance(state.claim(TOKEN), Closed)
        assert state.since(TOKEN, "interactions") == 3_600.0
        await asyncio.sleep(31)
        assert isinstance(state.claim(TOKEN), Granted)
        state.release(TOKEN)
        await state.close()

    run(main)


def test_the_next_one_to_open_the_folder_finds_it_as_it_was_left(tmp_path: Path) -> None:
    async def main() -> LastSlot:
        clock = VirtualClock(NOON)
        state = await open_virtual_state(tmp_path, clock)
        state.note_slots([SlotMark("acme", "bogota", "interactions", "", 7, closing=True)])
        await state.close()
        try:
            state.claim(TOKEN)
        except StateError:
            await asyncio.sleep(86_400)
        state = await open_virtual_state(tmp_path, clock, boot="another")
        found = (await state.last_slots())["acme", "bogota", "interactions", ""]
        await state.close()
        return found

    assert run(main) == LastSlot(7, 7)
