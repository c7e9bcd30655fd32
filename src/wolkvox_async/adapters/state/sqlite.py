"""A state folder: the `State` of several processes, and of one after another.

    state = await SqliteState.open(folder)
    ...
    await state.close()

Leases, and what this process knows of tokens, are looked at in the event loop: a system
call for a lock, the rest a few microseconds in memory. The database belongs to a thread.

Opening starts the thread, closing ends it, and no file is left open. What is forked from
a process with an open state has nothing of it: its copy fails, and gives nothing back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

from wolkvox_async.errors import StateError, UsageError
from wolkvox_async.marks import Mark, SlotMark
from wolkvox_async.model import Call
from wolkvox_async.ports import Claim, LastSlot, OpenRun, Place, Refusal, RunOrder, SlotKey

from .clocks import Clocks, Moment, machine_clocks
from .diary import read_slots, write_slots
from .expected import Expected
from .keeper import Keeper
from .knowledge import Memory
from .leases import Lease, LocalLeases
from .looking import Adoption, Found, is_sound, look_up
from .names import NamedSlots
from .outcomes import erase
from .reconciling import has_shrunk
from .refusals import Closure, erase_refusals, write_refusal
from .runs import Runs, read_position
from .schema import write_meta
from .slots import fresh_stamp
from .tokens import find_slots, make_slots, portions, token_number
from .unwritten import Unwritten
from .works import Entry, Expecting, Noted, Servers, Settling, SettlingParts, note_servers

Durability: TypeAlias = Literal["process", "power"]

_AT_ONCE: Final = 2_000
"""Tokens, or marks, that are read or written before others have a turn."""


class SqliteState:
    """The `State` and `Adopter` of a folder; use it in the event loop that opened it."""

    def __init__(self, keeper: Keeper) -> None:
        """Use `open`."""
        opened = keeper.opened
        self._keeper: Final = keeper
        self._slots: Final = opened.slots
        self._era: Final = opened.era
        self._runs: Final = Runs(opened.run_locks, opened.era.clocks)
        self._memory: Final = Memory(opened.era, opened.damaged)
        monotonic = opened.era.clocks.monotonic
        self._leases: Final = LocalLeases(opened.token_locks, opened.slots, self._memory, monotonic, self._hold_longer)
        self._parts: Final = SettlingParts(opened.slots, self._runs, opened.era, self._leases)
        self._expected: Final = Expected(self._write_expected)
        self._names: Final = NamedSlots(keeper.write)
        self._refusing: Final = Unwritten()  # slots whose refusal is not in the database yet
        self._down: frozenset[str] = frozenset()
        self._short: frozenset[str] = frozenset()
        self.notices: Final = opened.notices
        """What is to be said loudly about the folder: that it was damaged."""

    @classmethod
    async def open(
        cls, folder: Path, *, durability: Durability = "process", clocks: Clocks | None = None
    ) -> SqliteState:
        """Open `folder`, which is made if need be.

        With `durability` "process" what is settled survives a killed process, with "power"
        a power cut as well. Raises `StateError`.
        """
        keeper = Keeper(folder, clocks or machine_clocks(), power=durability == "power")
        return cls(await keeper.start())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- leases

    def claim(self, token: str) -> Claim:
        """Ask for `token`; raises `StateError`."""
        self._keeper.check()
        return self._leases.claim(token)

    def want(self, token: str) -> None:
        """Let whoever has `token` know that it is waited for."""
        self._leases.want(token)

    def is_wanted(self, token: str) -> bool:
        """Tell whether another process, or engine, waits for `token`."""
        return self._leases.is_wanted(token)

    def begin(self, token: str, hold: float) -> None:
        """Note, before anything is sent, that an attempt begins; raises `StateError`."""
        self._keeper.check()
        self._leases.begin(token, hold)

    def end(self, token: str, at_work: float, pause: float) -> None:
        """Note that an attempt ended; see the port."""
        self._leases.end(token, at_work, pause)

    def release(self, token: str) -> None:
        """Give the token back: at once, or when what came of it is committed."""
        self._leases.release(token)

    def _hold_longer(self, hold: float) -> None:
        self._keeper.write(Noted(lambda db: write_meta(db, longest=hold), self._keeper.sync))

    # --- knowledge

    async def look(self, tokens: Collection[str]) -> None:
        """Read what is known of `tokens`; raises `StateError`, and `ValueError` for what is no token id."""
        for some in portions(list(dict.fromkeys(tokens)), _AT_ONCE):
            numbers = {token_number(token): token for token in some}
            await self._look(numbers)

    async def _look(self, tokens: Mapping[int, str]) -> None:
        held = self._leases.held
        leases = {number: held[token] for number, token in tokens.items() if token in held}
        slots, era = self._slots, self._era
        found = await self._keeper.read(lambda db: look_up(db, slots, era, list(tokens)))
        self._learn(found, tokens, leases)
        missing = [number for number in tokens if number not in found.slots]
        if missing:
            await self._keeper.ask(lambda db: make_slots(db, slots, missing))
            found = await self._keeper.read(lambda db: look_up(db, slots, era, missing))
            self._learn(found, tokens, leases)

    def _learn(self, found: Found, tokens: Mapping[int, str], leases: Mapping[int, Lease]) -> None:
        memory = self._memory
        for slot, question, elapsed in found.asked:
            memory.ask(slot, question, elapsed)
        for number, slot in found.slots.items():
            memory.slots[tokens[number]] = slot
            if slot not in self._refusing:
                memory.refuse(slot, found.closures.get(slot))
            self._leases.learn(tokens[number], leases.get(number), slot, found.stamps[slot])
        for slot, names in found.names.items():
            self._names.learn(slot, names)

    def since(self, token: str, question: str) -> float | None:
        """Return how many seconds ago the last such request left that was answered, if that was within a day."""
        slot = self._memory.slots.get(token)
        return None if slot is None else self._memory.asked(slot, question)

    def arm(self, token: str, question: str, seconds_ago: float) -> None:
        """Note that a request which left so long ago was answered; tokens never looked at are passed over."""
        slot = self._memory.slots.get(token)
        if slot is not None:
            self._memory.arm(slot, question, self._era.clocks.boottime() - seconds_ago)

    def disarm(self, token: str, question: str) -> None:
        """Undo `arm`: the answer will never be delivered."""
        slot = self._memory.slots.get(token)
        if slot is not None:
            self._memory.disarm(slot, question)

    def refusal(self, token: str) -> Refusal | None:
        """Return why nothing is to be sent with `token` at present."""
        memory = self._memory
        slot = memory.slots.get(token) if memory.closures else None
        return None if slot is None else memory.refusal(slot)

    def refuse(self, token: str, refusal: Refusal) -> None:
        """Note that the vendor refused `token`."""
        slot = self._memory.slots.get(token)
        closure = Closure.of(refusal, self._era)
        if slot is None:
            raise UsageError("a token was refused that nothing is known of: look before anything is sent")
        lease = self._leases.await_commit(token)
        self._memory.refuse(slot, closure)
        self._refusing.add(slot)

        def write(db: sqlite3.Connection) -> None:
            write_refusal(db, slot, closure)
            if lease is None:
                self._slots.shake(slot, fresh_stamp())

        def heard() -> None:
            self._refusing.written(slot)
            if lease is not None:
                self._leases.committed(token, lease)

        self._keeper.write(Noted(write, heard))

    async def forgive(self, tokens: Collection[str]) -> None:
        """Forget that they were refused; raises `StateError`."""
        numbers = [token_number(token) for token in tokens]
        held = {lease.number for lease in self._leases.held.values()}

        def forget(db: sqlite3.Connection) -> list[int]:
            found = find_slots(db, numbers)
            erase_refusals(db, found.values())
            for number, slot in found.items():
                if number not in held:
                    self._slots.shake(slot, fresh_stamp())
            return list(found.values())

        for slot in await self._keeper.ask(forget):
            self._memory.refuse(slot, None)

    def names(self, token: str) -> frozenset[int]:
        """Return the names that `token` is known by."""
        slot = self._memory.slots.get(token)
        return frozenset() if slot is None else self._names.of(slot)

    def is_anothers(self, token: str, names: Collection[int]) -> bool:
        """Tell whether another token, of those looked at, is known by one of `names`."""
        return self._names.is_anothers(self._memory.slots.get(token), names)

    def name(self, token: str, names: Collection[int]) -> None:
        """Note by which names `token` is known; tokens never looked at are passed over."""
        slot = self._memory.slots.get(token)
        if slot is not None:
            self._names.note(slot, names)

    # --- runs

    async def open_run(self, order: RunOrder) -> OpenRun:
        """Begin or take up a run; raises `RunError` and `StateError`."""
        return await self._keeper.ask(lambda db: self._runs.open(db, order))

    def expect(self, run: str, calls: Collection[Call]) -> None:
        """Note that `run` is about to make `calls`; those of tokens never looked at are passed over."""
        self._expected.add(run, calls)

    def _write_expected(self, run: str, calls: Sequence[Call]) -> None:
        for some in portions(calls, _AT_ONCE):
            self._keeper.write(Expecting(run, some, self._memory.slots.get, self._era.clocks.wall()))

    def settle(
        self, run: str, marks: Sequence[Mark], position: int | None, done: Callable[[StateError | None], None]
    ) -> None:
        """Note that `marks` were delivered; `done` is called, in the event loop, when that is committed or failed."""
        self._expected.drop(run, marks)
        moment = self._era.moment(0.0)
        entries = [self._entry(mark, moment) for mark in marks]
        self._keeper.write(Settling(run, entries, position, done, self._parts))

    def _entry(self, mark: Mark, now: Moment) -> Entry:
        slot = self._memory.slots.get(mark.token)
        asked = None
        if mark.done:
            ago = now.wall - mark.sent
            asked = now.elapsed - ago if ago > 0 else now.elapsed
            if slot is not None:
                asked = self._memory.ask(slot, mark.question, asked)
        return mark, slot, asked, self._leases.await_commit(mark.token)

    def unsettle(self, run: str, marks: Sequence[Mark]) -> None:
        """Take `marks` back, which were settled."""
        for mark in marks:
            if (slot := self._memory.slots.get(mark.token)) is not None:
                self._memory.unask(slot, mark.question)

        def write(db: sqlite3.Connection) -> None:
            numbers = {mark.token: token_number(mark.token) for mark in marks}
            found = find_slots(db, list(numbers.values()))
            erase(db, marks, lambda mark: found.get(numbers[mark.token], 0))
            self._runs.unsettle(db, run, marks)

        self._keeper.write(Noted(write))

    async def close_run(self, run: str, *, complete: bool) -> None:
        """Let go of the run, when everything settled is committed; raises `StateError`."""
        number = self._runs.number(run)
        self._expected.write_down()
        await self._keeper.ask(lambda db: self._runs.close(db, run, complete=complete))
        if number is not None:
            self._runs.let_go([number])

    # --- slots

    async def last_slots(self) -> Mapping[SlotKey, LastSlot]:
        """Return the last slots that ended, of everything that was ever watched; raises `StateError`."""
        return await self._keeper.ask(read_slots)

    def note_slots(self, marks: Sequence[SlotMark]) -> None:
        """Note slots that ended."""
        self._keeper.write(Noted(lambda db: write_slots(db, marks)))

    # --- outputs

    async def adopted(self, output: Place) -> int:
        """Return up to where `output` was read, or written by a run; 0 for a file that nobody knows."""
        return await self._keeper.read(lambda db: read_position(db, output))

    async def has_shrunk(self, output: Place, end: int) -> bool:
        """Tell whether `output` lost what it held; see the port."""
        return await self._keeper.read(lambda db: has_shrunk(db, output, end))

    async def adopt(self, output: Place, marks: Iterable[Mark], end: int, *, shrunk: bool = False) -> int:
        """Take `marks` over, a portion at a time; those that make no sense are passed over. See the port."""
        adoption = Adoption(self._runs, self._slots, self._era, output if shrunk else None)
        sound = (mark for mark in marks if is_sound(mark))
        while some := list(islice(sound, _AT_ONCE)):
            await self._adopt(adoption, some)
        return await self._keeper.ask(lambda db: adoption.end(db, output, end))

    async def _adopt(self, adoption: Adoption, marks: Sequence[Mark]) -> None:
        shaken = fresh_stamp()
        slots = await self._keeper.ask(lambda db: adoption.take(db, marks, shaken))
        calm = fresh_stamp()
        for slot in slots.values():
            # Unless somebody has begun to use it meanwhile, what is read of it now is true again.
            if self._slots.read(slot)[1] == shaken | 1:
                self._slots.sign(slot, calm)
        now = self._era.clocks.boottime()
        for mark in marks:
            if mark.done and mark.token in self._memory.slots:
                self._memory.ask(self._memory.slots[mark.token], mark.question, now - adoption.age(mark))

    # --- the rest

    def note_servers(self, down: Mapping[str, float], short: Mapping[str, float]) -> None:
        """Note which servers are down, as this process sees it, and where retries are used up."""
        downs, shorts = Servers.since(self._down, down), Servers.since(self._short, short)
        self._down, self._short = frozenset(down), frozenset(short)
        self._keeper.write(Noted(lambda db: note_servers(db, downs, shorts, self._era)))

    async def flush(self) -> None:
        """Return when everything told so far is committed; raises `StateError`."""
        self._expected.write_down()
        await self._keeper.ask(lambda _: None)

    async def close(self) -> None:
        """Commit what was told and give everything back; see the port. Closing twice does nothing more."""
        self._expected.write_down()
        self._leases.drop()
        await self._keeper.stop()
